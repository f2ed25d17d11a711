"""Cook's distances of top-level units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import DifferentData, SingularCovariance
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.constraints import build_reduction

FloatArray = NDArray[np.float64]

SAME_LOG_LIKELIHOOD = 1e-5


def free_covariance(fit: Fit) -> tuple[FloatArray, FloatArray]:
    """Model-based covariance (S, S) of the free parameters, and T (K, S) with b = T s + a."""
    covariance = fit.covariance if fit.model_covariance is None else fit.model_covariance
    T = build_reduction(fit.spec.constraints, fit.names).T
    pseudo_inverse = np.linalg.pinv(T)
    return np.asarray(pseudo_inverse @ covariance @ pseudo_inverse.T), T


def cooks_distances(
    fit: Fit, log_likelihood: float, scores: FloatArray, n_units: float
) -> tuple[FloatArray, FloatArray]:
    """D_j = 2 g_j' I*^-1 g_j, (units,), from the units' scores (units, K).

    Also return g_j, the scores in the free parameters, (units, S).

    I* = (N - 1)/N I + diag(I)/N, I being the information: gllapred's blend, close
    to the generalised Cook's distance of Cook (1986), JRSS B 48, equation 10.

    Raises
    ------
    DifferentData
        ``log_likelihood`` of the rows used is not that of the fit.
    SingularCovariance
        The covariance matrix of the parameters cannot be inverted.
    """
    if not abs(log_likelihood - fit.log_likelihood) <= SAME_LOG_LIKELIHOOD * abs(
        fit.log_likelihood
    ):
        raise DifferentData(
            f"can't get correct log-likelihood: {log_likelihood:.7g} should be "
            f"{fit.log_likelihood:.7g}",
            hint="Cook's distances need the rows and the parameters of the fit",
        )
    covariance, T = free_covariance(fit)
    try:
        information = np.linalg.inv(covariance)
    except np.linalg.LinAlgError:
        information = np.full_like(covariance, np.nan)
    if not np.isfinite(information).all():
        raise SingularCovariance(
            "parameter covariance matrix not invertible",
            hint="a parameter on the boundary or not identified",
        )
    blend = (n_units - 1.0) / n_units * information
    blend += np.diag(np.diag(information)) / n_units
    free = scores @ T
    distances = 2.0 * np.einsum("ij,ji->i", free, np.linalg.solve(blend, free.T))
    return np.asarray(distances), np.asarray(free)
