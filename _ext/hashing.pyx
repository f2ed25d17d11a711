# cython: language_level=3, boundscheck=False, wraparound=False
"""Numbers for equal rows and for equal units, found by hashing; every equality is verified.

Rows or units that are equal get the same number, numbers counting from 0 in the order in which
they first occur. A hash only says where to look: what it brings together is compared, so that two
different rows with the same hash keep different numbers.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import numpy as np

ctypedef const double *Column


cdef inline uint64_t bits(double x) noexcept nogil:
    """Bits of a number; those of 0.0 for -0.0 (relaxed math would drop the addition)."""
    cdef uint64_t out
    x += 0.0
    memcpy(&out, &x, sizeof(double))
    return out


cdef inline uint64_t mix(uint64_t x) noexcept nogil:
    """Finaliser of MurmurHash3 (A. Appleby, public domain)."""
    x ^= x >> 33
    x *= <uint64_t>0xFF51AFD7ED558CCD
    x ^= x >> 33
    x *= <uint64_t>0xC4CEB9FE1A85EC53
    return x ^ (x >> 33)


cdef inline uint64_t absorb(uint64_t state, uint64_t x) noexcept nogil:
    """A state that depends on another value as well; to be mixed at the end."""
    state = (state ^ x) * <uint64_t>0x9E3779B97F4A7C15
    # Numbers with few digits differ in their highest bits only.
    return state ^ (state >> 29)


cdef empty_table(int64_t n):
    """Open addressing for n entries: one more than the number in a place, 0 where it is free."""
    return np.zeros(1 << max(4, int(2 * n - 1).bit_length()), dtype=np.int64)


def row_hashes(columns):
    """Hash the rows of columns, each (N,) float64; returns (N,) uint64."""
    cdef Py_ssize_t i, n = len(columns[0])
    out = np.zeros(n, dtype=np.uint64)
    cdef uint64_t[::1] state = out
    cdef const double[::1] x
    for x in columns:
        if x.shape[0] != n:
            raise ValueError("columns differ in length")
        for i in range(n):
            state[i] = absorb(state[i], bits(x[i]))
    for i in range(n):
        state[i] = mix(state[i])
    return out


def number_rows(columns, const uint64_t[::1] hashed):
    """Number the rows of columns, each (N,) float64, with the hashes (N,); returns (N,) int64."""
    cdef Py_ssize_t i, c, n = hashed.shape[0], n_columns = len(columns)
    cdef int64_t k, row, n_numbers = 0
    cdef uint64_t place
    cdef const double[::1] x
    for x in columns:
        if x.shape[0] != n:
            raise ValueError("columns differ in length")
    out = np.empty(n, dtype=np.int64)
    cdef int64_t[::1] number = out
    cdef int64_t[::1] representative = np.empty(n, dtype=np.int64)
    cdef int64_t[::1] table = empty_table(n)
    cdef uint64_t mask = table.shape[0] - 1
    cdef Column *column = <Column *>malloc(max(n_columns, 1) * sizeof(Column))
    if column == NULL:
        raise MemoryError
    try:
        for c in range(n_columns if n else 0):
            x = columns[c]
            column[c] = &x[0]
        for i in range(n):
            place = hashed[i] & mask
            while True:
                k = table[place] - 1
                if k < 0:
                    table[place] = n_numbers + 1
                    representative[n_numbers] = i
                    k = n_numbers
                    n_numbers += 1
                    break
                row = representative[k]
                if hashed[row] == hashed[i]:
                    for c in range(n_columns):
                        if column[c][row] != column[c][i]:
                            break
                    else:
                        break
                place = (place + 1) & mask
            number[i] = k
    finally:
        free(column)
    return out


def distinct_children(const int64_t[::1] first, const int64_t[::1] number):
    """Find the distinct children of units.

    Parameters
    ----------
    first : (units + 1,)
        Children of unit j are ``first[j]:first[j + 1]``.
    number : (children,)
        Equal children have equal numbers, less than the number of children.

    Returns
    -------
    start : (units + 1,)
        Distinct children of unit j are ``start[j]:start[j + 1]``.
    child : (distinct,)
        The first of the equal children of its unit.
    group : (children,)
        Which of the distinct children each equals.
    """
    cdef Py_ssize_t i, j, n = number.shape[0], n_units = first.shape[0] - 1
    cdef int64_t k, n_distinct = 0
    start_ = np.zeros(n_units + 1, dtype=np.int64)
    child_ = np.empty(n, dtype=np.int64)
    group_ = np.empty(n, dtype=np.int64)
    cdef int64_t[::1] start = start_
    cdef int64_t[::1] child = child_
    cdef int64_t[::1] group = group_
    # Where a number was last met: one more than the position among the distinct children.
    cdef int64_t[::1] last = np.zeros(n, dtype=np.int64)
    if n_units < 0 or first[0] != 0 or first[n_units] != n:
        raise ValueError("units do not cover the children")
    for j in range(n_units):
        for i in range(first[j], first[j + 1]):
            k = number[i]
            if last[k] <= start[j]:
                child[n_distinct] = i
                n_distinct += 1
                last[k] = n_distinct
            group[i] = last[k] - 1
        start[j + 1] = n_distinct
    return start_, child_[:n_distinct], group_


def unit_hashes(
    const int64_t[::1] start, const int64_t[::1] item, const double[:] weight,
    const double[:, ::1] own,
):
    """Hash units as in ``number_units``; the order of their items makes no difference."""
    cdef Py_ssize_t i, j, c, n_units = start.shape[0] - 1
    cdef uint64_t state
    out = np.empty(n_units, dtype=np.uint64)
    cdef uint64_t[::1] hashed = out
    for j in range(n_units):
        state = 0
        for i in range(start[j], start[j + 1]):
            state += mix(absorb(mix(item[i] + 1), bits(weight[i])))
        for c in range(own.shape[1]):
            state = absorb(state, bits(own[j, c]))
        hashed[j] = mix(state)
    return out


def number_units(
    const int64_t[::1] start, const int64_t[::1] item, const double[:] weight,
    const double[:, ::1] own, const uint64_t[::1] hashed,
):
    """Number units: equal ones have the same items with the same weights, in any order.

    Parameters
    ----------
    start : (units + 1,)
        Items of unit j are ``start[j]:start[j + 1]``.
    item : (items,)
        Numbers of the items, distinct in a unit.
    weight : (items,)
        Its stride may be zero.
    own : (units, E)
        What else must be equal.
    hashed : (units,)

    Returns
    -------
    number : (units,)
    """
    cdef Py_ssize_t i, j, c, n_units = start.shape[0] - 1
    cdef int64_t k, unit, n_numbers = 0
    cdef uint64_t place
    cdef bint same
    out = np.empty(n_units, dtype=np.int64)
    cdef int64_t[::1] number = out
    cdef int64_t[::1] representative = np.empty(n_units, dtype=np.int64)
    cdef int64_t[::1] table = empty_table(n_units)
    cdef uint64_t mask = table.shape[0] - 1
    n_items = int(np.max(item)) + 1 if item.shape[0] else 0
    # Place of an item in the unit to compare with, if that place is inside the unit.
    cdef int64_t[::1] where = np.zeros(n_items, dtype=np.int64)
    if not own.shape[0] == hashed.shape[0] == n_units or item.shape[0] != weight.shape[0]:
        raise ValueError("arrays of units differ in length")
    for j in range(n_units):
        place = hashed[j] & mask
        while True:
            k = table[place] - 1
            if k < 0:
                table[place] = n_numbers + 1
                representative[n_numbers] = j
                k = n_numbers
                n_numbers += 1
                break
            unit = representative[k]
            same = (
                hashed[unit] == hashed[j]
                and start[unit + 1] - start[unit] == start[j + 1] - start[j]
            )
            if same:
                for c in range(own.shape[1]):
                    same = same and own[unit, c] == own[j, c]
                for i in range(start[unit], start[unit + 1]):
                    where[item[i]] = i
                for i in range(start[j], start[j + 1]):
                    c = where[item[i]]
                    # A place left by another unit is outside this one.
                    if not (
                        start[unit] <= c < start[unit + 1]
                        and item[c] == item[i] and weight[c] == weight[i]
                    ):
                        same = False
                        break
            if same:
                break
            place = (place + 1) & mask
        number[j] = k
    return out
