"""Placement of the nodes of adaptive quadrature by posterior moments.

The standardised latent variables v = (v_1, ..., v_M), lowest level first, of a
unit and its ancestors have posterior mean m and covariance S. With the
factorisation S = U D U', U unit upper triangular, the nodes are

    v = U e,   e_i = a_i + sqrt(d_i) x_i,   U a = m,

x being the standard nodes: a unit's nodes follow those of the units above it
through the posterior regression of the lower on the higher latent variables.
(Rabe-Hesketh, Skrondal and Pickles 2005, Journal of Econometrics 128, with
the factorisation of gllamm's own engine.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gllamm_cli.model.design import Design

FloatArray = NDArray[np.float64]

LEAST_SCALE = 1e-5
LARGEST_SHRINKAGE = 4.0
"""Factor by which a scale may shrink in one refresh.

When a posterior is narrower than the distance between nodes its moments are
those of a single node, with a variance near zero; following them would lose
the posterior altogether. The bound does not change the fixed point.
"""
LONGEST_STRIDE = 3.0
"""Scales by which a latent variable may move without its scale growing.

A posterior outside the reach of the nodes has all its mass at the outermost
one; the nodes must spread to find it.
"""


@dataclass(frozen=True, slots=True)
class LevelPlacement:
    """Nodes of one level's units: shift a, scale sqrt(d), rows of U, and posterior means.

    ``shift``, ``scale`` and ``mean`` are (units, n), ``mix`` is (units, n, M): row i
    of U for the level's i-th latent variable, columns counting all latent variables.
    """

    shift: FloatArray
    scale: FloatArray
    mix: FloatArray
    mean: FloatArray


@dataclass(frozen=True, slots=True)
class Placement:
    """Nodes of all levels, lowest first."""

    levels: tuple[LevelPlacement, ...]

    def arrays(self) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        """Return the arrays in the kernel's order."""
        return [(level.shift, level.scale, level.mix) for level in self.levels]


def standard_placement(design: Design) -> Placement:
    """Nodes of ordinary quadrature: a = 0, d = 1, U = I."""
    n_latent = [level.rule.n_latent for level in design.levels]
    total = sum(n_latent)
    levels = []
    below = 0
    for level, n in zip(design.levels, n_latent, strict=True):
        mix = np.zeros((level.n_units, n, total))
        mix[:, np.arange(n), below + np.arange(n)] = 1.0
        zeros, ones = np.zeros((level.n_units, n)), np.ones((level.n_units, n))
        levels.append(LevelPlacement(zeros, ones, mix, zeros))
        below += n
    return Placement(tuple(levels))


def moved(before: Placement, after: Placement) -> float:
    """Furthest that nodes moved, in scales after the move; growth by the factor e counts as 1."""
    furthest = 0.0
    for old, new in zip(before.levels, after.levels, strict=True):
        if new.shift.size:
            furthest = max(
                furthest,
                float(np.max(np.abs(new.shift - old.shift) / new.scale)),
                float(np.max(np.abs(np.log(new.scale / old.scale)))),
                float(np.max(np.abs(new.mix - old.mix))),
            )
    return furthest


def unpack_moments(
    moments: FloatArray, own: int, below: int, total: int
) -> tuple[FloatArray, FloatArray]:
    """First moments (units, own) and raw second moments (units, own, total) of a level's units.

    Only columns from ``below`` on are filled.
    """
    first = moments[:, :own]
    second = np.zeros((len(moments), own, total))
    packed = own
    for i in range(own):
        for j in range(i + 1):
            second[:, i, below + j] = moments[:, packed]
            second[:, j, below + i] = moments[:, packed]
            packed += 1
    for m in range(below + own, total):
        second[:, :, m] = moments[:, packed : packed + own]
        packed += own
    return first, second


def refresh(
    design: Design, moments: tuple[FloatArray, ...], old: Placement, *, cautious: bool = True
) -> Placement:
    """Place the nodes by posterior moments computed with the nodes of ``old``.

    ``cautious`` bounds the steps so that no posterior is lost; without it they are gllamm's.

    Works from the top level down, because the factorisation starts with the
    highest latent variable and lower levels need that of their ancestors.
    """
    n_latent = [level.rule.n_latent for level in design.levels]
    total = sum(n_latent)
    placements: list[LevelPlacement] = []
    # Of the level above, gathered to the units at hand: mean, its change, shift, d and U of
    # higher variables.
    mean = change = shift = variance = np.zeros((1, total))
    mix = np.zeros((1, total, total))
    below = total
    for k in reversed(range(len(design.levels))):
        level, own = design.levels[k], n_latent[k]
        below -= own
        if k + 1 < len(design.levels):
            mean, change, shift, variance, mix = (
                x[level.parent] for x in (mean, change, shift, variance, mix)
            )
        else:
            mean, change, shift, variance, mix = (
                np.repeat(x, level.n_units, axis=0) for x in (mean, change, shift, variance, mix)
            )
        first, second = unpack_moments(moments[k], own, below, total)
        mean[:, below : below + own] = first
        change[:, below : below + own] = first - old.levels[k].mean
        covariance = second - first[:, :, None] * mean[:, None, :]
        for i in reversed(range(own)):
            column = below + i
            for j in reversed(range(column + 1, total)):
                inner = sum(
                    mix[:, column, h] * mix[:, j, h] * variance[:, h] for h in range(j + 1, total)
                )
                mix[:, column, j] = (covariance[:, i, j] - inner) / variance[:, j]
            d = covariance[:, i, column].copy()
            for j in range(column + 1, total):
                rest = d - mix[:, column, j] ** 2 * variance[:, j]
                mix[:, column, j] = np.where(rest > 0.0, mix[:, column, j], 0.0)
                d = np.where(rest > 0.0, rest, d)
            mix[:, column, column] = 1.0
            shift[:, column] = mean[:, column] - sum(
                mix[:, column, j] * shift[:, j] for j in range(column + 1, total)
            )
            # How far the variable moved, given the variables that come before it.
            travelled = np.abs(
                change[:, column]
                - sum(mix[:, column, j] * change[:, j] for j in range(column + 1, total))
            )
            least = np.full_like(travelled, LEAST_SCALE)
            if cautious:
                least = np.maximum(least, old.levels[k].scale[:, i] / LARGEST_SHRINKAGE)
                least = np.maximum(least, travelled / LONGEST_STRIDE)
            variance[:, column] = np.maximum(d, least**2)
        own_columns = slice(below, below + own)
        placements.append(
            LevelPlacement(
                np.ascontiguousarray(shift[:, own_columns]),
                np.sqrt(variance[:, own_columns]),
                np.ascontiguousarray(mix[:, own_columns, :]),
                first,
            )
        )
    return Placement(tuple(placements[::-1]))
