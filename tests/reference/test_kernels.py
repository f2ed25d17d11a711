"""The kernels for all instruction sets that this processor has give the same numbers.

Protects the padding of nodes to whole vectors, whose width differs, and the choice of a kernel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated import make_design, make_spec, make_theta
from test_collapse import built, resolved

from gllamm_cli._processor import vector_units
from gllamm_cli.errors import NoSuchKernel
from gllamm_cli.estimate import engine as engine_module
from gllamm_cli.estimate.adapt import standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.kernel import CHOICE, kernel_class
from gllamm_cli.estimate.start import FixedObjective, fixed_part
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.constraints import build_reduction
from gllamm_cli.model.families import FAMILIES, LINKS
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.quadrature import ProductRule

OTHERS = vector_units()[:-1]
PAIRS = [
    (f.name, k.name) for f in FAMILIES for k in LINKS if not (k.ordinal or k.nominal or k.has_scale)
]
MODELS = [
    "b x w, i(id) family(binom) link(logit) adapt",
    "b i1 i2 i3, i(id) eqs(load) family(binom) link(logit) adapt",
    "b x, i(id) family(binom) link(logit) ip(f) nip(2) peqs(cw)",
    "o x w, i(id) link(ologit) adapt nip(5)",
    "m w, i(id) family(binom gauss) fv(which) link(logit ident) lv(which) adapt nip(5)",
    "alternative x, i(id) eqs(s) nocons link(mlogit) expanded(set chosen o) weight(wt) adapt",
    "n x, i(id top) nrf(1 2) eqs(c c s) family(poisson) link(log) adapt nip(4)",
]


def evaluations(monkeypatch, design, parameters, theta):
    """Everything a kernel returns, from each kernel; the portable one last."""
    for name in vector_units():
        monkeypatch.setattr(engine_module, "Kernel", kernel_class(name))
        engine = Engine(design, parameters, threads=2)
        nodes = None if design.levels[0].class_design is not None else standard_placement(design)
        found = engine.evaluate(theta, nodes, derivatives=True, moments=True)
        weights, values = engine.posterior_nodes(theta, nodes, 0, design.levels[-1].n_units)
        yield (
            found.log_likelihood,
            *found.derivatives(),
            *(found.moments or ()),
            engine.cluster_scores(theta, nodes),
            weights,
            np.zeros(0) if values is None else values,
        )


def assert_all_same(results):
    *others, portable = results
    for other in others:
        for x, wanted in zip(other, portable, strict=True):
            scale = np.abs(wanted).max(initial=1e-300)
            np.testing.assert_allclose(x, wanted, rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.skipif(not OTHERS, reason="this processor runs the portable kernel only")
@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_families_and_links(family, link, monkeypatch):
    spec = make_spec(family, link, 3, structure="slope")
    design, constant, spread = make_design(spec, weighted=True)
    parameters = build_parameters(spec)
    theta = make_theta(parameters.names, constant, spread)
    assert_all_same(evaluations(monkeypatch, design, parameters, theta))


@pytest.mark.skipif(not OTHERS, reason="this processor runs the portable kernel only")
@pytest.mark.parametrize("text", MODELS)
def test_models(text, monkeypatch):
    design, parameters = built(text)
    theta = np.random.default_rng(5).uniform(0.2, 0.6, parameters.n)
    for k, name in enumerate(parameters.names):
        if name.block == "threshold":
            theta[k] = -1.0 + k
    assert_all_same(evaluations(monkeypatch, design, parameters, theta))


@pytest.mark.parametrize("points", [1, 2, 3, 5, 7, 8, 9, 15, 17])
def test_places_beyond_the_nodes_have_no_weight(points):
    """Two latent variables have points^2 nodes, which seldom fill vectors; summed here in numpy."""
    spec = make_spec("binom", "logit", 2, structure="slope")
    design, constant, spread = make_design(spec, weighted=False)
    parameters = build_parameters(spec)
    theta = make_theta(parameters.names, constant, spread)
    level = design.levels[0]
    rule = ProductRule((points, points))
    design = design.with_levels((replace(level, rule=rule), *design.levels[1:]))
    engine = Engine(design, parameters)
    X = design.matrix(parameters.columns)
    h = parameters.coefficients(theta)
    a = np.zeros((design.n_rows, 3))
    for c, m, value in zip(parameters.pair_column, parameters.pair_latent, h, strict=True):
        a[:, m] += X[:, c] * value
    nu = design.offset[:, None] + a[:, :1] + a[:, 1:] @ rule.nodes.T
    rows = design.y[:, None] * nu - design.denominator[:, None] * np.logaddexp(0.0, nu)
    rows += design.constant[:, None]
    units = np.add.reduceat(rows, level.first[:-1], axis=0) + rule.log_weights
    wanted = np.logaddexp.reduce(units, axis=1).sum()
    assert engine.evaluate(theta).log_likelihood == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "b x w, i(id) family(binom) link(logit)",
        "b x w, i(id) family(binom) link(probit) offset(off)",
        "n x w, i(id) family(poisson) link(log) weight(wt)",
        "p x w, i(id) family(gamma) link(log) s(sc)",
        "o x w, i(id) link(ologit) thresh(th)",
        "o x, i(id) link(soprobit) s(s) ethresh(th)",
        "m w, i(id) family(binom gauss) fv(which) link(logit ident) lv(which)",
    ],
)
def test_derivatives_without_latent_variables_are_those_of_differences(text):
    """Rows stand in the vectors that hold nodes elsewhere."""
    asked, data = resolved(text)
    design, spec, _ = build_design(asked.spec, data)
    one_level = fixed_part(spec)
    parameters = build_parameters(one_level)
    engine = Engine(design.without_latent_variables(), parameters, threads=2)
    objective = FixedObjective(engine, build_reduction((), parameters.names))
    theta = np.linspace(-0.3, 0.4, parameters.n)
    _, score, hessian = objective.derivatives(theta)
    step = 1e-4
    for k in range(parameters.n):
        unit = np.zeros(parameters.n)
        unit[k] = step
        up, down = objective.derivatives(theta + unit), objective.derivatives(theta - unit)
        scale = np.abs(np.diag(hessian)).max()
        assert score[k] == pytest.approx((up[0] - down[0]) / (2 * step), abs=1e-5 * scale)
        np.testing.assert_allclose(hessian[k], (up[1] - down[1]) / (2 * step), atol=1e-6 * scale)


def test_a_kernel_may_be_chosen_by_name(monkeypatch):
    for name in vector_units():
        monkeypatch.setenv(CHOICE, name)
        kernel_class.cache_clear()
        assert kernel_class().__module__.endswith(f"_kernel_{name}")
    monkeypatch.setenv(CHOICE, "sse9")
    kernel_class.cache_clear()
    with pytest.raises(NoSuchKernel) as caught:
        kernel_class()
    assert caught.value.rc == 198
    assert "sse9" in caught.value.message
    monkeypatch.undo()
    kernel_class.cache_clear()
