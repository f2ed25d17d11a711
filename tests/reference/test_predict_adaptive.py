"""Adaptive predictions against closed forms and against fine direct integration."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from direct import Level, binary, hermite
from direct_posterior import expectations
from scipy import stats
from scipy.special import expit

from gllamm_cli.data import Dataset
from gllamm_cli.predict import PredictRequest, Quantity, Rows, predict
from gllamm_cli.session import Session

ALL = Rows(beyond_sample=True)


def simulated(seed=11):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 9, 20)
    id_ = np.repeat(np.arange(20), size)
    n = len(id_)
    slopes = rng.multivariate_normal([0, 0], [[1.0, 0.3], [0.3, 0.5]], 20)
    x = rng.normal(size=n)
    nu = 0.5 + 0.3 * x + slopes[id_, 0] + slopes[id_, 1] * x
    return pd.DataFrame(
        {
            "id": id_ + 1.0,
            "top": id_ // 7 + 1.0,
            "one": 1.0,
            "x": x,
            "y": nu + 0.7 * rng.normal(size=n),
            "b": (rng.random(n) < expit(nu)) * 1.0,
        }
    )


FRAME = simulated()


def evaluated(command, values, before=""):
    session = Session(Dataset.from_frame(FRAME), threads=1)
    if before:
        session.run(before)
    session.run(f"matrix start = ({', '.join(repr(float(value)) for value in values)})")
    session.run(f"gllamm {command} from(start) copy eval")
    return session


def predicted(session, quantity, **options):
    request = PredictRequest("q", Quantity(quantity), rows=ALL, **options)
    return predict(session.fit, session.dataset, request, threads=1)


def test_linear_mixed_model_in_closed_form():
    """Posterior of intercepts and slopes: N(Psi Z'V^-1 r, Psi - Psi Z'V^-1 Z Psi)."""
    L = np.array([[0.9, 0.0], [0.3, 0.6]])
    values = [0.3, 0.5, np.log(0.7), L[0, 0], L[1, 1], L[1, 0]]
    session = evaluated("y x, i(id) nrf(2) eqs(one x) nip(5) adapt", values)
    effects = predicted(session, "u", corr=True).columns
    linear = predicted(session, "linpred").columns["q"]
    mean = predicted(session, "mu").columns["q"]
    contribution = predicted(session, "ll").columns["q"]
    psi = L @ L.T
    for _, rows in FRAME.groupby("id"):
        at = rows.index.to_numpy()
        Z = np.column_stack([np.ones(len(rows)), rows["x"]])
        fixed = 0.5 + 0.3 * rows["x"].to_numpy()
        V = Z @ psi @ Z.T + 0.49 * np.eye(len(rows))
        gain = psi @ Z.T @ np.linalg.inv(V)
        m, C = gain @ (rows["y"] - fixed), psi - gain @ Z @ psi
        s = np.sqrt(np.diag(C))
        np.testing.assert_allclose(effects["qm1"][at], m[0], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(effects["qm2"][at], m[1], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(effects["qs1"][at], s[0], rtol=1e-6)
        np.testing.assert_allclose(effects["qs2"][at], s[1], rtol=1e-6)
        np.testing.assert_allclose(effects["qc21"][at], C[0, 1] / s[0] / s[1], rtol=1e-5)
        np.testing.assert_allclose(linear[at], fixed + Z @ m, rtol=1e-7)
        np.testing.assert_allclose(mean[at], fixed + Z @ m, rtol=1e-7)
        density = stats.multivariate_normal.logpdf(rows["y"], fixed, V)
        np.testing.assert_allclose(contribution[at], density, rtol=1e-7)


@cache
def finely_integrated():
    """Three-level logit by ordinary quadrature with many points."""
    levels = [Level("id", *hermite(("u",), 25)), Level("top", *hermite(("t",), 25))]

    def nu(rows, v):
        return 0.3 * rows["x"] + 0.2 + 0.8 * v["u"] + 0.6 * v["t"]

    return expectations(
        FRAME,
        levels,
        lambda rows, v: binary(rows["b"], expit(nu(rows, v))),
        {
            "m1": lambda rows, v: 0.8 * v["u"],
            "m2": lambda rows, v: 0.6 * v["t"],
            "e1": lambda rows, v: 0.64 * v["u"] ** 2,
            "e2": lambda rows, v: 0.36 * v["t"] ** 2,
            "mean": lambda rows, v: expit(nu(rows, v)),
        },
    )


@pytest.mark.parametrize("adapt", ["fit", "option"])
def test_three_level_logit_by_fine_integration(adapt):
    command = "b x, i(id top) family(binom) nip(12) " + ("adapt" if adapt == "fit" else "")
    session, expected = evaluated(command, [0.3, 0.2, 0.8, 0.6]), finely_integrated()
    options = {} if adapt == "fit" else {"adapt": True}
    found = predicted(session, "u", **options)
    for r in (1, 2):
        np.testing.assert_allclose(found.columns[f"qm{r}"], expected[f"m{r}"], atol=1e-7)
        deviation = np.sqrt(expected[f"e{r}"] - expected[f"m{r}"] ** 2)
        np.testing.assert_allclose(found.columns[f"qs{r}"], deviation, atol=1e-7)
    mean = predicted(session, "mu", **options).columns["q"]
    np.testing.assert_allclose(mean, expected["mean"], atol=1e-8)
    np.testing.assert_allclose(
        predicted(session, "ll", **options).columns["q"], expected["ll"], rtol=1e-8
    )
    assert found.lines[1].startswith("Non-adaptive log-likelihood: ")


def test_marginal_expectations_use_ordinary_quadrature_even_after_adaptive_quadrature():
    values = [0.3, 0.2, 0.8]
    adaptive = evaluated("b x, i(id) family(binom) nip(7) adapt", values)
    ordinary = evaluated("b x, i(id) family(binom) nip(7)", values)
    first, second = (predicted(session, "mu", marginal=True) for session in (adaptive, ordinary))
    np.testing.assert_array_equal(first.columns["q"], second.columns["q"])
    assert first.lines == ("(mu will be stored in q)",)
    assert second.lines[1].startswith("log-likelihood:")
    assert first.log_likelihood is None


def test_narrow_posteriors_are_not_lost():
    """Large clusters and a large variance: nodes must travel far and shrink much."""
    rng = np.random.default_rng(1)
    id_ = np.repeat(np.arange(4), 2000)
    y = np.array([-40.0, -3.0, 4.0, 45.0])[id_] + 0.1 * rng.normal(size=8000)
    session = Session(Dataset.from_frame(pd.DataFrame({"id": id_ + 1.0, "y": y})), threads=1)
    session.run(f"matrix start = (0, {np.log(0.1)}, 10)")
    session.run("gllamm y, i(id) nip(8) adapt from(start) copy eval")
    found = predicted(session, "u").columns["qm1"]
    for k in range(4):
        mean = y[id_ == k].mean() * 100.0 / (100.0 + 0.01 / 2000)
        np.testing.assert_allclose(found[id_ == k], mean, rtol=1e-7)


def test_data_seen_by_the_fit_give_its_log_likelihood():
    session = Session(Dataset.from_frame(FRAME), threads=1)
    session.run("gllamm b x if x > -1, i(id) family(binom) adapt")
    found = predict(session.fit, session.dataset, PredictRequest("q", Quantity.LL))
    assert found.log_likelihood == pytest.approx(session.fit.log_likelihood, rel=1e-9)
    used = np.isfinite(found.columns["q"])
    np.testing.assert_array_equal(used, FRAME["x"] > -1)
    per_cluster = pd.Series(found.columns["q"][used]).groupby(FRAME["id"][used].to_numpy()).first()
    assert per_cluster.sum() == pytest.approx(session.fit.log_likelihood, rel=1e-9)
