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
from libc.string cimport memcpy

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


cdef inline void repeat(double *x, Index period, Index n) noexcept nogil:
    """Fill the first n places with copies of the first ``period``."""
    cdef Index done = period, size
    while done < n:
        size = done if 2 * done <= n else n - done
        memcpy(x + done, x, size * sizeof(double))
        done += size


cdef inline double fill_odds(
    double *odds, const double *a, const double *v, Index n_latent, Index n_nodes, Index n,
    double base, double sign
) noexcept nogil:
    """Exponents of a row at the first n nodes; return the largest, or 0 if none is above."""
    cdef Index m, q
    cdef double x, reach = 0.0
    for m in range(n_latent):
        if a[m + 1] != 0.0:
            break
    else:
        m = 0
    # The first latent variable that matters comes with the constant.
    base *= sign
    if n_latent:
        x = sign * a[m + 1]
        for q in range(n):
            odds[q] = base + x * v[m * n_nodes + q]
    else:
        for q in range(n):
            odds[q] = base
    for m in range(m + 1, n_latent):
        x = sign * a[m + 1]
        if x != 0.0:
            for q in range(n):
                odds[q] += x * v[m * n_nodes + q]
    for q in range(n):
        reach = odds[q] if odds[q] > reach else reach
    return reach


cdef inline void bernoulli_rows(
    const Model *g, Work *w, Index unit, Index top_row
) noexcept nogil:
    """Add the rows' log densities to the log posterior; with derivatives as ``evaluate_rows``."""
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.n_nodes, n2 = lev.n_latent, width = g.n_latent + 1
    cdef Index begin = lev.first[unit], end = lev.first[unit + 1]
    cdef Index i, m, q, distinct
    cdef const double *a = w.linear + (begin - top_row) * width
    cdef const double *v = w.v[2]
    cdef double *posterior = w.log_posterior[2]
    cdef double *product = w.f
    cdef double *odds = w.f + R
    cdef double *up = w.nu      # factors of the nodes: for a failure, then for a success
    cdef double *f1 = w.f1
    cdef double *f2
    cdef double *base = w.row_factor
    cdef const double *factor
    cdef double x, r, reach, bound = 0.0, spread = 0.0, sign, largest = 0.0
    cdef bint separable = same_coefficients(w, begin - top_row, end - begin, width, n2)
    for q in range(R):
        product[q] = 1.0
    for i in range(begin, end):
        a = w.linear + (i - top_row) * width
        x = a[0]
        for m in range(n2 + 1, width):
            x += a[m] * w.v_path[m]
        # Without a branch, which could not be predicted: y is 0 or 1.
        base[i - begin] = (1.0 - 2.0 * g.y[i]) * x
    if separable:
        spread = fill_odds(odds, a, v, n2, R, R, 0.0, 1.0)
        for q in range(R):
            spread = -odds[q] if -odds[q] > spread else spread
        for i in range(end - begin):
            x = fabs(base[i])
            largest = x if x > largest else largest
        separable = spread <= FARTHEST and largest <= FARTHEST
    if separable:
        for q in range(R):
            up[q] = exp(odds[q])
        for q in range(R):
            up[R + q] = 1.0 / up[q]
        for i in range(end - begin):
            base[i] = exp(base[i])
    for i in range(begin, end):
        a = w.linear + (i - top_row) * width
        sign = 1.0 - 2.0 * g.y[i]
        distinct = R
        if separable:
            reach = largest + spread
        else:
            distinct = lev.period
            for m in range(1, n2):
                if a[m] != 0.0:
                    distinct = R
            # The base has its sign already.
            reach = fill_odds(odds, a, v, n2, R, distinct, sign * base[i - begin], sign)
            if reach > FARTHEST:
                # ln(1 + exp(x)) is x so far out: take the rest off at once.
                repeat(odds, distinct, R)
                distinct = R
                for q in range(R):
                    if odds[q] > FARTHEST:
                        posterior[q] -= odds[q] - FARTHEST
                        odds[q] = FARTHEST
                reach = FARTHEST
            for q in range(distinct):
                odds[q] = exp(odds[q])
        bound += LOG_2 + reach
        if bound > FULLEST:
            take_logarithms(posterior, product, R)
            bound = LOG_2 + reach
        if separable:
            x = base[i - begin]
            factor = up + <Index>g.y[i] * R
            if not g.derivatives:
                for q in range(R):
                    product[q] *= 1.0 + x * factor[q]
                continue
            for q in range(R):
                odds[q] = x * factor[q]
        if not g.derivatives:
            repeat(odds, distinct, R)
            for q in range(R):
                product[q] *= 1.0 + odds[q]
            continue
        f2 = w.f2 + (i - begin) * R
        for q in range(distinct):
            x = 1.0 / (1.0 + odds[q])
            r = odds[q] * x
            f1[q] = -sign * r
            f2[q] = -r * x
        repeat(odds, distinct, R)
        repeat(f1, distinct, R)
        repeat(f2, distinct, R)
        for q in range(R):
            product[q] *= 1.0 + odds[q]
        accumulate_row(g, w, i, i - begin, f1, g.entry_start[begin])
    take_logarithms(posterior, product, R)
