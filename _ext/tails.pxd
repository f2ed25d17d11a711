# cython: language_level=3, cdivision=True
"""Logarithms of probabilities that are safe in the tails, for up to PIECE predictors at once.

A new link whose means are probabilities is added here: for two categories in
``log_probabilities``, for ordered ones in ``log_intervals``.

Loops
-----
Each transcendental function has a loop of its own, over whole vectors of scratch, and no
branches around it. In one loop with conditions on its argument or its result the compiler
takes it once for each case. Vectors of several rows follow each other: one alone would wait
for exp and then for log.

Numerics
--------
With z >= 0 the normal distribution function is Phi(-z) = exp(-z^2 / 2) m(z), and m, scaled by
a function with its asymptote, is a polynomial in (z - 5) / (z + 5) to a few units in the last
place (the substitution of Shepherd and Laframboise 1981, Mathematics of Computation 36). So
ln Phi needs no care in the left tail and, to absolute precision, none in the right one. Bounds
are comparisons that let NaN pass.
"""

from libc.math cimport fabs

from block cimport COMPLEMENTARY_LOG_LOG, IMPOSSIBLE, LOGIT, LOG_LOG, PROBIT
from lanes cimport LANES, In, Out, exponentials, logarithms
from links cimport Triple, clipped, log_of, mean

cdef enum:
    PIECE = 64      # predictors at a time


cdef struct Logarithms:
    # ln(mu) or ln(1 - mu) and its derivatives in the predictor.
    double value[PIECE]
    double first[PIECE]
    double second[PIECE]


cdef struct Intervals:
    # ln(F(u) - F(w)) and its derivatives in u and w.
    double value[PIECE]
    double u[PIECE]
    double w[PIECE]
    double uu[PIECE]
    double uw[PIECE]
    double ww[PIECE]


cdef extern from *:
    """
    #define INV_SQRT_2PI 0.39894228040143267794
    #define FAR 700.0
    #define FARTHEST_THRESHOLD 1e8
    """
    double INV_SQRT_2PI
    double FAR
    double FARTHEST_THRESHOLD


cdef inline double normal_tail(double z) noexcept nogil:
    """exp(z^2 / 2) Phi(-z) for z >= 0."""
    cdef double r = 1.0 / (z + 5.0)
    cdef double t = 1.0 - 10.0 * r
    cdef double s = t * t
    cdef double even, odd
    even = -7.854458583247658e-10
    even = even * s + 9.275082241537343e-09
    even = even * s - 6.741689051823604e-08
    even = even * s + 4.3347664285137567e-07
    even = even * s - 2.7688787836720915e-06
    even = even * s + 1.6680852719925394e-05
    even = even * s - 5.937558833377767e-05
    even = even * s - 0.0007978694277475297
    even = even * s + 0.02079506680323404
    even = even * s + 0.16502036617019517
    even = even * s + 0.4953056159699805
    even = even * s + 0.769193049750063
    odd = 5.059297487966696e-10
    odd = odd * s - 5.027231930966982e-09
    odd = odd * s + 3.5844546560871596e-08
    odd = odd * s - 3.311028544331811e-07
    odd = odd * s + 3.977938262343427e-06
    odd = odd * s - 4.976178374018789e-05
    odd = odd * s + 0.0005448988347568596
    odd = odd * s - 0.0029933767389359726
    odd = odd * s - 0.06911863870874183
    odd = odd * s - 0.3135331566712172
    odd = odd * s - 0.6653825028900576
    return (even + t * odd) * r


cdef inline double one_minus_exp(double t, double e) noexcept nogil:
    """1 - exp(-t) for t >= 0, given e = exp(-t)."""
    cdef double p
    # Taylor's series, for t < 1/4 to the last place.
    p = 1.0 - t * (1.0 / 13.0)
    p = 1.0 - t * (1.0 / 12.0) * p
    p = 1.0 - t * (1.0 / 11.0) * p
    p = 1.0 - t * (1.0 / 10.0) * p
    p = 1.0 - t * (1.0 / 9.0) * p
    p = 1.0 - t * (1.0 / 8.0) * p
    p = 1.0 - t * (1.0 / 7.0) * p
    p = 1.0 - t * (1.0 / 6.0) * p
    p = 1.0 - t * (1.0 / 5.0) * p
    p = 1.0 - t * (1.0 / 4.0) * p
    p = 1.0 - t * (1.0 / 3.0) * p
    p = 1.0 - t * (1.0 / 2.0) * p
    return t * p if t < 0.25 else 1.0 - e


cdef inline double bounded(double x) noexcept nogil:
    """An exponent, or one that leaves next to nothing: of smaller ones vector exp is slow."""
    return -FAR if x < -FAR else x


cdef inline Py_ssize_t whole(Py_ssize_t n) noexcept nogil:
    """Number of elements of the vectors that hold n of them."""
    return (n + LANES - 1) & -LANES


cdef inline void pad(Out x, Py_ssize_t n) noexcept nogil:
    """Fill the last vector of n elements."""
    cdef Py_ssize_t q
    for q in range(n, whole(n)):
        x[q] = 0.0


cdef inline void exponentials_of(Out x, Py_ssize_t n) noexcept nogil:
    pad(x, n)
    exponentials(x, whole(n))


cdef inline void logarithms_of(Out x, Py_ssize_t n) noexcept nogil:
    pad(x, n)
    logarithms(x, whole(n))


cdef inline void normal(Logarithms *out, In x, Py_ssize_t n, bint derivatives) noexcept nogil:
    """ln Phi(x)."""
    cdef Py_ssize_t q
    cdef double e[PIECE]
    cdef double p[PIECE]
    for q in range(n):
        e[q] = bounded(-0.5 * x[q] * x[q])
    exponentials_of(e, n)
    for q in range(n):
        # Phi(x), in the left half times exp(x^2 / 2).
        p[q] = normal_tail(fabs(x[q]))
        p[q] = 1.0 - e[q] * p[q] if x[q] > 0.0 else p[q]
        out.value[q] = p[q]
    logarithms_of(out.value, n)
    for q in range(n):
        out.value[q] -= 0.0 if x[q] > 0.0 else 0.5 * x[q] * x[q]
    if not derivatives:
        return
    for q in range(n):
        out.first[q] = INV_SQRT_2PI * (e[q] if x[q] > 0.0 else 1.0) / p[q]
        out.second[q] = -out.first[q] * (out.first[q] + x[q])


cdef inline void cloglog_event(
    Logarithms *out, In x, Py_ssize_t n, bint derivatives
) noexcept nogil:
    """ln(1 - exp(-t)), t = exp(x)."""
    cdef Py_ssize_t q
    cdef double ratio
    cdef double t[PIECE]
    cdef double e[PIECE]
    cdef double p[PIECE]
    for q in range(n):
        t[q] = clipped(x[q])
    exponentials_of(t, n)
    for q in range(n):
        e[q] = bounded(-t[q])
    exponentials_of(e, n)
    for q in range(n):
        p[q] = one_minus_exp(t[q], e[q])
        out.value[q] = p[q]
    logarithms_of(out.value, n)
    if not derivatives:
        return
    for q in range(n):
        ratio = t[q] / p[q]
        out.first[q] = ratio * e[q]
        out.second[q] = ratio * e[q] * (1.0 - ratio)


cdef inline void minus_exp(Logarithms *out, In x, Py_ssize_t n) noexcept nogil:
    """-exp(x)."""
    cdef Py_ssize_t q
    cdef double t[PIECE]
    for q in range(n):
        t[q] = clipped(x[q])
    exponentials_of(t, n)
    for q in range(n):
        out.value[q] = -t[q]
        out.first[q] = -t[q]
        out.second[q] = -t[q]


cdef inline void log_probabilities(
    Logarithms *out, int link, bint event, double *x, Py_ssize_t n, bint derivatives
) noexcept nogil:
    """ln(mu) for ``event`` and ln(1 - mu) otherwise, mu having the predictors x (n,)."""
    cdef Py_ssize_t q
    cdef Triple m
    if link == PROBIT:
        if not event:
            for q in range(n):
                x[q] = -x[q]
        normal(out, x, n, derivatives)
        if not event:
            for q in range(n):
                out.first[q] = -out.first[q]
    elif link == COMPLEMENTARY_LOG_LOG or link == LOG_LOG:
        if event == (link == COMPLEMENTARY_LOG_LOG):
            cloglog_event(out, x, n, derivatives)
        else:
            minus_exp(out, x, n)
    else:
        for q in range(n):
            m = mean(link, x[q])
            if event:
                m = log_of(m.value, m.first, m.second)
            else:
                m = log_of(1.0 - m.value, -m.first, -m.second)
            out.value[q] = m.value
            out.first[q] = m.first
            out.second[q] = m.second


cdef inline void logit_intervals(
    Intervals *out, In u, In w, Py_ssize_t n, bint derivatives
) noexcept nogil:
    # F(u) - F(w) = F(u) (1 - F(w)) (1 - exp(w - u)).
    cdef Py_ssize_t q
    cdef double eu, ew, ou, ow, h, hh
    cdef double e[PIECE]
    cdef double p[PIECE]
    for q in range(n):
        out.u[q] = bounded(-fabs(u[q]))
        out.w[q] = bounded(-fabs(w[q]))
        e[q] = bounded(w[q] - u[q])
    exponentials_of(out.u, n)
    exponentials_of(out.w, n)
    exponentials_of(e, n)
    for q in range(n):
        p[q] = one_minus_exp(u[q] - w[q], e[q])
        out.value[q] = p[q] / ((1.0 + out.u[q]) * (1.0 + out.w[q]))
    logarithms_of(out.value, n)
    for q in range(n):
        out.value[q] += (u[q] if u[q] < 0.0 else 0.0) - (w[q] if w[q] > 0.0 else 0.0)
    if not derivatives:
        return
    for q in range(n):
        eu = out.u[q]
        ew = out.w[q]
        ou = 1.0 / (1.0 + eu)
        ow = 1.0 / (1.0 + ew)
        h = e[q] / p[q]
        hh = h * (1.0 + h)
        out.u[q] = (1.0 if u[q] < 0.0 else eu) * ou + h
        out.w[q] = -(ew if w[q] < 0.0 else 1.0) * ow - h
        out.uu[q] = -eu * ou * ou - hh
        out.ww[q] = -ew * ow * ow - hh
        out.uw[q] = hh


cdef inline double distance(double x) noexcept nogil:
    """From a threshold, which may be infinite."""
    x = fabs(x)
    return FARTHEST_THRESHOLD if x > FARTHEST_THRESHOLD else x


cdef inline void normal_intervals(
    Intervals *out, In u, In w, Py_ssize_t n, bint derivatives
) noexcept nogil:
    # Both tails are divided by exp(-a^2 / 2), a being the smaller distance from zero if the
    # interval lies on one side of it: there the probability is their difference.
    cdef Py_ssize_t q
    cdef double x, z, tail_u, tail_w, eu, ew, r
    cdef double a[PIECE]
    cdef double p[PIECE]
    for q in range(n):
        x = distance(u[q])
        z = distance(w[q])
        a[q] = (x if x < z else z) if (u[q] > 0.0) == (w[q] > 0.0) else 0.0
        out.u[q] = bounded(0.5 * (a[q] - x) * (a[q] + x))
        out.w[q] = bounded(0.5 * (a[q] - z) * (a[q] + z))
    exponentials_of(out.u, n)
    exponentials_of(out.w, n)
    for q in range(n):
        tail_u = out.u[q] * normal_tail(distance(u[q]))
        tail_w = out.w[q] * normal_tail(distance(w[q]))
        p[q] = (
            fabs(tail_u - tail_w) if (u[q] > 0.0) == (w[q] > 0.0) else 1.0 - tail_u - tail_w
        )
        out.value[q] = p[q]
    logarithms_of(out.value, n)
    for q in range(n):
        out.value[q] = IMPOSSIBLE if p[q] <= 0.0 else out.value[q] - 0.5 * a[q] * a[q]
    if not derivatives:
        return
    for q in range(n):
        x = distance(u[q])
        z = distance(w[q])
        r = 0.0 if p[q] <= 0.0 else INV_SQRT_2PI / p[q]
        eu = out.u[q] * r
        ew = out.w[q] * r
        out.u[q] = eu
        out.w[q] = -ew
        out.uu[q] = -eu * ((x if u[q] > 0.0 else -x) + eu)
        out.ww[q] = ew * ((z if w[q] > 0.0 else -z) - ew)
        out.uw[q] = eu * ew


cdef inline void cloglog_intervals(
    Intervals *out, In u, In w, Py_ssize_t n, bint derivatives
) noexcept nogil:
    # With t = exp(u) and r = exp(w): F(u) - F(w) = exp(-r) (1 - exp(-(t - r))).
    cdef Py_ssize_t q
    cdef double first, last
    cdef double t[PIECE]
    cdef double r[PIECE]
    cdef double e[PIECE]
    cdef double p[PIECE]
    for q in range(n):
        t[q] = clipped(u[q])
        r[q] = clipped(w[q])
    exponentials_of(t, n)
    exponentials_of(r, n)
    for q in range(n):
        e[q] = bounded(r[q] - t[q])
    exponentials_of(e, n)
    for q in range(n):
        p[q] = one_minus_exp(t[q] - r[q], e[q])
        out.value[q] = p[q]
    logarithms_of(out.value, n)
    for q in range(n):
        out.value[q] = IMPOSSIBLE if p[q] <= 0.0 else out.value[q] - r[q]
    if not derivatives:
        return
    for q in range(n):
        first = 0.0 if p[q] <= 0.0 else t[q] * e[q] / p[q]
        last = 0.0 if p[q] <= 0.0 else -r[q] / p[q]
        out.u[q] = first
        out.w[q] = last
        out.uu[q] = first * (1.0 - t[q] - first)
        out.ww[q] = last * (1.0 - r[q] - last)
        out.uw[q] = -first * last


cdef inline void log_intervals(
    Intervals *out, int link, const double *u, const double *w, Py_ssize_t n, bint derivatives
) noexcept nogil:
    """ln(F(u) - F(w)) for u > w (n,); u may be infinity and w -infinity."""
    if link == LOGIT:
        logit_intervals(out, u, w, n, derivatives)
    elif link == PROBIT:
        normal_intervals(out, u, w, n, derivatives)
    else:
        cloglog_intervals(out, u, w, n, derivatives)


cdef inline void no_interval(Intervals *out, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Thresholds are in the wrong order: no probability is left for the category."""
    cdef Py_ssize_t q
    for q in range(begin, end):
        out.value[q] = IMPOSSIBLE
        out.u[q] = out.w[q] = out.uu[q] = out.uw[q] = out.ww[q] = 0.0
