# cython: language_level=3, cdivision=True
"""Ordinal responses and choice sets."""

from libc.math cimport INFINITY, exp, expm1, isfinite, log, log1p

from block cimport Block, CLIP, HALF_LOG_2PI, IMPOSSIBLE, LOGIT, PROBIT
from links cimport Triple, clipped, log_probability
from model cimport LOG_SCALE, LOWER, UPPER

cdef struct Interval:
    # ln(F(u) - F(w)) and its derivatives.
    double value
    double u
    double w
    double uu
    double uw
    double ww


cdef inline double log_one_minus_exp(double x) noexcept nogil:
    """ln(1 - exp(-x)) for x > 0 (Maechler 2012)."""
    return log(-expm1(-x)) if x < 0.6931471805599453 else log1p(-exp(-x))


cdef inline double log_slope(int link, double x) noexcept nogil:
    """ln F'(x) for probit and complementary log-log."""
    if link == PROBIT:
        return -0.5 * x * x - HALF_LOG_2PI
    return x - exp(clipped(x))


cdef inline double slope_of_log_slope(int link, double x) noexcept nogil:
    return -x if link == PROBIT else 1.0 - exp(clipped(x))


cdef inline Interval log_interval(int link, double u, double w) noexcept nogil:
    """ln(F(u) - F(w)), u > w; u may be +infinity and w -infinity."""
    cdef Interval out
    cdef Triple one
    cdef double upper, lower, h, hh, total
    out.u = 0.0
    out.w = 0.0
    out.uu = 0.0
    out.uw = 0.0
    out.ww = 0.0
    if w == -INFINITY and u == INFINITY:
        out.value = 0.0
    elif w == -INFINITY:
        one = log_probability(link, True, u)
        out.value = one.value
        out.u = one.first
        out.uu = one.second
    elif u == INFINITY:
        one = log_probability(link, False, w)
        out.value = one.value
        out.w = one.first
        out.ww = one.second
    elif u <= w:
        # Thresholds in the wrong order: no probability is left for the category.
        out.value = IMPOSSIBLE
    elif link == LOGIT:
        # F(u) - F(w) = F(u) (1 - F(w)) (1 - exp(w - u))
        one = log_probability(LOGIT, True, u)
        out.value = one.value + log_one_minus_exp(u - w)
        h = 1.0 / expm1(u - w) if u - w < CLIP else 0.0
        hh = h * (1.0 + h)
        out.u = one.first + h
        out.uu = one.second - hh
        one = log_probability(LOGIT, False, w)
        out.value += one.value
        out.w = one.first - h
        out.ww = one.second - hh
        out.uw = hh
    else:
        # The difference of the two smaller tails.
        upper = log_probability(link, True, u).value
        lower = log_probability(link, True, w).value
        if lower > -0.6931471805599453:
            upper = log_probability(link, False, w).value
            lower = log_probability(link, False, u).value
        total = upper + log_one_minus_exp(upper - lower) if upper > lower else -INFINITY
        if not isfinite(total):
            out.value = IMPOSSIBLE
            return out
        out.value = total
        out.u = exp(log_slope(link, u) - total)
        out.w = -exp(log_slope(link, w) - total)
        out.uu = out.u * (slope_of_log_slope(link, u) - out.u)
        out.ww = out.w * (slope_of_log_slope(link, w) - out.w)
        out.uw = -out.u * out.w
    return out


cdef inline void ordinal(Block *b, int link, bint derivatives) noexcept nogil:
    # P(category) = F(u) - F(w), u = (nu - lower) s, w = (nu - upper) s, s = exp(-zeta).
    cdef Py_ssize_t i, q, t
    cdef double s, u, w, du, dw, lower, upper
    cdef Interval p
    for i in range(b.n_rows):
        s = exp(-b.aux[LOG_SCALE][i]) if b.aux[LOG_SCALE] != NULL else 1.0
        lower = b.aux[LOWER][i]
        upper = b.aux[UPPER][i]
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            u = (b.nu[t] - lower) * s
            w = (b.nu[t] - upper) * s
            p = log_interval(link, u, w)
            b.f[t] = p.value
            if not derivatives:
                continue
            if lower == -INFINITY:
                u = 0.0
            if upper == INFINITY:
                w = 0.0
            b.f1[t] = s * (p.u + p.w)
            b.f2[t] = s * s * (p.uu + 2.0 * p.uw + p.ww)
            b.fa[LOWER][t] = -s * p.u
            b.fa[UPPER][t] = -s * p.w
            b.fna[LOWER][t] = -s * s * (p.uu + p.uw)
            b.fna[UPPER][t] = -s * s * (p.uw + p.ww)
            b.faa[2][t] = s * s * p.uu
            b.faa[4][t] = s * s * p.uw
            b.faa[5][t] = s * s * p.ww
            if b.aux[LOG_SCALE] != NULL:
                du = p.u + u * p.uu + w * p.uw
                dw = p.w + w * p.ww + u * p.uw
                b.fa[LOG_SCALE][t] = -(u * p.u + w * p.w)
                b.fna[LOG_SCALE][t] = -s * (du + dw)
                b.faa[0][t] = u * du + w * dw
                b.faa[1][t] = s * du
                b.faa[3][t] = s * dw


cdef inline void nominal(Block *b, bint scaled, bint derivatives) noexcept nogil:
    # Choice sets: y is 1 in the chosen row, 0 in the others. The log density of
    # the set stands in its last row; scaled predictors are nu exp(-zeta).
    cdef Py_ssize_t first = 0, end, i, j, q, chosen, t, e, R = b.n_nodes
    cdef double s, largest, total, p, u, mean_u, mean_uu, x
    while first < b.n_rows:
        end = first + 1
        while end < b.n_rows and b.entry_start[end + 1] - b.entry_start[end] > 1:
            end += 1
        chosen = first
        for i in range(first, end):
            if b.y[i] > 0.0:
                chosen = i
        s = exp(-b.aux[LOG_SCALE][first]) if scaled else 1.0
        for q in range(R):
            largest = -INFINITY
            for i in range(first, end):
                u = s * b.nu[i * R + q]
                if u > largest:
                    largest = u
            total = 0.0
            for i in range(first, end):
                total += exp(s * b.nu[i * R + q] - largest)
            for i in range(first, end):
                b.f[i * R + q] = 0.0
            b.f[(end - 1) * R + q] = s * b.nu[chosen * R + q] - largest - log(total)
            if not derivatives:
                continue
            mean_u = 0.0
            mean_uu = 0.0
            for i in range(first, end):
                u = s * b.nu[i * R + q]
                p = exp(u - largest) / total
                b.f1[i * R + q] = p
                mean_u += p * u
                mean_uu += p * u * u
            for i in range(first, end):
                t = i * R + q
                p = b.f1[t]
                u = s * b.nu[t]
                for j in range(first, i + 1):
                    e = b.entry_start[i] - b.entry_start[0] + j - first
                    x = p * b.f1[j * R + q]
                    b.f2[e * R + q] = s * s * (x - p if j == i else x)
                if scaled:
                    b.fna[LOG_SCALE][t] = -s * ((1.0 if i == chosen else 0.0) - p)
                    b.fna[LOG_SCALE][t] += s * p * (u - mean_u)
                    b.fa[LOG_SCALE][t] = 0.0
                    b.faa[0][t] = 0.0
            if scaled:
                t = (end - 1) * R + q
                b.fa[LOG_SCALE][t] = mean_u - s * b.nu[chosen * R + q]
                b.faa[0][t] = -b.fa[LOG_SCALE][t] - (mean_uu - mean_u * mean_u)
            for i in range(first, end):
                t = i * R + q
                b.f1[t] = s * ((1.0 if i == chosen else 0.0) - b.f1[t])
        first = end
