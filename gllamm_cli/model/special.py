"""Special functions that fits need, in numpy alone.

scipy takes longer to load than most models to fit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.distinct import numbered

FloatArray = NDArray[np.float64]

FEW_VALUES = 50_000
"""Different values up to which logs of the gamma function are computed one by one."""
ASYMPTOTIC = 10.0
"""From here on the asymptotic series are accurate to rounding."""
DIGAMMA_SERIES = (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12)
"""Bernoulli numbers B_2k over 2k, k = 7, ..., 1."""
TRIGAMMA_SERIES = (7 / 6, -691 / 2730, 5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6)
"""Bernoulli numbers B_2k, k = 7, ..., 1."""

CENTRE_OVER = (
    2509.0809287301227,
    33430.57558358813,
    67265.7709270087,
    45921.95393154987,
    13731.69376550946,
    1971.5909503065513,
    133.14166789178438,
    3.3871328727963665,
)
CENTRE_UNDER = (
    5226.495278852854,
    28729.085735721943,
    39307.89580009271,
    21213.794301586597,
    5394.196021424751,
    687.1870074920579,
    42.31333070160091,
    1.0,
)
MIDDLE_OVER = (
    0.0007745450142783414,
    0.022723844989269184,
    0.2417807251774506,
    1.2704582524523684,
    3.6478483247632045,
    5.769497221460691,
    4.630337846156546,
    1.4234371107496835,
)
MIDDLE_UNDER = (
    1.0507500716444169e-09,
    0.0005475938084995345,
    0.015198666563616457,
    0.14810397642748008,
    0.6897673349851,
    1.6763848301838038,
    2.053191626637759,
    1.0,
)
TAIL_OVER = (
    2.0103343992922881e-07,
    2.7115555687434876e-05,
    0.0012426609473880784,
    0.026532189526576124,
    0.29656057182850487,
    1.7848265399172913,
    5.463784911164114,
    6.657904643501103,
)
TAIL_UNDER = (
    2.0442631033899397e-15,
    1.421511758316446e-07,
    1.8463183175100548e-05,
    0.0007868691311456133,
    0.014875361290850615,
    0.1369298809227358,
    0.599832206555888,
    1.0,
)
"""Coefficients of Wichura's algorithm, the highest power first."""


FEW_TO_SHIFT = 64


def log_gamma(x: FloatArray) -> FloatArray:
    """Log of the gamma function of nonnegative numbers, (N,)."""
    if len(x) and x.max() < 1000 + 10 * len(x):
        whole = x.astype(np.int64)
        if (whole == x).all():
            # Counts repeat themselves: a table of those that occur.
            occurring = np.flatnonzero(np.bincount(whole))
            table = np.zeros(int(occurring[-1]) + 1)
            table[occurring] = _one_by_one(occurring)
            return table[whole]
    values, number = numbered(x)
    if len(values) <= FEW_VALUES:
        return _one_by_one(values)[number]
    from scipy.special import gammaln

    return np.asarray(gammaln(x))


def _one_by_one(x: NDArray[np.float64] | NDArray[np.int64]) -> FloatArray:
    return np.array([_log_gamma(value) for value in x.tolist()], dtype=np.float64)


def _log_gamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):
        # At zero, and beyond the largest number.
        return math.inf


def digamma(x: FloatArray) -> FloatArray:
    """Derivative of the log of the gamma function, of nonnegative numbers.

    By recurrence and the asymptotic series, Abramowitz and Stegun (1964), 6.3.5 and 6.3.18.
    """
    with np.errstate(all="ignore"):
        at, before = _shifted(x, -1.0)
        square = 1.0 / (at * at)
        series = square * _polynomial(DIGAMMA_SERIES, square)
        return np.asarray(np.log(at) - 0.5 / at - series - before)


def trigamma(x: FloatArray) -> FloatArray:
    """Second derivative of the log of the gamma function, of nonnegative numbers.

    By recurrence and the asymptotic series, Abramowitz and Stegun (1964), 6.4.6 and 6.4.12.
    """
    with np.errstate(all="ignore"):
        at, before = _shifted(x, -2.0)
        square = 1.0 / (at * at)
        series = square / at * _polynomial(TRIGAMMA_SERIES, square)
        return np.asarray(1.0 / at + 0.5 * square + series + before)


def _shifted(x: FloatArray, power: float) -> tuple[FloatArray, FloatArray]:
    """Numbers so large that the series serve, and the sum of powers of those on the way.

    Those that are large enough stay as they are.
    """
    small = x < ASYMPTOTIC
    steps = math.ceil(ASYMPTOTIC)
    total = np.zeros_like(x)
    if small.any():
        # A table at once for few numbers, else step by step to save memory.
        if len(x) <= FEW_TO_SHIFT:
            total = ((x[:, None] + np.arange(steps)) ** power).sum(axis=1)
        else:
            for step in range(steps):
                total += (x + step) ** power
        total = np.where(small, total, 0.0)
    return np.where(small, x + steps, x), total


def _polynomial(coefficients: tuple[float, ...], x: FloatArray) -> FloatArray:
    """Value of a polynomial, the highest power first."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += coefficient
    return value


def normal_quantile(p: FloatArray) -> FloatArray:
    """Quantiles of the standard normal distribution; NaN outside [0, 1].

    Wichura (1988), algorithm AS 241 (PPND16), accurate to about 1e-16 relatively.
    """
    q = p - 0.5
    with np.errstate(all="ignore"):
        r = np.sqrt(-np.log(np.where(q < 0.0, p, 1.0 - p)))
        tail = np.where(
            r <= 5.0,
            _polynomial(MIDDLE_OVER, r - 1.6) / _polynomial(MIDDLE_UNDER, r - 1.6),
            _polynomial(TAIL_OVER, r - 5.0) / _polynomial(TAIL_UNDER, r - 5.0),
        )
        tail = np.copysign(np.where(np.isinf(r), np.inf, tail), q)
        r = 0.180625 - q * q
        centre = q * _polynomial(CENTRE_OVER, r) / _polynomial(CENTRE_UNDER, r)
    return np.asarray(np.where(np.abs(q) <= 0.425, centre, tail))
