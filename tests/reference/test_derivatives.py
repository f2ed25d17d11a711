"""Score and Hessian are the derivatives of the log likelihood: families, links, structures.

Protects the kernel's nested Louis identity and the chain rule from the
kernel's coefficients to the parameters, with ordinary and adaptive nodes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated import make_design, make_spec, make_theta

from gllamm_cli.estimate.adapt import settle, standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.model.families import FAMILIES, LINKS
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.spec import IntegrationRule

PAIRS = [(f.name, k.name) for f in FAMILIES for k in LINKS if k.code is not None]
STRUCTURES = ("intercept", "slope", "loadings")


def richardson(function, x, k, step):
    """Derivative in x[k] by central differences extrapolated twice; error of order step^6."""

    def central(h):
        up, down = x.copy(), x.copy()
        up[k] += h
        down[k] -= h
        return (function(up) - function(down)) / (2 * h)

    first = [central(step / 2**i) for i in range(3)]
    second = [(4 * first[i + 1] - first[i]) / 3 for i in range(2)]
    return (16 * second[1] - second[0]) / 15


def check(family, link, n_levels, structure, weighted, adaptive, **changes):
    spec = replace(make_spec(family, link, n_levels, structure=structure), **changes)
    design, constant, spread = make_design(spec, weighted=weighted)
    parameters = build_parameters(spec)
    engine = Engine(design, parameters, threads=2)
    theta = make_theta(parameters.names, constant, spread)
    placement = None
    if adaptive:
        placement = settle(engine, theta, standard_placement(design), most_passes=6).placement
    at = engine.evaluate(theta, placement, derivatives=True)
    score, hessian = at.derivatives()
    step = 2e-3 * max(spread, 0.02)
    numeric_score = np.array(
        [
            richardson(lambda t: engine.evaluate(t, placement).log_likelihood, theta, k, step)
            for k in range(parameters.n)
        ]
    )
    numeric_hessian = np.column_stack(
        [
            richardson(
                lambda t: engine.evaluate(t, placement, derivatives=True).score, theta, k, step
            )
            for k in range(parameters.n)
        ]
    )
    scale = np.sqrt(np.abs(np.diag(hessian)))
    np.testing.assert_allclose(score, numeric_score, rtol=1e-7, atol=1e-7 * scale.max())
    np.testing.assert_allclose(
        hessian / np.outer(scale, scale), numeric_hessian / np.outer(scale, scale),
        rtol=1e-7, atol=1e-7,
    )  # fmt: skip


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_every_family_and_link(family, link):
    check(family, link, 2, "slope", weighted=True, adaptive=False)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("n_levels", [2, 3, 4])
def test_every_structure(n_levels, structure, weighted, adaptive):
    check("binom", "logit", n_levels, structure, weighted, adaptive)


@pytest.mark.parametrize("n_levels", [3, 4])
@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_scale_and_links_at_higher_levels(family, link, n_levels):
    check(family, link, n_levels, "loadings", weighted=True, adaptive=True)


@pytest.mark.parametrize("rule", [IntegrationRule.FREE, IntegrationRule.FREE_CENTRED])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("covariates", [(), ((2, ("a", "b")),)])
@pytest.mark.parametrize("n_levels", [2, 3])
def test_masses(n_levels, covariates, structure, rule):
    check(
        "binom", "logit", n_levels, structure, weighted=True, adaptive=False,
        rule=rule, class_covariates=covariates,
    )  # fmt: skip
