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
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.records import IterationRecord

FloatArray = NDArray[np.float64]

SCALED_GRADIENT = 1e-13
"""g'H^-1 g at convergence: squared distance to the maximum in standard errors."""
SETTLED_CHANGE = 1e-6
"""Relative change of the log likelihood at which adaptive iterations count as converged."""
FLAT = 1e-10
"""Eigenvalue of the scaled information, relative to the largest, that counts as zero."""
MOST_REDUCTIONS = 40


class Objective(Protocol):
    """A log likelihood with nodes that stay where they are until told to move."""

    def value(self, point: FloatArray) -> float:
        """Log likelihood with the present nodes; -inf where it cannot be computed."""

    def settled_value(self, point: FloatArray) -> float:
        """Log likelihood after moving the nodes to where they belong at ``point``."""

    def restore(self) -> None:
        """Put the nodes back to where they were before the last ``settled_value``."""

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
    """Eigen decomposition of the information in scaled coordinates."""

    scale: FloatArray
    eigenvalues: FloatArray
    vectors: FloatArray
    gradient: FloatArray

    @property
    def concave(self) -> bool:
        return bool(self.eigenvalues[0] > FLAT * max(self.eigenvalues[-1], FLAT))

    @property
    def scaled_gradient(self) -> float:
        """g'H^-1 g, negative curvature counted as positive, over directions that are not flat."""
        size = np.abs(self.eigenvalues)
        used = size > FLAT * size.max()
        return float(np.sum(self.gradient[used] ** 2 / size[used]))

    def step(self, radius: float) -> tuple[FloatArray, float, float]:
        """Best step of scaled length at most ``radius``; also its length and predicted gain."""
        w, c = self.eigenvalues, self.gradient
        along = c / w if self.concave else np.full_like(c, np.inf)
        if np.linalg.norm(along) > radius:
            along = self._on_sphere(radius)
        predicted = float(c @ along - 0.5 * along @ (w * along))
        return self.scale * (self.vectors @ along), float(np.linalg.norm(along)), predicted

    def _on_sphere(self, radius: float) -> FloatArray:
        w, c = self.eigenvalues, self.gradient
        floor = max(0.0, -w[0])
        spread = max(abs(w[0]), abs(w[-1]), 1e-300)

        def excess(shift: float) -> float:
            return float(np.linalg.norm(c / (w + shift))) - radius

        low = floor + 1e-12 * spread
        if excess(low) <= 0.0:
            along = np.asarray(c / (w + low), dtype=np.float64)
            if w[0] > -FLAT * spread:
                return along
            # The gradient hardly touches the direction of most positive curvature:
            # go along it for the rest of the way.
            rest = np.sqrt(max(radius**2 - float(along @ along), 0.0))
            along[0] += rest if along[0] >= 0 else -rest
            return along
        high = floor + float(np.linalg.norm(c)) / radius + spread
        # Imported late: most fits never leave the region where Newton steps are good.
        from scipy.optimize import brentq

        shift = brentq(excess, low, high, xtol=1e-14 * high, rtol=1e-12)
        return np.asarray(c / (w + shift), dtype=np.float64)


def _curvature(score: FloatArray, hessian: FloatArray) -> _Curvature:
    diagonal = np.abs(np.diag(hessian))
    scale = 1.0 / np.sqrt(np.maximum(diagonal, 1e-12 * max(diagonal.max(initial=0.0), 1e-300)))
    eigenvalues, vectors = np.linalg.eigh(-hessian * np.outer(scale, scale))
    return _Curvature(scale, eigenvalues, vectors, vectors.T @ (scale * score))


def maximise(
    objective: Objective,
    start: FloatArray,
    *,
    adaptive: bool,
    most_iterations: int,
    on_iteration: Callable[[IterationRecord], None] = lambda record: None,
) -> Maximum | None:
    """Climb from ``start`` (K,); None if the log likelihood cannot be computed there.

    At most ``most_iterations`` steps are taken; reaching them is not an error.
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
    objective.settled_value(point)
    value, score, hessian = objective.derivatives(point)
    if not np.isfinite(value):
        return None
    if not len(point):
        log(value, _Curvature(point, np.ones(1), np.ones((1, 1)), np.zeros(1)), False)
        return Maximum(point, value, score, hessian, True, True, tuple(records))
    curvature = _curvature(score, hessian)
    log(value, curvature, False)
    radius = max(10.0, 0.5 * np.sqrt(abs(value)))
    converged = False
    for _ in range(most_iterations):
        if curvature.scaled_gradient < SCALED_GRADIENT and curvature.eigenvalues[0] > -FLAT:
            converged = True
            break
        rounding = 1e-10 * (1.0 + abs(value))
        backed_up = False
        for _ in range(MOST_REDUCTIONS):
            step, length, predicted = curvature.step(radius)
            least = -rounding if predicted < rounding else 1e-4 * predicted
            gain = objective.settled_value(point + step) - value
            if gain > least:
                break
            objective.restore()
            gain = objective.value(point + step) - value
            if gain > least:
                objective.settled_value(point + step)
                break
            radius = 0.25 * length
            backed_up = True
        else:
            # No step improves: as good a maximum as arithmetic allows, or a cliff.
            converged = curvature.scaled_gradient < 1e-6
            break
        if gain > 0.75 * predicted and length > 0.9 * radius:
            radius *= 2.0
        elif gain < 0.25 * predicted and predicted >= rounding:
            radius = 0.25 * length
        point = point + step
        previous = value
        value, score, hessian = objective.derivatives(point)
        if not np.isfinite(value):
            return None
        curvature = _curvature(score, hessian)
        log(value, curvature, backed_up)
        if stage == "adaptive" and abs(value - previous) <= SETTLED_CHANGE * abs(previous):
            stage, number = "newton", 0
            log(value, curvature, False)
    else:
        converged = curvature.scaled_gradient < SCALED_GRADIENT
    return Maximum(point, value, score, hessian, converged, curvature.concave, tuple(records))


def flat_direction(hessian: FloatArray) -> FloatArray | None:
    """Direction in which the log likelihood does not curve down, scaled to unit maximum.

    None if the Hessian is negative definite.
    """
    curvature = _curvature(np.zeros(len(hessian)), hessian)
    if curvature.concave:
        return None
    direction = curvature.scale * curvature.vectors[:, 0]
    return np.asarray(direction / np.abs(direction).max(), dtype=np.float64)
