# cython: language_level=3, cdivision=True
"""Posterior moments: of latent variables, and of the derivatives of rows.

The moments of an entry (i, j) at a level are, v being the latent variables up
to that level with v[0] = 1 and a the model's auxiliary predictors,

    E[f_{nu_i nu_j} v v']   packed, lower triangle,
    E[f_{nu_i a} v]         for each a,
    E[f_{a a'}]             packed,
    E[f_a]                  for each a;

the last three are zero unless i = j. They and the moments of latent variables
are averaged over the nodes of one level after another; each collapse appends
the level's own latent variables, which are constant within a node.
"""

from libc.string cimport memset

from lanes cimport LANES, add_product, dot, multiply, multiply_by, scale
from model cimport (
    Index, Level, Model, Row, Work, column_moments_size, dims, entry_of, entry_size, first_below,
    moment_size, packed, row_of,
)


cdef inline void own_moments(
    const Model *g, Work *w, Index level, const double *posterior, const double *values,
    Index n_nodes, Index stride_node, Index stride_latent
) noexcept nogil:
    """Write first and packed second moments of a unit's own latent variables."""
    cdef Index n = g.level[level].n_latent, i, j, q
    cdef double *out = w.unit_out[level][level]
    cdef double total, total2
    if level == 2:
        for i in range(n):
            multiply(w.weighted, posterior, values + i * n_nodes, n_nodes)
            total = 0.0
            for q in range(g.level[2].n_nodes):
                total += w.weighted[q]
            out[i] = total
            for j in range(i + 1):
                out[n + packed(i) + j] = dot(w.weighted, values + j * n_nodes, n_nodes)
        return
    for i in range(n):
        total = 0.0
        for q in range(n_nodes):
            total += posterior[q] * values[q * stride_node + i * stride_latent]
        out[i] = total
        for j in range(i + 1):
            total2 = 0.0
            for q in range(n_nodes):
                total2 += (
                    posterior[q]
                    * values[q * stride_node + i * stride_latent]
                    * values[q * stride_node + j * stride_latent]
                )
            out[n + packed(i) + j] = total2


cdef inline void moments_of_columns(
    const Model *g, Work *w, const double *p, double weight
) noexcept nogil:
    """Add a unit's E[f'' v v'], summed over its rows by pairs of columns, to the block's.

    Whole vectors of nodes are added; ``expand_columns`` adds up what is in them.
    """
    cdef Index R = g.level[2].places, n = packed(g.n_latent + 1), m, h, s, c
    cdef double *products = w.latent_products
    scale(products, weight, p, R)
    for m in range(1, g.n_latent + 1):
        multiply(products + packed(m) * R, products, w.v[2] + (m - 1) * R, R)
        for h in range(1, m + 1):
            multiply(
                products + (packed(m) + h) * R, products + packed(m) * R, w.v[2] + (h - 1) * R, R
            )
    for c in range(g.n_column_pairs):
        for s in range(n):
            add_product(
                w.column_moments + (c * n + s) * LANES, w.column_second + c * R,
                products + s * R, R,
            )


cdef inline void moments_of_entries(
    const Model *g, Work *w, Index unit, const double *p, double weight
) noexcept nogil:
    """Moments of the entries of a level-2 unit given the levels above, times its weight."""
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.places, n2 = lev.n_latent, size = entry_size(g, 2)
    cdef Index begin = lev.first[unit], end = lev.first[unit + 1]
    cdef Index first = entry_of(g, begin), n = entry_of(g, end) - first
    cdef Index i, m, h, t, s, c, last
    cdef double *out = w.row_out[2]
    cdef double *pv = w.weighted
    if g.n_channels:
        memset(out, 0, n * size * sizeof(double))
    elif g.by_columns:
        return
    for m in range(n2 + 1):
        for h in range(0 if g.by_columns else m + 1):
            scale(pv, weight, p, R)
            if m > 0:
                multiply_by(pv, w.v[2] + (m - 1) * R, R)
            if h > 0:
                multiply_by(pv, w.v[2] + (h - 1) * R, R)
            for i in range(n):
                out[i * size + packed(m) + h] = dot(pv, w.f2 + i * R, R)
        if g.n_channels == 0:
            continue
        scale(pv, weight, p, R)
        if m > 0:
            multiply_by(pv, w.v[2] + (m - 1) * R, R)
        for t in range(g.n_channels):
            for i in range(end - begin):
                # The last entry of a row is its own.
                last = entry_of(g, begin + i + 1) - 1 - first
                out[last * size + packed(n2 + 1) + t * (n2 + 1) + m] = dot(
                    pv, w.fna[g.channel[t]] + i * R, R
                )
    if g.n_channels == 0:
        return
    scale(pv, weight, p, R)
    for i in range(end - begin):
        last = entry_of(g, begin + i + 1) - 1 - first
        out = w.row_out[2] + last * size + packed(n2 + 1) + g.n_channels * (n2 + 1)
        for t in range(g.n_channels):
            c = g.channel[t]
            for s in range(t + 1):
                out[packed(t) + s] = dot(pv, w.faa[packed(c) + g.channel[s]] + i * R, R)
            # Asked for where predictors are not linear.
            if g.first_derivatives != NULL:
                out[packed(g.n_channels) + t] = dot(pv, w.fa[c] + i * R, R)


cdef inline void collapse_entries(
    const Model *g, Work *w, Index level, Index n_entries, const double *p, const double *v,
    double weight
) noexcept nogil:
    """Average moments of entries over the nodes of a level and append its latent variables.

    ``v`` is (nodes, n_latent of the level).
    """
    cdef const Level *lev = &g.level[level]
    cdef Index R = lev.n_nodes, n = lev.n_latent
    cdef Index below = lev.below, d = below + n
    cdef Index size_in = entry_size(g, level - 1), size = entry_size(g, level)
    cdef Index i, q, j, h, s, _t
    cdef double factor
    cdef const double *source
    cdef const double *vq
    cdef double *out
    memset(w.row_out[level], 0, n_entries * size * sizeof(double))
    for q in range(R):
        vq = v + q * n
        for i in range(n_entries):
            source = w.row_moments[level] + (q * n_entries + i) * size_in
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
            factor = weight * p[q]
            source += packed(below + 1)
            out += packed(d + 1)
            for _t in range(g.n_channels):
                for s in range(below + 1):
                    out[s] += factor * source[s]
                for j in range(n):
                    out[below + 1 + j] += factor * vq[j] * source[0]
                source += below + 1
                out += d + 1
            for s in range(packed(g.n_channels) + g.n_channels):
                out[s] += factor * source[s]


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


cdef inline void add_symmetric(
    double *hessian, Index K, Index a, Index b, double x
) noexcept nogil:
    """Add x at (a, b) of a lower triangle."""
    if a >= b:
        hessian[a * K + b] += x
    else:
        hessian[b * K + a] += x


cdef inline void add_column_moments(
    const Model *g, Work *w, Index i, const double *moment
) noexcept nogil:
    """Add E[f'' v v'] of a row to each pair of its columns, times their values."""
    cdef Index size = packed(g.n_latent + 1), s, z, y
    cdef double product
    cdef double *out
    cdef Row x = row_of(g, i)
    for z in range(x.n):
        for y in range(z + 1):
            product = x.value[z] * x.value[y]
            # Column numbers ascend in a row.
            out = w.column_moments + (packed(x.column[z]) + x.column[y]) * size
            for s in range(size):
                out[s] += product * moment[s]


cdef inline void expand_columns(const Model *g, Work *w, double *hessian) noexcept nogil:
    """Add the moments of pairs of columns to their coefficients, and forget them."""
    cdef Index size = packed(g.n_latent + 1), c, d, s, lane, number
    cdef double *moment
    cdef double total
    for c in range(g.n_columns):
        for d in range(c + 1):
            if not g.by_columns:
                expand_columns_pair(
                    g, c, d, w.column_moments + (packed(c) + d) * size, hessian
                )
                continue
            number = g.column_pair[packed(c) + d]
            if number < 0:
                continue
            moment = w.column_moments + number * size * LANES
            for s in range(size):
                total = 0.0
                for lane in range(LANES):
                    total += moment[s * LANES + lane]
                # What is written has been read.
                moment[s] = total
            expand_columns_pair(g, c, d, moment, hessian)
    memset(w.column_moments, 0, column_moments_size(g) * sizeof(double))


cdef inline void expand_columns_pair(
    const Model *g, Index c, Index d, const double *moment, double *hessian
) noexcept nogil:
    """Add the moments of one pair of columns, d <= c, to their coefficients."""
    cdef Index K = g.n_parameters, m, h
    cdef long long k, l_
    for k in range(g.pair_start[c], g.pair_start[c + 1]):
        m = g.pair_latent[k]
        for l_ in range(g.pair_start[d], g.pair_start[d + 1]):
            if l_ > k:
                break
            h = g.pair_latent[l_]
            # Pairs are sorted by column: l_ <= k is the lower triangle.
            hessian[k * K + l_] += moment[packed(m) + h] if m >= h else moment[packed(h) + m]


cdef inline void expand_pair(
    const Model *g, Index i, Index j, const double *moment, double *hessian
) noexcept nogil:
    """Add E[f_{nu_i nu_j} d nu_i d nu_j'] of two rows of a group and its transpose."""
    cdef Index K = g.n_parameters, m, h, z, y, c, d
    cdef long long k, l_
    cdef double x
    cdef Row a = row_of(g, i), b = row_of(g, j)
    for z in range(a.n):
        c = a.column[z]
        for y in range(b.n):
            d = b.column[y]
            x = a.value[z] * b.value[y]
            for k in range(g.pair_start[c], g.pair_start[c + 1]):
                m = g.pair_latent[k]
                for l_ in range(g.pair_start[d], g.pair_start[d + 1]):
                    h = g.pair_latent[l_]
                    if k == l_:
                        # (i, j) and (j, i) meet on the diagonal.
                        hessian[k * K + k] += 2.0 * x * moment[packed(m) + m]
                    else:
                        add_symmetric(
                            hessian, K, k, l_,
                            x * (moment[packed(m) + h] if m >= h else moment[packed(h) + m]),
                        )


cdef inline void expand_auxiliary(
    const Model *g, Index i, const double *moment, double *hessian
) noexcept nogil:
    """Add the terms of a row's auxiliary predictors; ``moment`` starts at E[f_{nu a} v]."""
    cdef Index K = g.n_parameters, width = g.n_latent + 1, t, s, c, d, z
    cdef long long e, o, k
    cdef double x
    cdef Row row = row_of(g, i)
    for t in range(g.n_channels):
        c = g.channel[t]
        for e in range(g.aux_start[c][i], g.aux_start[c][i + 1]):
            for z in range(row.n):
                x = g.aux_value[c][e] * row.value[z]
                for k in range(g.pair_start[row.column[z]], g.pair_start[row.column[z] + 1]):
                    hessian[(g.n_pairs + g.aux_column[c][e]) * K + k] += (
                        x * moment[t * width + g.pair_latent[k]]
                    )
            for s in range(t + 1):
                d = g.channel[s]
                for o in range(g.aux_start[d][i], g.aux_start[d][i + 1]):
                    if s == t and o > e:
                        break
                    x = (
                        g.aux_value[c][e] * g.aux_value[d][o]
                        * moment[g.n_channels * width + packed(t) + s]
                    )
                    if s != t and g.aux_column[c][e] == g.aux_column[d][o]:
                        x *= 2.0
                    add_symmetric(
                        hessian, K, g.n_pairs + g.aux_column[c][e],
                        g.n_pairs + g.aux_column[d][o], x,
                    )


cdef inline void expand_entries(
    const Model *g, Work *w, const double *moments, Index begin, Index end, double *hessian
) noexcept nogil:
    """Add sum E[second derivatives of rows] to the lower triangle of the Hessian.

    What belongs to pairs of columns waits for ``expand_columns``. Also keeps E[f_a] of
    each row where that is asked for.
    """
    cdef Index i, j, t, size = entry_size(g, g.n_levels), head = packed(g.n_latent + 1)
    cdef Index first = entry_of(g, begin)
    cdef Index tail = head + g.n_channels * (g.n_latent + 1) + packed(g.n_channels)
    cdef long long e, last
    cdef const double *moment
    for i in range(begin, end):
        last = entry_of(g, i + 1) - 1
        for e in range(entry_of(g, i), last):
            j = i - (last - e)
            expand_pair(g, i, j, moments + (e - first) * size, hessian)
        if not g.by_columns:
            add_column_moments(g, w, i, moments + (last - first) * size)
        if g.n_channels:
            moment = moments + (last - first) * size
            expand_auxiliary(g, i, moment + head, hessian)
            if g.first_derivatives != NULL:
                for t in range(g.n_channels):
                    g.first_derivatives[i * g.n_channels + t] = moment[tail + t]
