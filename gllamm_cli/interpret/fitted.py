"""The last fit with latent variables and the data it came from, for the commands after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.after.terms import indicator_of, model_variables, notation_parts
from gllamm_cli.data import Dataset
from gllamm_cli.errors import NoEstimates, WrongEstimator
from gllamm_cli.fit.fit import Fit
from gllamm_cli.interpret.multilevel import ONE
from gllamm_cli.interpret.run import Run
from gllamm_cli.model.sample import estimation_rows
from gllamm_cli.model.spec import CONSTANT, Sample
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.functions import FloatArray


def last_fit(run: Run, what: str) -> Fit:
    """Return the last fit with the covariance in force; r(321) after other estimations."""
    found = run.results()
    fit = found.fit or found.latent
    if fit is None:
        raise WrongEstimator(
            f"{what} is for models with latent variables, not for {found.command}",
            span=run.span,
            hint="fit the model with gllamm",
        )
    # After bootstrap e(V) is not that of the fit itself.
    V = found.of_fit_parameters().V
    return fit if V is fit.covariance else replace(fit, covariance=V)


def fitted_data(run: Run, fit: Fit) -> Dataset:
    """Data in memory with the columns that an estimation command has made for itself."""
    names = model_variables(fit.spec)
    if fit.spec.denominator is not None:
        names.add(fit.spec.denominator)
    columns = fitted_columns(run, sorted(names - set(run.data.names)))
    return run.data.with_columns(columns, storage_type="double") if columns else run.data


def fitted_columns(run: Run, names: Iterable[str]) -> dict[str, FloatArray]:
    """Columns by the names that commands give them: a term, or the expression of an offset."""
    data = run.data
    columns = {}
    for name in names:
        parts = notation_parts(name)
        if name in data.names:
            continue
        if name == ONE:
            columns[name] = np.ones(data.n_rows)
        elif parts is not None and all(variable in data.names for variable, _ in parts):
            of = [(data.column(variable), level) for variable, level in parts]
            pieces = [x if level is None else indicator_of(x, level) for x, level in of]
            columns[name] = np.prod(pieces, axis=0)
        elif name.startswith("ln(") or name.isdigit():
            values = run.evaluator().number(parse_expression(name))
            columns[name] = np.array(np.broadcast_to(values, (data.n_rows,)))
    return columns


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
    complete[estimation_rows(everything, fitted_data(run, fit))[0]] = True
    return sample & complete


def on_sample(run: Run, fit: Fit) -> Fit:
    """Return the fit as one to the rows of e(sample), wherever sorting has put them."""
    rows = tuple(np.flatnonzero(fitted_rows(run, fit)).tolist())
    return replace(fit, spec=replace(fit.spec, sample=Sample(selected=rows)))


def constant_effects(run: Run, fit: Fit) -> Mapping[str, float]:
    """Value of each variable of a random effect that does not vary in the estimation sample."""
    names = {name for effect in fit.spec.latent for name in effect.variables}
    found = {CONSTANT: 1.0, ONE: 1.0}
    if names <= set(found):
        return found
    rows = fitted_rows(run, fit)
    for name in names - set(found):
        values = run.data.column(name)[rows]
        if (values == values[0]).all():
            found[name] = float(values[0])
    return found
