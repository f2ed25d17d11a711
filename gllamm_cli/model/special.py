"""Special functions that fits need, without scipy.

scipy takes longer to load than most models to fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._auxiliary import log_gammas

FloatArray = NDArray[np.float64]

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


def log_gamma(x: FloatArray) -> FloatArray:
    """Log of the gamma function of nonnegative numbers, (N,)."""
    if len(x) and x.max() < 1000 + 10 * len(x):
        whole = x.astype(np.int64)
        if (whole == x).all():
            # Counts repeat themselves: a table of those that occur.
            occurring = np.flatnonzero(np.bincount(whole))
            table = np.zeros(int(occurring[-1]) + 1)
            table[occurring] = log_gammas(occurring.astype(np.float64))
            return table[whole]
    return log_gammas(np.ascontiguousarray(x))


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
