"""Starts found by trying: random values, and the place of a new mass (``gateaux()``)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.estimate.maximise import Objective
from gllamm_cli.estimate.start import n_without_latent
from gllamm_cli.model.constraints import Reduction
from gllamm_cli.model.parameters import Parameters, parameter_names
from gllamm_cli.model.spec import CONSTANT, IntegrationRule, ModelSpec, StartVector

FloatArray = NDArray[np.float64]

SEARCH_RANGE = 3.0
SEARCH_SEED = 20010801
"""Fixed, so that a search can be repeated."""
SMALL_MASS = -6.0
STARTING_MASS = -3.0
"""Log odds of the new mass while its place is sought, and when estimation starts."""
LEAST_GAIN = 1e-5


def search(
    objective: Objective,
    reduction: Reduction,
    parameters: Parameters,
    start: FloatArray,
    tries: int,
) -> FloatArray:
    """Return the best of ``start`` and ``tries - 1`` points with random latent parameters.

    All parameters of latent variables are uniform on (0, 3), as in gllamm.
    """
    rng = np.random.default_rng(SEARCH_SEED)
    first = n_without_latent(parameters)
    best, highest = start, objective.settled_value(reduction.reduce(start))
    for _ in range(tries - 1):
        trial = start.copy()
        trial[first:] = rng.uniform(0.0, SEARCH_RANGE, parameters.n - first)
        value = objective.settled_value(reduction.reduce(trial))
        if value > highest:
            best, highest = trial, value
    return best


def _with_new_mass(spec: ModelSpec, parameters: Parameters, given: StartVector) -> FloatArray:
    """Full vector of K classes from a solution with K - 1; the new class has zero locations."""
    top = spec.levels[-1]
    K = top.latent[0].points
    smaller = replace(
        spec,
        levels=(
            *spec.levels[:-1],
            replace(top, latent=tuple(replace(e, points=K - 1) for e in top.latent)),
        ),
    )
    names = parameter_names(smaller) if K > 1 else ()
    if K < 2 or len(given.values) != len(names):
        raise InvalidSyntax(
            f"initial value vector should have length {len(names)}",
            hint=f"gateaux() needs from() with the solution for {K - 1} classes",
        )
    old = {
        (name.block, name.effects, name.equation if not name.effects else "", name.name): value
        for name, value in zip(names, given.values, strict=True)
    }
    values = np.zeros(parameters.n)
    numbers = {effect.number for effect in top.latent}
    for k, name in enumerate(parameters.names):
        effects = name.effects
        if name.block == "location" and effects[0] in numbers and effects[1] >= K - 1:
            if effects[1] == K - 1:
                continue
            effects = (effects[0], K - 1)
        if name.block == "odds" and effects == (top.number, K - 1):
            values[k] = SMALL_MASS if name.name == CONSTANT else 0.0
            continue
        values[k] = old[name.block, effects, name.equation if not effects else "", name.name]
    return values


def place_new_mass(
    spec: ModelSpec,
    objective: Objective,
    reduction: Reduction,
    parameters: Parameters,
    given: StartVector,
) -> tuple[FloatArray, float]:
    """Try a small mass on a grid; return the start it suggests and the best log likelihood.

    The grid has n points from ``low`` to ``high`` in each dimension of the top level.
    """
    assert spec.gateaux is not None and spec.rule in (
        IntegrationRule.FREE,
        IntegrationRule.FREE_CENTRED,
    )
    low, high, n = spec.gateaux
    top = spec.levels[-1]
    K = top.latent[0].points
    values = _with_new_mass(spec, parameters, given)
    where = [
        next(
            k
            for k, name in enumerate(parameters.names)
            if name.block == "location" and name.effects == (effect.number, K - 1)
        )
        for effect in top.latent
    ]
    best, highest = values, -np.inf
    for point in product(np.linspace(low, high, n), repeat=len(where)):
        trial = values.copy()
        trial[where] = point
        value = objective.value(reduction.reduce(trial))
        if value > highest:
            best, highest = trial, value
    for k, name in enumerate(parameters.names):
        if name.block == "odds" and name.effects == (top.number, K - 1) and name.name == CONSTANT:
            best[k] = STARTING_MASS
    return best, highest
