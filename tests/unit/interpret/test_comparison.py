"""Comparisons of means, quantile groups, risk sets and conditional logits."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scripts import failure, printed, run_do

FRAME = pd.DataFrame({"g": [1.0, 1, 1, 2, 2, 2, 2], "x": [1.0, 2, 4, 3, 5, 8, 9]})


def test_two_samples():
    session, lines, _ = run_do("ttest x, by(g)", frame=FRAME)
    wanted = stats.ttest_ind(FRAME.x[:3], FRAME.x[3:])
    assert session.returned["t"] == pytest.approx(wanted.statistic)
    assert session.returned["p"] == pytest.approx(wanted.pvalue)
    session, _, _ = run_do("ttest x, by(g) unequal", frame=FRAME)
    wanted = stats.ttest_ind(FRAME.x[:3], FRAME.x[3:], equal_var=False)
    assert session.returned["t"] == pytest.approx(wanted.statistic)
    assert session.returned["p"] == pytest.approx(wanted.pvalue)
    assert lines[1] == "Two-sample t test with equal variances"


def test_one_sample_and_pairs():
    session, _, _ = run_do("ttest x == 3", frame=FRAME)
    assert session.returned["t"] == pytest.approx(stats.ttest_1samp(FRAME.x, 3).statistic)
    session, _, _ = run_do("ttest x == g", frame=FRAME)
    assert session.returned["t"] == pytest.approx(stats.ttest_rel(FRAME.x, FRAME.g).statistic)


def test_quantile_groups():
    session, _, _ = run_do("xtile q = x, nq(2)\npctile p = x, nq(4)", frame=FRAME)
    assert session.dataset.column("q").tolist() == [1, 1, 1, 1, 2, 2, 2]
    np.testing.assert_array_equal(session.dataset.column("p")[:4], [2, 4, 8, math.nan])


def test_conditional_logit_against_its_likelihood():
    random = np.random.default_rng(2)
    group = np.repeat(np.arange(1.0, 41.0), 3)
    x = random.normal(size=120)
    utility = (x + random.gumbel(size=120)).reshape(40, 3)
    y = (utility == utility.max(axis=1, keepdims=True)).astype(float).ravel()
    frame = pd.DataFrame({"g": group, "x": x, "y": y})
    session, _, error = run_do("clogit y x, group(g) nolog", frame=frame)
    assert error is None
    b = session.results.b[0]

    def value(b):
        return (b * x[y == 1]).sum() - np.log(np.exp(b * x).reshape(40, 3).sum(axis=1)).sum()

    assert session.results.log_likelihood == pytest.approx(value(b))
    step = 1e-4
    assert abs(value(b + step) - value(b - step)) / (2 * step) < 1e-4
    curvature = (value(b + step) - 2 * value(b) + value(b - step)) / step**2
    assert session.results.V[0, 0] == pytest.approx(-1 / curvature, rel=1e-4)


def test_groups_without_choice_are_dropped():
    frame = FRAME.assign(y=[0.0, 1, 0, 0, 0, 0, 0])
    lines = printed("clogit y x, group(g) nolog", frame=frame)
    assert "note: 1 group dropped: all outcomes are the same" in lines
    several = FRAME.assign(y=[1.0, 1, 0, 0, 1, 0, 0])
    assert failure("clogit y x, group(g)", frame=several).rc == 198


def test_records_are_split_at_failure_times():
    frame = pd.DataFrame({"id": [1.0, 2, 3], "time": [2.0, 4, 5], "fail": [1.0, 1, 0]})
    script = "stset time, failure(fail)\nstsplit, at(failures) riskset(r)\nsort id _t"
    session, _, error = run_do(script, frame=frame)
    assert error is None
    data = session.dataset
    assert data.column("id").tolist() == [1, 2, 2, 3, 3, 3]
    assert data.column("_t0").tolist() == [0, 0, 2, 0, 2, 4]
    assert data.column("_t").tolist() == [2, 2, 4, 2, 4, 5]
    assert data.column("_d").tolist() == [1, 0, 1, 0, 0, 0]
    np.testing.assert_array_equal(data.column("r"), [1, 1, 2, 1, 2, math.nan])


@pytest.mark.parametrize(
    ("script", "rc"),
    [
        ("ttest x, by(x)", 198),
        ("ttest x", 198),
        ("xtile q = x, nq(1)", 198),
        ("stsplit, at(failures)", 111),
        ("clogit x g", 198),
    ],
)
def test_errors(script, rc):
    assert failure(script, frame=FRAME).rc == rc
