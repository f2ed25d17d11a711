"""Composite links: the likelihood against a direct sum, weights, and impossible requests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gllamm_cli.data import Dataset
from gllamm_cli.errors import GllammError
from gllamm_cli.session import Session

NODES, WEIGHTS = np.polynomial.hermite.hermgauss(5)
V, LOG_W = np.sqrt(2) * NODES, np.log(WEIGHTS / np.sqrt(np.pi))


def frame() -> pd.DataFrame:
    """Forty groups of three rows in eight units; rows 1 and 3 have likelihoods."""
    rng = np.random.default_rng(1)
    n = 40
    return pd.DataFrame(
        {
            "set": np.repeat(np.arange(n), 3) + 1.0,
            "id": np.repeat(np.arange(n) // 5, 3) + 1.0,
            "x": rng.normal(size=3 * n),
            "part": np.tile([1.0, 0.0, 2.0], n),
            "c1": np.tile([0.6, 0.4, 0.0], n),
            "c2": np.tile([0.0, 0.3, 0.7], n),
            "kind": np.tile([1.0, 2.0, 1.0], n),
            "y": rng.integers(0, 2, 3 * n).astype(float),
            "wt1": rng.integers(1, 4, 3 * n).astype(float),
        }
    )


def direct(data: pd.DataFrame, theta: tuple[float, ...], weighted: bool) -> float:
    """Log likelihood with logit means in rows 1 and 3 of a set, complementary log-log in row 2."""
    slope, constant, deviation = theta
    total = 0.0
    for _, unit in data.groupby("id"):
        terms = []
        for v, log_w in zip(V, LOG_W, strict=True):
            nu = slope * unit["x"].to_numpy() + constant + deviation * v
            cloglog = unit["kind"].to_numpy() == 2
            mean = np.where(cloglog, 1 - np.exp(-np.exp(nu)), 1 / (1 + np.exp(-nu)))
            term = log_w
            for k, column in ((1, "c1"), (2, "c2")):
                composite = (unit[column].to_numpy() * mean).reshape(-1, 3).sum(axis=1)
                here = unit["part"].to_numpy() == k
                y = unit["y"].to_numpy()[here]
                w = unit["wt1"].to_numpy()[here] if weighted else 1.0
                term += np.sum(w * (y * np.log(composite) + (1 - y) * np.log1p(-composite)))
            terms.append(term)
        total += np.logaddexp.reduce(terms)
    return total


@pytest.mark.parametrize("weighted", [False, True])
def test_likelihood_equals_the_direct_sum(weighted):
    data = frame()
    session = Session(Dataset.from_frame(data))
    theta = (0.5, 0.2, 0.7)
    session.run(f"matrix a = {theta}")
    session.run(
        "gllamm y x, i(id) family(binom) link(logit cll) lv(kind) composite(set part c1 c2) "
        f"from(a) copy eval nip(5) {'weight(wt)' if weighted else ''}"
    )
    assert session.fit.log_likelihood == pytest.approx(direct(data, theta, weighted), rel=1e-12)


def test_identity_composite_is_the_ordinary_model():
    data = frame().assign(set=np.arange(120) + 1.0, part=1.0, c1=1.0)
    session = Session(Dataset.from_frame(data))
    session.run("gllamm y x, i(id) family(binom) link(logit) adapt")
    plain = session.fit
    session.run("gllamm y x, i(id) family(binom) link(logit) composite(set part c1) adapt")
    assert session.fit.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(session.fit.estimates, plain.estimates, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("composite(set part)", "at least three variables"),
        ("composite(set x c1)", "composite(): x has the value"),
        ("link(ologit) composite(set part c1)", "cannot be combined with link(ologit)"),
    ],
)
def test_impossible_composites_are_refused(options, text):
    session = Session(Dataset.from_frame(frame()))
    with pytest.raises(GllammError) as caught:
        session.run(f"gllamm y x, i(id) family(binom) {options}")
    assert text in caught.value.message
    assert caught.value.rc == 198
