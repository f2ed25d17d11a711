"""Averages of expected responses over rows, their derivatives, and delta-method covariances.

A margin is (sum_i w_i m_i(theta)) / sum_i w_i, with m_i the expected response of row i for
given values of covariates: integrated over the distribution of the latent variables, at
latent variables of zero, or the fixed part of the linear predictor. Everything asked for
is a linear combination of such averages: effects of a factor are differences of two,
derivatives in a continuous covariate central differences of fourth order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.after.delta import jacobian, steps
from gllamm_cli.after.terms import Terms
from gllamm_cli.errors import General, InvalidSyntax
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.model.spec import ModelSpec
from gllamm_cli.predict.checks import check_above, check_outcome
from gllamm_cli.predict.expectation import expectation, linear_coefficients, prior_nodes
from gllamm_cli.predict.means import conditional_mean
from gllamm_cli.predict.model import PreparedModel, prepare

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

STEP = 1e-2
"""Step of derivatives in covariates, in standard deviations of the covariate."""
STENCIL = ((-2.0, 1.0 / 12.0), (-1.0, -8.0 / 12.0), (1.0, 8.0 / 12.0), (2.0, -1.0 / 12.0))
"""Offsets and weights of the central difference of fourth order."""


class Kind(StrEnum):
    """What is averaged."""

    MARGINAL = "mu marginal"
    FIXED_ONLY = "mu fixedonly"
    XB = "xb"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is averaged: ``outcome`` and ``above`` choose a category of a response with such."""

    kind: Kind = Kind.MARGINAL
    outcome: float | None = None
    above: float | None = None


def check_prediction(spec: ModelSpec, prediction: Prediction) -> None:
    """Refuse predictions that the model does not have.

    Raises
    ------
    General, InvalidSyntax
        A category that is missing, unknown or out of place; grouped rows.
    """
    if spec.choice_sets is not None or spec.composite is not None:
        raise General(
            "margins is not for expanded() and composite()",
            hint="gllapred, mu marginal gives the predictions to average",
        )
    nominal = LINK_BY_NAME[spec.response.link].nominal
    given = prediction.outcome is not None, prediction.above is not None
    if prediction.kind is Kind.XB:
        if any(given) and not (nominal and given == (True, False)):
            raise InvalidSyntax("xb has no category: leave out outcome() and above()")
    elif spec.thresholds:
        if sum(given) != 1:
            raise InvalidSyntax(
                "an ordinal response needs outcome(#) or above(#) in predict()",
                hint="predict(outcome(2)) is the probability of 2, predict(above(2)) of more",
            )
        if prediction.outcome is not None and len(spec.thresholds) > 1:
            raise InvalidSyntax("outcome() is for one ordinal response", hint="above()")
        _categories(spec, prediction)
    elif given[1] or (given[0] and not nominal):
        raise InvalidSyntax("outcome() and above() are for responses with categories")
    if nominal:
        check_outcome(spec, prediction.outcome)


def _categories(spec: ModelSpec, prediction: Prediction) -> list[tuple[float, tuple[float, ...]]]:
    """Signs and categories with P(outcome) = sum of sign * P(y > category).

    An empty tuple of categories with sign 1 stands for the probability 1.
    """
    if not spec.thresholds or prediction.kind is Kind.XB:
        return [(1.0, tuple(t.categories[0] for t in spec.thresholds))]
    if prediction.above is not None:
        return [(1.0, check_above(spec, (prediction.above,)))]
    codes = spec.thresholds[0].categories
    if prediction.outcome not in codes:
        raise InvalidSyntax(
            f"{prediction.outcome:g} is no category of {spec.depvar}",
            hint="categories: " + " ".join(f"{code:g}" for code in codes),
        )
    place = codes.index(prediction.outcome)
    pieces: list[tuple[float, tuple[float, ...]]] = []
    pieces.append((1.0, (codes[place - 1],) if place else ()))
    if place < len(codes) - 1:
        pieces.append((-1.0, (codes[place],)))
    return pieces


class Average:
    """Weighted average of a prediction over the rows of some data, as a function of theta."""

    def __init__(
        self,
        fit: Fit,
        dataset: Dataset,
        rows: IndexArray,
        weight: FloatArray,
        prediction: Prediction,
        threads: int | None,
    ) -> None:
        model = prepare(fit, dataset, rows, fit.estimates, needs_response=False, threads=threads)
        self.model: PreparedModel = model
        self.prediction = prediction
        self.categories = _categories(fit.spec, prediction)
        own = weight[model.prepared.design.rows]
        if model.prepared.alternative is not None:
            own = np.where(model.prepared.alternative == prediction.outcome, own, 0.0)
        self.weight = own / own.sum()

    def __call__(self, theta: FloatArray) -> float:
        """Average at parameters ``theta`` (K,)."""
        model = self.model
        prepared, parameters = model.prepared, model.parameters
        n_latent = 0 if model.is_one_level else int(model.structure.dimensions[-1])
        coefficients = linear_coefficients(prepared, parameters, theta, n_latent)
        if self.prediction.kind is Kind.XB:
            return float(self.weight @ coefficients[:, 0])
        total = 0.0
        for sign, above in self.categories:
            if not above and self.model.fit.spec.thresholds:
                total += sign
                continue
            total += sign * self._mean(theta, coefficients, above)
        return total

    def _mean(self, theta: FloatArray, coefficients: FloatArray, above: tuple[float, ...]) -> float:
        model = self.model
        prepared = model.prepared
        mean = conditional_mean(prepared, theta[model.parameters.auxiliary_index], above)
        if model.is_one_level or self.prediction.kind is Kind.FIXED_ONLY:
            return float(self.weight @ mean(coefficients[:, :1], 0, prepared.n_rows)[0][:, 0])
        values = expectation(
            lambda nu, begin, end: mean(nu, begin, end)[0],
            prepared,
            coefficients,
            prior_nodes(model.engine, prepared, theta),
        )
        return float(self.weight @ values)


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

    def all_margins(theta: FloatArray) -> FloatArray:
        return np.array([sum(f * average(theta) for f, average in of) for of in averages])

    theta, V = fit.estimates, fit.covariance
    J = jacobian(all_margins, theta, steps(theta, V))
    labels = tuple((margin.equation, margin.name) for margin in margins)
    return Margins(labels, all_margins(theta), J @ V @ J.T, J)


def row_weights(spec: ModelSpec, dataset: Dataset) -> FloatArray:
    """Product of the frequency and sampling weights of all levels, (rows,)."""
    product = np.ones(dataset.n_rows)
    for _, name in (*spec.weights, *spec.sampling_weights):
        product = product * dataset.column(name)
    return product
