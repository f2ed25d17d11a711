"""The last gllamm fit and the data it came from, for the commands after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import NoEstimates, WrongEstimator
from gllamm_cli.fit.fit import Fit
from gllamm_cli.interpret.run import Run
from gllamm_cli.model.sample import estimation_rows
from gllamm_cli.model.spec import CONSTANT, Sample


def last_fit(run: Run, what: str) -> Fit:
    """Return the fit of gllamm with the covariance in force; r(321) after other estimations."""
    found = run.results()
    if found.fit is None:
        raise WrongEstimator(
            f"{what} is for gllamm, and the last estimates are those of {found.command}",
            span=run.span,
            hint="fit the model with gllamm",
        )
    # After bootstrap e(V) is not that of the fit itself.
    return found.fit if found.V is found.fit.covariance else replace(found.fit, covariance=found.V)


def fitted_rows(run: Run, fit: Fit) -> NDArray[np.bool_]:
    """Rows of the estimation, (rows,); r(301) if the data are no longer those of the fit."""
    sample = run.session.estimation_sample(run.data)
    if sample is None or not sample.any():
        raise NoEstimates(
            "the estimation sample is not in memory",
            hint="estimates esample: if ... declares it",
        )
    # A sample that was declared may have rows that lack something.
    everything = replace(fit.spec, sample=Sample())
    complete = np.zeros(run.data.n_rows, dtype=bool)
    complete[estimation_rows(everything, run.data)[0]] = True
    return sample & complete


def on_sample(run: Run, fit: Fit) -> Fit:
    """Return the fit as one to the rows of e(sample), wherever sorting has put them."""
    rows = tuple(int(row) for row in np.flatnonzero(fitted_rows(run, fit)))
    return replace(fit, spec=replace(fit.spec, sample=Sample(selected=rows)))


def constant_effects(run: Run, fit: Fit) -> Mapping[str, float]:
    """Value of each variable of a random effect that does not vary in the estimation sample."""
    names = {name for effect in fit.spec.latent for name in effect.variables}
    found = {CONSTANT: 1.0}
    if names <= {CONSTANT}:
        return found
    rows = fitted_rows(run, fit)
    for name in names - {CONSTANT}:
        values = run.data.column(name)[rows]
        if (values == values[0]).all():
            found[name] = float(values[0])
    return found
