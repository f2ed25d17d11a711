# cython: language_level=3
"""First derivatives of a row in its predictors, added to the scores of columns."""

from model cimport Index, Model, Work, packed


cdef inline void add_scaled(double *out, double x, const double *f, Index n) noexcept nogil:
    cdef Index q
    for q in range(n):
        out[q] += x * f[q]


cdef inline void accumulate_row(
    const Model *g, Work *w, Index i, Index local, const double *f1, Index first
) noexcept nogil:
    """Add a row's first derivatives to the column scores; weight what is kept of it.

    ``local`` is its number within the level-2 unit, ``first`` the unit's first entry.
    """
    cdef Index R = g.level[2].n_nodes, t, s, c, q
    cdef long long z, e
    cdef double weight = g.row_weight[i]
    cdef double *kept
    for z in range(g.row_start[i], g.row_start[i + 1]):
        add_scaled(w.column_score + g.column[z] * R, weight * g.value[z], f1, R)
    for t in range(g.n_channels):
        c = g.channel[t]
        for z in range(g.aux_start[c][i], g.aux_start[c][i + 1]):
            add_scaled(
                w.column_score + (g.n_columns + g.aux_column[c][z]) * R,
                weight * g.aux_value[c][z], w.fa[c] + local * R, R,
            )
    if weight == 1.0:
        return
    for e in range(g.entry_start[i], g.entry_start[i + 1]):
        kept = w.f2 + (e - first) * R
        for q in range(R):
            kept[q] *= weight
    for t in range(g.n_channels):
        c = g.channel[t]
        for q in range(R):
            w.fa[c][local * R + q] *= weight
            w.fna[c][local * R + q] *= weight
        for s in range(t + 1):
            kept = w.faa[packed(c) + g.channel[s]] + local * R
            for q in range(R):
                kept[q] *= weight
