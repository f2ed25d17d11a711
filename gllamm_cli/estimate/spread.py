"""Starting values for the standard deviations of latent variables, from posterior moments.

Let the model say that v_j ~ N(0, 1) where the data have v_j ~ N(0, psi). Of a unit with
information i_j the data alone estimate v_j as d_j, with variance psi + 1 / i_j over units. Under
the model the posterior of v_j has variance c_j = 1 / (1 + i_j) and mean m_j = r_j d_j, where
r_j = 1 - c_j. So E[m_j^2] = r_j^2 psi + r_j c_j, and

    psi = sum_j (m_j^2 - r_j c_j) / sum_j r_j^2

is an estimate at any standard deviation, exact for normal responses. (The method of moments for
shrunken estimates; Morris 1983, JASA 78, section 5.) Newton's method takes many steps from a
standard deviation that is far too small, where the log likelihood is far from quadratic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.objective import NEAR, LatentObjective
from gllamm_cli.model.design import DesignLevel
from gllamm_cli.model.parameters import Parameters

FloatArray = NDArray[np.float64]

LEAST_CHANGE = 1.25
"""Factor of a standard deviation that makes a difference."""
MOST_CHANGE = 8.0
"""Largest factor that is believed."""
ROUGHLY_SEEN = 0.6
"""Mean reliability from which posteriors are narrow for nodes that do not know where they are."""
LEAST_KNOWN = 1.0
"""Sum of r_j^2, in effect the number of units whose v_j are known, to learn anything from."""


def spread_out(objective: LatentObjective, parameters: Parameters, start: FloatArray) -> FloatArray:
    """Return ``start`` (K,) with standard deviations as posterior moments there suggest them.

    The nodes of ``objective`` go with them. Models with constraints, those whose integrals are
    split, so that latent variables have other numbers, and ordinary quadrature start as they are.
    """
    split = objective.engine.parameters is not parameters
    moments = None if split else objective.first_moments(start)
    levels = objective.engine.design.levels
    if moments is not None and _reliability(levels, moments) > ROUGHLY_SEEN:
        moments = objective.first_moments(start, NEAR)
    if moments is None:
        return start
    parameter = {
        name.effects[0]: k for k, name in enumerate(parameters.names) if name.block == "diagonal"
    }
    values, factors, number = start.copy(), [], 0
    for level, own in zip(levels, moments, strict=True):
        factors.append(np.ones(level.rule.n_latent))
        for i in range(level.rule.n_latent):
            number += 1
            if number in parameter:
                factors[-1][i] = _factor(*_marginal(own, level, i), level.total_weight)
                values[parameter[number]] *= factors[-1][i]
    if (values != start).any():
        objective.rescale(factors)
    return values


def _marginal(moments: FloatArray, level: DesignLevel, i: int) -> tuple[FloatArray, FloatArray]:
    """Posterior means (units,) and variances of latent variable ``i`` of a level."""
    # Squares stand on the diagonal of what follows the means, packed by rows.
    mean, square = moments[:, i], moments[:, level.rule.n_latent + i * (i + 3) // 2]
    return mean, np.minimum(square - mean**2, 1.0)


def _reliability(levels: tuple[DesignLevel, ...], moments: tuple[FloatArray, ...]) -> float:
    """Largest mean reliability r_j of a latent variable."""
    found = [
        1.0 - float(_marginal(own, level, i)[1].mean())
        for level, own in zip(levels, moments, strict=True)
        for i in range(level.rule.n_latent)
    ]
    return max(found, default=0.0)


def _factor(mean: FloatArray, variance: FloatArray, weight: FloatArray) -> float:
    """Square root of psi from posterior moments of units; 1 if that would change little."""
    reliability = 1.0 - variance
    known = float((weight * reliability**2).sum())
    if known < LEAST_KNOWN:
        return 1.0
    psi = float((weight * (mean**2 - reliability * variance)).sum()) / known
    factor = float(np.sqrt(max(psi, 0.0)))
    if 1.0 / LEAST_CHANGE < factor < LEAST_CHANGE:
        return 1.0
    return min(max(factor, 1.0 / MOST_CHANGE), MOST_CHANGE)
