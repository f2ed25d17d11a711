"""Quadrature rules for standard normal latent variables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._hermite import gauss_hermite as compiled_rule
from gllamm_cli.model.special import normal_quantile

FloatArray = NDArray[np.float64]


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
        return math.prod(self.points)

    @property
    def n_latent(self) -> int:
        """Number of dimensions d."""
        return len(self.points)


@lru_cache(maxsize=64)
def gauss_hermite(points: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Nodes and log weights of the rule for N(0, 1), exact up to degree ``2 * points - 1``."""
    return compiled_rule(points)


def equal_probability_rule(points: tuple[int, ...]) -> Rule:
    """Tensor product of grids at the mid-quantiles, all with the same weight.

    Node i of n is the standard normal quantile of (2i - 1) / (2n).
    """
    grids = [normal_quantile(np.arange(1.0, 2.0 * n, 2.0) / (2.0 * n)) for n in points]
    nodes = np.array(list(product(*grids)), dtype=np.float64).reshape(-1, len(points))
    return Rule(nodes, np.full(len(nodes), -np.log(len(nodes))))
