"""What is the same everywhere takes no memory, and no number depends on how it is stored."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from test_advance import DATA
from test_collapse import MODELS, built, resolved
from test_composite import frame as composite_frame

from gllamm_cli.estimate import advance
from gllamm_cli.estimate.adapt import standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.fit import estimator
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.collapse import collapsed
from gllamm_cli.model.thin import some_units
from gllamm_cli.model.uniform import is_uniform

ROWS = {"kind", "denominator", "offset", "row_weight", "total_weight", "frequency"}
UNITS = {"weight", "total_weight", "frequency"}
LOGIT = "b z w, i(id) family(binom) link(logit) adapt"
LINEAR = "g z w, i(id) adapt"
PLAIN = [
    (LOGIT, {*ROWS, "constant"}),
    (LINEAR, {*ROWS, "constant"}),
    ("o z, i(id top) link(ologit) adapt nip(4)", {*ROWS, "constant"}),
    ("n z, i(id) family(poisson) link(log) adapt", ROWS),
    (
        "alternative z, i(id) eqs(s) nocons link(mlogit) expanded(set chosen o) adapt",
        {*ROWS, "constant"},
    ),
]
STORED = [
    *MODELS,
    LOGIT,
    "b x, i(id top) family(binom) link(cll) weight(wt) adapt nip(4)",
    "n x w, i(id) family(poisson) link(ident) nip(4)",
]
COMPOSITES = [
    "y x, i(id) family(binom) link(logit) composite(set part c1 c2) nip(5)",
    "y x, i(id) family(binom) link(logit cll) lv(kind) composite(set part c1 c2) nip(5)",
]
FITTED = [
    *(text for text, _ in PLAIN),
    "b z w, i(id top) family(binom) link(logit) adapt nip(4)",
    "b, nocons i(id) nrf(4) eqs(e0 e1 e2 e3) family(binom) link(logit) adapt nip(3)",
    "p z w, i(id) family(gamma) link(log) s(sc) adapt",
    "m w z, i(id) family(binom gauss) fv(which) link(logit ident) lv(which) adapt",
    "b z, i(id) family(binom) link(logit) ip(f) nip(2) peqs(cw)",
    "b z w, i(id) family(binom) link(logit) init robust",
]


def written_out(part):
    """The same design, level or composite with all arrays of numbers written out."""
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    arrays = {k: np.ascontiguousarray(x) for k, x in values.items() if isinstance(x, np.ndarray)}
    return replace(part, **arrays)


def stored(design):
    """The same design without uniform arrays."""
    composite = design.composite
    return replace(
        written_out(design),
        levels=tuple(written_out(level) for level in design.levels),
        composite=None if composite is None else written_out(composite),
    )


def uniform_arrays(part, names):
    return {name for name in names if is_uniform(getattr(part, name))}


@pytest.mark.parametrize(("text", "wanted"), PLAIN)
def test_constant_arrays_are_uniform(text, wanted):
    design, _ = built(text, DATA)
    one_level = design.without_latent_variables()
    shuffled = design.with_levels(design.levels, np.arange(design.n_rows)[::-1])
    for found in (design, some_units(design, 3), one_level, shuffled):
        assert uniform_arrays(found, (*ROWS, "constant")) == wanted
        for level in found.levels:
            assert uniform_arrays(level, UNITS) == UNITS
    assert not uniform_arrays(stored(design), ROWS)


def test_merged_rows_differ_in_their_weights_alone():
    design, parameters = built("n x w, i(id) family(poisson) link(log) adapt")
    few = collapsed(design, parameters.columns)
    assert few.n_rows < design.n_rows
    assert uniform_arrays(few, ROWS) == {"kind", "denominator", "offset"}


def evaluated(design, parameters):
    """Everything that an engine returns."""
    theta = np.random.default_rng(5).uniform(0.2, 0.6, parameters.n)
    for k, name in enumerate(parameters.names):
        if name.block == "threshold":
            theta[k] = -1.0 + k
    engine = Engine(design, parameters, threads=2)
    nodes = None if design.levels[0].class_design is not None else standard_placement(design)
    found = engine.evaluate(theta, nodes, derivatives=True, moments=True)
    weights, _ = engine.posterior_nodes(theta, nodes, 0, design.levels[-1].n_units)
    assert np.isfinite(found.log_likelihood)
    return found.log_likelihood, *found.derivatives(), *(found.moments or ()), weights


@pytest.mark.parametrize("text", [*STORED, *COMPOSITES])
def test_log_likelihoods_are_the_same_to_the_last_bit(text):
    design, parameters = built(text, composite_frame() if text in COMPOSITES else DATA)
    results = (evaluated(x, parameters) for x in (design, stored(design)))
    for found, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("text", FITTED)
def test_fits_are_the_same_to_the_last_bit(text, monkeypatch):
    """With starting values from a part of the data, merged units and split integrals."""
    monkeypatch.setattr(advance, "FEWEST_CLUSTERS", 2)
    monkeypatch.setattr(advance, "CLUSTERS_PER_PARAMETER", 0)
    monkeypatch.setattr(advance, "FEWEST_ROWS", 480)
    asked, data = resolved(text, DATA)
    found = fit_model(asked, data, threads=1)

    def build_stored(*arguments, **options):
        design, *rest = build_design(*arguments, **options)
        return stored(design), *rest

    monkeypatch.setattr(estimator, "build_design", build_stored)
    wanted = fit_model(asked, data, threads=1)
    assert found.log_likelihood == wanted.log_likelihood
    np.testing.assert_array_equal(found.estimates, wanted.estimates)
    np.testing.assert_array_equal(found.covariance, wanted.covariance)
    assert (found.n_units, found.notes) == (wanted.n_units, wanted.notes)
