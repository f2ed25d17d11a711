"""Estimation: from a resolved command and data to a Fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli import __version__
from gllamm_cli.errors import BadStartingValues, NothingToEstimate, PerfectPrediction
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.maximise import Maximum, maximise
from gllamm_cli.estimate.objective import LatentObjective
from gllamm_cli.estimate.records import IterationRecord
from gllamm_cli.estimate.start import (
    check_start_length,
    default_start,
    fit_fixed_part,
    fixed_part,
    start_from,
)
from gllamm_cli.fit.covariance import condition_number, invert_information
from gllamm_cli.fit.diagnose import boundary_notes, maximum_notes, quadrature_notes
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.constraints import Reduction, build_reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.families import FAMILY_BY_NAME, Domain
from gllamm_cli.model.parameters import Parameters, build_parameters
from gllamm_cli.model.spec import ModelSpec, Purpose, Request

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
Listener = Callable[[IterationRecord], None]

ADAPTIVE_ITERATIONS = 150
ORDINARY_ITERATIONS = 300
PERFECT_FIT = 1e-7
"""Loss of log likelihood per row below which a binary fit counts as perfect."""


def _ignore(record: IterationRecord) -> None:
    """Listen to nothing."""


def fit_model(
    request: Request,
    dataset: Dataset,
    *,
    threads: int | None = None,
    on_iteration: Listener = _ignore,
) -> Fit:
    """Carry out a gllamm command on data.

    Raises
    ------
    GllammError
        Anything the user can mend: an empty sample, an impossible response,
        starting values at which the log likelihood cannot be computed.
    """
    began = time.perf_counter()
    design, spec, notes = build_design(request.spec, dataset)
    all_notes = (*request.notes, *notes)
    if spec.purpose is Purpose.FIXED_ONLY:
        fit = _fit_fixed(request.command, spec, design, threads, on_iteration)
    else:
        fit = _fit_latent(request.command, spec, design, threads, on_iteration, began)
    timing = {**fit.timing, "total": time.perf_counter() - began}
    timing.setdefault("setup", 0.0)
    timing["fit"] = timing["total"] - timing["setup"]
    return replace(fit, notes=(*all_notes, *fit.notes), timing=timing, version=__version__)


def _starting_fit(spec: ModelSpec, design: Design, threads: int | None) -> FloatArray:
    """Estimates of the model without latent variables."""
    start = fit_fixed_part(spec, design, threads)
    if start is None:
        raise BadStartingValues(
            "initial values not feasible: the model without latent variables cannot be fitted",
            hint="give starting values with from()",
        )
    is_binary = FAMILY_BY_NAME[spec.response.family].domain is Domain.PROPORTION
    if is_binary and start.log_likelihood > -PERFECT_FIT * design.n_rows:
        raise PerfectPrediction(
            "the covariates predict the outcome perfectly",
            hint="leave out covariates until both outcomes occur for similar covariate values",
        )
    return start.point


def _fit_fixed(
    command: str, spec: ModelSpec, design: Design, threads: int | None, listener: Listener
) -> Fit:
    """The ``init`` option: the one-level model by maximum likelihood."""
    one_level = fixed_part(spec)
    parameters = build_parameters(one_level)
    if not parameters.n:
        raise NothingToEstimate("Nothing to estimate")
    start = None
    if spec.start is not None:
        check_start_length(spec.start, parameters.n)
        identity = build_reduction((), parameters.names)
        start = start_from(
            one_level, parameters, identity, spec.start, lambda: np.zeros(parameters.n)
        )
    maximum = fit_fixed_part(
        spec,
        design,
        threads,
        start=start,
        most_iterations=_most_iterations(spec),
        on_iteration=listener,
    )
    if maximum is None:
        raise BadStartingValues("initial values not feasible")
    reduction = build_reduction((), parameters.names)
    return _fit_value(
        command,
        "fixed effects model",
        replace(spec, levels=()),
        design,
        parameters,
        reduction,
        maximum,
    )


def _most_iterations(spec: ModelSpec) -> int:
    if spec.iterate is not None:
        return spec.iterate
    return ADAPTIVE_ITERATIONS if spec.adaptive else ORDINARY_ITERATIONS


def _fit_latent(
    command: str,
    spec: ModelSpec,
    design: Design,
    threads: int | None,
    listener: Listener,
    began: float,
) -> Fit:
    parameters = build_parameters(spec)
    if not parameters.n:
        raise NothingToEstimate("Nothing to estimate")
    reduction = build_reduction(spec.constraints, parameters.names)

    def fixed() -> FloatArray:
        return _starting_fit(spec, design, threads)

    if spec.start is None:
        start = default_start(parameters, fixed())
    else:
        start = start_from(spec, parameters, reduction, spec.start, fixed)
    setup = time.perf_counter() - began
    if spec.purpose is Purpose.SET_UP:
        return _unfitted(command, spec, design, parameters, reduction, start, -np.inf)
    engine = Engine(design, parameters, threads)
    objective = LatentObjective(engine, reduction, spec.adaptive)
    point = reduction.reduce(start)
    if spec.purpose is Purpose.EVALUATE:
        objective.settle(point)
        value = objective.value(point)
        if not np.isfinite(value):
            raise BadStartingValues("log likelihood cannot be computed at these values")
        return _unfitted(command, spec, design, parameters, reduction, reduction.full(point), value)
    maximum = maximise(
        objective,
        point,
        adaptive=spec.adaptive,
        most_iterations=_most_iterations(spec),
        on_iteration=listener,
    )
    if maximum is None:
        raise BadStartingValues(
            "log likelihood cannot be computed",
            hint="try other starting values with from(), or adapt",
        )
    fit = _fit_value(command, "gllamm model", spec, design, parameters, reduction, maximum)
    notes = list(fit.notes)
    if not objective.settled:
        notes.append("adaptive quadrature has not settled: try with more quadrature points")
    notes.extend(boundary_notes(fit))
    notes.extend(quadrature_notes(engine, fit, objective.placement))
    return replace(fit, notes=tuple(notes), timing={"setup": setup})


def _normalise_signs(
    spec: ModelSpec, parameters: Parameters, b: FloatArray, V: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Make diagonal Cholesky elements nonnegative by flipping whole columns.

    The likelihood does not change; parameters under constraints and effects
    with a free first loading keep their signs.
    """
    if spec.constraints:
        return b, V
    sign = np.ones(len(b))
    flippable = {effect.number for effect in spec.latent if not effect.free_first_loading}
    for k, name in enumerate(parameters.names):
        if name.block == "diagonal" and b[k] < 0.0 and name.effects[0] in flippable:
            number = name.effects[0]
            for j, other in enumerate(parameters.names):
                if other.block in ("diagonal", "offdiagonal") and other.effects[-1] == number:
                    sign[j] = -1.0
    return b * sign, V * np.outer(sign, sign)


def _fit_value(
    command: str,
    title: str,
    spec: ModelSpec,
    design: Design,
    parameters: Parameters,
    reduction: Reduction,
    maximum: Maximum,
) -> Fit:
    V_free = invert_information(maximum.hessian)
    V = reduction.T @ V_free @ reduction.T.T
    b, V = _normalise_signs(spec, parameters, reduction.full(maximum.point), V)
    return Fit(
        command=command,
        title=title,
        spec=spec,
        names=parameters.names,
        estimates=b,
        covariance=V,
        free=reduction.is_free,
        log_likelihood=maximum.log_likelihood,
        n_units=design.n_units if spec.levels else design.n_units[:1],
        n_rows=design.n_rows,
        condition_number=condition_number(maximum.hessian, reduction.T),
        converged=maximum.converged,
        n_free=reduction.n_free,
        constraint_text=tuple(constraint.text for constraint in spec.constraints),
        notes=maximum_notes(maximum, reduction, parameters),
        iterations=maximum.iterations,
    )


def _unfitted(
    command: str,
    spec: ModelSpec,
    design: Design,
    parameters: Parameters,
    reduction: Reduction,
    values: FloatArray,
    log_likelihood: float,
) -> Fit:
    """Parameters without a maximisation: ``eval`` and ``noest``."""
    n_fixed = sum(name.block in ("fixed", "scale") for name in parameters.names)
    return Fit(
        command=command,
        title="gllamm model",
        spec=spec,
        names=parameters.names,
        estimates=values,
        covariance=np.zeros((parameters.n, parameters.n)),
        free=reduction.is_free,
        log_likelihood=log_likelihood,
        n_units=design.n_units,
        n_rows=design.n_rows,
        condition_number=None,
        converged=False,
        n_free=reduction.n_free,
        constraint_text=tuple(constraint.text for constraint in spec.constraints),
        extra={"M_initf": values[:n_fixed], "M_initr": values[n_fixed:]},
    )
