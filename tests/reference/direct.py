"""Log likelihood of nested units by direct recursion in plain numpy, for models given as functions.

Nothing is shared with the package: the predictor of a model is written out in
each test, densities are those of textbooks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logsumexp

Rows = pd.DataFrame
Values = dict[str, float]


@dataclass(frozen=True)
class Level:
    """A level: its id, its nodes (dictionaries of latent values), log weights, unit weight."""

    unit: str
    nodes: tuple[Values, ...]
    log_weights: tuple[float, ...] | Callable[[Rows], np.ndarray]
    weight: str | None = None


def hermite(names: tuple[str, ...], points: int) -> tuple[tuple[Values, ...], tuple[float, ...]]:
    """Product Gauss-Hermite rule for independent standard normal latent variables."""
    x, w = np.polynomial.hermite.hermgauss(points)
    grids = np.meshgrid(*[np.arange(points)] * len(names), indexing="ij")
    nodes, weights = [], []
    for index in zip(*(grid.ravel() for grid in grids), strict=True):
        nodes.append({n: np.sqrt(2) * x[i] for n, i in zip(names, index, strict=True)})
        weights.append(sum(np.log(w[i] / np.sqrt(np.pi)) for i in index))
    return tuple(nodes), tuple(weights)


def log_likelihood(
    frame: Rows, levels: list[Level], log_density: Callable[[Rows, Values], np.ndarray]
) -> float:
    """Sum over top-level units; ``levels`` from the lowest to the highest.

    ``log_density`` gives the weighted log densities of rows at latent values.
    """

    def unit(rows: Rows, number: int, values: Values) -> float:
        level = levels[number]
        log_weights = level.log_weights
        if callable(log_weights):
            log_weights = log_weights(rows)
        terms = []
        for node, log_weight in zip(level.nodes, log_weights, strict=True):
            here = {**values, **node}
            if number == 0:
                inner = float(np.sum(log_density(rows, here)))
            else:
                inner = sum(weighted(part, number - 1, here) for part in parts(rows, number - 1))
            terms.append(log_weight + inner)
        return float(logsumexp(terms))

    def weighted(rows: Rows, number: int, values: Values) -> float:
        name = levels[number].weight
        return (1.0 if name is None else float(rows[name].iloc[0])) * unit(rows, number, values)

    def parts(rows: Rows, number: int) -> list[Rows]:
        return [part for _, part in rows.groupby(levels[number].unit)]

    top = len(levels) - 1
    return sum(weighted(part, top, {}) for part in parts(frame, top))


def normal(y: np.ndarray, mean: np.ndarray, sd: np.ndarray | float) -> np.ndarray:
    """Log density of the normal distribution."""
    return stats.norm.logpdf(y, mean, sd)


def binary(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Log probability of a binary outcome."""
    p = np.clip(p, 1e-300, 1.0 - 1e-16)
    return np.where(y == 1, np.log(p), np.log1p(-p))


CUMULATIVE = {
    "ologit": expit,
    "oprobit": stats.norm.cdf,
    "ocll": lambda x: -np.expm1(-np.exp(x)),
}


def ordinal(y: np.ndarray, nu: np.ndarray, kappa: np.ndarray, link: str) -> np.ndarray:
    """Log probability of category y = 1..S; P(y > s) = F(nu - kappa_s), kappa (rows, S - 1)."""
    above = CUMULATIVE[link](nu[:, None] - kappa)
    ones, zeros = np.ones((len(y), 1)), np.zeros((len(y), 1))
    cumulative = np.hstack([ones, above, zeros])
    at = y.astype(int)
    rows = np.arange(len(y))
    difference = cumulative[rows, at - 1] - cumulative[rows, at]
    # Nodes in the tail may leave nothing for a category.
    return np.log(np.maximum(difference, 1e-300))


def choice(unit: np.ndarray, chosen: np.ndarray, nu: np.ndarray) -> np.ndarray:
    """Log probability of the chosen row of each set, in that row; zero elsewhere."""
    out = np.zeros(len(nu))
    for one in np.unique(unit):
        here = unit == one
        out[here & (chosen == 1)] = nu[here & (chosen == 1)] - logsumexp(nu[here])
    return out
