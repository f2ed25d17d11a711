"""The log likelihood of a latent variable model as the maximiser sees it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.adapt import Placement, rescaled, standard_placement
from gllamm_cli.estimate.engine import Engine, Evaluation
from gllamm_cli.estimate.settle import UNCHANGED, Settled, settle
from gllamm_cli.model.constraints import Reduction

FloatArray = NDArray[np.float64]

NEAR = 0.5
"""Scales by which nodes may miss where they belong while the parameters are still moving."""
AT_REST = 1e-4
"""Last movement of nodes, in their scales, after which another would not be felt."""
NARROW = 3.0
"""Mean of 1 / scale after a first move, in which scales of 1 may shrink to a quarter."""
MANY_UNITS = 1_000
"""Enough for a mean over units."""


class LatentObjective:
    """Log likelihood in the free parameters, by ordinary or adaptive quadrature.

    Attributes
    ----------
    placement
        Present nodes; None for ordinary quadrature.
    settled
        False if the nodes did not settle when they were last asked to.
    at_rest
        Whether the nodes hardly moved when they last moved.
    """

    def __init__(self, engine: Engine, reduction: Reduction, adaptive: bool) -> None:
        self.engine = engine
        self._reduction = reduction
        self.placement: Placement | None = standard_placement(engine.design) if adaptive else None
        self.settled = True
        self.at_rest = not adaptive
        self._held = False
        self._placed_at: FloatArray | None = None
        self._movement = np.inf
        self._before = self.placement
        self._last: tuple[FloatArray, Placement, Evaluation] | None = None

    def value(self, point: FloatArray) -> float:
        """Log likelihood with the present nodes."""
        theta = self._reduction.full(point)
        if self.placement is None:
            return self.engine.evaluate(theta).log_likelihood
        # With the moments at hand, following costs no evaluation of its own.
        evaluation = self.engine.evaluate(theta, self.placement, moments=True)
        self._last = theta, self.placement, evaluation
        return evaluation.log_likelihood

    def settled_value(self, point: FloatArray, tolerance: float = 0.0) -> float:
        """Log likelihood after moving adaptive nodes to where they belong at ``point``."""
        if self.placement is None:
            return self.value(point)
        return self._move(point, self.placement, max(tolerance, UNCHANGED), 0.0).log_likelihood

    def follow(self, point: FloatArray, near: float = NEAR) -> float:
        """Move adaptive nodes to about where they belong at ``point``.

        The last move may be as long as ``near``. Returns how far they are from where they were
        in the last evaluation.
        """
        if self.placement is None or self._held:
            return 0.0
        if self._last is None and self._movement <= near and self._is_placed_at(point):
            return self._movement
        outcome = self._move(point, self.placement, UNCHANGED, near)
        return outcome.movement if outcome.passes == 0 else np.inf

    def begin(self, point: FloatArray) -> None:
        """Move adaptive nodes well enough for a first step from ``point``.

        It is rough itself, so one move will do, unless posteriors are so narrow that it stopped
        on the way.
        """
        self.follow(point, np.inf)
        levels = () if self.placement is None else self.placement.levels
        if any(_narrowness(level.scale) > NARROW for level in levels):
            self.follow(point)

    def _is_placed_at(self, point: FloatArray) -> bool:
        theta = self._reduction.full(point)
        return self._placed_at is not None and np.array_equal(self._placed_at, theta)

    def _move(
        self, point: FloatArray, placement: Placement, tolerance: float, near: float
    ) -> Settled:
        self._before = placement
        theta = self._reduction.full(point)
        first = None
        if self._last is not None and self._last[1] is placement:
            first = self._last[2] if np.array_equal(self._last[0], theta) else None
        outcome = settle(self.engine, theta, placement, tolerance=tolerance, near=near, first=first)
        if not np.isfinite(outcome.log_likelihood):
            # Nodes placed for other parameters may be useless here.
            nodes = standard_placement(self.engine.design)
            outcome = settle(self.engine, theta, nodes, tolerance=tolerance, near=near)
        self._last = None
        self.placement, self._placed_at = outcome.placement, theta
        self.settled = outcome.settled
        self._movement = outcome.movement
        self.at_rest = outcome.movement <= AT_REST
        return outcome

    def first_moments(
        self, point: FloatArray, near: float = np.inf
    ) -> tuple[FloatArray, ...] | None:
        """Posterior moments at ``point`` by the present nodes, which then move to where they say.

        This is done again after moves longer than ``near``, in scales of the nodes. None with
        ordinary quadrature, with constraints, or where they cannot be computed.
        """
        if self.placement is None or not self._reduction.trivial:
            return None
        return self._move(point, self.placement, UNCHANGED, near).moments

    def rescale(self, factors: list[FloatArray]) -> None:
        """Leave the nodes of what varies where they are while its standard deviations change.

        ``factors`` (n,) per level are those by which they grow.
        """
        assert self.placement is not None
        self.placement, self._placed_at = rescaled(self.placement, factors), None

    @property
    def drift(self) -> float:
        """About how far nodes move, in their scales, for each standard error of the parameters.

        A change of the mean of n latent variables by its standard error moves them all by
        1 / sqrt(n) of their standard deviation; where units tell much the nodes lie closer.
        """
        if self.placement is None or self._held:
            return 0.0
        return max(
            _narrowness(level.scale) / math.sqrt(len(level.scale))
            for level in self.placement.levels
        )

    def hold(self) -> None:
        """Leave the nodes where they are: they do not settle."""
        self._held, self.at_rest, self.settled = True, True, False

    def restore(self) -> None:
        """Put the nodes back to where they were before they last moved."""
        self.placement, self._placed_at = self._before, None

    def derivatives(self, point: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log likelihood, score and Hessian in the free parameters."""
        theta = self._reduction.full(point)
        # With the moments, which cost next to nothing here, following costs no evaluation.
        adaptive = self.placement is not None
        evaluation = self.engine.evaluate(theta, self.placement, derivatives=True, moments=adaptive)
        if self.placement is not None:
            self._last = theta, self.placement, evaluation
        return evaluation.reduced(self._reduction)


def _narrowness(scale: FloatArray) -> float:
    """Mean of 1 / ``scale`` (units, n) of nodes over units, of the narrowest latent variable."""
    some = scale[:: max(1, len(scale) // MANY_UNITS)]
    return float((1.0 / some).mean(axis=0).max(initial=0.0))
