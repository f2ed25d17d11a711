"""Relations between fits that hold whatever the data: the model does not know how rows are stored.

Each property is checked on random small data sets, at fixed parameters (exact)
or after maximisation (to the maximiser's tolerance).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gllamm_cli.data import Dataset
from gllamm_cli.estimate import engine
from gllamm_cli.session import Session

MODELS = {
    "logit": "y x z, i(id) family(binom) link(logit) nip(5)",
    "poisson three levels": "n x z, i(id top) family(poisson) link(log) nip(4)",
    "gaussian slope": "g x z, i(id) nrf(2) eqs(one x) nip(4)",
}


def simulate(seed: int) -> pd.DataFrame:
    """Sixty rows in twelve units in three groups."""
    rng = np.random.default_rng(seed)
    n = 60
    unit = np.repeat(np.arange(12), 5)
    x, z = rng.normal(size=n), rng.integers(0, 2, n).astype(float)
    latent = rng.normal(size=12)[unit] + 0.5 * rng.normal(size=3)[unit // 4]
    predictor = 0.3 * x - 0.4 * z + latent
    return pd.DataFrame(
        {
            "id": unit + 1.0,
            "top": unit // 4 + 1.0,
            "x": x,
            "z": z,
            "one": 1.0,
            "y": (rng.uniform(size=n) < 1 / (1 + np.exp(-predictor))).astype(float),
            "n": rng.poisson(np.exp(0.3 + 0.5 * predictor)).astype(float),
            "g": predictor + rng.normal(size=n),
            "w1": rng.integers(1, 4, n).astype(float),
        }
    )


def fit(frame: pd.DataFrame, model: str, options: str = "", threads: int = 2):
    """Fit one of MODELS."""
    session = Session(Dataset.from_frame(frame), threads=threads)
    session.run(f"gllamm {MODELS[model]} {options}")
    # Where nodes chase parameters for ever, rounding decides where both are left.
    assume(not any("has not settled" in note for note in session.fit.notes))
    return session.fit


seeds = st.integers(0, 10_000)
MAXIMISED = 1e-7
"""Agreement of maximised log likelihoods: where a handful of clusters with coarse quadrature makes
them depend on the nodes, the nodes come to rest within so much of each other.
"""


@pytest.mark.parametrize("model", MODELS)
@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_row_order_does_not_matter(model, seed):
    frame = simulate(seed)
    a = fit(frame, model, "adapt")
    shuffled = frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)
    b = fit(shuffled, model, "adapt")
    np.testing.assert_allclose(b.log_likelihood, a.log_likelihood, rtol=MAXIMISED)
    scale = np.sqrt(np.maximum(np.diag(a.covariance), 1e-12))
    assert np.all(np.abs(b.estimates - a.estimates) < 1e-4 * scale + 1e-6)


@pytest.mark.parametrize("model", MODELS)
@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_labels_of_clusters_do_not_matter(model, seed):
    frame = simulate(seed)
    renamed = frame.assign(id=(frame["id"] * 7) % 97 + 1000, top=-frame["top"])
    a, b = fit(frame, model, "adapt"), fit(renamed, model, "adapt")
    np.testing.assert_allclose(b.log_likelihood, a.log_likelihood, rtol=MAXIMISED)


@pytest.mark.parametrize("model", MODELS)
@given(seed=seeds)
@settings(max_examples=3, deadline=None)
def test_threads_do_not_change_a_single_bit(model, seed):
    frame = simulate(seed)
    with pytest.MonkeyPatch.context() as patch:
        # Otherwise so few rows would be left to one thread.
        patch.setattr(engine, "TERMS_PER_THREAD", 1)
        one, many = fit(frame, model, "adapt", 1), fit(frame, model, "adapt", 5)
    assert one.log_likelihood == many.log_likelihood
    assert np.array_equal(one.estimates, many.estimates)
    assert np.array_equal(one.covariance, many.covariance)


@pytest.mark.parametrize("model", MODELS)
@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_weights_of_rows_equal_copies_of_rows(model, seed):
    frame = simulate(seed)
    copies = frame.loc[frame.index.repeat(frame["w1"].astype(int))].reset_index(drop=True)
    a, b = fit(frame, model, "weight(w)"), fit(copies, model)
    np.testing.assert_allclose(b.log_likelihood, a.log_likelihood, rtol=1e-9)
    assert a.n_units == b.n_units


@pytest.mark.parametrize("model", MODELS)
@given(seed=seeds)
@settings(max_examples=3, deadline=None)
def test_weights_of_one_and_offsets_of_zero_do_not_change_a_single_bit(model, seed):
    frame = simulate(seed).assign(u1=1.0, u2=1.0, u3=1.0, nought=0.0)
    trials = "denom(one)" if model == "logit" else ""
    for options in ("adapt", ""):
        plain = fit(frame, model, options)
        told = fit(frame, model, f"weight(u) pweight(u) offset(nought) {trials} {options}")
        assert told.log_likelihood == plain.log_likelihood
        assert np.array_equal(told.estimates, plain.estimates)
        assert told.n_units == plain.n_units


@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_weights_of_units_equal_copies_of_units(seed):
    frame = simulate(seed)
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 4, 13)
    frame["v2"] = weight[frame["id"].astype(int)].astype(float)
    copies = [
        block.assign(id=block["id"] + 100 * copy)
        for _, block in frame.groupby("id")
        for copy in range(int(block["v2"].iloc[0]))
    ]
    a, b = fit(frame, "logit", "weight(v)"), fit(pd.concat(copies, ignore_index=True), "logit")
    np.testing.assert_allclose(b.log_likelihood, a.log_likelihood, rtol=1e-9)
    assert a.n_units == b.n_units


@pytest.mark.parametrize("model", ["logit", "poisson three levels"])
@given(seed=seeds, factor=st.sampled_from([1e-3, 7.0, 1e4]), shift=st.sampled_from([0.0, 3.0]))
@settings(max_examples=5, deadline=None)
def test_units_of_measurement_of_a_covariate_do_not_matter(model, seed, factor, shift):
    frame = simulate(seed)
    a = fit(frame, model, "adapt")
    b = fit(frame.assign(x=factor * (frame["x"] + shift)), model, "adapt")
    # Nodes move with the parameters, so the log likelihood is not flat at the fixed point.
    np.testing.assert_allclose(b.log_likelihood, a.log_likelihood, rtol=1e-7)
    k = a.index(a.spec.depvar, "x")
    se = np.sqrt(a.covariance[k, k])
    assert abs(b.estimates[k] * factor - a.estimates[k]) < 1e-4 * se


SLOPES = (
    "y x z, i(id) nrf(2) eqs(one x) family(binom) link(logit) adapt",
    "n x z, i(id) eqs(x) family(poisson) link(log) adapt",
    "o x z, i(id) nrf(2) eqs(one x) link(ologit) adapt",
    "g x z, i(id) eqs(x) adapt",
    "g x z, i(id) eqs(x) nip(8)",
)


@pytest.mark.parametrize("command", SLOPES)
@given(seed=seeds, factor=st.sampled_from([1e-9, 1e-4, 30.0, 1e3, 1e6, 1e9]))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_units_of_measurement_of_a_random_slope_do_not_matter(command, seed, factor):
    """Nor for what is said of the fit: a slope of incomes has a tiny standard deviation."""

    def fitted(frame: pd.DataFrame):
        session = Session(Dataset.from_frame(frame))
        session.run(f"gllamm {command}")
        assume(not any("quadrature" in note for note in session.fit.notes))
        return session.fit

    frame = simulate(seed)
    frame["o"] = frame["n"].clip(upper=3)
    a = fitted(frame)
    assume(all(abs(a.estimates[k]) > 0.01 for k in a.block("diagonal")))
    b = fitted(frame.assign(x=factor * frame["x"]))
    assert b.notes == a.notes
    np.testing.assert_allclose(b.log_likelihood, a.log_likelihood, rtol=1e-7)
    np.testing.assert_allclose(factor * b.estimates[0], a.estimates[0], rtol=1e-3, atol=1e-4)


LINEAR = ("g x z, i(id) adapt", "g x z, i(id top) adapt", "g x z, i(id) nrf(2) eqs(one x) adapt")


@pytest.mark.parametrize("command", LINEAR)
@given(seed=seeds, factor=st.sampled_from([1e-9, 1e-4, 6e3, 1e6, 1e9]))
@settings(max_examples=5, deadline=None)
def test_units_of_measurement_of_a_linear_response_do_not_matter(command, seed, factor):
    """Incomes and populations have residuals of thousands and millions."""

    def linear(frame: pd.DataFrame):
        session = Session(Dataset.from_frame(frame))
        session.run(f"gllamm {command}")
        return session.fit

    frame = simulate(seed)
    a = linear(frame)
    b = linear(frame.assign(g=factor * frame["g"]))
    assert b.converged == a.converged
    np.testing.assert_allclose(
        b.log_likelihood + len(frame) * np.log(factor), a.log_likelihood, atol=1e-7
    )
    np.testing.assert_allclose(b.estimates[:3], factor * a.estimates[:3], rtol=1e-5)


@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_swapping_the_outcome_of_a_logit_changes_signs(seed):
    frame = simulate(seed)
    a, b = fit(frame, "logit", "adapt"), fit(frame.assign(y=1 - frame["y"]), "logit", "adapt")
    np.testing.assert_allclose(b.log_likelihood, a.log_likelihood, rtol=MAXIMISED)
    fixed = a.block("fixed")
    np.testing.assert_allclose(b.estimates[fixed], -a.estimates[fixed], atol=1e-4)
