# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""Questions about whole columns, answered in one pass that ends when the answer is known."""

from libc.float cimport DBL_MAX
from libc.math cimport fabs
from libc.stdlib cimport free, malloc

import numpy as np

cdef enum:
    STRETCH = 1024      # values looked at between two decisions


def all_finite(const double[::1] x):
    """Whether no value is missing or infinite."""
    cdef Py_ssize_t n = x.shape[0], i, start = 0, stop
    cdef int other = 0
    with nogil:
        while start < n and not other:
            stop = min(n, start + STRETCH)
            for i in range(start, stop):
                # False of NaN, too.
                other |= not (fabs(x[i]) <= DBL_MAX)
            start = stop
    return not other


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


def in_order(list keys):
    """Whether rows ascend in the first key (N,), within its values in the second, and so on."""
    cdef Py_ssize_t width = len(keys), c, i, n
    cdef const double[::1] key
    cdef bint ascending = True
    cdef const double **x = <const double **>malloc(max(1, width) * sizeof(double *))
    if x == NULL:
        raise MemoryError
    try:
        n = len(keys[0]) if width else 0
        for c in range(width):
            key = keys[c]
            if key.shape[0] != n:
                raise ValueError("keys differ in length")
            x[c] = &key[0] if n else NULL
        with nogil:
            for i in range(1, n):
                for c in range(width):
                    if x[c][i] > x[c][i - 1]:
                        break
                    if x[c][i] < x[c][i - 1]:
                        ascending = False
                        break
                if not ascending:
                    break
    finally:
        free(x)
    return ascending


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
