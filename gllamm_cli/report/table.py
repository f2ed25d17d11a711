"""Stata's coefficient table, 78 columns of exact characters."""

from __future__ import annotations

from collections.abc import Sequence

from gllamm_cli.report.coefficients import CoefficientBlock, CoefficientRow
from gllamm_cli.stata.format import format_f, format_g

NAME_WIDTH = 12
RULE = "-" * 78
DIVIDER = "-" * (NAME_WIDTH + 1) + "+" + "-" * 64


def abbreviate(name: str, width: int = NAME_WIDTH) -> str:
    """Cut a long name to its beginning, ``~`` and its last character."""
    return name if len(name) <= width else f"{name[: width - 2]}~{name[-1]}"


def table_lines(
    depvar: str,
    blocks: Sequence[CoefficientBlock],
    *,
    level: float = 95.0,
    heading: str = "Coef.",
    equations: bool = False,
) -> list[str]:
    """Lay out a coefficient table.

    Parameters
    ----------
    depvar
        Name in the heading.
    heading
        Over the estimates: ``Coef.`` or ``exp(b)``.
    equations
        Whether each block is headed by the name of its equation.
    """
    interval = f"[{level:g}% Conf. Interval]".rjust(25)
    lines = [
        RULE,
        f"{abbreviate(depvar):>12} |{heading:>11}   Std. Err.      z    P>|z|{interval}",
    ]
    for number, block in enumerate(blocks):
        if number == 0 or equations:
            lines.append(DIVIDER)
        if equations:
            lines.append(f"{abbreviate(block.equation):<12} |")
        lines.extend(_row(row) for row in block.rows)
    return [*lines, RULE]


def _row(row: CoefficientRow) -> str:
    start = f"{abbreviate(row.name):>12} |  {format_g(row.estimate)}"
    if row.constrained:
        return f"{start}  (constrained)"
    return (
        f"{start}  {format_g(row.std_err)} {format_f(row.z, 8, 2)}   {format_f(row.p, 5, 3)}"
        f"    {format_g(row.lower)}   {format_g(row.upper)}"
    )
