"""Placing the nodes for the data of a prediction, and what the posterior then says."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
COLLAPSED_SCALE = 1e-4
"""Standard deviation below which nodes have lost their posterior."""


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
    engine: Engine,
    prepared: PredictionDesign,
    theta: FloatArray,
    *,
    adaptive: bool,
    what: str = "posterior or ll",
) -> Posterior:
    """Evaluate by ordinary quadrature, or move the nodes until they stay put.

    Nodes move as in gllapred; where that loses a posterior, because it is far
    away or much narrower than the distance between nodes, they move more carefully.
    ``what`` is wanted, for the message if it cannot be had.

    Raises
    ------
    LikelihoodUndefined
        The log likelihood cannot be computed for these data.
    """
    try:
        if not adaptive:
            return _evaluated(engine, prepared, theta, None)
        start = _evaluated(engine, prepared, theta, standard_placement(engine.design))
        found = _adapted(engine, prepared, start, cautious=False)
        if found is None:
            found = _adapted(engine, prepared, start, cautious=True)
        if found is None:
            raise _Undefined
        return found
    except _Undefined as error:
        raise LikelihoodUndefined(
            "log-likelihood cannot be computed",
            hint=f"for observations that should not contribute to {what}, "
            "set response variable to missing",
        ) from error


class _Undefined(ArithmeticError):
    """The log likelihood is not a number."""


def _evaluated(
    engine: Engine, prepared: PredictionDesign, theta: FloatArray, placement: Placement | None
) -> Posterior:
    contributions, moments = engine.contributions(theta, placement)
    total = float((prepared.unit_weight * contributions).sum())
    if not np.isfinite(total):
        raise _Undefined
    return Posterior(theta, total, contributions, moments, placement)


def _adapted(
    engine: Engine, prepared: PredictionDesign, start: Posterior, *, cautious: bool
) -> Posterior | None:
    """Move the nodes from those of ``start``; None if a posterior was lost on the way."""
    present = start
    shown: list[float] = []
    finished = False
    for _ in range(MOST_PASSES):
        assert present.placement is not None
        placement, _ = refresh(engine.design, present.moments, present.placement, cautious=cautious)
        if not cautious and _collapsed(placement):
            return None
        try:
            following = _evaluated(engine, prepared, start.theta, placement)
        except _Undefined:
            return None
        total = following.log_likelihood
        # The first pass is not compared with ordinary quadrature.
        change = abs(total - present.log_likelihood) if shown else np.inf
        present = following
        if not finished:
            shown.append(total)
        finished = finished or change <= SHOWN_TOLERANCE * abs(total)
        if change <= TOLERANCE * abs(total):
            break
    else:
        if not cautious:
            return None
    return replace(present, ordinary=start.log_likelihood, passes=tuple(shown))


def _collapsed(placement: Placement) -> bool:
    return any((level.scale < COLLAPSED_SCALE).any() for level in placement.levels)
