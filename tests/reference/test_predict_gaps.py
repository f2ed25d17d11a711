"""Missing values in choice sets, composites, selectors, classes and auxiliary equations."""

from __future__ import annotations

import numpy as np
import pytest
from predict_models import MODELS
from test_predict import ALL, fitted

from gllamm_cli.data import Dataset
from gllamm_cli.errors import GllammError, InvalidResponse, InvalidSyntax
from gllamm_cli.predict import PredictRequest, Quantity, predict


def predicted(name, frame, quantity, **options):
    """Columns for a frame, side by side."""
    model = MODELS[name]
    fit, _, _ = fitted(name)
    request = PredictRequest(
        "q", Quantity(quantity), rows=ALL, above=model.above, outcome=model.outcome, **options
    )
    found = predict(fit, Dataset.from_frame(frame.reset_index(drop=True)), request, threads=1)
    return np.column_stack(list(found.columns.values())), found.log_likelihood


def with_gap(name, row, variable, value=np.nan):
    frame = MODELS[name].frame.copy()
    frame.loc[row, variable] = value
    return frame


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("choice-3", "x"),
        ("choice-3", "set"),
        ("alternatives", "alt"),
        ("composite", "x"),
        ("composite", "part"),
        ("composite", "c1"),
    ],
)
def test_a_row_outside_its_group_is_as_good_as_absent(name, variable):
    rows = np.delete(np.arange(len(MODELS[name].frame)), 9)
    if name == "choice-3":
        # Not the chosen alternative, so that the set still says something.
        assert MODELS[name].frame["chosen"][9] == 0
    gap = with_gap(name, 9, variable)
    absent = gap.drop(index=9)
    for quantity in ("u", "ll", "mu"):
        found, total = predicted(name, gap, quantity)
        expected, expected_total = predicted(name, absent, quantity)
        np.testing.assert_allclose(found[rows], expected)
        assert total == pytest.approx(expected_total)
        assert np.isnan(found[9]).all() == (quantity == "mu")


def test_a_set_without_a_choice_counts_like_a_missing_choice():
    frame = MODELS["choice-2"].frame
    none, unknown = frame.copy(), frame.copy()
    none.loc[frame["set"] == 3, "chosen"] = 0.0
    unknown.loc[frame["set"] == 3, "chosen"] = np.nan
    for quantity in ("u", "mu"):
        first, second = (predicted("choice-2", data, quantity)[0] for data in (none, unknown))
        np.testing.assert_allclose(first, second)
        assert np.isfinite(first).all()


def test_two_choices_in_a_set_are_refused():
    frame = MODELS["choice-2"].frame.copy()
    frame.loc[frame["set"] == 3, "chosen"] = 1.0
    with pytest.raises(InvalidSyntax, match="set = 3 has several rows with chosen = 1"):
        predicted("choice-2", frame, "mu")


@pytest.mark.parametrize(
    ("name", "variable"), [("ologit-2", "o"), ("nominal", "o"), ("alternatives", "alt")]
)
def test_categories_the_fit_has_not_seen_are_refused(name, variable):
    with pytest.raises(InvalidResponse, match="9 is not a category of the fit"):
        predicted(name, with_gap(name, 2, variable, 9.0), "mu")


@pytest.mark.parametrize(
    ("name", "variable"),
    [("mixed-2", "kind"), ("mixed-3", "d1"), ("thresh-2", "z"), ("binomial-2", "n")],
)
def test_gaps_elsewhere_make_the_row_contribute_nothing(name, variable):
    frame = with_gap(name, 4, variable)
    silent = with_gap(name, 4, MODELS[name].blank[0])
    for quantity in ("u", "ll"):
        found, total = predicted(name, frame, quantity)
        expected, expected_total = predicted(name, silent, quantity)
        np.testing.assert_allclose(found, expected)
        assert total == pytest.approx(expected_total)
    mean = predicted(name, frame, "mu")[0][:, 0]
    # The probability per trial does not need the number of trials.
    assert np.isnan(mean[4]) == (variable != "n")
    assert np.isfinite(np.delete(mean, 4)).all()


def test_a_unit_without_the_covariates_of_its_class_has_no_posterior():
    frame = MODELS["masses-2"].frame.copy()
    here = (frame["id"] == 4.0).to_numpy()
    frame.loc[here, "w"] = np.nan
    for quantity in ("u", "p", "ll", "mu", "linpred"):
        found, total = predicted("masses-2", frame, quantity)
        expected, expected_total = predicted("masses-2", frame[~here], quantity)
        assert np.isnan(found[here]).all()
        np.testing.assert_allclose(found[~here], expected)
        assert total == pytest.approx(expected_total)


def test_unit_covariates_are_filled_from_other_rows_of_the_unit():
    frame = with_gap("masses-2", 0, "w")
    complete = MODELS["masses-2"].frame
    np.testing.assert_allclose(
        predicted("masses-2", frame, "p")[0], predicted("masses-2", complete, "p")[0]
    )


def test_the_scale_is_missing_where_its_variables_are():
    frame = with_gap("mixed-2", 3, "d2")
    found = predicted("mixed-2", frame, "s")[0][:, 0]
    assert np.isnan(found[3])
    expected = np.exp(-0.3 * frame["d1"] + 0.4 * frame["d2"])
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("name", ["choice-2", "composite"])
def test_groups_need_their_clusters(name):
    frame = with_gap(name, 5, "id")
    mean = predicted(name, frame, "mu", marginal=True)[0][:, 0]
    assert np.isnan(mean[5])


def test_weights_must_not_vary_within_a_unit():
    frame = MODELS["gaussian-2"].frame.copy()
    frame.loc[0, "wt2"] = 7.0
    with pytest.raises(GllammError) as caught:
        predicted("gaussian-2", frame, "mu")
    assert caught.value.rc == 402
