"""Probabilities far out in the tails: log likelihood and score of single rows.

A row with nu from an offset, at 1 node (the loops' remainders) and at 8 (whole vectors). The
wanted values are computed by ``scipy.special`` from whichever form is accurate where they are.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special
from test_collapse import resolved

from gllamm_cli.estimate.adapt import standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.parameters import build_parameters

NU = np.concatenate(
    [np.linspace(-12.0, 12.0, 97), [-250.0, -60.0, -38.0, -37.0, -20.0, 20.0, 37.0, 60.0]]
)
"""Predictors; with means beyond exp(300) the complementary log-log link is clipped."""
THRESHOLDS = np.array([-1.0, -0.999, 0.5, 3.0])
LOG_2PI = np.log(2.0 * np.pi)


def normal(x):
    """ln Phi(x) and its derivative phi/Phi."""
    return special.log_ndtr(x), np.sqrt(2.0 / np.pi) / special.erfcx(-x / np.sqrt(2.0))


def cloglog(nu):
    """ln(1 - exp(-exp(nu))) and its derivative."""
    t = np.exp(np.minimum(nu, 300.0))
    p = -np.expm1(-t)
    return np.log(p), t / p * np.exp(-t)


def minus_exp(nu):
    t = -np.exp(np.minimum(nu, 300.0))
    return t, t


def mirrored(function, x):
    value, first = function(x)
    return value, -first


BINARY = {
    "probit": (normal, lambda nu: mirrored(normal, -nu)),
    "cll": (cloglog, minus_exp),
    "ll": (minus_exp, cloglog),
}


def rows_of(text, data, theta_of):
    """Log likelihood and scores of each row, as a cluster of its own, and blocks of parameters.

    The random intercept has no variance, so that every node has the same predictor.
    """
    asked, dataset = resolved(text, data)
    design, spec, _ = build_design(asked.spec, dataset)
    parameters = build_parameters(spec)
    theta = np.array([theta_of(name) for name in parameters.names])
    engine = Engine(design, parameters, 1)
    values, _ = engine.contributions(theta, standard_placement(design))
    scores = engine.cluster_scores(theta, standard_placement(design))
    return values, scores, [name.block for name in parameters.names]


@pytest.mark.parametrize("points", [1, 8])
@pytest.mark.parametrize("link", BINARY)
@pytest.mark.parametrize("successes", [0.0, 1.0, 2.0])
def test_two_categories(link, successes, points):
    """``successes`` of two trials."""
    n = len(NU)
    data = pd.DataFrame(
        {"id": np.arange(n) + 1.0, "y": successes, "trials": 2.0, "off": NU, "one": 1.0}
    )
    # A constant alone, at zero; both outcomes must occur.
    data = pd.concat([data, data[:2].assign(id=[n + 1.0, n + 2.0], y=[0.0, 2.0])])
    found, scores, _ = rows_of(
        f"y one, nocons i(id) family(binom) link({link}) denom(trials) offset(off)"
        f" adapt nip({points})",
        data,
        lambda name: 0.0,
    )
    event, failure = (side(NU) for side in BINARY[link])
    wanted = successes * event[0] + (2.0 - successes) * failure[0]
    ways = np.log(2.0) if successes == 1.0 else 0.0
    np.testing.assert_allclose(found[:n], wanted + ways, rtol=1e-12, atol=1e-15)
    wanted = successes * event[1] + (2.0 - successes) * failure[1]
    np.testing.assert_allclose(scores[:n, 0], wanted, rtol=1e-12, atol=1e-15)


def interval(link, u, w):
    """ln(F(u) - F(w)) and its derivatives in u and w; u may be inf and w -inf."""
    if link == "ologit":
        with np.errstate(over="ignore", invalid="ignore"):
            value = -np.logaddexp(0.0, -u) - np.logaddexp(0.0, w) + np.log(-np.expm1(w - u))
            apart = 1.0 / np.expm1(u - w)
        return value, special.expit(-u) + apart, -special.expit(w) - apart
    if link == "oprobit":
        # In the tail in which both are small.
        u, w = np.where(u + w > 0.0, -w, u), np.where(u + w > 0.0, -u, w)
        high, low = special.log_ndtr(u), special.log_ndtr(w)
        value = high + np.log(-np.expm1(low - high))
        return value, None, None
    with np.errstate(over="ignore", invalid="ignore"):
        t, r = np.exp(np.minimum(u, 300.0)), np.exp(np.minimum(w, 300.0))
        p = -np.expm1(r - t)
        return np.log(p) - r, t * np.exp(r - t) / p, -r / p


@pytest.mark.parametrize("points", [1, 8])
@pytest.mark.parametrize("link", ["ologit", "oprobit", "ocll"])
def test_ordered_categories(link, points):
    """The second category is so narrow that its probability is a difference of near equals."""
    n = len(NU)
    edges = np.concatenate([[-np.inf], THRESHOLDS, [np.inf]])
    category = np.repeat(np.arange(5), n)
    data = pd.DataFrame(
        {
            "id": np.arange(5 * n) + 1.0,
            "o": category + 1.0,
            "off": np.tile(NU, 5),
            "one": np.arange(5.0 * n) % 2.0,
        }
    )

    def theta_of(name):
        return THRESHOLDS[int(name.equation[-1]) - 1] if name.block == "threshold" else 0.0

    found, scores, blocks = rows_of(
        f"o one, i(id) link({link}) offset(off) adapt nip({points})", data, theta_of
    )
    u = np.tile(NU, 5) - edges[category]
    w = np.tile(NU, 5) - edges[category + 1]
    value, first, last = interval(link, u, w)
    # Of so narrow a category the probability is known to fewer digits.
    narrow = category == 1
    np.testing.assert_allclose(found[~narrow], value[~narrow], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found[narrow], value[narrow], rtol=1e-11, atol=1e-11)
    if first is None:
        # phi(x) / p
        with np.errstate(over="ignore"):
            first, last = (np.exp(-0.5 * x**2 - 0.5 * LOG_2PI - value) for x in (u, w))
        last = -last
    columns = np.flatnonzero(np.array(blocks) == "threshold")
    for k in range(4):
        # The threshold below the category and that above it.
        below, above = category == k + 1, category == k
        wanted = np.where(below, -first, 0.0) + np.where(above, -last, 0.0)
        np.testing.assert_allclose(
            scores[:, columns[k]], wanted, rtol=1e-10, atol=1e-13 * np.abs(wanted).max()
        )


ORDERED = [f"o one, i(id) link({link})" for link in ("ologit", "oprobit", "ocll", "soprobit")]
UNORDERED = [f"y one, nocons i(id) family(binom) link({link})" for link in ("logit", *BINARY)]


@pytest.mark.parametrize("points", [1, 8])
@pytest.mark.parametrize(
    ("model", "block"),
    [(model, "fixed") for model in [*UNORDERED, *ORDERED, "o one, i(id) link(mlogit)"]]
    + [(model, "threshold") for model in ORDERED],
)
def test_what_is_not_a_number_is_no_probability(model, block, points):
    """Neither in a coefficient nor in a threshold; bounds of exponents must let it pass."""
    random = np.random.default_rng(3)
    data = pd.DataFrame(
        {
            "id": np.repeat(np.arange(10.0), 5),
            "y": random.integers(0, 2, 50) * 1.0,
            "o": random.integers(1, 4, 50) * 1.0,
            "one": 1.0 + np.arange(50.0) % 2.0,
            "w": 1.0,
        }
    )
    if "soprobit" in model:
        model += " s(sc)"
    asked, dataset = resolved(f"{model} adapt nip({points})", data)
    design, spec, _ = build_design(asked.spec, dataset)
    parameters = build_parameters(spec)
    theta = np.linspace(0.1, 1.0, parameters.n)
    engine = Engine(design, parameters, 1)
    nodes = standard_placement(design)
    assert np.isfinite(engine.evaluate(theta, nodes, derivatives=True).log_likelihood)
    theta[[name.block for name in parameters.names].index(block)] = np.nan
    assert engine.evaluate(theta, nodes).log_likelihood == -np.inf
    assert engine.evaluate(theta, nodes, derivatives=True).log_likelihood == -np.inf
