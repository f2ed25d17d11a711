"""Starting values of linear mixed models from the sums that their likelihood needs anyway.

With the coefficients of latent variables at zero the derivatives of the log likelihood are
moments of the residuals r: for the fixed part X'r and X'X, for the effects of latent variables
sums over units of s s' and of S, where s = z'r and S = z'z are those of a unit, z the variables
of the effects, everything by residual precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.gaussian import Derivatives, GaussianObjective
from gllamm_cli.model.design import Design
from gllamm_cli.model.gram import solve_semidefinite
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.spec import LatentVariable, Level, ModelSpec
from gllamm_cli.model.structure import as_column
from gllamm_cli.model.uniform import total

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

LEAST_VARIANCE = 1e-300
LEAST_SHARE, LARGEST_SHARE = 0.005, 0.9
"""Of the variance of residuals, that effects start with."""


def least_squares(objective: GaussianObjective) -> FloatArray:
    """Estimates without latent variables: the fixed part, then the level-1 log scale.

    Least squares, and residual variances from their residuals. Of collinear columns any solution.
    """
    parameters = objective.parameters
    P = parameters.n_pairs
    fixed, pairs = _fixed_part(parameters)
    estimates = np.zeros(len(fixed) + len(parameters.auxiliary_index))
    h = np.zeros(P)
    h[pairs] = objective.shift[pairs]
    # In units of the residuals all numbers are of the size of the number of rows.
    unit = objective.log_sd
    found = objective.differentiate(h, np.full(len(objective.scale_design), unit))
    if found is None:
        return estimates
    score, X = found.score[pairs], -found.expectation[np.ix_(pairs, pairs)]
    step = solve_semidefinite(X, score)
    estimates[fixed] = h[pairs] + step
    squares = -0.5 * np.diag(found.expectation)[P:]
    weight = squares - found.score[P:]
    # Least squares take as much off the sum of squares; h is close enough to share it out.
    whole = float(squares.sum())
    left = (whole - float(score @ step)) / whole if whole > 0.0 else 0.0
    # Rows that do not count say nothing about their variance.
    seen = weight > 0.0
    variance = np.maximum(left * squares[seen] / weight[seen], LEAST_VARIANCE)
    weighted = weight[seen, None] * objective.scale_design[seen]
    estimates[parameters.auxiliary_index] = solve_semidefinite(
        weighted.T @ objective.scale_design[seen], weighted.T @ (unit + 0.5 * np.log(variance))
    )
    return estimates


def _fixed_part(parameters: Parameters) -> tuple[IndexArray, IndexArray]:
    """Parameters of the fixed part, and the coefficients of their columns."""
    fixed = _positions(parameters, "fixed")
    names = [parameters.names[k].name for k in fixed]
    return fixed, np.array(_pairs(parameters, names, 0), dtype=np.int64)


def _positions(parameters: Parameters, *blocks: str) -> IndexArray:
    found = [k for k, name in enumerate(parameters.names) if name.block in blocks]
    return np.array(found, dtype=np.int64)


def _pairs(parameters: Parameters, variables: Sequence[str], latent: int) -> list[int]:
    """Coefficients of variables with a latent variable (0: in the fixed part)."""
    with_latent = np.flatnonzero(parameters.pair_latent == latent)
    number = {parameters.columns[parameters.pair_column[p]]: int(p) for p in with_latent}
    return [number[as_column(name)] for name in variables]


@dataclass(frozen=True, slots=True)
class _Moments:
    """Moments of the q effects of a level.

    ``loadings`` of the variables of each effect are such that ``squares`` (q, q), sums of S,
    have a unit diagonal; ``excess`` (q, q) is the sum of s s' less that of S.
    """

    loadings: tuple[FloatArray, ...]
    squares: FloatArray
    excess: FloatArray


def moment_estimates(
    spec: ModelSpec, design: Design, objective: GaussianObjective, start: FloatArray
) -> FloatArray:
    """Starting values (K,) with loadings and covariances of effects from moments of residuals.

    Effects with covariance matrix C make E[s s'] = S + S C S in each unit. With S proportional to
    the sizes of units this is solved for C. The loadings of an effect of several variables are the
    first principal component of the sum of s s' in the metric of S.

    Parameters
    ----------
    spec, design, objective
    start
        With the estimates of ``least_squares``.
    """
    parameters = objective.parameters
    without = start.copy()
    without[_positions(parameters, "diagonal", "offdiagonal")] = 0.0
    alpha = parameters.auxiliary_index
    zeta = objective.scale_design @ start[alpha]
    found = objective.differentiate(parameters.coefficients(without), zeta)
    if found is None:
        return start
    rows = total(design.total_weight)
    moments = [_moments(level, spec.correlated, parameters, found, start) for level in spec.levels]
    factors, share = [], 0.0
    for own, C in zip(moments, _covariances(spec.levels, moments, design), strict=True):
        size, vectors = np.linalg.eigh(C)
        C = (vectors * np.maximum(size, LEAST_SHARE * rows)) @ vectors.T
        factors.append(np.linalg.cholesky(C))
        share += float(np.sum(C * own.squares)) / rows
    shrink = min(1.0, LARGEST_SHARE / share)
    values = start.copy()
    for level, own, factor in zip(spec.levels, moments, factors, strict=True):
        _enter(level, own, np.sqrt(shrink) * factor, parameters, values)
    left = np.full(len(zeta), 0.5 * np.log(1.0 - shrink * share))
    scale = objective.scale_design
    values[alpha] += solve_semidefinite(scale.T @ scale, scale.T @ left)
    return values


def _moments(
    level: Level, correlated: bool, parameters: Parameters, found: Derivatives, start: FloatArray
) -> _Moments:
    """Moments of a level's effects; without correlations each on its own."""
    loadings = []
    for effect in level.latent:
        at = _pairs(parameters, effect.variables, effect.number)
        square = -found.expectation[np.ix_(at, at)]
        default = _default_loadings(effect, parameters, start)
        loadings.append(_loadings(square, found.covariance[np.ix_(at, at)], default))
    q = len(level.latent)
    squares, excess = np.eye(q), np.zeros((q, q))
    for i, effect in enumerate(level.latent):
        # If effects are correlated, all have coefficients of the first latent variable.
        m = level.latent[0].number if correlated else effect.number
        at = _pairs(parameters, effect.variables, m)
        for j in range(q) if correlated else (i,):
            other = _pairs(parameters, level.latent[j].variables, m)
            a, b = loadings[i], loadings[j]
            squares[i, j] = a @ -found.expectation[np.ix_(at, other)] @ b
            excess[i, j] = a @ found.covariance[np.ix_(at, other)] @ b - squares[i, j]
    return _Moments(tuple(loadings), squares, excess)


def _default_loadings(
    effect: LatentVariable, parameters: Parameters, start: FloatArray
) -> FloatArray:
    free = [
        k
        for k, name in enumerate(parameters.names)
        if name.block == "loading" and name.effects == (effect.number,)
    ]
    given = start[free]
    return given if effect.free_first_loading else np.append(1.0, given)


def _loadings(square: FloatArray, products: FloatArray, default: FloatArray) -> FloatArray:
    """Loadings a with a'Sa = 1 along the first principal component, or ``default``."""
    a = default
    if len(default) > 1:
        try:
            root = np.linalg.inv(np.linalg.cholesky(square))
        except np.linalg.LinAlgError:
            root = np.zeros_like(square)
        component = root.T @ np.linalg.eigh(root @ products @ root.T)[1][:, -1]
        # Loadings are relative to the first.
        if abs(component[0]) > 0.1 * np.abs(component).max():
            a = component * np.sign(component[0])
    size = float(a @ square @ a)
    return np.asarray(a / np.sqrt(size) if size > 0.0 else a)


def _covariances(
    levels: Sequence[Level], moments: Sequence[_Moments], design: Design
) -> list[FloatArray]:
    """C of each level, in units of its loadings.

    The sum of S S is S^2 / U. Residual variances have been estimated as if there were no effects,
    so that S is too large by what effects contribute to the rows alone, S^2 / n. Effects of the
    same variables at several levels add up at the lower ones:
    E_j = sum_i C_i S^2 (1 / U_min(i, j) - 1 / n).
    """
    n_units = _effective_units(design)
    same: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for t, level in enumerate(levels):
        for i, effect in enumerate(level.latent):
            same.setdefault(effect.variables, []).append((t, i))
    factor = [np.zeros(len(level.latent)) for level in levels]
    for variables, places in same.items():
        units = np.array([n_units[t] for t, _ in places])
        excess = np.array([moments[t].excess[i, i] for t, i in places])
        together = 1.0 / np.maximum.outer(units, units) - 1.0 / _n_affected(variables, design)
        sizes = np.linalg.lstsq(np.maximum(together, 0.0), excess, rcond=None)[0]
        for (t, i), size, alone in zip(places, sizes, excess, strict=True):
            factor[t][i] = np.sqrt(size / alone) if size > 0.0 < alone else 0.0
    out = []
    for own, scale in zip(moments, factor, strict=True):
        inverse = np.linalg.pinv(own.squares)
        out.append(inverse @ own.excess @ inverse * np.outer(scale, scale))
    return out


def _effective_units(design: Design) -> list[float]:
    """Number of units of each level if they had the same number of rows, (sum n)^2 / sum n^2."""
    numbers = []
    first_row: IndexArray | None = None
    for level in design.levels:
        first_row = level.first if first_row is None else first_row[level.first]
        share = np.diff(first_row) / design.n_rows
        numbers.append(1.0 / float(share @ share))
    return numbers


def _n_affected(variables: tuple[str, ...], design: Design) -> float:
    """Number of rows in which one of several variables is not zero; all for a single one."""
    if len(variables) == 1:
        return float(design.n_rows)
    affected = np.zeros(design.n_rows, dtype=bool)
    for name in variables:
        affected |= design.product(as_column(name)) != 0.0
    return float(max(affected.sum(), 1))


def _enter(
    level: Level, own: _Moments, factor: FloatArray, parameters: Parameters, values: FloatArray
) -> None:
    """Write loadings and Cholesky elements into ``values``."""
    scales = [
        1.0 / factor[i, i] if effect.free_first_loading else own.loadings[i][0]
        for i, effect in enumerate(level.latent)
    ]
    place = {effect.number: i for i, effect in enumerate(level.latent)}
    seen = dict.fromkeys(place, 0)
    for k, name in enumerate(parameters.names):
        if name.block not in ("loading", "diagonal", "offdiagonal") or name.effects[0] not in place:
            continue
        i = place[name.effects[0]]
        if name.block == "loading":
            effect = level.latent[i]
            seen[effect.number] += 1
            number = seen[effect.number] - effect.free_first_loading
            values[k] = own.loadings[i][number] / scales[i]
        else:
            values[k] = scales[i] * factor[i, place[name.effects[-1]]]
