"""The exact log likelihood of a linear mixed or factor model, from sums over units.

Rows with y = x'H(1, v) + e, e ~ N(0, sigma_g^2), v ~ N(0, I), enter only through the weighted
sums S_g = sum w x x', s_g = sum w x y, t_g = sum w y^2 and n_g = sum w over the rows of the
lowest units with residual variance g. The log density of a unit's rows is -z'Qz/2 with
z = (1, v) and

    Q = sum_g (H'S_g H - e s_g'H - H's_g e' + t_g e e') / sigma_g^2 + n_g log(2 pi sigma_g^2) e e',

e the first unit vector. Integrating a unit's own latent variables out leaves the Schur complement
of Q + I (prior) plus log|Q_oo + I| in its corner; the sum over the units of a parent is the
parent's Q. (Pinheiro and Bates 2000, chapter 2, in the form of quadratics.) The posterior is
normal: score and information follow from its moments by the identities of Fisher and Louis
(1982), exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._gaussian import NestedQuadratics
from gllamm_cli.estimate.engine import Evaluation
from gllamm_cli.estimate.gaussian_forms import build_forms
from gllamm_cli.estimate.gaussian_sums import residual_variances, take_sums
from gllamm_cli.estimate.threads import available_threads
from gllamm_cli.model.constraints import Reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.families import kind
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.spec import IntegrationRule, ModelSpec
from gllamm_cli.model.uniform import total

FloatArray = NDArray[np.float64]

LARGEST_ERROR = 1e-8
"""Of a log likelihood, relative to a row's usual contribution."""
TERMS_PER_THREAD = 300_000
"""Products of a sum and a number in one evaluation that keep a thread busy for some .2 ms."""


def applies(spec: ModelSpec, design: Design) -> bool:
    """Whether a model integrated by adaptive quadrature has a closed form.

    Ordinary quadrature is an approximation that users ask for by name: it stays.
    """
    return (
        spec.adaptive
        and bool(spec.levels)
        and spec.rule is IntegrationRule.GAUSS_HERMITE
        and spec.interaction is None
        and design.composite is None
        and not design.natural_scale
        and bool(design.scale_variables)
        and not design.ordinal
        and design.kinds == (kind("gauss", "ident"),)
        and residual_variances(design) is not None
    )


@dataclass(frozen=True, slots=True)
class Derivatives:
    """Log likelihood and derivatives in phi = (h, zeta), coefficients and log scales.

    The Hessian (P + G, P + G) is the sum of ``covariance``, that of the derivatives of the
    complete data given the data, and ``expectation``, of the complete data's Hessian. ``units``
    (top-level units, P + G) are their scores, if asked for.
    """

    log_likelihood: float
    score: FloatArray
    covariance: FloatArray
    expectation: FloatArray
    units: FloatArray | None = None


class GaussianObjective:
    """Log likelihood of a linear mixed model in the free parameters, without nodes.

    Parameters
    ----------
    design, parameters
        As for the engine; ``applies`` must be true of the design.
    reduction
        From free to all parameters.
    on_evaluation
        Called after each evaluation.
    threads
        Number of threads; results do not depend on it.

    Attributes
    ----------
    scale_design : (G, A)
        Variables of the log standard deviations zeta.
    shift : (P,)
        Rough values of the coefficients h.
    log_sd : float
        Log standard deviation of the residuals at these.
    """

    at_rest = True
    drift = 0.0

    def __init__(
        self,
        design: Design,
        parameters: Parameters,
        reduction: Reduction,
        on_evaluation: Callable[[], None] = lambda: None,
        threads: int | None = None,
    ) -> None:
        self._on_evaluation = on_evaluation
        self._reduction = reduction
        self.parameters = parameters
        variances = residual_variances(design)
        assert variances is not None
        self.scale_design = variances.design
        available = threads or available_threads()
        sums = take_sums(design, parameters, variances, available)
        # Latent variables of the highest level come first in the kernel.
        n_latent = sum(level.rule.n_latent for level in design.levels)
        latent = parameters.pair_latent
        self.log_sd = sums.log_sd()
        self.shift = np.where(latent == 0, sums.shift[parameters.pair_column], 0.0)
        self._forms = build_forms(
            sums.products,
            len(variances.design),
            parameters.pair_column,
            np.where(latent == 0, 0, n_latent + 1 - latent),
            self.shift,
        )
        self._kernel = NestedQuadratics(
            sums.values,
            [
                (
                    level.rule.n_latent,
                    border,
                    level.parent,
                    level.weight,
                    level.total_weight,
                )
                for level, border in zip(design.levels, sums.borders, strict=True)
            ],
        )
        terms = design.levels[0].n_units * len(self._forms.derivatives.entry)
        self._threads = min(available, 1 + terms // TERMS_PER_THREAD)
        self._rows = total(design.total_weight)
        self._last: tuple[FloatArray, Evaluation] | None = None

    # -- the maximiser's view

    def value(self, point: FloatArray) -> float:
        """Log likelihood at ``point``; -inf where it cannot be computed.

        With the derivatives: most steps are taken, and then they are needed.
        """
        return self._at(point).log_likelihood

    def settled_value(self, point: FloatArray, tolerance: float = 0.0) -> float:
        """Log likelihood; there are no nodes to move."""
        return self.value(point)

    def begin(self, point: FloatArray) -> None:
        """There are no nodes to move."""

    def follow(self, point: FloatArray, near: float = np.inf) -> float:
        """There are no nodes to move."""
        return 0.0

    def hold(self) -> None:
        """There are no nodes to hold."""

    def restore(self) -> None:
        """There are no nodes to put back."""

    def derivatives(self, point: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log likelihood, score and Hessian in the free parameters."""
        return self._at(point).reduced(self._reduction)

    def _at(self, point: FloatArray) -> Evaluation:
        if self._last is None or not np.array_equal(self._last[0], point):
            evaluation = self.evaluate(self._reduction.full(point), derivatives=True)
            self._last = point.copy(), evaluation
        return self._last[1]

    # -- the likelihood

    def evaluate(self, theta: FloatArray, *, derivatives: bool = False) -> Evaluation:
        """Evaluate at all parameters (K,)."""
        self._on_evaluation()
        parameters = self.parameters
        h, zeta = self._phi(theta)
        if not derivatives:
            return Evaluation(self._log_likelihood(h, zeta))
        found = self.differentiate(h, zeta)
        if found is None:
            return Evaluation(-np.inf)
        jacobian = self._jacobian(theta)
        chained = jacobian.T @ (found.covariance + found.expectation) @ jacobian
        chained += parameters.curvature(theta, found.score[: parameters.n_pairs])
        return Evaluation(
            found.log_likelihood, jacobian.T @ found.score, 0.5 * (chained + chained.T)
        )

    def cluster_scores(self, theta: FloatArray) -> FloatArray:
        """Score of each top-level unit, its weight included, (units, K)."""
        found = self.differentiate(*self._phi(theta), units=True)
        assert found is not None and found.units is not None
        return np.asarray(found.units @ self._jacobian(theta))

    def _phi(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        alpha = theta[self.parameters.auxiliary_index]
        return self.parameters.coefficients(theta), self.scale_design @ alpha

    def _jacobian(self, theta: FloatArray) -> FloatArray:
        """Derivative of phi in theta, (P + G, K)."""
        jacobian = self.parameters.jacobian(theta)
        P = self.parameters.n_pairs
        return np.vstack([jacobian[:P], self.scale_design @ jacobian[P:]])

    def _log_likelihood(self, h: FloatArray, zeta: FloatArray) -> float:
        layout = self._forms.value
        with np.errstate(over="ignore", invalid="ignore"):
            value, size, _, _, _ = self._kernel.evaluate(
                layout.form,
                layout.cell,
                layout.place,
                layout.entry,
                self._forms.at(h, zeta).terms,
                False,
                False,
                self._threads,
            )
        return value if self._is_sound(value, size, zeta) else -np.inf

    def differentiate(
        self, h: FloatArray, zeta: FloatArray, *, units: bool = False
    ) -> Derivatives | None:
        """Derivatives at ``h`` (P,) and ``zeta`` (G,); None where they cannot be computed."""
        layout = self._forms.derivatives
        with np.errstate(over="ignore", invalid="ignore"):
            forms = self._forms.at(h, zeta)
            slopes = forms.slopes()
            value, size, expected, covariance, scores = self._kernel.evaluate(
                layout.form,
                layout.cell,
                layout.place,
                layout.entry,
                np.concatenate([forms.terms, slopes]),
                True,
                units,
                self._threads,
            )
            assert expected is not None and covariance is not None
            found = Derivatives(
                value,
                forms.score(slopes, expected),
                covariance,
                forms.curvature(expected),
                scores,
            )
        sound = self._is_sound(value, size, zeta) and np.isfinite(found.score).all()
        return found if sound and np.isfinite(covariance).all() else None

    def _is_sound(self, log_likelihood: float, size: float, zeta: FloatArray) -> bool:
        """Whether a log likelihood is known to enough digits as a difference of larger numbers.

        It is not where a residual variance goes to zero while an effect explains the rows it
        belongs to: noise would look like a maximum.
        """
        error = np.finfo(np.float64).eps * (size + abs(log_likelihood))
        return bool(error <= LARGEST_ERROR * self._rows * (1.0 + np.abs(zeta).max()))
