"""Responses drawn from their conditional distributions given the linear predictors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.predict.means import INVERSE_LINKS, conditional_mean, thresholds
from gllamm_cli.predict.model import PreparedModel

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

LARGEST_POISSON_MEAN = 9e18
"""Beyond it counts have no place in 64 bits."""


def draw_responses(model: PreparedModel, nu: FloatArray, random: np.random.Generator) -> FloatArray:
    """Draw a response for every design row, (N,); NaN where ``nu`` (N,) does not allow one."""
    prepared = model.prepared
    spec = prepared.spec
    # Only means of ordinal responses depend on the category; those are not used here.
    lowest = tuple(response.categories[0] for response in spec.thresholds)
    conditional = conditional_mean(prepared, model.alpha, lowest)
    mu = conditional.mean(nu[:, None], 0, prepared.n_rows)[:, 0]
    scale = np.full(prepared.n_rows, np.nan) if model.scales is None else model.scales
    out = np.full(prepared.n_rows, np.nan)
    for position, response in enumerate(spec.responses):
        rows = np.flatnonzero(prepared.number == position)
        link = LINK_BY_NAME[response.link]
        if link.ordinal:
            out[rows] = _ordinal(model, nu, position, rows, random)
        elif link.nominal:
            out[rows] = _nominal(model, nu, mu, position, rows, random)
        else:
            trials = prepared.raw.denominator[rows]
            out[rows] = DRAWS[response.family](mu[rows], scale[rows], trials, random)
    out[~prepared.known] = np.nan
    return out


def _gaussian(
    mu: FloatArray, scale: FloatArray, trials: FloatArray, random: np.random.Generator
) -> FloatArray:
    return np.asarray(mu + scale * random.standard_normal(len(mu)))


def _binomial(
    mu: FloatArray, scale: FloatArray, trials: FloatArray, random: np.random.Generator
) -> FloatArray:
    possible = (mu >= 0.0) & (mu <= 1.0) & (trials >= 0.0)
    counts = np.floor(np.where(possible, trials, 0.0)).astype(np.int64)
    return np.where(possible, random.binomial(counts, np.where(possible, mu, 0.0)), np.nan)


def _poisson(
    mu: FloatArray, scale: FloatArray, trials: FloatArray, random: np.random.Generator
) -> FloatArray:
    possible = (mu >= 0.0) & (mu < LARGEST_POISSON_MEAN)
    return np.where(possible, random.poisson(np.where(possible, mu, 0.0)), np.nan)


def _gamma(
    mu: FloatArray, scale: FloatArray, trials: FloatArray, random: np.random.Generator
) -> FloatArray:
    """Shape 1/s1^2 and mean mu, so that s1 is the coefficient of variation."""
    possible = (mu > 0.0) & np.isfinite(mu) & np.isfinite(scale)
    variance = np.where(possible, scale, 1.0) ** 2
    drawn = random.gamma(1.0 / variance, np.where(possible, mu, 1.0) * variance)
    return np.where(possible, drawn, np.nan)


DRAWS: dict[
    str, Callable[[FloatArray, FloatArray, FloatArray, np.random.Generator], FloatArray]
] = {"gauss": _gaussian, "binom": _binomial, "poiss": _poisson, "gamma": _gamma}
"""By family, from means, scales and numbers of trials."""


def _ordinal(
    model: PreparedModel,
    nu: FloatArray,
    position: int,
    rows: IndexArray,
    random: np.random.Generator,
) -> FloatArray:
    """Inverse distribution function: the category with P(y > s) <= U < P(y > s - 1)."""
    prepared = model.prepared
    links = [LINK_BY_NAME[response.link] for response in prepared.spec.responses]
    # Its number among the ordinal responses.
    number = sum(link.ordinal for link in links[:position])
    of_response = prepared.raw.ordinal[number]
    categories = np.array(prepared.spec.thresholds[number].categories)
    link = links[position]
    above = nu[rows, None] - thresholds(of_response, model.alpha)
    if link.has_scale and model.scales is not None:
        above /= model.scales[rows, None]
    uniform = random.random(len(rows))
    with np.errstate(over="ignore"):
        exceeded = uniform[:, None] < INVERSE_LINKS[link.name].mean(above)
    drawn = categories[exceeded.sum(axis=1)]
    return np.where(np.isnan(above).any(axis=1), np.nan, drawn)


def _nominal(
    model: PreparedModel,
    nu: FloatArray,
    mu: FloatArray,
    position: int,
    rows: IndexArray,
    random: np.random.Generator,
) -> FloatArray:
    """A category for each unit, or in expanded form 1 for the chosen alternative, 0 else."""
    prepared = model.prepared
    if prepared.alternative is not None:
        start = prepared.group_start
        K = len(mu) // len(start)
        cumulative = np.cumsum(mu.reshape(-1, K), axis=1)
        uniform = random.random(len(start))[:, None]
        chosen = np.minimum((uniform >= cumulative).sum(axis=1), K - 1)
        codes = prepared.alternative[:K][chosen]
        return np.repeat(np.where(np.isnan(cumulative[:, -1]), np.nan, codes), K)
    link = LINK_BY_NAME[prepared.spec.responses[position].link]
    utility = np.full(len(nu), -np.inf)
    scale = model.scales[rows] if link.has_scale and model.scales is not None else 1.0
    utility[rows] = nu[rows] / scale + random.gumbel(size=len(rows))
    start = prepared.group_start
    size = np.diff(np.append(start, len(nu)))
    largest = np.repeat(np.fmax.reduceat(utility, start), size)
    drawn = (utility == largest).astype(np.float64)
    return np.where(np.isnan(utility[rows]), np.nan, drawn[rows])
