# cython: language_level=3, cdivision=True
"""A block of rows whose densities are computed together, and the codes of families and links.

Codes are those of ``gllamm_cli.model.families``; the kind of a row is
family * LINKS + link.
"""

from strided cimport Strided

cdef enum:
    GAUSSIAN = 0
    BINOMIAL = 1
    POISSON = 2
    GAMMA = 3
    ORDINAL = 4
    NOMINAL = 5
    # A row whose mean enters composite means; its own family is the rest of the code.
    COMPOSITE = 8

cdef enum:
    IDENTITY = 0
    LOG = 1
    RECIPROCAL = 2
    LOGIT = 3
    PROBIT = 4
    COMPLEMENTARY_LOG_LOG = 5
    LOG_LOG = 6
    SCALED_PROBIT = 7
    SCALED_LOGIT = 8
    LINKS = 16

cdef extern from *:
    """
    #define HALF_LOG_2PI 0.91893853320467274178
    #define IMPOSSIBLE (-100.0)
    #define CLIP 300.0
    #define LEAST_GAMMA_MEAN 1e-4
    """
    double HALF_LOG_2PI
    double IMPOSSIBLE
    double CLIP
    double LEAST_GAMMA_MEAN

cdef struct Block:
    # Rows of one kind and where the results go. IN: per row, except nu.
    Py_ssize_t n_rows
    Py_ssize_t n_nodes
    const double *y
    Strided denominator
    Strided constant            # normalising constant that depends on y only
    const double *aux[3]        # log scale, lower and upper threshold; NULL if unused
    # k, lnGamma(k), psi(k), psi'(k); k = exp(-2 zeta). Row i: gamma_terms + i * gamma_stride.
    const double *gamma_terms
    Py_ssize_t gamma_stride     # 0 if all rows have the same
    const long long *entry_start    # (n_rows + 1), absolute: nominal rows form groups; NULL without
    const double *nu            # (n_rows, n_nodes)
    # Composite links: rows form groups; row r has the likelihood of composite
    # part[r] (0: none), whose mean is the sum of portion[s, part - 1] * mean of row s.
    const int *kind             # row i: kind[i * kind_stride]
    Py_ssize_t kind_stride      # 0 if all rows have the same
    Py_ssize_t n_parts
    const int *part             # (n_rows)
    const double *portion       # (n_rows, n_parts)
    Strided part_weight         # (n_rows): weights of the likelihoods
    # OUT: (n_rows, n_nodes)
    double *f
    double *f1                  # df/dnu
    double *f2                  # (entries, n_nodes): d2f/dnu_i dnu_j
    double *fa[3]               # df/da
    double *fna[3]              # d2f/dnu da
    double *faa[6]              # d2f/da da', packed
