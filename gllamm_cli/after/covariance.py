"""Covariance matrices of the latent variables and the level-1 variance, as functions of theta."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.masses import level_masses
from gllamm_cli.model.families import FAMILY_BY_NAME, LINK_BY_NAME
from gllamm_cli.model.spec import CONSTANT, Level, ModelSpec

FloatArray = NDArray[np.float64]


def level_covariance(fit: Fit, theta: FloatArray, level: Level) -> FloatArray:
    """Covariance of the disturbances of a level at parameters ``theta`` (K,).

    T T' with the lower triangular T of the Cholesky parameters; of discrete latent
    variables the moments of their masses.
    """
    if fit.spec.rule.discrete:
        return level_masses(replace(fit, estimates=theta), level).covariance
    numbers = [effect.number for effect in level.latent]
    T = np.zeros((len(numbers), len(numbers)))
    for position in fit.block("diagonal", "offdiagonal"):
        effects = fit.names[position].effects
        if effects[0] in numbers:
            T[numbers.index(effects[0]), numbers.index(effects[-1])] = theta[position]
    return T @ T.T


def has_level1_variance(spec: ModelSpec) -> bool:
    """Whether there is one level-1 scale for all rows."""
    return spec.has_scale and tuple(spec.scale_variables) == (CONSTANT,)


def level1_variance(fit: Fit, theta: FloatArray) -> float:
    """Square of the level-1 scale at ``theta``, which must be the same for all rows."""
    (position,) = fit.block("scale")
    value = float(theta[position])
    if fit.spec.natural_scale:
        return value * value
    return math.exp(2.0 * value) if value < 350.0 else math.inf


LATENT_RESPONSE = {
    "logit": math.pi**2 / 3.0,
    "ologit": math.pi**2 / 3.0,
    "probit": 1.0,
    "oprobit": 1.0,
    "cll": math.pi**2 / 6.0,
    "ll": math.pi**2 / 6.0,
    "ocll": math.pi**2 / 6.0,
}
"""Residual variance of the latent response: logistic, normal and Gumbel distributions."""


def residual_kind(family: str, link: str) -> str | float | None:
    """Residual variance on the scale of the linear predictor.

    ``"scale"`` is the squared level-1 scale; None says that there is no such variance.
    """
    entry = LINK_BY_NAME[link]
    if entry.nominal:
        return None
    if entry.has_scale:
        return "scale"
    if link in LATENT_RESPONSE:
        return LATENT_RESPONSE[link]
    return "scale" if FAMILY_BY_NAME[family].name == "gauss" and link == "ident" else None
