# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Log likelihood of nested clusters by quadrature, with score, Hessian and posterior moments.

What is computed
----------------
The linear predictor of row i is affine in the standardised latent variables,

    nu_i(v) = offset_i + sum_k u_i[c_k] h_k v[m_k],      v[0] = 1,

where u_i is a sparse row of design columns and pair k joins column c_k with
latent variable m_k (0 for the fixed part). The coefficients h are functions of
the model's parameters, but the kernel does not know that: it differentiates in
phi = (h, alpha), alpha being the coefficients of the level-1 log scale. The
caller applies the chain rule.

Recursion
---------
``integrate`` handles one unit of level l, given the values of all latent
variables above it:

    l_unit = ln sum_q exp( ln w_q + sum_{subunits} weight * l_subunit(v_q) ),

and the subunits of level 2 are rows. With p_q the posterior weights of the
nodes it returns

    score    s = sum_q p_q s_q,     s_q = sum over subunits of weight * s_subunit,
    spread   S = sum_q p_q ( S_q + (s_q - s)(s_q - s)' ),

the second being the part of the Hessian that comes from not observing the
latent variables (Louis 1982), nested: covariance within, covariance of
conditional means between. The remaining part, sum_i E[f''_i d nu d nu'],
factorises by row into u_i u_i' times E[f''_i v_m v_m'], so only the small
packed matrices E[f''_i v v'] travel up through the levels ("row moments") and
are expanded once per row at the top. Posterior moments of the latent variables
travel in the same way. At level l they only involve latent variables up to
level l; the collapse over the nodes of level l + 1 appends those above, which
are constant within a node.

Memory and order of sums
------------------------
Work proceeds one top-level cluster at a time in scratch space owned by a
thread; nu, f, f', f'' of a level-2 unit are a block of (rows, nodes). Clusters
are grouped into blocks whose borders depend on the data alone. Each block sums
its clusters in order into its own slot and the caller adds the slots in order:
results do not depend on the number of threads.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, exp, isfinite, log
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import numpy as np

from density cimport Block, density_block

ctypedef Py_ssize_t Index

cdef enum:
    MAX_LEVELS = 9          # level numbers 1..8
    CHUNK = 4096            # doubles per density block

LARGEST_LEVEL = MAX_LEVELS - 1


cdef struct Level:
    Index n_units
    Index n_nodes
    Index n_latent
    Index below             # latent variables of lower levels
    const long long *first  # (n_units + 1): subunits of unit j are first[j]..first[j+1]
    const double *weight    # (n_units)
    const double *node      # (n_nodes, n_latent) standard nodes
    const double *log_weight
    # Placement of the nodes, NULL for ordinary quadrature.
    const double *shift     # (n_units, n_latent)
    const double *scale     # (n_units, n_latent)
    const double *mix       # (n_units, n_latent, n_latent_total), unit upper triangular
    double *moments         # (n_units, moment_size of this level at the top), or NULL


cdef struct Model:
    Index n_rows
    Index n_levels
    Index n_latent
    Index n_columns
    Index n_pairs
    Index n_scale
    Index n_parameters      # pairs + scale coefficients
    int family
    int link
    const double *y
    const double *denominator
    const double *constant
    const double *row_weight
    const double *offset
    const double *log_scale
    const double *gamma_terms
    const double *scale_design    # (n_rows, n_scale)
    const long long *row_start    # CSR of the design columns
    const int *column
    const double *value
    const long long *pair_start   # pairs of column c: pair_start[c]..pair_start[c+1]
    const int *pair_latent
    const double *coefficient     # h
    bint derivatives
    bint moments
    Level level[MAX_LEVELS]


cdef struct Work:
    # Scratch of one thread. Arrays indexed by level where each level needs its own.
    double *linear          # (rows of a top cluster, 1 + n_latent)
    double *v[MAX_LEVELS]   # level 2: (n_latent, nodes); above: unused
    double *v_path          # (1 + n_latent) current values, v[0] = 1
    double *e_path          # (1 + n_latent) their placed innovations
    double *log_posterior[MAX_LEVELS]
    double *score[MAX_LEVELS]    # level 2: (parameters, nodes); above: (nodes, parameters)
    double *mean_score[MAX_LEVELS]
    double *spread[MAX_LEVELS]   # above level 2: (nodes, parameters, parameters)
    double *column_score    # (columns + scale, nodes)
    double *nu
    double *f
    double *f1
    double *f2              # kept for a whole level-2 unit: (rows, nodes)
    double *fz
    double *fnz
    double *fzz
    double *weighted        # (nodes)
    double *row_moments[MAX_LEVELS]      # collapsed over nodes of the level below
    double *row_out[MAX_LEVELS]          # where a unit of this level writes
    double *unit_moments[MAX_LEVELS][MAX_LEVELS]
    double *unit_out[MAX_LEVELS][MAX_LEVELS]


cdef inline Index packed(Index n) noexcept nogil:
    return n * (n + 1) // 2


cdef inline Index dims(const Model *g, Index level) noexcept nogil:
    """Latent variables up to and including a level."""
    return g.level[level].below + g.level[level].n_latent


cdef inline Index row_size(const Model *g, Index level) noexcept nogil:
    """Row moments: E[f2 v v'] packed, then E[fnz v], E[fzz] with a scale."""
    cdef Index d = dims(g, level)
    return packed(d + 1) + (d + 2 if g.n_scale else 0)


cdef inline Index moment_size(const Model *g, Index level, Index at) noexcept nogil:
    """Moments of a unit's own latent variables, cross moments up to level ``at``."""
    cdef Index n = g.level[level].n_latent
    return n + packed(n) + n * (dims(g, at) - dims(g, level))


cdef inline Index first_below(const Model *g, Index level, Index unit, Index target) noexcept nogil:
    """First unit of level ``target`` (1 for rows) inside a unit of ``level``."""
    while level > target:
        unit = g.level[level].first[unit]
        level -= 1
    return unit


cdef double place_node(
    const Model *g, Work *w, Index level, Index unit, Index q
) noexcept nogil:
    """Set v_path and e_path for node q; return the log weight with the adaptive factor."""
    cdef const Level *lev = &g.level[level]
    cdef Index n = lev.n_latent, i, j, m
    cdef double lw = lev.log_weight[q], x, value
    cdef const double *mix
    i = n
    while i > 0:
        i -= 1
        m = lev.below + i + 1
        x = lev.node[q * n + i]
        if lev.shift == NULL:
            w.v_path[m] = x
            w.e_path[m] = x
            continue
        w.e_path[m] = lev.shift[unit * n + i] + lev.scale[unit * n + i] * x
        value = w.e_path[m]
        mix = lev.mix + (unit * n + i) * g.n_latent
        for j in range(m, g.n_latent):
            value += mix[j] * w.e_path[j + 1]
        w.v_path[m] = value
        lw += log(lev.scale[unit * n + i]) + 0.5 * (x * x - value * value)
    return lw


cdef double normalise(double *log_posterior, Index n) noexcept nogil:
    """Log-sum-exp; the entries become posterior weights."""
    cdef double largest = -INFINITY, total = 0.0
    cdef Index q
    for q in range(n):
        if log_posterior[q] > largest:
            largest = log_posterior[q]
    if not isfinite(largest):
        for q in range(n):
            log_posterior[q] = 0.0
        return -INFINITY
    for q in range(n):
        log_posterior[q] = exp(log_posterior[q] - largest)
        total += log_posterior[q]
    for q in range(n):
        log_posterior[q] /= total
    return largest + log(total)


cdef void own_moments(
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


cdef void evaluate_rows(
    const Model *g, Work *w, Index unit, Index top_row
) noexcept nogil:
    """Densities of a level-2 unit's rows at all nodes.

    Adds to the log posterior, the column scores, and keeps the (weighted)
    second derivatives of the unit's rows.
    """
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.n_nodes, n2 = lev.n_latent, width = g.n_latent + 1
    cdef Index begin = lev.first[unit], end = lev.first[unit + 1]
    cdef Index step = CHUNK // R if R < CHUNK else 1
    cdef Index start, n, i, q, m, d, t, local
    cdef long long z
    cdef const double *a
    cdef const double *v = w.v[2]
    cdef double base, weight, u
    cdef double *out
    cdef Block block
    start = begin
    while start < end:
        n = end - start if end - start < step else step
        local = (start - begin) * R
        for i in range(n):
            a = w.linear + (start + i - top_row) * width
            base = a[0]
            for m in range(n2 + 1, width):
                base += a[m] * w.v_path[m]
            for q in range(R):
                w.nu[i * R + q] = base
            for m in range(n2):
                u = a[m + 1]
                if u != 0.0:
                    for q in range(R):
                        w.nu[i * R + q] += u * v[m * R + q]
        block.n_rows = n
        block.n_nodes = R
        block.y = g.y + start
        block.denominator = g.denominator + start
        block.constant = g.constant + start
        block.log_scale = g.log_scale + start if g.n_scale else NULL
        block.gamma_terms = g.gamma_terms + 3 * start if g.gamma_terms != NULL else NULL
        block.nu = w.nu
        block.f = w.f
        block.f1 = w.f1
        block.f2 = w.f2 + local
        block.fz = w.fz
        block.fnz = w.fnz + local if g.n_scale else NULL
        block.fzz = w.fzz + local if g.n_scale else NULL
        density_block(g.family, g.link, &block, g.derivatives)
        for i in range(n):
            weight = g.row_weight[start + i]
            t = i * R
            for q in range(R):
                w.log_posterior[2][q] += weight * w.f[t + q]
            if not g.derivatives:
                continue
            for z in range(g.row_start[start + i], g.row_start[start + i + 1]):
                u = weight * g.value[z]
                out = w.column_score + g.column[z] * R
                for q in range(R):
                    out[q] += u * w.f1[t + q]
            for d in range(g.n_scale):
                u = weight * g.scale_design[(start + i) * g.n_scale + d]
                out = w.column_score + (g.n_columns + d) * R
                for q in range(R):
                    out[q] += u * w.fz[t + q]
            if weight != 1.0:
                for q in range(R):
                    w.f2[local + t + q] *= weight
                if g.n_scale:
                    for q in range(R):
                        w.fnz[local + t + q] *= weight
                        w.fzz[local + t + q] *= weight
        start += n


cdef void node_scores(const Model *g, Work *w) noexcept nogil:
    """Scores at each node of a level-2 unit, (parameters, nodes), from the column scores."""
    cdef Index R = g.level[2].n_nodes, n2 = g.level[2].n_latent
    cdef Index c, k, m, d, q
    cdef const double *column_score
    cdef const double *v
    cdef double *out
    cdef double factor
    for c in range(g.n_columns):
        column_score = w.column_score + c * R
        for k in range(g.pair_start[c], g.pair_start[c + 1]):
            m = g.pair_latent[k]
            out = w.score[2] + k * R
            if 1 <= m <= n2:
                v = w.v[2] + (m - 1) * R
                for q in range(R):
                    out[q] = column_score[q] * v[q]
            else:
                factor = w.v_path[m]
                for q in range(R):
                    out[q] = column_score[q] * factor
    for d in range(g.n_scale):
        for q in range(R):
            w.score[2][(g.n_pairs + d) * R + q] = w.column_score[(g.n_columns + d) * R + q]


cdef void second_moments_of_rows(
    const Model *g, Work *w, Index unit, const double *p, double weight
) noexcept nogil:
    """E[f2 v v'], E[fnz v] and E[fzz] of each row of a level-2 unit, times its weight."""
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.n_nodes, n2 = lev.n_latent
    cdef Index n = lev.first[unit + 1] - lev.first[unit], size = row_size(g, 2)
    cdef Index i, q, m, l
    cdef double total
    cdef double *out
    cdef double *pv = w.weighted
    cdef const double *f
    for m in range(n2 + 1):
        for l in range(m + 1):
            for q in range(R):
                pv[q] = weight * p[q]
                if m > 0:
                    pv[q] *= w.v[2][(m - 1) * R + q]
                if l > 0:
                    pv[q] *= w.v[2][(l - 1) * R + q]
            for i in range(n):
                total = 0.0
                f = w.f2 + i * R
                for q in range(R):
                    total += pv[q] * f[q]
                w.row_out[2][i * size + packed(m) + l] = total
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


cdef double integrate_rows(
    const Model *g, Work *w, Index unit, Index top_row, double *score, double *spread
) noexcept nogil:
    """Level-2 unit given the latent variables above: log likelihood; see the module's note.

    ``score`` (parameters) and ``spread`` (parameters, parameters; lower
    triangle) are added to, times the unit's weight.
    """
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.n_nodes, n2 = lev.n_latent, K = g.n_parameters
    cdef Index q, m, k, l
    cdef double value, mean, total, weight = lev.weight[unit]
    cdef double *p = w.log_posterior[2]
    cdef double *row
    cdef double *other
    for q in range(R):
        p[q] = place_node(g, w, 2, unit, q)
        for m in range(n2):
            w.v[2][m * R + q] = w.v_path[m + 1]
    if g.derivatives:
        memset(w.column_score, 0, (g.n_columns + g.n_scale) * R * sizeof(double))
    evaluate_rows(g, w, unit, top_row)
    value = normalise(p, R)
    if g.moments:
        own_moments(g, w, 2, p, w.v[2], 1, R)
    if not g.derivatives:
        return value
    node_scores(g, w)
    for k in range(K):
        row = w.score[2] + k * R
        mean = 0.0
        for q in range(R):
            mean += p[q] * row[q]
        score[k] += weight * mean
        for q in range(R):
            row[q] -= mean
    if R > 1:
        for k in range(K):
            row = w.score[2] + k * R
            for q in range(R):
                w.weighted[q] = weight * p[q] * row[q]
            for l in range(k + 1):
                other = w.score[2] + l * R
                total = 0.0
                for q in range(R):
                    total += w.weighted[q] * other[q]
                spread[k * K + l] += total
    second_moments_of_rows(g, w, unit, p, weight)
    return value


cdef void collapse_rows(
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
    cdef Index i, q, j, l, s
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
                for l in range(below):
                    out[s + 1 + l] += factor * source[packed(l + 1)]
                for l in range(j + 1):
                    out[s + 1 + below + l] += factor * vq[l] * source[0]
            if g.n_scale:
                factor = weight * p[q]
                source += packed(below + 1)
                out += packed(d + 1)
                for s in range(below + 1):
                    out[s] += factor * source[s]
                for j in range(n):
                    out[below + 1 + j] += factor * vq[j] * source[0]
                out[d + 1] += factor * source[below + 1]


cdef void collapse_moments(
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


cdef double integrate(
    const Model *g, Work *w, Index level, Index unit, Index top_row, double *score, double *spread
) noexcept nogil:
    """A unit of any level above the rows; same contract as ``integrate_rows``."""
    cdef const Level *lev = &g.level[level]
    cdef Index R = lev.n_nodes, n = lev.n_latent, K = g.n_parameters
    cdef Index q, c, i, k, l, t, n_rows, row, n_target
    cdef Index first_row = first_below(g, level, unit, 1)
    cdef double value, mean, factor, weight = lev.weight[unit]
    cdef double *p
    cdef double *v
    cdef double *row_score
    cdef double *means
    cdef double *total
    if level == 2:
        return integrate_rows(g, w, unit, top_row, score, spread)
    p = w.log_posterior[level]
    v = w.v[level]
    n_rows = first_below(g, level, unit + 1, 1) - first_row
    if g.derivatives:
        memset(w.score[level], 0, R * K * sizeof(double))
        memset(w.spread[level], 0, R * K * K * sizeof(double))
    for q in range(R):
        p[q] = place_node(g, w, level, unit, q)
        for i in range(n):
            v[q * n + i] = w.v_path[lev.below + 1 + i]
        for c in range(lev.first[unit], lev.first[unit + 1]):
            if g.derivatives:
                row = first_below(g, level - 1, c, 1) - first_row
                w.row_out[level - 1] = (
                    w.row_moments[level] + (q * n_rows + row) * row_size(g, level - 1)
                )
            if g.moments:
                for t in range(2, level):
                    n_target = (
                        first_below(g, level, unit + 1, t) - first_below(g, level, unit, t)
                    )
                    w.unit_out[level - 1][t] = w.unit_moments[level][t] + (
                        q * n_target + first_below(g, level - 1, c, t)
                        - first_below(g, level, unit, t)
                    ) * moment_size(g, t, level - 1)
            value = integrate(
                g, w, level - 1, c, top_row, w.score[level] + q * K, w.spread[level] + q * K * K
            )
            p[q] += g.level[level - 1].weight[c] * value
    value = normalise(p, R)
    if g.moments:
        own_moments(g, w, level, p, v, n, 1)
        collapse_moments(g, w, level, unit, p, v)
    if not g.derivatives:
        return value
    means = w.mean_score[level]
    memset(means, 0, K * sizeof(double))
    for q in range(R):
        for k in range(K):
            means[k] += p[q] * w.score[level][q * K + k]
    for k in range(K):
        score[k] += weight * means[k]
    for q in range(R):
        row_score = w.score[level] + q * K
        total = w.spread[level] + q * K * K
        factor = weight * p[q]
        for k in range(K):
            row_score[k] -= means[k]
        for k in range(K):
            mean = row_score[k]
            for l in range(k + 1):
                spread[k * K + l] += factor * (total[k * K + l] + mean * row_score[l])
    collapse_rows(g, w, level, n_rows, p, v, weight)
    return value


cdef void linear_coefficients(const Model *g, Work *w, Index begin, Index end) noexcept nogil:
    """Coefficient of each latent variable (0: constant) in the predictor of rows begin..end."""
    cdef Index i, m, width = g.n_latent + 1
    cdef long long z, k
    cdef double *a
    for i in range(begin, end):
        a = w.linear + (i - begin) * width
        for m in range(width):
            a[m] = 0.0
        a[0] = g.offset[i]
        for z in range(g.row_start[i], g.row_start[i + 1]):
            for k in range(g.pair_start[g.column[z]], g.pair_start[g.column[z] + 1]):
                a[g.pair_latent[k]] += g.value[z] * g.coefficient[k]


cdef void expand_rows(
    const Model *g, const double *row_moments, Index begin, Index end, double *hessian
) noexcept nogil:
    """Add sum_i E[f''_i d nu d nu'] to the lower triangle of the Hessian."""
    cdef Index i, d, e, m, l, K = g.n_parameters, size = row_size(g, g.n_levels)
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
                        l = g.pair_latent[j]
                        hessian[k * K + j] += u * (
                            moment[packed(m) + l] if m >= l else moment[packed(l) + m]
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


cdef void evaluate_cluster(
    const Model *g, Work *w, Index cluster, double *log_likelihood, double *score, double *hessian
) noexcept nogil:
    """One top-level cluster: its weighted log likelihood; adds to score and Hessian."""
    cdef Index top = g.n_levels, t
    cdef Index begin = first_below(g, top, cluster, 1)
    cdef Index end = first_below(g, top, cluster + 1, 1)
    linear_coefficients(g, w, begin, end)
    if g.derivatives:
        w.row_out[top] = w.row_moments[top + 1]
    if g.moments:
        for t in range(2, top + 1):
            w.unit_out[top][t] = (
                g.level[t].moments + first_below(g, top, cluster, t) * moment_size(g, t, top)
            )
    log_likelihood[cluster] = g.level[top].weight[cluster] * integrate(
        g, w, top, cluster, begin, score, hessian
    )
    if g.derivatives:
        expand_rows(g, w.row_moments[top + 1], begin, end, hessian)


cdef Index largest_unit(const Model *g, Index level, Index target) noexcept nogil:
    cdef Index j, n, largest = 0
    for j in range(g.level[level].n_units):
        n = first_below(g, level, j + 1, target) - first_below(g, level, j, target)
        if n > largest:
            largest = n
    return largest


cdef Index lay_out(const Model *g, Work *w, double *memory) noexcept nogil:
    """Assign the scratch arrays inside ``memory`` (NULL to only count); return doubles needed."""
    cdef Index used = 0, R, n, level, t, K = g.n_parameters, top = g.n_levels
    cdef Index R2 = g.level[2].n_nodes
    cdef Index chunk = CHUNK if R2 < CHUNK else R2
    cdef Index rows_top = largest_unit(g, top, 1), rows_two = largest_unit(g, 2, 1)
    cdef Index d = 1 if g.derivatives else 0
    cdef Index s = 1 if g.n_scale and g.derivatives else 0

    w.linear = memory + used
    used += rows_top * (g.n_latent + 1)
    w.v_path = memory + used
    used += g.n_latent + 1
    w.e_path = memory + used
    used += g.n_latent + 1
    w.nu = memory + used
    used += chunk
    w.f = memory + used
    used += chunk
    w.f1 = memory + used
    used += chunk
    w.fz = memory + used
    used += chunk * s
    w.f2 = memory + used
    used += rows_two * R2 * d
    w.fnz = memory + used
    used += rows_two * R2 * s
    w.fzz = memory + used
    used += rows_two * R2 * s
    w.weighted = memory + used
    used += R2
    w.column_score = memory + used
    used += (g.n_columns + g.n_scale) * R2 * d
    for level in range(2, top + 1):
        R = g.level[level].n_nodes
        w.v[level] = memory + used
        used += R * g.level[level].n_latent
        w.log_posterior[level] = memory + used
        used += R
        w.score[level] = memory + used
        used += R * K * d
        w.mean_score[level] = memory + used
        used += K * d
        w.spread[level] = memory + used
        if level == 2:
            continue
        used += R * K * K * d
        n = largest_unit(g, level, 1)
        w.row_moments[level] = memory + used
        used += R * n * row_size(g, level - 1) * d
        for t in range(2, level):
            w.unit_moments[level][t] = memory + used
            if g.moments:
                used += R * largest_unit(g, level, t) * moment_size(g, t, level - 1)
    w.row_moments[top + 1] = memory + used
    used += rows_top * row_size(g, top) * d
    return used


cdef class Kernel:
    """The arrays of a model, ready to be evaluated at many parameter values.

    Parameters
    ----------
    family, link : int
        Codes of ``gllamm_cli.model.families``.
    y, denominator, constant, row_weight, offset : (N,) float64
        Per row; ``constant`` is the part of the log density that depends on y only.
    scale_design : (N, S) float64
        Design of the level-1 log scale; S = 0 without a scale parameter.
    row_start : (N + 1,) int64; column : int32; value : float64
        Design columns, compressed by rows.
    pair_start : (C + 1,) int64; pair_latent : (P,) int32
        Latent variable (0: none) of each coefficient, sorted by column.
    levels : sequence of (first, weight, node, log_weight), lowest level first
        ``first`` (units + 1,) int64, ``weight`` (units,), ``node`` (nodes, latent
        variables of the level), ``log_weight`` (nodes,).
    blocks : (B + 1,) int64
        Borders of the blocks of top-level clusters that are summed together.
    """

    cdef Model model
    cdef const long long[::1] blocks
    cdef list keep

    def __init__(
        self, int family, int link,
        const double[::1] y, const double[::1] denominator, const double[::1] constant,
        const double[::1] row_weight, const double[::1] offset, const double[:, ::1] scale_design,
        const long long[::1] row_start, const int[::1] column, const double[::1] value,
        const long long[::1] pair_start, const int[::1] pair_latent,
        levels, const long long[::1] blocks,
    ):
        cdef Model *g = &self.model
        cdef Index n = y.shape[0], below = 0, i
        cdef const long long[::1] first
        cdef const double[::1] weight
        cdef const double[:, ::1] node
        cdef const double[::1] log_weight
        for length in [denominator.shape[0], constant.shape[0], row_weight.shape[0],
                       offset.shape[0], scale_design.shape[0]]:
            if length != n:
                raise ValueError("row arrays differ in length")
        if row_start.shape[0] != n + 1 or row_start[n] != value.shape[0]:
            raise ValueError("design columns do not fit the rows")
        if len(levels) + 2 > MAX_LEVELS:
            raise ValueError("too many levels")
        self.keep = [y, denominator, constant, row_weight, offset, scale_design, row_start,
                     column, value, pair_start, pair_latent]
        self.blocks = blocks
        g.family = family
        g.link = link
        g.n_rows = n
        g.y = &y[0]
        g.denominator = &denominator[0]
        g.constant = &constant[0]
        g.row_weight = &row_weight[0]
        g.offset = &offset[0]
        g.n_scale = scale_design.shape[1]
        g.scale_design = &scale_design[0, 0] if g.n_scale else NULL
        g.row_start = &row_start[0]
        g.column = &column[0] if column.shape[0] else NULL
        g.value = &value[0] if value.shape[0] else NULL
        g.n_columns = pair_start.shape[0] - 1
        g.n_pairs = pair_latent.shape[0]
        if pair_start[g.n_columns] != g.n_pairs:
            raise ValueError("pairs do not fit the columns")
        g.pair_start = &pair_start[0]
        g.pair_latent = &pair_latent[0] if g.n_pairs else NULL
        g.n_parameters = g.n_pairs + g.n_scale
        g.n_levels = len(levels) + 1
        for i, (first_, weight_, node_, log_weight_) in enumerate(levels):
            first = first_
            weight = weight_
            node = node_
            log_weight = log_weight_
            if first.shape[0] != weight.shape[0] + 1 or node.shape[0] != log_weight.shape[0]:
                raise ValueError(f"arrays of level {i + 2} differ in length")
            self.keep.extend([first, weight, node, log_weight])
            g.level[i + 2].n_units = weight.shape[0]
            g.level[i + 2].first = &first[0]
            g.level[i + 2].weight = &weight[0]
            g.level[i + 2].n_nodes = node.shape[0]
            g.level[i + 2].n_latent = node.shape[1]
            g.level[i + 2].node = &node[0, 0] if node.shape[1] else NULL
            g.level[i + 2].log_weight = &log_weight[0]
            g.level[i + 2].below = below
            below += node.shape[1]
        g.n_latent = below
        if first_below(g, g.n_levels, g.level[g.n_levels].n_units, 1) != n:
            raise ValueError("clusters do not cover the rows")

    @property
    def n_parameters(self):
        """Number of pair and scale coefficients."""
        return self.model.n_parameters

    def evaluate(
        self, const double[::1] coefficient, const double[::1] log_scale,
        const double[:, ::1] gamma_terms, placement, bint derivatives, bint moments, int threads,
    ):
        """Evaluate the log likelihood and what is asked for beside it.

        Parameters
        ----------
        coefficient : (P,)
            Coefficients of the pairs.
        log_scale : (N,), or empty without a scale parameter
        gamma_terms : (N, 3), or empty except for the gamma family
        placement : sequence of (shift, scale, mix) per level, or None
            Nodes of adaptive quadrature; None for ordinary quadrature.
        derivatives, moments : bool
        threads : int

        Returns
        -------
        log_likelihood : (top-level clusters,)
        score : (P + S,) or None
        hessian : (P + S, P + S) symmetric, or None
        moments : list of (units, size) arrays per level, or None
        """
        cdef Model *g = &self.model
        cdef Index top = g.n_levels, K = g.n_parameters, n_blocks = self.blocks.shape[0] - 1
        cdef Index b, j, t, size
        cdef const double[:, ::1] shift
        cdef const double[:, ::1] scale
        cdef const double[:, :, ::1] mix
        cdef double[:, ::1] moment_view
        cdef const long long[::1] blocks = self.blocks
        if coefficient.shape[0] != g.n_pairs:
            raise ValueError("coefficients do not fit the pairs")
        if g.n_scale and log_scale.shape[0] != g.n_rows:
            raise ValueError("log_scale does not fit the rows")
        if gamma_terms.shape[0] not in (0, g.n_rows):
            raise ValueError("gamma_terms does not fit the rows")
        g.coefficient = &coefficient[0] if g.n_pairs else NULL
        g.log_scale = &log_scale[0] if g.n_scale else NULL
        g.gamma_terms = &gamma_terms[0, 0] if gamma_terms.shape[0] else NULL
        g.derivatives = derivatives
        g.moments = moments
        moment_arrays = []
        held = []
        for t in range(2, top + 1):
            g.level[t].shift = NULL
            if placement is not None and g.level[t].n_latent:
                shift, scale, mix = placement[t - 2]
                if shift.shape[0] != g.level[t].n_units or mix.shape[2] != g.n_latent:
                    raise ValueError("placement does not fit the units")
                held.extend([shift, scale, mix])
                g.level[t].shift = &shift[0, 0]
                g.level[t].scale = &scale[0, 0]
                g.level[t].mix = &mix[0, 0, 0]
            if moments:
                size = moment_size(g, t, top)
                array = np.zeros((g.level[t].n_units, size))
                moment_arrays.append(array)
                g.level[t].moments = NULL
                if size:
                    moment_view = array
                    g.level[t].moments = &moment_view[0, 0]
        log_likelihood = np.empty(g.level[top].n_units)
        scores = np.zeros((n_blocks, K + 1 if derivatives else 1))
        hessians = np.zeros((n_blocks, K * K + 1 if derivatives else 1))
        cdef double[::1] log_likelihood_view = log_likelihood
        cdef double[:, ::1] score_view = scores
        cdef double[:, ::1] hessian_view = hessians
        cdef Index n_threads = threads if 0 < threads < n_blocks else n_blocks
        cdef Work *works = <Work *>calloc(n_threads, sizeof(Work))
        cdef Index needed
        cdef double *memory = NULL
        cdef Work *w
        if works == NULL:
            raise MemoryError
        try:
            needed = lay_out(g, works, NULL)
            memory = <double *>calloc(n_threads * needed, sizeof(double))
            if memory == NULL:
                raise MemoryError(f"{n_threads * needed * 8} bytes of scratch space")
            for j in range(n_threads):
                lay_out(g, works + j, memory + j * needed)
                works[j].v_path[0] = 1.0
            with nogil:
                for b in prange(n_blocks, schedule="dynamic", chunksize=1, num_threads=n_threads):
                    w = works + threadid()
                    for j in range(blocks[b], blocks[b + 1]):
                        evaluate_cluster(
                            g, w, j, &log_likelihood_view[0], &score_view[b, 0],
                            &hessian_view[b, 0],
                        )
        finally:
            free(memory)
            free(works)
        del held
        if not derivatives:
            return log_likelihood, None, None, moment_arrays if moments else None
        lower = hessians[:, : K * K].sum(axis=0).reshape(K, K)
        hessian = np.tril(lower) + np.tril(lower, -1).T
        score = scores[:, :K].sum(axis=0)
        return log_likelihood, score, hessian, moment_arrays if moments else None
