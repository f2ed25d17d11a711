# cython: language_level=3, cdivision=True
"""Sums over the rows of a unit in register tiles; see ``tiles.h``."""

from lanes cimport In, Out

cdef extern from "tiles.h":
    void add_columns(
        Out out, In x, In f, Py_ssize_t rows, Py_ssize_t width, Py_ssize_t n
    ) noexcept nogil
    void add_column_pairs(
        Out out, In x, In f, Py_ssize_t rows, Py_ssize_t width, Py_ssize_t n
    ) noexcept nogil
