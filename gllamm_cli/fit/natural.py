"""Variances, covariances and loadings: the raw parameters on the scale people read.

Each level has a lower triangular T with Cov = T T'. Standard errors are by the
delta method: with J the derivatives of the distinct elements of T T' in the
parameters, Var = J V J'.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import Fit
    from gllamm_cli.model.spec import LatentVariable, Level

FloatArray = NDArray[np.float64]


class NaturalKind(StrEnum):
    """What a natural-scale number is."""

    LEVEL1_VARIANCE = "level1_variance"
    VARIANCE = "variance"
    COVARIANCE = "covariance"
    CORRELATION = "correlation"
    LOADING = "loading"


@dataclass(frozen=True, slots=True)
class NaturalEstimate:
    """One number of the blocks below the coefficient table.

    Attributes
    ----------
    level, unit
        Level and its cluster variable; level 1 has the unit "".
    label
        As printed; random effects count from 1 within each level here.
    effects
        Numbers of the latent variables concerned, counted over all levels.
    std_err
        None where there is none: correlations and fixed values.
    variable
        The loading's variable.
    fixed
        Set by the model, not estimated: a first loading, a covariance under ``nocorrel``.
    """

    level: int
    unit: str
    kind: NaturalKind
    label: str
    effects: tuple[int, ...]
    estimate: float
    std_err: float | None = None
    variable: str | None = None
    fixed: bool = False


def natural_estimates(fit: Fit) -> tuple[NaturalEstimate, ...]:
    """All natural-scale numbers of a fit in the order in which they are printed."""
    estimates = list(_level1(fit))
    for level in fit.spec.levels:
        estimates.extend(_level(fit, level))
    return tuple(estimates)


def _std_err(fit: Fit, position: int) -> float:
    # max, because rounding can leave a variance of zero just below it.
    return math.sqrt(max(float(fit.covariance[position, position]), 0.0))


def _level1(fit: Fit) -> Iterator[NaturalEstimate]:
    for position in fit.block("scale"):
        variance = math.exp(2.0 * float(fit.estimates[position]))
        label = (
            "squared coefficient of variation"
            if fit.spec.response.family == "gamma"
            else "variance"
        )
        yield NaturalEstimate(
            level=1,
            unit="",
            kind=NaturalKind.LEVEL1_VARIANCE,
            label=label,
            effects=(),
            estimate=variance,
            std_err=2.0 * variance * _std_err(fit, position),
        )


@dataclass(frozen=True, slots=True)
class _LevelCovariance:
    """Cov = T T' of one level and the delta-method variance of its elements."""

    covariance: FloatArray
    std_err: FloatArray


def _level_covariance(fit: Fit, level: Level) -> _LevelCovariance:
    numbers = [effect.number for effect in level.latent]
    n = len(numbers)
    T = np.zeros((n, n))
    elements: list[tuple[int, int, int]] = []
    for position in fit.block("diagonal", "offdiagonal"):
        effects = fit.names[position].effects
        if effects[0] in numbers:
            row, column = numbers.index(effects[0]), numbers.index(effects[-1])
            T[row, column] = fit.estimates[position]
            elements.append((row, column, position))
    positions = [position for _, _, position in elements]
    jacobian = np.zeros((n, n, len(elements)))
    for k, (row, column, _) in enumerate(elements):
        # d(T T') / dT[row, column] has the column of T in its row and in its column.
        jacobian[row, :, k] += T[:, column]
        jacobian[:, row, k] += T[:, column]
    V = fit.covariance[np.ix_(positions, positions)]
    variance = np.einsum("ijk,kl,ijl->ij", jacobian, V, jacobian)
    return _LevelCovariance(T @ T.T, np.sqrt(np.maximum(variance, 0.0)))


def _level(fit: Fit, level: Level) -> Iterator[NaturalEstimate]:
    of_level = _level_covariance(fit, level)
    for row, effect in enumerate(level.latent):
        for column, other in enumerate(level.latent[:row]):
            yield from _pair(fit, level, of_level, (row, effect), (column, other))
        yield NaturalEstimate(
            level=level.number,
            unit=level.unit,
            kind=NaturalKind.VARIANCE,
            label=f"var({effect.index})",
            effects=(effect.number,),
            estimate=float(of_level.covariance[row, row]),
            std_err=float(of_level.std_err[row, row]),
        )
        yield from _loadings(fit, level, effect)


def _pair(
    fit: Fit,
    level: Level,
    of_level: _LevelCovariance,
    first: tuple[int, LatentVariable],
    second: tuple[int, LatentVariable],
) -> Iterator[NaturalEstimate]:
    """Covariance and correlation of two random effects of a level."""
    (row, effect), (column, other) = first, second
    effects = (effect.number, other.number)
    indices = f"({effect.index},{other.index})"
    if not fit.spec.correlated:
        yield NaturalEstimate(
            level=level.number,
            unit=level.unit,
            kind=NaturalKind.COVARIANCE,
            label=f"cov{indices}",
            effects=effects,
            estimate=0.0,
            fixed=True,
        )
        return
    covariance = of_level.covariance
    product = float(covariance[row, row] * covariance[column, column])
    yield NaturalEstimate(
        level=level.number,
        unit=level.unit,
        kind=NaturalKind.COVARIANCE,
        label=f"cov{indices}",
        effects=effects,
        estimate=float(covariance[row, column]),
        std_err=float(of_level.std_err[row, column]),
    )
    yield NaturalEstimate(
        level=level.number,
        unit=level.unit,
        kind=NaturalKind.CORRELATION,
        label=f"cor{indices}",
        effects=effects,
        estimate=float(covariance[row, column]) / math.sqrt(product) if product > 0 else math.nan,
    )


def _loadings(fit: Fit, level: Level, effect: LatentVariable) -> Iterator[NaturalEstimate]:
    """Loadings of an effect that has any; a first one that is fixed comes first."""
    positions = [k for k in fit.block("loading") if fit.names[k].effects == (effect.number,)]
    if not positions:
        return
    if not effect.free_first_loading:
        yield NaturalEstimate(
            level=level.number,
            unit=level.unit,
            kind=NaturalKind.LOADING,
            label=effect.variables[0],
            effects=(effect.number,),
            estimate=1.0,
            variable=effect.variables[0],
            fixed=True,
        )
    for position in positions:
        variable = fit.names[position].name
        yield NaturalEstimate(
            level=level.number,
            unit=level.unit,
            kind=NaturalKind.LOADING,
            label=variable,
            effects=(effect.number,),
            estimate=float(fit.estimates[position]),
            std_err=_std_err(fit, position),
            variable=variable,
        )
