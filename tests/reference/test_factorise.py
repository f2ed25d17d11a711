"""Latent variables that share no rows: split integrals equal those over the whole grid."""

from __future__ import annotations

from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gllamm_cli._kernel_portable import LARGEST_LEVEL
from gllamm_cli.after.profile import Profile
from gllamm_cli.data import Dataset
from gllamm_cli.errors import DifferentData
from gllamm_cli.estimate.adapt import standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.fit.estimator import fit_model, model_based, robust_fit
from gllamm_cli.model import factorise as module
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.factorise import MOST_LEVELS, factorise
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.resolve import Definitions, resolve
from gllamm_cli.session import Session
from gllamm_cli.stata.command import parse_gllamm

ITEMS = [f"i{k}" for k in range(6)]


def simulate(persons=60, seed=5):
    """Six items of each person, binary, ordinal and continuous; persons in groups of five.

    Neither rows nor choice sets are in the order of the items.
    """
    random = np.random.default_rng(seed)
    person = np.repeat(np.arange(persons), 6)
    item = np.tile(np.arange(6), persons)
    general = random.normal(size=persons)[person]
    specific = random.normal(size=(persons, 3))[person, item // 2]
    top = 0.5 * random.normal(size=persons)[person // 5]
    ability = general + specific + top + 0.3 * (item - 2)
    noise = random.logistic(size=len(item))
    x = random.normal(size=len(item))
    frame = pd.DataFrame(
        {
            "id": person + 1.0,
            "top": person // 5 + 1.0,
            "item": item + 1.0,
            "x": x,
            "one": 1.0,
            "b": (ability + noise > 0) * 1.0,
            "o": 1.0 + (ability + noise > -1) + (ability + noise > 1),
            "g": ability + 0.5 * x + random.normal(size=len(item)),
            # The first two items are counted as ordinal, the rest as binary.
            "m": np.where(item < 2, 1.0 + (ability + noise > -1), (ability + noise > 0) * 1.0),
            "kind": np.where(item < 2, 1.0, 2.0),
            "set": person * 3 + (item // 2 + person) % 3 + 1.0,
            "chosen": (item % 2 == (x > 0)[person * 6]) * 1.0,
            "part": np.where(item % 2 == 0, 1.0, 2.0),
            "c1": np.where(item % 2 == 0, 0.7, 0.3),
            "c2": np.where(item % 2 == 0, 0.2, 0.8),
            "off": 0.3 * random.normal(size=len(item)),
            "wt1": 1.0 + random.integers(0, 2, len(item)),
            "wt2": 1.0 + person % 2,
            "wt3": 1.0 + person // 5 % 2,
            **{name: (item == k) * 1.0 for k, name in enumerate(ITEMS)},
            **{f"t{k}": (item // 2 == k) * 1.0 for k in range(3)},
            "half": (item < 3) * 1.0,
            "other": (item >= 3) * 1.0,
        }
    )
    return frame.iloc[random.permutation(len(frame))]


FRAME = simulate()
random = np.random.default_rng(2)
SOME_MISSING = FRAME[random.random(len(FRAME)) < 0.6]
EQUATIONS = {
    "all": tuple(ITEMS),
    "f1": ("i0", "i1"),
    "f2": ("i2", "i3"),
    "f3": ("i4", "i5"),
    "h1": ("i0", "i1", "i2"),
    "w1": ("i0", "i2", "i4"),
    "w2": ("i1", "i3", "i5"),
    "h2": ("i3", "i4", "i5"),
    "a1": ("i0",),
    "a2": ("i1",),
    "b1": ("i3",),
    "b2": ("i4",),
    "c": ("one",),
    "s": ("x",),
    "t1": ("t0",),
    "t2": ("t1",),
    "t3": ("t2",),
    "u1": ("half",),
    "u2": ("other",),
}
BY_ITEM = "i0 i1 i2 i3 i4 i5, nocons i(id)"
BY_ITEM_AND_GROUP = "i0 i1 i2 i3 i4 i5, nocons i(id top)"
LOGIT = "family(binom) link(logit)"


def request(command, frame=FRAME, equations=EQUATIONS):
    data = Dataset.from_frame(frame)
    definitions = Definitions(equations=equations, constraints={}, matrices={})
    return resolve(parse_gllamm(f"gllamm {command}"), data, definitions), data


def arrays(command, frame=FRAME, equations=EQUATIONS):
    asked, data = request(command, frame, equations)
    design, spec, _ = build_design(asked.spec, data)
    return design, build_parameters(spec)


def rules(design):
    return [level.rule.points for level in design.levels]


def check_equal(plain, split, theta, tolerance=1e-9):
    """Log likelihood, score, Hessian and scores of clusters, with the nodes of the rules."""
    got, wanted = (Engine(*model, 1).evaluate(theta, derivatives=True) for model in (split, plain))
    assert got.log_likelihood == pytest.approx(wanted.log_likelihood, rel=1e-11)
    size = max(1.0, abs(wanted.hessian).max())
    np.testing.assert_allclose(got.score, wanted.score, rtol=tolerance, atol=tolerance * size)
    np.testing.assert_allclose(got.hessian, wanted.hessian, rtol=tolerance, atol=tolerance * size)
    got, wanted = (Engine(*model, 1).cluster_scores(theta) for model in (split, plain))
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * size)


def check_nested(split, whole):
    """Units have their parts, and nothing is lost of their weights."""
    for below, above in pairwise(split):
        np.testing.assert_array_equal(
            below.parent, np.repeat(np.arange(above.n_units), np.diff(above.first))
        )
        np.testing.assert_array_equal(
            below.total_weight, below.weight * above.total_weight[below.parent]
        )
    assert [level.n_units for level in split[-len(whole) :]] == [level.n_units for level in whole]


SPLITS = [
    # Command, and points of the levels' rules from the lowest on.
    (f"b {BY_ITEM} nrf(3) eqs(all f1 f2) nocorrel {LOGIT} nip(5 4 4)", [(4,), (5,)]),
    (f"b {BY_ITEM} nrf(4) eqs(all f1 f2 f3) nocorrel {LOGIT} nip(3)", [(3,), (3,)]),
    (f"b {BY_ITEM} nrf(4) eqs(f1 f2 all f3) nocorrel {LOGIT} nip(3 3 4 3)", [(3,), (4,)]),
    (f"b {BY_ITEM} nrf(2) eqs(h1 h2) nocorrel {LOGIT} nip(5)", [(5,), ()]),
    (f"b {BY_ITEM} nrf(3) eqs(f1 f2 f3) nocorrel {LOGIT} nip(5 4 4)", [(4, 5), ()]),
    (f"b {BY_ITEM} nrf(3) eqs(f1 f2 f3) nocorrel {LOGIT} nip(5) weight(wt)", [(5,), ()]),
    (
        f"b {BY_ITEM_AND_GROUP} nrf(3 1) eqs(all f1 f2 c) nocorrel {LOGIT} nip(4) weight(wt)",
        [(4,), (4,), (4,)],
    ),
    (
        f"b {BY_ITEM_AND_GROUP} nrf(2 2) eqs(h1 h2 h1 h2) nocorrel {LOGIT} nip(4 4 3 3)",
        [(4,), (), (3, 3)],
    ),
    (f"b {BY_ITEM} nrf(4) eqs(f1 f2 f3 s) nocorrel {LOGIT} nip(3)", [(3,), (3,)]),
    # The first two meet, the third stands alone: one rule serves both groups.
    (f"b {BY_ITEM} nrf(3) eqs(h1 f1 h2) nocorrel {LOGIT} nip(8 3 8)", [(3, 8), ()]),
    # Two bifactor parts side by side are split twice.
    (
        f"b {BY_ITEM} nrf(6) eqs(h1 a1 a2 h2 b1 b2) nocorrel {LOGIT} nip(4)",
        [(4,), (4,), ()],
    ),
    (
        "o x, i(id) nrf(3) eqs(f1 f2 f3) nocorrel link(ologit) ethresh(s) offset(off) nip(4)",
        [(4,), ()],
    ),
    (
        "g x, i(id) nrf(3) eqs(f1 f2 f3) nocorrel s(s) nats weight(wt) offset(off) nip(4)",
        [(4,), ()],
    ),
    (
        "m x, i(id) nrf(2) eqs(w1 w2) nocorrel family(binom) link(ologit logit) lv(kind) nip(6)",
        [(6,), ()],
    ),
    (
        "item x, nocons i(id) nrf(3) eqs(f1 f2 f3) nocorrel expanded(set chosen o) link(mlogit)"
        " nip(4)",
        [(4,), ()],
    ),
    # Rows of a choice set, or of a composite, belong together, whatever each depends on.
    (
        "item x, nocons i(id) nrf(4) eqs(a1 a2 f2 f3) nocorrel expanded(set chosen o)"
        " link(mlogit) nip(4)",
        [(4, 4), ()],
    ),
    (
        f"b x, i(id) nrf(4) eqs(a1 a2 f2 f3) nocorrel {LOGIT} composite(set part c1 c2) weight(wt)"
        " nip(4)",
        [(4, 4), ()],
    ),
]


@pytest.mark.parametrize("frame", [FRAME, SOME_MISSING], ids=["complete", "some missing"])
@pytest.mark.parametrize(("command", "points"), SPLITS)
def test_split_integrals_equal_those_over_the_grid(command, points, frame):
    if "expanded(" in command:
        # A choice set lacks no alternative.
        frame = frame[frame.groupby("set")["item"].transform("size") == 2]
    plain = arrays(command, frame)
    split = factorise(*plain, adaptive=False)
    assert rules(split[0]) == points
    check_nested(split[0].levels, plain[0].levels)
    theta = 0.4 + 0.5 * np.cos(np.arange(plain[1].n))
    check_equal(plain, split, theta)


WHOLE = [
    (f"b {BY_ITEM} eqs(all) {LOGIT}", False),
    (f"b x, i(id) nrf(2) eqs(c s) {LOGIT}", False),
    # The first standardised latent variable is in the rows of both factors.
    (f"b {BY_ITEM} nrf(2) eqs(h1 h2) {LOGIT}", False),
    (f"b {BY_ITEM} nrf(2) eqs(h1 h2) nocorrel {LOGIT} nip(2)", False),
    (f"b {BY_ITEM} nrf(2) eqs(h1 h2) nocorrel {LOGIT} ip(m) nip(5)", False),
    (f"b {BY_ITEM} nrf(2) eqs(h1 h2) nocorrel {LOGIT} ip(l) nip(5)", False),
    (f"b {BY_ITEM} nrf(2) eqs(h1 h2) nocorrel {LOGIT} ip(f) nip(2)", False),
    # Adaptive nodes are placed jointly as long as that can be afforded.
    (f"b {BY_ITEM} nrf(3) eqs(all f1 f2) nocorrel {LOGIT} nip(10)", True),
    (f"b {BY_ITEM_AND_GROUP} nrf(2 1) eqs(h1 h2 c) nocorrel {LOGIT} nip(10)", True),
]


@pytest.mark.parametrize(("command", "adaptive"), WHOLE)
def test_what_gains_nothing_or_would_change_the_nodes_stays_whole(command, adaptive):
    design, parameters = arrays(command)
    split = factorise(design, parameters, adaptive=adaptive)
    assert split[0] is design and split[1] is parameters


@pytest.mark.parametrize(
    "command",
    [
        f"b {BY_ITEM} nrf(3) eqs(all f1 f2) nocorrel {LOGIT} nip(11 10 10)",
        f"b {BY_ITEM_AND_GROUP} nrf(2 1) eqs(h1 h2 c) nocorrel {LOGIT} nip(11)",
    ],
)
def test_large_adaptive_grids_are_split(command):
    assert len(factorise(*arrays(command), adaptive=True)[0].levels) == 1 + len(
        arrays(command)[0].levels
    )


def test_no_split_beyond_the_levels_of_the_kernel():
    assert MOST_LEVELS == LARGEST_LEVEL
    command = f"b {BY_ITEM} nrf(2) eqs(h1 h2) nocorrel {LOGIT} nip(5)"
    with patch.object(module, "MOST_LEVELS", 2):
        assert len(factorise(*arrays(command), adaptive=False)[0].levels) == 1
    with patch.object(module, "MOST_LEVELS", 3):
        assert len(factorise(*arrays(command), adaptive=False)[0].levels) == 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    loadings=st.lists(st.sets(st.sampled_from(ITEMS), min_size=1), min_size=2, max_size=4),
    points=st.lists(st.integers(2, 4), min_size=4, max_size=4),
    correlated=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_pattern_of_loadings(loadings, points, correlated, seed):
    """Whatever meets whatever: with every possible split the integral stays the same."""
    equations = {f"e{k}": tuple(sorted(items)) for k, items in enumerate(loadings)}
    n = len(loadings)
    command = (
        f"b {BY_ITEM} nrf({n}) eqs({' '.join(equations)}) {'' if correlated else 'nocorrel'} "
        f"{LOGIT} nip({' '.join(str(k) for k in points[:n])})"
    )
    draw = np.random.default_rng(seed)
    frame = FRAME[(FRAME["id"] <= 15) & (draw.random(len(FRAME)) < 0.8)]
    plain = arrays(command, frame, equations)
    with patch.object(module, "LEAST_GAIN", 0.01):
        split = factorise(*plain, adaptive=False)
    # All groups have the rule of one level: with different points one may be better off above it.
    alike = len(set(points[:n])) == 1
    if alike and not correlated and sum(map(len, loadings)) == len(set.union(*loadings)):
        assert rules(split[0])[1] == ()
    check_equal(plain, split, draw.normal(size=plain[1].n), tolerance=1e-8)


FITS = [
    f"b x, i(id) nrf(2) eqs(u1 u2) nocorrel {LOGIT} nip(6)",
    f"b x, i(id) nrf(2) eqs(u1 u2) nocorrel {LOGIT} nip(6) adapt robust",
    f"b x, i(id) nrf(3) eqs(t1 t2 t3) nocorrel {LOGIT} nip(5) weight(wt) adapt",
    "o x, i(id) nrf(2) eqs(u1 u2) nocorrel link(ologit) nip(5) adapt",
    f"b x, i(id) nrf(4) eqs(c t1 t2 t3) nocorrel {LOGIT} nip(5) robust",
    f"b x, i(id top) nrf(3 1) eqs(c t1 t2 c) nocorrel {LOGIT} nip(5) weight(wt)",
]


@pytest.mark.parametrize("command", FITS)
def test_fits_are_those_of_the_grid(command):
    asked, data = request(command, simulate(persons=150))
    split = fit_model(asked, data, threads=1)
    whole = fit_model(asked, data, threads=1, shortcuts=False)
    assert split.converged and whole.converged
    # Adaptive nodes are followed until the log likelihood changes by less than 1e-9 of it.
    tolerance = 4e-9 * abs(whole.log_likelihood) if "adapt" in command else 1e-7
    assert split.log_likelihood == pytest.approx(whole.log_likelihood, abs=tolerance)
    errors = np.sqrt(np.diag(whole.covariance))
    np.testing.assert_allclose(split.estimates, whole.estimates, atol=1e-4 * errors.max())
    np.testing.assert_allclose(np.sqrt(np.diag(split.covariance)), errors, rtol=1e-4)


def test_adaptive_nodes_of_a_split_are_as_good_as_joint_ones():
    """More than 1,000 nodes jointly; the two differ by the error of quadrature."""
    command = f"b x, i(id) nrf(3) eqs(c t1 t2) nocorrel {LOGIT} nip(15) adapt"
    asked, data = request(command, simulate(persons=150))
    split = fit_model(asked, data, threads=1)
    whole = fit_model(asked, data, threads=1, shortcuts=False)
    assert split.converged and whole.converged
    assert split.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-4)
    errors = np.sqrt(np.diag(whole.covariance))
    np.testing.assert_allclose(split.estimates, whole.estimates, atol=1e-3 * errors.max())
    np.testing.assert_allclose(np.sqrt(np.diag(split.covariance)), errors, rtol=1e-2)


def test_what_refits_the_data_uses_the_same_split():
    """With few points the joint placement gives another log likelihood, and is refused."""
    command = f"b x, i(id) nrf(4) eqs(c t1 t2 t3) nocorrel {LOGIT} nip(4) adapt robust"
    asked, data = request(command, simulate(persons=150))
    with patch.object(module, "AFFORDABLE_NODES", 100):
        fit = fit_model(asked, data, threads=1)
        again = robust_fit(model_based(fit), data, threads=1)
        Profile(fit, data, threads=1)
    np.testing.assert_allclose(again.covariance, fit.covariance, rtol=1e-5, atol=1e-7)
    for refit in (robust_fit, Profile):
        with pytest.raises(DifferentData):
            refit(fit, data, threads=1)


def test_robust_standard_errors_do_not_depend_on_signs():
    """Scores are taken at the maximum as it was reached, before signs are normalised."""
    session = Session(Dataset.from_frame(simulate(persons=150)), threads=1)
    session.run("eq u1: half")
    session.run("eq u2: other")
    covariances = []
    for sign in (1.0, -1.0):
        session.run(f"matrix a = (0.1, 0.1, 1, {sign})")
        session.run(
            f"gllamm b x, i(id) nrf(2) eqs(u1 u2) nocorrel {LOGIT} nip(6) adapt robust from(a) copy"
        )
        fit = session.fit
        assert all(fit.estimates[k] > 0 for k in fit.block("diagonal"))
        covariances.append(fit.covariance)
    np.testing.assert_allclose(covariances[1], covariances[0], rtol=1e-4, atol=1e-8)


def test_results_do_not_depend_on_threads():
    command = f"b {BY_ITEM} nrf(4) eqs(all f1 f2 f3) nocorrel {LOGIT} nip(8)"
    design, parameters = factorise(*arrays(command, simulate(persons=400)), adaptive=True)
    theta = 0.4 + 0.5 * np.cos(np.arange(parameters.n))
    one, two = (
        Engine(design, parameters, threads).evaluate(
            theta, standard_placement(design), derivatives=True, moments=True
        )
        for threads in (1, 2)
    )
    assert one.log_likelihood == two.log_likelihood
    np.testing.assert_array_equal(one.hessian, two.hessian)
    for a, b in zip(one.moments, two.moments, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_grid_that_is_not_needed_is_never_made():
    """Seven latent variables: 30^7 nodes could not be held."""
    equations = {"all": tuple(ITEMS), **{f"e{k}": (name,) for k, name in enumerate(ITEMS)}}
    command = f"b {BY_ITEM} nrf(7) eqs({' '.join(equations)}) nocorrel {LOGIT} nip(30) adapt"
    plain = arrays(command, FRAME, equations)
    split, _ = factorise(*plain, adaptive=True)
    assert rules(split) == [(30,), (30,)]
    assert plain[0].levels[0].rule.n_nodes == 30**7
    assert "nodes" not in vars(plain[0].levels[0].rule)
