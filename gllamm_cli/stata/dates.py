"""Dates as Stata counts them: days or months since January 1960."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FIRST_DAY = date(1960, 1, 1).toordinal()
FIRST_YEAR = 1960
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LITERAL = re.compile(r"\s*(\d{1,2})[\s/.-]*([A-Za-z]{3,9})[\s/.-]*(\d{4})\s*")
MASK = re.compile(r"(\d\d)?([DMY])")


def day_number(year: float, month: float, day: float) -> float:
    """Days since 1 January 1960; missing for a date that does not exist."""
    try:
        return float(date(int(year), int(month), int(day)).toordinal() - FIRST_DAY)
    except (ValueError, OverflowError):
        return np.nan


def days(month: FloatArray, day: FloatArray, year: FloatArray) -> FloatArray:
    """``mdy()``."""
    return np.asarray(np.vectorize(day_number, otypes=[np.float64])(year, month, day))


def of_day(function: Callable[[date], float]) -> Callable[[FloatArray], Any]:
    """Return a function of dates as one of numbers of days."""

    def part(number: float) -> float:
        if not np.isfinite(number):
            return np.nan
        try:
            return float(function(date.fromordinal(int(np.floor(number)) + FIRST_DAY)))
        except (ValueError, OverflowError):
            return np.nan

    return lambda x: np.vectorize(part, otypes=[np.float64])(x)


def weekday(day: date) -> float:
    """Day of the week, Sunday 0."""
    return float((day.weekday() + 1) % 7)


def month_number(day: date) -> float:
    """Months since January 1960."""
    return 12.0 * (day.year - FIRST_YEAR) + day.month - 1


def months(year: FloatArray, month: FloatArray) -> FloatArray:
    """``ym()``."""
    legal = (month >= 1) & (month <= 12) & (month == np.floor(month))
    return np.where(legal, 12.0 * (year - FIRST_YEAR) + month - 1, np.nan)


def first_of_month(number: FloatArray) -> FloatArray:
    """``dofm()``."""
    number = np.floor(number)
    return days(np.mod(number, 12) + 1, np.ones_like(number), FIRST_YEAR + np.floor(number / 12))


def literal_day(text: str) -> float:
    """Day of ``1jan2000``; missing if that is no date."""
    match = LITERAL.fullmatch(text)
    return day_number(float(match[3]), _month(match[2]), float(match[1])) if match else np.nan


def day_of_text(text: str, mask: str, latest: float = np.nan) -> float:
    """``date()``: the day of a text whose parts come in the order of ``mask``, such as ``MDY``.

    Years of two digits need their century in the mask, as in ``MD19Y``, or the latest year.
    """
    order = MASK.findall(mask)
    letters = [letter for _, letter in order]
    if sorted(letters) != ["D", "M", "Y"] or "".join(map("".join, order)) != mask.strip():
        return np.nan
    pieces = re.findall(r"[A-Za-z]+|\d+", text)
    if len(pieces) == 1 and len(pieces[0]) in (6, 8):
        pieces = _cut(pieces[0], letters)
    if len(pieces) != 3:
        return np.nan
    part = dict(zip(letters, pieces, strict=True))
    if not (part["D"].isdigit() and part["Y"].isdigit()):
        return np.nan
    century = next((digits for digits, letter in order if letter == "Y"), "")
    year = _year(part["Y"], century, latest)
    return day_number(year, _month(part["M"]), float(part["D"]))


def _cut(digits: str, letters: list[str]) -> list[str]:
    """Cut ``20000131`` into its parts."""
    pieces, position = [], 0
    for letter in letters:
        width = len(digits) - 4 if letter == "Y" else 2
        pieces.append(digits[position : position + width])
        position += width
    return pieces


def _year(digits: str, century: str, latest: float) -> float:
    if len(digits) != 2:
        return float(digits)
    if century:
        return float(century + digits)
    # The last such year that is not after the latest.
    return float(np.floor((latest - float(digits)) / 100)) * 100 + float(digits)


def _month(text: str) -> float:
    if text.isdigit():
        return float(text)
    short = text[:3].lower()
    return MONTHS.index(short) + 1.0 if short in MONTHS else np.nan
