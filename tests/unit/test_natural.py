"""Variances, covariances and loadings from raw parameters, with delta-method standard errors."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import published
import pytest

from gllamm_cli.data import Dataset
from gllamm_cli.fit.natural import NaturalKind, natural_estimates
from gllamm_cli.model.spec import CONSTANT, Level, ModelSpec, Response
from gllamm_cli.session import Session


def by_label(fit, level=2):
    return {e.label: e for e in natural_estimates(fit) if e.level == level}


def three_effects():
    """A level with three correlated effects, an arbitrary V, and a level with one effect above."""
    rng = np.random.default_rng(1)
    effects = tuple(published.effect(k, 2, k, f"id1_{k}", 5, (f"x{k}",)) for k in (1, 2, 3))
    spec = ModelSpec(
        depvar="y",
        covariates=(),
        constant=True,
        response=Response("gauss", "ident"),
        has_scale=True,
        levels=(
            Level(2, "id", effects),
            Level(3, "town", (published.effect(4, 3, 1, "tow2_1", 5, ("x4",)),)),
        ),
        named_effects=True,
    )
    parameters = [
        *published.fixed("y", [(CONSTANT, 1.0, 0.1)]),
        ("lns1", CONSTANT, "scale", (), 0.3, 0.1),
        ("id1_1", "x1", "diagonal", (1,), 1.3, 0.1),
        ("id1_2", "x2", "diagonal", (2,), -0.7, 0.1),
        ("id1_3", "x3", "diagonal", (3,), 0.4, 0.1),
        ("id1_2_1", CONSTANT, "offdiagonal", (2, 1), 0.5, 0.1),
        ("id1_3_1", CONSTANT, "offdiagonal", (3, 1), -0.2, 0.1),
        ("id1_3_2", CONSTANT, "offdiagonal", (3, 2), 0.6, 0.1),
        ("tow2_1", "x4", "diagonal", (4,), 0.9, 0.1),
    ]
    fit = published.make_fit(
        spec, parameters, command="", log_likelihood=-1.0, n_units=(9, 3, 2), condition_number=1.0
    )
    A = rng.normal(size=(9, 9))
    return replace(fit, covariance=A @ A.T / 50.0)


def test_standard_errors_are_those_of_a_numerical_delta_method():
    fit = three_effects()

    def values(b):
        return np.array([e.estimate for e in natural_estimates(replace(fit, estimates=b))])

    estimates = natural_estimates(fit)
    step = 1e-5
    J = np.column_stack(
        [
            (values(fit.estimates + step * unit) - values(fit.estimates - step * unit)) / (2 * step)
            for unit in np.eye(len(fit.names))
        ]
    )
    expected = np.sqrt(np.diag(J @ fit.covariance @ J.T))
    for estimate, std_err in zip(estimates, expected, strict=True):
        if estimate.kind is not NaturalKind.CORRELATION:
            assert estimate.std_err == pytest.approx(std_err, rel=1e-7), estimate.label


def test_covariance_is_the_product_of_the_cholesky_factor():
    fit = three_effects()
    T = np.array([[1.3, 0, 0], [0.5, -0.7, 0], [-0.2, 0.6, 0.4]])
    cov = T @ T.T
    found = by_label(fit)
    for i in range(3):
        assert found[f"var({i + 1})"].estimate == pytest.approx(cov[i, i])
        for j in range(i):
            assert found[f"cov({i + 1},{j + 1})"].estimate == pytest.approx(cov[i, j])
            correlation = cov[i, j] / math.sqrt(cov[i, i] * cov[j, j])
            assert found[f"cor({i + 1},{j + 1})"].estimate == pytest.approx(correlation)
            assert found[f"cor({i + 1},{j + 1})"].std_err is None


def test_labels_restart_at_each_level_and_numbers_do_not():
    fit = three_effects()
    assert [e.label for e in natural_estimates(fit)] == [
        "variance",
        "var(1)",
        "cov(2,1)",
        "cor(2,1)",
        "var(2)",
        "cov(3,1)",
        "cor(3,1)",
        "cov(3,2)",
        "cor(3,2)",
        "var(3)",
        "var(1)",
    ]
    top = by_label(fit, level=3)["var(1)"]
    assert (top.effects, top.unit, top.estimate) == ((4,), "town", pytest.approx(0.81))


def test_published_covariance_block():
    found = by_label(published.jsp_correlated())
    printed = {
        "var(1)": (4.1463278, 0.95033318),
        "cov(2,1)": (-0.31583208, 0.09461644),
        "var(2)": (0.03185542, 0.01655613),
    }
    for label, (estimate, std_err) in printed.items():
        assert found[label].estimate == pytest.approx(estimate, rel=1e-7)
        assert found[label].std_err == pytest.approx(std_err, rel=1e-7)
    assert found["cor(2,1)"].estimate == pytest.approx(-0.86902604, rel=1e-6)


def test_published_level1_variance():
    (level1,) = (e for e in natural_estimates(published.jsp_uncorrelated()) if e.level == 1)
    assert level1.kind is NaturalKind.LEVEL1_VARIANCE
    assert (level1.estimate, level1.std_err) == pytest.approx((26.935556, 1.357001))


def test_raw_estimates_of_the_manual_give_its_printed_variances():
    fit = published.jsp_uncorrelated()
    raw = {"lns1": (1.646724, 0.0251898), "sch1_1": (2.024541, 0.2453634)}
    found = {name.equation: k for k, name in enumerate(fit.names)}
    for equation, (estimate, std_err) in raw.items():
        k = found[equation]
        assert fit.estimates[k] == pytest.approx(estimate, rel=1e-6)
        assert math.sqrt(fit.covariance[k, k]) == pytest.approx(std_err, rel=1e-5)


def test_covariances_are_fixed_under_nocorrel():
    found = by_label(published.jsp_uncorrelated())
    assert found["cov(2,1)"].fixed
    assert (found["cov(2,1)"].estimate, found["cov(2,1)"].std_err) == (0.0, None)
    assert "cor(2,1)" not in found


def test_first_loading_is_fixed_at_one():
    loadings = [e for e in natural_estimates(published.lsat()) if e.kind is NaturalKind.LOADING]
    assert [e.variable for e in loadings] == ["i1", "i2", "i3", "i4", "i5"]
    assert (loadings[0].estimate, loadings[0].std_err, loadings[0].fixed) == (1.0, None, True)
    assert (loadings[1].estimate, loadings[1].std_err) == pytest.approx((0.87541638, 0.36267338))


def test_no_correlation_with_a_variance_of_zero():
    fit = published.jsp_correlated()
    estimates = fit.estimates.copy()
    estimates[fit.block("diagonal", "offdiagonal")] = 0.0
    assert math.isnan(by_label(replace(fit, estimates=estimates))["cor(2,1)"].estimate)


def test_missing_standard_errors_stay_missing():
    fit = published.jsp_correlated()
    fit = replace(fit, covariance=np.full_like(fit.covariance, np.nan))
    assert all(
        math.isnan(e.std_err) for e in natural_estimates(fit) if e.kind is NaturalKind.VARIANCE
    )


def numbers(fit, kind):
    return [e.estimate for e in natural_estimates(fit) if e.kind is kind]


def test_published_masses_and_locations():
    fit = published.mixture()
    assert numbers(fit, NaturalKind.PROBABILITY) == pytest.approx([0.2515, 0.7485], abs=5e-5)
    assert numbers(fit, NaturalKind.LOCATION) == pytest.approx([16.426462, -5.5187445], abs=1e-5)
    (variance,) = (e for e in natural_estimates(fit) if e.kind is NaturalKind.VARIANCE)
    p, z = 0.25147836, np.array([16.426462, -5.5187445])
    assert variance.estimate == pytest.approx(p * z[0] ** 2 + (1 - p) * z[1] ** 2, rel=1e-6)
    assert variance.std_err is None


def test_free_masses_have_moments_about_their_own_mean():
    fit = published.classes_with_covariates()
    assert numbers(fit, NaturalKind.LOCATION) == [1.0, 3.0, -2.0, 2.0]
    assert numbers(fit, NaturalKind.VARIANCE) == pytest.approx([1.0, 4.0])
    assert numbers(fit, NaturalKind.COVARIANCE) == pytest.approx([2.0])
    odds = [e for e in natural_estimates(fit) if e.kind is NaturalKind.LOG_ODDS]
    assert [(e.variable, e.mass, e.estimate) for e in odds] == [("w", 1, 0.5), (CONSTANT, 1, 0.0)]


def test_extreme_log_odds_do_not_overflow():
    fit = published.mixture()
    estimates = fit.estimates.copy()
    estimates[3] = 2000.0
    fit = replace(fit, estimates=estimates)
    assert numbers(fit, NaturalKind.PROBABILITY) == [1.0, 0.0]
    assert numbers(fit, NaturalKind.VARIANCE) == [0.0]
    assert math.isnan(numbers(fit, NaturalKind.LOCATION)[1])


def test_structure_and_equation_for_the_scale():
    fit = published.factor_structure()
    found = {e.label: e for e in natural_estimates(fit)}
    assert found["B(1,2)"].effects == (1, 2)
    assert (found["occ"].kind, found["occ"].std_err) == (NaturalKind.REGRESSION, 0.03264255)
    assert found["i2"].kind is NaturalKind.LEVEL1_LOG_SD
    assert [found["d3"].fixed, found["d3"].estimate] == [False, 1.25]


def test_natural_scale_of_level_1():
    fit = published.jsp_uncorrelated()
    estimates = fit.estimates.copy()
    estimates[2] = -3.0
    fit = replace(fit, estimates=estimates, spec=replace(fit.spec, natural_scale=True))
    level1 = natural_estimates(fit)[0]
    assert level1.estimate == pytest.approx(9.0)
    assert level1.std_err == pytest.approx(6.0 * math.sqrt(fit.covariance[2, 2]))


@pytest.mark.parametrize(
    ("responses", "meaning"),
    [
        ([("gauss", "ident")], "variance"),
        ([("gamma", "log")], "squared coefficient of variation"),
        ([("gamma", "log"), ("gauss", "ident")], "dispersion"),
        ([("gauss", "ologit"), ("gamma", "log")], "squared coefficient of variation"),
        ([("binom", "soprobit"), ("gamma", "log")], "dispersion"),
        ([("binom", "sprobit")], "variance"),
    ],
)
def test_what_the_level1_scale_is(responses, meaning):
    first, *others = (Response(*pair) for pair in responses)
    fit = published.jsp_uncorrelated()
    spec = replace(fit.spec, response=first, other_responses=tuple(others))
    assert natural_estimates(replace(fit, spec=spec))[0].label == meaning


@pytest.mark.parametrize(
    ("variable", "kind"),
    [("one", NaturalKind.LEVEL1_VARIANCE), ("x", NaturalKind.LEVEL1_LOG_SD)],
)
def test_a_scale_equation_of_one_variable_is_a_variance_only_if_it_is_a_constant(variable, kind):
    """gllamm prints exp(2 b) for any variable, which is the variance of rows with the value 1."""
    random = np.random.default_rng(1)
    x = random.normal(size=200)
    frame = pd.DataFrame({"x": x, "one": 1.0, "id": np.arange(200) // 5})
    frame["y"] = random.normal(size=200) * np.exp(0.3 * x) + random.normal(size=40)[frame["id"]]
    session = Session(Dataset.from_frame(frame))
    session.run(f"eq het: {variable}\ngllamm y x, i(id) s(het) adapt nolog")
    found = natural_estimates(session.fit)[0]
    (position,) = session.fit.block("scale")
    b = session.fit.estimates[position]
    assert found.kind is kind
    assert found.estimate == pytest.approx(np.exp(2.0 * b) if variable == "one" else b)
