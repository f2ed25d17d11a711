"""Starting from the estimates of a part of the clusters leads to the same maximum."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_collapse import FRAME, resolved

from gllamm_cli.estimate import advance
from gllamm_cli.estimate.advance import ByQuadrature, InClosedForm, advanced_start
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.fit import starting
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.constraints import build_reduction
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.thin import some_rows, some_units, without_period

RANDOM = np.random.default_rng(8)
DATA = FRAME.assign(z=RANDOM.normal(size=len(FRAME)), u=RANDOM.normal(size=len(FRAME)))
CLUSTER = DATA["id"].astype(int)
EFFECTS = RANDOM.normal(size=(CLUSTER.max() + 1, 2))[CLUSTER]
"""Random intercepts and slopes."""
DATA["l"] = EFFECTS[:, 0] + EFFECTS[:, 1] * DATA["x"] + RANDOM.normal(size=len(DATA))
DATA["l"] += RANDOM.normal(size=len(DATA))[DATA["region"].astype(int)]
FITTED = [
    "b z w, i(id) family(binom) link(logit) adapt",
    "b z w, i(id) family(binom) link(probit) adapt",
    "b i1 i2 i3 z, i(id) eqs(load) family(binom) link(logit) adapt",
    "o z, i(id) link(ologit) thresh(th) adapt",
    "n z w, i(id) family(poisson) link(log) weight(wt) adapt",
    "p z, i(id) family(gamma) link(log) adapt",
    "p z w, i(id) family(gamma) link(log) s(sc) adapt",
    "b z, i(id top) family(binom) link(logit) adapt nip(5)",
]
LINEAR = [
    "l z w, i(id) adapt",
    "l z w, i(id) weight(wt) s(sc) adapt",
    "l z, i(id) nrf(2) eqs(c s) adapt",
    "l z, i(id region) adapt",
]
THINNED = [
    *FITTED,
    "m w z, i(id) family(binom gauss) fv(which) link(logit ident) lv(which) adapt",
    "b z, i(id) family(binom) link(logit) ip(f) nip(2) peqs(cw)",
    "n z, i(id) family(poisson) link(log) pweight(pw) cluster(region) adapt",
    "alternative z, i(id) eqs(s) nocons link(mlogit) expanded(set chosen o) weight(wt) adapt",
    "o z, i(id top) link(ologit) weight(wt) adapt nip(4)",
]


@pytest.fixture
def eager(monkeypatch):
    """Small data count as many."""
    monkeypatch.setattr(advance, "FEWEST_CLUSTERS", 2)
    monkeypatch.setattr(advance, "CLUSTERS_PER_PARAMETER", 0)
    monkeypatch.setattr(advance, "FEWEST_ROWS", 480)
    monkeypatch.setattr(advance, "FEWEST_LOWEST_UNITS", 20)
    monkeypatch.setattr(advance, "SMALLEST_LINEAR_STEP", 4)


def prepared(text):
    asked, data = resolved(text, DATA)
    design, spec, _ = build_design(asked.spec, data)
    parameters = build_parameters(spec)
    return spec, design, parameters, build_reduction(spec.constraints, parameters.names)


def prepared_method(text):
    spec, design, parameters, reduction = prepared(text)
    method = InClosedForm if text in LINEAR else ByQuadrature
    return method(spec, parameters, reduction, 1), design


@pytest.mark.parametrize("text", [*FITTED, *LINEAR])
def test_the_maximum_is_the_same(text, eager, monkeypatch):
    used = []

    def watched(*arguments):
        used.append(advanced_start(*arguments))
        return used[-1]

    monkeypatch.setattr(starting, "advanced_start", watched)
    asked, data = resolved(text, DATA)
    found = fit_model(asked, data)
    assert used and used[0] is not None
    plain = fit_model(asked, data, shortcuts=False)
    assert found.converged and plain.converged
    errors = np.sqrt(np.diag(plain.covariance))
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    assert (np.abs(found.estimates - plain.estimates) < 2e-5 * errors).all()
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), errors, rtol=2e-5)


def assert_same_design(part, alone):
    for name in ("kind", "y", "denominator", "offset", "row_weight", "total_weight", "frequency",
                 "entry_start"):  # fmt: skip
        np.testing.assert_array_equal(getattr(part, name), getattr(alone, name), err_msg=name)
    assert part.variables.keys() == alone.variables.keys()
    for name, values in alone.variables.items():
        np.testing.assert_array_equal(part.variables[name], values)
    for one, other in zip(part.levels, alone.levels, strict=True):
        for name in ("first", "weight", "parent", "total_weight", "frequency", "class_design"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for one, other in zip(part.ordinal, alone.ordinal, strict=True):
        for name in ("rows", "category", "design"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_array_equal(part.cluster, alone.cluster)


@pytest.mark.parametrize("text", THINNED)
def test_a_part_of_a_design_is_the_design_of_a_part(text):
    """One of three top-level units, against a design built from their rows alone."""
    whole = prepared(text)[1]
    part = some_units(whole, 3)
    top = "top" if "top" in text else "id"
    units = np.sort(DATA[top].unique())
    units = units[without_period(len(units), 3)]
    asked, data = resolved(text, DATA[DATA[top].isin(units)].reset_index(drop=True))
    alone = build_design(asked.spec, data)[0]
    assert_same_design(part, alone)


def test_few_clusters_masses_and_ordinary_quadrature_start_as_a_whole(eager, monkeypatch):
    method, design = prepared_method(FITTED[0])
    assert advanced_start(method, design) is not None
    for several_maxima in ("ip(f) nip(2)", "nip(8)"):
        other = f"b z, i(id) family(binom) link(logit) {several_maxima}"
        assert advanced_start(*prepared_method(other)) is None
    monkeypatch.setattr(advance, "FEWEST_CLUSTERS", 100)
    assert advanced_start(method, design) is None


def test_a_part_that_does_not_determine_a_parameter_is_no_start(eager):
    """A covariate that varies among the clusters left out only."""
    units = np.sort(DATA["id"].unique())
    kept = units[without_period(len(units), 4)]
    rare = ~DATA["id"].isin(kept) * DATA["u"]
    asked, data = resolved("b rare, i(id) family(binom) link(logit) adapt", DATA.assign(rare=rare))
    design, spec, _ = build_design(asked.spec, data)
    parameters = build_parameters(spec)
    reduction = build_reduction((), parameters.names)
    assert advanced_start(ByQuadrature(spec, parameters, reduction, 1), design) is None
    assert fit_model(asked, data).converged


def large_clusters():
    """A few clusters in regions, of unequal sizes; the posteriors of large ones are narrow."""
    random = np.random.default_rng(21)
    cluster = np.repeat(np.arange(36), random.integers(30, 400, size=36))
    n = len(cluster)
    data = pd.DataFrame({"id": cluster + 1.0, "region": cluster % 9 + 1.0})
    data["x"], data["one"] = random.normal(size=n), 1.0
    data["wt1"] = random.integers(1, 3, size=n)
    effects = random.normal(size=(36, 2))[cluster]
    eta = effects[:, 0] + (0.5 + 0.5 * effects[:, 1]) * data["x"] + cluster % 9 / 5.0
    data["b"] = (random.logistic(size=n) < eta) * 1.0
    data["o"] = 1.0 + np.digitize(eta + random.logistic(size=n), [-1.0, 0.5, 2.0])
    data["n"] = random.poisson(np.exp(0.5 * eta))
    data["p"] = random.gamma(2.0, np.exp(0.5 * eta))
    return data


LARGE_CLUSTERS = large_clusters()
FITTED_BY_ROWS = [
    "b x, i(id) family(binom) link(logit) adapt",
    "b x, i(id) nrf(2) eqs(c s) family(binom) link(probit) adapt",
    "b x, i(id region) family(binom) link(cll) adapt",
    "o x, i(id) link(ologit) weight(wt) adapt",
    "n x, i(id) family(poisson) link(log) adapt",
    "p x, i(id) family(gamma) link(log) adapt",
]


@pytest.mark.parametrize("text", FITTED_BY_ROWS)
def test_few_large_clusters_start_from_some_of_their_rows(text, monkeypatch):
    monkeypatch.setattr(advance, "FEWEST_ROWS", 1_000)
    monkeypatch.setattr(advance, "ROWS_PER_UNIT", 20)
    parts = []

    def watched(*arguments):
        parts.append(some_rows(*arguments))
        return parts[-1]

    monkeypatch.setattr(advance, "some_rows", watched)
    data = LARGE_CLUSTERS
    asked, dataset = resolved(text, data)
    found = fit_model(asked, dataset)
    assert len(parts) == 1 and len(parts[0].y) < len(data) / 4
    plain = fit_model(asked, dataset, shortcuts=False)
    assert len(parts) == 1
    assert found.converged and plain.converged
    errors = np.sqrt(np.diag(plain.covariance))
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    assert (np.abs(found.estimates - plain.estimates) < 2e-5 * errors).all()
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), errors, rtol=2e-5)


def test_rows_that_stand_for_many_are_not_left_out(monkeypatch):
    """Of few patterns with large frequencies a part would say little."""
    monkeypatch.setattr(advance, "FEWEST_ROWS", 1_000)
    monkeypatch.setattr(advance, "ROWS_PER_UNIT", 20)
    data = LARGE_CLUSTERS.assign(wt1=3.0)
    for weight, is_start in (("", True), ("weight(wt)", False)):
        text = f"b x, i(id) family(binom) link(logit) {weight} adapt"
        asked, dataset = resolved(text, data)
        design, spec, _ = build_design(asked.spec, dataset)
        parameters = build_parameters(spec)
        method = ByQuadrature(spec, parameters, build_reduction((), parameters.names), 1)
        assert (advanced_start(method, design) is not None) == is_start


@pytest.mark.parametrize("text", [FITTED_BY_ROWS[k] for k in (0, 1, 4)])
def test_large_clusters_take_few_evaluations_of_derivatives(text, monkeypatch):
    """Nodes held would be useless after each step: derivatives were computed twice."""
    asked, dataset = resolved(text, LARGE_CLUSTERS)
    calls = []
    evaluate = Engine.evaluate

    def watched(self, *arguments, **options):
        calls.append(bool(options.get("derivatives")) and self.design.n_terms > len(self.design.y))
        return evaluate(self, *arguments, **options)

    monkeypatch.setattr(Engine, "evaluate", watched)
    assert fit_model(asked, dataset).converged
    assert 2 <= sum(calls) <= 7


@pytest.mark.parametrize("text", [*FITTED, THINNED[9], THINNED[12]])
def test_some_rows_of_a_design_are_the_design_of_some_rows(text):
    """No unit loses all of its rows."""
    whole = prepared(text)[1]
    part = some_rows(whole, 7)
    assert all((np.diff(level.first) > 0).all() for level in part.levels)
    asked, data = resolved(text, DATA.iloc[part.rows].reset_index(drop=True))
    assert_same_design(part, build_design(asked.spec, data)[0])


@pytest.mark.parametrize(("n", "step"), [(1, 1), (5, 7), (240, 4), (10_000, 64), (99, 10)])
def test_parts_are_even_and_have_no_period(n, step):
    kept = without_period(n, step)
    assert kept[0] == 0 and kept[-1] < n
    assert (np.diff(kept) > 0).all()
    assert (np.bincount(kept // step) == 1).all()
    assert n // step <= len(kept) <= n // step + 1
    if n > 20 * step:
        assert len(set(kept % step)) == step


@pytest.mark.parametrize("response", ["b", "l"])
def test_arms_that_take_turns_are_all_in_a_part(response, eager):
    """Every fourth cluster would be of one arm."""
    data = DATA.assign(arm=DATA["id"] % 2)
    family = "family(binom) link(logit)" if response == "b" else ""
    asked, dataset = resolved(f"{response} arm, i(id) {family} adapt", data)
    design, spec, _ = build_design(asked.spec, dataset)
    parameters = build_parameters(spec)
    method = ByQuadrature if response == "b" else InClosedForm
    model = spec, parameters, build_reduction((), parameters.names)
    assert advanced_start(method(*model, 1), design) is not None
