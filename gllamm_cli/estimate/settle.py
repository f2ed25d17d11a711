"""Refreshing adaptive nodes at fixed parameters until they stay put."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.adapt import Placement, refresh
from gllamm_cli.estimate.engine import Engine, Evaluation

FloatArray = NDArray[np.float64]

MOST_PASSES = 118
UNCHANGED = 1e-10
"""Relative change of the log likelihood at which nodes count as settled."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Nodes after refreshing at fixed parameters.

    ``log_likelihood`` is that of the nodes before the last refresh; ``movement`` how far
    that moved them (``adapt.refresh``); ``settled`` False if the limit was reached. ``passes``
    counts the evaluations that it took; ``moments`` are those the last refresh was made from.
    """

    placement: Placement
    log_likelihood: float
    movement: float
    settled: bool
    passes: int
    moments: tuple[FloatArray, ...] | None = None


def settle(
    engine: Engine,
    theta: FloatArray,
    placement: Placement,
    *,
    tolerance: float = UNCHANGED,
    near: float = 0.0,
    most_passes: int = MOST_PASSES,
    first: Evaluation | None = None,
) -> Settled:
    """Refresh the nodes at fixed parameters until the log likelihood stays put.

    -inf is returned if the log likelihood cannot be computed.

    Parameters
    ----------
    tolerance
        Stop when the log likelihood changes by at most this, relatively.
    near
        Stop, too, after a refresh that moved no node by more than this, in scales of
        its unit. Refreshing converges so fast that what remains is far less.
    first
        The evaluation at ``theta`` and ``placement`` with moments, if it is known.
    """
    previous = movement = np.inf
    value = -np.inf
    passes = 0
    for _ in range(most_passes):
        passes += first is None
        evaluation = first or engine.evaluate(theta, placement, moments=True)
        first = None
        value = evaluation.log_likelihood
        if evaluation.moments is None or not np.isfinite(value):
            return Settled(placement, -np.inf, np.inf, False, passes)
        placement, movement = refresh(
            engine.design, evaluation.moments, placement, threads=engine.threads
        )
        if abs(value - previous) <= tolerance * abs(value) or movement <= near:
            return Settled(placement, value, movement, True, passes, evaluation.moments)
        previous = value
    return Settled(placement, value, movement, False, passes)
