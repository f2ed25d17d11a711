"""Statistics of a column as Stata defines them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gllamm_cli.stata.functions import FloatArray


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


def skewness(x: FloatArray, power: int = 3) -> float:
    """Moment of the given power over the standard deviation, divisor n."""
    centred = x - x.mean()
    second = float(np.mean(centred**2))
    return float(np.mean(centred**power) / second ** (power / 2)) if second > 0 else float("nan")


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
