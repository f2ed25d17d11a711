"""Margins: linear combinations of averages of predictions, and delta-method covariances.

Effects of a factor are differences of two averages, derivatives in a continuous covariate
central differences of fourth order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.after.average import Average, Prediction, check_prediction
from gllamm_cli.after.delta import steps
from gllamm_cli.after.terms import Terms
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.spec import ModelSpec

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

STEP = 1e-2
"""Step of derivatives in covariates, in standard deviations of the covariate."""
STENCIL = ((-2.0, 1.0 / 12.0), (-1.0, -8.0 / 12.0), (1.0, 8.0 / 12.0), (2.0, -1.0 / 12.0))
"""Offsets and weights of the central difference of fourth order."""


@dataclass(frozen=True, slots=True)
class Margin:
    """A linear combination of averages: pairs of a weight and values of variables.

    ``equation`` and ``name`` label it; ``scenarios`` map variables to a value for all
    rows or to one for each row (rows,).
    """

    equation: str
    name: str
    scenarios: tuple[tuple[float, Mapping[str, float | FloatArray]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """Values (F,) of margins and their covariance (F, F)."""

    labels: tuple[tuple[str, str], ...]
    values: FloatArray
    covariance: FloatArray
    jacobian: FloatArray


def derivative(
    equation: str,
    name: str,
    variable: str,
    at: Mapping[str, float | FloatArray],
    values: FloatArray,
) -> Margin:
    """Average derivative in a continuous variable with ``values`` (rows,), others at ``at``."""
    start = np.broadcast_to(np.asarray(at.get(variable, values), dtype=np.float64), values.shape)
    spread = float(np.nanstd(values))
    h = STEP * (spread if spread > 0.0 else 1.0)
    scenarios = tuple(
        (weight / h, {**at, variable: start + offset * h}) for offset, weight in STENCIL
    )
    return Margin(equation, name, scenarios)


def average_margins(
    fit: Fit,
    dataset: Dataset,
    rows: IndexArray,
    weight: FloatArray,
    margins: Sequence[Margin],
    prediction: Prediction,
    terms: Terms,
    *,
    threads: int | None = None,
) -> Margins:
    """Margins over ``rows`` with the weights (all rows,) of the data, and their covariance.

    Standard errors are by the delta method with the covariates fixed.
    """
    check_prediction(fit.spec, prediction)
    averages = []
    for margin in margins:
        pieces = []
        for factor, scenario in margin.scenarios:
            values = {
                name: np.broadcast_to(np.asarray(value, dtype=np.float64), (dataset.n_rows,))
                for name, value in scenario.items()
            }
            data = terms.changed(dataset, values) if values else dataset
            pieces.append((factor, Average(fit, data, rows, weight, prediction, threads)))
        averages.append(pieces)

    theta, V = fit.estimates, fit.covariance
    h = steps(theta, V)
    found = np.array([sum(f * average(theta) for f, average in of) for of in averages])
    J = np.array([sum(f * average.gradient(theta, h) for f, average in of) for of in averages])
    labels = tuple((margin.equation, margin.name) for margin in margins)
    return Margins(labels, found, J @ V @ J.T, J)


def row_weights(spec: ModelSpec, dataset: Dataset) -> FloatArray:
    """Product of the frequency and sampling weights of all levels, (rows,)."""
    product = np.ones(dataset.n_rows)
    for _, name in (*spec.weights, *spec.sampling_weights):
        product = product * dataset.column(name)
    return product


def represented_rows(spec: ModelSpec, dataset: Dataset, rows: IndexArray) -> int:
    """Number of observations that rows stand for: the sum of their frequency weights.

    Weights that are no frequencies do not count.
    """
    product = np.ones(len(rows))
    for _, name in spec.weights:
        product = product * dataset.column(name)[rows]
    whole = not np.any(product % 1.0)
    return int(product.sum()) if whole else len(rows)
