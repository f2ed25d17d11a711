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
    STRETCH = 1024      # values looked at between two decisions
    PIECE = 65536       # rows that a thread takes at a time


def all_finite(const double[::1] x, int threads):
    """Whether no value is missing or infinite."""
    cdef Py_ssize_t n = x.shape[0], p
    cdef int other = 0
    if n <= PIECE:
        return not infinite(&x[0], n) if n else True
    for p in prange((n + PIECE - 1) // PIECE, num_threads=threads, schedule="static", nogil=True):
        other += infinite(&x[p * PIECE], min(PIECE, n - p * PIECE))
    return other == 0


cdef inline int infinite(const double *x, Py_ssize_t n) noexcept nogil:
    """Whether some value is not finite."""
    cdef Py_ssize_t i
    cdef int other = 0
    for i in range(n):
        # False of NaN, too.
        other |= not (fabs(x[i]) <= DBL_MAX)
    return other


def zeros_and_ones(const double[::1] x):
    """Whether there is nothing else."""
    cdef Py_ssize_t n = x.shape[0], i, start = 0, stop
    cdef int other = 0
    with nogil:
        while start < n and not other:
            stop = min(n, start + STRETCH)
            for i in range(start, stop):
                # No branch, which would be guessed wrongly half the time.
                other |= (x[i] != 0.0) & (x[i] != 1.0)
            start = stop
    return not other


def in_order(list keys, int threads):
    """Whether rows ascend in the first key (N,), within its values in the second, and so on."""
    cdef Py_ssize_t width = len(keys), c, n = len(keys[0]) if width else 0, p
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
        if n <= PIECE:
            return not descends(x, width, 1, n)
        for p in prange(
            (n + PIECE - 1) // PIECE, num_threads=threads, schedule="static", nogil=True
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
    cdef Py_ssize_t n = len(ids[0]), p, pieces = (n + PIECE - 1) // PIECE
    cdef unsigned char[::1] new = np.zeros(n, dtype=np.uint8)
    cdef long long[::1] count = np.zeros(pieces + 1, dtype=np.int64)
    cdef long long[::1] start
    cdef const double[::1] id_
    found = []
    for level in reversed(ids):
        id_ = level
        if id_.shape[0] != n:
            raise ValueError("identifiers differ in length")
        new[0] = 1
        for p in prange(pieces, num_threads=threads, schedule="static", nogil=True):
            count[p + 1] = mark(&id_[0], &new[0], max(1, p * PIECE), min(n, (p + 1) * PIECE))
        count[1] += 1
        for p in range(pieces):
            count[p + 1] += count[p]
        start_ = np.empty(count[pieces], dtype=np.int64)
        start = start_
        for p in prange(pieces, num_threads=threads, schedule="static", nogil=True):
            collect(&new[0], p * PIECE, min(n, (p + 1) * PIECE), &start[0] + count[p])
        found.append(start_)
    return found[::-1]


cdef inline long long mark(
    const double *id_, unsigned char *new, Py_ssize_t begin, Py_ssize_t end
) noexcept nogil:
    """Mark rows begin..end whose identifier is another than that before; count the marked."""
    cdef Py_ssize_t i
    cdef long long found = 0
    for i in range(begin, end):
        new[i] |= id_[i] != id_[i - 1]
        found += new[i]
    return found


cdef inline void collect(
    const unsigned char *new, Py_ssize_t begin, Py_ssize_t end, long long *start
) noexcept nogil:
    """Write the numbers of the marked rows."""
    cdef Py_ssize_t i, found = 0
    for i in range(begin, end):
        if new[i]:
            start[found] = i
            found = found + 1


def outcomes_by_value(const double[::1] x, const double[::1] y, const double[::1] denominator):
    """Outcomes that occur at each of two values of a covariate.

    Parameters
    ----------
    x, y, denominator : (N,)
        Covariate, successes and trials.

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
