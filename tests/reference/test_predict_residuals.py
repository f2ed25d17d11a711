"""Residuals against their formulas, written with other functions than the package uses."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from direct_posterior import expectations
from predict_models import MODELS
from scipy.special import hyp2f1
from test_predict import ALL, fitted

from gllamm_cli.predict import PredictRequest, Quantity, predict
from gllamm_cli.predict.residuals import RESIDUALS, Cell


def binomial(kind, y, n, mu):
    if kind == "pearson":
        return (y - n * mu) / np.sqrt(n * mu * (1 - mu))
    if kind == "deviance":
        with np.errstate(all="ignore"):
            success = np.where(y > 0, y * np.log(y / (n * mu)), 0.0)
            failure = np.where(y < n, (n - y) * np.log((n - y) / (n - n * mu)), 0.0)
        return np.sign(y - n * mu) * np.sqrt(2 * success + 2 * failure)

    def H(x):
        return hyp2f1(2 / 3, 1 / 3, 5 / 3, x)

    difference = y ** (2 / 3) * H(y / n) - (n * mu) ** (2 / 3) * H(mu)
    return 1.5 * difference / (n * mu * (1 - mu)) ** (1 / 6)


def poisson(kind, y, mu):
    if kind == "pearson":
        return (y - mu) / np.sqrt(mu)
    if kind == "deviance":
        with np.errstate(all="ignore"):
            D = np.where(y > 0, 2 * (y * np.log(y / mu) - (y - mu)), 2 * mu)
        return np.sign(y - mu) * np.sqrt(D)
    return 1.5 * (y ** (2 / 3) - mu ** (2 / 3)) / mu ** (1 / 6)


def gamma(kind, y, mu):
    if kind == "pearson":
        return (y - mu) / mu
    if kind == "deviance":
        return np.sign(y - mu) * np.sqrt(-2 * (np.log(y / mu) - (y - mu) / mu))
    return 3 * (y ** (1 / 3) - mu ** (1 / 3)) / mu ** (1 / 3)


def formula(name, kind):
    """Residual of rows at latent values."""
    model = MODELS[name]

    def residual(rows, v):
        mu = np.asarray(model.mean(rows, v))
        if name.startswith("gaussian"):
            return (rows["g"] - mu) / np.exp(-0.2)
        if name.startswith("binomial"):
            return binomial(kind, rows["k"], rows["n"], mu)
        if name.startswith("poisson"):
            return poisson(kind, rows["o"], mu)
        if name.startswith("gamma"):
            return gamma(kind, rows["pos"], mu)
        if name == "nominal":
            return binomial(kind, (rows["o"] == model.outcome) * 1.0, 1.0, mu)
        if name.startswith("choice"):
            return binomial(kind, rows["chosen"], 1.0, mu)
        return binomial(kind, (rows["o"] > model.above[0]) * 1.0, 1.0, mu)

    return residual


@cache
def expected(name, kind, prior):
    model = MODELS[name]
    return expectations(
        model.frame, model.levels, model.density, {"r": formula(name, kind)}, prior=prior
    )["r"]


@pytest.mark.parametrize("marginal", [False, True])
@pytest.mark.parametrize("kind", ["pearson", "deviance", "anscombe"])
@pytest.mark.parametrize(
    "name",
    ["gaussian-2", "binomial-3", "poisson-2", "gamma-3", "ologit-2", "ocll-3", "nominal",
     "choice-2"],
)  # fmt: skip
def test_expected_residuals(name, kind, marginal):
    model = MODELS[name]
    fit, data, order = fitted(name)
    request = PredictRequest(
        "q",
        Quantity(kind),
        rows=ALL,
        marginal=marginal,
        above=model.above,
        outcome=model.outcome,
    )
    found = predict(fit, data, request, threads=1).columns["q"][np.argsort(order)]
    seen = model.frame["seen"].to_numpy() == 1
    assert np.isnan(found[~seen]).all()
    direct = expected(name, kind, marginal).to_numpy()
    np.testing.assert_allclose(found[seen], direct[seen], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["pearson", "deviance", "anscombe"])
def test_residuals_at_given_values(kind):
    fit, data, _ = fitted("binomial-2")
    rng = np.random.default_rng(0)
    given = data.with_column("v1", rng.normal(size=data.n_rows))
    request = PredictRequest("q", Quantity(kind), rows=ALL, us="v")
    found = predict(fit, given, request).columns["q"]
    frame = given.frame
    nu = 0.4 * frame["x"] + 0.1 + frame["off"] + frame["v1"]
    direct = binomial(kind, frame["k"], frame["n"], 1 / (1 + np.exp(-nu)))
    np.testing.assert_allclose(found, direct, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", [Quantity.PEARSON, Quantity.DEVIANCE, Quantity.ANSCOMBE])
@pytest.mark.parametrize("small", [1e-5, 1e-20, 1e-320, 0.0])
def test_residuals_vanish_where_probabilities_of_what_happened_are_nearly_one(kind, small):
    """Far out a complementary log-log link has probabilities of one, beside finite residuals."""
    x, n, one = np.array([[small]]), np.full((1, 1), 3.0), np.ones((1, 1))
    with np.errstate(all="ignore"):
        all_of_them = RESIDUALS["binom", kind](Cell(n, n, 1.0 - x, x, one))
        none = RESIDUALS["binom", kind](Cell(0.0 * n, n, x, 1.0 - x, one))
    size = {"pearson": 1.0, "deviance": np.sqrt(2.0), "anscombe": 1.5}[kind] * np.sqrt(3 * small)
    np.testing.assert_allclose(all_of_them[0], size, rtol=2e-5, atol=1e-150)
    np.testing.assert_allclose(none[0], -size, rtol=2e-5, atol=1e-150)
