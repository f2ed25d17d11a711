# cython: language_level=3
"""What the C library does with memory that is given back to it."""

cdef extern from *:
    """
    #include <stdlib.h>
    #ifdef __GLIBC__
    #include <malloc.h>
    /* As large as glibc lets an array be that does not get, and give up, pages of its own. */
    #define LARGEST (32 << 20)
    #define MOST_KEPT (512 << 20)
    static int keep_freed_memory_here(void)
    {
        return mallopt(M_MMAP_THRESHOLD, LARGEST) && mallopt(M_TRIM_THRESHOLD, MOST_KEPT);
    }
    #else
    static int keep_freed_memory_here(void)
    {
        return 0;
    }
    #endif
    """
    bint keep_freed_memory_here()


def keep_freed_memory():
    """Keep up to 512 MB for later arrays; whether the C library can be told so."""
    return keep_freed_memory_here()
