# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""Questions about whole columns, answered in one pass that ends when the answer is known.

Threads take pieces of rows; answers do not depend on their number.
"""

from cython.parallel cimport prange
from libc.float cimport DBL_MAX
from libc.math cimport fabs
from libc.stdlib cimport free, malloc

import numpy as np

cdef enum:
    PIECE = 65536       # rows that a thread takes at a time


# Whether some of n values are of a kind that is looked for.
ctypedef int (*Test)(const double *x, Py_ssize_t n) noexcept nogil


cdef inline int useful(int threads, Py_ssize_t pieces) noexcept nogil:
    """Threads that have a piece: others would be started for nothing."""
    return <int>max(1, min(threads, pieces))


cdef bint some(const double[::1] x, int threads, Test test):
    """Whether the test is true of some piece."""
    cdef Py_ssize_t n = x.shape[0], p, pieces = (n + PIECE - 1) // PIECE
    cdef int found = 0
    for p in prange(pieces, num_threads=useful(threads, pieces), schedule="static", nogil=True):
        found += test(&x[p * PIECE], min(PIECE, n - p * PIECE))
    return found > 0


def all_finite(const double[::1] x, int threads):
    """Whether no value is missing or infinite."""
    return not some(x, threads, infinite)


cdef int infinite(const double *x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int other = 0
    for i in range(n):
        # False of NaN, too.
        other |= not (fabs(x[i]) <= DBL_MAX)
    return other


def zeros_and_ones(const double[::1] x, int threads):
    """Whether there is nothing else."""
    return not some(x, threads, beside_zeros_and_ones)


cdef int beside_zeros_and_ones(const double *x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int other = 0
    for i in range(n):
        # No branch, which would be guessed wrongly half the time.
        other |= (x[i] != 0.0) & (x[i] != 1.0)
    return other


def largest_size(const double[::1] x, int threads):
    """Largest absolute value; 0 of none."""
    cdef Py_ssize_t n = x.shape[0], p, pieces = (n + PIECE - 1) // PIECE
    sizes_ = np.zeros(max(1, pieces))
    cdef double[::1] sizes = sizes_
    for p in prange(pieces, num_threads=useful(threads, pieces), schedule="static", nogil=True):
        sizes[p] = size_of(&x[p * PIECE], min(PIECE, n - p * PIECE))
    return float(sizes_.max())


cdef inline double size_of(const double *x, Py_ssize_t n) noexcept nogil:
    """Largest absolute value."""
    cdef Py_ssize_t i
    cdef double largest = 0.0
    for i in range(n):
        if fabs(x[i]) > largest:
            largest = fabs(x[i])
    return largest


def outcome_varies(const double[::1] y, const double[:] denominator):
    """Whether there are responses other than 0, and other than ``denominator``, both (N,).

    The denominator may have a stride of zero.
    """
    cdef Py_ssize_t n = y.shape[0], i
    cdef bint some = False, not_all = False
    if denominator.shape[0] != n:
        raise ValueError("columns differ in length")
    with nogil:
        for i in range(n):
            some = some or y[i] != 0.0
            not_all = not_all or y[i] != denominator[i]
            if some and not_all:
                break
    return some and not_all


def in_order(list keys, int threads):
    """Whether rows ascend in the first key (N,), within its values in the second, and so on."""
    cdef Py_ssize_t width = len(keys), c, n = len(keys[0]) if width else 0, p
    cdef Py_ssize_t pieces = (n + PIECE - 1) // PIECE
    cdef const double[::1] key
    cdef int wrong = 0
    cdef const double **x = <const double **>malloc(max(1, width) * sizeof(double *))
    if x == NULL:
        raise MemoryError
    try:
        for c in range(width):
            key = keys[c]
            if key.shape[0] != n:
                raise ValueError("keys differ in length")
            x[c] = &key[0] if n else NULL
        for p in prange(
            pieces, num_threads=useful(threads, pieces), schedule="static", nogil=True
        ):
            wrong += descends(x, width, max(1, p * PIECE), min(n, (p + 1) * PIECE))
    finally:
        free(x)
    return wrong == 0


cdef inline int descends(
    const double **x, Py_ssize_t width, Py_ssize_t begin, Py_ssize_t end
) noexcept nogil:
    """Whether one of the rows begin..end comes before the row above it."""
    cdef Py_ssize_t c, i
    for i in range(begin, end):
        for c in range(width):
            if x[c][i] > x[c][i - 1]:
                break
            if x[c][i] < x[c][i - 1]:
                return 1
    return 0


def unit_starts(list ids, int threads):
    """Row at which each unit of each level starts.

    Parameters
    ----------
    ids : list of (N,) float64
        Identifiers of the units of sorted rows, lowest level first; those of a level hold within
        the units above. N > 0.
    threads : int

    Returns
    -------
    list of (units,) int64
    """
    cdef Py_ssize_t levels = len(ids), n = len(ids[0]), t, p, pieces = (n + PIECE - 1) // PIECE
    cdef long long[::1] count = np.zeros(pieces + 1, dtype=np.int64)
    cdef long long[::1] start
    cdef const double[::1] id_
    cdef const double **x = <const double **>malloc(levels * sizeof(double *))
    if x == NULL:
        raise MemoryError
    found = []
    try:
        for t in range(levels):
            id_ = ids[t]
            if id_.shape[0] != n:
                raise ValueError("identifiers differ in length")
            x[t] = &id_[0]
        for t in range(levels):
            count[0] = 0
            for p in prange(
                pieces, num_threads=useful(threads, pieces), schedule="static", nogil=True
            ):
                count[p + 1] = find_starts(
                    x + t, levels - t, p * PIECE, min(n, (p + 1) * PIECE), NULL
                )
            for p in range(pieces):
                count[p + 1] += count[p]
            start_ = np.empty(count[pieces], dtype=np.int64)
            start = start_
            for p in prange(
                pieces, num_threads=useful(threads, pieces), schedule="static", nogil=True
            ):
                find_starts(
                    x + t, levels - t, p * PIECE, min(n, (p + 1) * PIECE), &start[0] + count[p]
                )
            found.append(start_)
    finally:
        free(x)
    return found


cdef inline long long find_starts(
    const double **x, Py_ssize_t levels, Py_ssize_t begin, Py_ssize_t end, long long *start
) noexcept nogil:
    """Number of units that start in rows begin..end; their first rows unless ``start`` is NULL."""
    cdef Py_ssize_t i, t
    cdef long long found = 0
    cdef const double *id_ = x[0]
    cdef bint new
    if begin == 0:
        # The first row.
        if start != NULL:
            start[0] = 0
        found = 1
        begin = 1
    if levels == 1 and start == NULL:
        for i in range(begin, end):
            # Rows without an identifier differ from all others.
            found += id_[i] != id_[i - 1]
        return found
    for i in range(begin, end):
        new = id_[i] != id_[i - 1]
        for t in range(1, levels):
            new = new or x[t][i] != x[t][i - 1]
        if new:
            if start != NULL:
                start[found] = i
            found += 1
    return found


def outcomes_by_value(const double[::1] x, const double[::1] y, const double[:] denominator):
    """Outcomes that occur at each of two values of a covariate.

    Parameters
    ----------
    x, y, denominator : (N,)
        Covariate, successes and trials; the stride of the last may be zero.

    Returns
    -------
    None if x has one value, or more than two, or if all outcomes occur at both; else
    (values, outcomes): two values, ascending, and for each whether there are responses other than
    0 and other than ``denominator``.
    """
    cdef Py_ssize_t n = x.shape[0], i, j
    cdef double value[2]
    cdef bint seen[2][2]
    cdef Py_ssize_t found = 0
    if y.shape[0] != n or denominator.shape[0] != n:
        raise ValueError("columns differ in length")
    seen[0][0] = seen[0][1] = seen[1][0] = seen[1][1] = False
    with nogil:
        for i in range(n):
            j = 0
            while j < found and x[i] != value[j]:
                j += 1
            if j == found:
                if found == 2:
                    found = 3
                    break
                value[j] = x[i]
                found += 1
            seen[j][0] = seen[j][0] or y[i] != 0.0
            seen[j][1] = seen[j][1] or y[i] != denominator[i]
            if seen[0][0] and seen[0][1] and seen[1][0] and seen[1][1]:
                found = 3
                break
    if found != 2:
        return None
    pairs = sorted((value[j], (bool(seen[j][0]), bool(seen[j][1]))) for j in range(2))
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
