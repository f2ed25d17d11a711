"""Which rows are used, what missing values do, and data other than those of the fit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from gllamm_cli.data import Dataset
from gllamm_cli.errors import (
    InsufficientObservations,
    InvalidResponse,
    VariableNotFound,
)
from gllamm_cli.predict import PredictRequest, Quantity, Rows, StartingPoint, predict
from gllamm_cli.session import Session
from gllamm_cli.stata.command import parse_gllamm

ALL = Rows(beyond_sample=True)


@cache
def fitted():
    rng = np.random.default_rng(4)
    n = 400
    id_ = np.sort(rng.integers(0, 50, n))
    u = rng.normal(size=(50, 2))[id_]
    x, z = rng.normal(size=(2, n))
    y = (rng.random(n) < expit(0.3 + 0.5 * x + u[:, 0] + u[:, 1] * z)) * 1.0
    frame = pd.DataFrame({"id": id_ + 1.0, "x": x, "z": z, "one": 1.0, "y": y})
    session = Session(Dataset.from_frame(frame), threads=1)
    session.run("gllamm y x, i(id) family(binom) nrf(2) eqs(one z) nip(5)")
    return session.fit, frame


def predicted(frame, quantity, rows=ALL, **options):
    fit, _ = fitted()
    request = PredictRequest("q", Quantity(quantity), rows=rows, **options)
    found = predict(fit, Dataset.from_frame(frame), request, threads=1)
    columns = list(found.columns.values())
    return columns[0] if len(columns) == 1 else columns


def condition(text):
    return Rows(parse_gllamm(f"gllamm y if {text}").condition)


def test_rows_left_out_by_if_do_not_contribute_to_the_posterior():
    _, frame = fitted()
    half = predicted(frame, "mu", condition("x > 0"))
    alone = predicted(frame[frame["x"] > 0].reset_index(drop=True), "mu")
    np.testing.assert_allclose(half[frame["x"] > 0], alone)
    assert np.isnan(half[frame["x"] <= 0]).all()


def test_rows_without_a_response_are_predicted_from_their_cluster():
    _, frame = fitted()
    gaps = frame.copy()
    gaps.loc[::3, "y"] = np.nan
    kept = gaps["y"].notna().to_numpy()
    with_gaps = predicted(gaps, "u")
    without = predicted(gaps[kept].reset_index(drop=True), "u")
    for found, alone in zip(with_gaps, without, strict=True):
        np.testing.assert_allclose(found[kept], alone)
        assert np.isfinite(found).all()
    for quantity in ("xb", "linpred", "mu", "ll"):
        assert np.isfinite(predicted(gaps, quantity)).all()
    assert np.isnan(predicted(gaps, "pearson")[~kept]).all()


def test_the_sample_is_left_only_with_fsample():
    _, frame = fitted()
    gaps = frame.copy()
    gaps.loc[::3, "y"] = np.nan
    inside = predicted(gaps, "mu", Rows())
    assert np.isnan(inside[::3]).all()
    np.testing.assert_allclose(inside[1::3], predicted(gaps, "mu")[1::3])


def test_rows_without_covariates_have_their_clusters_effects_only():
    _, frame = fitted()
    gaps = frame.copy()
    gaps.loc[5, "x"] = np.nan
    gaps.loc[5, "y"] = 1.0
    m1 = predicted(gaps, "u")[0]
    unusable = frame.copy()
    unusable.loc[5, "y"] = np.nan
    np.testing.assert_allclose(m1, predicted(unusable, "u")[0])
    assert np.isfinite(predicted(gaps, "ll")).all()
    for quantity in ("xb", "mu", "linpred"):
        values = predicted(gaps, quantity)
        assert np.isnan(values[5])
        assert np.isfinite(np.delete(values, 5)).all()


def test_a_missing_slope_variable_counts_like_a_missing_response():
    _, frame = fitted()
    gaps = frame.copy()
    gaps.loc[7, "z"] = np.nan
    unusable = frame.copy()
    unusable.loc[7, "y"] = np.nan
    np.testing.assert_allclose(predicted(gaps, "u")[0], predicted(unusable, "u")[0])
    assert np.isfinite(predicted(gaps, "xb")[7])
    assert np.isnan(predicted(gaps, "mu")[7])


def test_a_cluster_without_responses_has_the_prior():
    fit, frame = fitted()
    first = frame["id"] == frame["id"].iloc[0]
    gaps = frame.copy()
    gaps.loc[first, "y"] = np.nan
    m1, s1, m2, s2 = (values[first] for values in predicted(gaps, "u"))
    chol = dict(zip([(n.block, n.effects) for n in fit.names], fit.estimates, strict=True))
    np.testing.assert_allclose(m1, 0.0, atol=1e-12)
    np.testing.assert_allclose(m2, 0.0, atol=1e-12)
    np.testing.assert_allclose(s1, chol["diagonal", (1,)], rtol=1e-10)
    variance = chol["diagonal", (2,)] ** 2 + chol["offdiagonal", (2, 1)] ** 2
    np.testing.assert_allclose(s2, np.sqrt(variance), rtol=1e-10)
    np.testing.assert_allclose(
        predicted(gaps, "mu")[first], predicted(gaps, "mu", marginal=True)[first]
    )
    np.testing.assert_allclose(predicted(gaps, "ll")[first], 0.0, atol=1e-12)


def test_clusters_unseen_at_estimation_and_rows_without_identifier():
    _, frame = fitted()
    new = pd.DataFrame({"id": [900.0, 900.0, np.nan], "x": [0.0, 1.0, 1.0], "z": 0.5, "one": 1.0})
    both = pd.concat([frame, new], ignore_index=True)
    np.testing.assert_allclose(predicted(both, "mu")[:-3], predicted(frame, "mu"))
    tail = predicted(both, "mu")[-3:]
    marginal = predicted(both, "mu", marginal=True)[-3:]
    np.testing.assert_allclose(tail[:2], marginal[:2])
    assert np.isnan(tail[2])
    assert np.isfinite(marginal[2])
    assert np.isnan(predicted(both, "u")[0][-1])


def test_order_of_rows_and_other_variables_do_not_matter():
    _, frame = fitted()
    shuffled = frame.sample(frac=1.0, random_state=2)
    found = predicted(shuffled.reset_index(drop=True).assign(other=1.0), "mu")
    np.testing.assert_allclose(found[np.argsort(shuffled.index)], predicted(frame, "mu"))


def test_every_response_pattern_has_its_probability():
    """exp(ll) over all patterns of three responses adds up to one."""
    patterns = np.array(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, -1).T
    frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(8.0), 3),
            "y": patterns.ravel(),
            "x": np.tile([0.0, 1.0, -1.0], 8),
            "z": 0.3,
            "one": 1.0,
        }
    )
    ll = predicted(frame, "ll")[::3]
    assert np.exp(ll).sum() == pytest.approx(1.0, rel=1e-10)


def test_the_response_need_not_exist_where_it_is_not_used():
    _, frame = fitted()
    without = frame.drop(columns="y").assign(e1=0.2, e2=0.1)
    np.testing.assert_allclose(predicted(without, "xb"), predicted(frame, "xb"))
    assert np.isfinite(predicted(without, "mu", us="e")).all()
    with pytest.raises(VariableNotFound, match="y not found"):
        predicted(without, "mu")
    with pytest.raises(VariableNotFound, match="x not found"):
        predicted(frame.drop(columns="x"), "xb")


def test_new_data_without_any_row_of_the_sample():
    _, frame = fitted()
    new = frame.head(3).assign(y=np.nan)
    with pytest.raises(InsufficientObservations) as caught:
        predicted(new, "mu", Rows())
    assert caught.value.rc == 2001
    assert np.isfinite(predicted(new, "mu")).all()


def test_impossible_responses_are_refused():
    _, frame = fitted()
    with pytest.raises(InvalidResponse):
        predicted(frame.assign(y=frame["y"] * 2), "mu")


def test_parameters_may_be_given():
    fit, frame = fitted()
    moved = fit.estimates + 0.1
    start = StartingPoint("b", (tuple(moved),))
    expected = moved[0] * frame["x"] + moved[1]
    np.testing.assert_allclose(predicted(frame, "xb", start=start), expected)
    same = StartingPoint("b", (tuple(fit.estimates),))
    np.testing.assert_array_equal(predicted(frame, "mu", start=same), predicted(frame, "mu"))


def test_weights_that_are_absent_count_as_one():
    _, frame = fitted()
    weighted = frame.assign(wt1=2.0)
    session = Session(Dataset.from_frame(weighted), threads=1)
    session.run("gllamm y x, i(id) family(binom) weight(wt) nip(5)")

    def ll(data):
        request = PredictRequest("q", Quantity.LL, rows=ALL)
        return predict(session.fit, Dataset.from_frame(data), request).columns["q"]

    np.testing.assert_allclose(ll(frame), ll(frame.assign(wt1=1.0)))
    assert not np.allclose(ll(frame), ll(weighted))
    # A row without its weight does not contribute.
    gaps = weighted.copy()
    gaps.loc[3, "wt1"] = np.nan
    unusable = weighted.copy()
    unusable.loc[3, "y"] = np.nan
    np.testing.assert_allclose(ll(gaps), ll(unusable))


def test_a_given_sample_takes_the_place_of_the_rows_of_the_command():
    fit, frame = fitted()
    sample = np.arange(len(frame)) < 100
    request = PredictRequest("q", Quantity.XB)
    found = predict(fit, Dataset.from_frame(frame), request, sample=sample).columns["q"]
    np.testing.assert_array_equal(np.isfinite(found), sample)


def test_a_condition_may_use_the_sample_beyond_which_it_goes():
    _, frame = fitted()
    gaps = frame.copy()
    gaps.loc[::3, "y"] = np.nan
    outside = predicted(gaps, "xb", replace(condition("!e(sample)"), beyond_sample=True))
    np.testing.assert_array_equal(np.isfinite(outside), gaps["y"].isna())


def test_rows_may_be_selected_by_the_caller():
    fit, frame = fitted()
    chosen = np.arange(len(frame)) % 2 == 0
    data, request = Dataset.from_frame(frame), PredictRequest("q", Quantity.XB)
    found = predict(fit, data, request, selected=chosen).columns["q"]
    np.testing.assert_array_equal(np.isfinite(found), chosen)
    both = predict(fit, data, request, selected=chosen, sample=~chosen | (frame.index < 10))
    np.testing.assert_array_equal(np.isfinite(both.columns["q"]), chosen & (frame.index < 10))
