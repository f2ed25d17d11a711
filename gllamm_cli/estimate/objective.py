"""The log likelihood of a latent variable model as the maximiser sees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.adapt import Placement, standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.settle import settle
from gllamm_cli.model.constraints import Reduction

FloatArray = NDArray[np.float64]


class LatentObjective:
    """Log likelihood in the free parameters, by ordinary or adaptive quadrature.

    Attributes
    ----------
    placement
        Present nodes; None for ordinary quadrature.
    settled
        False if the nodes did not settle at the last refresh.
    """

    def __init__(self, engine: Engine, reduction: Reduction, adaptive: bool) -> None:
        self.engine = engine
        self._reduction = reduction
        self.placement: Placement | None = standard_placement(engine.design) if adaptive else None
        self.settled = True
        self._before = self.placement

    def value(self, point: FloatArray) -> float:
        """Log likelihood with the present nodes."""
        theta = self._reduction.full(point)
        return self.engine.evaluate(theta, self.placement).log_likelihood

    def settled_value(self, point: FloatArray) -> float:
        """Log likelihood after moving adaptive nodes to where they belong at ``point``."""
        self._before = self.placement
        if self.placement is None:
            return self.value(point)
        theta = self._reduction.full(point)
        outcome = settle(self.engine, theta, self.placement)
        if not np.isfinite(outcome.log_likelihood):
            # Nodes placed for other parameters may be useless here.
            outcome = settle(self.engine, theta, standard_placement(self.engine.design))
        self.placement = outcome.placement
        self.settled = outcome.settled
        return outcome.log_likelihood

    def restore(self) -> None:
        """Put the nodes back to where they were before the last ``settled_value``."""
        self.placement = self._before

    def derivatives(self, point: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log likelihood, score and Hessian in the free parameters."""
        evaluation = self.engine.evaluate(
            self._reduction.full(point), self.placement, derivatives=True
        )
        return evaluation.reduced(self._reduction)
