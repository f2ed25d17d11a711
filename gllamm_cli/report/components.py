"""Tables of estimates on natural scales: a name, a number, its error and interval."""

from __future__ import annotations

from gllamm_cli.after.delta import Estimated
from gllamm_cli.report.table import RULE, abbreviate
from gllamm_cli.stata.format import format_g

WIDTH = 28
DIVIDER = "-" * (WIDTH + 1) + "+" + "-" * (len(RULE) - WIDTH - 2)


def head_lines(title: str, heading: str, level: float) -> list[str]:
    """Rule and titles of the columns."""
    interval = f"[{level:g}% Conf. Interval]".rjust(25)
    return [RULE, f"{title:>{WIDTH}} |{heading:>11}   Std. Err.{interval}", DIVIDER]


def value_line(label: str, value: Estimated) -> str:
    """One estimate; a full stop where there is no number."""
    return (
        f"{abbreviate(label, WIDTH):>{WIDTH}} |  {format_g(value.estimate)}"
        f"  {format_g(value.std_err)}     {format_g(value.lower)}   {format_g(value.upper)}"
    )


def unit_line(unit: str) -> str:
    """Heading of the rows of a level."""
    return f"{abbreviate(unit, WIDTH):<{WIDTH}} |"
