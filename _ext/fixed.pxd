# cython: language_level=3, cdivision=True
"""Rows without latent variables: the model with which estimation starts.

There is one node, so rows lie side by side in the vectors that hold nodes elsewhere, and
sums over rows need no posterior weights. Each column has a single coefficient.
"""

from block cimport Block
from density cimport density_block
from model cimport CHUNK, Index, Model, Row, Work, kind_of, packed, row_of
from moments cimport expand_auxiliary
from rows cimport place_block
from scores cimport clear_auxiliary
from strided cimport Strided, element


cdef inline void derivatives_of_row(
    const Model *g, Work *w, Index i, Index local, double weight, double *score, double *hessian
) noexcept nogil:
    """Add a row's derivatives, which stand at ``local``, to score and Hessian."""
    cdef Index K = g.n_parameters, t, s, c, z, y
    cdef long long a
    cdef Row x = row_of(g, i)
    cdef double first = weight * w.f1[local], second = weight * w.f2[local], factor
    cdef double moment[16]
    cdef double *row
    for z in range(x.n):
        score[x.column[z]] += first * x.value[z]
        factor = second * x.value[z]
        row = hessian + x.column[z] * K
        for y in range(z + 1):
            # Column numbers ascend in a row.
            row[x.column[y]] += factor * x.value[y]
    for t in range(g.n_channels):
        c = g.channel[t]
        moment[t] = weight * w.fna[c][local]
        for s in range(t + 1):
            moment[g.n_channels + packed(t) + s] = (
                weight * w.faa[packed(c) + g.channel[s]][local]
            )
        factor = weight * w.fa[c][local]
        for a in range(g.aux_start[c][i], g.aux_start[c][i + 1]):
            score[g.n_pairs + g.aux_column[c][a]] += factor * g.aux_value[c][a]
        if g.first_derivatives != NULL:
            g.first_derivatives[i * g.n_channels + t] = factor
    if g.n_channels:
        expand_auxiliary(g, i, moment, hessian)


cdef inline double evaluate_fixed(
    const Model *g, Work *w, Index begin, Index end, double weight, double *score, double *hessian
) noexcept nogil:
    """Log likelihood of rows begin..end; adds to the score and the Hessian's lower triangle."""
    cdef Index start = begin, stop, i, z
    cdef int kind
    cdef double value = 0.0, nu, own
    cdef Strided offset = g.offset, row_weight = g.row_weight
    cdef Row x
    cdef Block block
    block.n_nodes = 1
    block.n_parts = 0
    block.nu = w.nu
    block.f = w.f
    block.f1 = w.f1
    block.f2 = w.f2
    while start < end:
        stop = start
        kind = kind_of(g, start)
        while stop < end and stop < start + CHUNK and kind_of(g, stop) == kind:
            nu = element(offset, stop)
            x = row_of(g, stop)
            for z in range(x.n):
                nu += x.value[z] * g.coefficient[x.column[z]]
            w.nu[stop - start] = nu
            stop += 1
        place_block(g, w, &block, start, stop, 0)
        if g.derivatives:
            clear_auxiliary(g, &block)
        density_block(kind, &block, g.derivatives)
        for i in range(start, stop):
            own = element(row_weight, i)
            value += own * w.f[i - start]
            if g.derivatives:
                derivatives_of_row(g, w, i, i - start, weight * own, score, hessian)
        start = stop
    return value
