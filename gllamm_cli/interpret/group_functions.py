"""Functions of ``egen`` that give a value for each group of rows.

Each takes the values, the group of each row, which rows count, the number of groups and a
percentage, and returns a value for each row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.interpret.run import Mask
from gllamm_cli.interpret.statistics import percentile
from gllamm_cli.stata.functions import FloatArray


def _spread(per_group: FloatArray, groups: NDArray[np.int64]) -> FloatArray:
    return per_group[groups] if len(per_group) else np.zeros(len(groups))


def _sums(x: FloatArray, groups: NDArray[np.int64], used: Mask, n: int) -> FloatArray:
    return np.bincount(groups[used], weights=x[used], minlength=n).astype(np.float64)


def _counts(groups: NDArray[np.int64], used: Mask, n: int) -> FloatArray:
    return np.bincount(groups[used], minlength=n).astype(np.float64)


def _total(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
    return _spread(_sums(x, g, used, n), g)


def _count(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
    return _spread(_counts(g, used, n), g)


def _mean(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
    with np.errstate(all="ignore"):
        return _spread(_sums(x, g, used, n) / _counts(g, used, n), g)


def _deviation(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
    centred = np.where(used, x - _mean(x, g, used, n, p), 0.0)
    with np.errstate(all="ignore"):
        squares = _sums(centred * centred, g, used, n)
        counts = _counts(g, used, n)
        return _spread(np.sqrt(np.where(counts > 1, squares / (counts - 1), np.nan)), g)


def _extreme(function: np.ufunc, start: float) -> Callable[..., FloatArray]:
    def apply(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
        best = np.full(n, start)
        function.at(best, g[used], x[used])
        return _spread(np.where(np.isinf(best), np.nan, best), g)

    return apply


def _standardised(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
    with np.errstate(all="ignore"):
        return (x - _mean(x, g, used, n, p)) / _deviation(x, g, used, n, p)


def _pieces(
    x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, function: Callable[[FloatArray], float]
) -> FloatArray:
    """A function of the sorted values of each group."""
    rows = np.flatnonzero(used)
    order = rows[np.lexsort((x[rows], g[rows]))]
    starts = np.searchsorted(g[order], np.arange(n + 1))
    result = np.full(n, np.nan)
    for k in range(n):
        if starts[k + 1] > starts[k]:
            result[k] = function(x[order[starts[k] : starts[k + 1]]])
    return _spread(result, g)


def _percentile(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
    return _pieces(x, g, used, n, lambda values: percentile(values, p))


def _median(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
    return _percentile(x, g, used, n, 50.0)


def _iqr(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
    return _percentile(x, g, used, n, 75.0) - _percentile(x, g, used, n, 25.0)


def _mode(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
    def only(values: FloatArray) -> float:
        best = _most_frequent(values)
        return float(best[0]) if len(best) == 1 else float("nan")

    return _pieces(x, g, used, n, only)


def _most_frequent(values: FloatArray) -> FloatArray:
    found, counts = np.unique(values, return_counts=True)
    return np.asarray(found[counts == counts.max()], dtype=np.float64)


def _mode_among_ties(position: int) -> Callable[..., FloatArray]:
    """Lowest (0) or highest (-1) of several values that are as frequent."""

    def apply(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
        return _pieces(x, g, used, n, lambda values: float(_most_frequent(values)[position]))

    return apply


def _rank(
    method: Literal["average", "min", "first"], *, descending: bool = False
) -> Callable[..., FloatArray]:
    """Ranks with a rule for ties: their mean, the lowest, or the order of the rows."""

    def apply(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
        import pandas as pd

        values = pd.Series(np.where(used, x, np.nan)).groupby(g)
        ranks = values.rank(method=method, ascending=not descending)
        return np.asarray(ranks.to_numpy(), dtype=np.float64)

    return apply


def _moment(power: int) -> Callable[..., FloatArray]:
    def apply(x: FloatArray, g: NDArray[np.int64], used: Mask, n: int, p: float) -> FloatArray:
        centred = np.where(used, x - _mean(x, g, used, n, p), 0.0)
        with np.errstate(all="ignore"):
            counts = _counts(g, used, n)
            second = _sums(centred**2, g, used, n) / counts
            return _spread(_sums(centred**power, g, used, n) / counts / second ** (power / 2), g)

    return apply


BY_GROUP: dict[str, Callable[..., FloatArray]] = {
    "count": _count,
    "iqr": _iqr,
    "kurt": _moment(4),
    "max": _extreme(np.maximum, -np.inf),
    "mean": _mean,
    "median": _median,
    "min": _extreme(np.minimum, np.inf),
    "mode": _mode,
    "pctile": _percentile,
    "rank": _rank("average"),
    "sd": _deviation,
    "skew": _moment(3),
    "std": _standardised,
    "sum": _total,
    "total": _total,
}
PER_ROW = ("rank", "std")
"""Functions that are missing where their argument is."""
VARIANTS: dict[tuple[str, str], Callable[..., FloatArray]] = {
    ("mode", "minmode"): _mode_among_ties(0),
    ("mode", "maxmode"): _mode_among_ties(-1),
    ("rank", "field"): _rank("min", descending=True),
    ("rank", "track"): _rank("min"),
    ("rank", "unique"): _rank("first"),
}
"""What an option makes of a function."""
