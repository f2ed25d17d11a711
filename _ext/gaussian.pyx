# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""Log likelihood of linear mixed models in closed form, with score and Hessian.

The compiled module: checks arrays, shares blocks of top-level units among threads and adds up.
``crossproducts`` passes over the rows once; ``nested`` evaluates from the sums, a few units in
the lanes of a vector (``quadratics``).

Memory and order of sums
------------------------
The sums of each lowest unit stay in memory. A thread holds the matrices of the units of one
block. Borders of blocks depend on the data alone and blocks are added in order: results do not
depend on the number of threads.
"""

from cython.parallel cimport prange, threadid
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from crossproducts cimport FEW_COLUMNS, Dense, Rows, add_dense, add_rows, mark_pairs
from quadratics cimport LANES, Index, packed
from nested cimport (
    APART, MOST_LEVELS, PRODUCTS_AT_A_TIME, Forms, Nested, Scratch, evaluate_block, n_groups,
)
from strided cimport Strided, strided

import numpy as np

UNITS_TOGETHER = LANES


def distinct_rows(columns, int most):
    """Number the distinct rows of some columns in the order of their first appearance.

    Parameters
    ----------
    columns : sequence of (N,) float64
    most : int
        Largest number of distinct rows wanted.

    Returns
    -------
    number : (N,) int32
    first : list of int
        Where each distinct row appears first. None if there are more than ``most``.
    """
    cdef Index n = len(columns[0]), width = len(columns), i, c, known = 0, last = 0
    cdef const double[::1] one
    cdef const double **column = <const double **>calloc(width, sizeof(double *))
    cdef Index *first = <Index *>calloc(max(most, 1), sizeof(Index))
    number = np.empty(n, dtype=np.int32)
    cdef int[::1] numbers = number
    try:
        if column == NULL or first == NULL:
            raise MemoryError
        for c in range(width):
            one = columns[c]
            if one.shape[0] != n:
                raise ValueError("columns differ in length")
            column[c] = &one[0]
        with nogil:
            for i in range(n):
                last = find_row(column, width, i, first, known, last)
                if last == known:
                    if known == most:
                        break
                    first[known] = i
                    known += 1
                numbers[i] = <int>last
        if last == most:
            return None
        return number, [first[c] for c in range(known)]
    finally:
        free(column)
        free(first)


cdef Index find_row(
    const double **column, Index width, Index i, const Index *first, Index known, Index last
) noexcept nogil:
    """Number of the known row that equals row ``i``; ``known`` if none does."""
    cdef Index c, k, step
    for step in range(known):
        # Rows often follow each other in the same order: begin after the last one.
        k = (last + 1 + step) % known
        c = 0
        while c < width and column[c][i] == column[c][first[k]]:
            c += 1
        if c == width:
            return k
    return known


def cross_products(
    columns, const double[::1] shift, const double[::1] y, const double[:] offset,
    const double[:] weight, group_, int n_variances,
    const long long[::1] first, const long long[::1] block_first, int threads,
):
    """Sums of products of the rows of each lowest unit.

    Parameters
    ----------
    columns : sequence of (N,) float64
        Design columns. As offset and weight they may have a stride of zero.
    shift : (C,)
        Coefficients of the columns whose prediction is taken off the response.
    y, offset, weight : (N,)
    group_ : (N,) int32, or None if ``n_variances`` is 1
        Residual variance of each row.
    first : (units + 1,)
        First row of each unit.
    block_first : (blocks + 1,)
        First unit of each block.
    threads : int

    Returns
    -------
    pairs : (products, 3) int64
        Residual variance and columns a >= b of each product; column C is the response less
        offset and shift.
    sums : (groups of units, products + n_variances, UNITS_TOGETHER)
        After the products the sums of weights by residual variance. Blocks start new groups.
    """
    cdef Index C = len(columns), N = y.shape[0], B = block_first.shape[0] - 1, c
    cdef Rows r
    cdef const int[::1] group
    if offset.shape[0] != N or weight.shape[0] != N or shift.shape[0] != C:
        raise ValueError("row arrays differ in length")
    if first[first.shape[0] - 1] != N or block_first[B] != first.shape[0] - 1:
        raise ValueError("units do not cover the rows")
    r.group = NULL
    if group_ is not None:
        group = group_
        if group.shape[0] != N:
            raise ValueError("row arrays differ in length")
        r.group = &group[0]
    elif n_variances != 1:
        raise ValueError("rows need the number of their residual variance")
    cdef char[::1] room = np.zeros((C + 1) * sizeof(Strided), dtype=np.int8)
    cdef Strided *column = <Strided *>&room[0]
    for c in range(C):
        if len(columns[c]) != N:
            raise ValueError("design columns do not fit the rows")
        column[c] = strided(columns[c])
    r.n_columns = C
    r.column = column
    r.shift = &shift[0] if C else NULL
    r.y = &y[0]
    r.offset = strided(offset)
    r.weight = strided(weight)
    threads = max(1, min(threads, B))
    if C < FEW_COLUMNS and r.group == NULL:
        return dense_products(&r, first, block_first, threads)
    return sparse_products(&r, n_variances, first, block_first, threads)


cdef dense_products(
    const Rows *r, const long long[::1] first, const long long[::1] block_first, int n_threads
):
    """``cross_products`` of few columns: all pairs."""
    cdef Index B = block_first.shape[0] - 1, b, u, slot, width = r.n_columns + 1
    cdef const long long[::1] start = first_groups(np.asarray(block_first))
    # Cleared by the thread that fills it: to touch memory first takes time, too.
    sums = np.empty((start[B], packed(width) + 1, LANES))
    cdef double[:, :, ::1] out = sums
    cdef Dense *scratch = <Dense *>malloc(n_threads * sizeof(Dense))
    if scratch == NULL:
        raise MemoryError
    with nogil:
        for b in prange(B, schedule="dynamic", chunksize=1, num_threads=n_threads):
            memset(
                &out[start[b], 0, 0], 0,
                (start[b + 1] - start[b]) * out.shape[1] * LANES * sizeof(double),
            )
            for u in range(block_first[b], block_first[b + 1]):
                slot = u - block_first[b]
                add_dense(
                    r, first[u], first[u + 1],
                    &out[start[b] + slot // LANES, 0, slot % LANES], scratch + threadid(),
                )
    free(scratch)
    pairs = [(0, a, b) for a in range(width) for b in range(a + 1)]
    return np.array(pairs, dtype=np.int64), sums


cdef sparse_products(
    const Rows *r, int n_variances, const long long[::1] first,
    const long long[::1] block_first, int n_threads,
):
    """``cross_products`` of many columns: pairs that occur."""
    cdef Index width = r.n_columns + 1, B = block_first.shape[0] - 1
    cdef Index b, u, slot, n_products, table = n_variances * width * width
    cdef int t
    cdef int[:, ::1] found = np.zeros((n_threads, table + APART), dtype=np.int32)
    cdef Index[:, :, ::1] at = np.zeros((n_threads, 2, width + APART), dtype=np.intp)
    cdef double[:, ::1] x = np.zeros((n_threads, width + APART))
    with nogil:
        for b in prange(B, schedule="dynamic", chunksize=1, num_threads=n_threads):
            t = threadid()
            mark_pairs(
                r, first[block_first[b]], first[block_first[b + 1]],
                &found[t, 0], &at[t, 0, 0], &x[t, 0], &at[t, 1, 0],
            )
    marks = np.asarray(found)[:, :table].max(axis=0).reshape(n_variances, width, width)
    pairs = np.argwhere(marks)
    n_products = len(pairs)
    numbers = np.zeros_like(marks)
    numbers[tuple(pairs.T)] = np.arange(n_products)
    cdef const int[:, :, ::1] number = numbers
    cdef const long long[::1] start = first_groups(np.asarray(block_first))
    sums = np.zeros((start[B], n_products + n_variances, LANES))
    cdef double[:, :, ::1] out = sums
    with nogil:
        for b in prange(B, schedule="dynamic", chunksize=1, num_threads=n_threads):
            t = threadid()
            for u in range(block_first[b], block_first[b + 1]):
                slot = u - block_first[b]
                add_rows(
                    r, first[u], first[u + 1], &number[0, 0, 0], n_products,
                    &out[start[b] + slot // LANES, 0, slot % LANES], &at[t, 0, 0], &x[t, 0],
                )
    return pairs, sums


def first_groups(block_first):
    """First group of units of each block, (blocks + 1,)."""
    groups = -(-np.diff(block_first) // LANES)
    return np.append(0, np.cumsum(groups)).astype(np.int64)


cdef class NestedQuadratics:
    """Sums of nested units, ready to be evaluated at many linear forms of them.

    Parameters
    ----------
    sums : (groups of units, n_sums, UNITS_TOGETHER)
        From ``cross_products``.
    levels : sequence of (n_latent, block_first, parent, weight, total_weight), lowest first
        Own latent variables; ``block_first`` (blocks + 1,) is the first unit of each block, the
        others are (units,), ``parent`` the unit of the next level (empty at the top).
    """

    cdef Nested model
    cdef list keep

    def __init__(self, const double[:, :, ::1] sums, levels):
        cdef Nested *g = &self.model
        cdef Index t, size
        cdef const long long[::1] block_first
        cdef const long long[::1] parent
        cdef const double[:] weight
        cdef const double[:] total_weight
        if not 0 < len(levels) <= MOST_LEVELS:
            raise ValueError("too many levels")
        g.n_levels = len(levels)
        size = 1 + sum(level[0] for level in levels)
        first_group = first_groups(np.asarray(levels[0][1]))
        self.keep = [sums, first_group]
        for t, (n_latent, block_first_, parent_, weight_, total_weight_) in enumerate(levels):
            block_first = block_first_
            parent = parent_
            weight = weight_
            total_weight = total_weight_
            if block_first.shape[0] != first_group.shape[0]:
                raise ValueError("levels differ in their number of blocks")
            if block_first[block_first.shape[0] - 1] != weight.shape[0]:
                raise ValueError("blocks do not cover the units")
            if total_weight.shape[0] != weight.shape[0]:
                raise ValueError("arrays of units differ in length")
            if t + 1 < len(levels) and parent.shape[0] != weight.shape[0]:
                raise ValueError("arrays of units differ in length")
            self.keep.extend([block_first, parent, weight, total_weight])
            g.level[t].size = size
            size -= n_latent
            g.level[t].rest = size
            g.level[t].first = &block_first[0]
            g.level[t].parent = &parent[0] if parent.shape[0] else NULL
            g.level[t].weight = strided(weight)
            g.level[t].total_weight = strided(total_weight)
        if sums.shape[0] != first_group[len(first_group) - 1] or sums.shape[2] != LANES:
            raise ValueError("sums do not fit the units")
        g.n_sums = sums.shape[1]
        g.sums = &sums[0, 0, 0]
        cdef const long long[::1] start = first_group
        g.first_group = &start[0]

    @property
    def n_blocks(self):
        """Number of blocks."""
        return len(self.keep[1]) - 1

    def evaluate(
        self, const long long[::1] form, const long long[::1] cell, const int[::1] place,
        const int[::1] entry, const double[::1] value, bint derivatives, bint unit_scores,
        int threads,
    ):
        """Evaluate the log likelihood and what is asked for beside it.

        Forms are lists of cells, cells lists of entries: element ``place`` of form k of a unit
        is the sum over the entries of the cell of ``value`` times sum number ``entry``. Form 0
        is Q, with z = (1, latent variables, those of the highest level first), packed by rows of
        the lower triangle; forms 1 to P are its derivatives in the parameters.

        Parameters
        ----------
        form : (P + 2,)
            First cell of each form.
        cell : (cells + 1,)
            First entry of each cell.
        place : (cells,)
        entry, value : (entries,)
        derivatives, unit_scores : bool
        threads : int

        Returns
        -------
        log_likelihood : float
        size : float
            Of the numbers it is the difference of: times the precision of arithmetic its error.
        terms : (entries of form 0,), or None
            Sums over lowest units of sum ``entry`` times the second posterior moments in
            ``place``, on both sides of the diagonal, with weights.
        hessian : (P, P), or None
            Without what the second derivatives of form 0 contribute.
        scores : (top-level units, P), or None
        """
        cdef Nested *g = &self.model
        cdef Forms f
        cdef Index P = form.shape[0] - 2, B = self.n_blocks, b
        cdef Index n_cells = cell.shape[0] - 1, needed
        cdef int n_threads = max(1, min(threads, B)), t
        if form[P + 1] != n_cells or place.shape[0] != n_cells:
            raise ValueError("cells do not fit the forms")
        if cell[n_cells] != entry.shape[0] or value.shape[0] != entry.shape[0]:
            raise ValueError("entries do not fit the cells")
        if np.max(entry) >= g.n_sums or np.max(place) >= packed(g.level[0].size):
            raise ValueError("entries or places beyond the sums")
        f.n_parameters = P if derivatives else 0
        f.n_terms = cell[form[1]]
        f.form = &form[0]
        f.cell = &cell[0]
        f.place = &place[0]
        f.entry = &entry[0]
        f.value = &value[0]
        K = P if derivatives else 0
        cdef double[:, ::1] values = np.zeros((B, 2))
        cdef double[:, ::1] terms = np.zeros((B, f.n_terms + APART if derivatives else 1))
        cdef double[:, ::1] hessians = np.zeros((B, K * K + APART))
        cdef double[:, ::1] scores = np.zeros((
            g.level[g.n_levels - 1].first[B] if unit_scores else 1, max(P, 1)
        ))
        cdef double *scores_or_null = &scores[0, 0] if unit_scores else NULL
        cdef Scratch *works = <Scratch *>calloc(n_threads, sizeof(Scratch))
        cdef double *memory = NULL
        try:
            if works == NULL:
                raise MemoryError
            needed = lay_out(g, &f, B, works, NULL)
            memory = <double *>calloc(n_threads * needed, sizeof(double))
            if memory == NULL:
                raise MemoryError(f"{n_threads * needed * 8} bytes of scratch space")
            for t in range(n_threads):
                lay_out(g, &f, B, works + t, memory + t * needed)
            with nogil:
                for b in prange(B, schedule="dynamic", chunksize=1, num_threads=n_threads):
                    evaluate_block(
                        g, &f, works + threadid(), b, derivatives, &values[b, 0], &terms[b, 0],
                        &hessians[b, 0], scores_or_null,
                    )
        finally:
            free(memory)
            free(works)
        log_likelihood, size = np.asarray(values).sum(axis=0).tolist()
        if not derivatives:
            return log_likelihood, size, None, None, None
        lower = np.asarray(hessians).sum(axis=0)[: P * P].reshape(P, P)
        hessian = lower + lower.T
        hessian.ravel()[:: P + 1] *= 0.5
        return (
            log_likelihood,
            size,
            np.asarray(terms).sum(axis=0)[: f.n_terms],
            hessian,
            np.asarray(scores) if unit_scores else None,
        )


cdef Index lay_out(const Nested *g, const Forms *f, Index n_blocks, Scratch *w, double *memory):
    """Hand ``memory`` out to a thread's arrays; its length in doubles."""
    cdef Index t, b, groups, size = packed(g.level[0].size), total = 0, P = f.n_parameters
    cdef Index own
    w.room = PRODUCTS_AT_A_TIME
    for t in range(g.n_levels):
        groups = 0
        for b in range(n_blocks):
            groups = max(groups, n_groups(&g.level[t], b))
        w.matrix[t] = memory + total
        total += groups * packed(g.level[t].size) * LANES
        if t:
            w.moved[t] = memory + total
            total += groups * P * packed(g.level[t].size) * LANES
        own = (packed(g.level[t].size) - packed(g.level[t].rest)) * LANES
        w.room = max(w.room, own)
    w.form = memory + total
    total += size * LANES
    w.turned = memory + total
    total += size * LANES
    w.half = memory + total
    total += g.level[0].size * g.level[0].size * LANES
    w.moments = memory + total
    total += size * LANES
    w.terms = memory + total
    total += f.n_terms * LANES
    w.features = memory + total
    total += P * w.room
    return total + APART
