"""Predictions equal direct sums over all nodes, for every kind of response and structure.

At fixed parameters, with ordinary quadrature of few points, weights at all
levels, and responses that are missing in the data of the prediction.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from direct_posterior import expectations
from predict_models import MODELS

from gllamm_cli.data import Dataset
from gllamm_cli.predict import PredictRequest, Quantity, Rows, expectation, predict
from gllamm_cli.session import Session

ALL = Rows(beyond_sample=True)


@cache
def fitted(name):
    """The fit at the model's values, and the data in which responses are missing."""
    model = MODELS[name]
    session = Session(Dataset.from_frame(model.frame), threads=1)
    if model.before:
        session.run(model.before)
    session.run(f"matrix start = ({', '.join(repr(float(value)) for value in model.values)})")
    session.run(f"gllamm {model.command} from(start) copy eval")
    gaps = model.frame.copy()
    for variable in model.blank:
        gaps.loc[gaps["seen"] == 0, variable] = np.nan
    # Rows need not be in any order.
    gaps = gaps.sample(frac=1.0, random_state=3)
    return session.fit, Dataset.from_frame(gaps.reset_index(drop=True)), gaps.index.to_numpy()


def ours(name, quantity, **options):
    """Columns in the order of the model's frame."""
    fit, data, order = fitted(name)
    request = PredictRequest("q", Quantity(quantity), rows=ALL, **options)
    columns = predict(fit, data, request, threads=1).columns
    back = np.argsort(order)
    return {variable: values[back] for variable, values in columns.items()}


@cache
def direct(name, prior=False):
    """Expectations of all latent variables, products, predictors and means."""
    model = MODELS[name]
    functions = {"nu": model.nu, "mean": model.mean}
    for r, zeta in enumerate(model.zeta, start=1):
        functions[f"m{r}"] = zeta
        for c, other in enumerate(model.zeta[:r], start=1):
            functions[f"e{r}{c}"] = lambda rows, v, a=zeta, b=other: a(rows, v) * b(rows, v)
    return expectations(model.frame, model.levels, model.density, functions, prior=prior)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


names = pytest.mark.parametrize("name", list(MODELS))


@names
def test_posterior_means_deviations_and_correlations(name):
    columns, expected = ours(name, "u", corr=True), direct(name)
    M = len(MODELS[name].zeta)
    deviation = {}
    for r in range(1, M + 1):
        mean = expected[f"m{r}"]
        deviation[r] = np.sqrt(expected[f"e{r}{r}"] - mean**2)
        close(columns[f"qm{r}"], mean)
        close(columns[f"qs{r}"], deviation[r])
        for c in range(1, r):
            covariance = expected[f"e{r}{c}"] - mean * expected[f"m{c}"]
            close(columns[f"qc{r}{c}"], covariance / (deviation[r] * deviation[c]))


@names
def test_standardised_means(name):
    columns, expected, prior = ours(name, "ustd"), direct(name), direct(name, prior=True)
    for r in range(1, len(MODELS[name].zeta) + 1):
        spread = prior[f"e{r}{r}"] - prior[f"m{r}"] ** 2
        denominator = np.sqrt(
            np.maximum(spread - (expected[f"e{r}{r}"] - expected[f"m{r}"] ** 2), 0.0)
        )
        # Differences of nearly equal variances keep half of the digits.
        np.testing.assert_allclose(columns[f"qs{r}"], denominator, rtol=1e-5, atol=1e-6)
        shown = denominator > 1e-4
        quotient = expected[f"m{r}"] / denominator
        np.testing.assert_allclose(columns[f"qm{r}"][shown], quotient[shown], rtol=1e-5)


@names
def test_linear_predictor_at_posterior_means(name):
    close(ours(name, "linpred")["q"], direct(name)["nu"])


@names
def test_fixed_part(name):
    model = MODELS[name]
    nothing = {"u": 0.0, "s": 0.0, "r": 0.0, "t": 0.0}
    fixed = model.fixed or model.nu
    close(ours(name, "xb")["q"], fixed(model.frame, nothing))


@names
@pytest.mark.parametrize("marginal", [False, True])
def test_expected_responses(name, marginal):
    model = MODELS[name]
    found = ours(name, "mu", marginal=marginal, above=model.above, outcome=model.outcome)
    close(found["q"], direct(name, prior=marginal)["mean"])


@names
def test_contributions_to_the_log_likelihood(name):
    close(ours(name, "ll")["q"], direct(name)["ll"])


@pytest.mark.parametrize("name", ["masses-2", "centred-masses-2"])
def test_class_probabilities(name):
    model = MODELS[name]
    members = {
        f"q{k + 1}": lambda rows, v, k=k: np.full(len(rows), float(v["class"] == k))
        for k in range(3)
    }
    expected = expectations(model.frame, model.levels, model.density, members)
    columns = ours(name, "p")
    assert list(columns) == ["q1", "q2", "q3"]
    for variable, values in columns.items():
        close(values, expected[variable])


def test_probabilities_of_the_nodes_of_one_continuous_variable():
    model = MODELS["binomial-2"]
    values = [node["u"] for node in model.levels[0].nodes]
    members = {
        f"q{k}": lambda rows, v, x=x: np.full(len(rows), float(v["u"] == x))
        for k, x in enumerate(sorted(values), start=1)
    }
    expected = expectations(model.frame, model.levels, model.density, members)
    for variable, found in ours("binomial-2", "p").items():
        close(found, expected[variable])


def test_factors_follow_their_regressions():
    columns, expected = ours("paths-3", "fac"), direct("paths-3")
    top, second = expected["m3"], expected["m2"]
    close(columns["qm3"], top)
    close(columns["qm2"], second)
    close(columns["qm1"], expected["m1"] + 0.4 * second - 0.6 * top)
    columns, expected = ours("mixed-2", "fac"), direct("mixed-2")
    close(columns["qm1"], expected["m1"] + 0.25 * MODELS["mixed-2"].frame["w"])


@pytest.mark.parametrize("name", ["mixed-3", "paths-3", "gamma-2", "ocll-3", "nominal"])
def test_expected_responses_at_given_values(name):
    """us(): at the values of ``fac`` the linear predictor is that of ``linpred``."""
    model = MODELS[name]
    fit, data, order = fitted(name)
    factors = predict(fit, data, PredictRequest("f", Quantity.FAC, rows=ALL), threads=1)
    renamed = {f"given{k}": x for k, x in enumerate(factors.columns.values(), start=1)}
    request = PredictRequest(
        "q",
        Quantity.MU,
        rows=ALL,
        us="given",
        above=model.above,
        outcome=model.outcome,
    )
    found = predict(fit, data.with_columns(renamed), request, threads=1).columns["q"]
    # The mean at the posterior means of the disturbances, written out.
    expected = direct(name)
    at = {
        "u": expected["m1"] / 0.7,
        "t": expected.get(f"m{len(model.zeta)}", 0.0) / 0.5 if len(model.levels) == 2 else 0.0,
    }
    if name == "paths-3":
        at["s"] = (expected["m2"] - 0.2 * at["u"]) / 0.9
    close(found[np.argsort(order)], model.mean(model.frame, at))


def test_the_offset_can_be_left_out():
    model = MODELS["poisson-2"]
    offset = model.frame["off"]
    close(ours("poisson-2", "xb", nooffset=True)["q"], ours("poisson-2", "xb")["q"] - offset)
    close(
        ours("poisson-2", "mu", nooffset=True)["q"], ours("poisson-2", "mu")["q"] / np.exp(offset)
    )


@pytest.mark.parametrize("marginal", [False, True])
@pytest.mark.parametrize("name", ["choice-3", "class-covariates", "composite"])
def test_results_do_not_depend_on_threads_or_chunks(name, marginal, monkeypatch):
    fit, data, _ = fitted(name)
    request = PredictRequest("q", Quantity.MU, rows=ALL, marginal=marginal)
    whole = predict(fit, data, request, threads=1).columns["q"]
    monkeypatch.setattr(expectation, "ELEMENTS", 50)
    monkeypatch.setattr(expectation, "POSTERIOR_ELEMENTS", 10)
    parts = predict(fit, data, request, threads=2).columns["q"]
    np.testing.assert_array_equal(whole, parts)
