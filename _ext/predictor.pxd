# cython: language_level=3
"""Linear predictors of rows, affine in the latent variables."""

from model cimport Index, Model, Work


cdef inline void linear_coefficients(
    const Model *g, Work *w, Index begin, Index end
) noexcept nogil:
    """Coefficient of each latent variable (0: constant) in the predictor of rows begin..end."""
    cdef Index i, m, width = g.n_latent + 1
    cdef long long z, k
    cdef double *a
    for i in range(begin, end):
        a = w.linear + (i - begin) * width
        for m in range(width):
            a[m] = 0.0
        a[0] = g.offset[i]
        for z in range(g.row_start[i], g.row_start[i + 1]):
            for k in range(g.pair_start[g.column[z]], g.pair_start[g.column[z] + 1]):
                a[g.pair_latent[k]] += g.value[z] * g.coefficient[k]


cdef inline void fill_predictors(
    const Model *g, Work *w, Index start, Index stop, Index top_row
) noexcept nogil:
    """Linear predictors of rows at all nodes of their level-2 unit."""
    cdef Index R = g.level[2].n_nodes, n2 = g.level[2].n_latent, width = g.n_latent + 1
    cdef Index i, m, q
    cdef const double *a
    cdef const double *v = w.v[2]
    cdef double *nu = w.nu
    cdef double base, x
    for i in range(start, stop):
        a = w.linear + (i - top_row) * width
        base = a[0]
        for m in range(n2 + 1, width):
            base += a[m] * w.v_path[m]
        for q in range(R):
            nu[q] = base
        for m in range(n2):
            x = a[m + 1]
            if x != 0.0:
                for q in range(R):
                    nu[q] += x * v[m * R + q]
        nu += R
