"""Score and Hessian are the derivatives of the log likelihood: families, links, structures.

Protects the kernel's nested Louis identity and the chain rule from the
kernel's coefficients to the parameters, with ordinary and adaptive nodes.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from simulated import make_design, make_spec, make_theta

from gllamm_cli.estimate.adapt import standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.settle import settle
from gllamm_cli.model.auxiliary import OrdinalRows
from gllamm_cli.model.design import CompositeRows
from gllamm_cli.model.families import FAMILIES, LINKS
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.spec import IntegrationRule, Thresholds

PAIRS = [
    (f.name, k.name) for f in FAMILIES for k in LINKS if not (k.ordinal or k.nominal or k.has_scale)
]
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


def check(family, link, n_levels, structure, weighted, adaptive, alter=None, **changes):
    spec = replace(make_spec(family, link, n_levels, structure=structure), **changes)
    design, constant, spread = make_design(spec, weighted=weighted)
    if alter is not None:
        spec, design = alter(spec, design)
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
    # A constant cancels in choice sets and has no curvature at all.
    curvature = np.abs(np.diag(hessian))
    scale = np.sqrt(np.maximum(curvature, 1e-3 * curvature.max()))
    np.testing.assert_allclose(
        engine.cluster_scores(theta, placement).sum(axis=0), score, rtol=1e-9, atol=1e-9
    )
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


BINOMIAL, ORDINAL, NOMINAL = 1 * 16, 4 * 16, 5 * 16
GAUSSIAN_IDENTITY, POISSON_LOG, GAMMA_LOG = 0, 2 * 16 + 1, 3 * 16 + 1
LOGIT, PROBIT, CLOGLOG, SCALED_PROBIT, SCALED_LOGIT = 3, 4, 5, 7, 8


def ordinal(link, *, increments=False, covariates=(), responses=1, share=1.0):
    """Turn (a share of) the rows into ordinal responses with four categories each."""

    def alter(spec, design):
        rng = np.random.default_rng(5)
        n = design.n_rows
        which = np.where(rng.uniform(size=n) < share, rng.integers(0, responses, n), -1)
        rows, thresholds = [], []
        first = len(spec.scale_variables) if spec.has_scale else 0
        for r in range(responses):
            here = np.flatnonzero(which == r)
            z = np.column_stack([rng.normal(size=(len(here), len(covariates))), np.ones(len(here))])
            category = rng.integers(0, 4, len(here))
            rows.append(OrdinalRows(here, category, 4, z, first, increments))
            thresholds.append(Thresholds(r + 1, covariates, increments, (1.0, 2.0, 3.0, 4.0)))
            first += 3 * z.shape[1]
        kind = np.where(which >= 0, ORDINAL + link, design.kind).astype(np.int32)
        return (
            replace(spec, thresholds=tuple(thresholds)),
            replace(design, kind=kind, ordinal=tuple(rows)),
        )

    return alter


@pytest.mark.parametrize("increments", [False, True])
@pytest.mark.parametrize("link", [LOGIT, PROBIT, CLOGLOG])
def test_ordinal(link, increments):
    check("poiss", "log", 2, "slope", True, True, ordinal(link, increments=increments))


@pytest.mark.parametrize("n_levels", [2, 3])
@pytest.mark.parametrize("increments", [False, True])
@pytest.mark.parametrize("link", [LOGIT, PROBIT, CLOGLOG, SCALED_PROBIT])
def test_ordinal_with_scale_and_threshold_covariates_beside_a_continuous_response(
    link, increments, n_levels
):
    alter = ordinal(link, increments=increments, covariates=("t",), responses=2, share=0.7)
    check(
        "gauss", "ident", n_levels, "loadings", True, True, alter,
        scale_variables=("_cons", "x1"),
    )  # fmt: skip


def of_units(*kinds):
    """Give the rows of each lowest unit kinds of their own: some of one kind, some of two."""

    def alter(spec, design):
        rng = np.random.default_rng(9)
        n = design.n_rows
        unit = np.repeat(np.arange(design.levels[0].n_units), np.diff(design.levels[0].first))
        pairs = rng.integers(0, len(kinds), (design.levels[0].n_units, 2))
        pairs[::2, 1] = pairs[::2, 0]
        kind = np.array(kinds)[pairs[unit, rng.integers(0, 2, n)]].astype(np.int32)
        y = np.where(kind == GAUSSIAN_IDENTITY, design.y, 1.0 * (design.y > 0.5))
        y = np.where(kind == GAMMA_LOG, 0.2 + np.abs(design.y), y)
        return spec, replace(design, kind=kind, y=y, denominator=np.ones(n))

    return alter


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_levels", [2, 3])
@pytest.mark.parametrize("structure", ["slope", "loadings"])
@pytest.mark.parametrize(
    "kinds",
    [
        (GAUSSIAN_IDENTITY, BINOMIAL + LOGIT),
        (GAMMA_LOG, BINOMIAL + LOGIT),
        (GAUSSIAN_IDENTITY, BINOMIAL + LOGIT, BINOMIAL + PROBIT, POISSON_LOG, GAMMA_LOG),
        (BINOMIAL + SCALED_PROBIT, BINOMIAL + LOGIT, BINOMIAL + CLOGLOG),
    ],
)
def test_units_of_different_kinds(kinds, structure, n_levels, weighted, adaptive):
    """A unit must not see what the one before left behind."""
    check("gauss", "ident", n_levels, structure, weighted, adaptive, of_units(*kinds))


def test_scale_on_its_natural_scale():
    def natural(spec, design):
        return spec, replace(design, natural_scale=True)

    check("gauss", "ident", 2, "slope", True, True, natural, scale_variables=("_cons", "x1"))


def test_scaled_probit():
    def scaled(spec, design):
        y = (design.y > 0.5).astype(float)
        return spec, replace(design, kind=np.full_like(design.kind, 16 + SCALED_PROBIT), y=y)

    check("gauss", "ident", 3, "slope", True, True, scaled)


@pytest.mark.parametrize("link", [LOGIT, SCALED_LOGIT])
@pytest.mark.parametrize("n_levels", [2, 3])
def test_choice_sets(n_levels, link):
    def choices(spec, design):
        rng = np.random.default_rng(3)
        entries, y, weight = [0], np.zeros(design.n_rows), np.ones(design.n_rows)
        starts = design.levels[0].first
        for begin, end in pairwise(starts):
            at = begin
            while at < end:
                size = min(int(rng.integers(1, 5)), end - at)
                entries.extend(np.cumsum(np.arange(1, size + 1)) + entries[-1])
                y[at + rng.integers(size)] = 1.0
                weight[at : at + size] = rng.integers(1, 3)
                at += size
        kind = np.full_like(design.kind, NOMINAL + link)
        start = np.array(entries, dtype=np.int64)
        return spec, replace(design, kind=kind, y=y, row_weight=weight, entry_start=start)

    family = "gauss" if link == SCALED_LOGIT else "poiss"
    check(family, "ident" if family == "gauss" else "log", n_levels, "slope", True, True, choices)


@pytest.mark.parametrize("n_levels", [2, 3])
@pytest.mark.parametrize(
    ("family", "link"),
    [("binom", "logit"), ("binom", "cll"), ("poiss", "log"), ("gauss", "log"), ("gamma", "log")],
)
def test_composite_links(family, link, n_levels):
    """Groups of rows whose means add up to two composite means, each with a likelihood."""

    def composite(spec, design):
        rng = np.random.default_rng(3)
        n = design.n_rows
        entries, part, portion = [0], np.zeros(n, dtype=np.int32), np.zeros((n, 2))
        for begin, end in pairwise(design.levels[0].first):
            at = begin
            while at < end:
                size = min(3, end - at)
                entries.extend(np.cumsum(np.arange(1, size + 1)) + entries[-1])
                part[at] = 1
                part[at + size - 1] = 2
                portion[at : at + size] = rng.uniform(0.1, 0.4, (size, 2))
                at += size
        weight = rng.integers(1, 3, n).astype(float)
        kind = design.kind + 8 * 16
        kind[part == 0] = (8 + 1) * 16 + 4
        rows = CompositeRows(part, portion, weight, weight)
        return spec, replace(
            design,
            kind=kind.astype(np.int32),
            row_weight=np.ones(n),
            entry_start=np.array(entries, dtype=np.int64),
            composite=rows,
        )

    check(family, link, n_levels, "slope", True, True, composite)
