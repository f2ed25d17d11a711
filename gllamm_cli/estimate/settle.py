"""Refreshing adaptive nodes at fixed parameters until they stay put."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.adapt import Placement, refresh
from gllamm_cli.estimate.engine import Engine

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Settled:
    """Nodes after refreshing at fixed parameters.

    ``log_likelihood`` is that of the nodes before the last refresh; ``passes``
    the number of evaluations; ``settled`` False if the limit was reached.
    """

    placement: Placement
    log_likelihood: float
    passes: int
    settled: bool


def settle(
    engine: Engine,
    theta: FloatArray,
    placement: Placement,
    *,
    tolerance: float = 1e-10,
    most_passes: int = 118,
) -> Settled:
    """Refresh the nodes at fixed parameters until the log likelihood stays put.

    Stops when it changes by at most ``tolerance`` relatively. -inf is returned
    if it cannot be computed.
    """
    previous = np.inf
    for passes in range(1, most_passes + 1):
        evaluation = engine.evaluate(theta, placement, moments=True)
        value = evaluation.log_likelihood
        if evaluation.moments is None or not np.isfinite(value):
            return Settled(placement, -np.inf, passes, False)
        placement = refresh(engine.design, evaluation.moments, placement)
        if abs(value - previous) <= tolerance * abs(value):
            return Settled(placement, value, passes, True)
        previous = value
    return Settled(placement, value, most_passes, False)
