"""margins against integrals, closed forms and their analytic derivatives."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtr, roots_hermitenorm
from scripts import failure, run_do

from gllamm_cli.after.average import Average, Kind, Prediction
from gllamm_cli.after.delta import jacobian, steps

Z, W = roots_hermitenorm(60)
W = W / W.sum()


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(5)
    n = 240
    group = np.repeat(np.arange(30), 8)
    x = rng.normal(size=n)
    g = rng.integers(1, 4, n).astype(float)
    d = rng.integers(0, 2, n).astype(float)
    eta = 0.2 + 0.6 * x + 0.3 * (g == 2) - 0.4 * d + rng.normal(0, 0.9, 30)[group]
    latent = eta + rng.logistic(size=n)
    return pd.DataFrame(
        {
            "id": group,
            "x": x,
            "g": g,
            "d": d,
            "one": 1.0,
            "binary": (latent > 0).astype(float),
            "grade": np.digitize(latent, [-1, 0.5, 2]).astype(float),
            "choice": np.digitize(latent + rng.normal(size=n), [-1, 1.5]).astype(float),
            "count": rng.poisson(np.exp(0.5 * eta)).astype(float),
            "y": eta + rng.normal(size=n),
            "wait": rng.gamma(2.0, 1.0 + 0.2 * d),
            "w": np.repeat(rng.normal(size=30), 8),
            "w1": rng.integers(1, 4, n).astype(float),
        }
    )


def after(script, frame):
    session, lines, error = run_do(script, frame=frame)
    assert error is None, error.render()
    assert all(len(line) <= 79 for line in lines)
    return session, lines


def returned(session):
    """Margins and their covariance."""
    matrices = session.returned_matrices
    return matrices["b"].values[0], matrices["V"].values


SLOPES = "eq i: one\neq s: x\neq f1: w\neq p: w\n"
LOGIT = "gllamm binary x d, i(id) family(binom) link(logit) nip(30) adapt"


def logistic(fit, X, *, of_latent=True):
    """Mean probability and its gradient in (slopes, constant, sd)."""
    z, w = (Z, W) if of_latent else (np.zeros(1), np.ones(1))
    b, sd = fit.estimates[:-1], fit.estimates[-1]
    p = expit((X @ b)[:, None] + sd * z)
    slope = p * (1 - p)
    gradient = np.append((slope @ w) @ X / len(X), (slope @ (w * z)).mean())
    return (p @ w).mean(), gradient


def test_marginal_probability_and_its_standard_error(frame):
    session, lines = after(f"quietly {LOGIT}\nmargins", frame)
    X = frame[["x", "d", "one"]].to_numpy()
    value, gradient = logistic(session.fit, X)
    b, V = returned(session)
    assert b[0] == pytest.approx(value, abs=1e-7)
    assert V[0, 0] == pytest.approx(gradient @ session.fit.covariance @ gradient, rel=1e-5)
    np.testing.assert_allclose(session.returned_matrices["Jacobian"].values[0], gradient, atol=1e-6)
    assert "Expression   : Predicted mean of binary, integrated over the latent variables" in lines


def test_values_at_and_latent_variables_of_zero(frame):
    session, lines = after(
        f"quietly {LOGIT}\nmargins, at(x=(-1 1) d=1) predict(mu fixedonly)", frame
    )
    b, V = returned(session)
    gradients = []
    for k, x in enumerate((-1.0, 1.0)):
        value, gradient = logistic(session.fit, np.array([[x, 1.0, 1.0]]), of_latent=False)
        assert b[k] == pytest.approx(value, rel=1e-12)
        gradients.append(gradient)
    J = np.array(gradients)
    np.testing.assert_allclose(V, J @ session.fit.covariance @ J.T, rtol=1e-7)
    assert session.returned_matrices["b"].column_names == (("", "1._at"), ("", "2._at"))
    assert "1._at        : x               =          -1" in lines


def test_derivative_of_a_continuous_covariate_even_if_it_is_binary(frame):
    session, _ = after(f"quietly {LOGIT}\nmargins, dydx(x d)", frame)
    fit = session.fit
    X = frame[["x", "d", "one"]].to_numpy()
    p = expit((X @ fit.estimates[:-1])[:, None] + fit.estimates[-1] * Z)
    slope, bend = p * (1 - p), p * (1 - p) * (1 - 2 * p)
    b, V = returned(session)
    J = np.zeros((2, 4))
    for k in range(2):
        beta = fit.estimates[k]
        assert b[k] == pytest.approx(beta * (slope @ W).mean(), abs=1e-7)
        J[k, :3] = beta * (bend @ W) @ X / len(X)
        J[k, k] += (slope @ W).mean()
        J[k, 3] = beta * (bend @ (W * Z)).mean()
    np.testing.assert_allclose(V, J @ fit.covariance @ J.T, rtol=1e-4)


def test_factors_of_xi_with_products(frame):
    session, lines = after(
        "quietly xi: gllamm binary i.g*x, i(id) family(binom) link(logit) nip(30) adapt\n"
        "margins g\nmatrix levels = r(b)\nmargins, dydx(*)",
        frame,
    )
    fit = session.fit
    x, g = frame.x.to_numpy(), frame.g.to_numpy()

    def mean(x, g):
        columns = [g == 2, g == 3, x, (g == 2) * x, (g == 3) * x, np.ones(len(x))]
        eta = np.column_stack(columns).astype(float) @ fit.estimates[:-1]
        return expit(eta[:, None] + fit.estimates[-1] * Z) @ W

    assert [name.name for name in fit.names[:-1]] == [
        "_Ig_2", "_Ig_3", "x", "_IgXx_2", "_IgXx_3", "_cons",
    ]  # fmt: skip
    levels = [mean(x, np.full(len(x), level)).mean() for level in (1.0, 2.0, 3.0)]
    np.testing.assert_allclose(session.matrices["levels"].values[0], levels, atol=1e-7)
    h = 1e-4
    slope = ((mean(x + h, g) - mean(x - h, g)) / (2 * h)).mean()
    b, _ = returned(session)
    expected = [slope, levels[1] - levels[0], levels[2] - levels[0]]
    np.testing.assert_allclose(b, expected, atol=1e-6)
    assert any(line.startswith("Note: dy/dx for factor levels") for line in lines)


def test_gaussian_margins_are_linear(frame):
    session, _ = after("quietly gllamm y x d, i(id) adapt\nmargins", frame)
    fit = session.fit
    mean = np.array([frame.x.mean(), frame.d.mean(), 1.0, 0.0, 0.0])
    b, V = returned(session)
    assert b[0] == pytest.approx(mean @ fit.estimates)
    assert V[0, 0] == pytest.approx(mean @ fit.covariance @ mean, rel=1e-8)


def test_counts_with_a_random_slope_have_a_closed_form(frame):
    session, _ = after(
        "eq i: one\neq s: x\nquietly gllamm count x, i(id) nrf(2) eqs(i s) nip(25) "
        "family(poisson) link(log) adapt\nmargins\nmatrix m = r(b)\nmargins, at(x=1) atmeans",
        frame,
    )
    fit = session.fit
    a, c, s = (fit.estimates[fit.index(*pair)] for pair in
               (("id1_1", "one"), ("id1_2_1", "_cons"), ("id1_2", "x")))  # fmt: skip

    def mean(x):
        variance = (a + c * x) ** 2 + (s * x) ** 2
        return np.exp(fit.estimates[0] * x + fit.estimates[1] + variance / 2)

    assert session.matrices["m"].values[0, 0] == pytest.approx(mean(frame.x).mean(), rel=1e-6)
    assert returned(session)[0][0] == pytest.approx(mean(1.0), rel=1e-6)


def test_categories_of_an_ordinal_response(frame):
    pieces = "\n".join(
        f"margins, predict({kind})\nmatrix m = r(b)\nscalar s{k} = m[1,1]"
        for k, kind in enumerate(("outcome(0)", "out(1)", "outcome(2)", "outcome(3)", "above(1)"))
    )
    session, _ = after(
        f"quietly gllamm grade x, i(id) link(oprobit) nip(30) adapt\n{pieces}", frame
    )
    s = [session.scalars[f"s{k}"] for k in range(5)]
    fit = session.fit
    slope, *cuts, sd = fit.estimates
    # A probit with a normal intercept is a probit with a larger residual variance.
    above = [ndtr((slope * frame.x - cut) / np.sqrt(1 + sd**2)).mean() for cut in cuts]
    expected = -np.diff([1.0, *above, 0.0])
    np.testing.assert_allclose(s[:4], expected, atol=1e-7)
    assert s[4] == pytest.approx(above[1], abs=1e-7)
    assert sum(s[:4]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("model", "predict", "gllapred"),
    [
        ("gllamm choice x, i(id) link(mlogit) family(binom) adapt", "outcome(2)", "outcome(2)"),
        ("gllamm binary x, i(id) family(binom) link(cll) ip(f) nip(2)", "mu", ""),
        ("gllamm binary x, i(id) family(binom) link(logit) weight(w) adapt", "mu", ""),
        ("gllamm binary x if d, i(id) family(binom) link(logit) adapt", "mu marginal", ""),
        ("gllamm binary x, i(id) family(binom) link(logit) init", "mu", ""),
    ],
)
def test_averages_are_those_of_gllapred(frame, model, predict, gllapred):
    marginal = "" if "init" in model else "marginal"
    session, _ = after(
        f"quietly {model}\nquietly gllapred m, mu {marginal} {gllapred}\n"
        f"margins if x < 1, predict({predict})\nmargins if x < 1, predict({predict}) noweights\n",
        frame,
    )
    data = session.data
    m, x, w = (data.column(name) for name in ("m", "x", "w1"))
    here = ~np.isnan(m) & (x < 1)
    assert returned(session)[0][0] == pytest.approx(m[here].mean(), rel=1e-10)
    assert session.returned["N"] == here.sum()
    if "weight" in model:
        session, _ = after(f"quietly {model}\nmargins if x < 1", frame)
        expected = np.average(m[here], weights=w[here])
        assert returned(session)[0][0] == pytest.approx(expected, rel=1e-10)
        assert session.returned["N"] == w[here].sum()


@pytest.mark.parametrize(
    ("model", "prediction"),
    [
        (LOGIT, Prediction()),
        (LOGIT, Prediction(Kind.FIXED_ONLY)),
        (LOGIT, Prediction(Kind.XB)),
        ("gllamm y x d, i(id) adapt", Prediction()),
        ("gllamm binary x, i(id) family(binom) link(probit) init", Prediction()),
        ("gllamm binary x, i(id) family(binom) link(cll) adapt", Prediction()),
        ("gllamm binary x, i(id) family(binom) link(ll) adapt", Prediction()),
        ("gllamm wait x, i(id) family(gamma) link(recip) init", Prediction()),
        (f"{SLOPES}gllamm count x, i(id) nrf(2) eqs(i s) family(pois) link(log)", Prediction()),
        (
            f"{SLOPES}gllamm binary d, i(id) eqs(i) geqs(f1) fam(bin) link(logit)",
            Prediction(),
        ),
        ("eq t: d\ngllamm grade x, i(id) link(ologit) thresh(t) adapt", Prediction(outcome=1)),
        ("eq t: d\ngllamm grade x, i(id) link(oprobit) ethresh(t) adapt", Prediction(above=1)),
        ("eq t: d\ngllamm grade x, i(id) link(soprobit) s(t) adapt", Prediction(outcome=2)),
        ("gllamm choice x, i(id) link(mlogit) family(binom) adapt", Prediction(outcome=2)),
        (f"{SLOPES}gllamm binary x, i(id) ip(f) nip(2) peqs(p) fam(bin) link(logit)", Prediction()),
    ],
)
def test_gradients_are_what_differences_give(frame, model, prediction):
    session, _ = after(f"quietly {model}".replace("\ngllamm", "\nquietly gllamm"), frame)
    fit, n = session.fit, len(frame)
    average = Average(fit, session.data, np.arange(n), np.ones(n), prediction, 1)
    h = steps(fit.estimates, fit.covariance)
    expected = jacobian(lambda theta: np.array([average(theta)]), fit.estimates, h)[0]
    assert np.count_nonzero(expected) >= 2
    np.testing.assert_allclose(average.gradient(fit.estimates, h), expected, atol=1e-9)
    again = Average(fit, session.data, np.arange(n), np.ones(n), prediction, 2)
    np.testing.assert_array_equal(
        again.gradient(fit.estimates, h), average.gradient(fit.estimates, h)
    )


def test_robust_and_posted(frame):
    session, _ = after(
        f"quietly {LOGIT} robust\nmargins, predict(xb) post level(90)\nlincom 2*_cons", frame
    )
    fit = session.last_fit
    mean = np.array([frame.x.mean(), frame.d.mean(), 1.0, 0.0])
    assert session.returned["estimate"] == pytest.approx(2 * mean @ fit.estimates)
    expected = 2 * np.sqrt(mean @ fit.covariance @ mean)
    assert session.returned["se"] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("text", "rc"),
    [
        ("margins x", 322),
        ("margins, at(x)", 198),
        ("margins, at(w1=1)", 111),
        ("margins, dydx(w1)", 111),
        ("margins, dydx(zz)", 111),
        ("margins, predict(pearson)", 198),
        ("margins, predict(outcome(1))", 198),
        ("margins, eyex(x)", 198),
        ("margins if x > 100", 2000),
        ("margins, at(x=(1/900))", 498),
        ("margins [fw=w1]", 101),
        ("clear\nmargins", 111),
        ("quietly regress y x\nmargins", 321),
    ],
)
def test_refused(frame, text, rc):
    assert failure(f"quietly {LOGIT}\n{text}", frame=frame).rc == rc


def test_ordinal_needs_a_category(frame):
    model = "quietly gllamm grade x, i(id) link(ologit) adapt\n"
    for text in ("margins", "margins, predict(outcome(7))", "margins, predict(xb above(1))"):
        assert failure(model + text, frame=frame).rc == 198


def test_after_multilevel_commands_of_stata(frame):
    script = (
        "quietly melogit binary i.g##c.x || id:, intpoints(30)\nmargins g\n"
        "matrix levels = r(b)\nmargins, dydx(*)"
    )
    session, _ = after(script, frame)
    other, _ = after(
        "quietly xi: gllamm binary i.g*x, i(id) family(binom) link(logit) nip(30) adapt\n"
        "margins g\nmatrix levels = r(b)\nmargins, dydx(x g)",
        frame,
    )
    levels = [s.matrices["levels"].values for s in (session, other)]
    np.testing.assert_allclose(*levels, rtol=1e-5)
    found = dict(
        zip(session.returned_matrices["b"].column_names, returned(session)[0], strict=True)
    )
    expected = dict(zip(other.returned_matrices["b"].column_names, returned(other)[0], strict=True))
    assert found.keys() == expected.keys()
    assert [found[key] for key in expected] == pytest.approx(list(expected.values()), rel=1e-5)


def test_multilevel_commands_of_stata_have_components_and_profiles(frame):
    session, lines = after(
        "quietly mixed y x || id: x\nestat vc\nestat icc\nestat profile x", frame
    )
    text = "\n".join(lines)
    assert "var(_cons)" in text and "__one" not in text
    assert "Conditional intraclass correlation" in text
    other, _ = after(
        "eq s: x\neq i: one\nquietly gllamm y x, i(id) nrf(2) eqs(s i) nocorrel nip(7) adapt\n"
        "estat profile x",
        frame,
    )
    tables = [s.returned_matrices["table"].values for s in (session, other)]
    np.testing.assert_allclose(*tables, rtol=1e-4)
    _, lines = after("bootstrap, reps(3) seed(1): xtreg y x, i(id) mle", frame)
    assert "__one" not in "\n".join(lines)


def test_probabilities_are_means_of_binary_responses(frame):
    model = "quietly melogit binary x || id:\n"
    found = [
        returned(after(f"{model}margins, predict({what})", frame)[0])[0]
        for what in ("mu", "pr", "pr marginal", "pr fixedonly", "mu fixedonly")
    ]
    assert found[0] == found[1] == found[2]
    assert found[3] == found[4]
    assert failure("quietly mixed y x || id:\nmargins, predict(pr)", frame=frame).rc == 198


def test_numbers_of_trials_make_means_those_of_a_trial(frame):
    _, lines = after(
        "replace count = min(count, 9)\nquietly melogit count x || id:, binomial(9)\nmargins",
        frame,
    )
    assert any("Mean of count per trial" in line for line in lines)
