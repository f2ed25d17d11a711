# cython: language_level=3, cdivision=True
"""Links: the mean as a function of the linear predictor, and logarithms of probabilities.

A new link is added here: in ``mean`` and, if its means are probabilities and
its tails need care, in ``log_probability``.

Numerics
--------
Probabilities are handled as ln(mu) and ln(1 - mu), safe in both tails. A
linear predictor that implies an impossible mean (a probability outside (0, 1),
a negative Poisson mean) gives f = IMPOSSIBLE with zero derivatives, so that a
remote quadrature node cannot make the integral undefined. Predictors are
clipped to +-CLIP before exponentiating: beyond it every density is zero for
all purposes, and products of derivatives stay finite.
"""

from libc.math cimport M_SQRT1_2, erfc, exp, expm1, fabs, log, log1p

from block cimport (
    CLIP, COMPLEMENTARY_LOG_LOG, HALF_LOG_2PI, IDENTITY, IMPOSSIBLE, LOG, LOGIT, LOG_LOG, PROBIT,
    RECIPROCAL,
)

cdef struct Triple:
    # A function of nu with its first and second derivative.
    double value
    double first
    double second


cdef inline double clipped(double nu) noexcept nogil:
    return CLIP if nu > CLIP else (-CLIP if nu < -CLIP else nu)


cdef inline Triple log_normal_cdf(double x) noexcept nogil:
    """ln Phi(x); the first derivative is the inverse Mills ratio phi/Phi."""
    cdef Triple out
    cdef double u, tail
    if x > -37.0:
        if x > 0.0:
            out.value = log1p(-0.5 * erfc(x * M_SQRT1_2))
        else:
            out.value = log(0.5 * erfc(-x * M_SQRT1_2))
        out.first = exp(-0.5 * x * x - HALF_LOG_2PI - out.value)
    else:
        # Asymptotic expansion of the Mills ratio (Abramowitz and Stegun 26.2.12).
        u = 1.0 / (x * x)
        tail = 1.0 - u * (1.0 - 3.0 * u * (1.0 - 5.0 * u * (1.0 - 7.0 * u)))
        out.value = -0.5 * x * x - HALF_LOG_2PI - log(-x) + log(tail)
        out.first = -x / tail
    out.second = -out.first * (out.first + x)
    return out


cdef inline Triple log_event_cloglog(double nu) noexcept nogil:
    """ln(1 - exp(-t)), t = exp(nu)."""
    cdef Triple out
    cdef double t = exp(clipped(nu))
    cdef double p = -expm1(-t)
    cdef double ratio = t / p if p > 0.0 else 1.0
    cdef double g = ratio * exp(-t)
    out.value = log(p) if p > 0.0 else clipped(nu)
    out.first = g
    out.second = g * (1.0 - ratio)
    return out


cdef inline Triple minus_exp(double nu) noexcept nogil:
    cdef Triple out
    out.value = -exp(clipped(nu))
    out.first = out.value
    out.second = out.value
    return out


cdef inline Triple mean(int link, double nu) noexcept nogil:
    """Conditional mean as a function of the linear predictor."""
    cdef Triple out
    cdef Triple tail
    cdef double e
    if link == IDENTITY:
        out.value = nu
        out.first = 1.0
        out.second = 0.0
    elif link == LOG:
        out.value = exp(clipped(nu))
        out.first = out.value
        out.second = out.value
    elif link == RECIPROCAL:
        out.value = 1.0 / nu
        out.first = -out.value * out.value
        out.second = -2.0 * out.value * out.first
    elif link == LOGIT:
        e = exp(-fabs(nu))
        out.value = (1.0 if nu >= 0.0 else e) / (1.0 + e)
        out.first = e / ((1.0 + e) * (1.0 + e))
        out.second = out.first * (1.0 - 2.0 * out.value)
    elif link == PROBIT:
        out.value = 0.5 * erfc(-nu * M_SQRT1_2)
        out.first = exp(-0.5 * nu * nu - HALF_LOG_2PI)
        out.second = -nu * out.first
    else:
        # Both log-log links have mean 1 - exp(-t) or its complement.
        tail = minus_exp(nu)
        e = exp(tail.value)
        out.value = e
        out.first = e * tail.value
        out.second = out.first * (1.0 + tail.value)
        if link == COMPLEMENTARY_LOG_LOG:
            out.value = -expm1(tail.value)
            out.first = -out.first
            out.second = -out.second
    return out


cdef inline Triple log_of(double value, double first, double second) noexcept nogil:
    """ln of a function given with its derivatives; IMPOSSIBLE where it is not positive."""
    cdef Triple out
    if value > 0.0:
        out.value = log(value)
        out.first = first / value
        out.second = second / value - out.first * out.first
    else:
        out.value = IMPOSSIBLE
        out.first = 0.0
        out.second = 0.0
    return out


cdef inline Triple log_probability(int link, bint event, double nu) noexcept nogil:
    """ln(mu) for ``event`` and ln(1 - mu) otherwise, safe in the tails."""
    cdef Triple out
    cdef Triple m
    cdef double e
    if link == LOGIT:
        if not event:
            nu = -nu
        e = exp(-fabs(nu))
        out.value = (nu if nu < 0.0 else 0.0) - log1p(e)
        out.first = (e if nu >= 0.0 else 1.0) / (1.0 + e)
        out.second = -e / ((1.0 + e) * (1.0 + e))
        if not event:
            out.first = -out.first
    elif link == PROBIT:
        out = log_normal_cdf(nu if event else -nu)
        if not event:
            out.first = -out.first
    elif link == COMPLEMENTARY_LOG_LOG:
        out = log_event_cloglog(nu) if event else minus_exp(nu)
    elif link == LOG_LOG:
        out = minus_exp(nu) if event else log_event_cloglog(nu)
    else:
        m = mean(link, nu)
        if event:
            out = log_of(m.value, m.first, m.second)
        else:
            out = log_of(1.0 - m.value, -m.first, -m.second)
    return out
