# cython: language_level=3, cdivision=True
"""Derivatives of a row in its predictors, added to what is kept for columns."""

from libc.string cimport memset

from block cimport Block
from lanes cimport add_scaled
from model cimport Index, Model, Row, Work, entry_of, packed, row_of
from strided cimport element
from tiles cimport add_column_pairs, add_columns


cdef inline void clear_auxiliary(const Model *g, Block *block) noexcept nogil:
    """Set derivatives in auxiliary predictors to zero where rows of several kinds share them.

    A density writes only those in its own predictors.
    """
    cdef Index t, s, c, size = block.n_rows * block.n_nodes * sizeof(double)
    if not g.mixed:
        return
    for t in range(g.n_channels):
        c = g.channel[t]
        memset(block.fa[c], 0, size)
        memset(block.fna[c], 0, size)
        for s in range(t + 1):
            memset(block.faa[packed(c) + g.channel[s]], 0, size)


cdef inline void accumulate_plain(
    const Model *g, Work *w, Index i, const double *f1, const double *f2
) noexcept nogil:
    """Add the derivatives of a row of weight 1, without auxiliary predictors, to its columns'."""
    cdef Index R = g.level[2].places, z, y
    cdef Row x = row_of(g, i)
    cdef const int *numbers
    for z in range(x.n):
        add_scaled(w.column_score + x.column[z] * R, x.value[z], f1, R)
    if g.by_columns:
        for z in range(x.n):
            # Column numbers ascend in a row.
            numbers = g.column_pair + packed(x.column[z])
            for y in range(z + 1):
                add_scaled(
                    w.column_second + numbers[x.column[y]] * R, x.value[z] * x.value[y], f2, R
                )


cdef inline void accumulate_dense(
    const Model *g, Work *w, Index begin, Index end, const double *f1, const double *f2
) noexcept nogil:
    """The same for rows begin..end of a dense design, (rows, nodes), by columns."""
    cdef Index R = g.level[2].places
    cdef const double *x = g.value + begin * g.n_columns
    add_columns(w.column_score, x, f1, end - begin, g.n_columns, R)
    add_column_pairs(w.column_second, x, f2, end - begin, g.n_columns, R)


cdef inline void accumulate_row(
    const Model *g, Work *w, Index i, Index local, const double *f1, Index first
) noexcept nogil:
    """Add a row's derivatives to those of its columns; weight what is kept of it.

    ``local`` is its number within the level-2 unit, ``first`` the unit's first entry.
    """
    cdef Index R = g.level[2].places, t, s, c, q, z, y, e
    cdef long long a
    cdef double weight = element(g.row_weight, i)
    cdef double *kept
    cdef Row x = row_of(g, i)
    for z in range(x.n):
        add_scaled(w.column_score + x.column[z] * R, weight * x.value[z], f1, R)
    for t in range(g.n_channels):
        c = g.channel[t]
        for a in range(g.aux_start[c][i], g.aux_start[c][i + 1]):
            add_scaled(
                w.column_score + (g.n_columns + g.aux_column[c][a]) * R,
                weight * g.aux_value[c][a], w.fa[c] + local * R, R,
            )
    if g.by_columns:
        kept = w.f2 + (entry_of(g, i) - first) * R
        for z in range(x.n):
            for y in range(z + 1):
                # Column numbers ascend in a row.
                add_scaled(
                    w.column_second
                    + g.column_pair[packed(x.column[z]) + x.column[y]] * R,
                    weight * x.value[z] * x.value[y], kept, R,
                )
    if weight == 1.0:
        return
    for e in range(entry_of(g, i), entry_of(g, i + 1)):
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
