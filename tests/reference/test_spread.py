"""Standard deviations at which estimation starts, and the nodes that go with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gllamm_cli.data import Dataset
from gllamm_cli.estimate.adapt import LevelPlacement, Placement, rescaled
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.objective import LatentObjective
from gllamm_cli.estimate.spread import spread_out
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.constraints import build_reduction
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.resolve import Definitions, resolve
from gllamm_cli.session import Session
from gllamm_cli.stata.command import parse_gllamm

DEFINITIONS = Definitions(equations={"c": ("one",), "s": ("x",)}, constraints={}, matrices={})
INTERCEPT = "y x, i(id) adapt"
SLOPE = "y x, i(id) nrf(2) eqs(c s) adapt"
THREE_LEVELS = "y x, i(id top) adapt"
LOGIT = " family(binom) link(logit)"


def simulated(sd, *, binary=False, rows=20, units=200):
    """Effects of both levels and of x with standard deviation ``sd``."""
    random = np.random.default_rng(11)
    unit = np.repeat(np.arange(units), rows)
    x = random.normal(size=len(unit))
    effects = sd * random.normal(size=(units, 3))
    eta = 0.5 + 0.3 * x + effects[unit, 0]
    frame = {"id": unit + 1.0, "top": unit // 10 + 1.0, "x": x, "one": 1.0}
    slope, top = effects[unit, 1] * x, effects[unit // 10, 2]
    noise = random.normal(size=len(unit))
    for name, predictor in (("y", eta), ("ys", eta + slope), ("yt", eta + top)):
        frame[name] = predictor + noise
        frame[f"b{name[1:]}"] = (predictor + random.logistic(size=len(unit)) > 0.0) * 1.0
    return pd.DataFrame(frame)


def prepared(text, frame):
    data = Dataset.from_frame(frame)
    asked = resolve(parse_gllamm(text), data, DEFINITIONS)
    design, spec, _ = build_design(asked.spec, data)
    parameters = build_parameters(spec)
    reduction = build_reduction(spec.constraints, parameters.names)
    return LatentObjective(Engine(design, parameters), reduction, spec.adaptive), parameters


def diagonal(parameters):
    return [k for k, name in enumerate(parameters.names) if name.block == "diagonal"]


def fitted(text, frame):
    session = Session(Dataset.from_frame(frame))
    session.run("eq c: one\neq s: x\ngllamm " + text)
    assert session.fit.converged
    return session.fit


@pytest.mark.parametrize("sd", [0.5, 2.0])
@pytest.mark.parametrize("start", [0.3, 1.0, 3.5])
@pytest.mark.parametrize(
    ("text", "tolerance"),
    [(INTERCEPT, 0.05), (SLOPE.replace("y", "ys", 1), 0.1), ("b x, i(id) adapt" + LOGIT, 0.35)],
)
def test_first_moments_tell_standard_deviations(text, tolerance, start, sd):
    """Nearly the estimates, wherever one starts: exactly so for normal responses."""
    frame = simulated(sd)
    fit = fitted(text, frame)
    objective, parameters = prepared(text, frame)
    at = diagonal(parameters)
    values = fit.estimates.copy()
    values[at] = start
    values[[k for k, name in enumerate(parameters.names) if name.block == "offdiagonal"]] = 0.0
    found = spread_out(objective, parameters, values)
    changed = found[at] != start
    wanted = np.abs(fit.estimates[at])
    np.testing.assert_allclose(found[at][changed], wanted[changed], rtol=tolerance)
    # What was near enough is left alone.
    assert (np.abs(np.log(start / wanted[~changed])) < np.log(1.3)).all()
    rest = np.delete(np.arange(len(values)), at)
    assert (found[rest] == values[rest]).all()


@pytest.mark.parametrize("text", [INTERCEPT, SLOPE, THREE_LEVELS])
def test_nodes_go_with_standard_deviations(text):
    """At the new values they are nearly where they belong, which those before are not."""
    objective, parameters = prepared(text, simulated(2.0))
    start = np.array(
        [
            {"fixed": 0.3, "scale": 0.0, "diagonal": 0.5, "offdiagonal": 0.0}[name.block]
            for name in parameters.names
        ]
    )
    values = spread_out(objective, parameters, start)
    assert (values != start).any()
    went = objective.value(values)
    settled = objective.settled_value(values)
    other, _ = prepared(text, simulated(2.0))
    other.first_moments(start)
    assert abs(went - settled) < 0.1 * abs(other.value(values) - settled)


def test_nodes_in_other_units_are_the_same_nodes():
    random = np.random.default_rng(2)
    shift, scale = random.normal(size=(4, 2)), random.uniform(0.1, 1.0, (4, 2))
    mix = np.tile(np.eye(2), (4, 1, 1))
    mix[:, 0, 1] = random.normal(size=4)
    factor = np.array([3.0, 0.2])
    before = LevelPlacement(shift, scale, mix, random.normal(size=(4, 2)))
    after = rescaled(Placement((before,)), [factor]).levels[0]
    x = random.normal(size=2)

    def nodes(level):
        return np.einsum("uij,uj->ui", level.mix, level.shift + level.scale * x)

    np.testing.assert_allclose(nodes(after), nodes(before) / factor)
    np.testing.assert_allclose(after.mean, before.mean / factor)


def test_ordinary_quadrature_starts_as_it_is():
    objective, parameters = prepared("y x, i(id)", simulated(2.0))
    start = np.full(parameters.n, 0.3)
    assert spread_out(objective, parameters, start) is start


def test_few_steps_lead_to_large_variances():
    """From 0.5, Newton's method alone took 18 steps to a standard deviation of 2.8."""
    fit = fitted("b x, i(id) adapt" + LOGIT, simulated(3.0, rows=200, units=100))
    assert fit.estimates[diagonal(fit)[0]] > 2.5
    assert len(fit.iterations) <= 12
