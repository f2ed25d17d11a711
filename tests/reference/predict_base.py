"""A model in two forms: a command for the package, and functions for the direct computation.

The functions are the log density of rows, the disturbances and the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from direct import Level, Rows, Values, hermite

POINTS = 3
RowFunction = Callable[[Rows, Values], np.ndarray]


def simulate(seed: int = 5) -> pd.DataFrame:
    """Items of persons in groups of unequal size; ``seen`` is 0 where responses will be missing."""
    rng = np.random.default_rng(seed)
    n = 120
    unit = np.arange(n) // 4
    person = np.sort(rng.integers(0, 12, n // 4))[unit]
    group = np.minimum(person // 4, 2)
    item = rng.integers(1, 4, n)
    w_person, w_group = rng.integers(1, 3, 12), rng.integers(1, 3, 3)
    covariate = rng.normal(size=12)
    seen = (rng.random(n // 4) > 0.25) * 1.0
    # A cluster without any response has the prior for its posterior.
    seen[person[::4] == person[40]] = 0.0
    chosen = np.zeros(n)
    chosen[np.arange(n // 4) * 4 + rng.integers(0, 4, n // 4)] = 1.0
    return pd.DataFrame(
        {
            "id": person + 1.0,
            "top": group + 1.0,
            "item": item.astype(float),
            "one": 1.0,
            **{f"d{k}": (item == k).astype(float) for k in (1, 2, 3)},
            "x": rng.normal(size=n),
            "z": rng.normal(size=n),
            "w": covariate[person],
            "b": rng.integers(0, 2, n).astype(float),
            "n": rng.integers(1, 4, n).astype(float),
            "g": rng.normal(size=n),
            "pos": rng.gamma(2.0, size=n),
            "o": rng.integers(1, 5, n).astype(float),
            "set": unit + 1.0,
            "alt": np.arange(n) % 4 + 1.0,
            "chosen": chosen,
            "wt1": np.repeat(rng.integers(1, 3, n // 4), 4).astype(float),
            "wt2": w_person[person].astype(float),
            "wt3": w_group[group].astype(float),
            "off": 0.3 * rng.normal(size=n),
            "seen": seen[unit],
        }
    ).assign(k=lambda frame: np.minimum(frame["n"], frame["b"] * 2.0))


FRAME = simulate()


@dataclass(frozen=True)
class Model:
    """One model in both forms.

    ``zeta`` gives the disturbances in order; ``nu`` the linear predictor and ``mean``
    what ``mu`` predicts, both functions of rows and the standardised values.
    ``blank`` are the variables that are made missing where ``seen`` is 0.
    """

    command: str
    values: list[float]
    levels: list[Level]
    density: RowFunction
    zeta: list[Callable[[Rows, Values], np.ndarray]]
    nu: RowFunction
    mean: RowFunction
    before: str = ""
    frame: pd.DataFrame = field(default_factory=lambda: FRAME)
    blank: tuple[str, ...] = ("b",)
    above: tuple[float, ...] = ()
    outcome: float | None = None
    fixed: RowFunction | None = None


def normal_levels(n_levels: int, effects: tuple[str, ...] = ("u",)) -> list[Level]:
    levels = [Level("id", *hermite(effects, POINTS), "wt2")]
    if n_levels == 3:
        levels.append(Level("top", *hermite(("t",), POINTS), "wt3"))
    return levels


def tail(n_levels: int) -> list[float]:
    return [0.5] if n_levels == 3 else []


def ids(n_levels: int) -> str:
    return "i(id)" if n_levels == 2 else "i(id top)"


def intercepts(n_levels: int) -> list[Callable[[Rows, Values], np.ndarray]]:
    first = [lambda rows, v: 0.7 * v["u"]]
    return [*first, *([lambda rows, v: 0.5 * v["t"]] if n_levels == 3 else [])]
