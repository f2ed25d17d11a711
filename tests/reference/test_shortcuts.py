"""What is computed in closed form equals quadrature, and derivatives equal differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statements import parse_statement

from gllamm_cli.data import Dataset
from gllamm_cli.estimate import gaussian, gaussian_sums
from gllamm_cli.estimate.adapt import standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.gaussian import GaussianObjective
from gllamm_cli.estimate.settle import settle
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.constraints import build_reduction
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.resolve import Definitions, resolve
from gllamm_cli.session import Session
from gllamm_cli.stata.command import parse_gllamm
from gllamm_cli.stata.named_matrix import NamedMatrix


def simulate():
    random = np.random.default_rng(3)
    n = 480
    person = np.arange(n) // 4
    group = person // 6
    x = random.normal(size=n)
    slope = random.normal(size=(n // 24, 2)) @ np.array([[0.7, 0.2], [0.0, 0.4]])
    y = 1 + x * (0.5 + slope[group, 1]) + slope[group, 0] + random.normal(size=n // 4)[person]
    return pd.DataFrame(
        {
            "y": y + random.normal(size=n),
            "x": x,
            "w": random.normal(size=n // 24)[group],
            "one": 1.0,
            "item": np.arange(n) % 4,
            "id": person + 1.0,
            "top": group + 1.0,
            "wt1": 1.0 + np.arange(n) % 2,
            "wt2": 1.0 + person % 3,
            "wt3": 1.0 + group % 2,
            "off": random.normal(size=n),
        }
    ).assign(**{f"i{k}": (np.arange(n) % 4 == k).astype(float) for k in range(4)})


FRAME = simulate()
DEFINITIONS = Definitions(
    equations={
        "c": ("one",),
        "d": ("one",),
        "s": ("x",),
        "load": ("i0", "i1", "i2", "i3"),
        "f1": ("w",),
        "f2": ("x",),
        "first": ("i0", "i1"),
        "second": ("i2", "i3"),
        "het": ("i0", "i1", "i2", "i3"),
        "two": ("i0", "one"),
    },
    constraints={
        constraint.number: constraint
        for constraint in map(
            parse_statement,
            (
                "constraint 1 [lns1]i1 = [lns1]i2",
                "constraint 2 [lns1]i0 - [lns1]i3 = 0.2",
            ),
        )
    },
    matrices={"b": NamedMatrix.unnamed(np.array([[0.0, 1.0], [0.0, 0.0]]))},
)
MODELS = [
    "gllamm y x, i(id) adapt",
    "gllamm y x, i(id) nrf(2) eqs(c s) adapt",
    "gllamm y x, i(id) nrf(2) eqs(c s) nocorrel adapt",
    "gllamm y x, i(id top) adapt nip(5)",
    "gllamm y x, i(id top) nrf(1 2) eqs(c d s) adapt nip(7)",
    "gllamm y x, i(id top) nrf(1 2) eqs(c d s) weight(wt) adapt nip(7)",
    "gllamm y x, i(id) weight(wt) offset(off) adapt",
    "gllamm y i1 i2 i3, i(id) eqs(load) adapt",
    "gllamm y i1 i2 i3, i(id) eqs(load) geqs(f1) adapt",
    "gllamm y x, i(id) adapt nocons if x > -1",
    "gllamm y i0 i1 i2 i3, nocons i(id) nrf(2) eqs(first second) s(het) adapt",
    "gllamm y x, i(id top) s(het) adapt nip(5)",
    "gllamm y x, i(id top) nrf(1 2) eqs(c d s) s(two) weight(wt) adapt nip(7)",
    "gllamm y x, i(id) nrf(2) eqs(c s) nocorrel s(two) adapt",
    "gllamm y i1 i2 i3, i(id) eqs(load) s(het) constr(1 2) adapt",
    "gllamm y i1 i2 i3, i(id) nrf(2) eqs(first second) bmatrix(b) nocorrel geqs(f1) adapt",
]
OTHERS = [
    "gllamm y x, i(id)",
    "gllamm y x, i(id) s(c) nats adapt",
    "gllamm y x, i(id) s(f2) adapt",
    "gllamm y x, i(id) ip(f) nip(2)",
    "gllamm y x, i(id) family(gamma) link(log) adapt",
]


def request(text):
    if " if " in text:
        head, condition = text.split(" if ")
        body, options = head.split(",", 1)
        text = f"{body} if {condition},{options}"
    data = Dataset.from_frame(FRAME.assign(y=FRAME["y"].abs() + 0.1) if "gamma" in text else FRAME)
    return resolve(parse_gllamm(text), data, DEFINITIONS), data


@pytest.mark.parametrize("text", MODELS)
def test_closed_form_equals_quadrature(text):
    asked, data = request(text)
    design, spec, _ = build_design(asked.spec, data)
    assert gaussian.applies(spec, design)
    exact = fit_model(asked, data, threads=1)
    plain = fit_model(asked, data, threads=1, shortcuts=False)
    assert exact.converged and plain.converged
    assert exact.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    errors = np.sqrt(np.diag(plain.covariance))
    np.testing.assert_allclose(exact.estimates, plain.estimates, atol=2e-4 * errors.max())
    np.testing.assert_allclose(np.sqrt(np.diag(exact.covariance)), errors, rtol=2e-3)


@pytest.mark.parametrize("text", MODELS)
def test_derivatives_equal_differences(text):
    asked, data = request(text)
    design, spec, _ = build_design(asked.spec, data)
    parameters = build_parameters(spec)
    objective = GaussianObjective(design, parameters, build_reduction((), parameters.names))
    theta = fit_model(asked, data, threads=1).estimates + 0.1
    at = objective.evaluate(theta, derivatives=True)
    step = 1e-4
    for k in range(len(theta)):
        unit = np.zeros(len(theta))
        unit[k] = step
        values, scores = [], []
        for times in (-2, -1, 1, 2):
            there = objective.evaluate(theta + times * unit, derivatives=True)
            values.append(there.log_likelihood)
            scores.append(there.score)
        weights = np.array([1, -8, 8, -1]) / (12 * step)
        assert at.score[k] == pytest.approx(weights @ values, rel=1e-6, abs=1e-5)
        np.testing.assert_allclose(
            at.hessian[k], weights @ np.array(scores), rtol=1e-6, atol=1e-6 * abs(at.hessian).max()
        )


@pytest.mark.parametrize("text", OTHERS)
def test_other_models_go_the_usual_way(text):
    asked, data = request(text)
    design, spec, _ = build_design(asked.spec, data)
    assert not gaussian.applies(spec, design)


@pytest.mark.parametrize(
    "text",
    [
        "gllamm y x, i(id) adapt robust",
        "gllamm y x, i(id top) nrf(1 2) eqs(c d s) s(two) weight(wt) adapt nip(7) robust",
        "gllamm y x, i(id) s(het) constr(1) adapt cluster(top)",
    ],
)
def test_robust_standard_errors_are_those_of_quadrature(text):
    asked, data = request(text)
    exact = fit_model(asked, data, threads=1)
    plain = fit_model(asked, data, threads=1, shortcuts=False)
    assert exact.std_err_type != "model"
    np.testing.assert_allclose(exact.covariance, plain.covariance, rtol=1e-4, atol=1e-8)


def test_robust_standard_errors_survive_a_change_of_sign():
    """Nodes belong to the latent variables before their signs are normalised."""
    session = Session(Dataset.from_frame(FRAME.assign(b=(FRAME["y"] > 1).astype(float))), threads=1)
    covariances = []
    for start in (1.0, -1.0):
        session.run(f"matrix a = (.1, .5, {start})")
        session.run("gllamm b x, i(id) family(binom) adapt from(a) copy robust")
        assert session.fit.estimates[-1] > 0
        covariances.append(session.fit.covariance)
    np.testing.assert_allclose(covariances[1], covariances[0], rtol=1e-4, atol=1e-8)


BINARY = [
    "gllamm b x, i(id) family(binom) adapt",
    "gllamm b x, i(id) family(binom) nip(6)",
    "gllamm b x, i(id) nrf(2) eqs(c s) family(binom) adapt nip(5)",
    "gllamm b i1 i2 i3, i(id) eqs(load) family(binom) adapt",
    "gllamm b x, i(id top) family(binom) adapt nip(5)",
    "gllamm b x, i(id top) nrf(1 2) eqs(c d s) family(binom) adapt nip(4)",
    "gllamm b x, i(id) family(binom) ip(f) nip(2)",
    "gllamm b x, i(id) family(binom) offset(off) geqs(f1) adapt",
]


@pytest.mark.parametrize("text", BINARY)
@pytest.mark.parametrize("size", [1.0, 40.0, 4000.0])
def test_product_form_equals_the_sum_of_logarithms(text, size):
    """Log likelihood, score and information, far out in the tails as well."""
    frame = FRAME.assign(b=(FRAME["y"] > 1).astype(float), x=FRAME["x"] * size)
    data = Dataset.from_frame(frame)
    asked = resolve(parse_gllamm(text), data, DEFINITIONS)
    design, spec, _ = build_design(asked.spec, data)
    parameters = build_parameters(spec)
    theta = 0.3 + 0.2 * np.cos(np.arange(parameters.n))
    placement = standard_placement(design) if spec.adaptive else None
    found, plain = (
        Engine(design, parameters, 1, shortcuts=shortcuts).evaluate(
            theta, placement, derivatives=True, moments=True
        )
        for shortcuts in (True, False)
    )
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(found.score, plain.score, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.hessian, plain.hessian, rtol=1e-9, atol=1e-8)
    for a, b in zip(found.moments, plain.moments, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def test_weights_and_denominators_go_the_usual_way():
    """Rows that stand for several do not enter the product."""
    frame = FRAME.assign(b=(FRAME["y"] > 1).astype(float), n=2.0)
    session = Session(Dataset.from_frame(frame), threads=1)
    session.run("gllamm b x, i(id) family(binom) weight(wt) adapt")
    weighted = session.fit.log_likelihood
    asked = resolve(
        parse_gllamm("gllamm b x, i(id) family(binom) weight(wt) adapt"),
        session.dataset,
        DEFINITIONS,
    )
    plain = fit_model(asked, session.dataset, threads=1, shortcuts=False)
    assert weighted == pytest.approx(plain.log_likelihood, abs=1e-7)


@pytest.mark.parametrize("text", MODELS)
def test_linear_models_do_not_depend_on_blocks_and_threads(text, monkeypatch):
    """Units are worked through in blocks, by several threads: neither may be seen."""
    asked, data = request(text)
    design, spec, _ = build_design(asked.spec, data)
    parameters = build_parameters(spec)
    reduction = build_reduction((), parameters.names)
    theta = fit_model(asked, data, threads=1).estimates + 0.1
    whole = GaussianObjective(design, parameters, reduction).evaluate(theta, derivatives=True)
    monkeypatch.setattr(gaussian_sums, "LEAST_UNITS", 7)
    monkeypatch.setattr(gaussian_sums, "ROWS_PER_THREAD", 1)
    monkeypatch.setattr(gaussian, "TERMS_PER_THREAD", 1)
    one, *others = (
        GaussianObjective(design, parameters, reduction, threads=threads).evaluate(
            theta, derivatives=True
        )
        for threads in (1, 2, 5)
    )
    for other in others:
        assert one.log_likelihood == other.log_likelihood
        np.testing.assert_array_equal(one.score, other.score)
        np.testing.assert_array_equal(one.hessian, other.hessian)
    assert one.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(one.score, whole.score, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(one.hessian, whole.hessian, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("size", [1.0, 40.0, 4000.0])
def test_rows_of_the_last_factor_need_its_distinct_nodes_only(size):
    """Two factors of binary items: the product form, with repeated nodes, equals the sum of logs.

    Predictors of all sizes: within reach, beyond one product, beyond the exponential.
    """
    random = np.random.default_rng(8)
    frame = FRAME.assign(y=(random.random(len(FRAME)) < 0.5) * 1.0)
    data = Dataset.from_frame(frame)
    definitions = Definitions(
        equations={"f1": ("i0", "i1"), "f2": ("i2", "i3")}, constraints={}, matrices={}
    )
    text = (
        "gllamm y i0 i1 i2 i3, nocons i(id) nrf(2) eqs(f1 f2) family(binom) link(logit)"
        " nip(5 4) adapt"
    )
    asked = resolve(parse_gllamm(text), data, definitions)
    design, spec, _ = build_design(asked.spec, data)
    parameters = build_parameters(spec)
    theta = size * random.normal(size=parameters.n)
    quick, plain = (
        Engine(design, parameters, 1, shortcuts=shortcuts) for shortcuts in (True, False)
    )
    nodes = settle(plain, theta / size, standard_placement(design)).placement
    for placement in (None, nodes):
        got = quick.evaluate(theta, placement, derivatives=True, moments=True)
        wanted = plain.evaluate(theta, placement, derivatives=True, moments=True)
        assert got.log_likelihood == pytest.approx(wanted.log_likelihood, rel=1e-11)
        np.testing.assert_allclose(got.score, wanted.score, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(got.hessian, wanted.hessian, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(got.moments[0], wanted.moments[0], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    "text",
    [
        "gllamm y x, i(id top) family(binom) link(logit) adapt",
        "gllamm y i0 i1 i2 i3, nocons i(id) eqs(load) family(binom) link(logit) adapt",
    ],
)
def test_estimates_maximise_the_likelihood_whose_nodes_belong_to_them(text):
    """Nodes only follow the parameters roughly; at the end they must be where they belong."""
    random = np.random.default_rng(9)
    ability = 1.5 * random.normal(size=len(FRAME))[FRAME["id"].to_numpy(int)]
    y = (random.random(len(FRAME)) < 1 / (1 + np.exp(-ability))) * 1.0
    data = Dataset.from_frame(FRAME.assign(y=y))
    asked = resolve(parse_gllamm(text), data, DEFINITIONS)
    fit = fit_model(asked, data, threads=1)
    assert fit.converged
    design, spec, _ = build_design(asked.spec, data)
    engine = Engine(design, build_parameters(spec), 1)
    nodes = settle(engine, fit.estimates, standard_placement(design)).placement
    at = engine.evaluate(fit.estimates, nodes, derivatives=True)
    assert at.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-8)
    distance = np.sqrt(at.score @ np.linalg.solve(-at.hessian, at.score))
    assert distance < 1e-5
