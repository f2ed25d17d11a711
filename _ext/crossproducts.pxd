# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Weighted cross products of the columns of rows, summed within units.

A row has C design columns and, as column C, what is left of its response; rows of different
residual variance are summed apart. Of many columns only pairs that are both nonzero in some row
have a place, so that many indicators cost as much as few.
"""

from quadratics cimport LANES, Index, packed
from strided cimport Strided, element

cdef enum:
    FEW_COLUMNS = 8                 # all pairs of so many are worth a place
    ROWS_TOGETHER = 64


cdef struct Rows:
    Index n_columns                 # C
    const Strided *column           # C columns
    const double *shift             # (C,) coefficients whose prediction is taken off the response
    const double *y
    Strided offset
    Strided weight
    const int *group                # residual variance of each row; NULL if there is one only


cdef struct Dense:
    # Some rows of few columns: values, and values times weights.
    const double *x[FEW_COLUMNS]
    const double *weighted[FEW_COLUMNS]
    double held[FEW_COLUMNS][ROWS_TOGETHER]
    double product[FEW_COLUMNS][ROWS_TOGETHER]


cdef inline void take_dense(const Rows *r, Index begin, Index n, Dense *d) noexcept nogil:
    """Point to the columns of ``n`` rows; what is constant or has weights is written out."""
    cdef Index c, i, C = r.n_columns
    cdef double value
    cdef double *rest = d.held[C]
    for i in range(n):
        rest[i] = r.y[begin + i] - element(r.offset, begin + i)
    d.x[C] = rest
    for c in range(C):
        d.x[c] = r.column[c].first + begin
        if r.column[c].stride != 1:
            for i in range(n):
                d.held[c][i] = element(r.column[c], begin + i)
            d.x[c] = d.held[c]
        value = r.shift[c]
        for i in range(n):
            rest[i] -= value * d.x[c][i]
    for c in range(C + 1):
        d.weighted[c] = d.x[c]
        if r.weight.stride:
            for i in range(n):
                d.product[c][i] = element(r.weight, begin + i) * d.x[c][i]
            d.weighted[c] = d.product[c]


cdef inline double dot(const double *a, const double *b, Index n) noexcept nogil:
    cdef Index i
    cdef double total = 0.0
    for i in range(n):
        total += a[i] * b[i]
    return total


cdef inline void add_dense(
    const Rows *r, Index begin, Index end, double *sums, Dense *d
) noexcept nogil:
    """Add products of all pairs of columns, and weights, to the sums of one unit, LANES apart.

    There is one residual variance; pairs (a, b), b <= a, are numbered as they are packed.
    """
    cdef Index start = begin, n, a, b, i, width = r.n_columns + 1
    cdef double factor = 1.0 if r.weight.stride else element(r.weight, 0), total
    while start < end:
        n = min(end - start, ROWS_TOGETHER)
        take_dense(r, start, n, d)
        for a in range(width):
            for b in range(a + 1):
                sums[(packed(a) + b) * LANES] += factor * dot(d.weighted[a], d.x[b], n)
        total = 0.0
        for i in range(n):
            total += element(r.weight, start + i)
        sums[packed(width) * LANES] += total
        start += n


cdef inline Index read_row(const Rows *r, Index i, Index *at, double *x) noexcept nogil:
    """Number of nonzero columns of row ``i``, the response counted; where and what they are."""
    cdef Index n = 0, c
    cdef double rest = r.y[i] - element(r.offset, i)
    cdef double value
    for c in range(r.n_columns):
        value = element(r.column[c], i)
        if value != 0.0:
            at[n] = c
            x[n] = value
            n += 1
            rest -= r.shift[c] * value
    at[n] = r.n_columns
    x[n] = rest
    return n + 1


cdef inline const int *pairs_of_group(const Rows *r, Index i, const int *number) noexcept nogil:
    """The part of a table (groups, C + 1, C + 1) that belongs to row ``i``."""
    cdef Index width = r.n_columns + 1
    return number if r.group == NULL else number + r.group[i] * width * width


cdef inline void mark_pairs(
    const Rows *r, Index begin, Index end, int *found, Index *at, double *x, Index *before
) noexcept nogil:
    """Mark the pairs (a, b), b <= a, of columns that rows have; ``before`` is scratch like at."""
    cdef Index i, n, n_before = 0, p, q, width = r.n_columns + 1
    cdef int *pairs
    cdef int *last = NULL
    cdef bint same
    for i in range(begin, end):
        n = read_row(r, i, at, x)
        pairs = <int *>pairs_of_group(r, i, found)
        same = n == n_before and pairs == last
        p = 0
        while same and p < n:
            same = at[p] == before[p]
            p += 1
        if same:
            continue
        for p in range(n):
            before[p] = at[p]
            for q in range(p + 1):
                pairs[at[p] * width + at[q]] = 1
        n_before = n
        last = pairs


cdef inline void add_rows(
    const Rows *r, Index begin, Index end, const int *number, Index n_products, double *sums,
    Index *at, double *x
) noexcept nogil:
    """Add products of rows, and their weights, to the sums of one unit, LANES apart.

    ``number`` (groups, C + 1, C + 1) numbers the products; the weights of groups come after.
    """
    cdef Index i, n, p, q, width = r.n_columns + 1
    cdef const int *pairs
    cdef const int *places
    cdef double weight, w
    for i in range(begin, end):
        n = read_row(r, i, at, x)
        weight = element(r.weight, i)
        pairs = pairs_of_group(r, i, number)
        for p in range(n):
            places = pairs + at[p] * width
            w = weight * x[p]
            for q in range(p + 1):
                sums[places[at[q]] * LANES] += w * x[q]
        sums[(n_products + (0 if r.group == NULL else r.group[i])) * LANES] += weight
