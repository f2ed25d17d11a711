# cython: language_level=3, cdivision=True
"""Ordinal responses and choice sets."""

from libc.math cimport INFINITY, exp, log

from block cimport Block
from lanes cimport In
from model cimport LOG_SCALE, LOWER, UPPER
from tails cimport PIECE, Intervals, log_intervals, no_interval

cdef inline void ordinal(Block *b, int link, bint scaled, bint derivatives) noexcept nogil:
    """Nodes of several rows at a time, or of part of a row."""
    cdef Py_ssize_t i = 0, stop, t, n, R = b.n_nodes
    while i < b.n_rows:
        if R < PIECE:
            stop = min(i + PIECE // R, b.n_rows)
            ordinal_piece(b, link, scaled, i, stop, i * R, R, derivatives)
            i = stop
            continue
        t = i * R
        while t < (i + 1) * R:
            n = min((i + 1) * R - t, <Py_ssize_t>PIECE)
            ordinal_piece(b, link, scaled, i, i + 1, t, n, derivatives)
            t += n
        i += 1


cdef inline void ordinal_piece(
    Block *b, int link, bint scaled, Py_ssize_t first, Py_ssize_t stop, Py_ssize_t t,
    Py_ssize_t each, bint derivatives,
) noexcept nogil:
    # P(category) = F(u) - F(w), u = (nu - lower) s, w = (nu - upper) s. Scaled links have
    # s = exp(-zeta); the scale of other rows beside them is none of theirs.
    cdef Py_ssize_t i, q, k, n = (stop - first) * each
    cdef double lower, upper, scale
    cdef double u[PIECE]
    cdef double w[PIECE]
    cdef double s[PIECE]
    cdef Intervals p
    cdef const double *nu = b.nu + t
    cdef double *f = b.f + t
    for i in range(first, stop):
        k = (i - first) * each
        scale = exp(-b.aux[LOG_SCALE][i]) if scaled else 1.0
        lower = b.aux[LOWER][i]
        upper = b.aux[UPPER][i]
        for q in range(k, k + each):
            u[q] = scale * (nu[q] - lower)
            w[q] = scale * (nu[q] - upper)
            s[q] = scale
    log_intervals(&p, link, u, w, n, derivatives)
    for i in range(first, stop):
        k = (i - first) * each
        if b.aux[LOWER][i] >= b.aux[UPPER][i]:
            no_interval(&p, k, k + each)
        if scaled:
            # Derivatives in thresholds that are infinite are zero.
            for q in range(k, k + each):
                u[q] = 0.0 if b.aux[LOWER][i] == -INFINITY else u[q]
                w[q] = 0.0 if b.aux[UPPER][i] == INFINITY else w[q]
    for q in range(n):
        f[q] = p.value[q]
    if derivatives:
        of_predictors(b, t, &p, s, n)
        if scaled:
            of_scale(b, t, &p, u, w, s, n)


cdef inline void of_predictors(
    Block *b, Py_ssize_t t, const Intervals *p, In s, Py_ssize_t n
) noexcept nogil:
    """Derivatives in nu and the thresholds from those in u and w.

    One loop for each kind of derivative: the compiler has to see that arrays do not overlap.
    """
    cdef Py_ssize_t q
    cdef double *x = b.f1 + t
    cdef double *y = b.f2 + t
    cdef double *z = b.faa[5] + t
    for q in range(n):
        x[q] = s[q] * (p.u[q] + p.w[q])
        y[q] = s[q] * s[q] * (p.uu[q] + 2.0 * p.uw[q] + p.ww[q])
    x = b.fa[LOWER] + t
    y = b.fa[UPPER] + t
    for q in range(n):
        x[q] = -s[q] * p.u[q]
        y[q] = -s[q] * p.w[q]
    x = b.fna[LOWER] + t
    y = b.fna[UPPER] + t
    for q in range(n):
        x[q] = -s[q] * s[q] * (p.uu[q] + p.uw[q])
        y[q] = -s[q] * s[q] * (p.uw[q] + p.ww[q])
    x = b.faa[2] + t
    y = b.faa[4] + t
    for q in range(n):
        x[q] = s[q] * s[q] * p.uu[q]
        y[q] = s[q] * s[q] * p.uw[q]
        z[q] = s[q] * s[q] * p.ww[q]


cdef inline void of_scale(
    Block *b, Py_ssize_t t, const Intervals *p, In u, In w, In s, Py_ssize_t n
) noexcept nogil:
    """Derivatives in the log scale zeta: du/dzeta = -u."""
    cdef Py_ssize_t q
    cdef double du, dw
    for q in range(n):
        du = p.u[q] + u[q] * p.uu[q] + w[q] * p.uw[q]
        dw = p.w[q] + w[q] * p.ww[q] + u[q] * p.uw[q]
        b.fa[LOG_SCALE][t + q] = -(u[q] * p.u[q] + w[q] * p.w[q])
        b.fna[LOG_SCALE][t + q] = -s[q] * (du + dw)
        b.faa[0][t + q] = u[q] * du + w[q] * dw
        b.faa[1][t + q] = s[q] * du
        b.faa[3][t + q] = s[q] * dw


cdef inline void nominal(Block *b, bint scaled, bint derivatives) noexcept nogil:
    # Choice sets: y is 1 in the chosen row, 0 in the others. The log density of
    # the set stands in its last row; scaled predictors are nu exp(-zeta).
    cdef Py_ssize_t first = 0, end, at
    while first < b.n_rows:
        end = first + 1
        while end < b.n_rows and b.entry_start[end + 1] - b.entry_start[end] > 1:
            end += 1
        at = 0
        while at < b.n_nodes:
            choice_set(
                b, first, end, at, min(b.n_nodes - at, <Py_ssize_t>PIECE), scaled, derivatives
            )
            at += PIECE
        first = end


cdef inline void choice_set(
    Block *b, Py_ssize_t first, Py_ssize_t end, Py_ssize_t at, Py_ssize_t n, bint scaled,
    bint derivatives,
) noexcept nogil:
    """Rows first..end at n nodes from ``at``."""
    cdef Py_ssize_t R = b.n_nodes, chosen = first, i, j, q, e
    cdef double top[PIECE]
    cdef double total[PIECE]
    cdef double mean[PIECE]
    cdef double mean_square[PIECE]
    cdef double s = exp(-b.aux[LOG_SCALE][first]) if scaled else 1.0, is_chosen, p, u, x
    cdef const double *nu
    cdef double *f = b.f + (end - 1) * R + at
    cdef double *pi
    cdef double *pj
    cdef double *out
    for q in range(n):
        top[q] = -INFINITY
        total[q] = mean[q] = mean_square[q] = 0.0
    for i in range(first, end):
        if b.y[i] > 0.0:
            chosen = i
        nu = b.nu + i * R + at
        for q in range(n):
            u = s * nu[q]
            top[q] = u if u > top[q] else top[q]
    for i in range(first, end):
        nu = b.nu + i * R + at
        pi = b.f1 + i * R + at
        out = b.f + i * R + at
        for q in range(n):
            x = exp(s * nu[q] - top[q])
            pi[q] = x
            total[q] += x
        for q in range(n):
            out[q] = 0.0
    nu = b.nu + chosen * R + at
    for q in range(n):
        f[q] = s * nu[q] - top[q] - log(total[q])
    if not derivatives:
        return
    for q in range(n):
        total[q] = 1.0 / total[q]
    for i in range(first, end):
        nu = b.nu + i * R + at
        pi = b.f1 + i * R + at
        for q in range(n):
            p = pi[q] * total[q]
            u = s * nu[q]
            pi[q] = p
            mean[q] += p * u
            mean_square[q] += p * u * u
        e = b.entry_start[i] - b.entry_start[0] - first
        for j in range(first, i):
            pj = b.f1 + j * R + at
            out = b.f2 + (e + j) * R + at
            for q in range(n):
                out[q] = s * s * pi[q] * pj[q]
        out = b.f2 + (e + i) * R + at
        for q in range(n):
            out[q] = s * s * pi[q] * (pi[q] - 1.0)
    for i in range(first, end):
        is_chosen = 1.0 if i == chosen else 0.0
        pi = b.f1 + i * R + at
        if scaled:
            nu = b.nu + i * R + at
            out = b.fna[LOG_SCALE] + i * R + at
            for q in range(n):
                out[q] = s * (pi[q] * (1.0 + s * nu[q] - mean[q]) - is_chosen)
            out = b.fa[LOG_SCALE] + i * R + at
            pj = b.faa[0] + i * R + at
            for q in range(n):
                out[q] = 0.0
                pj[q] = 0.0
        for q in range(n):
            pi[q] = s * (is_chosen - pi[q])
    if scaled:
        nu = b.nu + chosen * R + at
        out = b.fa[LOG_SCALE] + (end - 1) * R + at
        pj = b.faa[0] + (end - 1) * R + at
        for q in range(n):
            out[q] = mean[q] - s * nu[q]
            pj[q] = s * nu[q] - mean[q] - (mean_square[q] - mean[q] * mean[q])
