"""Newton's method in a trust region, with exact second derivatives.

Each step maximises the quadratic model of the log likelihood inside a ball, in
coordinates scaled by the curvature of each parameter; where the log likelihood
is concave and the model good this is the Newton step. (Nocedal and Wright 2006,
Numerical Optimization, chapter 4.)

With adaptive quadrature score and Hessian are those of the approximation with
the nodes held, which are close to those of the exact log likelihood. A step is
good if it raises the log likelihood with the nodes held or with the nodes moved
to where they belong after the step. The first decides near the maximum, where
the answer is a fixed point: the parameters maximise the approximation whose
nodes were placed at those parameters. The second lets the parameters go far when
the posterior distributions are narrow, so that nodes held are soon useless.

The nodes follow the parameters after each step, roughly: refreshing them
converges so fast that they are in place long before the parameters are. Derivatives
are computed with the nodes of the step before, together with the moments that
place the next ones; they are computed anew only where nodes move far. Where they
are bound to, since there are few units whose posterior distributions are narrow,
the nodes are placed first and the derivatives are right at once. At the end
the nodes must be at rest. If they do not come to rest they are held, as gllamm
does after its adaptive iterations, and the maximum is that for these nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.records import IterationRecord

FloatArray = NDArray[np.float64]

SCALED_GRADIENT = 1e-12
"""g'H^-1 g at convergence: squared distance to the maximum in standard errors.

One more step is taken from there, without evaluating anything.
"""
FIRST_RADIUS = 10.0
"""Scaled length that a first step may have whatever the log likelihood."""
ROUGH = 1e-6
"""Tolerance from which estimates only serve as starting values: it is that after the last step."""
SETTLED_CHANGE = 1e-6
"""Relative change of the log likelihood at which adaptive iterations count as converged."""
FLAT = 1e-10
"""Eigenvalue of the scaled information, relative to the largest, that counts as zero."""
NEAR_ENOUGH = 1e-13
"""For each unit, g'H^-1 g from which one more step may be the last if it promises to converge.

It is taken without evaluating anything, so that the information is that of the point before.
With n units a step of d standard errors changes it by a fraction of about d / sqrt(n).
"""
SMALL_GAIN = 1e-4
"""Predicted gain, in units of log likelihood, of a step too short to go wrong."""
LARGE_LOSS = 100.0
"""Loss of log likelihood that even such a step may not bring, in units of that gain."""
MANY = 2_000
"""Number of units with which a millionth part of a standard error is enough; more may do with
up to three times that.
"""
NEARBY = 100.0
"""g'H^-1 g at the start below which the first step is so good that the nodes should be, too."""
BEST_RATE = 0.01
"""Factor by which a step shrinks the distance at best, nodes being one step behind."""
STALE = 0.4
"""Movement of nodes, in their scales, after which derivatives are computed anew."""
DRIFTING = 0.07
"""Movement of nodes, in their scales, for each standard error, from which they go ahead."""
MOST_FOLLOWING = 80
MOST_SETTLED = 40
"""Iterations, and iterations after the log likelihood has settled, before nodes are held.

Where quadrature is coarse parameters and nodes may chase each other for ever.
"""
UNNOTICED, UNNOTICED_PER_UNIT = 4e-9, 2e-7
"""Error of a predicted log likelihood, relative to it or for each unit, that may pass.

Beyond both the nodes must be to blame. Where it matters so much where they are, derivatives are
computed anew, too.
"""
EXPECTED_ERROR, GROWTH_OF_ERROR = 0.1, 0.3
"""Error of predicted gains, as a share of them, that is not due to nodes; of 1 so much more."""
UNFELT = 1e-9
"""Relative change of the log likelihood by the last move of nodes that ends their pursuit."""
LEAST_FELT = 1e-6
"""Change of the log likelihood for each scale that nodes move, at least."""
IN_PLACE = 1e-5
"""Movement of nodes, in their scales, that leaves derivatives from before as good as new."""
MOST_REDUCTIONS = 40
MOST_SHIFTS = 200


class Objective(Protocol):
    """A log likelihood with nodes that stay where they are until told to move."""

    at_rest: bool
    """Whether the nodes hardly moved when they last moved."""

    @property
    def drift(self) -> float:
        """About how far nodes move, in their scales, for each standard error of the parameters."""

    def value(self, point: FloatArray) -> float:
        """Log likelihood with the present nodes; -inf where it cannot be computed."""

    def settled_value(self, point: FloatArray, tolerance: float = ...) -> float:
        """Log likelihood after moving the nodes to where they belong at ``point``.

        Up to the relative ``tolerance``.
        """

    def follow(self, point: FloatArray, near: float = ...) -> float:
        """Move the nodes to about where they belong at ``point``.

        The last move may be as long as ``near``, in scales of the nodes. Returns how far they
        are now from where they were in the last evaluation.
        """

    def begin(self, point: FloatArray) -> None:
        """Move the nodes well enough for a first step from ``point``."""

    def restore(self) -> None:
        """Put the nodes back to where they were before they last moved."""

    def hold(self) -> None:
        """Leave the nodes where they are from now on."""

    def derivatives(self, point: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log likelihood, score and Hessian with the present nodes."""


@dataclass(frozen=True, slots=True)
class Maximum:
    """Where the maximiser stopped.

    ``converged`` says whether the gradient criterion was met; ``concave``
    whether the Hessian is negative definite there.
    """

    point: FloatArray
    log_likelihood: float
    score: FloatArray
    hessian: FloatArray
    converged: bool
    concave: bool
    iterations: tuple[IterationRecord, ...]


@dataclass(frozen=True, slots=True)
class _Curvature:
    """Eigen decomposition of the information in scaled coordinates.

    ``scaled_gradient`` is g'H^-1 g, negative curvature counted as positive, over directions
    that are not flat.
    """

    scale: FloatArray
    eigenvalues: FloatArray
    vectors: FloatArray
    gradient: FloatArray
    concave: bool
    scaled_gradient: float

    def step(self, radius: float) -> tuple[FloatArray, float, float]:
        """Best step of scaled length at most ``radius``; also its length and predicted gain."""
        w, c = self.eigenvalues, self.gradient
        along = c / w if self.concave else np.full_like(c, np.inf)
        if not _length(along) <= radius:
            along = self._on_sphere(radius)
        predicted = float(c @ along - 0.5 * along @ (w * along))
        return self.scale * (self.vectors @ along), _length(along), predicted

    def _on_sphere(self, radius: float) -> FloatArray:
        w, c = self.eigenvalues, self.gradient
        floor = max(0.0, -w[0])
        spread = max(abs(w[0]), abs(w[-1]), 1e-300)

        def along(shift: float) -> FloatArray:
            return np.asarray(c / (w + shift), dtype=np.float64)

        shift = floor + 1e-12 * spread
        step = along(shift)
        if _length(step) <= radius:
            if w[0] > -FLAT * spread:
                return step
            # The gradient hardly touches the direction of most positive curvature:
            # go along it for the rest of the way.
            rest = np.sqrt(max(radius**2 - float(step @ step), 0.0))
            step[0] += rest if step[0] >= 0 else -rest
            return step
        # Newton's method for 1/|step| = 1/radius climbs to the root from below
        # (Nocedal and Wright 2006, algorithm 4.3).
        for _ in range(MOST_SHIFTS):
            length = _length(step)
            if length <= radius * (1.0 + 1e-12):
                break
            slope = float(np.sum(step * step / (w + shift)))
            shift += length * length / slope * (length - radius) / radius
            step = along(shift)
        return step


def _curvature(score: FloatArray, hessian: FloatArray) -> _Curvature:
    diagonal = np.abs(hessian.diagonal())
    largest = max(diagonal.max(initial=0.0), 1e-280)
    # Products of scales must be finite even where nothing curves. A parameter that does nothing
    # must not move, but rounding would make it, and the more the larger its scale.
    idle = (score == 0.0) & ~hessian.any(axis=0)
    scale = 1.0 / np.sqrt(np.where(idle, largest, np.maximum(diagonal, 1e-20 * largest)))
    eigenvalues, vectors = np.linalg.eigh(-hessian * (scale[:, None] * scale))
    gradient = vectors.T @ (scale * score)
    return _Curvature(
        scale,
        eigenvalues,
        vectors,
        gradient,
        bool(eigenvalues[0] > FLAT * max(eigenvalues[-1], FLAT)),
        _scaled_gradient(eigenvalues, gradient),
    )


def _scaled_gradient(eigenvalues: FloatArray, gradient: FloatArray) -> float:
    size = np.abs(eigenvalues)
    flat = size <= FLAT * size.max()
    if flat.any():
        gradient, size = gradient[~flat], size[~flat]
    return float(gradient @ (gradient / size))


def _length(x: FloatArray) -> float:
    return math.sqrt(x @ x)


def maximise(
    objective: Objective,
    start: FloatArray,
    *,
    adaptive: bool,
    most_iterations: int,
    tolerance: float = SCALED_GRADIENT,
    n_units: int = 1,
    first_radius: float = FIRST_RADIUS,
    on_iteration: Callable[[IterationRecord], None] = lambda record: None,
) -> Maximum | None:
    """Climb from ``start`` (K,); None if the log likelihood cannot be computed there.

    At most ``most_iterations`` steps are taken; reaching them is not an error.
    ``tolerance`` is that of g'H^-1 g, ``n_units`` the number of independent contributions
    to the log likelihood; the first step may have any scaled length up to ``first_radius``.
    """
    records: list[IterationRecord] = []
    stage = "adaptive" if adaptive else "newton"
    number = 0

    def log(value: float, curvature: _Curvature, backed_up: bool) -> None:
        nonlocal number
        remark = "backed up" if backed_up else ("" if curvature.concave else "not concave")
        record = IterationRecord(
            stage, number, value, curvature.scaled_gradient, remark, tuple(point.tolist())
        )
        records.append(record)
        on_iteration(record)
        number += 1

    point = start.astype(np.float64)
    objective.begin(point)
    value, score, hessian = objective.derivatives(point)
    if not np.isfinite(value):
        return None
    if not len(point):
        objective.settled_value(point)
        value, score, hessian = objective.derivatives(point)
        flat = _Curvature(point, np.ones(1), np.ones((1, 1)), np.zeros(1), True, 0.0)
        log(value, flat, False)
        return Maximum(point, value, score, hessian, True, True, tuple(records))
    curvature = _curvature(score, hessian)
    log(value, curvature, False)
    radius = max(first_radius, 0.5 * np.sqrt(abs(value)))
    converged = False
    # Whether nodes have moved since the derivatives were computed.
    moved = distance = np.inf
    # Change of the log likelihood when nodes moved last, for each scale.
    felt = LEAST_FELT
    stale = False
    if curvature.scaled_gradient < NEARBY:
        moved = objective.follow(point)
        stale = moved > 0.0
    for _ in range(most_iterations):
        before, distance = distance, float(np.sqrt(curvature.scaled_gradient))
        counted = n_units if curvature.concave else 0
        if _close(distance, before, tolerance, counted) and curvature.eigenvalues[0] > -FLAT:
            near = min(IN_PLACE * min(1.0, n_units / MANY), UNFELT * abs(value) / felt)
            in_place = not stale or moved < near
            shift = 0.0
            # Where a rough answer will do, so will nodes that are roughly in place.
            if not (objective.at_rest and in_place) and tolerance < ROUGH:
                if not objective.at_rest:
                    objective.settled_value(point)
                shift = -value
                value, score, hessian = objective.derivatives(point)
                if not np.isfinite(value):
                    return None
                shift += value
                felt = max(abs(shift) / moved, LEAST_FELT) if stale and moved else felt
                stale = False
                curvature = _curvature(score, hessian)
                distance = float(np.sqrt(curvature.scaled_gradient))
            settled = abs(shift) <= UNFELT * abs(value)
            if settled and _close(distance, before, tolerance, counted):
                converged = True
                if curvature.concave:
                    point = point + curvature.step(radius)[0]
                break
        rounding = 1e-10 * (1.0 + abs(value))
        backed_up = False
        for _ in range(MOST_REDUCTIONS):
            step, length, predicted = curvature.step(radius)
            whole = curvature.concave and length < radius
            # Nodes that move far with small steps go ahead of the derivatives.
            lead = whole and adaptive and objective.drift > DRIFTING
            least = -rounding if predicted < rounding else 1e-4 * predicted
            small = max(SMALL_GAIN, UNNOTICED * abs(value))
            if stale and predicted < small:
                # Nodes that moved changed the log likelihood more than so short a step can.
                least = -LARGE_LOSS * small
            reached = -np.inf
            if lead or not whole:
                reached = objective.value(point + step)
            if lead:
                objective.follow(point + step)
            ahead = None
            computable = True
            if whole:
                # It will be good as a rule: compute the derivatives there at once.
                ahead = objective.derivatives(point + step)
                computable = bool(np.isfinite(ahead[0]))
                reached = max(reached, ahead[0]) if computable else -np.inf
            gain = reached - value
            if gain > least:
                moved = objective.follow(point + step)
                break
            if lead:
                objective.restore()
            if stale:
                # The comparison was with other nodes.
                value, score, hessian = objective.derivatives(point)
                stale = False
                curvature = _curvature(score, hessian)
                continue
            if adaptive and not lead and computable:
                close = 1e-3 * predicted / (1.0 + abs(value))
                gain = objective.settled_value(point + step, close) - value
                ahead = None
                if gain > least:
                    break
                objective.restore()
            radius = 0.25 * length
            backed_up = True
        else:
            # No step improves: as good a maximum as arithmetic allows, or a cliff.
            converged = curvature.scaled_gradient < 1e-6
            break
        point = point + step
        previous = value
        expected = EXPECTED_ERROR + GROWTH_OF_ERROR * min(1.0, predicted)
        surprise = abs(gain - predicted) - expected * predicted
        unnoticed = max(UNNOTICED * abs(value), UNNOTICED_PER_UNIT * n_units)
        if ahead is None or moved > STALE or (adaptive and not lead and surprise > unnoticed):
            value, score, hessian = objective.derivatives(point)
            stale = False
        else:
            value, score, hessian = ahead
            stale = moved > 0.0
        if not np.isfinite(value):
            return None
        # With the nodes held the gain may be an illusion.
        gain = min(gain, value - previous)
        if gain > 0.75 * predicted and length > 0.9 * radius:
            radius *= 2.0
        elif gain < 0.25 * predicted and predicted >= (SMALL_GAIN if adaptive else rounding):
            radius = 0.25 * length
        curvature = _curvature(score, hessian)
        log(value, curvature, backed_up)
        if stage == "adaptive" and abs(value - previous) <= SETTLED_CHANGE * abs(previous):
            stage, number = "newton", 0
            log(value, curvature, False)
        if adaptive and (len(records) > MOST_FOLLOWING or number > MOST_SETTLED):
            objective.hold()
            adaptive = stale = False
            value, score, hessian = objective.derivatives(point)
            if not np.isfinite(value):
                return None
            curvature = _curvature(score, hessian)
    else:
        converged = curvature.scaled_gradient < tolerance
    return Maximum(point, value, score, hessian, converged, curvature.concave, tuple(records))


def _close(distance: float, before: float, tolerance: float, n_units: int) -> bool:
    """Whether the next step leads close enough, if distances go on to shrink as they did last.

    Distances are square roots of g'H^-1 g.
    """
    # Before was none if the search began at a saddle point.
    rate = distance / before if before > 0.0 else np.inf
    ahead = distance * min(1.0, max(rate, BEST_RATE))
    if tolerance > ROUGH and np.isfinite(before) and n_units:
        return ahead**2 < tolerance
    return distance**2 < tolerance or (
        ahead**2 < min(10.0, n_units / MANY) * tolerance and distance**2 < NEAR_ENOUGH * n_units
    )


def shares_of_flat_directions(hessian: FloatArray) -> FloatArray | None:
    """Largest share of each parameter in directions that do not curve down.

    Relative to the parameter with the largest in that direction. None if the Hessian is
    negative definite.
    """
    curvature = _curvature(np.zeros(len(hessian)), hessian)
    if curvature.concave:
        return None
    flat = curvature.eigenvalues <= FLAT * max(curvature.eigenvalues[-1], FLAT)
    directions = np.abs(curvature.scale[:, None] * curvature.vectors[:, flat])
    return np.asarray((directions / directions.max(axis=0)).max(axis=1), dtype=np.float64)
