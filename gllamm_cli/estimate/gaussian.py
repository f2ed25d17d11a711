"""The exact log likelihood of a linear mixed model, from sums over units.

Rows with y = x'H(1, v) + e, e ~ N(0, sigma^2), v ~ N(0, I), enter only through the
weighted sums S = sum w x x', s = sum w x y, t = sum w y^2 and n = sum w of the lowest
units. The log density of a unit's rows is -z'Qz/2 with z = (1, v) and

    Q = (H'SH - e s'H - H's e' + t e e') / sigma^2 + n log(2 pi sigma^2) e e',

e the first unit vector. Integrating a unit's own latent variables out leaves the
Schur complement of Q + I (prior) plus log|Q_oo + I| in its corner; the sum over the
units of a parent is the parent's Q. (Pinheiro and Bates 2000, chapter 2, in the form
of quadratics.) The score follows from posterior moments by Fisher's identity, the
information by differentiating the whole recursion in each direction.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.engine import Evaluation
from gllamm_cli.estimate.gaussian_units import Part, parts
from gllamm_cli.estimate.threads import available_threads
from gllamm_cli.model.constraints import Reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.families import kind
from gllamm_cli.model.gram import rough_least_squares
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.spec import IntegrationRule, ModelSpec
from gllamm_cli.model.structure import as_column

FloatArray = NDArray[np.float64]
LOG_2PI = float(np.log(2.0 * np.pi))


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
        and len(spec.scale_variables) == 1
        and not design.ordinal
        and len(design.auxiliary) == 1
        and bool((design.kind == kind("gauss", "ident")).all())
        and _constant_scale(design)
    )


def start(
    parameters: Parameters, design: Design, fixed: FloatArray, default: FloatArray
) -> FloatArray:
    """Better starting values than gllamm's constants where the residuals tell the scale.

    Each diagonal element of a Cholesky factor starts so that its effect has half the
    standard deviation of the residuals of the fixed part, by the size of its variable.
    """
    values = default.copy()
    log_sd = float(fixed[parameters.auxiliary_index[0]])
    weight = design.total_weight
    for k, name in enumerate(parameters.names):
        if name.block == "diagonal":
            z = design.matrix((as_column(name.name),))[:, 0]
            size = float(np.average(z * z, weights=weight))
            values[k] = 0.5 * np.exp(log_sd) / np.sqrt(size) if size > 0 else values[k]
    return values


def least_squares(spec: ModelSpec, design: Design, parameters: Parameters) -> FloatArray:
    """Maximum likelihood of the fixed part and the log standard deviation alone (one level)."""
    fixed = [k for k, name in enumerate(parameters.names) if name.block == "fixed"]
    estimates = np.zeros(parameters.n)
    residual = design.y - design.offset
    columns = [design.product(as_column(parameters.names[k].name)) for k in fixed]
    # The second time improves on the rounding of the first.
    for _ in range(2 if fixed else 0):
        step = rough_least_squares(columns, residual, design.total_weight)
        estimates[fixed] += step
        for x, b in zip(columns, step, strict=True):
            residual = residual - b * x
    variance = float(np.average(residual**2, weights=design.total_weight))
    estimates[parameters.auxiliary_index[0]] = 0.5 * np.log(max(variance, 1e-300))
    return estimates


def _constant_scale(design: Design) -> bool:
    weight = design.auxiliary[0].weight
    return len(weight) == design.n_rows and bool((weight == 1.0).all())


class GaussianObjective:
    """Log likelihood of a linear mixed model in the free parameters, without nodes.

    Parameters
    ----------
    design, parameters
        As for the engine.
    reduction
        From free to all parameters.
    on_evaluation
        Called after each evaluation.
    threads
        Number of threads; results do not depend on it.
    """

    at_rest = True

    def __init__(
        self,
        design: Design,
        parameters: Parameters,
        reduction: Reduction,
        on_evaluation: Callable[[], None] = lambda: None,
        threads: int | None = None,
    ) -> None:
        self._on_evaluation = on_evaluation
        self._parameters = parameters
        self._reduction = reduction
        self._parts = list(parts(design, parameters))
        self._threads = min(threads or available_threads(), len(self._parts))
        self._n_latent = sum(level.rule.n_latent for level in design.levels)
        self._scale_at = int(parameters.auxiliary_index[0])

    # -- the maximiser's view

    def value(self, point: FloatArray) -> float:
        """Log likelihood at ``point``; -inf where it cannot be computed."""
        return self.evaluate(self._reduction.full(point)).log_likelihood

    def settled_value(self, point: FloatArray, tolerance: float = 0.0) -> float:
        """Log likelihood; there are no nodes to move."""
        return self.value(point)

    def follow(self, point: FloatArray) -> float:
        """There are no nodes to move."""
        return 0.0

    def restore(self) -> None:
        """There are no nodes to put back."""

    def derivatives(self, point: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log likelihood, score and Hessian in the free parameters."""
        evaluation = self.evaluate(self._reduction.full(point), derivatives=True)
        return evaluation.reduced(self._reduction)

    # -- the likelihood

    def _matrix(self, h: FloatArray) -> FloatArray:
        """H (C, 1 + M) from the coefficients of pairs of column and latent variable."""
        parameters = self._parameters
        H = np.zeros((len(parameters.columns), 1 + self._n_latent))
        H[parameters.pair_column, parameters.pair_latent] = h
        return H

    def evaluate(self, theta: FloatArray, *, derivatives: bool = False) -> Evaluation:
        """Evaluate at all parameters (K,)."""
        self._on_evaluation()
        try:
            return self._evaluate(theta, derivatives=derivatives)
        except np.linalg.LinAlgError:
            return Evaluation(-np.inf)

    def _evaluate(self, theta: FloatArray, *, derivatives: bool) -> Evaluation:
        parameters = self._parameters
        H = self._matrix(parameters.coefficients(theta))
        log_sd = float(theta[self._scale_at])

        def evaluate_part(part: Part) -> tuple[float, FloatArray, FloatArray]:
            # Settings of numpy belong to a thread.
            with np.errstate(all="ignore"):
                return self._evaluate_part(part, H, log_sd, derivatives)

        if self._threads == 1:
            found = [evaluate_part(part) for part in self._parts]
        else:
            # Imported late: small models need no pool.
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(self._threads) as pool:
                found = list(pool.map(evaluate_part, self._parts))
        log_likelihood = sum(value for value, _, _ in found)
        if not np.isfinite(log_likelihood):
            return Evaluation(-np.inf)
        if not derivatives:
            return Evaluation(log_likelihood)
        score = np.sum([score for _, score, _ in found], axis=0)
        hessian = np.sum([hessian for _, _, hessian in found], axis=0)
        hessian = 0.5 * (hessian + hessian.T)
        jacobian = parameters.jacobian(theta)
        chained = jacobian.T @ hessian @ jacobian
        chained += parameters.curvature(theta, score[: len(parameters.pair_column)])
        return Evaluation(log_likelihood, jacobian.T @ score, 0.5 * (chained + chained.T))

    def _evaluate_part(
        self, part: Part, H: FloatArray, log_sd: float, derivatives: bool
    ) -> tuple[float, FloatArray, FloatArray]:
        """Log likelihood of a part, score and Hessian in coefficients of pairs and the log scale.

        Empty arrays if no derivatives are wanted.
        """
        sums, parameters = part.sums, self._parameters
        precision = float(np.exp(-2.0 * log_sd))
        SH = sums.xx @ H
        sH = sums.xy @ H
        quadratic = np.swapaxes(SH, 1, 2) @ H
        quadratic[:, 0, :] -= sH
        quadratic[:, :, 0] -= sH
        quadratic[:, 0, 0] += sums.yy
        Q = precision * quadratic
        Q[:, 0, 0] += sums.n * (LOG_2PI + 2.0 * log_sd)
        log_likelihood, integrated = part.up(Q)
        if not derivatives or not np.isfinite(log_likelihood):
            return log_likelihood, np.zeros(0), np.zeros((0, 0))
        moments = part.down(integrated)
        W = part.total_weight
        WM = W[:, None, None] * moments
        s, S = sums.xy, sums.xx
        # Expected derivative in H, and in the log standard deviation.
        of_H = precision * (s.T @ WM[:, 0, :] - (SH @ WM).sum(axis=0))
        fit = float(np.vdot(quadratic, WM))
        of_scale = precision * fit - float(W @ sums.n)
        pairs = (parameters.pair_column, parameters.pair_latent)
        n_pairs = len(parameters.pair_column)
        score = np.append(of_H[pairs], of_scale)
        hessian = np.empty((n_pairs + 1, n_pairs + 1))
        for k in range(n_pairs + 1):
            if k < n_pairs:
                c, m = int(pairs[0][k]), int(pairs[1][k])
                change = np.zeros_like(quadratic)
                # d(H'SH) has row and column m; d(H's) the entry m.
                change[:, m, :] += SH[:, c, :]
                change[:, :, m] += SH[:, c, :]
                change[:, 0, m] -= s[:, c]
                change[:, m, 0] -= s[:, c]
                dQ = precision * change
            else:
                change = np.zeros_like(quadratic)
                dQ = -2.0 * precision * quadratic
                dQ[:, 0, 0] += 2.0 * sums.n
            dM = part.moved(dQ, integrated)
            WdM = W[:, None, None] * dM
            d_H = precision * (s.T @ WdM[:, 0, :] - (SH @ WdM).sum(axis=0))
            d_scale = precision * float(np.vdot(change, WM) + np.vdot(quadratic, WdM))
            if k < n_pairs:
                d_H -= precision * S[:, :, c].T @ WM[:, m, :]
            else:
                d_H -= 2.0 * of_H
                d_scale -= 2.0 * precision * fit
            hessian[k] = np.append(d_H[pairs], d_scale)
        return log_likelihood, score, hessian
