"""``gllapred``: predictions from a fit for the rows of a data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import (
    GllammError,
    InvalidSyntax,
    NotForThisModel,
)
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.assemble import make_rule
from gllamm_cli.model.spec import IntegrationRule
from gllamm_cli.model.structure import n_classes
from gllamm_cli.predict.checks import check_above, check_outcome
from gllamm_cli.predict.expectation import expectation, posterior_nodes, prior_nodes
from gllamm_cli.predict.ignored import ignored_in_prediction
from gllamm_cli.predict.influence import cooks_distances
from gllamm_cli.predict.latent import (
    Moments,
    effect_covariances,
    means_of_rows,
    posterior_moments,
    prior_variances,
)
from gllamm_cli.predict.means import conditional_mean
from gllamm_cli.predict.messages import announcement, class_lines, log_likelihood_lines
from gllamm_cli.predict.model import check_given, check_new, given_latent, parameters_at, prepare
from gllamm_cli.predict.posterior import Posterior, evaluate_posterior
from gllamm_cli.predict.request import Prediction, PredictRequest, Quantity
from gllamm_cli.predict.residuals import Residual
from gllamm_cli.predict.sample import rows_to_use

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

WITHOUT_RESPONSE = frozenset({Quantity.XB, Quantity.S})
OF_CLUSTERS = frozenset(
    {Quantity.U, Quantity.USTD, Quantity.FAC, Quantity.P, Quantity.LL, Quantity.COOKSD}
)
"""Quantities that all rows of a cluster share."""
OF_POSTERIOR = frozenset({Quantity.U, Quantity.USTD, Quantity.FAC, Quantity.LINPRED})
"""Quantities with which a log likelihood that cannot be computed is not mentioned by name."""
MOVABLE_RULES = (IntegrationRule.GAUSS_HERMITE, IntegrationRule.SPHERICAL)
"""Rules that adaptive quadrature can use."""


def predict(
    fit: Fit,
    dataset: Dataset,
    request: PredictRequest,
    *,
    sample: BoolArray | None = None,
    selected: BoolArray | None = None,
    threads: int | None = None,
) -> Prediction:
    """Predict as gllapred does, with the quadrature of the fit.

    Parameters
    ----------
    sample : (rows,), optional
        e(sample); None for the rows that the fitted command would use.
    selected : (rows,), optional
        Rows that ``if`` and ``in`` select; None to evaluate those of the request.
    threads
        Number of threads; results do not depend on it.

    Raises
    ------
    GllammError
        What gllapred refuses, with its messages and return codes.
    """
    predictor = _Predictor(fit, dataset, request, threads)
    try:
        return predictor.prediction(sample, selected)
    except GllammError as error:
        error.printed = tuple(predictor.lines)
        raise


def check_quantity(fit: Fit, request: PredictRequest) -> tuple[Quantity, list[str]]:
    """Refuse quantities the fit does not have; return what to compute, and notes."""
    one_level = not fit.spec.levels
    quantity = request.quantity
    notes: list[str] = []
    if request.corr and quantity is not Quantity.U:
        raise InvalidSyntax("corr option allowed only with u option")
    if one_level and quantity is Quantity.P:
        raise InvalidSyntax("p option not valid for 1 level model")
    if one_level and quantity in (Quantity.U, Quantity.USTD, Quantity.FAC):
        raise InvalidSyntax("u, and fac options not valid for 1-level model")
    if one_level and quantity is Quantity.LINPRED:
        notes.append("linpred option equivalent to xb for this model")
        quantity = Quantity.XB
    return quantity, notes


def check_modifiers(fit: Fit, request: PredictRequest, quantity: Quantity) -> None:
    """Refuse options that do not go with the quantity or the fit."""
    if request.nooffset and quantity not in (Quantity.XB, Quantity.MU, Quantity.LINPRED):
        raise InvalidSyntax("nooffset option only allowed with xb, mu or linpred options")
    if request.us is not None and not quantity.is_function_of_mean:
        raise InvalidSyntax("us() option only valid with mu, pearson, deviance or anscombe")
    if request.adapt and fit.spec.rule not in MOVABLE_RULES:
        raise InvalidSyntax(
            "adapt can only be used with ip(g) or ip(m) option",
            hint="masses and grids are not moved; leave out adapt",
        )
    if quantity is Quantity.S and not fit.spec.has_scale:
        raise InvalidSyntax(
            "s option not valid: the model has no level-1 scale parameter",
            hint="families gaussian and gamma and the scaled links have one",
        )


def check_probabilities(fit: Fit) -> None:
    """Refuse posterior probabilities where gllapred has none."""
    if len(fit.spec.levels) != 1:
        raise NotForThisModel("cannot compute posterior probabilities in higher level models")
    if not fit.spec.rule.discrete and len(fit.spec.latent) > 1:
        raise NotForThisModel(
            "cannot compute posterior probabilities for more than 1 continuous latent variable"
        )


def new_names(fit: Fit, request: PredictRequest, quantity: Quantity) -> tuple[list[str], list[str]]:
    """Names of the new variables, and of posterior correlations."""
    stub, effects = request.stub, range(1, len(fit.spec.latent) + 1)
    if quantity in (Quantity.U, Quantity.USTD):
        names = [f"{stub}{letter}{r}" for r in effects for letter in "ms"]
        pairs = [(r, c) for r in effects for c in effects if c < r] if request.corr else []
        return names, [f"{stub}c{r}{c}" for r, c in pairs]
    if quantity is Quantity.FAC:
        return [f"{stub}m{r}" for r in effects], []
    if quantity is Quantity.P:
        level = fit.spec.levels[0]
        points = 1
        if fit.spec.rule.discrete:
            points = n_classes(level)
        else:
            points = len(make_rule(fit.spec, level).log_weights)
        return [f"{stub}{k}" for k in range(1, points + 1)], []
    return [stub], []


class _Predictor:
    """One prediction."""

    def __init__(
        self,
        fit: Fit,
        dataset: Dataset,
        request: PredictRequest,
        threads: int | None,
    ) -> None:
        self.fit, self.dataset, self.request = fit, dataset, request
        self.quantity, self.lines = check_quantity(fit, request)
        self.names, self.correlations = new_names(fit, request, self.quantity)
        self.threads = threads
        self.above: tuple[float, ...] = ()
        self.posterior: Posterior | None = None
        self.scores: dict[str, FloatArray] = {}

    def prediction(self, sample: BoolArray | None, selected: BoolArray | None) -> Prediction:
        """Check the rest, in gllapred's order, and compute."""
        fit, request, quantity = self.fit, self.request, self.quantity
        self.lines.extend(announcement(request, quantity, self.names, self.correlations))
        check_modifiers(fit, request, quantity)
        check_new([*self.names, *self.correlations], request.stub, self.dataset)
        rows = rows_to_use(fit, self.dataset, request.rows, sample, selected)
        if quantity.is_function_of_mean:
            self.above = check_above(fit.spec, request.above)
            check_outcome(fit.spec, request.outcome)
        theta = parameters_at(fit, request.start)
        if request.us is not None:
            check_given(fit, self.dataset, request.us)
        if quantity is Quantity.P:
            check_probabilities(fit)
        needs_response = quantity not in WITHOUT_RESPONSE and not (
            quantity is Quantity.MU and request.us is not None
        )
        self.model = prepare(
            self.fit,
            self.dataset,
            rows,
            theta,
            needs_response=needs_response,
            threads=self.threads,
        )
        columns = self.compute()
        if self.posterior is not None:
            if quantity is Quantity.P and self.fit.spec.rule.discrete:
                self.lines.extend(class_lines(self.fit))
            self.lines.extend(log_likelihood_lines(self.posterior, quantity))
        names = [*self.names, *self.correlations]
        return Prediction(
            columns={
                name: self.to_data(values) for name, values in zip(names, columns, strict=True)
            },
            lines=tuple(self.lines),
            notes=tuple(ignored_in_prediction(self.fit, request)),
            log_likelihood=None if self.posterior is None else self.posterior.log_likelihood,
            scores=self.scores,
        )

    def compute(self) -> list[FloatArray]:
        """New variables by design row, in the order of their names."""
        computations: dict[Quantity, Callable[[], list[FloatArray]]] = {
            Quantity.XB: lambda: [self.model.coefficients[:, 0] - self.left_out_offset()],
            Quantity.S: lambda: [self.scale()],
            Quantity.U: self.effects,
            Quantity.USTD: self.standardised_effects,
            Quantity.FAC: self.factors,
            Quantity.LINPRED: self.linear_predictor,
            Quantity.P: self.class_probabilities,
            Quantity.LL: self.contributions,
            Quantity.COOKSD: self.influence,
        }
        return computations.get(self.quantity, self.function_of_mean)()

    def to_data(self, values: FloatArray) -> FloatArray:
        """Put values of design rows where they belong in the data; NaN elsewhere."""
        model = self.model
        if self.quantity in OF_CLUSTERS and not model.is_one_level:
            values = np.where(model.prepared.placed, values, np.nan)
        category = self.request.outcome if self.quantity.is_function_of_mean else None
        return model.to_data(values, self.dataset.n_rows, category=category)

    def left_out_offset(self) -> FloatArray | float:
        return self.model.prepared.raw.offset if self.request.nooffset else 0.0

    def scale(self) -> FloatArray:
        scales = self.model.scales
        assert scales is not None
        return scales

    def evaluated(self) -> Posterior:
        """Log likelihood and posterior moments of the rows used."""
        if self.posterior is None:
            model, request = self.model, self.request
            # Under the prior, quadrature is always ordinary.
            prior = request.marginal and self.quantity.is_function_of_mean
            wanted = self.fit.spec.adaptive or request.adapt
            adaptive = wanted and not prior and not model.is_one_level
            self.posterior = evaluate_posterior(
                model.engine,
                model.prepared,
                model.theta,
                adaptive=adaptive,
                what="posterior" if self.quantity in OF_POSTERIOR else "posterior or ll",
            )
        return self.posterior

    def moments(self) -> Moments:
        model = self.model
        return posterior_moments(model.structure, model.prepared.design, self.evaluated().moments)

    def disturbances(self, moments: Moments) -> FloatArray:
        """Posterior means of zeta by row, (N, M)."""
        means = means_of_rows(moments, self.model.prepared.unit_of_row)
        return np.asarray(means @ self.model.structure.factor.T)

    def standard_deviations(self, moments: Moments) -> FloatArray:
        """Posterior standard deviations of zeta by row, (N, M)."""
        columns = [self.covariance_of_rows(moments, r, r) for r in range(self.model.structure.n)]
        return np.sqrt(np.maximum(np.column_stack(columns), 0.0))

    def covariance_of_rows(self, moments: Moments, r: int, c: int) -> FloatArray:
        k, covariance = effect_covariances(self.model.structure, moments, r, c)
        return np.asarray(covariance[self.model.prepared.unit_of_row[k]])

    def effects(self) -> list[FloatArray]:
        moments = self.moments()
        means, deviations = self.disturbances(moments), self.standard_deviations(moments)
        M = self.model.structure.n
        columns = [x[:, r] for r in range(M) for x in (means, deviations)]
        if self.request.corr:
            with np.errstate(invalid="ignore", divide="ignore"):
                columns.extend(
                    self.covariance_of_rows(moments, r, c) / (deviations[:, r] * deviations[:, c])
                    for r in range(M)
                    for c in range(r)
                )
        return columns

    def standardised_effects(self) -> list[FloatArray]:
        """Means over sqrt(prior - posterior variance), and these denominators."""
        model = self.model
        moments = self.moments()
        means, deviations = self.disturbances(moments), self.standard_deviations(moments)
        discrete = self.fit.spec.rule.discrete
        log_masses = model.engine.log_masses(model.theta) if discrete else []
        columns = []
        for r, variance in enumerate(prior_variances(model.structure, log_masses)):
            unit = model.prepared.unit_of_row[int(model.structure.effect_level[r])]
            prior = variance[unit] if len(variance) > 1 else variance
            diagnostic = np.sqrt(np.maximum(prior - deviations[:, r] ** 2, 0.0))
            with np.errstate(invalid="ignore", divide="ignore"):
                standardised = means[:, r] / diagnostic
            columns += [np.where(diagnostic > 0.0, standardised, np.nan), diagnostic]
        return columns

    def factors(self) -> list[FloatArray]:
        model = self.model
        eta = model.structure.finished(
            self.disturbances(self.moments()), model.prepared.raw.variables
        )
        return list(eta.T)

    def linear_predictor(self) -> list[FloatArray]:
        model = self.model
        means = means_of_rows(self.moments(), model.prepared.unit_of_row)
        coefficients = model.coefficients
        value = coefficients[:, 0] + np.einsum("nd,nd->n", coefficients[:, 1:], means)
        placed = np.where(model.prepared.placed, value, np.nan)
        return [placed - self.left_out_offset()]

    def class_probabilities(self) -> list[FloatArray]:
        model = self.model
        if self.fit.spec.rule.discrete:
            return list(means_of_rows(self.moments(), model.prepared.unit_of_row).T)
        posterior = self.evaluated()
        n_units = model.prepared.design.levels[0].n_units
        weights, _ = model.engine.posterior_nodes(model.theta, posterior.placement, 0, n_units)
        return list(weights[model.prepared.unit_of_row[0]].T)

    def contributions(self) -> list[FloatArray]:
        posterior = self.evaluated()
        return [posterior.contributions[self.model.prepared.unit_of_row[-1]]]

    def influence(self) -> list[FloatArray]:
        model = self.model
        posterior = self.evaluated()
        scores = model.engine.cluster_scores(model.theta, posterior.placement)
        distances, free = cooks_distances(
            self.fit, posterior.log_likelihood, scores, float(model.prepared.unit_weight.sum())
        )
        # The log likelihood is a check here, not a result.
        self.posterior = None
        unit = model.prepared.unit_of_row[-1]
        self.scores = self.score_table(free, unit)
        return [distances[unit]]

    def score_table(self, scores: FloatArray, unit: NDArray[np.int64]) -> dict[str, FloatArray]:
        """Name the scores (units, S); ``unit`` (N,) are the units of the design rows."""
        rows = self.model.prepared.design.rows
        first = np.unique(unit, return_index=True)[1]
        if self.model.is_one_level:
            name, value = "row", rows[first] + 1.0
        else:
            name = self.fit.spec.levels[-1].unit
            value = self.dataset.column(name)[rows[first]]
        table = {name: np.asarray(value, dtype=np.float64)}
        return table | {f"d{k}": column for k, column in enumerate(scores.T, start=1)}

    def mean_is_linear(self) -> bool:
        """Whether ``mu`` is the linear predictor, averaged over the posterior."""
        model, request = self.model, self.request
        return (
            not request.marginal
            and request.us is None
            and not model.is_one_level
            and model.prepared.design.composite is None
            and all(response.link == "ident" for response in self.fit.spec.responses)
        )

    def function_of_mean(self) -> list[FloatArray]:
        """``mu`` or residuals: expectations, or at given values of the latent variables."""
        model, request = self.model, self.request
        prepared = model.prepared
        if self.quantity is Quantity.MU and self.mean_is_linear():
            # The mean of a linear function is the function of the mean.
            return [np.where(prepared.known, self.linear_predictor()[0], np.nan)]
        conditional = conditional_mean(prepared, model.alpha, self.above)
        if self.quantity is Quantity.MU:
            offset = np.broadcast_to(np.asarray(self.left_out_offset()), prepared.n_rows)

            def g(nu: FloatArray, begin: int, end: int) -> FloatArray:
                return conditional.mean(nu - offset[begin:end, None], begin, end)
        else:
            scale = np.full(prepared.n_rows, np.nan) if model.scales is None else model.scales
            g = Residual(self.quantity, conditional, self.above, request.outcome, scale)
        if request.us is not None or model.is_one_level:
            eta = np.zeros((prepared.n_rows, 0))
            if request.us is not None:
                eta = given_latent(self.fit, self.dataset, request.us, prepared.design.rows)
            nu = model.predictor_given(eta)
            return [g(nu[:, None], 0, prepared.n_rows)[:, 0]]
        if request.marginal:
            if not self.fit.spec.adaptive:
                self.evaluated()
            nodes = prior_nodes(model.engine, prepared, model.theta)
        else:
            nodes = posterior_nodes(model.engine, prepared, self.evaluated())
        values = expectation(g, prepared, model.coefficients, nodes, model.threads)
        # Over the prior distribution a residual may have no expectation.
        values = np.where(np.isfinite(values), values, np.nan)
        return [values if request.marginal else np.where(prepared.placed, values, np.nan)]
