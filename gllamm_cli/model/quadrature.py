"""Quadrature rules for standard normal latent variables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray

from gllamm_cli.model.special import normal_quantile

FloatArray = NDArray[np.float64]

MOST_BY_EIGENVALUES = 150
"""Points up to which numpy's rule is accurate to rounding; beyond, asymptotic formulas serve."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Nodes and log weights of a rule for N(0, I_d).

    Attributes
    ----------
    nodes : (n, d)
    log_weights : (n,)
    """

    nodes: FloatArray
    log_weights: FloatArray


@lru_cache(maxsize=64)
def gauss_hermite(points: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Nodes and log weights of the probabilists' Gauss-Hermite rule.

    Exact for polynomials of degree ``2 * points - 1`` under N(0, 1). Of very
    many points the outermost have weights below the smallest number; those are
    left out.
    """
    if points <= MOST_BY_EIGENVALUES:
        nodes, weights = hermegauss(points)
    else:
        # Imported late: scipy takes longer to load than most models to fit.
        from scipy.special import roots_hermitenorm

        nodes, weights = roots_hermitenorm(points)
    used = weights > 0.0
    log_weights = np.log(weights[used]) - 0.5 * np.log(2.0 * np.pi)
    return tuple(nodes[used].tolist()), tuple(log_weights.tolist())


def product_rule(points: tuple[int, ...]) -> Rule:
    """Tensor product of Gauss-Hermite rules, one per dimension; one node if there are none."""
    rules = [gauss_hermite(n) for n in points]
    nodes = np.array(list(product(*(nodes for nodes, _ in rules))), dtype=np.float64)
    weights = np.array([sum(w) for w in product(*(weights for _, weights in rules))])
    return Rule(nodes.reshape(len(weights), len(points)), weights.astype(np.float64))


def equal_probability_rule(points: tuple[int, ...]) -> Rule:
    """Tensor product of grids at the mid-quantiles, all with the same weight.

    Node i of n is the standard normal quantile of (2i - 1) / (2n).
    """
    grids = [normal_quantile(np.arange(1.0, 2.0 * n, 2.0) / (2.0 * n)) for n in points]
    nodes = np.array(list(product(*grids)), dtype=np.float64).reshape(-1, len(points))
    return Rule(nodes, np.full(len(nodes), -np.log(len(nodes))))
