"""Quadrature rules for standard normal latent variables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.special import normal_quantile

FloatArray = NDArray[np.float64]

MOST_BY_EIGENVALUES = 500
"""Points up to which polynomials do not overflow; beyond, asymptotic formulas serve."""


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

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.log_weights)

    @property
    def n_latent(self) -> int:
        """Number of dimensions d."""
        return int(self.nodes.shape[1])


@dataclass(frozen=True)
class ProductRule:
    """Tensor product of Gauss-Hermite rules, one per dimension; one node if there are none.

    The nodes are made when they are asked for: of a rule that is never used there may be more
    than anything could hold.

    Attributes
    ----------
    points : (d,)
    """

    points: tuple[int, ...]

    @cached_property
    def nodes(self) -> FloatArray:
        """Nodes, (n, d), the last dimension fastest."""
        nodes = product(*(gauss_hermite(n)[0] for n in self.points))
        return np.array(list(nodes), dtype=np.float64).reshape(self.n_nodes, self.n_latent)

    @cached_property
    def log_weights(self) -> FloatArray:
        """Log weights, (n,)."""
        weights = product(*(gauss_hermite(n)[1] for n in self.points))
        return np.array([sum(w) for w in weights], dtype=np.float64)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return math.prod(len(gauss_hermite(n)[0]) for n in self.points)

    @property
    def n_latent(self) -> int:
        """Number of dimensions d."""
        return len(self.points)


@lru_cache(maxsize=64)
def gauss_hermite(points: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Nodes and log weights of the probabilists' Gauss-Hermite rule.

    Exact for polynomials of degree ``2 * points - 1`` under N(0, 1). The nodes are eigenvalues of
    the Jacobi matrix (Golub and Welsch 1969), improved by a Newton step for the orthonormal
    polynomial (p_n' = sqrt(n) p_{n-1}); a weight is 1 / (points p(x)^2), p being the polynomial
    of the next lower degree. Of very many points the outermost have weights below the smallest
    number; those are left out.
    """
    if points > MOST_BY_EIGENVALUES:
        # Imported late: scipy takes longer to load than most models to fit.
        from scipy.special import roots_hermitenorm

        x, weights = roots_hermitenorm(points)
        used = weights > 0.0
        logarithms = np.log(weights[used]) - 0.5 * np.log(2.0 * np.pi)
        return tuple(x[used].tolist()), tuple(logarithms.tolist())
    roots = np.sqrt(np.arange(1.0, points))
    x = np.linalg.eigvalsh(np.diag(roots, 1) + np.diag(roots, -1))
    lowest, lower, own = _last_three(points, x)
    step = -own / (math.sqrt(points) * lower)
    x = 0.5 * ((x + step) - (x + step)[::-1])
    # The step is so short that the derivative tells the polynomial's value after it.
    lower += math.sqrt(points - 1.0) * lowest * step
    log_weights = -2.0 * np.log(np.abs(lower)) - math.log(points)
    log_weights = 0.5 * (log_weights + log_weights[::-1])
    log_weights -= math.log(np.exp(log_weights).sum())
    return tuple(x.tolist()), tuple(log_weights.tolist())


def _last_three(degree: int, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values of the orthonormal Hermite polynomials of degrees ``degree - 2`` to ``degree``."""
    lowest = before = np.zeros_like(x)
    value = np.ones_like(x)
    for k in range(degree):
        following = (x * value - math.sqrt(k) * before) / math.sqrt(k + 1.0)
        lowest, before, value = before, value, following
    return lowest, before, value


def equal_probability_rule(points: tuple[int, ...]) -> Rule:
    """Tensor product of grids at the mid-quantiles, all with the same weight.

    Node i of n is the standard normal quantile of (2i - 1) / (2n).
    """
    grids = [normal_quantile(np.arange(1.0, 2.0 * n, 2.0) / (2.0 * n)) for n in points]
    nodes = np.array(list(product(*grids)), dtype=np.float64).reshape(-1, len(points))
    return Rule(nodes, np.full(len(nodes), -np.log(len(nodes))))
