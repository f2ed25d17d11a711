"""gllasim: moments of the draws, and that a seed repeats them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from predict_models import MODELS
from scipy import stats
from scipy.special import expit

from gllamm_cli.data import Dataset
from gllamm_cli.predict import PredictRequest, Quantity, Rows, Simulated, SimulateRequest
from gllamm_cli.predict import predict as predicted
from gllamm_cli.predict import simulate as simulated
from gllamm_cli.session import Session

ALL = Rows(beyond_sample=True)
REPEATS = 4000


@cache
def fitted(command, values, before="", repeats=None):
    """A fit at given values, and many copies of small clusters to draw for."""
    frame = MODELS["gaussian-2"].frame
    session = Session(Dataset.from_frame(frame), threads=1)
    if before:
        session.run(before)
    session.run(f"matrix start = ({', '.join(repr(float(value)) for value in values)})")
    session.run(f"gllamm {command} from(start) copy eval")
    rng = np.random.default_rng(1)
    cluster = pd.DataFrame(
        {
            "x": [0.5, -1.0, 0.2, 0.0],
            "z": [1.0, 0.3, -0.4, 0.8],
            "off": [0.1, 0.0, 0.0, -0.2],
            "n": [3.0, 1.0, 2.0, 5.0],
            "alt": [1.0, 2.0, 3.0, 4.0],
            "item": [1.0, 2.0, 3.0, 1.0],
            "one": 1.0,
        }
    )
    data = pd.concat([cluster] * REPEATS, ignore_index=True)
    data["id"] = np.repeat(rng.permutation(REPEATS), 4) + 1.0
    data["set"] = data["id"]
    data["top"] = np.ceil(data["id"] / 4)
    data["w"] = 0.5
    for name in ("g", "k", "b", "o", "pos", "chosen"):
        data[name] = np.nan
    return session.fit, Dataset.from_frame(data)


def draw(command, values, quantity=None, *, response=True, seed=3, before="", **options):
    fit, data = fitted(command, tuple(values), before)
    request = SimulateRequest("q", response, quantity, rows=ALL, **options)
    return simulated(fit, data, request, np.random.default_rng(seed)).columns


def per_row(values):
    """Draws of the four rows of the clusters, (clusters, 4)."""
    return values.reshape(-1, 4)


def means_agree(draws, expected):
    """Means over clusters lie within four standard errors."""
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - expected) < 4 * error + 1e-12).all()


GAUSSIAN = ("g x, i(id) offset(off) nip(3)", [0.4, 0.1, -0.2, 0.7])


def test_gaussian_responses_and_their_latent_variables():
    columns = draw(*GAUSSIAN, Simulated.U)
    assert list(columns) == ["q", "qp1"]
    u = per_row(columns["qp1"])
    assert (u == u[:, :1]).all()
    y = per_row(columns["q"])
    x, off = np.array([0.5, -1.0, 0.2, 0.0]), np.array([0.1, 0.0, 0.0, -0.2])
    means_agree(y, 0.4 * x + 0.1 + off)
    means_agree(u[:, :1], 0.0)
    assert u[:, 0].std() == pytest.approx(0.7, rel=0.05)
    residual = y - u - 0.4 * x - 0.1 - off
    assert residual.std() == pytest.approx(np.exp(-0.2), rel=0.03)
    assert abs(np.corrcoef(residual.T)[0, 1]) < 4 / np.sqrt(REPEATS)
    # Normal, not merely of the right moments.
    assert stats.kstest(u[:, 0] / 0.7, "norm").pvalue > 1e-3


@pytest.mark.parametrize(
    ("response", "options", "parameters", "of_mean"),
    [
        ("k", "family(binom) denom(n)", [], lambda mu, n: n * mu),
        ("b", "family(binom) link(cll)", [], lambda mu, n: mu),
        ("o", "family(poisson)", [], lambda mu, n: mu),
        ("pos", "family(gamma) link(log)", [-0.3], lambda mu, n: mu),
    ],
)
def test_means_given_the_latent_variables(response, options, parameters, of_mean):
    command = f"{response} x, i(id) offset(off) nip(3) {options}"
    columns = draw(command, [0.4, 0.1, *parameters, 0.7], Simulated.MU)
    y, mu = per_row(columns["q"]), per_row(columns["qp"])
    n = np.array([3.0, 1.0, 2.0, 5.0]) if response == "k" else np.ones(4)
    means_agree(y - of_mean(mu, n), 0.0)
    if response == "pos":
        # The scale is the coefficient of variation.
        assert ((y - mu) / mu).std() == pytest.approx(np.exp(-0.3), rel=0.05)
    elif response == "o":
        assert ((y - mu) ** 2 / mu).mean() == pytest.approx(1.0, rel=0.05)
    else:
        trials = n if response == "k" else 1.0
        variance = trials * mu * (1 - mu)
        assert ((y - trials * mu) ** 2 / variance).mean() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("link", ["ologit", "oprobit", "ocll"])
def test_categories_of_ordinal_responses(link):
    values = [0.4, -0.8, 0.1, 0.9, 0.7]
    columns = draw(f"o x, i(id) link({link}) nip(3)", values, Simulated.MU, above=(2.0,))
    y, above = per_row(columns["q"]), per_row(columns["qp"])
    assert set(np.unique(y)) == {1.0, 2.0, 3.0, 4.0}
    means_agree((y > 2) - above, 0.0)


def test_nominal_categories():
    values = [0.4, 0.1, -0.3, 0.2, 0.2, -0.5, 0.7]
    columns = draw("o x, i(id) link(mlogit) nip(3)", values, Simulated.MU, outcome=3.0)
    means_agree(per_row(columns["q"] == 3.0) - per_row(columns["qp"]), 0.0)
    assert set(np.unique(columns["q"])) == {1.0, 2.0, 3.0, 4.0}


def test_one_alternative_of_each_choice_set():
    command = "alt x z, nocons i(id) link(smlogit) expanded(set chosen o) eqs(x) nip(3)"
    columns = draw(command, [0.4, -0.3, 0.2, 0.7], Simulated.MU)
    chosen, probability = per_row(columns["q"]), per_row(columns["qp"])
    np.testing.assert_array_equal(chosen.sum(axis=1), 1.0)
    means_agree(chosen - probability, 0.0)


def test_factors_and_correlated_effects():
    columns = draw(
        "b x, i(id) family(binom) nrf(2) eqs(one z) bmatrix(B) geqs(f2) nip(3)",
        [0.3, 0.1, 0.7, 0.9, 0.2, 0.4, 0.5],
        Simulated.FAC,
        response=False,
        before="matrix B = (0, 1 \\ 0, 0); eq f2: w",
    )
    assert list(columns) == ["qp1", "qp2"]
    eta = np.column_stack([per_row(columns["qp1"])[:, 0], per_row(columns["qp2"])[:, 0]])
    # eta2 = .5 w + zeta2, eta1 = .4 eta2 + zeta1
    inverse = np.array([[1.0, 0.4], [0.0, 1.0]])
    L = np.array([[0.7, 0.0], [0.2, 0.9]])
    means_agree(eta, inverse @ [0.0, 0.25])
    covariance = inverse @ L @ L.T @ inverse.T
    np.testing.assert_allclose(np.cov(eta.T), covariance, atol=0.06)


def test_classes_are_drawn_with_their_probabilities_at_each_level():
    values = [0.4, 0.1, -0.8, 0.3, 0.9, -0.6, -0.2, 1.2]
    command = "b x, i(id top) family(binom) ip(fn) nip(2 2)"
    columns = draw(command, values, Simulated.U, response=False)
    first, second = columns["qp1"], columns["qp2"]
    assert set(np.unique(first)) == {-0.8, 0.9}
    assert set(np.unique(second)) == {-0.6, 1.2}
    assert np.mean(first == -0.8) == pytest.approx(expit(0.3), abs=0.03)
    assert np.mean(second == -0.6) == pytest.approx(expit(-0.2), abs=0.06)
    # Independent between levels, constant within units.
    assert abs(np.corrcoef(first[::16], second[::16])[0, 1]) < 0.15
    _, data = fitted(command, tuple(values))
    assert pd.Series(second).groupby(data.column("top")).nunique().max() == 1


def test_given_latent_values_and_no_offset():
    fit, data = fitted(GAUSSIAN[0], tuple(GAUSSIAN[1]))
    given = data.with_column("e1", np.full(data.n_rows, 2.0))
    request = SimulateRequest("q", False, Simulated.LINPRED, rows=ALL, us="e", nooffset=True)
    found = simulated(fit, given, request, np.random.default_rng(1)).columns["qp"]
    np.testing.assert_allclose(found, 0.4 * data.column("x") + 0.1 + 2.0)


def test_a_seed_repeats_the_draws_for_any_threads_and_order_of_rows():
    fit, data = fitted(GAUSSIAN[0], tuple(GAUSSIAN[1]))
    request = SimulateRequest("q", True, Simulated.LINPRED, rows=ALL)
    first = simulated(fit, data, request, np.random.default_rng(7), threads=1)
    again = simulated(fit, data, request, np.random.default_rng(7), threads=2)
    for name, values in first.columns.items():
        np.testing.assert_array_equal(values, again.columns[name])
    other = simulated(fit, data, request, np.random.default_rng(8))
    assert not np.allclose(first.columns["q"], other.columns["q"])
    # Clusters are drawn in the order of their identifiers.
    order = np.argsort(data.column("id"), kind="stable")
    ordered = Dataset.from_frame(data.frame.iloc[order].reset_index(drop=True))
    found = simulated(fit, ordered, request, np.random.default_rng(7)).columns["q"]
    np.testing.assert_array_equal(found, first.columns["q"][order])


def test_simulated_responses_can_be_fitted():
    """The parameters come back."""
    fit, data = fitted(GAUSSIAN[0], tuple(GAUSSIAN[1]))
    request = SimulateRequest("new", rows=ALL)
    drawn = simulated(fit, data, request, np.random.default_rng(5)).columns["new"]
    session = Session(data.with_column("new", drawn), threads=1)
    session.run("gllamm new x, i(id) offset(off) nip(5) adapt")
    errors = np.sqrt(np.diag(session.fit.covariance))
    assert (np.abs(session.fit.estimates - GAUSSIAN[1]) < 4 * errors).all()
    mean = predicted(session.fit, session.dataset, PredictRequest("q", Quantity.MU)).columns["q"]
    assert np.isfinite(mean).all()


def test_rows_that_lack_something_have_no_draws():
    fit, data = fitted(GAUSSIAN[0], tuple(GAUSSIAN[1]))
    frame = data.frame.head(40).copy()
    frame.loc[0, "x"] = np.nan
    frame.loc[1, "id"] = np.nan
    found = simulated(
        fit, Dataset.from_frame(frame), SimulateRequest("q", rows=ALL), np.random.default_rng(1)
    ).columns["q"]
    assert np.isnan(found[:2]).all()
    assert np.isfinite(found[2:]).all()
