# cython: language_level=3
"""Arrays that may have one element for all places: their stride is zero."""

ctypedef Py_ssize_t Index


cdef struct Strided:
    const double *first
    Index stride                    # in elements


cdef inline Strided strided(const double[:] values):
    """View of an array that somebody else keeps; it must not be empty."""
    cdef Strided s
    s.first = &values[0]
    s.stride = values.strides[0] // <Index>sizeof(double)
    return s


cdef inline double element(Strided s, Index i) noexcept nogil:
    return s.first[i * s.stride]


cdef inline Strided beginning_at(Strided s, Index i) noexcept nogil:
    """What is left of an array without its first i elements."""
    s.first += i * s.stride
    return s
