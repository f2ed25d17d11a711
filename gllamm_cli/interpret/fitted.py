"""The last gllamm fit and the data it came from, for the commands after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import NoEstimates, WrongEstimator
from gllamm_cli.fit.fit import Fit
from gllamm_cli.interpret.run import Run
from gllamm_cli.model.spec import CONSTANT


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


def fitted_rows(run: Run) -> NDArray[np.bool_]:
    """Rows of the estimation, (rows,); r(301) if the data are no longer those of the fit."""
    sample = run.session.estimation_sample(run.data)
    if sample is None or not sample.any():
        raise NoEstimates(
            "the estimation sample is not in memory",
            hint="estimates esample: if ... declares it",
        )
    return sample


def constant_effects(run: Run, fit: Fit) -> Mapping[str, float]:
    """Value of each variable of a random effect that does not vary in the estimation sample."""
    names = {name for effect in fit.spec.latent for name in effect.variables}
    found = {CONSTANT: 1.0}
    if names <= {CONSTANT}:
        return found
    rows = fitted_rows(run)
    for name in names - {CONSTANT}:
        values = run.data.column(name)[rows]
        if (values == values[0]).all():
            found[name] = float(values[0])
    return found
