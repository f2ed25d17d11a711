# cython: language_level=3, cdivision=True
"""Composite links: likelihoods whose mean is a weighted sum of the means of several rows."""

from libc.math cimport exp, log, log1p

from block cimport (
    BINOMIAL, Block, COMPOSITE, GAUSSIAN, HALF_LOG_2PI, IMPOSSIBLE, LINKS, POISSON,
)
from links cimport Triple, mean
from model cimport LOG_SCALE
from strided cimport element

cdef struct MeanDensity:
    # Log density as a function of its mean m and the log scale.
    double value
    double m
    double mm
    double a
    double ma
    double aa


cdef inline MeanDensity density_of_mean(
    int family, double y, double denominator, double constant, double zeta,
    const double *gamma_terms, double m
) noexcept nogil:
    cdef MeanDensity out
    cdef double k, r, ratio, fk
    out.value = IMPOSSIBLE
    out.m = 0.0
    out.mm = 0.0
    out.a = 0.0
    out.ma = 0.0
    out.aa = 0.0
    if family == GAUSSIAN:
        k = exp(-2.0 * zeta)
        r = y - m
        out.value = -HALF_LOG_2PI - zeta - 0.5 * k * r * r
        out.m = k * r
        out.mm = -k
        out.a = k * r * r - 1.0
        out.ma = -2.0 * k * r
        out.aa = -2.0 * k * r * r
    elif family == BINOMIAL:
        if (y > 0.0 and m <= 0.0) or (y < denominator and m >= 1.0):
            return out
        out.value = constant
        if y > 0.0:
            out.value += y * log(m)
            out.m += y / m
            out.mm -= y / (m * m)
        if y < denominator:
            r = denominator - y
            out.value += r * log1p(-m)
            out.m -= r / (1.0 - m)
            out.mm -= r / ((1.0 - m) * (1.0 - m))
    elif m > 0.0 and family == POISSON:
        out.value = constant + y * log(m) - m
        out.m = y / m - 1.0
        out.mm = -y / (m * m)
    elif m > 0.0:
        k = gamma_terms[0]
        ratio = y / m
        fk = 1.0 - 2.0 * zeta - log(m) - gamma_terms[2] + log(y) - ratio
        out.value = k * log(k / m) - gamma_terms[1] + (k - 1.0) * log(y) - k * ratio
        out.m = k * (ratio - 1.0) / m
        out.mm = k * (1.0 - 2.0 * ratio) / (m * m)
        out.a = -2.0 * k * fk
        out.ma = -2.0 * out.m
        out.aa = 4.0 * k * (fk + k * (1.0 / k - gamma_terms[3]))
    return out


cdef inline void composite(Block *b, bint derivatives) noexcept nogil:
    # f = sum_k w_k ln f(y_k | m_k), m_k = sum_r c_kr h_r(nu_r): the chain rule gives
    # df/dnu_r = sum_k f'_k c_kr h'_r, and a dense second derivative in each group.
    cdef Py_ssize_t first = 0, end, i, j, k, q, t, e, R = b.n_nodes
    cdef double m, w, zeta
    cdef const double *terms
    cdef bint scaled = b.aux[LOG_SCALE] != NULL
    cdef Triple hi, hj
    cdef MeanDensity d
    while first < b.n_rows:
        end = first + 1
        while end < b.n_rows and b.entry_start[end + 1] - b.entry_start[end] > 1:
            end += 1
        for q in range(R):
            for i in range(first, end):
                t = i * R + q
                b.f[t] = 0.0
                if not derivatives:
                    continue
                b.f1[t] = 0.0
                for j in range(first, i + 1):
                    e = b.entry_start[i] - b.entry_start[0] + j - first
                    b.f2[e * R + q] = 0.0
                if scaled:
                    b.fa[LOG_SCALE][t] = 0.0
                    b.fna[LOG_SCALE][t] = 0.0
                    b.faa[0][t] = 0.0
            for k in range(first, end):
                if b.part[k] == 0:
                    continue
                w = element(b.part_weight, k)
                m = 0.0
                for i in range(first, end):
                    if b.portion[i * b.n_parts + b.part[k] - 1] != 0.0:
                        m += b.portion[i * b.n_parts + b.part[k] - 1] * mean(
                            b.kind[i * b.kind_stride] % LINKS, b.nu[i * R + q]
                        ).value
                zeta = b.aux[LOG_SCALE][k] if scaled else 0.0
                terms = b.gamma_terms + k * b.gamma_stride if b.gamma_terms != NULL else NULL
                d = density_of_mean(
                    b.kind[k * b.kind_stride] // LINKS - COMPOSITE, b.y[k],
                    element(b.denominator, k), element(b.constant, k), zeta, terms, m,
                )
                b.f[k * R + q] += w * d.value
                if not derivatives:
                    continue
                if scaled:
                    b.fa[LOG_SCALE][k * R + q] += w * d.a
                    b.faa[0][k * R + q] += w * d.aa
                for i in range(first, end):
                    hi = mean(b.kind[i * b.kind_stride] % LINKS, b.nu[i * R + q])
                    m = b.portion[i * b.n_parts + b.part[k] - 1]
                    b.f1[i * R + q] += w * d.m * m * hi.first
                    if scaled:
                        # A single scale: the derivative belongs to row i and its group's scale.
                        b.fna[LOG_SCALE][i * R + q] += w * d.ma * m * hi.first
                    for j in range(first, i + 1):
                        e = b.entry_start[i] - b.entry_start[0] + j - first
                        hj = mean(b.kind[j * b.kind_stride] % LINKS, b.nu[j * R + q])
                        b.f2[e * R + q] += (
                            w * d.mm * m * b.portion[j * b.n_parts + b.part[k] - 1]
                            * hi.first * hj.first
                        )
                        if i == j:
                            b.f2[e * R + q] += w * d.m * m * hi.second
        first = end
