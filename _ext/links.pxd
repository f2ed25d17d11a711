# cython: language_level=3, cdivision=True
"""Links: the mean as a function of the linear predictor.

A new link is added here: in ``mean`` and, if its means are probabilities and
its tails need care, in ``tails.log_probabilities``.

Numerics
--------
A linear predictor that implies an impossible mean (a probability outside (0, 1),
a negative Poisson mean) gives f = IMPOSSIBLE with zero derivatives, so that a
remote quadrature node cannot make the integral undefined. Predictors are
clipped to +-CLIP before exponentiating: beyond it every density is zero for
all purposes, and products of derivatives stay finite.
"""

from libc.math cimport M_SQRT1_2, erfc, exp, expm1, fabs, log

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
