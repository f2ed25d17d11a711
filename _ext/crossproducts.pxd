# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Weighted cross products of the columns of rows, summed within units.

A row has C design columns and, as column C, what is left of its response; rows of different
residual variance are summed apart. Only pairs of columns that are both nonzero in some row
have a place, so that many indicators cost as much as few.
"""

from quadratics cimport LANES, Index


cdef struct Rows:
    Index n_columns                 # C
    const double **column           # C columns, with their strides: 0 for a constant
    const Index *stride
    const double *shift             # (C,) coefficients whose prediction is taken off the response
    const double *y
    const double *offset
    const double *weight
    const int *group                # residual variance of each row; NULL if there is one only


cdef inline Index read_row(const Rows *r, Index i, Index *at, double *x) noexcept nogil:
    """Number of nonzero columns of row ``i``, the response counted; where and what they are."""
    cdef Index n = 0, c
    cdef double rest = r.y[i] - r.offset[i]
    cdef double value
    for c in range(r.n_columns):
        value = r.column[c][i * r.stride[c]]
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
    cdef double w
    for i in range(begin, end):
        n = read_row(r, i, at, x)
        pairs = pairs_of_group(r, i, number)
        for p in range(n):
            places = pairs + at[p] * width
            w = r.weight[i] * x[p]
            for q in range(p + 1):
                sums[places[at[q]] * LANES] += w * x[q]
        sums[(n_products + (0 if r.group == NULL else r.group[i])) * LANES] += r.weight[i]
