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

from gllamm_cli.fit.masses import effect_estimates, level_masses, probability_estimates
from gllamm_cli.fit.natural_estimate import NaturalEstimate as NaturalEstimate
from gllamm_cli.fit.natural_estimate import NaturalKind as NaturalKind
from gllamm_cli.model.families import FAMILY_BY_NAME, LINK_BY_NAME

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import Fit
    from gllamm_cli.model.spec import LatentVariable, Level, ModelSpec

FloatArray = NDArray[np.float64]


class Level1Scale(StrEnum):
    """What the squared level-1 scale is."""

    VARIANCE = "variance"
    COEFFICIENT_OF_VARIATION = "squared coefficient of variation"
    DISPERSION = "dispersion"


def level1_scale(spec: ModelSpec) -> Level1Scale:
    """Meaning of the level-1 scale, by the families and links that share it."""
    has_gamma = has_other = False
    for response in spec.responses:
        link = LINK_BY_NAME[response.link]
        of_family = not (link.ordinal or link.nominal) and FAMILY_BY_NAME[response.family].has_scale
        has_gamma = has_gamma or (of_family and response.family == "gamma")
        has_other = has_other or link.has_scale or (of_family and response.family != "gamma")
    if not has_gamma:
        return Level1Scale.VARIANCE
    return Level1Scale.DISPERSION if has_other else Level1Scale.COEFFICIENT_OF_VARIATION


def natural_estimates(fit: Fit) -> tuple[NaturalEstimate, ...]:
    """All natural-scale numbers of a fit in the order in which they are printed."""
    estimates = list(_level1(fit))
    for level in fit.spec.levels:
        if fit.spec.rule.discrete:
            estimates.extend(_discrete_level(fit, level))
        else:
            estimates.extend(_normal_level(fit, level))
    estimates.extend(_structure(fit))
    return tuple(estimates)


def _std_err(fit: Fit, position: int) -> float:
    # max, because rounding can leave a variance of zero just below it.
    return math.sqrt(max(float(fit.covariance[position, position]), 0.0))


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _level1(fit: Fit) -> Iterator[NaturalEstimate]:
    """The squared scale, or the coefficients of the equation for its logarithm."""
    positions = fit.block("scale")
    for position in positions:
        value, std_err = float(fit.estimates[position]), _std_err(fit, position)
        if not fit.spec.constant_scale:
            variable = fit.names[position].name
            yield NaturalEstimate(
                level=1,
                unit="",
                kind=NaturalKind.LEVEL1_LOG_SD,
                label=variable,
                effects=(),
                estimate=value,
                std_err=std_err,
                variable=variable,
            )
            continue
        natural = fit.spec.natural_scale
        variance = value**2 if natural else _exp(2.0 * value)
        slope = 2.0 * abs(value) if natural else 2.0 * variance
        yield NaturalEstimate(
            level=1,
            unit="",
            kind=NaturalKind.LEVEL1_VARIANCE,
            label=level1_scale(fit.spec),
            effects=(),
            estimate=variance,
            std_err=slope * std_err,
        )


@dataclass(frozen=True, slots=True)
class _LevelCovariance:
    """Cov = T T' of one level and the delta-method variance of its elements."""

    covariance: FloatArray
    std_err: FloatArray


def cholesky_factor(fit: Fit, level: Level) -> tuple[FloatArray, list[tuple[int, int, int]]]:
    """Lower triangular T (n, n) of a level, and row, column and position of its elements."""
    numbers = [effect.number for effect in level.latent]
    T = np.zeros((len(numbers), len(numbers)))
    elements: list[tuple[int, int, int]] = []
    for position in fit.block("diagonal", "offdiagonal"):
        effects = fit.names[position].effects
        if effects[0] in numbers:
            row, column = numbers.index(effects[0]), numbers.index(effects[-1])
            T[row, column] = fit.estimates[position]
            elements.append((row, column, position))
    return T, elements


def _level_covariance(fit: Fit, level: Level) -> _LevelCovariance:
    n = len(level.latent)
    T, elements = cholesky_factor(fit, level)
    positions = [position for _, _, position in elements]
    jacobian = np.zeros((n, n, len(elements)))
    for k, (row, column, _) in enumerate(elements):
        # d(T T') / dT[row, column] has the column of T in its row and in its column.
        jacobian[row, :, k] += T[:, column]
        jacobian[:, row, k] += T[:, column]
    V = fit.covariance[np.ix_(positions, positions)]
    variance = np.einsum("ijk,kl,ijl->ij", jacobian, V, jacobian)
    return _LevelCovariance(T @ T.T, np.sqrt(np.maximum(variance, 0.0)))


def _normal_level(fit: Fit, level: Level) -> Iterator[NaturalEstimate]:
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


def _discrete_level(fit: Fit, level: Level) -> Iterator[NaturalEstimate]:
    masses = level_masses(fit, level)
    for row, effect in enumerate(level.latent):
        yield from effect_estimates(level, masses, row)
        yield from _loadings(fit, level, effect)
    yield from probability_estimates(level, masses)
    yield from _class_covariates(fit, level)


def _class_covariates(fit: Fit, level: Level) -> Iterator[NaturalEstimate]:
    """Log odds of the classes, where they depend on covariates."""
    if not dict(fit.spec.class_covariates).get(level.number):
        return
    for position in fit.block("odds"):
        name = fit.names[position]
        if name.effects[0] == level.number:
            yield NaturalEstimate(
                level=level.number,
                unit=level.unit,
                kind=NaturalKind.LOG_ODDS,
                label=name.name,
                effects=tuple(effect.number for effect in level.latent),
                estimate=float(fit.estimates[position]),
                std_err=_std_err(fit, position),
                variable=name.name,
                mass=name.effects[1],
            )


def _structure(fit: Fit) -> Iterator[NaturalEstimate]:
    """Regressions among latent variables, and of latent variables on covariates."""
    units = {level.number: level.unit for level in fit.spec.levels}
    for position in fit.block("bmatrix", "regression"):
        name = fit.names[position]
        is_path = name.block == "bmatrix"
        level = fit.spec.latent[name.effects[0] - 1].level
        yield NaturalEstimate(
            level=level,
            unit=units[level],
            kind=NaturalKind.BMATRIX if is_path else NaturalKind.REGRESSION,
            label="B({},{})".format(*name.effects) if is_path else name.name,
            effects=name.effects,
            estimate=float(fit.estimates[position]),
            std_err=_std_err(fit, position),
            variable=None if is_path else name.name,
        )
