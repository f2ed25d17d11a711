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
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.engine import Evaluation
from gllamm_cli.model.constraints import Reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.families import kind
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.spec import IntegrationRule, ModelSpec
from gllamm_cli.model.structure import as_column

FloatArray = NDArray[np.float64]
LOG_2PI = float(np.log(2.0 * np.pi))
ROWS_AT_A_TIME = 65_536


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
    root = np.sqrt(design.total_weight)
    if fixed:
        X = design.matrix(tuple(as_column(parameters.names[k].name) for k in fixed))
        scaled = X * root[:, None]
        estimates[fixed] = np.linalg.lstsq(scaled, residual * root, rcond=None)[0]
        residual = residual - X @ estimates[fixed]
    variance = float(np.average(residual**2, weights=design.total_weight))
    estimates[parameters.auxiliary_index[0]] = 0.5 * np.log(max(variance, 1e-300))
    return estimates


def _constant_scale(design: Design) -> bool:
    weight = design.auxiliary[0].weight
    return len(weight) == design.n_rows and bool((weight == 1.0).all())


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sufficient statistics of the lowest units (U of them, C columns)."""

    xx: FloatArray
    xy: FloatArray
    yy: FloatArray
    n: FloatArray


def _sums(design: Design, parameters: Parameters) -> _Sums:
    """Sum over the rows of each lowest unit, some units at a time to save memory."""
    first = design.levels[0].first
    units, C = len(first) - 1, len(parameters.columns)
    xx, xy = np.empty((units, C, C)), np.empty((units, C))
    yy, n = np.empty(units), np.empty(units)
    X = design.matrix(parameters.columns)
    y = design.y - design.offset
    weighted = not bool((design.row_weight == 1.0).all())
    begin = 0
    while begin < units:
        end = int(np.searchsorted(first, first[begin] + ROWS_AT_A_TIME, side="right")) - 1
        end = max(min(end, units), begin + 1)
        rows = slice(first[begin], first[end])
        starts = first[begin:end] - first[begin]
        x, r = X[rows], y[rows]
        w = design.row_weight[rows]
        wx = x * w[:, None] if weighted else x
        for a in range(C):
            for b in range(a + 1):
                total = np.add.reduceat(wx[:, a] * x[:, b], starts)
                xx[begin:end, a, b] = xx[begin:end, b, a] = total
            xy[begin:end, a] = np.add.reduceat(wx[:, a] * r, starts)
        yy[begin:end] = np.add.reduceat(w * r * r, starts)
        n[begin:end] = np.add.reduceat(w, starts)
        begin = end
    return _Sums(xx, xy, yy, n)


@dataclass(frozen=True, slots=True)
class _Integrated:
    """What integrating out one level's own latent variables left behind.

    ``inverse`` (units, o, o) is the posterior covariance given the latent
    variables above, ``slope`` (units, o, r) the regression on z = (1, those above).
    """

    inverse: FloatArray
    slope: FloatArray


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
    """

    at_rest = True

    def __init__(
        self,
        design: Design,
        parameters: Parameters,
        reduction: Reduction,
        on_evaluation: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_evaluation = on_evaluation
        self._design = design
        self._parameters = parameters
        self._reduction = reduction
        self._sums = _sums(design, parameters)
        self._own = [level.rule.nodes.shape[1] for level in design.levels]
        self._scale_at = int(parameters.auxiliary_index[0])

    # -- the maximiser's view

    def value(self, point: FloatArray) -> float:
        """Log likelihood at ``point``; -inf where it cannot be computed."""
        return self.evaluate(self._reduction.full(point)).log_likelihood

    def settled_value(self, point: FloatArray, tolerance: float = 0.0) -> float:
        """Log likelihood; there are no nodes to move."""
        return self.value(point)

    def follow(self, point: FloatArray) -> None:
        """There are no nodes to move."""

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
        H = np.zeros((len(parameters.columns), 1 + sum(self._own)))
        H[parameters.pair_column, parameters.pair_latent] = h
        return H

    def evaluate(self, theta: FloatArray, *, derivatives: bool = False) -> Evaluation:
        """Evaluate at all parameters (K,)."""
        self._on_evaluation()
        with np.errstate(all="ignore"):
            try:
                return self._evaluate(theta, derivatives=derivatives)
            except np.linalg.LinAlgError:
                return Evaluation(-np.inf)

    def _evaluate(self, theta: FloatArray, *, derivatives: bool) -> Evaluation:
        parameters, sums = self._parameters, self._sums
        H = self._matrix(parameters.coefficients(theta))
        log_sd = float(theta[self._scale_at])
        precision = float(np.exp(-2.0 * log_sd))
        SH = sums.xx @ H
        sH = sums.xy @ H
        quadratic = np.swapaxes(SH, 1, 2) @ H
        quadratic[:, 0, :] -= sH
        quadratic[:, :, 0] -= sH
        quadratic[:, 0, 0] += sums.yy
        Q = precision * quadratic
        Q[:, 0, 0] += sums.n * (LOG_2PI + 2.0 * log_sd)
        log_likelihood, integrated = self._up(Q)
        if not np.isfinite(log_likelihood):
            return Evaluation(-np.inf)
        if not derivatives:
            return Evaluation(log_likelihood)
        moments = self._down(integrated)
        W = self._design.levels[0].total_weight
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
            dM = self._moved(dQ, integrated)
            WdM = W[:, None, None] * dM
            d_H = precision * (s.T @ WdM[:, 0, :] - (SH @ WdM).sum(axis=0))
            d_scale = precision * float(np.vdot(change, WM) + np.vdot(quadratic, WdM))
            if k < n_pairs:
                d_H -= precision * S[:, :, c].T @ WM[:, m, :]
            else:
                d_H -= 2.0 * of_H
                d_scale -= 2.0 * precision * fit
            hessian[k] = np.append(d_H[pairs], d_scale)
        hessian = 0.5 * (hessian + hessian.T)
        jacobian = parameters.jacobian(theta)
        chained = jacobian.T @ hessian @ jacobian
        chained += parameters.curvature(theta, score[:n_pairs])
        return Evaluation(log_likelihood, jacobian.T @ score, 0.5 * (chained + chained.T))

    def _combined(self, k: int, Q: FloatArray) -> FloatArray:
        """Sums of the units' quadratics, with their weights, over the units of the level above."""
        level = self._design.levels[k]
        weighted = Q * level.weight[:, None, None]
        if k + 1 == len(self._design.levels):
            return weighted
        return np.add.reduceat(weighted, self._design.levels[k + 1].first[:-1], axis=0)

    def _up(self, Q: FloatArray) -> tuple[float, list[_Integrated]]:
        """Integrate level by level; latent variables of the lowest level come first in z."""
        integrated = []
        for k, own in enumerate(self._own):
            o, r = _places(own, Q.shape[1])
            Qoo = Q[:, o, o] + np.eye(own)
            inverse = _inverse(Qoo)
            Qor = Q[:, o, :][:, :, r]
            slope = -inverse @ Qor
            rest = Q[:, r[:, None], r] + np.swapaxes(Qor, 1, 2) @ slope
            rest[:, 0, 0] += _log_determinant(Qoo)
            integrated.append(_Integrated(inverse, slope))
            Q = self._combined(k, rest)
        return -0.5 * float(Q[:, 0, 0].sum()), integrated

    def _gathered(self, k: int, above: FloatArray) -> FloatArray:
        """Moments of the level above for each unit of a level."""
        level = self._design.levels[k]
        return above[level.parent] if len(level.parent) else np.repeat(above, level.n_units, axis=0)

    def _down(self, integrated: list[_Integrated]) -> FloatArray:
        """Posterior second moments of z = (1, v) in the lowest units, (U, 1 + M, 1 + M)."""
        moments = np.ones((1, 1, 1))
        for k, part in reversed(list(enumerate(integrated))):
            above = self._gathered(k, moments)
            across = part.slope @ above
            own = across @ np.swapaxes(part.slope, 1, 2) + part.inverse
            moments = _assembled(own, across, above)
        return moments

    def _moved(self, dQ: FloatArray, integrated: list[_Integrated]) -> FloatArray:
        """Derivative of the posterior moments when the lowest units' Q change by ``dQ``."""
        changes: list[tuple[FloatArray, FloatArray]] = []
        for k, part in enumerate(integrated):
            o, r = _places(part.slope.shape[1], dQ.shape[1])
            dQoo, dQor = dQ[:, o, o], dQ[:, o, :][:, :, r]
            forced = dQoo @ part.slope + dQor
            changes.append((-part.inverse @ dQoo @ part.inverse, -part.inverse @ forced))
            rest = dQ[:, r[:, None], r] + np.swapaxes(part.slope, 1, 2) @ forced
            rest += np.swapaxes(dQor, 1, 2) @ part.slope
            rest[:, 0, 0] += np.einsum("uab,uab->u", part.inverse, dQoo)
            dQ = self._combined(k, rest)
        moments, d_moments = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
        for k, part in reversed(list(enumerate(integrated))):
            d_inverse, d_slope = changes[k]
            above, d_above = self._gathered(k, moments), self._gathered(k, d_moments)
            transposed = np.swapaxes(part.slope, 1, 2)
            across = part.slope @ above
            d_across = d_slope @ above + part.slope @ d_above
            d_own = d_across @ transposed + across @ np.swapaxes(d_slope, 1, 2) + d_inverse
            d_moments = _assembled(d_own, d_across, d_above)
            if k:
                moments = _assembled(across @ transposed + part.inverse, across, above)
        return d_moments


def _places(own: int, size: int) -> tuple[slice, NDArray[np.int64]]:
    """Where a level's own latent variables stand in z, and the rest."""
    return slice(1, 1 + own), np.append(0, np.arange(1 + own, size))


def _assembled(own: FloatArray, across: FloatArray, above: FloatArray) -> FloatArray:
    """Symmetric matrices over z from their blocks: own variables, own by others, others."""
    units, n = own.shape[:2]
    size = n + above.shape[1]
    o, r = _places(n, size)
    out = np.empty((units, size, size))
    out[:, r[:, None], r] = above
    out[:, o, o] = own
    out[:, 1 : 1 + n, r] = across
    out[:, r, 1 : 1 + n] = np.swapaxes(across, 1, 2)
    return out


def _inverse(A: FloatArray) -> FloatArray:
    """Inverses of small symmetric matrices (units, o, o); in closed form up to 2 x 2."""
    size = A.shape[1]
    if size == 1:
        return 1.0 / A
    if size == 2:
        determinant = A[:, 0, 0] * A[:, 1, 1] - A[:, 0, 1] ** 2
        inverse = np.empty_like(A)
        inverse[:, 0, 0], inverse[:, 1, 1] = A[:, 1, 1], A[:, 0, 0]
        inverse[:, 0, 1] = inverse[:, 1, 0] = -A[:, 0, 1]
        return np.asarray(inverse / determinant[:, None, None])
    return np.asarray(np.linalg.inv(A))


def _log_determinant(A: FloatArray) -> FloatArray:
    size = A.shape[1]
    if size == 1:
        return np.log(A[:, 0, 0])
    if size == 2:
        return np.log(A[:, 0, 0] * A[:, 1, 1] - A[:, 0, 1] ** 2)
    return np.asarray(np.linalg.slogdet(A)[1])
