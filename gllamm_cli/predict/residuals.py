"""Pearson, deviance and Anscombe residuals.

Formulas as in McCullagh and Nelder (1989), Generalized Linear Models, section
2.4. With H(x) = 2F1(2/3, 1/3; 5/3; x) the Anscombe transform of a proportion is
1.5 y^(2/3) H(y), since B(2/3, 2/3) I_x(2/3, 2/3) = 1.5 x^(2/3) H(x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import beta, betainc, xlogy

from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.predict.means import ConditionalMean
from gllamm_cli.predict.request import Quantity

FloatArray = NDArray[np.float64]

TWO_THIRDS = 2.0 / 3.0


@dataclass(frozen=True, slots=True)
class Cell:
    """Responses y of n trials with mean n mu (one trial outside binomial), and the scale.

    ``complement`` is 1 - mu; all arrays broadcast to (rows, nodes).
    """

    y: FloatArray
    trials: FloatArray
    mu: FloatArray
    complement: FloatArray
    scale: FloatArray


def _signed_root(difference: FloatArray, deviance: NDArray[np.floating]) -> FloatArray:
    return np.asarray(np.sign(difference) * np.sqrt(np.maximum(deviance, 0.0)))


def _gaussian(cell: Cell) -> FloatArray:
    return np.asarray((cell.y - cell.mu) / cell.scale)


def _times(count: FloatArray, x: FloatArray) -> FloatArray:
    """Product that is zero where ``count`` is, whatever ``x``."""
    return np.asarray(np.where(count == 0.0, 0.0, count * x))


def _binomial_difference(cell: Cell) -> FloatArray:
    """Observed less expected successes, y - n mu, without cancellation."""
    return np.asarray(cell.y * cell.complement - (cell.trials - cell.y) * cell.mu)


def _binomial_pearson(cell: Cell) -> FloatArray:
    # (y - n mu) / sqrt(n mu (1 - mu)), which is finite where all responses are as expected.
    n, mu, complement = cell.trials, cell.mu, cell.complement
    successes = _times(cell.y, np.sqrt(complement / (n * mu)))
    return np.asarray(successes - _times(n - cell.y, np.sqrt(mu / (n * complement))))


def _binomial_deviance(cell: Cell) -> FloatArray:
    n, failures = cell.trials, cell.trials - cell.y
    # Logarithms of what is nearly one are taken of the rest.
    log_mu = np.where(cell.complement < 0.5, np.log1p(-cell.complement), np.log(cell.mu))
    log_complement = np.where(cell.mu < 0.5, np.log1p(-cell.mu), np.log(cell.complement))
    deviance = 2.0 * (
        _times(cell.y, np.log(cell.y / n) - log_mu)
        + _times(failures, np.log(failures / n) - log_complement)
    )
    return _signed_root(_binomial_difference(cell), deviance)


def _proportion(x: FloatArray) -> FloatArray:
    """1.5 x^(2/3) 2F1(2/3, 1/3; 5/3; x)."""
    return np.asarray(beta(TWO_THIRDS, TWO_THIRDS) * betainc(TWO_THIRDS, TWO_THIRDS, x))


def _binomial_anscombe(cell: Cell) -> FloatArray:
    # y^(2/3) H(y/n) = n^(2/3) (y/n)^(2/3) H(y/n); I_x is 1 - I_(1-x), which is exact near one.
    n, mu, complement = cell.trials, cell.mu, cell.complement
    share, rest = cell.y / n, (n - cell.y) / n
    difference = np.where(
        mu < 0.5, _proportion(share) - _proportion(mu), _proportion(complement) - _proportion(rest)
    )
    scaled = n**TWO_THIRDS / (n * mu * complement) ** (1.0 / 6.0)
    return _times(difference, scaled)


def _poisson_pearson(cell: Cell) -> FloatArray:
    return np.asarray((cell.y - cell.mu) / np.sqrt(cell.mu))


def _poisson_deviance(cell: Cell) -> FloatArray:
    deviance = 2.0 * (xlogy(cell.y, cell.y / cell.mu) - (cell.y - cell.mu))
    return _signed_root(cell.y - cell.mu, deviance)


def _poisson_anscombe(cell: Cell) -> FloatArray:
    difference = 1.5 * (cell.y**TWO_THIRDS - cell.mu**TWO_THIRDS)
    return np.asarray(difference / cell.mu ** (1.0 / 6.0))


def _gamma_pearson(cell: Cell) -> FloatArray:
    return np.asarray((cell.y - cell.mu) / cell.mu)


def _gamma_deviance(cell: Cell) -> FloatArray:
    deviance = -2.0 * (np.log(cell.y / cell.mu) - (cell.y - cell.mu) / cell.mu)
    return _signed_root(cell.y - cell.mu, deviance)


def _gamma_anscombe(cell: Cell) -> FloatArray:
    third = 1.0 / 3.0
    return np.asarray(3.0 * (cell.y**third - cell.mu**third) / cell.mu**third)


RESIDUALS: dict[tuple[str, Quantity], Callable[[Cell], FloatArray]] = {
    ("gauss", Quantity.PEARSON): _gaussian,
    ("gauss", Quantity.DEVIANCE): _gaussian,
    ("gauss", Quantity.ANSCOMBE): _gaussian,
    ("binom", Quantity.PEARSON): _binomial_pearson,
    ("binom", Quantity.DEVIANCE): _binomial_deviance,
    ("binom", Quantity.ANSCOMBE): _binomial_anscombe,
    ("poiss", Quantity.PEARSON): _poisson_pearson,
    ("poiss", Quantity.DEVIANCE): _poisson_deviance,
    ("poiss", Quantity.ANSCOMBE): _poisson_anscombe,
    ("gamma", Quantity.PEARSON): _gamma_pearson,
    ("gamma", Quantity.DEVIANCE): _gamma_deviance,
    ("gamma", Quantity.ANSCOMBE): _gamma_anscombe,
}
"""By family; ordinal and nominal responses are binomial events."""


class Residual:
    """Residuals of rows as a function of their linear predictors.

    Parameters
    ----------
    quantity
        Which of the three residuals.
    mean
        The conditional mean.
    above
        One category for each ordinal response.
    outcome
        Category of a nominal response in the ordinary form.
    scale : (N,)
        Level-1 scale; NaN without one.
    """

    def __init__(
        self,
        quantity: Quantity,
        mean: ConditionalMean,
        above: tuple[float, ...],
        outcome: float | None,
        scale: FloatArray,
    ) -> None:
        self._quantity, self._mean, self._scale = quantity, mean, scale
        prepared = mean.prepared
        self._denominator = prepared.raw.denominator
        y = prepared.response.copy()
        for rows, category in zip(prepared.design.ordinal, above, strict=True):
            # A missing response stays missing.
            here = y[rows.rows]
            y[rows.rows] = np.where(np.isnan(here), np.nan, here > category)
        if prepared.alternative is not None:
            y = np.where(np.isnan(y), np.nan, y == outcome)
        elif prepared.spec.choice_sets is not None:
            links = [LINK_BY_NAME[r.link].nominal for r in prepared.spec.responses]
            nominal = np.array(links)[prepared.number]
            chosen = np.where(prepared.contributes, prepared.design.y, np.nan)
            y = np.where(nominal, chosen, y)
        self._y = y

    def __call__(self, nu: FloatArray, begin: int, end: int) -> FloatArray:
        """Residuals of rows ``begin:end``, (end - begin, nodes) like ``nu``."""
        mu, complement = self._mean(nu, begin, end)
        prepared = self._mean.prepared
        number = prepared.number[begin:end]
        out = np.empty_like(mu)
        with np.errstate(all="ignore"):
            for position, response in enumerate(prepared.spec.responses):
                here = number == position
                if not here.any():
                    continue
                link = LINK_BY_NAME[response.link]
                is_event = link.ordinal or link.nominal
                family = "binom" if is_event else response.family
                rows = np.flatnonzero(here)
                at = rows + begin
                trials = np.ones(len(at)) if is_event else self._denominator[at]
                cell = Cell(
                    self._y[at, None],
                    trials[:, None],
                    mu[rows],
                    complement[rows],
                    self._scale[at, None],
                )
                out[rows] = RESIDUALS[family, self._quantity](cell)
        return out
