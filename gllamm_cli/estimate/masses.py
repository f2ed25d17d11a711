"""Class probabilities of discrete latent variables as functions of their log odds.

With w_j the covariates of unit j (a constant last), class k < K has
ln(pi_jk / pi_jK) = w_j' gamma_k; the last class is the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.design import DesignLevel
from gllamm_cli.model.uniform import total

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Masses:
    """Log probabilities of a level's nodes, with derivatives in the log odds.

    ``log_weight`` is (1 or units, nodes), ``odds_score`` (1 or units, nodes,
    odds) and ``hessian`` (odds, odds): the second derivatives of the expected
    log probability, summed over units.
    """

    log_weight: FloatArray
    odds_score: FloatArray
    hessian: FloatArray


def evaluate_masses(level: DesignLevel, odds: FloatArray) -> Masses:
    """Evaluate at ``odds`` ((K - 1) * G,), class by class; empty for fixed weights."""
    design = level.class_design
    if design is None:
        return Masses(level.rule.log_weights[None, :], np.zeros((1, 0, 0)), np.zeros((0, 0)))
    units, G = design.shape
    K = level.rule.n_nodes
    predictor = np.zeros((units, K))
    predictor[:, : K - 1] = design @ odds.reshape(K - 1, G).T
    shifted = predictor - predictor.max(axis=1, keepdims=True)
    log_weight = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    pi = np.exp(log_weight)
    difference = np.eye(K)[None, :, : K - 1] - pi[:, None, : K - 1]
    score = np.einsum("jqk,jg->jqkg", difference, design).reshape(units, K, -1)
    weight = level.total_weight if units > 1 else np.array([total(level.total_weight)])
    p = pi[:, : K - 1]
    covariance = p[:, :, None] * (np.eye(K - 1)[None] - p[:, None, :])
    hessian = -np.einsum("j,jkl,jg,jh->kglh", weight, covariance, design, design)
    n = (K - 1) * G
    return Masses(log_weight, np.ascontiguousarray(score), hessian.reshape(n, n))
