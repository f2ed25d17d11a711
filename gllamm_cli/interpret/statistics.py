"""Statistics of a column as Stata defines them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.stata.functions import FloatArray

Rows = NDArray[np.int64] | NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights of rows, and their kind: fweight, aweight, pweight or iweight."""

    values: FloatArray
    kind: str

    @property
    def count_rows(self) -> bool:
        """Whether a row with weight w stands for w rows."""
        return self.kind in ("fweight", "iweight")

    def of(self, rows: Rows) -> Weights:
        """Weights of some rows."""
        return Weights(self.values[rows], self.kind)

    def number(self) -> float:
        """Number of rows that these stand for."""
        return float(self.values.sum()) if self.count_rows else float(len(self.values))

    def scaled(self) -> FloatArray:
        """Weights that add up to the number of rows."""
        if self.count_rows or not len(self.values):
            return self.values
        return self.values * (len(self.values) / float(self.values.sum()))


def percentile(ordered: FloatArray, p: float) -> float:
    """Percentile of sorted values: the mean of two values where np/100 is whole, else the next."""
    n = len(ordered)
    if not n:
        return float("nan")
    position = n * p / 100.0
    nearest = round(position)
    if abs(position - nearest) < 1e-9 and 1 <= nearest < n:
        return float((ordered[nearest - 1] + ordered[nearest]) / 2.0)
    return float(ordered[min(max(int(np.ceil(position - 1e-9)) - 1, 0), n - 1)])


def weighted_percentile(x: FloatArray, w: FloatArray, p: float) -> float:
    """Percentile of values with weights, with the rule of ``percentile``."""
    order = np.argsort(x, kind="stable")
    total = np.cumsum(w[order])
    target = total[-1] * p / 100.0
    place = int(np.searchsorted(total, target * (1 - 1e-12)))
    place = min(place, len(x) - 1)
    if abs(total[place] - target) < 1e-9 * max(total[-1], 1.0) and place + 1 < len(x):
        return float((x[order[place]] + x[order[place + 1]]) / 2.0)
    return float(x[order[place]])


def standard_deviation(x: FloatArray) -> float:
    """Standard deviation with divisor n - 1; missing for fewer than two values."""
    return float(np.std(x, ddof=1)) if len(x) > 1 else float("nan")


def skewness(x: FloatArray, power: int = 3, weights: FloatArray | None = None) -> float:
    """Moment of the given power over the standard deviation, divisor n."""
    centred = x - np.average(x, weights=weights)
    second = float(np.average(centred**2, weights=weights))
    moment = float(np.average(centred**power, weights=weights))
    return moment / second ** (power / 2) if second > 0 else float("nan")


def weighted_deviation(x: FloatArray, weights: Weights) -> float:
    """Standard deviation of values with weights, divisor n - 1."""
    w, n = weights.scaled(), weights.number()
    if n <= 1 or not len(x):
        return math.nan
    centred = x - np.average(x, weights=w)
    return math.sqrt(float(w @ centred**2) / (n - 1.0))


STATISTICS: dict[str, Callable[[FloatArray], float]] = {
    "count": lambda x: float(len(x)),
    "cv": lambda x: standard_deviation(x) / float(x.mean()) if len(x) else float("nan"),
    "first": lambda x: float(x[0]) if len(x) else float("nan"),
    "iqr": lambda x: percentile(np.sort(x), 75) - percentile(np.sort(x), 25),
    "kurtosis": lambda x: skewness(x, 4) if len(x) else float("nan"),
    "last": lambda x: float(x[-1]) if len(x) else float("nan"),
    "max": lambda x: float(x.max()) if len(x) else float("nan"),
    "mean": lambda x: float(x.mean()) if len(x) else float("nan"),
    "median": lambda x: percentile(np.sort(x), 50),
    "min": lambda x: float(x.min()) if len(x) else float("nan"),
    "n": lambda x: float(len(x)),
    "range": lambda x: float(x.max() - x.min()) if len(x) else float("nan"),
    "sd": standard_deviation,
    "semean": lambda x: standard_deviation(x) / np.sqrt(len(x)) if len(x) else float("nan"),
    "skewness": lambda x: skewness(x) if len(x) else float("nan"),
    "sum": lambda x: float(x.sum()),
    "variance": lambda x: standard_deviation(x) ** 2,
}


def statistic(name: str) -> Callable[[FloatArray], float] | None:
    """Return a statistic by name, ``p1`` to ``p99`` included; None if there is none."""
    if name.startswith("p") and name[1:].isdigit() and 1 <= int(name[1:]) <= 99:
        share = float(name[1:])
        return lambda x: percentile(np.sort(x), share)
    return STATISTICS.get(name)


WEIGHTED: dict[str, Callable[[FloatArray, Weights], float]] = {
    "count": lambda x, w: w.number(),
    "cv": lambda x, w: weighted_deviation(x, w) / float(np.average(x, weights=w.values)),
    "iqr": lambda x, w: weighted_percentile(x, w.values, 75) - weighted_percentile(x, w.values, 25),
    "kurtosis": lambda x, w: skewness(x, 4, w.values),
    "mean": lambda x, w: float(np.average(x, weights=w.values)),
    "median": lambda x, w: weighted_percentile(x, w.values, 50),
    "n": lambda x, w: w.number(),
    "sd": weighted_deviation,
    "semean": lambda x, w: weighted_deviation(x, w) / math.sqrt(w.number()),
    "skewness": lambda x, w: skewness(x, 3, w.values),
    "sum": lambda x, w: float(w.values @ x),
    "variance": lambda x, w: weighted_deviation(x, w) ** 2,
}
"""Statistics that weights change; the others are those of the rows."""


def weighted_statistic(name: str, x: FloatArray, weights: Weights | None) -> float | None:
    """Value of a statistic of at least one row, None if there is no such statistic."""
    plain = statistic(name)
    if plain is None:
        return None
    if weights is None:
        return plain(x)
    if name in WEIGHTED:
        return WEIGHTED[name](x, weights)
    if name[:1] == "p":
        return weighted_percentile(x, weights.values, float(name[1:]))
    return plain(x)
