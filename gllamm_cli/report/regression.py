"""Output of regressions as Stata prints them: a header, and the coefficient table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gllamm_cli.report.coefficients import critical_value
from gllamm_cli.report.table import NAME_WIDTH, RULE, abbreviate
from gllamm_cli.stata.format import format_f, format_g

if TYPE_CHECKING:
    from gllamm_cli.fit.estimates import Estimates

LEFT_WIDTH = 48
DIVIDER = "-" * (NAME_WIDTH + 1) + "+" + "-" * 64


@dataclass(frozen=True, slots=True)
class Regression:
    """How a regression is shown.

    Attributes
    ----------
    left, right
        Lines of the header: texts, and pairs of a label and its value.
    heading
        Over exponentiated coefficients.
    exponentiated
        Whether the command itself asks for them (``logistic``).
    several
        Whether rows stand under the names of their equations.
    base
        Name of the base outcome of a multinomial model, and its place.
    auxiliary
        Equations whose one parameter is shown as ``/name`` after the others.
    hidden
        Equations that the table leaves out.
    below
        Lines under the table.
    widths
        Of the left column, and of labels and values in the right one.
    clusters
        Number of clusters of the standard errors.
    """

    left: tuple[str, ...]
    right: tuple[tuple[str, str], ...]
    heading: str = "exp(b)"
    exponentiated: bool = False
    several: bool = False
    base: tuple[str, int] | None = None
    auxiliary: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    widths: tuple[int, int, int] = (LEFT_WIDTH, 17, 10)
    clusters: int | None = None


def count(x: float) -> str:
    """A number of rows in a header."""
    return f"{x:,.0f}" if x == int(x) else f"{x:,.4g}"


def header_lines(shown: Regression) -> list[str]:
    """Lay the header out in two columns."""
    left_width, label_width, value_width = shown.widths
    height = max(len(shown.left), len(shown.right))
    lines = []
    for k in range(height):
        left = shown.left[k] if k < len(shown.left) else ""
        if k < len(shown.right):
            label, value = shown.right[k]
            lines.append(f"{left:<{left_width}}{label:<{label_width}} = {value:>{value_width}}")
        else:
            lines.append(left)
    return lines


def critical(level: float, df: float | None) -> float:
    """Two-sided quantile of the normal or, with degrees of freedom, the t distribution."""
    if df is None:
        return critical_value(level)
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.5 + level / 200.0))


def p_value(z: float, df: float | None) -> float:
    """Two-sided p value."""
    if math.isnan(z):
        return math.nan
    if df is None:
        return math.erfc(abs(z) / math.sqrt(2.0))
    from scipy.special import stdtr

    return float(2.0 * stdtr(df, -abs(z)))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table of estimates."""

    name: str
    estimate: float
    std_err: float


def coefficient_line(
    row: Row, *, level: float, df: float | None, exponentiate: bool = False
) -> str:
    """One estimate with its test and interval."""
    b, se = row.estimate, row.std_err
    start = f"{abbreviate(row.name):>{NAME_WIDTH}} |  "
    if not se > 0.0:
        shown = _exp(b) if exponentiate else b
        return f"{start}{format_g(shown)}  {'(omitted)' if b == 0.0 else '        .'}"
    z = b / se
    reach = critical(level, df) * se
    low, high = b - reach, b + reach
    if exponentiate:
        b, se, low, high = _exp(b), se * _exp(b), _exp(low), _exp(high)
    return (
        f"{start}{format_g(b)}  {format_g(se)} {format_f(z, 8, 2)}   "
        f"{format_f(p_value(z, df), 5, 3)}    {format_g(low)}   {format_g(high)}"
    )


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


def table_head(
    name: str, *, level: float, df: float | None, heading: str = "Coef.", robust: bool = False
) -> list[str]:
    """Rule and titles of the columns."""
    letter = "z" if df is None else "t"
    interval = f"[{level:g}% Conf. Interval]".rjust(25)
    lines = [RULE]
    if robust:
        lines.append(f"{'':>{NAME_WIDTH}} |{'Robust':>23}")
    lines.append(
        f"{abbreviate(name):>{NAME_WIDTH}} |{heading:>11}   Std. Err.      {letter}"
        f"    P>|{letter}|{interval}"
    )
    return lines


def regression_lines(
    estimates: Estimates,
    *,
    level: float = 95.0,
    exponentiate: bool | None = None,
    header: bool = True,
) -> list[str]:
    """Print a regression.

    Parameters
    ----------
    exponentiate
        Whether coefficients are exponentiated; None leaves it to the command.
    header
        Whether the header comes first.
    """
    shown = estimates.regression
    assert shown is not None, "only regressions come here"
    if exponentiate is None:
        exponentiate = shown.exponentiated
    robust = estimates.macros.get("vcetype") == "Robust"
    df = estimates.residual_df
    lines = ["", *header_lines(shown), ""] if header else [""]
    if robust and estimates.macros.get("clustvar"):
        note = (
            f"(Std. Err. adjusted for {shown.clusters} clusters in {estimates.macros['clustvar']})"
        )
        lines.append(f"{note:>78}")
    heading = shown.heading if exponentiate else "Coef."
    lines += table_head(estimates.depvar, level=level, df=df, heading=heading, robust=robust)
    previous: str | None = None
    rows = list(zip(estimates.names, estimates.b, _errors(estimates), strict=True))
    equations = estimates.equations()
    for place, ((equation, name), b, se) in enumerate(rows):
        if equation in shown.hidden:
            continue
        if estimates.is_cutpoint(place):
            if previous is None or previous not in shown.auxiliary:
                lines.append(DIVIDER)
            label = f"/{equation}"
            lines.append(coefficient_line(Row(label, b, se), level=level, df=df))
            previous = equation
            continue
        if equation != previous:
            lines += _base_lines(shown, equations.index(equation))
            lines.append(DIVIDER)
            if shown.several:
                lines.append(f"{abbreviate(equation):<{NAME_WIDTH}} |")
        previous = equation
        lines.append(
            coefficient_line(Row(name, b, se), level=level, df=df, exponentiate=exponentiate)
        )
    lines += _base_lines(shown, len(equations))
    return [*lines, RULE, *shown.below]


def _base_lines(shown: Regression, place: int) -> list[str]:
    if shown.base is None or shown.base[1] != place:
        return []
    return [DIVIDER, f"{abbreviate(shown.base[0]):<{NAME_WIDTH}} |  (base outcome)"]


def _errors(estimates: Estimates) -> Sequence[float]:
    return [math.sqrt(v) if v > 0 else math.nan for v in estimates.V.diagonal().tolist()]
