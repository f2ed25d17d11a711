"""Placing the nodes for the data of a prediction, and what the posterior then says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import LikelihoodUndefined
from gllamm_cli.estimate.adapt import Placement, refresh, standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.predict.design import PredictionDesign

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-10
"""Relative change of the log likelihood at which nodes are in place, as at estimation."""
SHOWN_TOLERANCE = 1e-8
"""Change at which gllamm stops, and beyond which passes are not listed."""
MOST_PASSES = 118


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Log likelihood and posterior moments at parameters theta.

    Attributes
    ----------
    log_likelihood
        Sum over top-level units with their weights.
    contributions : (top-level units,)
        Without the units' weights.
    moments
        Raw moments as the kernel gives them, per level.
    placement
        Adaptive nodes; None for ordinary quadrature.
    ordinary
        Log likelihood before the nodes moved; None for ordinary quadrature.
    passes
        Log likelihoods of the passes that moved them, as gllapred lists them.
    """

    theta: FloatArray
    log_likelihood: float
    contributions: FloatArray
    moments: tuple[FloatArray, ...]
    placement: Placement | None
    ordinary: float | None = None
    passes: tuple[float, ...] = ()


def evaluate_posterior(
    engine: Engine, prepared: PredictionDesign, theta: FloatArray, *, adaptive: bool
) -> Posterior:
    """Evaluate by ordinary quadrature, or move the nodes until they stay put.

    Raises
    ------
    LikelihoodUndefined
        The log likelihood cannot be computed for these data.
    """

    def evaluated(placement: Placement | None) -> tuple[float, FloatArray, tuple[FloatArray, ...]]:
        contributions, moments = engine.contributions(theta, placement)
        total = float(prepared.unit_weight @ contributions)
        if not np.isfinite(total):
            raise LikelihoodUndefined(
                "log-likelihood cannot be computed",
                hint="for observations that should not contribute to posterior or ll, "
                "set response variable to missing",
            )
        return total, contributions, moments

    if not adaptive:
        total, contributions, moments = evaluated(None)
        return Posterior(theta, total, contributions, moments, None)
    placement = standard_placement(engine.design)
    ordinary, _, moments = evaluated(placement)
    shown: list[float] = []
    previous, finished = np.inf, False
    for _ in range(MOST_PASSES):
        placement = refresh(engine.design, moments, placement)
        total, contributions, moments = evaluated(placement)
        change = abs(total - previous) / max(abs(total), 1e-300)
        if not finished:
            shown.append(total)
        finished = finished or change <= SHOWN_TOLERANCE
        if change <= TOLERANCE:
            break
        previous = total
    return Posterior(theta, total, contributions, moments, placement, ordinary, tuple(shown))
