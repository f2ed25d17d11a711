"""Covariance of the estimates and the conditioning of the information."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SINGULAR = 1e-13
"""Eigenvalue of the information in unit-diagonal scale that counts as zero."""
LEAST_CURVATURE = 1e-280
"""Curvature of a parameter that counts as zero: variances beyond its inverse are no numbers."""


def invert_information(hessian: FloatArray) -> FloatArray:
    """Covariance matrix as the inverse of the observed information, -Hessian (S, S).

    Works in unit-diagonal scale; directions in which the log likelihood does
    not curve down get no variance (the caller reports them).
    """
    if not len(hessian):
        return np.zeros((0, 0))
    information = -hessian
    diagonal = information.diagonal()
    scale = 1.0 / np.sqrt(np.where(diagonal > LEAST_CURVATURE, diagonal, 1.0))
    values, vectors = np.linalg.eigh(information * np.outer(scale, scale))
    used = values > SINGULAR * max(values[-1], SINGULAR)
    inverse = (vectors[:, used] / values[used]) @ vectors[:, used].T
    return np.asarray(inverse * np.outer(scale, scale))


def condition_number(hessian: FloatArray, T: FloatArray) -> float | None:
    """sqrt(largest / smallest eigenvalue) of the information; None if not positive definite.

    With constraints b = T s + a the information is taken in an orthonormal
    basis of the columns of T, so that the number does not depend on which
    parameters are called free.
    """
    if not len(hessian):
        return None
    information = -hessian
    if T.shape[0] > T.shape[1] or (np.eye(len(T)) != T).any():
        _, R = np.linalg.qr(T)
        inverse = np.linalg.inv(R)
        information = inverse.T @ information @ inverse
    values = np.linalg.eigvalsh(information)
    if values[0] <= 0.0:
        return None
    return float(np.sqrt(values[-1] / values[0]))


def sandwich(
    scores: FloatArray, frequency: FloatArray, V: FloatArray, groups: FloatArray | None
) -> FloatArray:
    """Robust covariance of the free parameters (White 1982; gllamm's small-sample factor).

    Parameters
    ----------
    scores : (clusters, S)
        Scores of top-level clusters, their weights included.
    frequency : (clusters,)
        Frequency weights of the clusters.
    V : (S, S)
        Model-based covariance.
    groups : (clusters,), optional
        Larger clusters within which scores are summed first.
    """
    if groups is None:
        used = frequency > 0
        middle = scores[used].T @ (scores[used] / frequency[used][:, None])
        J = float(frequency.sum())
    else:
        _, number = np.unique(groups, return_inverse=True)
        J = float(number.max() + 1)
        sums = np.zeros((int(J), scores.shape[1]))
        np.add.at(sums, number, scores)
        middle = sums.T @ sums
    return np.asarray(J / (J - 1.0) * V @ middle @ V)
