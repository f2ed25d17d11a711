# cython: language_level=3, cdivision=True
"""Logarithms of probabilities that are safe in the tails, at the nodes of a row.

A new link whose means are probabilities is added here: for two categories in
``add_log_probabilities``, for ordered ones in ``log_intervals``. The loops have no branches
except on what is the same for the row, so that the compiler makes vectors of them.

Numerics
--------
With z >= 0 the normal distribution function is Phi(-z) = exp(-z^2 / 2) m(z), and m, scaled by
a function with its asymptote, is a polynomial in (z - 5) / (z + 5) to a few units in the last
place (the substitution of Shepherd and Laframboise 1981, Mathematics of Computation 36). So
ln Phi needs no care in the left tail and, to absolute precision, none in the right one.
"""

from libc.math cimport INFINITY, exp, fabs, log

from block cimport (
    CLIP, COMPLEMENTARY_LOG_LOG, IMPOSSIBLE, LOGIT, LOG_LOG, PROBIT,
)
from lanes cimport In, Out
from links cimport Triple, log_of, mean

cdef enum:
    PIECE = 64      # nodes at a time


cdef struct Intervals:
    # ln(F(u) - F(w)) at up to PIECE nodes, and its derivatives in u and w.
    double value[PIECE]
    double u[PIECE]
    double w[PIECE]
    double uu[PIECE]
    double uw[PIECE]
    double ww[PIECE]


cdef extern from *:
    """
    #define INV_SQRT_2PI 0.39894228040143267794
    """
    double INV_SQRT_2PI


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


cdef inline double clip(double x) noexcept nogil:
    return CLIP if x > CLIP else (-CLIP if x < -CLIP else x)


cdef inline void add_normal(
    Out f, Out f1, Out f2, In nu, double factor, double weight, Py_ssize_t n, bint derivatives
) noexcept nogil:
    """Add weight times ln Phi(factor nu) and its derivatives in nu."""
    cdef Py_ssize_t q
    cdef double x, z, m, e, p, first
    for q in range(n):
        x = factor * nu[q]
        z = fabs(x)
        m = normal_tail(z)
        e = exp(-0.5 * z * z)
        # Phi(x), in the left half times exp(x^2 / 2).
        p = 1.0 - e * m if x > 0.0 else m
        f[q] += weight * (log(p) - (0.0 if x > 0.0 else 0.5 * z * z))
        if derivatives:
            first = INV_SQRT_2PI * (e if x > 0.0 else 1.0) / p
            f1[q] += weight * factor * first
            f2[q] -= weight * factor * factor * first * (first + x)


cdef inline void add_cloglog_event(
    Out f, Out f1, Out f2, In nu, double weight, Py_ssize_t n, bint derivatives
) noexcept nogil:
    """Add weight times ln(1 - exp(-t)), t = exp(nu)."""
    cdef Py_ssize_t q
    cdef double t, e, p, ratio
    for q in range(n):
        t = exp(clip(nu[q]))
        e = exp(-t)
        p = one_minus_exp(t, e)
        f[q] += weight * log(p)
        if derivatives:
            ratio = t / p
            f1[q] += weight * ratio * e
            f2[q] += weight * ratio * e * (1.0 - ratio)


cdef inline void add_minus_exp(
    Out f, Out f1, Out f2, In nu, double weight, Py_ssize_t n, bint derivatives
) noexcept nogil:
    """Add weight times -exp(nu)."""
    cdef Py_ssize_t q
    cdef double t
    for q in range(n):
        t = weight * exp(clip(nu[q]))
        f[q] -= t
        if derivatives:
            f1[q] -= t
            f2[q] -= t


cdef inline void add_log_probabilities(
    int link, bint event, double weight, const double *nu, Py_ssize_t n, bint derivatives,
    double *f, double *f1, double *f2,
) noexcept nogil:
    """Add weight times ln(mu) for ``event``, else ln(1 - mu), and its derivatives in nu (n,)."""
    cdef Py_ssize_t q
    cdef Triple m
    if link == PROBIT:
        add_normal(f, f1, f2, nu, 1.0 if event else -1.0, weight, n, derivatives)
    elif link == COMPLEMENTARY_LOG_LOG or link == LOG_LOG:
        if event == (link == COMPLEMENTARY_LOG_LOG):
            add_cloglog_event(f, f1, f2, nu, weight, n, derivatives)
        else:
            add_minus_exp(f, f1, f2, nu, weight, n, derivatives)
    else:
        for q in range(n):
            m = mean(link, nu[q])
            if event:
                m = log_of(m.value, m.first, m.second)
            else:
                m = log_of(1.0 - m.value, -m.first, -m.second)
            f[q] += weight * m.value
            if derivatives:
                f1[q] += weight * m.first
                f2[q] += weight * m.second


cdef inline void logit_intervals(
    Intervals *out, In nu, double lower, double upper, double s, Py_ssize_t n, bint derivatives
) noexcept nogil:
    # F(u) - F(w) = F(u) (1 - F(w)) (1 - exp(w - u)), and u - w is the same at all nodes.
    cdef Py_ssize_t q
    cdef double apart = s * (upper - lower), e, p, c = 0.0, h = 0.0, hh, u, w, eu, ew, ou, ow
    if apart < INFINITY:
        e = exp(-apart)
        p = one_minus_exp(apart, e)
        c = log(p)
        h = e / p
    hh = h * (1.0 + h)
    for q in range(n):
        u = s * (nu[q] - lower)
        w = s * (nu[q] - upper)
        eu = exp(-fabs(u))
        ew = exp(-fabs(w))
        out.value[q] = (
            c + (u if u < 0.0 else 0.0) - (w if w > 0.0 else 0.0)
            - log((1.0 + eu) * (1.0 + ew))
        )
        if derivatives:
            ou = 1.0 / (1.0 + eu)
            ow = 1.0 / (1.0 + ew)
            out.u[q] = (1.0 if u < 0.0 else eu) * ou + h
            out.w[q] = -(ew if w < 0.0 else 1.0) * ow - h
            out.uu[q] = -eu * ou * ou - hh
            out.ww[q] = -ew * ow * ow - hh
            out.uw[q] = hh


cdef inline void normal_intervals(
    Intervals *out, In nu, double lower, double upper, double s, Py_ssize_t n, bint derivatives
) noexcept nogil:
    # Both tails are divided by exp(-a^2 / 2), a being the smaller distance from zero if the
    # interval lies on one side of it: there the probability is their difference.
    cdef Py_ssize_t q
    cdef double u, w, x, z, a, eu, ew, tail_u, tail_w, p, r
    cdef bint aside
    for q in range(n):
        u = s * (nu[q] - lower)
        w = s * (nu[q] - upper)
        x = fabs(u)
        x = x if x < 1e8 else 1e8
        z = fabs(w)
        z = z if z < 1e8 else 1e8
        aside = (u > 0.0) == (w > 0.0)
        a = (x if x < z else z) if aside else 0.0
        eu = exp(0.5 * (a - x) * (a + x))
        ew = exp(0.5 * (a - z) * (a + z))
        tail_u = eu * normal_tail(x)
        tail_w = ew * normal_tail(z)
        p = fabs(tail_u - tail_w) if aside else 1.0 - tail_u - tail_w
        out.value[q] = IMPOSSIBLE if p <= 0.0 else log(p) - 0.5 * a * a
        if derivatives:
            r = 0.0 if p <= 0.0 else INV_SQRT_2PI / p
            out.u[q] = eu * r
            out.w[q] = -ew * r
            out.uu[q] = -eu * r * ((x if u > 0.0 else -x) + eu * r)
            out.ww[q] = ew * r * ((z if w > 0.0 else -z) - ew * r)
            out.uw[q] = eu * ew * r * r


cdef inline void cloglog_intervals(
    Intervals *out, In nu, double lower, double upper, double s, Py_ssize_t n, bint derivatives
) noexcept nogil:
    # With t = exp(u) and r = exp(w): F(u) - F(w) = exp(-r) (1 - exp(-(t - r))).
    cdef Py_ssize_t q
    cdef double t, r, e, p, first, last
    for q in range(n):
        t = exp(clip(s * (nu[q] - lower)))
        r = exp(clip(s * (nu[q] - upper)))
        e = exp(r - t)
        p = one_minus_exp(t - r, e)
        out.value[q] = IMPOSSIBLE if p <= 0.0 else log(p) - r
        if derivatives:
            first = 0.0 if p <= 0.0 else t * e / p
            last = 0.0 if p <= 0.0 else -r / p
            out.u[q] = first
            out.w[q] = last
            out.uu[q] = first * (1.0 - t - first)
            out.ww[q] = last * (1.0 - r - last)
            out.uw[q] = -first * last


cdef inline void log_intervals(
    Intervals *out, int link, const double *nu, double lower, double upper, double s,
    Py_ssize_t n, bint derivatives,
) noexcept nogil:
    """ln(F(u) - F(w)), u = s (nu - lower), w = s (nu - upper), at n nodes.

    ``lower`` may be -infinity and ``upper`` infinity.
    """
    cdef Py_ssize_t q
    if not lower < upper:
        # Thresholds in the wrong order: no probability is left for the category.
        for q in range(n):
            out.value[q] = IMPOSSIBLE
            out.u[q] = out.w[q] = out.uu[q] = out.uw[q] = out.ww[q] = 0.0
    elif link == LOGIT:
        logit_intervals(out, nu, lower, upper, s, n, derivatives)
    elif link == PROBIT:
        normal_intervals(out, nu, lower, upper, s, n, derivatives)
    else:
        cloglog_intervals(out, nu, lower, upper, s, n, derivatives)
