"""Profile likelihoods: the log likelihood maximised over all parameters but one.

The interval of b_k holds the values v at which 2 (l - l_k(v)) does not exceed the
quantile of chi-squared with one degree of freedom, where l is the maximum and l_k(v)
the maximum under b_k = v (Venzon and Moolgavkar 1988, Applied Statistics 37, 87-94).
The ends are found from the signed root of that statistic, which is nearly linear in v.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import DifferentData, General
from gllamm_cli.estimate import gaussian
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.gaussian import GaussianObjective
from gllamm_cli.estimate.maximise import maximise
from gllamm_cli.estimate.objective import LatentObjective
from gllamm_cli.estimate.threads import one_thread_in_libraries
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.constraints import Reduction, build_reduction
from gllamm_cli.model.factorise import factorise
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.spec import Constraint, ConstraintTerm, Purpose
from gllamm_cli.report.coefficients import critical_value

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]

ITERATIONS = 150
"""Most steps of one maximisation."""
EXPANSIONS = 100
"""Most steps away from the estimate, and back, until an end is passed."""
REFINEMENTS = 60
SHRINKAGES = 50
"""Most attempts to come nearer where the log likelihood cannot be maximised."""
FLAT = 1e-3
"""Gain in the signed root, relative to its target, at which a doubled distance is in vain."""
FARTHEST = 1e4
"""Drop of the log likelihood, relative to its size, from which no maximisation starts."""
SAME_LOG_LIKELIHOOD = 1e-5
ROUNDING = 1e-9
"""Noise of log likelihoods, relative to their size: adaptive nodes settle to that much."""


class Openness(StrEnum):
    """Why an interval has no end on a side."""

    CLOSED = ""
    BOUNDARY = "at the boundary of the parameter space"
    INFINITE = "the log likelihood levels off: there is no end"
    FAILED = "the model cannot be fitted beyond this value"


@dataclass(frozen=True, slots=True)
class End:
    """An end of an interval; ``log_likelihood`` is the profile there, NaN at infinity."""

    value: float
    log_likelihood: float
    openness: Openness = Openness.CLOSED


@dataclass(frozen=True, slots=True)
class ProfileInterval:
    """Interval of one parameter; ``points`` (P, 2) are values and profile log likelihoods."""

    position: int
    estimate: float
    lower: End
    upper: End
    points: FloatArray


@dataclass(frozen=True, slots=True)
class _Point:
    """A constrained maximum: all parameters, and how far it is below the maximum as a root."""

    value: float
    log_likelihood: float
    root: float
    theta: FloatArray


class Profile:
    """The profile log likelihood of a fit on its data.

    Raises
    ------
    General
        The fit has sampling weights or has not converged.
    DifferentData
        The data do not give the fit's log likelihood.
    """

    def __init__(self, fit: Fit, dataset: Dataset, threads: int | None = None) -> None:
        if fit.spec.sampling_weights:
            raise General(
                "profile likelihoods need a likelihood",
                hint="with sampling weights there is a pseudolikelihood only",
            )
        if not fit.converged:
            raise General(
                "profile likelihoods need a maximum", hint="the estimation has not converged"
            )
        self.fit = fit
        design, spec, _ = build_design(fit.spec, dataset)
        if spec.purpose is Purpose.FIXED_ONLY:
            design = design.without_latent_variables(rows_per_unit=1)
        self._spec = spec
        self._parameters = build_parameters(spec)
        self._design, self._threads = design, threads
        self._noise = 1e-7 + ROUNDING * abs(fit.log_likelihood)
        reduction = build_reduction(spec.constraints, self._parameters.names)
        objective = self._objective(reduction)
        value = objective.settled_value(reduction.reduce(fit.estimates))
        if not abs(value - fit.log_likelihood) <= SAME_LOG_LIKELIHOOD * abs(fit.log_likelihood):
            raise DifferentData(
                f"can't get correct log-likelihood: {value:.7g} should be {fit.log_likelihood:.7g}",
                hint="profile likelihoods need the data of the estimation",
            )

    def _objective(self, reduction: Reduction) -> LatentObjective | GaussianObjective:
        """The log likelihood as the fit has computed it."""
        if gaussian.applies(self._spec, self._design):
            return GaussianObjective(
                self._design, self._parameters, reduction, threads=self._threads
            )
        adaptive = self._spec.adaptive
        split = factorise(self._design, self._parameters, adaptive=adaptive)
        return LatentObjective(Engine(*split, self._threads), reduction, adaptive)

    def log_likelihood(self, position: int, value: float, start: FloatArray) -> _Point | None:
        """Maximise with parameter ``position`` held at ``value``, from ``start`` (K,).

        None if there is no maximum, or ``start`` is too far from one.

        Raises
        ------
        General
            The log likelihood is higher than at the estimates.
        """
        fit, name = self.fit, self.fit.names[position]
        pin = Constraint(0, (ConstraintTerm(1.0, name.equation, name.name),), value, "")
        reduction = build_reduction((*self._spec.constraints, pin), self._parameters.names)
        objective = self._objective(reduction)
        free = reduction.reduce(start)
        at_start = objective.settled_value(free)
        if not fit.log_likelihood - at_start <= FARTHEST * (1.0 + abs(fit.log_likelihood)):
            return None
        maximum = maximise(
            objective,
            free,
            adaptive=self._spec.adaptive,
            most_iterations=ITERATIONS,
        )
        if maximum is None or not maximum.converged:
            return None
        gap = fit.log_likelihood - maximum.log_likelihood
        if gap < -1e-3 - 100.0 * self._noise:
            raise General(
                f"log likelihood {maximum.log_likelihood:.7g} at "
                f"[{name.equation}]{name.name} = {value:.5g} is above that of the estimates",
                hint="the fit is a local maximum: fit again with from() near that value",
            )
        root = math.sqrt(max(2.0 * gap, 0.0))
        return _Point(value, maximum.log_likelihood, root, reduction.full(maximum.point))

    def interval(self, position: int, *, level: float = 95.0, points: int = 0) -> ProfileInterval:
        """Interval of parameter ``position`` with ``points`` values of the profile across it.

        Raises
        ------
        General
            The parameter is constrained.
        """
        fit, name = self.fit, self.fit.names[position]
        if not fit.free[position]:
            raise General(f"[{name.equation}]{name.name} is constrained: it has no profile")
        at_maximum = _Point(float(fit.estimates[position]), fit.log_likelihood, 0.0, fit.estimates)
        target = critical_value(level)
        known = [at_maximum]
        with one_thread_in_libraries(len(fit.names), fit.n_rows):
            lower = self._end(position, -1.0, target, known)
            upper = self._end(position, 1.0, target, known)
            between = self._points(position, lower, upper, points, known)
        return ProfileInterval(position, at_maximum.value, lower, upper, between)

    def _at(self, position: int, value: float, known: list[_Point]) -> _Point | None:
        """Profile at a value, starting from the nearest value known so far."""
        nearest = min(known, key=lambda point: abs(point.value - value))
        start = nearest.theta.copy()
        start[position] = value
        found = self.log_likelihood(position, value, start)
        if found is not None:
            known.append(found)
        return found

    def _bound(self, position: int, sign: float) -> float:
        """Limit of the parameter space on a side."""
        fit, name = self.fit, self.fit.names[position]
        if sign > 0.0:
            return math.inf
        natural_scale = name.block == "scale" and fit.spec.natural_scale
        deviation = name.block == "diagonal" and not fit.spec.constraints
        if deviation and fit.spec.latent[name.effects[0] - 1].free_first_loading:
            deviation = False
        # The likelihood is symmetric about zero in a standard deviation.
        return 0.0 if (deviation or natural_scale) and fit.estimates[position] >= 0 else -math.inf

    def _end(self, position: int, sign: float, target: float, known: list[_Point]) -> End:
        inside, bound = known[0], self._bound(position, sign)
        variance = float(self.fit.covariance[position, position])
        std_err = math.sqrt(variance) if variance > 0.0 else 0.1 * max(1.0, abs(inside.value))
        step, failures = target * std_err, 0
        for _ in range(EXPANSIONS):
            value = inside.value + sign * step
            if (value - bound) * sign >= 0.0:
                value = bound
            if value == inside.value:
                return End(bound, inside.log_likelihood, Openness.BOUNDARY)
            found = self._at(position, value, known)
            if found is None:
                failures += 1
                if failures > SHRINKAGES:
                    return End(inside.value, inside.log_likelihood, Openness.FAILED)
                step *= 0.5
                continue
            if found.root >= target:
                return self._refined(position, target, inside, found, known)
            if value == bound:
                return End(bound, found.log_likelihood, Openness.BOUNDARY)
            distance = abs(value - known[0].value)
            if found.root - inside.root < FLAT * target and distance > 10.0 * std_err:
                return End(sign * math.inf, found.log_likelihood, Openness.INFINITE)
            # A straight line to the target and a little further, at most double the distance.
            rest = 1.2 * (target / max(found.root, 1e-3 * target) - 1.0)
            step = distance * min(max(rest, 0.05), 1.0)
            inside = found
        return End(inside.value, inside.log_likelihood, Openness.FAILED)

    def _refined(
        self, position: int, target: float, inside: _Point, outside: _Point, known: list[_Point]
    ) -> End:
        """Find where the root equals ``target``: false position (Illinois) and bisection."""
        a, f_a, b, f_b = inside.value, inside.root - target, outside.value, outside.root - target
        best = outside
        for turn in range(REFINEMENTS):
            if abs(best.root**2 - target**2) <= 10.0 * self._noise or abs(b - a) <= 1e-12 * abs(b):
                break
            share = f_a / (f_a - f_b)
            # A curve that bends much, or a search that stalls, calls for halving the bracket.
            halve = turn % 4 == 3 or f_b > 10.0 * target
            value = a + (0.5 if halve else share) * (b - a)
            found = self._at(position, value, known)
            if found is None:
                return End(a, math.nan, Openness.FAILED)
            same_side = (found.root >= target) == (best.root >= target)
            best = found
            if found.root >= target:
                b, f_b = found.value, found.root - target
                f_a *= 0.5 if same_side else 1.0
            else:
                a, f_a = found.value, found.root - target
                f_b *= 0.5 if same_side else 1.0
        return End(best.value, best.log_likelihood)

    def _points(
        self, position: int, lower: End, upper: End, points: int, known: list[_Point]
    ) -> FloatArray:
        values = [point.value for point in known]
        low = lower.value if math.isfinite(lower.value) else min(values)
        high = upper.value if math.isfinite(upper.value) else max(values)
        rows = []
        for value in np.linspace(low, high, points).tolist() if points else []:
            found = self._at(position, value, known)
            rows.append((value, math.nan if found is None else found.log_likelihood))
        return np.array(rows).reshape(-1, 2)


def profile_intervals(
    fit: Fit,
    dataset: Dataset,
    positions: tuple[int, ...],
    *,
    level: float = 95.0,
    points: int = 0,
    threads: int | None = None,
) -> tuple[ProfileInterval, ...]:
    """Profile-likelihood intervals of several parameters.

    Robust standard errors play no part: a fit with them is taken as it is.
    """
    profile = Profile(replace(fit, covariance=_model_covariance(fit)), dataset, threads)
    return tuple(profile.interval(k, level=level, points=points) for k in positions)


def _model_covariance(fit: Fit) -> FloatArray:
    return fit.covariance if fit.model_covariance is None else fit.model_covariance
