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


cdef inline void clear_unit(const Model *g, Work *w, Index n_rows) noexcept nogil:
    """The same for all rows of a unit, none of which depends on an auxiliary predictor."""
    cdef Index t, s, c, size = n_rows * g.level[2].places * sizeof(double)
    for t in range(g.n_channels):
        c = g.channel[t]
        memset(w.fa[c], 0, size)
        memset(w.fna[c], 0, size)
        for s in range(t + 1):
            memset(w.faa[packed(c) + g.channel[s]], 0, size)


cdef inline void accumulate_plain(
    const Model *g, Work *w, Index i, const double *f1, const double *f2
) noexcept nogil:
    """Add the derivatives of a row, times its weight, in its linear predictor to its columns'."""
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


cdef inline void weight_row(
    const Model *g, Work *w, double weight, double *f1, double *f2, Index entries, Index local
) noexcept nogil:
    """Multiply all derivatives of a row, which is number ``local`` of its unit, by its weight."""
    cdef Index R = g.level[2].places, t, s, c, q
    cdef double *kept
    for q in range(R):
        f1[q] *= weight
    for q in range(entries * R):
        f2[q] *= weight
    for t in range(g.n_channels):
        c = g.channel[t]
        for q in range(R):
            w.fa[c][local * R + q] *= weight
            w.fna[c][local * R + q] *= weight
        for s in range(t + 1):
            kept = w.faa[packed(c) + g.channel[s]] + local * R
            for q in range(R):
                kept[q] *= weight


cdef inline void accumulate_rows(
    const Model *g, Work *w, Index begin, Index start, Index stop
) noexcept nogil:
    """Weight the derivatives of rows start..stop and add them to those of their columns.

    ``begin`` is the first row of their level-2 unit.
    """
    cdef Index R = g.level[2].places, i, t, c
    cdef long long a
    cdef double weight
    cdef double *f1 = w.f1
    cdef double *f2 = w.f2 + (entry_of(g, start) - entry_of(g, begin)) * R
    cdef Index entries
    for i in range(start, stop):
        entries = entry_of(g, i + 1) - entry_of(g, i)
        weight = element(g.row_weight, i)
        if weight != 1.0:
            weight_row(g, w, weight, f1, f2, entries, i - begin)
        if not g.dense_columns:
            accumulate_plain(g, w, i, f1, f2)
        f1 += R
        f2 += entries * R
        for t in range(g.n_channels):
            c = g.channel[t]
            for a in range(g.aux_start[c][i], g.aux_start[c][i + 1]):
                add_scaled(
                    w.column_score + (g.n_columns + g.aux_column[c][a]) * R,
                    g.aux_value[c][a], w.fa[c] + (i - begin) * R, R,
                )
    if g.dense_columns:
        accumulate_dense(g, w, start, stop, w.f1, w.f2 + (start - begin) * R)
