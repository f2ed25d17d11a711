"""Where nodes are placed, and that they are held where parameters and nodes chase each other.

The answer is then a maximum for the nodes that are reported, and the user is told.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulated import make_design, make_spec, make_theta

from gllamm_cli.data import Dataset
from gllamm_cli.estimate.adapt import refresh, standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.session import Session

NOTE = "adaptive quadrature has not settled: try with more quadrature points"


def simulate():
    """A standard deviation of 3 with four points each, and nothing at the top level."""
    random = np.random.default_rng(1)
    person = np.arange(320) // 8
    x = random.normal(size=320)
    predictor = 0.3 + 0.5 * x + 3.0 * random.normal(size=40)[person]
    y = (predictor + random.logistic(size=320) > 0) * 1.0
    return pd.DataFrame({"y": y, "x": x, "id": person + 1.0, "top": person // 10 + 1.0})


def test_coarse_quadrature_ends_at_a_maximum_and_says_so():
    session = Session(Dataset.from_frame(simulate()))
    session.run("gllamm y x, i(id top) family(binom) link(logit) adapt nip(4)")
    coarse = session.fit
    assert coarse.converged
    assert len(coarse.iterations) < 100
    assert NOTE in coarse.notes
    assert coarse.iterations[-1].scaled_gradient < 1e-9
    session.run("gllamm y x, i(id top) family(binom) link(logit) adapt nip(21)")
    assert session.fit.converged
    assert NOTE not in session.fit.notes


@pytest.mark.parametrize("seed", range(3))
def test_nodes_are_placed_by_the_definition(seed):
    """v = U e with U D U' the posterior covariance, level by level; see ``estimate/adapt.py``."""
    random = np.random.default_rng(seed)
    spec = make_spec("binom", "logit", 3, structure="slope")
    design, constant, spread = make_design(spec, weighted=False, seed=seed + 1, n_top=700)
    parameters = build_parameters(spec)
    engine = Engine(design, parameters)
    theta = make_theta(parameters.names, constant, spread)
    old = standard_placement(design)
    moments = engine.evaluate(theta, old, moments=True).moments
    placed, furthest = refresh(design, moments, old, cautious=False)
    same, again = refresh(design, moments, old, cautious=False, threads=3)
    assert again == furthest
    for one, other in zip(placed.levels, same.levels, strict=True):
        for name in ("shift", "scale", "mix", "mean"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    lower = design.levels[0]
    movement = 0.0
    for j in random.choice(lower.n_units, 40, replace=False):
        parent = lower.parent[j]
        own, above = moments[0][j], moments[1][parent]
        mean = np.array([own[0], own[1], above[0]])
        second = np.array(
            [[own[2], own[3], own[5]], [own[3], own[4], own[6]], [own[5], own[6], above[1]]]
        )
        U = np.vstack([placed.levels[0].mix[j], placed.levels[1].mix[parent]])
        scale = np.append(placed.levels[0].scale[j], placed.levels[1].scale[parent])
        shift = np.append(placed.levels[0].shift[j], placed.levels[1].shift[parent])
        np.testing.assert_allclose(np.triu(U, 1) + np.eye(3), U, atol=1e-14)
        covariance = second - np.outer(mean, mean)
        np.testing.assert_allclose(U @ np.diag(scale**2) @ U.T, covariance, atol=1e-12)
        np.testing.assert_allclose(U @ shift, mean, atol=1e-12)
        movement = max(movement, np.abs(shift / scale).max(), np.abs(np.log(scale)).max())
    assert movement <= furthest + 1e-12
