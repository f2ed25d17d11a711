"""The recursion over units behind the likelihood of a linear mixed model; see ``gaussian``.

Arrays are (units, ...) for a run of whole top-level units, short enough to stay in cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.design import Design
from gllamm_cli.model.parameters import Parameters

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
ROWS_AT_A_TIME = 65_536
UNITS_AT_A_TIME = 16_384


@dataclass(frozen=True, slots=True)
class Sums:
    """Sufficient statistics of the lowest units (U of them, C columns)."""

    xx: FloatArray
    xy: FloatArray
    yy: FloatArray
    n: FloatArray


def sums_of_units(design: Design, parameters: Parameters) -> Sums:
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
    return Sums(xx, xy, yy, n)


@dataclass(frozen=True, slots=True)
class Integrated:
    """What integrating out one level's own latent variables left behind.

    ``inverse`` (units, o, o) is the posterior covariance given the latent
    variables above, ``slope`` (units, o, r) the regression on z = (1, those above).
    """

    inverse: FloatArray
    slope: FloatArray


@dataclass(frozen=True, slots=True)
class Part:
    """A run of top-level units with everything below them.

    Attributes
    ----------
    own
        Numbers of latent variables of the levels, lowest first.
    weight : per level (units,)
    first : per level but the top (units of the level above,)
        First unit of the level in each unit of the level above.
    parent : per level but the top (units,)
        Unit of the level above.
    total_weight : (lowest units,)
        Product of the weights of a unit and of all units it belongs to.
    """

    sums: Sums
    own: tuple[int, ...]
    weight: tuple[FloatArray, ...]
    first: tuple[IndexArray, ...]
    parent: tuple[IndexArray, ...]
    total_weight: FloatArray

    def _combined(self, k: int, Q: FloatArray) -> FloatArray:
        """Sums of the units' quadratics, with their weights, over the units of the level above."""
        weighted = Q * self.weight[k][:, None, None]
        if k + 1 == len(self.weight):
            return weighted
        return np.add.reduceat(weighted, self.first[k], axis=0)

    def up(self, Q: FloatArray) -> tuple[float, list[Integrated]]:
        """Integrate level by level; latent variables of the lowest level come first in z."""
        integrated = []
        for k, own in enumerate(self.own):
            o, r = _places(own, Q.shape[1])
            Qoo = Q[:, o, o] + np.eye(own)
            inverse = _inverse(Qoo)
            Qor = Q[:, o, :][:, :, r]
            slope = -inverse @ Qor
            rest = Q[:, r[:, None], r] + np.swapaxes(Qor, 1, 2) @ slope
            rest[:, 0, 0] += _log_determinant(Qoo)
            integrated.append(Integrated(inverse, slope))
            Q = self._combined(k, rest)
        return -0.5 * float(Q[:, 0, 0].sum()), integrated

    def _gathered(self, k: int, above: FloatArray) -> FloatArray:
        """Moments of the level above for each unit of a level."""
        if k + 1 == len(self.weight):
            return np.repeat(above, len(self.weight[k]), axis=0)
        return above[self.parent[k]]

    def down(self, integrated: list[Integrated]) -> FloatArray:
        """Posterior second moments of z = (1, v) in the lowest units, (U, 1 + M, 1 + M)."""
        moments = np.ones((1, 1, 1))
        for k, part in reversed(list(enumerate(integrated))):
            above = self._gathered(k, moments)
            across = part.slope @ above
            own = across @ np.swapaxes(part.slope, 1, 2) + part.inverse
            moments = _assembled(own, across, above)
        return moments

    def moved(self, dQ: FloatArray, integrated: list[Integrated]) -> FloatArray:
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


def parts(design: Design, parameters: Parameters) -> Iterator[Part]:
    """Cut the units of a design into parts; where depends on the data alone."""
    sums = sums_of_units(design, parameters)
    own = tuple(level.rule.n_latent for level in design.levels)
    # The first lowest unit of each top-level unit, and one past the last.
    borders = np.arange(design.levels[-1].n_units + 1)
    for level in reversed(design.levels[1:]):
        borders = level.first[borders]
    begin = 0
    while begin < len(borders) - 1:
        end = int(np.searchsorted(borders, borders[begin] + UNITS_AT_A_TIME, side="right")) - 1
        end = max(end, begin + 1)
        yield _part(design, sums, own, begin, end)
        begin = end


def _part(design: Design, sums: Sums, own: tuple[int, ...], begin: int, end: int) -> Part:
    """Take the top-level units ``begin:end``."""
    weight, first, parent = [], [], []
    above = 0
    for k, level in reversed(list(enumerate(design.levels))):
        weight.append(level.weight[begin:end])
        if k + 1 < len(design.levels):
            parent.append(level.parent[begin:end] - above)
        if k:
            first.append(level.first[begin:end] - level.first[begin])
            above, begin, end = begin, int(level.first[begin]), int(level.first[end])
    units = slice(begin, end)
    return Part(
        Sums(sums.xx[units], sums.xy[units], sums.yy[units], sums.n[units]),
        own,
        tuple(weight[::-1]),
        tuple(first[::-1]),
        tuple(parent[::-1]),
        design.levels[0].total_weight[units],
    )


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
