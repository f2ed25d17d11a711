"""Log likelihood of nested clusters by quadrature, with score, Hessian and posterior moments.

The compiled module, included by ``kernel_*.pyx`` to be compiled for several instruction
sets: checks arrays, shares top-level clusters among threads and adds up. The
mathematics is in the headers, from the inside out: ``density`` (one row),
``integrate`` (one unit), ``moments``; ``model`` holds the arrays.

Memory and order of sums
------------------------
Work proceeds one top-level cluster at a time in scratch space owned by a
thread; nu, f, f', f'' of a level-2 unit are a block of (rows, nodes). Clusters
are grouped into blocks whose borders depend on the data alone. Each block sums
its clusters in order into its own slot and the caller adds the slots in order:
results do not depend on the number of threads.
"""

from cython.parallel cimport prange, threadid
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from bernoulli cimport kind_of_unit
from block cimport (
    BINOMIAL, COMPOSITE, GAMMA, GAUSSIAN, LINKS, LOGIT,
    NOMINAL, ORDINAL, SCALED_LOGIT, SCALED_PROBIT,
)
from integrate cimport add_gathered, evaluate_cluster, evaluate_fixed_unit, prepare_rows
from lanes cimport LANES
from model cimport (
    APART, CHANNELS, LOG_SCALE, LONG, LOWER, MAX_LEVELS, UPPER, Index, Model, Row, Work,
    column_moments_size, first_below, is_dense, kind_of, largest_unit, lay_out, moment_size, packed,
    row_of,
)
from moments cimport expand_columns
from posterior cimport n_combinations, weigh_cluster
from strided cimport strided

import numpy as np

LARGEST_LEVEL = MAX_LEVELS - 1


def needed_channels(int kind):
    """Auxiliary predictors without which the density of a kind of row cannot be computed."""
    cdef int family = kind // LINKS, link = kind % LINKS
    if family >= COMPOSITE:
        family -= COMPOSITE
    if family == ORDINAL:
        return [LOG_SCALE, LOWER, UPPER] if link == SCALED_PROBIT else [LOWER, UPPER]
    if family == GAUSSIAN or family == GAMMA or link == SCALED_PROBIT:
        return [LOG_SCALE]
    return [LOG_SCALE] if family == NOMINAL and link == SCALED_LOGIT else []


def period_of_last(node):
    """Number of nodes after which those of the last latent variable repeat; all if they do not."""
    n = len(node)
    if node.shape[1] == 0:
        return n
    last = node[:, -1]
    again = np.flatnonzero(last[1:] == last[0])
    period = int(again[0]) + 1 if len(again) else n
    if n % period or (last.reshape(-1, period) != last[:period]).any():
        return n
    return period


cdef void start_work(const Model *g, Work *w, double *memory) noexcept:
    """Hand scratch to a thread and clear what its first block adds to."""
    lay_out(g, w, memory)
    w.v_path[0] = 1.0
    if g.derivatives:
        memset(w.column_moments, 0, column_moments_size(g) * sizeof(double))


cdef class Kernel:
    """The arrays of a model, ready to be evaluated at many parameter values.

    The parameter vector of the kernel has the P coefficients of pairs, then
    the auxiliary parameters, then the odds parameters of discrete levels.

    Parameters
    ----------
    kind : (N,) int32
        Family and link of each row; rows of one kind should be adjacent. Its stride may be zero.
    y, denominator, constant, row_weight, offset : (N,) float64
        ``constant`` is the part of the log density that depends on y only. Strides of all but y
        may be zero.
    kinds : sequence of int
        Kinds of rows that occur.
    row_start : (N + 1,) int64, column : int32, value : float64
        Design columns, compressed by rows; column numbers ascend in a row. If ``row_start``
        is None, values are (N, C), all columns of each row.
    entry_start : (N + 1,) int64, or None
        Entries of each row: its place in its choice set; without choice sets each has 1.
    pair_start : (C + 1,) int64; pair_latent : (P,) int32
        Latent variable (0: none) of each coefficient, sorted by column.
    auxiliary : sequence of (channel, start, column)
        Auxiliary predictors in use, ascending, compressed by rows.
    n_aux : int
        Number of auxiliary parameters.
    levels : sequence of (first, weight, node, n_odds), lowest level first
        ``first`` (units + 1,) int64, ``weight`` (units,), which may have a stride of zero,
        ``node`` (nodes, latent variables of the level).
    blocks : (B + 1,) int64
        Borders of the blocks of top-level clusters that are summed together.
    composite : (part, portion, weight), optional
        Composite links: (N,) int32, (N, parts), (N,), the last perhaps with a stride of zero; see
        ``composite.pxd``.
    product_form : bool
        Whether units of binary rows are computed as in ``bernoulli.pxd``.
    constant_columns : sequence of int
        Columns that are known to be the same in all rows.
    threads : int
        For looking at the rows here; ``evaluate`` has its own.
    """

    cdef Model model
    # Scratch of ``reserve``, kept from one evaluation to the next: fresh memory is slow.
    cdef double *memory
    cdef Index reserved
    cdef const long long[::1] blocks
    cdef double[::1] fixed_coefficient
    # Keeps alive what the model points at.
    cdef list keep

    def __init__(
        self, const int[:] kind,
        const double[::1] y, const double[:] denominator, const double[:] constant,
        const double[:] row_weight, const double[:] offset,
        kinds, const long long[::1] row_start, const int[::1] column, const double[::1] value,
        const long long[::1] entry_start,
        const long long[::1] pair_start, const int[::1] pair_latent,
        auxiliary, int n_aux, levels, const long long[::1] blocks, composite=None,
        bint product_form=True, constant_columns=(), int threads=1,
    ):
        cdef Model *g = &self.model
        cdef Index n = y.shape[0], below = 0, i
        cdef int channel
        cdef const long long[::1] first
        cdef const int[::1] aux_column
        cdef const int[::1] every_column
        cdef const double[:] weight
        for length in [kind.shape[0], denominator.shape[0], constant.shape[0],
                       row_weight.shape[0], offset.shape[0]]:
            if length != n:
                raise ValueError("row arrays differ in length")
        g.n_columns = pair_start.shape[0] - 1
        if row_start is None:
            if value.shape[0] != n * g.n_columns:
                raise ValueError("design columns do not fit the rows")
        elif row_start.shape[0] != n + 1 or row_start[n] != value.shape[0]:
            raise ValueError("design columns do not fit the rows")
        if entry_start is not None and entry_start.shape[0] != n + 1:
            raise ValueError("entries do not fit the rows")
        if len(levels) + 2 > MAX_LEVELS:
            raise ValueError("too many levels")
        self.keep = [kind, y, denominator, constant, row_weight, offset, row_start, column, value,
                     entry_start, pair_start, pair_latent]
        self.blocks = blocks
        g.kind = &kind[0]
        g.kind_stride = kind.strides[0] // <Index>sizeof(int)
        g.mixed = len(kinds) > 1
        g.n_rows = n
        g.y = &y[0]
        g.denominator = strided(denominator)
        g.constant = strided(constant)
        g.row_weight = strided(row_weight)
        g.offset = strided(offset)
        if row_start is None:
            every_column = np.arange(max(1, g.n_columns), dtype=np.int32)
            self.keep.append(every_column)
            g.every_column = &every_column[0]
        else:
            g.row_start = &row_start[0]
            g.column = &column[0] if column.shape[0] else NULL
        g.value = &value[0] if value.shape[0] else NULL
        g.largest_group = 1
        if entry_start is not None:
            g.entry_start = &entry_start[0]
            for i in range(n):
                if entry_start[i + 1] - entry_start[i] > g.largest_group:
                    g.largest_group = entry_start[i + 1] - entry_start[i]
        g.n_pairs = pair_latent.shape[0]
        if pair_start[g.n_columns] != g.n_pairs:
            raise ValueError("pairs do not fit the columns")
        g.pair_start = &pair_start[0]
        g.pair_latent = &pair_latent[0] if g.n_pairs else NULL
        latent_start = np.array(pair_start[:g.n_columns])
        for i in range(g.n_columns):
            if pair_start[i] < pair_start[i + 1] and pair_latent[pair_start[i]] == 0:
                latent_start[i] += 1
        first = latent_start
        self.fixed_coefficient = np.zeros(max(1, g.n_columns))
        self.keep.append(first)
        g.latent_start = &first[0] if g.n_columns else NULL
        g.fixed_coefficient = &self.fixed_coefficient[0]
        g.n_channels = len(auxiliary)
        for i, (channel_, first_, aux_column_) in enumerate(auxiliary):
            channel = channel_
            first = first_
            aux_column = aux_column_
            if not 0 <= channel < CHANNELS or first.shape[0] != n + 1:
                raise ValueError("auxiliary predictors do not fit the rows")
            self.keep.extend([first, aux_column])
            g.channel[i] = channel
            g.aux_start[channel] = &first[0]
            g.aux_column[channel] = &aux_column[0] if aux_column.shape[0] else NULL
        for code in kinds:
            for channel in needed_channels(code):
                if g.aux_start[channel] == NULL:
                    raise ValueError(f"rows of kind {code} need auxiliary predictor {channel}")
            if entry_start is None and code // LINKS % COMPOSITE == NOMINAL:
                raise ValueError("nominal rows need the entries of their choice sets")
            if composite is None and code >= COMPOSITE * LINKS:
                raise ValueError("composite rows need the parts of their composites")
        if composite is not None:
            self.set_composite(composite[0], composite[1], composite[2])
        g.n_aux = n_aux
        g.n_parameters = g.n_pairs + n_aux
        g.n_levels = len(levels) + 1
        for i, (first_, weight_, node_, n_odds) in enumerate(levels):
            first = first_
            weight = weight_
            if first.shape[0] != weight.shape[0] + 1:
                raise ValueError(f"arrays of level {i + 2} differ in length")
            self.keep.extend([first, weight])
            g.level[i + 2].n_units = weight.shape[0]
            g.level[i + 2].first = &first[0]
            g.level[i + 2].weight = strided(weight)
            g.level[i + 2].n_latent = node_.shape[1]
            g.level[i + 2].below = below
            g.level[i + 2].n_odds = n_odds
            g.level[i + 2].odds = g.n_parameters
            g.n_parameters += n_odds
            below += node_.shape[1]
        g.n_latent = below
        if first_below(g, g.n_levels, g.level[g.n_levels].n_units, 1) != n:
            raise ValueError("clusters do not cover the rows")
        for i in range(2, g.n_levels + 1):
            for below in range(i):
                g.largest[i][below] = largest_unit(g, i, below)
        g.fixed = (
            g.n_levels == 2 and g.n_latent == 0 and len(levels[0][2]) == 1
            and g.largest_group == 1 and composite is None
            and g.n_pairs == g.n_columns
        )
        for i in range(blocks.shape[0] - 1):
            n = first_below(g, g.n_levels, blocks[i + 1], 1)
            n -= first_below(g, g.n_levels, blocks[i], 1)
            g.largest_block = n if n > g.largest_block else g.largest_block
        self.set_nodes([node for _, _, node, _ in levels])
        self.set_column_pairs()
        if product_form and composite is None and not g.fixed:
            self.set_bernoulli(constant_columns, threads)

    def __dealloc__(self):
        free(self.memory)

    cdef double *reserve(self, Index size) except NULL:
        """Return ``size`` doubles of any value, the same as before if there were as many."""
        if size > self.reserved:
            free(self.memory)
            self.reserved = 0
            self.memory = <double *>malloc(size * sizeof(double))
            if self.memory == NULL:
                raise MemoryError(f"{size * 8} bytes of scratch space")
            self.reserved = size
        return self.memory

    def with_nodes(self, nodes):
        """Return a kernel of the same rows, units and coefficients.

        Parameters
        ----------
        nodes : sequence of (nodes, latent variables of the level)
            Of each level, lowest first.
        """
        cdef Kernel other = Kernel.__new__(Kernel)
        other.model = self.model
        other.blocks = self.blocks
        # Filled at each evaluation.
        other.fixed_coefficient = np.zeros(self.fixed_coefficient.shape[0])
        other.model.fixed_coefficient = &other.fixed_coefficient[0]
        other.keep = [self]
        other.set_nodes(nodes)
        return other

    cdef set_nodes(self, nodes):
        """Point the levels at their nodes."""
        cdef Model *g = &self.model
        cdef const double[:, ::1] node
        cdef Index t
        for t, node_ in enumerate(nodes, start=2):
            node = node_
            if node.shape[1] != g.level[t].n_latent:
                raise ValueError(f"nodes of level {t} do not fit its latent variables")
            self.keep.append(node)
            g.level[t].n_nodes = node.shape[0]
            g.level[t].node = &node[0, 0] if node.shape[1] else NULL
        self.set_places(np.asarray(nodes[0]))

    cdef set_places(self, node):
        """Lay the nodes of level 2 out in whole vectors; see ``Level``."""
        cdef Model *g = &self.model
        cdef const double[:, ::1] place
        cdef const double[::1] half_square
        n = len(node)
        # Without latent variables rows stand in the vectors.
        g.level[2].places = 1 if g.fixed else (n + LANES - 1) // LANES * LANES
        g.n_gathered = max(1, LONG // g.level[2].places)
        padded = np.concatenate([node, np.repeat(node[n - 1 :], g.level[2].places - n, axis=0)])
        g.level[2].period = period_of_last(padded[:n])
        half_square = 0.5 * (padded**2).sum(axis=1)
        place = np.ascontiguousarray(padded.T)
        self.keep.extend([half_square, place])
        g.level[2].half_square = &half_square[0]
        g.level[2].place = &place[0, 0] if g.level[2].n_latent else NULL

    cdef set_column_pairs(self):
        """Number the pairs of columns that meet in a row, where that saves work.

        Worth it if a unit's rows share pairs: with sums over rows by pairs of columns,
        posterior moments are taken once for each pair instead of once for each row.
        """
        cdef Model *g = &self.model
        cdef Index i, size = packed(g.n_latent + 1), n_pairs = packed(g.n_columns)
        cdef Index met = 0, number = 0, seen = 0, z, y
        cdef Row x
        cdef int[::1] column_pair
        if g.n_levels > 2 or g.largest_group > 1 or g.fixed or not 0 < g.n_columns <= 256:
            return
        column_pair = np.full(n_pairs, 0 if is_dense(g) else -1, dtype=np.int32)
        if is_dense(g):
            met = g.n_rows * n_pairs
        else:
            with nogil:
                for i in range(g.n_rows):
                    x = row_of(g, i)
                    met += packed(x.n)
                    # As a rule a few rows show all pairs.
                    if seen < n_pairs:
                        for z in range(x.n):
                            for y in range(z + 1):
                                seen += column_pair[packed(x.column[z]) + x.column[y]] < 0
                                column_pair[packed(x.column[z]) + x.column[y]] = 0
        for i in range(n_pairs):
            if column_pair[i] == 0:
                column_pair[i] = number
                number += 1
        # In vectors of nodes: sums of rows and moments of pairs, or moments of rows (adding up
        # a vector takes as long as four) and then their products with columns.
        vectors = g.level[2].places / LANES
        by_columns = met * vectors + g.level[2].n_units * number * (size + 1) * vectors
        by_rows = g.n_rows * size * (vectors + 4.0) + met * size
        if by_columns < by_rows:
            self.keep.append(column_pair)
            g.by_columns = True
            g.dense_columns = is_dense(g)
            g.n_column_pairs = number
            g.column_pair = &column_pair[0]

    cdef set_bernoulli(self, constant_columns, int threads):
        """Mark the level-2 units all of whose rows are binary with a logit link."""
        cdef Model *g = &self.model
        cdef unsigned char[::1] marks = np.zeros(g.level[2].n_units, dtype=np.uint8)
        cdef unsigned char[::1] concern = np.zeros(max(1, g.n_columns), dtype=np.uint8)
        cdef Index unit, c, found = 0
        cdef long long k
        cdef bint varying = False
        if not g.mixed and kind_of(g, 0) != BINOMIAL * LINKS + LOGIT:
            return
        for c in range(g.n_columns):
            for k in range(g.latent_start[c], g.pair_start[c + 1]):
                concern[c] |= 1 if g.pair_latent[k] <= g.level[2].n_latent else 2
        for c in constant_columns:
            concern[c] = 0
        for c in range(g.n_columns):
            varying = varying or concern[c]
        with nogil:
            for unit in prange(g.level[2].n_units, num_threads=threads, schedule="static"):
                marks[unit] = kind_of_unit(g, unit, &concern[0] if varying else NULL)
            for unit in range(g.level[2].n_units):
                found += marks[unit] > 0
        if found:
            self.keep.append(marks)
            g.bernoulli = &marks[0]

    cdef set_composite(self, part_, portion_, weight_):
        """Point the model at the parts of composite links."""
        cdef Model *g = &self.model
        cdef const int[::1] part = part_
        cdef const double[:, ::1] portion = portion_
        cdef const double[:] weight = weight_
        if not part.shape[0] == portion.shape[0] == weight.shape[0] == g.n_rows:
            raise ValueError("composite arrays do not fit the rows")
        self.keep.extend([part, portion, weight])
        g.n_parts = portion.shape[1]
        g.part = &part[0]
        g.portion = &portion[0, 0]
        g.part_weight = strided(weight)

    @property
    def n_parameters(self):
        """Length of the kernel's parameter vector."""
        return self.model.n_parameters

    cdef set_values(
        self, const double[::1] coefficient, auxiliary, const double[:, ::1] gamma_terms
    ):
        """Point the model at what depends on the parameters, level distributions apart."""
        cdef Model *g = &self.model
        cdef Index i
        cdef int channel
        cdef const double[::1] predictor
        cdef const double[::1] value
        if coefficient.shape[0] != g.n_pairs:
            raise ValueError("coefficients do not fit the pairs")
        if gamma_terms.shape[0] not in (0, 1, g.n_rows) or len(auxiliary) != g.n_channels:
            raise ValueError("auxiliary values do not fit the rows")
        g.coefficient = &coefficient[0] if g.n_pairs else NULL
        for i in range(g.n_columns):
            self.fixed_coefficient[i] = (
                coefficient[g.pair_start[i]] if g.latent_start[i] > g.pair_start[i] else 0.0
            )
        g.gamma_terms = &gamma_terms[0, 0] if gamma_terms.shape[0] else NULL
        g.gamma_stride = gamma_terms.shape[1] if gamma_terms.shape[0] > 1 else 0
        for i, (predictor_, value_) in enumerate(auxiliary):
            channel = g.channel[i]
            predictor = predictor_
            value = value_
            if predictor.shape[0] != g.n_rows:
                raise ValueError("auxiliary values do not fit the rows")
            if value.shape[0] != g.aux_start[channel][g.n_rows]:
                raise ValueError("auxiliary design does not fit the rows")
            g.aux[channel] = &predictor[0]
            g.aux_value[channel] = &value[0] if value.shape[0] else NULL

    cdef set_levels(self, masses, placement, list held):
        """Point the levels at log weights, odds scores and placed nodes; keep them in ``held``."""
        cdef Model *g = &self.model
        cdef Index t
        cdef const double[:, ::1] log_weight
        cdef const double[:, :, ::1] odds_score
        cdef const double[:, ::1] shift
        cdef const double[:, ::1] scale
        cdef const double[:, :, ::1] mix
        for t in range(2, g.n_levels + 1):
            log_weight_, odds_score_ = masses[t - 2]
            log_weight = log_weight_
            if log_weight.shape[0] not in (1, g.level[t].n_units):
                raise ValueError("log weights do not fit the units")
            if log_weight.shape[1] != g.level[t].n_nodes:
                raise ValueError("log weights do not fit the nodes")
            held.append(log_weight)
            g.level[t].log_weight = &log_weight[0, 0]
            g.level[t].log_weight_stride = log_weight.shape[1] if log_weight.shape[0] > 1 else 0
            if g.level[t].n_odds:
                odds_score = odds_score_
                if odds_score.shape[1] != log_weight.shape[1]:
                    raise ValueError("odds scores do not fit the nodes")
                held.append(odds_score)
                g.level[t].odds_score = &odds_score[0, 0, 0]
                g.level[t].odds_stride = (
                    odds_score.shape[1] * odds_score.shape[2] if odds_score.shape[0] > 1 else 0
                )
            g.level[t].shift = NULL
            if placement is not None and g.level[t].n_latent:
                shift, scale, mix = placement[t - 2]
                if shift.shape[0] != g.level[t].n_units or mix.shape[2] != g.n_latent:
                    raise ValueError("placement does not fit the units")
                held.extend([shift, scale, mix])
                g.level[t].shift = &shift[0, 0]
                g.level[t].scale = &scale[0, 0]
                g.level[t].mix = &mix[0, 0, 0]

    def evaluate(
        self, const double[::1] coefficient, auxiliary, const double[:, ::1] gamma_terms,
        masses, placement, bint derivatives, bint moments, bint cluster_scores,
        double[:, ::1] first_derivatives, int threads, const long long[::1] chosen=None,
    ):
        """Evaluate the log likelihood and what is asked for beside it.

        Parameters
        ----------
        coefficient : (P,)
            Coefficients of the pairs.
        auxiliary : sequence of (predictor (N,), value)
            Of each auxiliary predictor its values and its compressed design.
        gamma_terms : (N or 1, 4), or empty except for the gamma family
            See ``auxiliary.pyx``; one row if they are the same for all.
        masses : sequence of (log_weight, odds_score) per level
            (1 or units, nodes) and (1 or units, nodes, odds).
        placement : sequence of (shift, scale, mix) per level, or None
            Nodes of adaptive quadrature; None for the nodes as they are.
        derivatives, moments, cluster_scores : bool
        first_derivatives : (N, channels), or empty
            Filled with the posterior means of the derivatives in the auxiliary predictors.
        threads : int
        chosen : (blocks,), optional
            Numbers of the blocks of clusters to evaluate; the others contribute nothing.

        Returns
        -------
        log_likelihood : (top-level clusters,)
        scores : (parameters,), with ``cluster_scores`` (clusters, parameters), or None
        hessian : (parameters, parameters) symmetric, or None
        moments : list of (units, size) arrays per level, or None
        """
        cdef Model *g = &self.model
        cdef Index top = g.n_levels, K = g.n_parameters, n_blocks = self.blocks.shape[0] - 1
        cdef Index b, j, t, size, slot, row, k, h
        cdef double[:, ::1] moment_view
        cdef const long long[::1] blocks = self.blocks
        wanted_ = np.ones(n_blocks, dtype=np.uint8)
        if chosen is not None:
            wanted_[:] = 0
            wanted_[np.asarray(chosen)] = 1
        cdef const unsigned char[::1] wanted = wanted_
        cdef list held = []
        self.set_values(coefficient, auxiliary, gamma_terms)
        self.set_levels(masses, placement, held)
        g.derivatives = derivatives
        g.moments = moments
        g.first_derivatives = &first_derivatives[0, 0] if first_derivatives.shape[0] else NULL
        moment_arrays = []
        if moments:
            for t in range(2, top + 1):
                size = moment_size(g, t, top)
                moment_arrays.append(np.zeros((g.level[t].n_units, size)))
                g.level[t].moments = NULL
                if size:
                    moment_view = moment_arrays[t - 2]
                    g.level[t].moments = &moment_view[0, 0]
        log_likelihood = np.zeros(g.level[top].n_units)
        # Apart, so that threads do not write to the same cache lines.
        cdef Index n_slots = g.level[top].n_units if cluster_scores else n_blocks
        cdef Index score_size = K if cluster_scores else K + APART, hessian_size = K * K + APART
        scores = np.zeros((n_slots if derivatives else 1, max(1, score_size)))
        cdef double[::1] log_likelihood_view = log_likelihood
        cdef double[:, ::1] score_view = scores
        cdef Index n_threads = threads if 0 < threads < n_blocks else n_blocks
        cdef Work *works = <Work *>calloc(n_threads, sizeof(Work))
        cdef Index needed, hessians_size = n_blocks * hessian_size if derivatives else 0
        cdef double *hessians
        cdef Work *w
        if works == NULL:
            raise MemoryError
        try:
            needed = lay_out(g, works, NULL)
            hessians = self.reserve(hessians_size + n_threads * needed)
            memset(hessians, 0, hessians_size * sizeof(double))
            for j in range(n_threads):
                start_work(g, works + j, hessians + hessians_size + j * needed)
            with nogil:
                for b in prange(n_blocks, schedule="dynamic", chunksize=1, num_threads=n_threads):
                    if not wanted[b]:
                        continue
                    w = works + threadid()
                    row = first_below(g, top, blocks[b], 1)
                    if not g.fixed:
                        prepare_rows(g, w, blocks[b], blocks[b + 1])
                    for j in range(blocks[b], blocks[b + 1]):
                        slot = 0
                        if derivatives:
                            slot = j if cluster_scores else b
                        if g.fixed:
                            evaluate_fixed_unit(
                                g, w, j, &log_likelihood_view[0], &score_view[slot, 0],
                                hessians + b * hessian_size,
                            )
                        else:
                            evaluate_cluster(
                                g, w, j, row, &log_likelihood_view[0], &score_view[slot, 0],
                                hessians + b * hessian_size,
                            )
                    if derivatives:
                        add_gathered(g, w, hessians + b * hessian_size)
                        expand_columns(g, w, hessians + b * hessian_size)
        finally:
            free(works)
        held.clear()
        if not derivatives:
            return log_likelihood, None, None, moment_arrays if moments else None
        # In the order of the blocks, whichever thread computed them.
        hessian = np.zeros((K, K))
        score = scores[:, :K] if cluster_scores else np.zeros(K)
        cdef double[:, ::1] total = hessian
        cdef double[::1] total_score = np.zeros(K) if cluster_scores else score
        for b in range(n_blocks):
            for k in range(K):
                for h in range(k + 1):
                    total[k, h] += hessians[b * hessian_size + k * K + h]
                if not cluster_scores:
                    total_score[k] += score_view[b, k]
        for k in range(K):
            for h in range(k):
                total[h, k] = total[k, h]
        return log_likelihood, score, hessian, moment_arrays if moments else None

    def posterior_nodes(
        self, const double[::1] coefficient, auxiliary, const double[:, ::1] gamma_terms,
        masses, placement, Index begin, Index end, int threads,
    ):
        """Posterior weights of all combinations of nodes, for some top-level clusters.

        The first five parameters are those of ``evaluate``.

        Parameters
        ----------
        begin, end : int
            The clusters ``begin <= j < end``.
        threads : int

        Returns
        -------
        weights : (level-2 units of the clusters, combinations)
            See ``posterior.pxd`` for the order of the combinations.
        values : (level-2 units, combinations, latent variables) or None
            The placed nodes; None without a placement, when all units share theirs.
        """
        cdef Model *g = &self.model
        cdef Index top = g.n_levels, first, n_units, R, j, n_threads, needed
        cdef list held = []
        cdef double[:, ::1] weight_view
        cdef double[:, :, ::1] value_view
        cdef double *values = NULL
        cdef double *memory
        cdef Work *works
        if not 0 <= begin < end <= g.level[top].n_units:
            raise ValueError("no such clusters")
        self.set_values(coefficient, auxiliary, gamma_terms)
        self.set_levels(masses, placement, held)
        g.derivatives = False
        g.moments = False
        g.first_derivatives = NULL
        first = first_below(g, top, begin, 2)
        n_units = first_below(g, top, end, 2) - first
        R = n_combinations(g, top)
        weights = np.zeros((n_units, R))
        weight_view = weights
        placed = None
        if placement is not None and g.n_latent:
            placed = np.empty((n_units, R, g.n_latent))
            value_view = placed
            values = &value_view[0, 0, 0]
        n_threads = max(1, min(threads, end - begin))
        works = <Work *>calloc(n_threads, sizeof(Work))
        if works == NULL:
            raise MemoryError
        try:
            needed = lay_out(g, works, NULL)
            memory = self.reserve(n_threads * needed)
            for j in range(n_threads):
                start_work(g, works + j, memory + j * needed)
            with nogil:
                for j in prange(begin, end, schedule="dynamic", chunksize=16,
                                num_threads=n_threads):
                    weigh_cluster(g, works + threadid(), j, first, &weight_view[0, 0], values)
        finally:
            free(works)
        held.clear()
        return weights, placed
