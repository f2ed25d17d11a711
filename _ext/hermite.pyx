# cython: language_level=3, cdivision=True
"""Gauss-Hermite rules for N(0, 1) with any number of points.

The orthonormal polynomials have sqrt(k + 1) p_{k+1} = x p_k - sqrt(k) p_{k-1}, and p_n' =
sqrt(n) p_{n-1}. Nodes are the zeros of p_n, the eigenvalues of the Jacobi matrix with squares
1, 2, ..., n - 1 beside the diagonal (Golub and Welsch 1969); the weight of a node x is
1 / (n p_{n-1}(x)^2).
"""

from libc.math cimport exp, fabs, log, sqrt

cdef enum:
    MOST_NEWTON_STEPS = 8

cdef extern from *:
    """
    #define LARGE 1e150
    #define LOG_LARGE 345.38776394910684
    #define ROUGHLY 1e-6
    """
    double LARGE
    double LOG_LARGE
    double ROUGHLY

cdef struct Last:
    # p_{n-1} and p_n at a point, both times exp(-log_scale).
    double before
    double value
    double log_scale


cdef Last last_two(int n, double x) noexcept nogil:
    cdef Last p
    cdef double following
    cdef int k
    p.before = 0.0
    p.value = 1.0
    p.log_scale = 0.0
    for k in range(n):
        following = (x * p.value - sqrt(<double>k) * p.before) / sqrt(k + 1.0)
        p.before = p.value
        p.value = following
        if fabs(following) > LARGE:
            p.before /= LARGE
            p.value /= LARGE
            p.log_scale += LOG_LARGE
    return p


cdef int n_below(int n, double x) noexcept nogil:
    """Number of zeros of p_n below x, from the signs of the pivots of the Jacobi matrix."""
    cdef double pivot = -x
    cdef int k, found = pivot < 0.0
    for k in range(1, n):
        if pivot == 0.0:
            pivot = 1e-300
        pivot = -x - k / pivot
        found += pivot < 0.0
    return found


cdef double node(int n, int number) noexcept nogil:
    """The zero of p_n that ``number`` zeros are below of, a positive one."""
    cdef double low = 0.0, high = sqrt(4.0 * n + 2.0), x, step
    cdef Last p
    cdef int _k
    # Until Newton's method cannot go astray.
    while high - low > ROUGHLY / n:
        x = 0.5 * (low + high)
        if n_below(n, x) > number:
            high = x
        else:
            low = x
    x = 0.5 * (low + high)
    for _k in range(MOST_NEWTON_STEPS):
        p = last_two(n, x)
        step = p.value / (sqrt(<double>n) * p.before)
        x -= step
        if fabs(step) <= 1e-15 * x:
            break
    return x


def gauss_hermite(int n):
    """Nodes, ascending, and log weights of the rule with n points, exact up to degree 2 n - 1.

    Returns
    -------
    nodes, log_weights : tuple of n floats
    """
    cdef int k
    cdef double x, total = 0.0
    cdef Last p
    if n < 1:
        raise ValueError("a rule needs a point")
    nodes = [0.0] * n
    logs = [0.0] * n
    for k in range(n // 2, n):
        x = 0.0 if 2 * k + 1 == n else node(n, k)
        p = last_two(n, x)
        nodes[k], nodes[n - 1 - k] = x, -x
        logs[k] = logs[n - 1 - k] = -2.0 * (log(fabs(p.before)) + p.log_scale) - log(<double>n)
    if n % 2:
        nodes[n // 2] = 0.0
    for k in range(n):
        total += exp(logs[k])
    return tuple(nodes), tuple([one - log(total) for one in logs])
