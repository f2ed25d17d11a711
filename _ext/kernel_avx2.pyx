# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""The kernel compiled for processors with AVX2 and FMA."""

include "kernel.pxi"
