"""estat icc and estat vc against their formulas."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scripts import failure, run_do


def nested(seed=3):
    """Rows in classes in schools, with a response of every kind."""
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(20), 12)
    room = np.repeat(np.arange(60), 4)
    x = rng.normal(size=240)
    slope = 0.5 + rng.normal(0, 0.7, 20)[school]
    eta = slope * x + rng.normal(0, 1.0, 20)[school] + rng.normal(0, 0.8, 60)[room]
    y = eta + rng.normal(size=240)
    return pd.DataFrame(
        {
            "school": school,
            "room": room,
            "x": x,
            "one": 1.0,
            "two": 2.0,
            "y": y,
            "binary": (y > 0).astype(float),
            "grade": np.digitize(y, [-1, 0, 1]).astype(float),
            "count": rng.poisson(np.exp(0.4 * eta)).astype(float),
        }
    )


def after(script, frame=None):
    session, lines, error = run_do(script, frame=nested() if frame is None else frame)
    assert error is None, error.render()
    return session, lines


def logit_interval(rho, se):
    z = stats.norm.ppf(0.975)
    middle, reach = math.log(rho / (1 - rho)), z * se / (rho * (1 - rho))
    return [1 / (1 + math.exp(-(middle + sign * reach))) for sign in (-1, 1)]


def test_gaussian_intraclass_correlation():
    session, lines = after("quietly gllamm y x, i(school) adapt\nestat icc")
    fit = session.fit
    lns1, sd = fit.index("lns1", "_cons"), fit.index("scho1", "_cons")
    s2, psi = math.exp(2 * fit.estimates[lns1]), fit.estimates[sd] ** 2
    rho = psi / (psi + s2)
    g = np.zeros(len(fit.names))
    g[sd] = 2 * fit.estimates[sd] * s2 / (psi + s2) ** 2
    g[lns1] = -2 * s2 * psi / (psi + s2) ** 2
    se = math.sqrt(g @ fit.covariance @ g)
    assert session.returned["icc2"] == pytest.approx(rho, rel=1e-12)
    assert session.returned["se2"] == pytest.approx(se, rel=1e-8)
    ci = session.returned_matrices["ci2"].values[0]
    np.testing.assert_allclose(ci, logit_interval(rho, se), rtol=1e-8)
    assert lines[1] == "Residual intraclass correlation"
    assert all(len(line) <= 78 for line in lines)


@pytest.mark.parametrize(
    ("model", "residual"),
    [
        ("binary x, family(binom) link(logit)", math.pi**2 / 3),
        ("binary x, family(binom) link(probit)", 1.0),
        ("binary x, family(binom) link(cll)", math.pi**2 / 6),
        ("grade x, link(ologit)", math.pi**2 / 3),
        ("grade x, link(oprobit)", 1.0),
    ],
)
def test_latent_responses(model, residual):
    session, _ = after(f"quietly gllamm {model} i(room) adapt\nestat icc")
    psi = session.fit.estimates[-1] ** 2
    assert session.returned["icc2"] == pytest.approx(psi / (psi + residual))


def test_nested_levels_add_up_from_the_top():
    session, lines = after("quietly gllamm y x, i(room school) adapt\nestat icc")
    fit = session.fit
    room, school = (fit.estimates[k] ** 2 for k in fit.block("diagonal"))
    total = room + school + math.exp(2 * fit.estimates[fit.index("lns1", "_cons")])
    assert session.returned["icc3"] == pytest.approx(school / total)
    assert session.returned["icc2"] == pytest.approx((school + room) / total)
    assert session.returned["label2"] == "room|school"
    assert "room|school |" in "\n".join(lines)


def test_random_slopes_are_taken_at_zero():
    session, lines = after(
        "eq i: two\neq s: x\n"
        "quietly gllamm y x, i(school) nrf(2) eqs(i s) nip(5) adapt\nestat icc\nestat vc"
    )
    fit = session.fit
    psi = 4.0 * fit.estimates[fit.index("sch1_1", "two")] ** 2
    s2 = math.exp(2 * fit.estimates[fit.index("lns1", "_cons")])
    assert lines[1] == "Conditional intraclass correlation"
    assert any(line.startswith("Note: ICC is conditional on zero") for line in lines)
    table = session.returned_matrices["table"]
    labels = [name for _, name in table.column_names]
    assert labels[:5] == ["var(two)", "var(x)", "sd(two)", "sd(x)", "corr(x,two)"]
    assert psi / (psi + s2) == pytest.approx(4 * table.values[0, 0] / (4 * table.values[0, 0] + s2))


def test_components_have_delta_method_errors_and_intervals():
    session, _ = after(
        "eq i: one\neq s: x\n"
        "quietly gllamm y x, i(school) nrf(2) eqs(i s) nip(5) adapt\nestat vc, level(90)"
    )
    fit, z = session.fit, stats.norm.ppf(0.95)
    a, b, c = (
        fit.index("sch1_1", "one"),
        fit.index("sch1_2_1", "_cons"),
        fit.index("sch1_2", "x"),
    )
    A, B, C = fit.estimates[[a, b, c]]
    b_, se, low, high = session.returned_matrices["table"].values
    # var(x) = B^2 + C^2 and corr = B / sqrt(B^2 + C^2) for A > 0.
    place = np.ix_([b, c], [b, c])
    g = np.array([2 * B, 2 * C])
    variance = B * B + C * C
    error = math.sqrt(g @ fit.covariance[place] @ g)
    assert b_[1] == pytest.approx(variance)
    assert se[1] == pytest.approx(error, rel=1e-7)
    assert low[1] == pytest.approx(variance * math.exp(-z * error / variance), rel=1e-7)
    rho = B / math.sqrt(variance)
    g = np.array([C * C, -B * C]) / variance**1.5
    error = math.sqrt(g @ fit.covariance[place] @ g)
    assert b_[4] == pytest.approx(rho)
    assert se[4] == pytest.approx(error, rel=1e-7)
    reach = z * error / (1 - rho**2)
    assert high[4] == pytest.approx(math.tanh(math.atanh(rho) + reach), rel=1e-7)
    assert A > 0


def test_variance_of_masses():
    session, lines = after("quietly gllamm y x, i(school) ip(f) nip(2)\nestat vc")
    from gllamm_cli.fit.natural import natural_estimates

    found = next(e for e in natural_estimates(session.fit) if e.label == "var(1)")
    table = session.returned_matrices["table"].values
    assert table[0, 0] == pytest.approx(found.estimate)
    assert table[1, 0] > 0
    assert "Note: these are moments of the masses." in lines


@pytest.mark.parametrize(
    ("model", "rc"),
    [
        ("gllamm count x, i(school) family(poisson) link(log) adapt", 321),
        ("gllamm y x, i(school) ip(f) nip(2)", 321),
        ("eq s: x\ngllamm y x, i(school) eqs(s) adapt", 321),
        ("eq f: one x\ngllamm y x, i(school) eqs(f) adapt", 321),
        ("eq h: x\ngllamm y x, i(school) s(h) adapt", 321),
        ("regress y x", 321),
    ],
)
def test_refused(model, rc):
    *before, last = model.split("\n")
    text = "\n".join([*before, f"quietly {last}", "estat icc"])
    assert failure(text, frame=nested()).rc == rc


@pytest.mark.parametrize("text", ["estat icc, foo", "estat icc x", "estat foo", "estat"])
def test_syntax(text):
    assert failure(f"quietly gllamm y x, i(school) adapt\n{text}", frame=nested()).rc == 198
