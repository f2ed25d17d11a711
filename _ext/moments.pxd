# cython: language_level=3
"""Posterior moments: of latent variables, and of the second derivatives of rows.

Row moments of a level are E[f'' v v'] packed (lower triangle), then with a
scale E[f_nu,zeta v] and E[f_zeta,zeta], v being the latent variables up to that
level with v[0] = 1. They and the moments of latent variables are averaged over
the nodes of one level after another; each collapse appends the level's own
latent variables, which are constant within a node.
"""

from libc.string cimport memset

from model cimport Index, Level, Model, Work, dims, first_below, moment_size, packed, row_size


cdef inline void own_moments(
    const Model *g, Work *w, Index level, const double *posterior, const double *values,
    Index stride_node, Index stride_latent
) noexcept nogil:
    """Write first and packed second moments of a unit's own latent variables."""
    cdef Index n = g.level[level].n_latent, i, j, q
    cdef double *out = w.unit_out[level][level]
    cdef double total, total2
    for i in range(n):
        total = 0.0
        for q in range(g.level[level].n_nodes):
            total += posterior[q] * values[q * stride_node + i * stride_latent]
        out[i] = total
        for j in range(i + 1):
            total2 = 0.0
            for q in range(g.level[level].n_nodes):
                total2 += (
                    posterior[q]
                    * values[q * stride_node + i * stride_latent]
                    * values[q * stride_node + j * stride_latent]
                )
            out[n + packed(i) + j] = total2


cdef inline void second_moments_of_rows(
    const Model *g, Work *w, Index unit, const double *p, double weight
) noexcept nogil:
    """E[f2 v v'], E[fnz v] and E[fzz] of each row of a level-2 unit, times its weight."""
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.n_nodes, n2 = lev.n_latent
    cdef Index n = lev.first[unit + 1] - lev.first[unit], size = row_size(g, 2)
    cdef Index i, q, m, h
    cdef double total
    cdef double *out
    cdef double *pv = w.weighted
    cdef const double *f
    for m in range(n2 + 1):
        for h in range(m + 1):
            for q in range(R):
                pv[q] = weight * p[q]
                if m > 0:
                    pv[q] *= w.v[2][(m - 1) * R + q]
                if h > 0:
                    pv[q] *= w.v[2][(h - 1) * R + q]
            for i in range(n):
                total = 0.0
                f = w.f2 + i * R
                for q in range(R):
                    total += pv[q] * f[q]
                w.row_out[2][i * size + packed(m) + h] = total
        if g.n_scale:
            for q in range(R):
                pv[q] = weight * p[q] * (w.v[2][(m - 1) * R + q] if m > 0 else 1.0)
            for i in range(n):
                total = 0.0
                f = w.fnz + i * R
                for q in range(R):
                    total += pv[q] * f[q]
                w.row_out[2][i * size + packed(n2 + 1) + m] = total
    if g.n_scale:
        for i in range(n):
            out = w.row_out[2] + i * size + packed(n2 + 1) + n2 + 1
            total = 0.0
            f = w.fzz + i * R
            for q in range(R):
                total += p[q] * f[q]
            out[0] = weight * total


cdef inline void collapse_rows(
    const Model *g, Work *w, Index level, Index n_rows, const double *p, const double *v,
    double weight
) noexcept nogil:
    """Average row moments over the nodes of a level and append its latent variables.

    ``v`` is (nodes, n_latent of the level).
    """
    cdef const Level *lev = &g.level[level]
    cdef Index R = lev.n_nodes, n = lev.n_latent
    cdef Index below = lev.below, d = below + n
    cdef Index size_in = row_size(g, level - 1), size = row_size(g, level)
    cdef Index i, q, j, h, s
    cdef double factor
    cdef const double *source
    cdef const double *vq
    cdef double *out
    memset(w.row_out[level], 0, n_rows * size * sizeof(double))
    for q in range(R):
        vq = v + q * n
        for i in range(n_rows):
            source = w.row_moments[level] + (q * n_rows + i) * size_in
            out = w.row_out[level] + i * size
            factor = weight * p[q]
            for s in range(packed(below + 1)):
                out[s] += factor * source[s]
            for j in range(n):
                factor = weight * p[q] * vq[j]
                s = packed(below + 1 + j)
                out[s] += factor * source[0]
                for h in range(below):
                    out[s + 1 + h] += factor * source[packed(h + 1)]
                for h in range(j + 1):
                    out[s + 1 + below + h] += factor * vq[h] * source[0]
            if g.n_scale:
                factor = weight * p[q]
                source += packed(below + 1)
                out += packed(d + 1)
                for s in range(below + 1):
                    out[s] += factor * source[s]
                for j in range(n):
                    out[below + 1 + j] += factor * vq[j] * source[0]
                out[d + 1] += factor * source[below + 1]


cdef inline void collapse_moments(
    const Model *g, Work *w, Index level, Index unit, const double *p, const double *v
) noexcept nogil:
    """Average posterior moments of all lower units over the nodes of a level.

    Appends the cross moments with the level's own latent variables.
    """
    cdef Index R = g.level[level].n_nodes, n = g.level[level].n_latent
    cdef Index target, n_units, size_in, size, own, u, q, s, i, j
    cdef const double *source
    cdef double *out
    for target in range(2, level):
        n_units = first_below(g, level, unit + 1, target) - first_below(g, level, unit, target)
        size_in = moment_size(g, target, level - 1)
        size = moment_size(g, target, level)
        own = g.level[target].n_latent
        memset(w.unit_out[level][target], 0, n_units * size * sizeof(double))
        for q in range(R):
            for u in range(n_units):
                source = w.unit_moments[level][target] + (q * n_units + u) * size_in
                out = w.unit_out[level][target] + u * size
                for s in range(size_in):
                    out[s] += p[q] * source[s]
                for j in range(n):
                    for i in range(own):
                        out[size_in + j * own + i] += p[q] * v[q * n + j] * source[i]


cdef inline void expand_rows(
    const Model *g, const double *row_moments, Index begin, Index end, double *hessian
) noexcept nogil:
    """Add sum_i E[f''_i d nu d nu'] to the lower triangle of the Hessian."""
    cdef Index i, d, e, m, h, K = g.n_parameters, size = row_size(g, g.n_levels)
    cdef Index width = g.n_latent + 1
    cdef long long z, y, k, j
    cdef const double *moment
    cdef double u, s
    for i in range(begin, end):
        moment = row_moments + (i - begin) * size
        for z in range(g.row_start[i], g.row_start[i + 1]):
            for y in range(g.row_start[i], z + 1):
                u = g.value[z] * g.value[y]
                for k in range(g.pair_start[g.column[z]], g.pair_start[g.column[z] + 1]):
                    m = g.pair_latent[k]
                    for j in range(g.pair_start[g.column[y]], g.pair_start[g.column[y] + 1]):
                        if j > k:
                            break
                        h = g.pair_latent[j]
                        hessian[k * K + j] += u * (
                            moment[packed(m) + h] if m >= h else moment[packed(h) + m]
                        )
        for d in range(g.n_scale):
            s = g.scale_design[i * g.n_scale + d]
            for z in range(g.row_start[i], g.row_start[i + 1]):
                u = s * g.value[z]
                for k in range(g.pair_start[g.column[z]], g.pair_start[g.column[z] + 1]):
                    hessian[(g.n_pairs + d) * K + k] += (
                        u * moment[packed(width) + g.pair_latent[k]]
                    )
            for e in range(d + 1):
                hessian[(g.n_pairs + d) * K + g.n_pairs + e] += (
                    s * g.scale_design[i * g.n_scale + e] * moment[packed(width) + width]
                )
