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

from gllamm_cli._placement import place_level

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


def rescaled(placement: Placement, factors: list[FloatArray]) -> Placement:
    """Return the same nodes for latent variables in units that are ``factors`` times as large.

    ``factors`` are (n,) per level: with v = U e and D their diagonal, D^-1 v = (D^-1 U D) D^-1 e.
    """
    whole = np.concatenate(factors)
    levels = []
    for level, factor in zip(placement.levels, factors, strict=True):
        levels.append(
            LevelPlacement(
                level.shift / factor,
                level.scale / factor,
                level.mix * whole / factor[:, None],
                level.mean / factor,
            )
        )
    return Placement(tuple(levels))


def refresh(
    design: Design,
    moments: tuple[FloatArray, ...],
    old: Placement,
    *,
    cautious: bool = True,
    threads: int = 1,
) -> tuple[Placement, float]:
    """Place the nodes by posterior moments computed with the nodes of ``old``.

    ``cautious`` bounds the steps so that no posterior is lost; without it they are gllamm's.
    Also returns how far nodes moved at most, in scales after the move; growth by the factor e
    counts as 1. Results do not depend on ``threads``.

    Works from the top level down, because the factorisation starts with the
    highest latent variable and lower levels need that of their ancestors.
    """
    n_latent = [level.rule.n_latent for level in design.levels]
    below = total = sum(n_latent)
    placements: list[LevelPlacement] = []
    above: tuple[FloatArray, FloatArray] | None = None
    furthest = 0.0
    for k in reversed(range(len(design.levels))):
        level, present = design.levels[k], old.levels[k]
        below -= n_latent[k]
        placed, above, movement = place_level(
            moments[k],
            level.parent,
            above,
            below,
            total,
            k == 0,
            (present.shift, present.scale, present.mix, present.mean),
            cautious,
            LEAST_SCALE,
            LARGEST_SHRINKAGE,
            LONGEST_STRIDE,
            threads,
        )
        placements.append(LevelPlacement(*placed))
        furthest = max(furthest, movement)
    return Placement(tuple(placements[::-1])), furthest
