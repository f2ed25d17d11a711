"""Variance components: variances, standard deviations and correlations with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.after.covariance import has_level1_variance, level1_variance, level_covariance
from gllamm_cli.after.delta import Estimated, Function, fisher_scale, jacobian, log_scale, steps
from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.natural import Level1Scale, level1_scale
from gllamm_cli.model.spec import LatentVariable, Level

FloatArray = NDArray[np.float64]


class Measure(StrEnum):
    """What a component is."""

    VARIANCE = "var"
    DEVIATION = "sd"
    CORRELATION = "corr"


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a level; ``label`` is ``var(x)``, ``sd(x)`` or ``corr(x,z)``."""

    level: int
    unit: str
    measure: Measure
    label: str
    value: Estimated


def variance_components(fit: Fit, *, level: float = 95.0) -> tuple[Component, ...]:
    """Components of all levels, the highest first, and of level 1 last.

    Standard errors are by the delta method; intervals of variances and standard
    deviations are symmetric on the log scale, those of correlations on that of Fisher's z.
    At a variance of zero there is no interval. Under ``bmatrix()`` and ``geqs()`` they
    are those of the disturbances.
    """
    found = [c for of_level in reversed(fit.spec.levels) for c in _of_level(fit, of_level, level)]
    if has_level1_variance(fit.spec):
        found.extend(_level1(fit, level))
    return tuple(found)


def effect_name(effect: LatentVariable) -> str:
    """Name of a random effect: its variable, or the number of a factor."""
    if len(effect.variables) == 1 and not effect.free_first_loading:
        return effect.variables[0]
    return f"factor{effect.number}"


def _names(level: Level) -> list[str]:
    names = [effect_name(effect) for effect in level.latent]
    if len(set(names)) == len(names):
        return names
    return [f"{name}:{effect.index}" for name, effect in zip(names, level.latent, strict=True)]


def _of_level(fit: Fit, of_level: Level, level: float) -> Iterator[Component]:
    n = len(of_level.latent)
    pairs = [(row, column) for row in range(n) for column in range(row)]
    if not fit.spec.correlated:
        pairs = []

    def components(theta: FloatArray) -> FloatArray:
        covariance = level_covariance(fit, theta, of_level)
        deviations = np.sqrt(np.diag(covariance))
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = covariance / np.outer(deviations, deviations)
        return np.concatenate(
            [np.diag(covariance), deviations, [correlation[pair] for pair in pairs]]
        )

    values, errors = _delta(fit, components)
    names = _names(of_level)
    labels = [f"var({name})" for name in names] + [f"sd({name})" for name in names]
    labels += [f"corr({names[row]},{names[column]})" for row, column in pairs]
    measures = [Measure.VARIANCE] * n + [Measure.DEVIATION] * n + [Measure.CORRELATION] * len(pairs)
    for measure, label, value, error in zip(measures, labels, values, errors, strict=True):
        scale = fisher_scale if measure is Measure.CORRELATION else log_scale
        yield Component(
            of_level.number, of_level.unit, measure, label, scale(float(value), float(error), level)
        )


def _level1(fit: Fit, level: float) -> Iterator[Component]:
    def components(theta: FloatArray) -> FloatArray:
        variance = level1_variance(fit, theta)
        return np.array([variance, np.sqrt(variance)])

    is_variance = level1_scale(fit.spec) is Level1Scale.VARIANCE
    shown = "Residual" if is_variance else str(level1_scale(fit.spec))
    values, errors = _delta(fit, components)
    rows = zip((Measure.VARIANCE, Measure.DEVIATION), values, errors, strict=True)
    for measure, value, error in rows:
        label = f"{measure}({shown})"
        if not is_variance:
            if measure is Measure.DEVIATION:
                continue
            label = shown
        yield Component(1, "", measure, label, log_scale(float(value), float(error), level))


def _delta(fit: Fit, components: Function) -> tuple[FloatArray, FloatArray]:
    """Values of a function of the parameters and their standard errors."""
    theta, V = fit.estimates, fit.covariance
    J = jacobian(components, theta, steps(theta, V))
    return components(theta), np.sqrt(np.maximum(np.einsum("fk,kl,fl->f", J, V, J), 0.0))
