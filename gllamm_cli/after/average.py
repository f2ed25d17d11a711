"""The average of a prediction over rows as a function of the parameters, with its gradient.

The average is (sum_i w_i m_i(theta)) / sum_i w_i, with m_i the expected response of row i:
integrated over the distribution of the latent variables, at latent variables of zero, or the
fixed part of the linear predictor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.after.delta import jacobian
from gllamm_cli.errors import General, InvalidSyntax
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.model.spec import ModelSpec
from gllamm_cli.predict.checks import check_above, check_outcome
from gllamm_cli.predict.expectation import (
    NodeWeights,
    expectation,
    expected_products,
    linear_coefficients,
    prior_nodes,
)
from gllamm_cli.predict.means import ConditionalMean, conditional_mean, cuts
from gllamm_cli.predict.model import PreparedModel, prepare

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


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
        coefficients = self._coefficients(theta)
        if self.prediction.kind is Kind.XB:
            return float(self.weight @ coefficients[:, 0])
        total = 0.0
        for sign, above in self.categories:
            if self._is_certain(above):
                total += sign
                continue
            total += sign * self._mean(theta, coefficients, above)
        return total

    def gradient(self, theta: FloatArray, h: FloatArray) -> FloatArray:
        """Derivatives in the parameters, (K,); zero where the step ``h`` (K,) of differences is.

        The chain rule takes them from the expected slopes of the mean in the linear predictor:
        one pass over rows and nodes. Differences take those of parameters which act otherwise,
        of scales and class probabilities, and all where means depend on several rows.
        """
        coefficients = self._coefficients(theta)
        found = np.zeros(len(theta))
        if self.prediction.kind is Kind.XB:
            slopes = np.zeros_like(coefficients)
            slopes[:, 0] = self.weight
            found = self._chained(theta, slopes)
        else:
            for sign, above in self.categories:
                if not self._is_certain(above):
                    found += sign * self._gradient_of_mean(theta, h, coefficients, above)
        return np.where(h > 0.0, found, 0.0)

    def _is_certain(self, above: tuple[float, ...]) -> bool:
        return not above and bool(self.model.fit.spec.thresholds)

    def _coefficients(self, theta: FloatArray) -> FloatArray:
        model = self.model
        n_latent = 0 if model.is_one_level else int(model.structure.dimensions[-1])
        return linear_coefficients(model.prepared, model.parameters, theta, n_latent)

    def _is_fixed(self) -> bool:
        return self.model.is_one_level or self.prediction.kind is Kind.FIXED_ONLY

    def _nodes(self, theta: FloatArray, conditional: ConditionalMean) -> Iterator[NodeWeights]:
        nodes = prior_nodes(self.model.engine, self.model.prepared, theta)
        return (each.mean() for each in nodes) if conditional.is_linear else nodes

    def _mean(self, theta: FloatArray, coefficients: FloatArray, above: tuple[float, ...]) -> float:
        model = self.model
        prepared = model.prepared
        conditional = conditional_mean(prepared, theta[model.parameters.auxiliary_index], above)
        if self._is_fixed():
            values = conditional.mean(coefficients[:, :1], 0, prepared.n_rows)[:, 0]
        else:
            nodes = self._nodes(theta, conditional)
            values = expectation(conditional.mean, prepared, coefficients, nodes, model.threads)
        return float(self.weight @ values)

    def _gradient_of_mean(
        self, theta: FloatArray, h: FloatArray, coefficients: FloatArray, above: tuple[float, ...]
    ) -> FloatArray:
        model = self.model
        prepared, parameters = model.prepared, model.parameters
        alpha = theta[parameters.auxiliary_index]
        conditional = conditional_mean(prepared, alpha, above)

        def mean(values: FloatArray) -> FloatArray:
            return np.array([self._mean(values, self._coefficients(values), above)])

        if not conditional.by_rows:
            return np.asarray(jacobian(mean, theta, h)[0])
        if self._is_fixed():
            slopes = np.zeros_like(coefficients)
            slopes[:, :1] = conditional.slope(coefficients[:, :1], 0, prepared.n_rows)
        else:
            slopes = expected_products(
                conditional.slope,
                prepared,
                coefficients,
                self._nodes(theta, conditional),
                model.threads,
            )
        slopes *= self.weight[:, None]
        found = self._chained(theta, slopes)
        otherwise = parameters.odds_index
        if conditional.scale is not None:
            otherwise = np.append(otherwise, parameters.auxiliary_index)
        elif conditional.cut is not None:
            # A threshold counts against the fixed part of the linear predictor.
            def threshold(values: FloatArray) -> FloatArray:
                cut = cuts(prepared, values, above)
                assert cut is not None
                return np.array([slopes[:, 0] @ cut])

            found[parameters.auxiliary_index] -= jacobian(
                threshold, alpha, h[parameters.auxiliary_index]
            )[0]
        if len(otherwise):
            of_these = np.zeros_like(h)
            of_these[otherwise] = h[otherwise]
            found[otherwise] = jacobian(mean, theta, of_these)[0][otherwise]
        return found

    def _chained(self, theta: FloatArray, slopes: FloatArray) -> FloatArray:
        """Derivatives through the coefficients, (K,), given those in them of each row, (N, 1 + D).

        ``slopes`` are weighted.
        """
        parameters = self.model.parameters
        sums = self.model.prepared.raw.matrix(parameters.columns).T @ slopes
        of_pairs = sums[parameters.pair_column, parameters.pair_latent]
        jacobian_of_pairs = parameters.jacobian(theta)[: parameters.n_pairs]
        return np.asarray(jacobian_of_pairs.T @ of_pairs)
