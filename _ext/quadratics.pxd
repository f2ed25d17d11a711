# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Quadratics z'Qz/2 of a few units at a time, one unit in each lane of a vector.

Symmetric and lower triangular matrices are packed by rows of the lower triangle, each element
LANES numbers long. z = (1, v): the latent variables that a unit shares with more
others come first, its own come last, so that what is left after integrating its own out is the
leading block. Integrating v_i, the last variable left, out of exp(-z'Qz/2) phi(v_i) gives

    d = Q_ii + 1,   slope_j = -Q_ij / d,   Q_ab += slope_a Q_ib,   Q_00 += log d,

and conversely, given the variables before it, v_i = slope'z + e_i / sqrt(d) with e_i ~ N(0, 1)
a posteriori. Hence z = B e with e = (1, e_1, ...) uncorrelated of unit size, and B lower
triangular: E[zz'] = BB'.
"""

from libc.math cimport log, sqrt

ctypedef Py_ssize_t Index

cdef enum:
    LANES = 8


cdef inline Index packed(Index size) noexcept nogil:
    """Number of elements of a packed matrix; also where row ``size`` starts."""
    return size * (size + 1) // 2


cdef inline void integrate_out(double *q, Index size, Index rest) noexcept nogil:
    """Integrate variables ``rest`` to ``size - 1`` out.

    The leading block becomes the quadratic in the others; in row i slopes and d are left.
    """
    cdef Index i, a, b, u
    cdef double inverse[LANES]
    cdef double slope[LANES]
    cdef double *row
    cdef double *target
    for i in range(size - 1, rest - 1, -1):
        row = q + packed(i) * LANES
        for u in range(LANES):
            row[i * LANES + u] += 1.0
            inverse[u] = 1.0 / row[i * LANES + u]
            q[u] += log(row[i * LANES + u])
        for a in range(i):
            target = q + packed(a) * LANES
            for u in range(LANES):
                slope[u] = -row[a * LANES + u] * inverse[u]
            for b in range(a + 1):
                for u in range(LANES):
                    target[b * LANES + u] += slope[u] * row[b * LANES + u]
        for a in range(i):
            for u in range(LANES):
                row[a * LANES + u] *= -inverse[u]


cdef inline void factor_moments(double *b, Index size, Index rest) noexcept nogil:
    """Turn slopes and d in rows ``rest`` to ``size - 1`` into rows of B.

    The leading block must be the B of the other variables.
    """
    cdef Index i, j, k, u
    cdef double total[LANES]
    cdef double *row
    cdef const double *other
    for i in range(rest, size):
        row = b + packed(i) * LANES
        for j in range(i):
            for u in range(LANES):
                total[u] = 0.0
            for k in range(j, i):
                other = b + (packed(k) + j) * LANES
                for u in range(LANES):
                    total[u] += row[k * LANES + u] * other[u]
            # Elements further right do not need this slope any more.
            for u in range(LANES):
                row[j * LANES + u] = total[u]
        for u in range(LANES):
            row[i * LANES + u] = 1.0 / sqrt(row[i * LANES + u])


cdef inline void second_moments(
    const double *b, Index size, const double *weight, double *out
) noexcept nogil:
    """Elements of BB' times the weights of the units; off the diagonal those of both sides."""
    cdef Index i, j, k, u
    cdef double sides
    cdef double total[LANES]
    cdef const double *one
    cdef const double *other
    for i in range(size):
        one = b + packed(i) * LANES
        for j in range(i + 1):
            other = b + packed(j) * LANES
            for u in range(LANES):
                total[u] = 0.0
            for k in range(j + 1):
                for u in range(LANES):
                    total[u] += one[k * LANES + u] * other[k * LANES + u]
            sides = 1.0 if i == j else 2.0
            for u in range(LANES):
                out[(packed(i) + j) * LANES + u] = sides * weight[u] * total[u]


cdef inline void in_uncorrelated(
    const double *a, const double *b, Index size, double *half, double *out
) noexcept nogil:
    """B'AB of a symmetric A, packed; ``half`` is scratch for size x size elements."""
    cdef Index i, j, k, u
    cdef double total[LANES]
    cdef const double *one
    cdef const double *other
    for i in range(size):
        for j in range(size):
            for u in range(LANES):
                total[u] = 0.0
            for k in range(j, size):
                one = a + ((packed(i) + k) if k <= i else (packed(k) + i)) * LANES
                other = b + (packed(k) + j) * LANES
                for u in range(LANES):
                    total[u] += one[u] * other[u]
            for u in range(LANES):
                half[(i * size + j) * LANES + u] = total[u]
    for i in range(size):
        for j in range(i + 1):
            for u in range(LANES):
                total[u] = 0.0
            for k in range(i, size):
                one = b + (packed(k) + i) * LANES
                other = half + (k * size + j) * LANES
                for u in range(LANES):
                    total[u] += one[u] * other[u]
            for u in range(LANES):
                out[(packed(i) + j) * LANES + u] = total[u]
