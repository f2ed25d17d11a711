"""Regressions without latent variables, by the same engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.engine import Engine
from gllamm_cli.fit.covariance import sandwich
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.constraints import build_reduction
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.sample import estimation_rows
from gllamm_cli.model.spec import DisplayOptions, ModelSpec, Purpose, Request

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class OneLevelFit:
    """A fit, the positions of its rows, and the log likelihood of the constant-only model."""

    fit: Fit
    rows: NDArray[np.int64]
    null_log_likelihood: float | None


def fit_one_level(
    spec: ModelSpec,
    dataset: Dataset,
    *,
    robust: bool = False,
    cluster: str | None = None,
    threads: int | None = None,
) -> OneLevelFit:
    """Maximum likelihood for a model of rows.

    Parameters
    ----------
    robust, cluster
        Sandwich covariance from the scores of rows, or of groups of rows.
    """
    spec = replace(spec, purpose=Purpose.FIXED_ONLY, levels=())
    request = Request("", spec, DisplayOptions())
    fit = fit_model(request, dataset, threads=threads)
    rows = estimation_rows(spec, dataset)[0]
    null = None
    if fit.spec.covariates and (spec.constant or spec.thresholds):
        bare = replace(spec, covariates=(), robust=False)
        selected = tuple(rows.tolist())
        bare = replace(
            bare, sample=replace(bare.sample, condition=None, rows=None, selected=selected)
        )
        null = fit_model(replace(request, spec=bare), dataset, threads=threads).log_likelihood
    if robust or cluster is not None:
        fit = _robust(fit, spec, dataset, cluster, threads)
    return OneLevelFit(fit, rows, null)


def _robust(
    fit: Fit, spec: ModelSpec, dataset: Dataset, cluster: str | None, threads: int | None
) -> Fit:
    spec = replace(spec, covariates=fit.spec.covariates)
    design, spec, _ = build_design(spec, dataset)
    design = design.without_latent_variables(rows_per_unit=1)
    parameters = build_parameters(spec)
    reduction = build_reduction((), parameters.names)
    engine = Engine(design, parameters, threads)
    scores = engine.cluster_scores(fit.estimates, None) @ reduction.T
    (level,) = design.levels
    # A multinomial response has a row for each category, which are one unit.
    of_units = design.rows[level.first[:-1]]
    groups = dataset.column(cluster)[of_units] if cluster is not None else None
    # Sampling weights have made the covariance of the fit a sandwich already.
    model = fit.covariance if fit.model_covariance is None else fit.model_covariance
    V = sandwich(scores, level.frequency, model, groups)
    kind = "robust" if cluster is None else "cluster"
    return replace(fit, covariance=V, model_covariance=model, std_err_type=kind)
