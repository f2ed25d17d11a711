# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""Log likelihood of nested clusters by quadrature, with score, Hessian and posterior moments.

The compiled module: checks arrays, shares top-level clusters among threads and
adds up. The mathematics is in the headers, from the inside out: ``density``
(one row), ``integrate`` (one unit), ``moments``; ``model`` holds the arrays.

Memory and order of sums
------------------------
Work proceeds one top-level cluster at a time in scratch space owned by a
thread; nu, f, f', f'' of a level-2 unit are a block of (rows, nodes). Clusters
are grouped into blocks whose borders depend on the data alone. Each block sums
its clusters in order into its own slot and the caller adds the slots in order:
results do not depend on the number of threads.
"""

from cython.parallel cimport prange, threadid
from libc.stdlib cimport calloc, free

from integrate cimport evaluate_cluster
from model cimport MAX_LEVELS, Index, Model, Work, first_below, lay_out, moment_size

import numpy as np

LARGEST_LEVEL = MAX_LEVELS - 1

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
