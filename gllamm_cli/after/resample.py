"""The bootstrap of a fit: clusters drawn with replacement, or responses drawn from the model.

A cluster that is drawn c times counts as c clusters: it gets the frequency weight c, which
gives the likelihood of c copies with identifiers of their own. Replication r has a random
stream of its own, so that a seed gives the same results with any number of threads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import General, GllammError
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.sample import estimation_rows
from gllamm_cli.model.spec import DisplayOptions, ModelSpec, Purpose, Request, Sample, StartVector
from gllamm_cli.predict.request import Rows, SimulateRequest
from gllamm_cli.predict.simulator import simulate

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]

COUNT = "__count"
RESPONSE = "__drawn"
"""Names of variables that are made here and seen by nobody."""


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """Estimates of the replications that succeeded.

    Attributes
    ----------
    replications : (R, K)
    n_failed
        Replications without estimates; ``reasons`` counts why.
    unit
        What was drawn: a cluster variable, or "" for rows and for parametric draws.
    n_units
        How many were drawn in each replication.
    """

    fit: Fit
    replications: FloatArray
    n_failed: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    parametric: bool = False
    unit: str = ""
    n_units: int = 0

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the estimates over replications, divisor R - 1, (K, K)."""
        return np.atleast_2d(np.cov(self.replications, rowvar=False))

    @property
    def bias(self) -> FloatArray:
        """Mean of the replications less the estimates, (K,)."""
        return np.asarray(self.replications.mean(axis=0) - self.fit.estimates)

    def percentiles(self, level: float) -> FloatArray:
        """Percentile interval of each parameter, (2, K), with Stata's definition of percentiles."""
        tail = 0.5 * (1.0 - level / 100.0)
        return np.asarray(
            np.quantile(
                self.replications, [tail, 1.0 - tail], axis=0, method="averaged_inverted_cdf"
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Population:
    """What is drawn from: the unit of each row, and how many units each one stands for."""

    unit_of_row: NDArray[np.int64]
    frequency: FloatArray
    name: str


def bootstrap(
    fit: Fit,
    dataset: Dataset,
    *,
    replications: int,
    seed: int,
    parametric: bool = False,
    threads: int | None = None,
) -> Bootstrap:
    """Refit a model to ``replications`` samples, starting from its estimates.

    Top-level clusters are drawn, or the larger ones of ``cluster()``; rows in a
    model without clusters.

    Raises
    ------
    General
        The fit cannot be resampled, or fewer than two replications succeed.
    """
    _check(fit, parametric)
    rows, _ = estimation_rows(fit.spec, dataset)
    names = [name for name in dataset.names if not dataset.is_text(name)]
    data = dataset.keep(names).take(rows)
    spec = _spec(fit)
    population = _population(fit.spec, data)
    draw = _simulated(fit, spec, data, threads) if parametric else _drawn(spec, data, population)
    found, reasons = [], Counter[str]()
    for stream in np.random.SeedSequence(seed).spawn(replications):
        sample, of_sample = draw(np.random.default_rng(stream))
        try:
            refit = fit_model(Request("", of_sample, DisplayOptions()), sample, threads=threads)
        except GllammError as error:
            reasons[error.message] += 1
            continue
        if refit.names != fit.names:
            reasons["the sample lacks a category or a covariate"] += 1
        elif not refit.converged:
            reasons["convergence not achieved"] += 1
        else:
            found.append(refit.estimates)
    if len(found) < 2:
        most = ", ".join(reason for reason, _ in reasons.most_common(1))
        raise General("insufficient replications: at most one succeeded", hint=most or "reps(50)")
    return Bootstrap(
        fit,
        np.array(found),
        replications - len(found),
        dict(reasons),
        parametric,
        "" if parametric else population.name,
        int(population.frequency.sum()),
    )


def _check(fit: Fit, parametric: bool) -> None:
    spec = fit.spec
    if spec.sampling_weights:
        raise General(
            "sampling weights cannot be bootstrapped",
            hint="the standard errors of pweight() are robust already",
        )
    if spec.purpose not in (Purpose.FIT, Purpose.FIXED_ONLY) or not fit.converged:
        raise General("bootstrap needs a maximum", hint="the estimation has not converged")
    grouped = spec.choice_sets is not None or spec.composite is not None
    if parametric and grouped:
        raise General("parametric is not for expanded() and composite()", hint="draw clusters")
    if parametric and spec.weights:
        raise General(
            "parametric is not for weighted data", hint="rows with weights stand for several"
        )
    if not spec.levels and grouped:
        raise General("rows of expanded() and composite() cannot be drawn one by one", hint="i()")
    if spec.cluster is not None and spec.weights:
        raise General("clusters of cluster() cannot be drawn from weighted data")


def _spec(fit: Fit) -> ModelSpec:
    """Return the model for samples: all rows, starting at the estimates, model-based errors."""
    start = None
    if fit.spec.purpose is Purpose.FIT:
        pairs = tuple((name.equation, name.name) for name in fit.names)
        values = tuple(fit.estimates.tolist())
        start = StartVector("the estimates", values, pairs, copy=True, long=True)
    return replace(
        fit.spec,
        sample=Sample(),
        start=start,
        robust=False,
        cluster=None,
        search=None,
        gateaux=None,
        reference=None,
    )


def _population(spec: ModelSpec, data: Dataset) -> _Population:
    """Units to draw: whole numbers of them."""
    name = spec.cluster or (spec.levels[-1].unit if spec.levels else "")
    if name:
        _, unit = np.unique(data.column(name), return_inverse=True)
    else:
        unit = np.arange(data.n_rows)
    n_units = int(unit.max()) + 1
    frequency = np.ones(n_units)
    weight = dict(spec.weights).get(spec.levels[-1].number if spec.levels else 1)
    if weight is not None:
        frequency[unit] = data.column(weight)
    if (frequency != np.floor(frequency)).any():
        raise General("weights that are no whole numbers cannot be drawn from")
    return _Population(unit.astype(np.int64), frequency, name)


Draw = Callable[[np.random.Generator], "tuple[Dataset, ModelSpec]"]


def _drawn(spec: ModelSpec, data: Dataset, population: _Population) -> Draw:
    """Samples of units with replacement."""
    level = spec.levels[-1].number if spec.levels else 1
    weights = {**dict(spec.weights), level: COUNT}
    weighted = replace(spec, weights=tuple(sorted(weights.items())))
    total = int(population.frequency.sum())
    shares = population.frequency / total

    def draw(random: np.random.Generator) -> tuple[Dataset, ModelSpec]:
        count = random.multinomial(total, shares).astype(np.float64)[population.unit_of_row]
        rows = np.flatnonzero(count)
        return data.take(rows).with_column(COUNT, count[rows]), weighted

    return draw


def _simulated(fit: Fit, spec: ModelSpec, data: Dataset, threads: int | None) -> Draw:
    """Responses drawn from the fitted model, for the clusters and covariates as they are."""
    fit = replace(fit, spec=replace(fit.spec, sample=Sample()))
    request = SimulateRequest(RESPONSE, rows=Rows(beyond_sample=True))

    def draw(random: np.random.Generator) -> tuple[Dataset, ModelSpec]:
        drawn = simulate(fit, data, request, random, threads=threads).columns[RESPONSE]
        return data.with_column(spec.depvar, drawn, storage_type="double"), spec

    return draw
