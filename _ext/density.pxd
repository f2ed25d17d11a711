# cython: language_level=3, cdivision=True
"""Log densities of a block of rows: which loop serves which family and link.

A row's log density depends on its linear predictor nu and on auxiliary
predictors: the level-1 log scale, and for an ordinal response the thresholds
below and above the observed category. One call of ``density_block`` fills a
block of ``n_rows x n_nodes`` values (nodes contiguous) and, for ``derivatives``
true, the first and second derivatives.
"""

from block cimport (
    BINOMIAL, Block, COMPOSITE, GAMMA, GAUSSIAN, IDENTITY, LINKS, LOG, LOGIT, ORDINAL, POISSON,
    PROBIT, SCALED_LOGIT, SCALED_PROBIT,
)
from categorical cimport nominal, ordinal
from composite cimport composite
from families cimport (
    binomial_any, binomial_logit, binomial_scaled_probit, gamma_any, gamma_log,
    gaussian_any, gaussian_identity, poisson_any, poisson_log,
)

cdef inline void density_block(int kind, Block *b, bint derivatives) noexcept nogil:
    """Fill a block of rows of one kind; dispatch happens here, outside the loops."""
    cdef int family = kind // LINKS, link = kind % LINKS
    if family >= COMPOSITE:
        composite(b, derivatives)
    elif family == BINOMIAL:
        if link == LOGIT:
            binomial_logit(b, derivatives)
        elif link == SCALED_PROBIT:
            binomial_scaled_probit(b, derivatives)
        else:
            binomial_any(b, link, False, derivatives)
    elif family == POISSON:
        if link == LOG:
            poisson_log(b, derivatives)
        else:
            poisson_any(b, link, derivatives)
    elif family == GAUSSIAN:
        if link == IDENTITY:
            gaussian_identity(b, derivatives)
        else:
            gaussian_any(b, link, derivatives)
    elif family == GAMMA:
        if link == LOG:
            gamma_log(b, derivatives)
        else:
            gamma_any(b, link, derivatives)
    elif family == ORDINAL:
        if link == SCALED_PROBIT:
            ordinal(b, PROBIT, True, derivatives)
        else:
            ordinal(b, link, False, derivatives)
    else:
        nominal(b, link == SCALED_LOGIT, derivatives)
