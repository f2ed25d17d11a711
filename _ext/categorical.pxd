# cython: language_level=3, cdivision=True
"""Ordinal responses and choice sets."""

from libc.math cimport INFINITY, exp, log

from block cimport Block
from model cimport LOG_SCALE, LOWER, UPPER
from tails cimport PIECE, Intervals, log_intervals

cdef inline void ordinal(Block *b, int link, bint derivatives) noexcept nogil:
    # P(category) = F(u) - F(w), u = (nu - lower) s, w = (nu - upper) s, s = exp(-zeta).
    cdef Py_ssize_t i, q, t, n, R = b.n_nodes
    cdef double s, lower, upper
    cdef Intervals p
    for i in range(b.n_rows):
        s = exp(-b.aux[LOG_SCALE][i]) if b.aux[LOG_SCALE] != NULL else 1.0
        lower = b.aux[LOWER][i]
        upper = b.aux[UPPER][i]
        t = i * R
        while t < (i + 1) * R:
            n = min((i + 1) * R - t, <Py_ssize_t>PIECE)
            log_intervals(&p, link, b.nu + t, lower, upper, s, n, derivatives)
            for q in range(n):
                b.f[t + q] = p.value[q]
            if derivatives:
                of_predictors(b, t, &p, s, n)
                if b.aux[LOG_SCALE] != NULL:
                    of_scale(b, t, &p, lower, upper, s, n)
            t += n


cdef inline void of_predictors(
    Block *b, Py_ssize_t t, const Intervals *p, double s, Py_ssize_t n
) noexcept nogil:
    """Derivatives in nu and the thresholds at n nodes from t from those in u and w.

    One loop for each kind of derivative: the compiler has to see that arrays do not overlap.
    """
    cdef Py_ssize_t q
    cdef double *x = b.f1 + t
    cdef double *y = b.f2 + t
    cdef double *z = b.faa[5] + t
    cdef double ss = s * s
    for q in range(n):
        x[q] = s * (p.u[q] + p.w[q])
        y[q] = ss * (p.uu[q] + 2.0 * p.uw[q] + p.ww[q])
    x = b.fa[LOWER] + t
    y = b.fa[UPPER] + t
    for q in range(n):
        x[q] = -s * p.u[q]
        y[q] = -s * p.w[q]
    x = b.fna[LOWER] + t
    y = b.fna[UPPER] + t
    for q in range(n):
        x[q] = -ss * (p.uu[q] + p.uw[q])
        y[q] = -ss * (p.uw[q] + p.ww[q])
    x = b.faa[2] + t
    y = b.faa[4] + t
    for q in range(n):
        x[q] = ss * p.uu[q]
        y[q] = ss * p.uw[q]
        z[q] = ss * p.ww[q]


cdef inline void of_scale(
    Block *b, Py_ssize_t t, const Intervals *p, double lower, double upper, double s, Py_ssize_t n
) noexcept nogil:
    """Derivatives in the log scale zeta: du/dzeta = -u."""
    cdef Py_ssize_t q
    cdef double u, w, du, dw
    for q in range(n):
        # Derivatives in thresholds that are infinite are zero.
        u = 0.0 if lower == -INFINITY else s * (b.nu[t + q] - lower)
        w = 0.0 if upper == INFINITY else s * (b.nu[t + q] - upper)
        du = p.u[q] + u * p.uu[q] + w * p.uw[q]
        dw = p.w[q] + w * p.ww[q] + u * p.uw[q]
        b.fa[LOG_SCALE][t + q] = -(u * p.u[q] + w * p.w[q])
        b.fna[LOG_SCALE][t + q] = -s * (du + dw)
        b.faa[0][t + q] = u * du + w * dw
        b.faa[1][t + q] = s * du
        b.faa[3][t + q] = s * dw


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
