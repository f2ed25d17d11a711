"""Estimation: from a resolved command and data to a Fit."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli import __version__
from gllamm_cli.errors import (
    BadStartingValues,
    DifferentData,
    NothingToEstimate,
)
from gllamm_cli.estimate import gaussian
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.explore import LEAST_GAIN, place_new_mass, search
from gllamm_cli.estimate.gaussian import GaussianObjective
from gllamm_cli.estimate.maximise import Maximum, maximise
from gllamm_cli.estimate.objective import LatentObjective
from gllamm_cli.estimate.records import Monitor, Preparation, Unwatched
from gllamm_cli.estimate.spread import spread_out
from gllamm_cli.estimate.start import (
    check_start_length,
    fit_fixed_part,
    fixed_part,
    n_without_latent,
    start_from,
)
from gllamm_cli.estimate.threads import available_threads, one_thread_in_libraries
from gllamm_cli.fit.covariance import condition_number, invert_information, sandwich
from gllamm_cli.fit.diagnose import (
    boundary_notes,
    mass_notes,
    maximum_notes,
    probability_notes,
    quadrature_notes,
    undetermined_notes,
)
from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.job import Job
from gllamm_cli.fit.starting import starting_fit, starting_values
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.collapse import collapsed
from gllamm_cli.model.constraints import build_reduction
from gllamm_cli.model.factorise import factorise
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.sizes import effect_sizes
from gllamm_cli.model.spec import IntegrationRule, ModelSpec, Purpose, Request
from gllamm_cli.model.uniform import total

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]

SAME_LOG_LIKELIHOOD = 1e-5
FEW_TERMS = 1_000
"""Densities in an evaluation that take less time than looking for equal rows and units."""


def fit_model(
    request: Request,
    dataset: Dataset,
    *,
    threads: int | None = None,
    monitor: Monitor | None = None,
    shortcuts: bool = True,
) -> Fit:
    """Carry out a gllamm command on data.

    Parameters
    ----------
    shortcuts
        Whether log likelihoods that have a closed form are computed by it, equal rows
        and units are merged, and integrals that factorise are taken one by one. Either way
        gives the same results up to rounding, or up to the error of adaptive quadrature
        (see ``factorise``).

    Raises
    ------
    GllammError
        Anything the user can mend: an empty sample, an impossible response,
        starting values at which the log likelihood cannot be computed.
    """
    began, began_cpu = time.perf_counter(), time.process_time()
    workers = threads or available_threads()
    design, spec, notes = build_design(request.spec, dataset, threads=workers)
    fixed_only = spec.purpose is Purpose.FIXED_ONLY
    shown = replace(fixed_part(spec), constraints=spec.constraints) if fixed_only else spec
    parameters = build_parameters(shown)
    if not parameters.n:
        raise NothingToEstimate("Nothing to estimate", hint="the model has no parameters")
    reduction = build_reduction(spec.constraints, parameters.names)
    job = Job(
        request.command,
        spec,
        design,
        design,
        parameters,
        reduction,
        threads,
        monitor or Unwatched(),
        shortcuts,
    )
    ready = time.perf_counter()
    by_quadrature = not fixed_only and not gaussian.applies(spec, design)
    if shortcuts and by_quadrature and design.n_terms >= FEW_TERMS:
        job = replace(job, collapsed=collapsed(design, parameters.columns))
    with one_thread_in_libraries(parameters.n, design.n_rows):
        fit = _fit_fixed(job, shown) if fixed_only else _fit_latent(job)
    ended = time.perf_counter()
    return replace(
        fit,
        notes=(*request.notes, *notes, *fit.notes),
        timing={
            "setup": ready - began,
            "fit": ended - ready,
            "total": ended - began,
            "cpu": time.process_time() - began_cpu,
        },
        version=__version__,
    )


def _fit_fixed(job: Job, one_level: ModelSpec) -> Fit:
    """Carry out ``init``: the one-level model by maximum likelihood."""
    spec = job.spec
    start = None
    if spec.start is not None:
        check_start_length(spec.start, job.reduction.n_free)
        start = start_from(
            one_level, job.parameters, job.reduction, spec.start, lambda: starting_fit(job)
        )
    maximum = fit_fixed_part(
        spec,
        job.design,
        job.threads,
        start=start,
        reduction=job.reduction,
        most_iterations=job.most_iterations,
        on_iteration=job.monitor.iterated,
        shortcuts=job.shortcuts,
    )
    if maximum is None:
        raise BadStartingValues("initial values not feasible")
    rows = job.design.without_latent_variables(rows_per_unit=1)
    job = replace(
        job,
        spec=replace(
            one_level,
            purpose=spec.purpose,
            robust=spec.robust,
            weights=spec.weights,
            sampling_weights=spec.sampling_weights,
        ),
        design=rows,
        collapsed=rows,
    )
    fit = _fit_value(job, "fixed effects model", maximum, n_units=job.design.n_units[:1])
    if spec.robust or spec.sampling_weights:
        engine = Engine(job.design, job.parameters, job.threads)
        fit = _robust(job, fit, engine.cluster_scores(fit.estimates))
    return fit


def _fit_latent(job: Job) -> Fit:
    spec, reduction = job.spec, job.reduction
    objective = _objective(job)
    exact = objective if isinstance(objective, GaussianObjective) else None
    extra: dict[str, Any] = {}
    advanced = False
    if spec.gateaux is not None and spec.start is not None:
        start, highest = place_new_mass(spec, objective, reduction, job.parameters, spec.start)
        if spec.reference is not None:
            extra["gateaux"] = highest - spec.reference[1]
            if extra["gateaux"] < LEAST_GAIN:
                fit = _unfitted(job, start, highest, extra)
                note = f"maximum gateaux derivative less than {LEAST_GAIN:.5f}: no new mass"
                return replace(fit, notes=(note,))
    else:
        start, advanced = starting_values(job, exact)
    job.monitor.prepared(
        Preparation(
            job.parameters.names,
            tuple(start.tolist()),
            n_without_latent(job.parameters),
            tuple(job.parameters.names[k] for k in reduction.free_index),
            job.design.n_units,
            tuple(constraint.text for constraint in spec.constraints),
        )
    )
    if spec.purpose is Purpose.SET_UP:
        n = n_without_latent(job.parameters)
        return _unfitted(job, start, -np.inf, {"M_initf": start[:n], "M_initr": start[n:]})
    if spec.purpose is Purpose.EVALUATE:
        value = objective.settled_value(reduction.reduce(start))
        if not np.isfinite(value):
            raise BadStartingValues("log likelihood cannot be computed at these values")
        return _unfitted(job, reduction.full(reduction.reduce(start)), value, extra)
    if spec.search is not None and spec.start is None:
        start = search(objective, reduction, job.parameters, start, spec.search)
    elif spec.start is None and isinstance(objective, LatentObjective) and not advanced:
        start = spread_out(objective, job.parameters, start)
    maximum = maximise(
        objective,
        reduction.reduce(start),
        adaptive=spec.adaptive,
        most_iterations=job.most_iterations,
        n_units=int(total(job.collapsed.levels[-1].frequency)),
        on_iteration=job.monitor.iterated,
    )
    if maximum is None:
        raise BadStartingValues(
            "log likelihood cannot be computed",
            hint="try other starting values with from(), or adapt",
        )
    fit = _fit_value(job, "gllamm model", maximum, n_units=job.design.n_units, extra=extra)
    alpha = fit.estimates[job.parameters.auxiliary_index]
    notes = [*fit.notes, *boundary_notes(fit, effect_sizes(spec, job.design, alpha))]
    if maximum.concave:
        notes.extend(undetermined_notes(fit, job.design, alpha))
    notes.extend(mass_notes(fit))
    robust = spec.robust or spec.sampling_weights
    if isinstance(objective, GaussianObjective):
        fit = replace(fit, notes=tuple(notes))
        return _robust(job, fit, objective.cluster_scores(fit.estimates)) if robust else fit
    # The nodes belong to the latent variables with their signs before normalisation.
    reached = reduction.full(maximum.point)
    engine, placement = objective.engine, objective.placement
    if not objective.settled:
        notes.append("adaptive quadrature has not settled: try with more quadrature points")
    if spec.rule is IntegrationRule.GAUSS_HERMITE:
        notes.extend(quadrature_notes(engine, reached, fit.log_likelihood, placement))
    fit = replace(fit, notes=tuple(notes))
    if robust:
        signs = _parameter_signs(job, _latent_signs(job, reached))
        fit = _robust(job, fit, engine.cluster_scores(reached, placement) * signs)
    return fit


def _objective(job: Job) -> LatentObjective | GaussianObjective:
    """The log likelihood: in closed form where there is one and it is wanted."""
    if job.shortcuts and gaussian.applies(job.spec, job.design):
        return GaussianObjective(
            job.design, job.parameters, job.reduction, job.monitor.evaluated, job.threads
        )
    return _by_quadrature(job)


def _by_quadrature(job: Job) -> LatentObjective:
    """The log likelihood by quadrature; what does not interact is integrated separately."""
    design, parameters, adaptive = job.collapsed, job.parameters, job.spec.adaptive
    if job.shortcuts:
        design, parameters = factorise(design, parameters, adaptive=adaptive)
    engine = Engine(design, parameters, job.threads, job.monitor.evaluated, shortcuts=job.shortcuts)
    return LatentObjective(engine, job.reduction, adaptive)


def _robust(job: Job, fit: Fit, scores: FloatArray) -> Fit:
    """Replace the covariance by the sandwich of the scores of top-level units, (units, K)."""
    T = job.reduction.T
    V_free = np.linalg.lstsq(T, fit.covariance, rcond=None)[0]
    V_free = np.linalg.lstsq(T, V_free.T, rcond=None)[0]
    frequency = job.collapsed.levels[-1].frequency
    V = sandwich(scores @ T, frequency, V_free, job.collapsed.cluster)
    return replace(
        fit,
        covariance=T @ V @ T.T,
        model_covariance=fit.covariance,
        std_err_type="robust" if job.design.cluster is None else "cluster",
    )


def robust_fit(
    fit: Fit, dataset: Dataset, *, cluster: str | None = None, threads: int | None = None
) -> Fit:
    """Return a fit with sandwich standard errors, computed anew from its data.

    Raises
    ------
    DifferentData
        The data do not give the fit's log likelihood.
    """
    spec = replace(fit.spec, robust=True, cluster=cluster)
    design, spec, _ = build_design(spec, dataset)
    if spec.purpose is Purpose.FIXED_ONLY:
        design = design.without_latent_variables(rows_per_unit=1)
    parameters = build_parameters(spec)
    reduction = build_reduction(spec.constraints, parameters.names)
    job = Job(fit.command, spec, design, design, parameters, reduction, threads, Unwatched())
    objective = _objective(job)
    value = objective.settled_value(reduction.reduce(fit.estimates))
    if not abs(value - fit.log_likelihood) <= SAME_LOG_LIKELIHOOD * abs(fit.log_likelihood):
        raise DifferentData(
            f"can't get correct log-likelihood: {value:.7g} should be {fit.log_likelihood:.7g}",
            hint="robust standard errors need the data of the estimation",
        )
    if isinstance(objective, GaussianObjective):
        scores = objective.cluster_scores(fit.estimates)
    else:
        scores = objective.engine.cluster_scores(fit.estimates, objective.placement)
    return _robust(job, model_based(fit), scores)


def model_based(fit: Fit) -> Fit:
    """Return a fit with model-based standard errors."""
    if fit.model_covariance is None:
        return fit
    return replace(
        fit, covariance=fit.model_covariance, model_covariance=None, std_err_type="model"
    )


def _latent_signs(job: Job, b: FloatArray) -> FloatArray:
    """Signs (M,) that make diagonal Cholesky elements nonnegative.

    Flipping a latent variable changes its whole column and not the likelihood.
    Models with constraints and effects with a free first loading keep their signs.
    """
    signs = np.ones(len(job.spec.latent))
    if job.spec.constraints:
        return signs
    flippable = {effect.number for effect in job.spec.latent if not effect.free_first_loading}
    for k, name in enumerate(job.parameters.names):
        if name.block == "diagonal" and b[k] < 0.0 and name.effects[0] in flippable:
            signs[name.effects[0] - 1] = -1.0
    return signs


def _parameter_signs(job: Job, of_latent: FloatArray) -> FloatArray:
    """Signs (K,) of the parameters when latent variables change theirs."""
    signs = np.ones(job.parameters.n)
    for k, name in enumerate(job.parameters.names):
        if name.block in ("diagonal", "offdiagonal"):
            signs[k] = of_latent[name.effects[-1] - 1]
    return signs


def _fit_value(
    job: Job,
    title: str,
    maximum: Maximum,
    *,
    n_units: tuple[float, ...],
    extra: dict[str, Any] | None = None,
) -> Fit:
    T = job.reduction.T
    V = T @ invert_information(maximum.hessian) @ T.T
    b = job.reduction.full(maximum.point)
    sign = _parameter_signs(job, _latent_signs(job, b))
    b, V = b * sign, V * np.outer(sign, sign)
    return Fit(
        command=job.command,
        title=title,
        spec=job.spec,
        names=job.parameters.names,
        estimates=b,
        covariance=V,
        free=job.reduction.is_free,
        log_likelihood=maximum.log_likelihood,
        n_units=n_units,
        n_rows=job.design.n_rows,
        condition_number=condition_number(maximum.hessian, T),
        converged=maximum.converged,
        n_free=job.reduction.n_free,
        constraint_text=tuple(constraint.text for constraint in job.spec.constraints),
        notes=(
            *maximum_notes(maximum, job.reduction, job.parameters),
            *probability_notes(job.spec, maximum.log_likelihood),
        ),
        iterations=maximum.iterations,
        extra=extra or {},
    )


def _unfitted(job: Job, values: FloatArray, log_likelihood: float, extra: dict[str, Any]) -> Fit:
    """Parameters without a maximisation: ``eval``, ``noest``, and ``gateaux()`` without a gain."""
    n = job.parameters.n
    return Fit(
        command=job.command,
        title="gllamm model",
        spec=job.spec,
        names=job.parameters.names,
        estimates=values,
        covariance=np.zeros((n, n)),
        free=job.reduction.is_free,
        log_likelihood=log_likelihood,
        n_units=job.design.n_units,
        n_rows=job.design.n_rows,
        condition_number=None,
        converged=False,
        n_free=job.reduction.n_free,
        constraint_text=tuple(constraint.text for constraint in job.spec.constraints),
        extra=extra,
    )
