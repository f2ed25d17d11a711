"""Coefficient tables as values: what text, JSON and other presenters lay out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from gllamm_cli.model.spec import CONSTANT
from gllamm_cli.model.special import normal_quantile

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import Fit


@dataclass(frozen=True, slots=True)
class CoefficientRow:
    """One parameter with its test and confidence interval; NaN where there is none.

    ``constrained`` says that a constraint fixes the parameter.
    """

    equation: str
    name: str
    estimate: float
    std_err: float
    z: float
    p: float
    lower: float
    upper: float
    constrained: bool


@dataclass(frozen=True, slots=True)
class CoefficientBlock:
    """Consecutive rows of one equation."""

    equation: str
    rows: tuple[CoefficientRow, ...]


@cache
def critical_value(level: float) -> float:
    """Standard normal quantile of a two-sided interval with ``level`` per cent."""
    return float(normal_quantile(np.array(0.5 + level / 200.0)))


def coefficient_row(fit: Fit, position: int, *, level: float = 95.0) -> CoefficientRow:
    """Row of one parameter on its raw scale."""
    name = fit.names[position]
    estimate = float(fit.estimates[position])
    variance = float(fit.covariance[position, position])
    # A variance of zero is the absence of one: after eval, or under a constraint.
    std_err = math.sqrt(variance) if variance > 0.0 else math.nan
    z = estimate / std_err
    reach = critical_value(level) * std_err
    return CoefficientRow(
        equation=name.equation,
        name=name.name,
        estimate=estimate,
        std_err=std_err,
        z=z,
        p=math.erfc(abs(z) / math.sqrt(2.0)),
        lower=estimate - reach,
        upper=estimate + reach,
        constrained=not bool(fit.free[position]),
    )


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def exponentiated(row: CoefficientRow) -> CoefficientRow:
    """exp(b) with standard error b * se and exponentiated limits; the test stays that of b."""
    factor = _exp(row.estimate)
    return CoefficientRow(
        equation=row.equation,
        name=row.name,
        estimate=factor,
        std_err=factor * row.std_err,
        z=row.z,
        p=row.p,
        lower=_exp(row.lower),
        upper=_exp(row.upper),
        constrained=row.constrained,
    )


def _blocks(rows: Sequence[CoefficientRow]) -> tuple[CoefficientBlock, ...]:
    return tuple(
        CoefficientBlock(equation, tuple(of_equation))
        for equation, of_equation in groupby(rows, key=lambda row: row.equation)
    )


def fixed_part(
    fit: Fit, *, level: float = 95.0, eform: bool = False
) -> tuple[CoefficientBlock, ...]:
    """Rows of the fixed part and of the thresholds.

    ``eform`` exponentiates the fixed part and leaves out its constants; thresholds stay.
    """
    rows: list[CoefficientRow] = []
    for position in fit.block("fixed"):
        row = coefficient_row(fit, position, level=level)
        if not eform:
            rows.append(row)
        elif row.name != CONSTANT or len(fit.block("fixed")) == 1:
            # A constant on its own is shown: a table needs a row.
            rows.append(exponentiated(row))
    rows += [coefficient_row(fit, position, level=level) for position in fit.block("threshold")]
    return _blocks(rows)


def all_parameters(fit: Fit, *, level: float = 95.0) -> tuple[CoefficientBlock, ...]:
    """Rows of every parameter, raw."""
    rows = [coefficient_row(fit, position, level=level) for position in range(len(fit.names))]
    return _blocks(rows)
