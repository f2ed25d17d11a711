# cython: language_level=3, cdivision=True
"""The rows of a level-2 unit: densities at all nodes, by runs of one kind."""

from bernoulli cimport bernoulli_rows
from block cimport COMPOSITE, LINKS, Block
from density cimport density_block
from model cimport CHUNK, Index, Level, Model, Work, entry_of, kind_of, packed
from predictor cimport fill_predictors
from scores cimport accumulate_rows, clear_auxiliary
from strided cimport beginning_at, element


cdef inline Index run_end(const Model *g, Index start, Index end, Index step) noexcept nogil:
    """End of a run of at most ``step`` rows of one kind that does not split a group.

    The rows of a composite may be of several kinds.
    """
    cdef Index stop = start + 1
    cdef int composite = COMPOSITE * LINKS, kind = kind_of(g, start)
    while stop < end and (
        kind_of(g, stop) == kind or (kind_of(g, stop) >= composite and kind >= composite)
    ) and (stop < start + step or entry_of(g, stop + 1) - entry_of(g, stop) > 1):
        stop += 1
    return stop


cdef inline void place_block(
    const Model *g, Work *w, Block *block, Index start, Index stop, Index local
) noexcept nogil:
    """Point a block to rows start..stop; derivatives in auxiliary predictors go to ``local``."""
    cdef Index t, s, c, pair
    block.n_rows = stop - start
    block.y = g.y + start
    block.denominator = beginning_at(g.denominator, start)
    block.constant = beginning_at(g.constant, start)
    block.gamma_terms = NULL
    if g.gamma_terms != NULL:
        block.gamma_terms = g.gamma_terms + start * g.gamma_stride
    block.gamma_stride = g.gamma_stride
    block.entry_start = g.entry_start + start if g.entry_start != NULL else NULL
    for c in range(3):
        block.aux[c] = NULL
    for t in range(g.n_channels):
        c = g.channel[t]
        block.aux[c] = g.aux[c] + start
        block.fa[c] = w.fa[c] + local
        block.fna[c] = w.fna[c] + local
        for s in range(t + 1):
            pair = packed(c) + g.channel[s]
            block.faa[pair] = w.faa[pair] + local


cdef inline void evaluate_rows(
    const Model *g, Work *w, Index unit, Index top_row
) noexcept nogil:
    """Densities of a level-2 unit's rows at all nodes.

    Adds to the log posterior and the column scores, and keeps the (weighted)
    second derivatives of the unit's rows.
    """
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.places, begin = lev.first[unit], end = lev.first[unit + 1]
    cdef Index step = CHUNK // R if R < CHUNK else 1
    cdef Index start = begin, stop, i, q, t, local, entry
    cdef double weight
    cdef Block block
    if g.bernoulli != NULL and g.bernoulli[unit] and R <= CHUNK:
        bernoulli_rows(g, w, unit, top_row)
        return
    block.n_nodes = R
    block.n_parts = g.n_parts
    block.nu = w.nu
    block.f = w.f
    block.f1 = w.f1
    while start < end:
        stop = run_end(g, start, end, step)
        fill_predictors(g, w, start, stop, top_row)
        local = (start - begin) * R
        entry = (entry_of(g, start) - entry_of(g, begin)) * R
        place_block(g, w, &block, start, stop, local)
        if g.part != NULL:
            block.kind = g.kind + start * g.kind_stride
            block.kind_stride = g.kind_stride
            block.part = g.part + start
            block.portion = g.portion + start * g.n_parts
            block.part_weight = beginning_at(g.part_weight, start)
        block.f2 = w.f2 + entry
        if g.derivatives:
            clear_auxiliary(g, &block)
        density_block(kind_of(g, start), &block, g.derivatives)
        for i in range(start, stop):
            weight = element(g.row_weight, i)
            t = (i - start) * R
            for q in range(R):
                w.log_posterior[2][q] += weight * w.f[t + q]
        if g.derivatives:
            accumulate_rows(g, w, begin, start, stop)
        start = stop
