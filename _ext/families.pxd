# cython: language_level=3, cdivision=True
"""Families: log densities of rows and their derivatives in the predictors.

The pairs of family and link in daily use have loops of their own, written so
that the compiler calls vector exp and log, as are those of ``tails``; every
other pair goes through the scalar functions of ``links``.
"""

from libc.math cimport exp, fabs, log

from block cimport Block, CLIP, HALF_LOG_2PI, IMPOSSIBLE, LEAST_GAMMA_MEAN, PROBIT
from links cimport Triple, log_of, mean
from model cimport LOG_SCALE
from strided cimport element
from tails cimport PIECE, Logarithms, log_probabilities

cdef inline void gaussian_identity(Block *b, bint derivatives) noexcept nogil:
    cdef Py_ssize_t i, q, t, R = b.n_nodes
    cdef double y, zeta, precision, r
    for i in range(b.n_rows):
        y = b.y[i]
        zeta = b.aux[LOG_SCALE][i]
        precision = exp(-2.0 * zeta)
        t = i * R
        for q in range(R):
            r = y - b.nu[t + q]
            b.f[t + q] = -HALF_LOG_2PI - zeta - 0.5 * precision * r * r
        if derivatives:
            for q in range(R):
                r = y - b.nu[t + q]
                b.f1[t + q] = precision * r
                b.f2[t + q] = -precision
                b.fa[LOG_SCALE][t + q] = precision * r * r - 1.0
                b.fna[LOG_SCALE][t + q] = -2.0 * precision * r
                b.faa[0][t + q] = -2.0 * precision * r * r


cdef inline void binomial_logit(Block *b, bint derivatives) noexcept nogil:
    # f1 holds exp(-|nu|) between the loops: the exponentials are taken in one
    # flat loop over the block so that they vectorise whatever the node count.
    cdef Py_ssize_t i, q, t, R = b.n_nodes, n = b.n_rows * b.n_nodes
    cdef double y, d, c, nu, e, o, p
    cdef double *scratch = b.f1
    for t in range(n):
        scratch[t] = exp(-fabs(b.nu[t]))
    for t in range(n):
        b.f[t] = log(1.0 + scratch[t])
    for i in range(b.n_rows):
        y = b.y[i]
        d = element(b.denominator, i)
        c = element(b.constant, i)
        t = i * R
        for q in range(R):
            nu = b.nu[t + q]
            b.f[t + q] = c + y * nu - d * ((nu if nu > 0.0 else 0.0) + b.f[t + q])
        if derivatives:
            for q in range(R):
                e = scratch[t + q]
                o = 1.0 / (1.0 + e)
                p = (1.0 if b.nu[t + q] >= 0.0 else e) * o
                b.f1[t + q] = y - d * p
                b.f2[t + q] = -d * e * o * o


cdef inline void poisson_log(Block *b, bint derivatives) noexcept nogil:
    cdef Py_ssize_t i, q, t, R = b.n_nodes, n = b.n_rows * b.n_nodes
    cdef double y, c, nu
    cdef double *scratch = b.f1
    for t in range(n):
        nu = b.nu[t]
        scratch[t] = exp(CLIP if nu > CLIP else nu)
    for i in range(b.n_rows):
        y = b.y[i]
        c = element(b.constant, i)
        t = i * R
        for q in range(R):
            b.f[t + q] = c + y * b.nu[t + q] - scratch[t + q]
        if derivatives:
            for q in range(R):
                b.f2[t + q] = -scratch[t + q]
                b.f1[t + q] = y - scratch[t + q]


cdef inline void binomial_any(
    Block *b, int link, bint scaled, bint derivatives
) noexcept nogil:
    cdef Py_ssize_t i, q, t, R = b.n_nodes
    cdef double c
    for i in range(b.n_rows):
        c = element(b.constant, i)
        t = i * R
        for q in range(R):
            b.f[t + q] = c
        if derivatives:
            for q in range(R):
                b.f1[t + q] = 0.0
                b.f2[t + q] = 0.0
    add_trials(b, link, True, scaled, derivatives)
    add_trials(b, link, False, scaled, derivatives)


cdef inline void add_trials(
    Block *b, int link, bint event, bint scaled, bint derivatives
) noexcept nogil:
    """Add the log probabilities of all successes, or of all failures.

    Predictors, divided by the scale if ``scaled``, are gathered from the rows that have any.
    """
    cdef Py_ssize_t i, q, t, n = 0, size, taken = 0, R = b.n_nodes
    cdef double x[PIECE]
    cdef Py_ssize_t place[PIECE]
    cdef double weight[PIECE]
    cdef double scale[PIECE]
    cdef double trials
    cdef const double *nu
    for i in range(b.n_rows):
        trials = b.y[i] if event else element(b.denominator, i) - b.y[i]
        if trials <= 0.0:
            continue
        t = i * R
        while t < (i + 1) * R:
            size = min((i + 1) * R - t, <Py_ssize_t>PIECE)
            if n + size > PIECE:
                add_piece(b, link, event, derivatives, x, n, place, weight, scale, taken)
                n = taken = 0
            place[taken] = t
            weight[taken] = trials
            scale[taken] = exp(-b.aux[LOG_SCALE][i]) if scaled else 1.0
            nu = b.nu + t
            for q in range(size):
                x[n + q] = scale[taken] * nu[q]
            n += size
            t += size
            taken += 1
    add_piece(b, link, event, derivatives, x, n, place, weight, scale, taken)


cdef inline void add_piece(
    Block *b, int link, bint event, bint derivatives, double *x, Py_ssize_t n,
    const Py_ssize_t *place, const double *weight, const double *scale, Py_ssize_t taken,
) noexcept nogil:
    """Add the log probabilities of n predictors, of ``taken`` rows, to where they belong."""
    cdef Py_ssize_t k, q, size, at = 0
    cdef Logarithms p
    cdef double a
    cdef double *f
    log_probabilities(&p, link, event, x, n, derivatives)
    for k in range(taken):
        size = min(b.n_nodes - place[k] % b.n_nodes, <Py_ssize_t>PIECE)
        f = b.f + place[k]
        for q in range(size):
            f[q] += weight[k] * p.value[at + q]
        if derivatives:
            a = weight[k] * scale[k]
            f = b.f1 + place[k]
            for q in range(size):
                f[q] += a * p.first[at + q]
            a *= scale[k]
            f = b.f2 + place[k]
            for q in range(size):
                f[q] += a * p.second[at + q]
        at += size


cdef inline void poisson_any(Block *b, int link, bint derivatives) noexcept nogil:
    cdef Py_ssize_t i, q, t
    cdef double y, c
    cdef Triple m, lnm
    for i in range(b.n_rows):
        y = b.y[i]
        c = element(b.constant, i)
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            m = mean(link, b.nu[t])
            lnm = log_of(m.value, m.first, m.second)
            if m.value <= 0.0:
                b.f[t] = IMPOSSIBLE
                m.first = 0.0
                m.second = 0.0
            else:
                b.f[t] = c + y * lnm.value - m.value
            if derivatives:
                b.f1[t] = y * lnm.first - m.first
                b.f2[t] = y * lnm.second - m.second


cdef inline void gaussian_any(Block *b, int link, bint derivatives) noexcept nogil:
    cdef Py_ssize_t i, q, t
    cdef double zeta, precision, r
    cdef Triple m
    for i in range(b.n_rows):
        zeta = b.aux[LOG_SCALE][i]
        precision = exp(-2.0 * zeta)
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            m = mean(link, b.nu[t])
            r = b.y[i] - m.value
            b.f[t] = -HALF_LOG_2PI - zeta - 0.5 * precision * r * r
            if derivatives:
                b.f1[t] = precision * r * m.first
                b.f2[t] = precision * (r * m.second - m.first * m.first)
                b.fa[LOG_SCALE][t] = precision * r * r - 1.0
                b.fna[LOG_SCALE][t] = -2.0 * b.f1[t]
                b.faa[0][t] = -2.0 * precision * r * r


cdef inline void gamma_log(Block *b, bint derivatives) noexcept nogil:
    # As gamma_any, with ln(mu) = nu clipped.
    cdef Py_ssize_t i, q, t, R = b.n_nodes, n = b.n_rows * b.n_nodes
    cdef double k, lnk, y, lny, c, d, e, nu, ratio
    cdef const double *g
    cdef double *scratch = b.f1
    for t in range(n):
        nu = b.nu[t]
        scratch[t] = exp(-CLIP if nu > CLIP else (CLIP if nu < -CLIP else -nu))
    for i in range(b.n_rows):
        g = b.gamma_terms + i * b.gamma_stride
        k = g[0]
        y = b.y[i]
        lny = log(y)
        lnk = -2.0 * b.aux[LOG_SCALE][i]
        c = k * lnk - g[1] + (k - 1.0) * lny
        t = i * R
        for q in range(R):
            nu = b.nu[t + q]
            nu = CLIP if nu > CLIP else (-CLIP if nu < -CLIP else nu)
            b.f[t + q] = c - k * (nu + y * scratch[t + q])
        if derivatives:
            d = lnk + 1.0 - g[2] + lny
            e = 1.0 - k * g[3]
            for q in range(R):
                nu = b.nu[t + q]
                nu = CLIP if nu > CLIP else (-CLIP if nu < -CLIP else nu)
                ratio = y * scratch[t + q]
                b.f2[t + q] = -k * ratio
                b.f1[t + q] = k * (ratio - 1.0)
                b.fna[LOG_SCALE][t + q] = -2.0 * k * (ratio - 1.0)
                b.fa[LOG_SCALE][t + q] = -2.0 * k * (d - nu - ratio)
                b.faa[0][t + q] = 4.0 * k * (d - nu - ratio + e)


cdef inline void gamma_any(Block *b, int link, bint derivatives) noexcept nogil:
    # Shape k = exp(-2 zeta); dk/dzeta = -2k.
    cdef Py_ssize_t i, q, t
    cdef double k, lnk, y, lny, fk, fkk, ratio
    cdef const double *g
    cdef Triple m, lnm
    for i in range(b.n_rows):
        g = b.gamma_terms + i * b.gamma_stride
        k = g[0]
        lnk = -2.0 * b.aux[LOG_SCALE][i]
        y = b.y[i]
        lny = log(y)
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            m = mean(link, b.nu[t])
            if m.value <= 0.0:
                m.value = LEAST_GAMMA_MEAN
                m.first = 0.0
                m.second = 0.0
            lnm = log_of(m.value, m.first, m.second)
            ratio = y / m.value
            b.f[t] = k * (lnk - lnm.value) - g[1] + (k - 1.0) * lny - k * ratio
            if derivatives:
                # d(y/mu)/dnu = -ratio * (ln mu)'
                b.f1[t] = k * lnm.first * (ratio - 1.0)
                b.f2[t] = k * (lnm.second * (ratio - 1.0) - ratio * lnm.first * lnm.first)
                fk = lnk + 1.0 - lnm.value - g[2] + lny - ratio
                fkk = 1.0 / k - g[3]
                b.fa[LOG_SCALE][t] = -2.0 * k * fk
                b.fna[LOG_SCALE][t] = -2.0 * b.f1[t]
                b.faa[0][t] = 4.0 * k * (fk + k * fkk)

cdef inline void binomial_scaled_probit(Block *b, bint derivatives) noexcept nogil:
    # Mean Phi(nu / s1): with u = nu exp(-zeta), du/dzeta = -u.
    cdef Py_ssize_t t
    cdef double nu
    binomial_any(b, PROBIT, True, derivatives)
    if derivatives:
        for t in range(b.n_rows * b.n_nodes):
            nu = b.nu[t]
            b.fa[LOG_SCALE][t] = -nu * b.f1[t]
            b.fna[LOG_SCALE][t] = -(b.f1[t] + nu * b.f2[t])
            b.faa[0][t] = nu * (b.f1[t] + nu * b.f2[t])
