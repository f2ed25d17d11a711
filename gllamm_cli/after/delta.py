"""The delta method: covariances of functions of the parameters, and their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.report.coefficients import critical_value

FloatArray = NDArray[np.float64]
Function = Callable[[FloatArray], FloatArray]

OF_STD_ERR = 1e-2
OF_PARAMETER = 1e-3
"""Largest steps of differences, as parts of the standard error and of the parameter."""
SMALL = 1e-2
"""Size below which a parameter counts as this large."""

BOUNDARY = 1e-8
"""Value of 1 - r^2 below which a correlation is on the boundary and has no interval."""


def steps(theta: FloatArray, covariance: FloatArray) -> FloatArray:
    """Steps of differences, (K,): zero for parameters without variance, which do not move."""
    std_err = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    size = OF_PARAMETER * np.maximum(np.abs(theta), SMALL)
    return np.where(std_err > 0.0, np.minimum(OF_STD_ERR * std_err, size), 0.0)


def jacobian(function: Function, theta: FloatArray, h: FloatArray) -> FloatArray:
    """Derivatives (F, K) of ``function`` (K,) -> (F,) by central differences of fourth order.

    (8 [f(x + h) - f(x - h)] - [f(x + 2h) - f(x - 2h)]) / 12h; exact for polynomials up to
    the fourth degree. Columns with ``h`` (K,) zero are zero.
    """
    columns = np.zeros((len(function(theta)), len(theta)))
    for k in np.flatnonzero(h):
        unit = np.zeros(len(theta))
        unit[k] = h[k]
        near = function(theta + unit) - function(theta - unit)
        far = function(theta + 2.0 * unit) - function(theta - 2.0 * unit)
        columns[:, k] = (8.0 * near - far) / (12.0 * h[k])
    return columns


@dataclass(frozen=True, slots=True)
class Estimated:
    """A number with its standard error and confidence interval; NaN where there is none."""

    estimate: float
    std_err: float
    lower: float
    upper: float


def log_scale(estimate: float, std_err: float, level: float) -> Estimated:
    """Interval of a positive number, symmetric in its logarithm."""
    if not (estimate > 0.0 and std_err > 0.0):
        return Estimated(estimate, std_err, math.nan, math.nan)
    reach = critical_value(level) * std_err / estimate
    if reach > 700.0:
        return Estimated(estimate, std_err, 0.0, math.inf)
    return Estimated(estimate, std_err, estimate * math.exp(-reach), estimate * math.exp(reach))


def fisher_scale(estimate: float, std_err: float, level: float) -> Estimated:
    """Interval of a correlation, symmetric in its inverse hyperbolic tangent (Fisher's z)."""
    rest = 1.0 - estimate * estimate
    if not (rest > BOUNDARY and std_err > 0.0):
        return Estimated(estimate, std_err, math.nan, math.nan)
    middle, reach = math.atanh(estimate), critical_value(level) * std_err / rest
    return Estimated(estimate, std_err, math.tanh(middle - reach), math.tanh(middle + reach))


def logit_scale(estimate: float, std_err: float, level: float) -> Estimated:
    """Interval of a proportion, symmetric in its log odds."""
    rest = estimate * (1.0 - estimate)
    if not (rest > 0.0 and std_err > 0.0):
        return Estimated(estimate, std_err, math.nan, math.nan)
    middle, reach = math.log(estimate / (1.0 - estimate)), critical_value(level) * std_err / rest
    return Estimated(estimate, std_err, _expit(middle - reach), _expit(middle + reach))


def _expit(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x)) if x < 700.0 else 1.0
    return math.exp(x) / (1.0 + math.exp(x)) if x > -700.0 else 0.0
