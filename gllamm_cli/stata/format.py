"""Stata's number formats, digit for digit.

The general format shows ``width - 2`` significant digits (one place is kept
for the sign, one for the point), no zero before the point, no trailing zeros.
"""

from __future__ import annotations

import math
import re

MISSING = "."
WIDEST = 244
"""Places a format may have."""
SMALLEST_FIXED = -5
"""Decimal exponent below which the general format turns to powers of ten."""


def _exponent(magnitude: float, digits: int) -> int:
    """Decimal exponent after rounding to so many significant digits."""
    return int(f"{magnitude:.{digits - 1}e}".partition("e")[2])


def _scientific(magnitude: float, decimals: int) -> str:
    text = f"{magnitude:.{decimals}e}"
    three_digit_exponent = len(text.partition("e")[2]) > len("+00")
    return f"{magnitude:.{max(decimals - 1, 0)}e}" if three_digit_exponent else text


def _with_commas(fixed: str, room: int) -> str:
    """Group the thousands if the integer part with its commas fits."""
    whole, point, fraction = fixed.partition(".")
    grouped = f"{int(whole):,}" if whole else whole
    return grouped + point + fraction if len(grouped) <= room else fixed


def format_g(x: float, width: int = 9, digits: int = 0, *, commas: bool = False) -> str:
    """``%w.dg``, right-justified.

    Parameters
    ----------
    x
        NaN and infinities print as a missing value.
    width
        Places; at least 8, so that powers of ten have digits after the point.
    digits
        Significant digits of numbers below 1; 0 for as many as fit.
    commas
        ``%w.dgc``: group the thousands where there is room.
    """
    if not math.isfinite(x):
        return MISSING.rjust(width)
    if x == 0.0:
        return "0".rjust(width)
    sign, magnitude = ("-" if x < 0 else ""), abs(x)
    room = width - 2
    limited = 0 < digits < room and magnitude < 1.0
    significant = digits if limited else room
    exponent = _exponent(magnitude, significant)
    if exponent >= room or exponent < SMALLEST_FIXED:
        return (sign + _scientific(magnitude, max(width - 7, 0))).rjust(width)
    decimals = significant - 1 - exponent if exponent >= 0 or limited else room
    fixed = f"{magnitude:.{decimals}f}"
    if "." in fixed:
        fixed = fixed.rstrip("0").rstrip(".")
    fixed = fixed.removeprefix("0")
    if commas:
        fixed = _with_commas(fixed, room)
    return (sign + fixed).rjust(width)


def format_f(x: float, width: int, decimals: int, *, commas: bool = False) -> str:
    """``%w.df``, right-justified; numbers too long for it fall back to the general format."""
    if not math.isfinite(x):
        return MISSING.rjust(width)
    text = f"{x:,.{decimals}f}" if commas else f"{x:.{decimals}f}"
    return text.rjust(width) if len(text) <= width else format_g(x, width)


def format_e(x: float, width: int, decimals: int) -> str:
    """``%w.de``, right-justified."""
    if not math.isfinite(x):
        return MISSING.rjust(width)
    return f"{x:.{decimals}e}".rjust(width)


def display(x: float) -> str:
    """Print a number as ``display`` does: ``%10.0g`` without padding."""
    return format_g(x, 10).lstrip()


def format_count(x: float) -> str:
    """A number of units: whole numbers in full, sums of odd weights as ``display`` does."""
    return str(int(x)) if math.isfinite(x) and x == int(x) else display(x)


_FORMAT = re.compile(r"%(-?)(0?)(\d+)\.(\d+)([gfe])(c?)")


def format_stata(specification: str, x: float) -> str:
    """Print ``x`` under a Stata format such as ``%9.0g``, ``%-8.2f`` or ``%10.0fc``.

    Raises
    ------
    ValueError
        Not a numeric format.
    """
    match = _FORMAT.fullmatch(specification)
    if match is None:
        raise ValueError(f"invalid format {specification!r}")
    left, zeros, width_text, decimals_text, kind, comma = match.groups()
    if len(width_text) > 3 or len(decimals_text) > 3 or int(width_text) > WIDEST:
        raise ValueError(f"invalid format {specification!r}: too wide")
    width, decimals = int(width_text), min(int(decimals_text), WIDEST)
    if kind == "g":
        text = format_g(x, width, decimals, commas=bool(comma))
    elif kind == "f":
        text = format_f(x, width, decimals, commas=bool(comma))
    else:
        text = format_e(x, width, decimals)
    if zeros and math.isfinite(x):
        return text.strip().zfill(width)
    return text.lstrip().ljust(width) if left else text


def shown_in_format(specification: str, x: float) -> str:
    """Print a number under a variable's display format; formats of dates show the number."""
    try:
        return format_stata(specification, x)
    except ValueError:
        return format_g(x, 10)
