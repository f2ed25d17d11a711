# cython: language_level=3
"""What this processor can do beyond what any processor of its kind can."""

cdef extern from *:
    """
    static int reached_level(void)
    {
    #if defined(__x86_64__) && defined(__GNUC__)
        __builtin_cpu_init();
        if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
              && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")))
            return 0;
        if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
              && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
              && __builtin_cpu_supports("avx512cd")))
            return 1;
        return 2;
    #else
        return 0;
    #endif
    }
    """
    int reached_level() nogil


def vector_units():
    """Names of the kernels that this processor can run, the most capable first."""
    return ["avx512", "avx2", "portable"][2 - reached_level():]
