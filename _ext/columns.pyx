# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""Design columns: compressed by rows, and their cross products.

Rows are shared among threads in pieces. Each number has one place, which does not depend on
who writes it.
"""

from cython.parallel cimport prange
from libc.math cimport INFINITY, sqrt
from libc.stdlib cimport free, malloc

import numpy as np

cdef enum:
    PIECE = 8192            # rows that a thread takes at a time
    STRETCH = 1024          # rows whose columns stay in cache
    APART = 32              # doubles between what two threads write


def compress(list columns, Py_ssize_t n, int threads):
    """Keep the nonzero values of columns, row by row; all values if few are zero.

    Parameters
    ----------
    columns : list of (n,) float64, or None for a column of ones
    n : int
    threads : int

    Returns
    -------
    start : (n + 1,) int64
        Values of row i are ``start[i]:start[i + 1]``. None if each row keeps all of them.
    number : int32
        Their columns, ascending in a row; empty if each row keeps all of them.
    value : float64
    """
    cdef Py_ssize_t width = len(columns), c, i, p, pieces = (n + PIECE - 1) // PIECE
    cdef long long at, found = 0
    cdef const double[::1] column
    cdef long long[::1] start
    cdef long long[::1] counts = np.zeros(max(1, pieces), dtype=np.int64)
    cdef int[::1] number
    cdef double[::1] value
    cdef const double **x = <const double **>malloc(max(1, width) * sizeof(double *))
    if x == NULL:
        raise MemoryError
    try:
        for c in range(width):
            x[c] = NULL
            if columns[c] is None:
                continue
            column = columns[c]
            if column.shape[0] != n:
                raise ValueError("columns differ in length")
            x[c] = &column[0]
        with nogil:
            for p in prange(pieces, num_threads=threads, schedule="static"):
                counts[p] = count(x, width, p * PIECE, min(n, (p + 1) * PIECE))
        for p in range(pieces):
            found += counts[p]
        dense = 2 * found >= n * width
        start_ = None if dense else np.empty(n + 1, dtype=np.int64)
        number_ = np.empty(0 if dense else found, dtype=np.int32)
        value_ = np.empty(n * width if dense else found)
        if not len(value_) and dense:
            return start_, number_, value_
        value = value_
        if dense:
            with nogil:
                for p in prange(pieces, num_threads=threads, schedule="static"):
                    copy(x, width, p * PIECE, min(n, (p + 1) * PIECE), &value[0])
            return start_, number_, value_
        start = start_
        with nogil:
            for p in prange(pieces, num_threads=threads, schedule="static"):
                count_rows(x, width, p * PIECE, min(n, (p + 1) * PIECE), &start[1])
            start[0] = 0
            at = 0
            for i in range(1, n + 1):
                at += start[i]
                start[i] = at
        if found == 0:
            return start_, number_, value_
        number = number_
        with nogil:
            for p in prange(pieces, num_threads=threads, schedule="static"):
                fill(
                    x, width, p * PIECE, min(n, (p + 1) * PIECE), &start[0], &number[0], &value[0]
                )
    finally:
        free(x)
    return start_, number_, value_


cdef inline long long count(
    const double **x, Py_ssize_t width, Py_ssize_t begin, Py_ssize_t end
) noexcept nogil:
    """Number of nonzero values in rows begin..end."""
    cdef Py_ssize_t c, i
    cdef long long found = 0
    for c in range(width):
        if x[c] == NULL:
            found += end - begin
            continue
        for i in range(begin, end):
            found += x[c][i] != 0.0
    return found


cdef inline void copy(
    const double **x, Py_ssize_t width, Py_ssize_t begin, Py_ssize_t end, double *value
) noexcept nogil:
    """Write all values of rows begin..end, (rows, width)."""
    cdef Py_ssize_t c, i
    for i in range(begin, end):
        for c in range(width):
            value[i * width + c] = 1.0 if x[c] == NULL else x[c][i]


cdef inline void count_rows(
    const double **x, Py_ssize_t width, Py_ssize_t begin, Py_ssize_t end, long long *size
) noexcept nogil:
    """Number of nonzero values in each of the rows begin..end."""
    cdef Py_ssize_t c, i
    for i in range(begin, end):
        size[i] = 0
    for c in range(width):
        for i in range(begin, end):
            size[i] += x[c] == NULL or x[c][i] != 0.0


cdef inline void fill(
    const double **x, Py_ssize_t width, Py_ssize_t begin, Py_ssize_t end,
    const long long *start, int *number, double *value
) noexcept nogil:
    """Write the nonzero values of rows begin..end and their columns."""
    cdef Py_ssize_t c, i
    cdef long long at
    cdef double each
    for i in range(begin, end):
        at = start[i]
        for c in range(width):
            each = 1.0 if x[c] == NULL else x[c][i]
            if each != 0.0:
                number[at] = c
                value[at] = each
                at = at + 1


def cross_products(list columns, weight, int threads):
    """Sums of products of columns over rows, with their weights.

    Parameters
    ----------
    columns : list of C arrays (n,), float64
    weight : (n,) float64, or None
    threads : int

    Returns
    -------
    (C, C) float64
    """
    cdef Py_ssize_t width = len(columns), c, p, pieces
    cdef Py_ssize_t n = len(columns[0]) if width else 0, size = width * width + APART
    cdef const double[::1] column
    cdef const double *w = NULL
    cdef const double **x = <const double **>malloc(max(1, width) * sizeof(double *))
    if x == NULL:
        raise MemoryError
    pieces = (n + PIECE - 1) // PIECE
    # A piece writes to its own place; places are added in order.
    parts_ = np.zeros((max(1, pieces), size))
    cdef double[:, ::1] parts = parts_
    try:
        for c in range(width):
            column = columns[c]
            if column.shape[0] != n:
                raise ValueError("columns differ in length")
            x[c] = &column[0] if n else NULL
        if weight is not None and n:
            column = weight
            if column.shape[0] != n:
                raise ValueError("weights do not fit the rows")
            w = &column[0]
        with nogil:
            for p in prange(pieces, num_threads=threads, schedule="static"):
                multiply(x, w, width, p * PIECE, min(n, (p + 1) * PIECE), &parts[p, 0])
    finally:
        free(x)
    found = np.zeros((width, width))
    cdef double[:, ::1] out = found
    cdef Py_ssize_t a, b
    for a in range(width):
        for b in range(a + 1):
            for p in range(pieces):
                out[a, b] += parts[p, a * width + b]
            out[b, a] = out[a, b]
    return found


def least_share(const double[:, ::1] products):
    """Least share of its length that a column has beside those before it.

    Parameters
    ----------
    products : (C, C)
        Sums of products of the columns.

    Returns
    -------
    float
        Smallest pivot of the Cholesky factor of their correlations about zero: 0 where one column
        depends on the others, 1 if all are orthogonal. 0, too, if they are not finite.
    """
    cdef Py_ssize_t width = products.shape[0], i, j, k
    cdef double total, least = 1.0
    cdef double[:, ::1] factor = np.zeros((width, width))
    for i in range(width):
        if not 0.0 < products[i, i] < INFINITY:
            return 0.0
        for j in range(i + 1):
            total = products[i, j] / (sqrt(products[i, i]) * sqrt(products[j, j]))
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = total / factor[j, j] if j < i else sqrt(total)
        if not factor[i, i] > 0.0:
            return 0.0
        least = min(least, factor[i, i])
    return least


cdef inline void multiply(
    const double **x, const double *w, Py_ssize_t width, Py_ssize_t begin, Py_ssize_t end,
    double *out
) noexcept nogil:
    """Lower triangle of the products of rows begin..end, some rows at a time to stay in cache."""
    cdef Py_ssize_t c, i, start = begin, stop, filled
    while start < end:
        stop = min(end, start + STRETCH)
        filled = 0
        for c in range(width):
            for i in range(start, stop):
                filled += x[c][i] != 0.0
        if 2 * filled >= width * (stop - start):
            multiply_columns(x, w, width, start, stop, out)
        else:
            multiply_rows(x, w, width, start, stop, out)
        start = stop


cdef inline void multiply_columns(
    const double **x, const double *w, Py_ssize_t width, Py_ssize_t begin, Py_ssize_t end,
    double *out
) noexcept nogil:
    """Pair by pair of columns."""
    cdef Py_ssize_t c, d, i
    cdef double total
    for c in range(width):
        for d in range(c + 1):
            total = 0.0
            if w == NULL:
                for i in range(begin, end):
                    total += x[c][i] * x[d][i]
            else:
                for i in range(begin, end):
                    total += w[i] * x[c][i] * x[d][i]
            out[c * width + d] += total


cdef inline void multiply_rows(
    const double **x, const double *w, Py_ssize_t width, Py_ssize_t begin, Py_ssize_t end,
    double *out
) noexcept nogil:
    """Row by row, where most values are zero, such as indicators of items."""
    cdef Py_ssize_t c, d, i
    cdef double value
    for i in range(begin, end):
        for c in range(width):
            if x[c][i] == 0.0:
                continue
            value = x[c][i] if w == NULL else w[i] * x[c][i]
            for d in range(c + 1):
                if x[d][i] != 0.0:
                    out[c * width + d] += value * x[d][i]
