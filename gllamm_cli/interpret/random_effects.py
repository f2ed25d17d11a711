"""Random effects predicted by their posterior means, for ``predict`` after multilevel commands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gllamm_cli.errors import TooFewVariables
from gllamm_cli.fit.fit import Fit
from gllamm_cli.interpret.fitted import fitted_data, fitted_rows
from gllamm_cli.interpret.generators import group_numbers
from gllamm_cli.interpret.multilevel import ONE
from gllamm_cli.interpret.run import Run, plural
from gllamm_cli.model.spec import LatentVariable, Level
from gllamm_cli.predict.predictor import predict
from gllamm_cli.predict.request import PredictRequest, Quantity, Rows
from gllamm_cli.stata.functions import FloatArray

STUB = "__effect"


def _effects(fit: Fit) -> list[tuple[Level, LatentVariable]]:
    """Random effects in the order of the printed table: the highest level first."""
    return [(level, effect) for level in reversed(fit.spec.levels) for effect in level.latent]


def new_names(run: Run, fit: Fit, words: Sequence[str]) -> list[str]:
    """Names of a variable for each random effect: as many as there are, or ``stub*``."""
    number = len(_effects(fit))
    if len(words) == 1 and words[0].endswith("*"):
        words = [f"{words[0][:-1]}{k}" for k in range(1, number + 1)]
    if len(words) != number:
        raise TooFewVariables(
            f"{plural(number, 'new variable')} needed, one for each random effect",
            span=run.span,
            hint="stub* makes their names",
        )
    return [run.new_name(word) for word in words]


def predicted_effects(run: Run, fit: Fit) -> list[FloatArray]:
    """Posterior means of the random effects, for all rows of the clusters in e(sample)."""
    sample = fitted_rows(run, fit)
    data = fitted_data(run, fit)
    request = PredictRequest(STUB, Quantity.U)
    found = predict(fit, data, request, sample=sample, threads=run.session.threads).columns
    units = [level.unit for level in fit.spec.levels]
    columns = []
    for level, effect in _effects(fit):
        # An identifier counts within those of the levels above it.
        group = group_numbers(data, units[level.number - 2 :])
        of_group = np.full(int(group.max()) + 1, np.nan)
        of_group[group[sample]] = found[f"{STUB}m{effect.number}"][sample]
        columns.append(of_group[group])
    return columns


def integrated_means(run: Run, fit: Fit, *, nooffset: bool = False) -> FloatArray:
    """Means of all rows, integrated over the distribution of the random effects."""
    request = PredictRequest(
        STUB, Quantity.MU, rows=Rows(beyond_sample=True), marginal=True, nooffset=nooffset
    )
    data = fitted_data(run, fit)
    everything = np.ones(data.n_rows, dtype=bool)
    threads = run.session.threads
    return predict(fit, data, request, selected=everything, threads=threads).columns[STUB]


def fitted_values(run: Run, fit: Fit, xb: FloatArray) -> FloatArray:
    """Linear predictor with the predicted random effects."""
    total = xb.copy()
    for (_, effect), values in zip(_effects(fit), predicted_effects(run, fit), strict=True):
        name = effect.variables[0]
        total += values if name == ONE else values * run.data.column(name)
    return total
