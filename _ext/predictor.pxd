# cython: language_level=3, cdivision=True
"""Linear predictors of rows, affine in the latent variables."""

from lanes cimport add_scaled
from model cimport Index, Model, Row, Work, is_dense, row_of
from strided cimport Strided, element


cdef inline void constant_parts(
    const Model *g, Work *w, Index begin, Index end
) noexcept nogil:
    """Linear predictors of rows begin..end of a block at latent variables zero: ``w.base``."""
    cdef Index i, z, n_columns = g.n_columns
    cdef double total
    cdef Strided offset = g.offset
    cdef const double *value = g.value + begin * n_columns
    cdef Row x
    # Summed here and not in memory, where each sum would wait for the last to be stored.
    if is_dense(g):
        for i in range(begin, end):
            total = element(offset, i)
            for z in range(n_columns):
                total += value[z] * g.fixed_coefficient[z]
            w.base[i - begin] = total
            value += n_columns
        return
    for i in range(begin, end):
        x = row_of(g, i)
        total = element(offset, i)
        for z in range(x.n):
            total += x.value[z] * g.fixed_coefficient[x.column[z]]
        w.base[i - begin] = total


cdef inline void latent_coefficients(
    const Model *g, Work *w, Index begin, Index end, Index block_row
) noexcept nogil:
    """Coefficients of the latent variables in rows begin..end: ``w.linear``."""
    cdef Index i, m, z
    cdef long long k
    cdef double *a
    cdef Row x
    for i in range(begin, end):
        a = w.linear + (i - block_row) * g.n_latent
        for m in range(g.n_latent):
            a[m] = 0.0
        # Latent variables count from 1.
        a -= 1
        x = row_of(g, i)
        for z in range(x.n):
            for k in range(g.latent_start[x.column[z]], g.pair_start[x.column[z] + 1]):
                a[g.pair_latent[k]] += x.value[z] * g.coefficient[k]


cdef inline double on_path(const Model *g, const Work *w, const double *a) noexcept nogil:
    """What the present values of latent variables above level 2 add to a predictor."""
    cdef Index m
    cdef double x = 0.0
    for m in range(g.level[2].n_latent, g.n_latent):
        x += a[m] * w.v_path[m + 1]
    return x


cdef inline void fill_predictors(
    const Model *g, Work *w, Index start, Index stop, Index top_row
) noexcept nogil:
    """Linear predictors of rows at all nodes of their level-2 unit."""
    cdef Index R = g.level[2].places, i, m, q
    cdef const double *a
    cdef double *nu = w.nu
    cdef double base
    for i in range(start, stop):
        a = w.linear + (i - top_row) * g.n_latent
        base = w.base[i - top_row] + on_path(g, w, a)
        for q in range(R):
            nu[q] = base
        for m in range(g.level[2].n_latent):
            if a[m] != 0.0:
                add_scaled(nu, a[m], w.v[2] + m * R, R)
        nu += R
