"""Log likelihoods by direct summation over all nodes, in plain numpy and scipy.

Written from the definition of the model and sharing nothing with the package:
densities come from scipy.stats, the nested integrals from one recursion over
the levels. With a Gauss-Hermite rule the sum is ordinary quadrature itself and
must agree to rounding; with a fine trapezoid it is an accurate reference for
everything else.

The model of row i is ``nu_i = predictor_i + sum over levels of A_l[i] @ v_l`` with
independent standard normal ``v_l`` of each unit of level l, so that ``A_l`` holds
variables times loadings times the Cholesky factor. A unit of level l contributes

    w_l * log sum_q W_q exp(sum of the contributions of the units within it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

INVERSE_LINKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ident": lambda nu: nu,
    "log": np.exp,
    "recip": np.reciprocal,
    "logit": special.expit,
    "probit": special.ndtr,
    "cll": lambda nu: -np.expm1(-np.exp(nu)),
    "ll": lambda nu: np.exp(-np.exp(nu)),
}

UPPER_AND_LOWER_TAILS: dict[str, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    "ologit": (special.expit, lambda x: special.expit(-x)),
    "oprobit": (special.ndtr, lambda x: special.ndtr(-x)),
    "soprobit": (special.ndtr, lambda x: special.ndtr(-x)),
    "ocll": (lambda x: -np.expm1(-np.exp(x)), lambda x: np.exp(-np.exp(x))),
}


@dataclass(frozen=True)
class Rule:
    """Nodes (q, d) of a distribution N(0, I_d) and the logarithms of their weights."""

    nodes: np.ndarray
    log_weights: np.ndarray


def gauss_hermite(points: int) -> Rule:
    """The probabilists' rule for N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    return Rule(nodes[:, None], np.log(weights) - 0.5 * np.log(2.0 * np.pi))


def trapezoid(step: float, reach: float = 8.0) -> Rule:
    """An equally spaced rule; its error falls with ``exp(-2 (pi sd / step)^2)``.

    ``sd`` is the standard deviation of the integrand, that is of the posterior.
    """
    nodes = np.arange(-reach, reach + step / 2.0, step)
    return Rule(nodes[:, None], stats.norm.logpdf(nodes) + np.log(step))


def product(rule: Rule, dimensions: int) -> Rule:
    """All combinations of the nodes of a one-dimensional rule."""
    grids = np.meshgrid(*[rule.nodes[:, 0]] * dimensions, indexing="ij")
    weights = np.meshgrid(*[rule.log_weights] * dimensions, indexing="ij")
    nodes = np.stack([grid.ravel() for grid in grids], axis=1)
    return Rule(nodes, np.sum([weight.ravel() for weight in weights], axis=0))


def log_density(
    family: str,
    link: str,
    y: np.ndarray,
    nu: np.ndarray,
    *,
    scale: float = 1.0,
    denominator: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Log density of each row; shapes broadcast."""
    scaled = link == "sprobit"
    mean = special.ndtr(nu / scale) if scaled else INVERSE_LINKS[link](nu)
    if family == "gauss":
        return stats.norm.logpdf(y, mean, scale)
    if family == "poiss":
        return stats.poisson.logpmf(y, mean)
    if family == "binom":
        return stats.binom.logpmf(y, denominator, mean)
    if family == "gamma":
        shape = scale**-2.0
        return stats.gamma.logpdf(y, shape, scale=mean / shape)
    raise ValueError(family)


def ordinal_log_density(
    link: str, category: np.ndarray, nu: np.ndarray, cuts: np.ndarray, *, scale: float = 1.0
) -> np.ndarray:
    """Log probability of categories 0, 1, ... with ``P(y > s) = F(nu - cut_s)``."""
    if link != "soprobit":
        scale = 1.0
    padded = np.concatenate([[-np.inf], cuts, [np.inf]]).reshape(-1, *[1] * (nu.ndim - 1))
    upper, lower = UPPER_AND_LOWER_TAILS[link]
    below, above = (nu - padded[category]) / scale, (nu - padded[category + 1]) / scale
    # The same difference twice; the smaller terms cancel less.
    from_upper, from_lower = upper(below) - upper(above), lower(above) - lower(below)
    return np.log(np.where(upper(below) < 0.5, from_upper, from_lower))


@dataclass(frozen=True)
class Nested:
    """A nested data set: rows in units of level 2, these in units of level 3, and so on.

    ``ids``, ``effects`` and ``rules`` go from level 2 upwards; ``weights`` from
    level 1, by row. A unit is what shares its own and all higher identifiers.
    """

    predictor: np.ndarray
    ids: Sequence[np.ndarray]
    effects: Sequence[np.ndarray]
    rules: Sequence[Rule]
    weights: Sequence[np.ndarray]

    def log_likelihood(self, density: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
        """Sum over top units; ``density(rows, nu)`` gives the log densities of some rows."""
        top = len(self.ids)
        everything = np.arange(len(self.predictor))
        return float(
            sum(
                self._unit(top, rows, self.predictor[rows], density)
                for rows in self._split(top, everything)
            )
        )

    def _split(self, level: int, rows: np.ndarray) -> list[np.ndarray]:
        identifiers = self.ids[level - 1][rows]
        return [rows[identifiers == value] for value in np.unique(identifiers)]

    def _unit(
        self,
        level: int,
        rows: np.ndarray,
        nu: np.ndarray,
        density: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Contribution of a unit; ``nu`` has an axis for each integral further out.

        ``level`` counts the integrals left, so that the unit is of level ``level + 1``.
        """
        rule = self.rules[level - 1]
        shifts = self.effects[level - 1][rows] @ rule.nodes.T
        outer = nu.ndim - 1
        nu = nu[..., None] + shifts.reshape(len(rows), *[1] * outer, -1)
        if level == 1:
            weight = self.weights[0][rows].reshape(-1, *[1] * (outer + 1))
            inside = (weight * density(rows, nu)).sum(axis=0)
        else:
            position = {row: k for k, row in enumerate(rows)}
            inside = sum(
                self._unit(level - 1, part, nu[[position[row] for row in part]], density)
                for part in self._split(level - 1, rows)
            )
        integral = special.logsumexp(inside + rule.log_weights, axis=-1)
        return self.weights[level][rows[0]] * integral


def gaussian_log_likelihood(
    y: np.ndarray, predictor: np.ndarray, groups: np.ndarray, A: np.ndarray, scale: float
) -> float:
    """Two-level linear model in closed form: each cluster is multivariate normal."""
    total = 0.0
    for group in np.unique(groups):
        rows = groups == group
        covariance = A[rows] @ A[rows].T + scale**2 * np.eye(rows.sum())
        total += stats.multivariate_normal.logpdf(y[rows], predictor[rows], covariance)
    return float(total)
