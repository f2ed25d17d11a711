# cython: language_level=3, cdivision=True
"""Units whose rows are all binary with a logit link, weight 1.

With s = 1 for a failure and -1 for a success the probability of a row is
1/(1 + exp(s nu)), so that the log likelihood of a unit at a node is minus the
logarithm of a product: one logarithm per node, taken before the product can
overflow. Where all rows of the unit have the same coefficients of its latent
variables (a random intercept), exp(s nu) is a product, too, of the odds of the
row and a factor of the node. If the coefficients of the latent variables of
higher levels are the same as well, the odds of the row do not depend on the
latent variables at all, and are computed once for all nodes.
"""

from libc.math cimport exp, fabs, log
from libc.string cimport memcpy

from block cimport BINOMIAL, LINKS, LOGIT
from lanes cimport (
    LANES, WHOLE, WIDEST, In, Out, add_scaled, exponentials, largest, scale, subtract_logarithms,
)
from model cimport CHUNK, Index, Level, Model, Row, Work, kind_of, row_of
from predictor cimport on_path
from scores cimport accumulate_dense, accumulate_plain, clear_unit
from strided cimport element

cdef extern from *:
    """
    #define FARTHEST 250.0
    #define FULLEST 600.0
    #define LOG_2 0.69314718055994530942
    """
    double FARTHEST     # largest exponent of one factor
    double FULLEST      # largest exponent of a product
    double LOG_2


cdef enum:
    # What is known of a unit's rows.
    BINARY = 1          # all binary with a logit link, weight 1
    OWN_ALIKE = 2       # and the unit's own latent variables have the same coefficients in all
    ALL_ALIKE = 3       # and those of the levels above


cdef inline unsigned char compare_rows(
    const Model *g, Index i, Index j, const unsigned char *concern
) noexcept nogil:
    """What rows i and j have in common: BINARY, OWN_ALIKE or ALL_ALIKE.

    ``concern`` says of each column whether latent variables of the unit itself (1) or of the
    levels above (2) have coefficients for it.
    """
    cdef Row a = row_of(g, i), b = row_of(g, j)
    cdef Index z = 0, y = 0
    cdef unsigned char different = 0
    while z < a.n or y < b.n:
        if z < a.n and y < b.n and a.column[z] == b.column[y]:
            if a.value[z] != b.value[y]:
                different |= concern[a.column[z]]
            z += 1
            y += 1
        elif y == b.n or (z < a.n and a.column[z] < b.column[y]):
            # A column that the other row lacks is zero there.
            different |= concern[a.column[z]] if a.value[z] != 0.0 else 0
            z += 1
        else:
            different |= concern[b.column[y]] if b.value[y] != 0.0 else 0
            y += 1
    if different & 1:
        return BINARY
    return OWN_ALIKE if different else ALL_ALIKE


cdef inline unsigned char kind_of_unit(
    const Model *g, Index unit, const unsigned char *concern
) noexcept nogil:
    """What is known of the rows of a unit; 0 if not all are plain binary rows.

    ``concern`` is NULL if rows cannot differ in columns that concern latent variables.
    """
    cdef const Level *lev = &g.level[2]
    cdef Index i, first = lev.first[unit]
    cdef unsigned char kind = ALL_ALIKE, common
    for i in range(first, lev.first[unit + 1]):
        if not (
            kind_of(g, i) == BINOMIAL * LINKS + LOGIT and element(g.denominator, i) == 1.0
            and element(g.row_weight, i) == 1.0 and (g.y[i] == 0.0 or g.y[i] == 1.0)
        ):
            return 0
        if concern != NULL and kind > BINARY:
            common = compare_rows(g, first, i, concern)
            kind = common if common < kind else kind
    return kind


cdef inline void fill_row_odds(
    const Model *g, Work *w, Index begin, Index end
) noexcept nogil:
    """Odds of rows begin..end of a block without latent variables, against their responses."""
    cdef Index i, lane
    cdef double x
    cdef double most[WIDEST]
    for lane in range(WIDEST):
        most[lane] = 0.0
    i = 0
    while i < end - begin:
        for lane in range(WIDEST if i + WIDEST <= end - begin else end - begin - i):
            # Without a branch, which could not be predicted: y is 0 or 1.
            w.odds[i + lane] = (1.0 - 2.0 * g.y[begin + i + lane]) * w.base[i + lane]
            x = fabs(w.base[i + lane])
            most[lane] = x if x > most[lane] else most[lane]
        i += WIDEST
    w.most = 0.0
    for lane in range(WIDEST):
        w.most = most[lane] if most[lane] > w.most else w.most
    if w.most <= FARTHEST:
        for i in range(end - begin):
            w.odds[i] = exp(w.odds[i])


cdef inline void take_logarithms(double *log_posterior, double *product, Index n) noexcept nogil:
    cdef Index q
    subtract_logarithms(log_posterior, product, n)
    for q in range(WHOLE(n)):
        product[q] = 1.0


cdef inline void repeat(double *x, Index period, Index n) noexcept nogil:
    """Fill the first n places with copies of the first ``period``."""
    cdef Index done = period, size
    while done < n:
        size = done if 2 * done <= n else n - done
        memcpy(x + done, x, size * sizeof(double))
        done += size


cdef inline void invert(Out out, In x, Index n) noexcept nogil:
    cdef Index q
    for q in range(WHOLE(n)):
        out[q] = 1.0 / x[q]


cdef inline void multiply_odds(Out product, double x, In factor, Index n) noexcept nogil:
    """Multiply by 1 + odds, the odds being x times a factor of the node."""
    cdef Index q
    for q in range(WHOLE(n)):
        product[q] *= 1.0 + x * factor[q]


cdef inline void multiply_derivatives(
    Out product, Out f1, Out f2, double x, In factor, double sign, Index n
) noexcept nogil:
    """The same with the derivatives of the row."""
    cdef Index q
    cdef double t, o, r
    for q in range(WHOLE(n)):
        t = x * factor[q]
        o = 1.0 / (1.0 + t)
        r = t * o
        product[q] *= 1.0 + t
        f1[q] = -sign * r
        f2[q] = -r * o


cdef inline void derivatives_of_odds(Out f1, Out f2, In odds, double sign, Index n) noexcept nogil:
    cdef Index q
    cdef double o, r
    for q in range(WHOLE(n)):
        o = 1.0 / (1.0 + odds[q])
        r = odds[q] * o
        f1[q] = -sign * r
        f2[q] = -r * o


cdef inline void fill_odds(
    double *odds, const double *a, const double *v, Index n_latent, Index stride, Index n,
    double base, double sign
) noexcept nogil:
    """Exponents of a row at the first n places: base + sign * its latent variables."""
    cdef Index m, q
    for q in range(WHOLE(n)):
        odds[q] = base
    for m in range(n_latent):
        if a[m] != 0.0:
            add_scaled(odds, sign * a[m], v + m * stride, n)


cdef inline void bernoulli_rows(
    const Model *g, Work *w, Index unit, Index top_row
) noexcept nogil:
    """Add the rows' log densities to the log posterior; with derivatives as ``evaluate_rows``."""
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.places, begin = lev.first[unit], end = lev.first[unit + 1], i, q
    cdef const double *a = w.linear + (begin - top_row) * g.n_latent
    cdef const double *odds = w.odds + (begin - top_row)
    cdef double most = w.most, x, path = 0.0
    for q in range(WHOLE(R)):
        w.f[q] = 1.0
    if g.derivatives:
        clear_unit(g, w, end - begin)
    if g.bernoulli[unit] == ALL_ALIKE:
        path = on_path(g, w, a)
    elif g.bernoulli[unit] == OWN_ALIKE:
        most = 0.0
        for i in range(end - begin):
            x = w.base[begin - top_row + i] + on_path(g, w, a + i * g.n_latent)
            w.row_factor[i] = exp((1.0 - 2.0 * g.y[begin + i]) * x)
            most = fabs(x) if fabs(x) > most else most
        odds = w.row_factor
    if not (
        g.bernoulli[unit] >= OWN_ALIKE and most <= FARTHEST
        and separable_rows(g, w, unit, a, odds, path, most)
    ):
        rows_one_by_one(g, w, unit, top_row)
    take_logarithms(w.log_posterior[2], w.f, R)


cdef inline void multiply_rows(
    Out product, In base, In y, In up, Index n_rows, Index n
) noexcept nogil:
    """Multiply by 1 + odds of several rows, keeping a vector of products at hand."""
    cdef Index q, i, lane
    cdef double x[WIDEST]
    cdef const double *factor
    n = WHOLE(n)
    q = 0
    while q < n:
        for lane in range(LANES):
            x[lane] = product[q + lane]
        for i in range(n_rows):
            factor = up + <Index>y[i] * n + q
            for lane in range(LANES):
                x[lane] *= 1.0 + base[i] * factor[lane]
        for lane in range(LANES):
            product[q + lane] = x[lane]
        q += LANES


cdef inline bint separable_rows(
    const Model *g, Work *w, Index unit, const double *a, const double *odds, double path,
    double most
) noexcept nogil:
    """Rows of one predictor in the latent variables: their odds times those of the nodes.

    ``a`` are its coefficients, ``path`` is what the levels above add, ``most`` the largest
    logarithm of ``odds``. Returns False, with nothing done, if a factor could overflow.
    """
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.places, begin = lev.first[unit], end = lev.first[unit + 1]
    cdef Index i, at_once, stop
    cdef double *product = w.f
    cdef double *f1
    cdef double *up = w.nu      # factors of the nodes: for a failure, then for a success
    cdef double *f2
    cdef double reach, bound = 0.0
    fill_odds(up, a, w.v[2], lev.n_latent, R, R, path, 1.0)
    scale(up + R, -1.0, up, R)
    reach = largest(up, 2 * R)
    if reach > FARTHEST:
        return False
    exponentials(up, R)
    invert(up + R, up, R)
    reach += LOG_2 + most
    if not g.derivatives:
        # So many rows before the product could overflow.
        at_once = <Index>(FULLEST / reach)
        i = begin
        while True:
            at_once = at_once if at_once < end - i else end - i
            multiply_rows(product, odds + (i - begin), g.y + i, up, at_once, R)
            i += at_once
            if i == end:
                return True
            take_logarithms(w.log_posterior[2], product, R)
    at_once = CHUNK // R
    stop = begin
    for i in range(begin, end):
        bound += reach
        if bound > FULLEST:
            take_logarithms(w.log_posterior[2], product, R)
            bound = reach
        f1 = w.f1 + (i - stop) * R
        f2 = w.f2 + (i - begin) * R
        multiply_derivatives(
            product, f1, f2, odds[i - begin], up + <Index>g.y[i] * R, 1.0 - 2.0 * g.y[i], R
        )
        if not g.dense_columns:
            accumulate_plain(g, w, i, f1, f2)
            stop = i + 1
        elif i + 1 == end or i + 1 - stop == at_once:
            accumulate_dense(g, w, stop, i + 1, w.f1, w.f2 + (stop - begin) * R)
            stop = i + 1
    return True


cdef inline void rows_one_by_one(
    const Model *g, Work *w, Index unit, Index top_row
) noexcept nogil:
    """Rows each with a predictor of its own."""
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.places, n2 = lev.n_latent
    cdef Index begin = lev.first[unit], end = lev.first[unit + 1]
    cdef Index i, m, q, distinct, whole
    cdef const double *a
    cdef double *product = w.f
    cdef double *odds = w.f + R
    cdef double *f2
    cdef double reach, bound = 0.0, sign, base
    cdef bint alike_all = g.bernoulli[unit] == ALL_ALIKE
    for i in range(begin, end):
        # Rows that are alike have their coefficients in the first.
        a = w.linear + ((begin if alike_all else i) - top_row) * g.n_latent
        sign = 1.0 - 2.0 * g.y[i]
        distinct = lev.period
        for m in range(n2 - 1):
            if a[m] != 0.0:
                distinct = R
        # In whole vectors; the last may reach into the next period.
        whole = (distinct + LANES - 1) & -LANES
        if whole >= R:
            distinct = whole = R
        base = sign * (w.base[i - top_row] + on_path(g, w, a))
        fill_odds(odds, a, w.v[2], n2, R, whole, base, sign)
        reach = largest(odds, whole)
        reach = reach if reach > 0.0 else 0.0
        if reach > FARTHEST:
            # ln(1 + exp(x)) is x so far out: take the rest off at once.
            repeat(odds, distinct, R)
            distinct = whole = R
            for q in range(R):
                if odds[q] > FARTHEST:
                    w.log_posterior[2][q] -= odds[q] - FARTHEST
                    odds[q] = FARTHEST
            reach = FARTHEST
        exponentials(odds, whole)
        bound += LOG_2 + reach
        if bound > FULLEST:
            take_logarithms(w.log_posterior[2], product, R)
            bound = LOG_2 + reach
        if g.derivatives:
            f2 = w.f2 + (i - begin) * R
            derivatives_of_odds(w.f1, f2, odds, sign, whole)
            repeat(w.f1, distinct, R)
            repeat(f2, distinct, R)
        repeat(odds, distinct, R)
        multiply_odds(product, 1.0, odds, R)
        if g.derivatives:
            accumulate_plain(g, w, i, w.f1, f2)
