"""Where an estimation begins, and data that leave nothing to estimate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._scanning import largest_size
from gllamm_cli.errors import BadStartingValues, NoVariance, PerfectPrediction
from gllamm_cli.estimate import gaussian_start
from gllamm_cli.estimate.advance import ByQuadrature, InClosedForm, advanced_start
from gllamm_cli.estimate.gaussian import GaussianObjective
from gllamm_cli.estimate.maximise import SCALED_GRADIENT, Maximum
from gllamm_cli.estimate.start import ROUGH_START, default_start, fit_fixed_part, start_from
from gllamm_cli.estimate.threads import available_threads
from gllamm_cli.fit.job import Job
from gllamm_cli.model.families import FAMILY_BY_NAME, LINK_BY_NAME, Domain, kind
from gllamm_cli.model.sizes import effect_sizes
from gllamm_cli.model.spec import ModelSpec, Purpose

FloatArray = NDArray[np.float64]

NO_RESIDUAL = 1e-7
"""Residual standard deviation, relative to the response, that counts as zero."""
PERFECT_FIT = 1e-7
"""Loss of log likelihood per row below which a binary fit counts as perfect."""
NEARLY_PERFECT = 20.0
"""Loss below which it must be seen whether it vanishes: some units are left at ``ROUGH_START``."""
LEAST_PER_ROW = 1e-8
"""g'H^-1 g for each row where this must be seen.

Far enough below ``PERFECT_FIT``: where the fit is perfect it equals the loss.
"""


def starting_values(job: Job, exact: GaussianObjective | None) -> tuple[FloatArray, bool]:
    """Values at which estimation begins, and whether they are estimates of a part of the data."""
    if job.spec.start is None:
        if job.shortcuts:
            method = ByQuadrature if exact is None else InClosedForm
            advanced = advanced_start(
                method(job.spec, job.parameters, job.reduction, job.threads), job.collapsed
            )
            if advanced is not None:
                return advanced, True
        fixed = starting_fit(job, exact)
        sizes = None
        # Values that are only set up are gllamm's.
        if job.spec.purpose is Purpose.FIT:
            alpha = fixed[job.parameters.auxiliary_index]
            sizes = effect_sizes(job.spec, job.design, alpha)
        start = default_start(job.parameters, fixed, sizes)
        if exact is not None:
            start = gaussian_start.moment_estimates(job.spec, job.design, exact, start)
        return start, False
    given = job.spec.start
    return start_from(
        job.spec, job.parameters, job.reduction, given, lambda: starting_fit(job, exact)
    ), False


def _is_binary(spec: ModelSpec) -> bool:
    """Whether all responses are binomial, so that a perfect fit has log likelihood zero."""
    return all(
        FAMILY_BY_NAME[response.family].domain is Domain.PROPORTION
        and not LINK_BY_NAME[response.link].ordinal
        and not LINK_BY_NAME[response.link].nominal
        for response in spec.responses
    )


def starting_fit(job: Job, exact: GaussianObjective | None = None) -> FloatArray:
    """Estimates of the model without latent variables."""
    if exact is not None:
        estimates = gaussian_start.least_squares(exact)
        alpha = estimates[job.parameters.auxiliary_index]
        _check_residuals(job, float((exact.scale_design @ alpha).min()))
        return estimates
    # Values that are only set up are shown.
    tolerance = ROUGH_START if job.spec.purpose is Purpose.FIT else SCALED_GRADIENT
    start = _fixed_estimates(job, tolerance)
    n = job.design.n_rows
    if _is_binary(job.spec) and start.log_likelihood > -NEARLY_PERFECT:
        start = _fixed_estimates(job, LEAST_PER_ROW * n)
        if start.log_likelihood > -PERFECT_FIT * n:
            raise PerfectPrediction(
                "the covariates predict the outcome perfectly",
                hint="leave out covariates until both outcomes occur for similar covariate values",
            )
    constant_scale = job.spec.has_scale and job.spec.constant_scale
    linear = job.design.kinds == (kind("gauss", "ident"),)
    if linear and constant_scale and not job.spec.natural_scale:
        _check_residuals(job, float(start.point[job.parameters.auxiliary_index[0]]))
    return start.point


def _fixed_estimates(job: Job, tolerance: float) -> Maximum:
    """Fit the model without latent variables, up to ``tolerance`` in g'H^-1 g.

    Raises
    ------
    BadStartingValues
        It cannot be fitted.
    """
    found = fit_fixed_part(
        job.spec, job.collapsed, job.threads, tolerance=tolerance, shortcuts=job.shortcuts
    )
    if found is None:
        raise BadStartingValues(
            "initial values not feasible: the model without latent variables cannot be fitted",
            hint="give starting values with from()",
        )
    return found


def _check_residuals(job: Job, log_sd: float) -> None:
    """Raise if the fixed part leaves nothing of a gaussian response to explain.

    ``log_sd`` is the smallest log residual standard deviation.
    """
    size = largest_size(job.design.y, job.threads or available_threads())
    if np.exp(log_sd) <= NO_RESIDUAL * max(size, 1e-300):
        raise NoVariance(
            f"{job.spec.depvar} has no variance given the covariates",
            hint="a constant response, or as many parameters as rows",
        )
