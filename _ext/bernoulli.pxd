# cython: language_level=3
"""Units whose rows are all binary with a logit link, weight 1.

With s = 1 for a failure and -1 for a success the probability of a row is
1/(1 + exp(s nu)), so that the log likelihood of a unit at a node is minus the
logarithm of a product: one logarithm per node, taken before the product can
overflow. Where all rows of the unit have the same coefficients of its latent
variables (a random intercept), exp(s nu) is a product, too, of a factor of the
row and one of the node.
"""

from libc.math cimport exp, fabs, log

from model cimport Index, Level, Model, Work
from scores cimport accumulate_row

cdef extern from *:
    """
    #define FARTHEST 250.0
    #define FULLEST 600.0
    #define LOG_2 0.69314718055994530942
    """
    double FARTHEST     # largest exponent of one factor
    double FULLEST      # largest exponent of a product
    double LOG_2


cdef inline bint same_coefficients(
    const Work *w, Index first, Index n, Index width, Index n_latent
) noexcept nogil:
    """Whether rows first .. first + n have the same coefficients of the unit's latent variables."""
    cdef Index i, m
    cdef const double *a = w.linear + first * width
    for i in range(1, n):
        for m in range(1, n_latent + 1):
            if a[i * width + m] != a[m]:
                return False
    return True


cdef inline void take_logarithms(double *log_posterior, double *product, Index n) noexcept nogil:
    cdef Index q
    for q in range(n):
        log_posterior[q] -= log(product[q])
    for q in range(n):
        product[q] = 1.0


cdef inline void bernoulli_rows(
    const Model *g, Work *w, Index unit, Index top_row
) noexcept nogil:
    """Add the rows' log densities to the log posterior; with derivatives as ``evaluate_rows``."""
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.n_nodes, n2 = lev.n_latent, width = g.n_latent + 1
    cdef Index begin = lev.first[unit], end = lev.first[unit + 1]
    cdef Index i, m, q
    cdef const double *a = w.linear + (begin - top_row) * width
    cdef const double *v = w.v[2]
    cdef double *posterior = w.log_posterior[2]
    cdef double *product = w.f
    cdef double *odds = w.f + R
    cdef double *up = w.nu
    cdef double *down = w.nu + R
    cdef double *f1 = w.f1
    cdef double *f2
    cdef const double *factor
    cdef double base, x, r, reach, bound = 0.0, spread = 0.0, sign
    cdef bint separable = same_coefficients(w, begin - top_row, end - begin, width, n2)
    for q in range(R):
        product[q] = 1.0
    if separable:
        for q in range(R):
            odds[q] = 0.0
        for m in range(n2):
            x = a[m + 1]
            for q in range(R):
                odds[q] += x * v[m * R + q]
        for q in range(R):
            x = fabs(odds[q])
            spread = x if x > spread else spread
        if spread > FARTHEST:
            separable = False
        else:
            for q in range(R):
                up[q] = exp(odds[q])
            for q in range(R):
                down[q] = 1.0 / up[q]
    for i in range(begin, end):
        a = w.linear + (i - top_row) * width
        sign = -1.0 if g.y[i] > 0.5 else 1.0
        base = a[0]
        for m in range(n2 + 1, width):
            base += a[m] * w.v_path[m]
        if separable and fabs(base) <= FARTHEST:
            x = exp(sign * base)
            factor = up if sign > 0.0 else down
            for q in range(R):
                odds[q] = x * factor[q]
            reach = sign * base + spread
        else:
            for q in range(R):
                odds[q] = base
            for m in range(n2):
                x = a[m + 1]
                if x != 0.0:
                    for q in range(R):
                        odds[q] += x * v[m * R + q]
            reach = 0.0
            for q in range(R):
                odds[q] *= sign
            for q in range(R):
                reach = odds[q] if odds[q] > reach else reach
            if reach > FARTHEST:
                # ln(1 + exp(x)) is x so far out: take the rest off at once.
                for q in range(R):
                    if odds[q] > FARTHEST:
                        posterior[q] -= odds[q] - FARTHEST
                        odds[q] = FARTHEST
                reach = FARTHEST
            for q in range(R):
                odds[q] = exp(odds[q])
        bound += (reach if reach > 0.0 else 0.0) + LOG_2
        if bound > FULLEST:
            take_logarithms(posterior, product, R)
            bound = (reach if reach > 0.0 else 0.0) + LOG_2
        if not g.derivatives:
            for q in range(R):
                product[q] *= 1.0 + odds[q]
            continue
        f2 = w.f2 + (i - begin) * R
        for q in range(R):
            x = 1.0 + odds[q]
            product[q] *= x
            r = odds[q] / x
            f1[q] = -sign * r
            f2[q] = -r / x
        accumulate_row(g, w, i, i - begin, f1, g.entry_start[begin])
    take_logarithms(posterior, product, R)
