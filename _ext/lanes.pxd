# cython: language_level=3, cdivision=True
"""Vectors of nodes: lengths that fill whole vector registers, and loops over them.

The nodes of a level-2 unit are padded to a multiple of LANES. ``WHOLE`` tells
the compiler so (it cannot be told otherwise): loops over nodes need no remainder.
``In`` and ``Out`` promise that arrays do not overlap: no checks before loops.
"""

from libc.math cimport exp, log

cdef extern from *:
    """
    #if defined(__AVX512F__)
    #define LANES 8
    #elif defined(__AVX__)
    #define LANES 4
    #else
    #define LANES 2
    #endif
    #define WHOLE(n) ((n) & -(Py_ssize_t)LANES)
    typedef double *restrict Out;
    typedef const double *restrict In;
    """
    const Py_ssize_t LANES
    Py_ssize_t WHOLE(Py_ssize_t n) noexcept nogil
    ctypedef double *Out
    ctypedef const double *In

cdef enum:
    WIDEST = 8  # LANES is known only to the C compiler: arrays of lanes have room for the most


cdef inline void add_scaled(Out out, double x, In f, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t q
    for q in range(WHOLE(n)):
        out[q] += x * f[q]


cdef inline void add_product(Out out, In f, In g, Py_ssize_t n) noexcept nogil:
    """Add the product of f and g; ``out`` (LANES) gathers the vectors of f and g."""
    cdef Py_ssize_t q, lane
    q = 0
    n = WHOLE(n)
    while q < n:
        for lane in range(LANES):
            out[lane] += f[q + lane] * g[q + lane]
        q += LANES


cdef inline void multiply(Out out, In f, In g, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t q
    for q in range(WHOLE(n)):
        out[q] = f[q] * g[q]


cdef inline void multiply_by(Out out, In f, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t q
    for q in range(WHOLE(n)):
        out[q] *= f[q]


cdef inline void scale(Out out, double x, In f, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t q
    for q in range(WHOLE(n)):
        out[q] = x * f[q]


cdef inline double dot(In f, In g, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t q
    cdef double total = 0.0
    for q in range(WHOLE(n)):
        total += f[q] * g[q]
    return total


cdef inline double largest(In f, Py_ssize_t n) noexcept nogil:
    """Largest of n values, lane by lane first: one after the other they would wait for another."""
    cdef Py_ssize_t q, lane, half
    cdef double x[WIDEST]
    for lane in range(LANES):
        x[lane] = f[lane]
    q = LANES
    n = WHOLE(n)
    while q < n:
        for lane in range(LANES):
            x[lane] = f[q + lane] if f[q + lane] > x[lane] else x[lane]
        q += LANES
    half = LANES >> 1
    while half > 0:
        for lane in range(half):
            x[lane] = x[lane + half] if x[lane + half] > x[lane] else x[lane]
        half >>= 1
    return x[0]


cdef inline void exponentials(Out out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t q
    for q in range(WHOLE(n)):
        out[q] = exp(out[q])


cdef inline void logarithms(Out out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t q
    for q in range(WHOLE(n)):
        out[q] = log(out[q])


cdef inline void subtract_logarithms(Out out, In f, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t q
    for q in range(WHOLE(n)):
        out[q] -= log(f[q])
