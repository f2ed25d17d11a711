"""The functions of the expression language, as a table.

Every numeric function returns missing where an argument is missing or the
result is not a finite number; the exceptions (``max``, ``cond``, ``missing``
and so on) say so by being listed apart. scipy is imported by the function that
needs it, so that parsing and help stay quick.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.stata import dates
from gllamm_cli.stata.format import format_stata
from gllamm_cli.stata.matches import Matches

FloatArray = NDArray[np.float64]
TextArray = NDArray[np.object_]
Value = NDArray[Any]
"""float64 numbers with NaN for missing, or an object array of text; shape () or (rows,)."""


QUIET_NAN = 0x7FF8000000000000
SMALLEST_MISSING = 2.0**1023
"""Where Stata's own representation of missing values begins."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Function:
    """A function: how many arguments it takes, which of them are text, and what it does.

    ``signature`` has a letter per argument: ``n`` number, ``t`` text, ``a``
    either; its last letter serves for all further arguments.
    """

    least: int
    most: int
    signature: str
    apply: Callable[..., Value]


def is_text(value: Value) -> bool:
    """Whether a value is text rather than a number."""
    return value.dtype == object


def finite(value: Any) -> FloatArray:
    """Return numbers with everything that is not finite made missing."""
    array = np.asarray(value, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def missing_value(letter: str = "") -> float:
    """Return the missing value ``.`` or ``.a`` to ``.z``: a NaN that carries its letter."""
    code = ord(letter) - ord("a") + 1 if letter else 0
    return float(np.array([QUIET_NAN | code], dtype=np.uint64).view(np.float64)[0])


def missing_codes(value: FloatArray) -> NDArray[np.int64]:
    """Return 0 for ``.`` and 1 to 26 for ``.a`` to ``.z``, of numbers that are all missing."""
    return (np.ascontiguousarray(value).view(np.uint64) & np.uint64(0x1F)).astype(np.int64)


def missing_text(value: float) -> str:
    """Print a missing value."""
    code = int(missing_codes(np.array([value]))[0])
    return f".{chr(ord('a') + code - 1)}" if 1 <= code <= len(LETTERS) else "."


def ordered(value: FloatArray) -> FloatArray:
    """Return numbers that compare as Stata compares: all numbers < . < .a < ... < .z."""
    unknown = np.isnan(value)
    if not unknown.any():
        return value
    result = np.array(value, dtype=np.float64, ndmin=1)
    unknown = np.atleast_1d(unknown)
    result[unknown] = SMALLEST_MISSING * (1.0 + missing_codes(result[unknown]) / 4096.0)
    return result.reshape(np.shape(value))


def truth(value: FloatArray) -> NDArray[np.bool_]:
    """Return where a number counts as true: anything but zero, missing included."""
    return np.asarray(value != 0.0)


def logical(value: Any) -> FloatArray:
    """Return 1 for true, 0 for false."""
    return np.asarray(value, dtype=np.float64)


def missing(value: Value) -> NDArray[np.bool_]:
    """Return where a number or a text is missing."""
    return np.asarray(value == "") if is_text(value) else np.isnan(value)


def _numeric(least: int, most: int, function: Callable[..., Any]) -> Function:
    """Wrap a function of numbers: missing if an argument is, or if the result is not finite."""

    def apply(*arguments: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            result = np.asarray(function(*arguments), dtype=np.float64)
        for argument in arguments:
            result = np.where(np.isnan(argument), np.nan, result)
        return finite(result)

    return Function(least, most, "n", apply)


def _special(name: str, arguments: int) -> Function:
    """Return a function of scipy.special by name."""

    def apply(*values: FloatArray) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*values)

    return _numeric(arguments, arguments, apply)


def _distribution(name: str, method: str, arguments: int, *, value_last: bool = True) -> Function:
    """Return a method of a scipy.stats distribution whose parameters come first in Stata."""

    def apply(*values: FloatArray) -> Any:
        import scipy.stats

        ordered_values = (values[-1], *values[:-1]) if value_last else values
        return getattr(getattr(scipy.stats, name), method)(*ordered_values)

    return _numeric(arguments, arguments, apply)


def _normal_density(
    x: FloatArray, first: FloatArray | None = None, second: FloatArray | None = None
) -> Any:
    """Density at x; with one more argument its SD, with two its mean and SD."""
    if first is None:
        mean, sd = np.zeros(()), np.ones(())
    elif second is None:
        mean, sd = np.zeros(()), first
    else:
        mean, sd = first, second
    z = (x - mean) / sd
    return np.where(sd > 0, np.exp(-0.5 * z * z) / (sd * np.sqrt(2 * np.pi)), np.nan)


def _round(x: FloatArray, unit: FloatArray | None = None) -> FloatArray:
    if unit is None:
        return np.floor(x + 0.5)
    return np.where(unit == 0.0, x, unit * np.floor(x / unit + 0.5))


def _extreme(function: Any) -> Callable[..., FloatArray]:
    """Smallest or largest nonmissing argument."""

    def apply(*arguments: FloatArray) -> FloatArray:
        result = arguments[0]
        for argument in arguments[1:]:
            result = function(result, argument)
        return np.asarray(result)

    return apply


def _cond(test: FloatArray, yes: Value, no: Value, unknown: Value | None = None) -> Value:
    chosen = np.where(truth(test), yes, no)
    return chosen if unknown is None else np.where(np.isnan(test), unknown, chosen)


def _inlist(value: Value, *choices: Value) -> FloatArray:
    def comparable(x: Value) -> Value:
        return x if is_text(x) else ordered(x)

    found = np.zeros(np.shape(value), dtype=bool)
    for choice in choices:
        found = found | (comparable(value) == comparable(choice))
    return logical(found)


def _inrange(value: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    above = value >= np.where(np.isnan(low), -np.inf, low)
    return logical(~np.isnan(value) & above & (value <= ordered(high)))


def _missing(*values: Value) -> FloatArray:
    result = missing(values[0])
    for value in values[1:]:
        result = result | missing(value)
    return logical(result)


def _text_function(function: Callable[..., Any], *, number: bool) -> Callable[..., Value]:
    """Apply a function of Python values row by row."""

    def apply(*arguments: Value) -> Value:
        broadcast = np.broadcast_arrays(*arguments)
        flat = [function(*row) for row in zip(*(a.ravel() for a in broadcast), strict=True)]
        result = np.empty(len(flat), dtype=np.float64 if number else object)
        result[:] = flat
        return result.reshape(broadcast[0].shape)

    return apply


def _substr(text: str, start: float, length: float) -> str:
    if np.isnan(start) or start == 0:
        return ""
    first = int(start) - 1 if start > 0 else len(text) + int(start)
    if first < 0:
        return ""
    return text[first:] if np.isnan(length) else text[first : first + max(0, int(length))]


def _word(text: str, number: float) -> str:
    words = text.split()
    if np.isnan(number) or number == 0 or abs(number) > len(words):
        return ""
    return words[int(number) - 1 if number > 0 else int(number)]


def _real(text: str) -> float:
    try:
        return float(text) if text.strip().lower() not in ("nan", "inf", "-inf") else np.nan
    except ValueError:
        return np.nan


def _string(number: float, specification: str = "%9.0g") -> str:
    try:
        return format_stata(specification, number).strip()
    except ValueError:
        return ""


def _recode(x: FloatArray, *points: FloatArray) -> FloatArray:
    """Smallest of the points that is not below x; the last one above them all."""
    result = np.broadcast_to(points[-1], np.broadcast_shapes(*map(np.shape, (x, *points))))
    for point in reversed(points[:-1]):
        result = np.where(x <= point, point, result)
    return np.asarray(result)


def _autocode(x: FloatArray, n: FloatArray, low: FloatArray, high: FloatArray) -> Any:
    step = (high - low) / n
    return low + step * np.clip(np.ceil((x - low) / step), 1, n)


def _strpos(text: str, part: str) -> int:
    return text.find(part) + 1


def _subinstr(text: str, old: str, new: str, count: float) -> str:
    return text.replace(old, new, -1 if np.isnan(count) else int(count)) if old else text


def _comb(n: FloatArray, k: FloatArray) -> Any:
    from scipy.special import comb

    return np.where((k < 0) | (k > n), np.nan, comb(n, k))


def _invbinomial(n: FloatArray, k: FloatArray, p: FloatArray) -> Any:
    """Probability of success with which k or fewer of n succeed with probability p."""
    n, k = np.floor(n), np.floor(k)
    return 1.0 - FUNCTIONS["_betaincinv"].apply(n - k, k + 1.0, p)


def _text(least: int, signature: str, function: Callable[..., Any], *, number: bool) -> Function:
    return Function(least, least, signature, _text_function(function, number=number))


MANY = 255

FUNCTIONS: dict[str, Function] = {
    "abs": _numeric(1, 1, np.abs),
    "exp": _numeric(1, 1, np.exp),
    "ln": _numeric(1, 1, np.log),
    "log": _numeric(1, 1, np.log),
    "log10": _numeric(1, 1, np.log10),
    "sqrt": _numeric(1, 1, np.sqrt),
    "int": _numeric(1, 1, np.trunc),
    "trunc": _numeric(1, 1, np.trunc),
    "round": _numeric(1, 2, _round),
    "floor": _numeric(1, 1, np.floor),
    "ceil": _numeric(1, 1, np.ceil),
    "sign": _numeric(1, 1, np.sign),
    "mod": _numeric(2, 2, lambda x, y: np.where(y > 0, x - y * np.floor(x / y), np.nan)),
    "reldif": _numeric(2, 2, lambda x, y: np.abs(x - y) / (np.abs(y) + 1)),
    "float": _numeric(1, 1, lambda x: x.astype(np.float32)),
    "sin": _numeric(1, 1, np.sin),
    "cos": _numeric(1, 1, np.cos),
    "tan": _numeric(1, 1, np.tan),
    "asin": _numeric(1, 1, np.arcsin),
    "acos": _numeric(1, 1, np.arccos),
    "atan": _numeric(1, 1, np.arctan),
    "tanh": _numeric(1, 1, np.tanh),
    "atanh": _numeric(1, 1, np.arctanh),
    "logit": _numeric(1, 1, lambda p: np.log(p) - np.log1p(-p)),
    "invlogit": _special("expit", 1),
    "normal": _special("ndtr", 1),
    "normprob": _special("ndtr", 1),
    "invnormal": _special("ndtri", 1),
    "invnorm": _special("ndtri", 1),
    "normalden": _numeric(1, 3, _normal_density),
    "lnnormalden": _numeric(1, 1, lambda x: -0.5 * x * x - 0.5 * np.log(2 * np.pi)),
    "lnnormal": _special("log_ndtr", 1),
    "digamma": _special("digamma", 1),
    "trigamma": _numeric(1, 1, lambda x: FUNCTIONS["_polygamma"].apply(np.ones_like(x), x)),
    "_polygamma": _special("polygamma", 2),
    "lngamma": _special("gammaln", 1),
    "lnfactorial": _numeric(1, 1, lambda n: FUNCTIONS["lngamma"].apply(n + 1)),
    "comb": _numeric(2, 2, _comb),
    "gammap": _special("gammainc", 2),
    "ibeta": _special("betainc", 3),
    "chi2": _special("chdtr", 2),
    "chi2tail": _special("chdtrc", 2),
    "chiprob": _special("chdtrc", 2),
    "invchi2tail": _special("chdtri", 2),
    "t": _special("stdtr", 2),
    "ttail": _distribution("t", "sf", 2),
    "invttail": _distribution("t", "isf", 2),
    "F": _special("fdtr", 3),
    "Ftail": _special("fdtrc", 3),
    "invchi2": _numeric(2, 2, lambda n, p: FUNCTIONS["invchi2tail"].apply(n, 1.0 - p)),
    "invFtail": _numeric(3, 3, lambda a, b, p: FUNCTIONS["_fdtri"].apply(a, b, 1.0 - p)),
    "invF": _special("fdtri", 3),
    "_fdtri": _special("fdtri", 3),
    "binomialtail": _numeric(3, 3, lambda n, k, p: FUNCTIONS["_bdtrc"].apply(k - 1.0, n, p)),
    "_bdtrc": _special("bdtrc", 3),
    "binomial": _numeric(3, 3, lambda n, k, p: FUNCTIONS["_bdtr"].apply(np.floor(k), n, p)),
    "_bdtr": _special("bdtr", 3),
    "invbinomial": _numeric(3, 3, _invbinomial),
    "_betaincinv": _special("betaincinv", 3),
    "hypergeometric": _distribution("hypergeom", "cdf", 4),
    "mdy": _numeric(3, 3, dates.days),
    "year": _numeric(1, 1, dates.of_day(lambda day: day.year)),
    "month": _numeric(1, 1, dates.of_day(lambda day: day.month)),
    "day": _numeric(1, 1, dates.of_day(lambda day: day.day)),
    "dow": _numeric(1, 1, dates.of_day(dates.weekday)),
    "quarter": _numeric(1, 1, dates.of_day(lambda day: (day.month + 2) // 3)),
    "mofd": _numeric(1, 1, dates.of_day(dates.month_number)),
    "dofm": _numeric(1, 1, dates.first_of_month),
    "ym": _numeric(2, 2, dates.months),
    "date": Function(2, 3, "ttn", _text_function(dates.day_of_text, number=True)),
    "recode": _numeric(2, MANY, _recode),
    "autocode": _numeric(4, 4, _autocode),
    "poisson": _numeric(2, 2, lambda m, k: FUNCTIONS["_pdtr"].apply(np.floor(k), m)),
    "_pdtr": _special("pdtr", 2),
    "min": Function(2, MANY, "n", _extreme(np.fmin)),
    "max": Function(2, MANY, "n", _extreme(np.fmax)),
    "sum": Function(1, 1, "n", lambda x: np.cumsum(np.where(np.isnan(x), 0.0, x))),
    "cond": Function(3, 4, "naaa", _cond),
    "inlist": Function(2, MANY, "a", _inlist),
    "inrange": Function(3, 3, "n", _inrange),
    "missing": Function(1, MANY, "a", _missing),
    "mi": Function(1, MANY, "a", _missing),
    "substr": _text(3, "tnn", _substr, number=False),
    "subinstr": _text(4, "tttn", _subinstr, number=False),
    "strpos": _text(2, "tt", _strpos, number=True),
    "length": _text(1, "t", len, number=True),
    "strlen": _text(1, "t", len, number=True),
    "upper": _text(1, "t", str.upper, number=False),
    "lower": _text(1, "t", str.lower, number=False),
    "trim": _text(1, "t", lambda text: text.strip(" "), number=False),
    "word": _text(2, "tn", _word, number=False),
    "wordcount": _text(1, "t", lambda text: len(text.split()), number=True),
    "real": _text(1, "t", _real, number=True),
    "strmatch": _text(2, "tt", fnmatch.fnmatchcase, number=True),
    "regexm": Function(2, 2, "tt", Matches().search),
    "regexs": Function(1, 1, "n", lambda number: Matches().group(number, 1)),
    "string": Function(1, 2, "nt", _text_function(_string, number=False)),
    "strofreal": Function(1, 2, "nt", _text_function(_string, number=False)),
    "ustrlen": _text(1, "t", len, number=True),
    "strupper": _text(1, "t", str.upper, number=False),
    "strlower": _text(1, "t", str.lower, number=False),
    "proper": _text(1, "t", str.title, number=False),
    "strtrim": _text(1, "t", lambda text: text.strip(" "), number=False),
    "ltrim": _text(1, "t", lambda text: text.lstrip(" "), number=False),
    "rtrim": _text(1, "t", lambda text: text.rstrip(" "), number=False),
    "itrim": _text(1, "t", lambda text: re.sub(" +", " ", text), number=False),
    "reverse": _text(1, "t", lambda text: text[::-1], number=False),
}
"""Functions that depend on their arguments alone; the evaluator adds random numbers."""
