"""A part of a design: some of its top-level units, or some rows of each unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.design import Design, DesignLevel
from gllamm_cli.model.uniform import take

IndexArray = NDArray[np.int64]

GOLDEN_RATIO = 0.6180339887498949


def without_period(n: int, step: int) -> IndexArray:
    """One of each ``step`` numbers from 0 to ``n``, ascending; of the last ones perhaps none.

    They lie evenly, but not at equal distances: data often have a period, such as arms of a trial
    that take turns.
    """
    stretch = np.arange(-(-n // step))
    found = stretch * step + (stretch * GOLDEN_RATIO % 1.0 * step).astype(np.int64)
    return found[found < n]


def some_units(design: Design, step: int) -> Design:
    """Return one of each ``step`` top-level units of a design, with all that belongs to them.

    ``n_units`` stay those of the whole design.
    """
    levels: list[DesignLevel] = []
    top = kept = without_period(design.levels[-1].n_units, step)
    parent: IndexArray = np.zeros(0, dtype=np.int64)
    for level in reversed(design.levels):
        levels.insert(0, _part_of_level(level, kept, parent))
        size = np.diff(levels[0].first)
        parent = np.repeat(np.arange(len(kept)), size)
        # All units of the level below in those that are kept.
        kept = np.repeat(level.first[kept] - levels[0].first[:-1], size) + np.arange(len(parent))
    return design.with_rows(kept, tuple(levels), top)


def some_rows(design: Design, step: int) -> Design:
    """Return about one of each ``step`` rows of a design, and at least one of each unit.

    Every row must stand alone.
    """
    lowest, *higher = design.levels
    kept = without_period(design.n_rows, step)
    first = np.searchsorted(kept, lowest.first)
    lost = lowest.first[:-1][first[1:] == first[:-1]]
    if len(lost):
        kept = np.sort(np.concatenate([kept, lost]))
        first = np.searchsorted(kept, lowest.first)
    return design.with_rows(kept, (replace(lowest, first=first), *higher))


def _starts(sizes: IndexArray) -> IndexArray:
    return np.append(0, np.cumsum(sizes)).astype(np.int64)


def _part_of_level(level: DesignLevel, kept: IndexArray, parent: IndexArray) -> DesignLevel:
    covariates = level.class_design
    if covariates is not None and len(covariates) > 1:
        covariates = covariates[kept]
    return replace(
        level,
        first=_starts(level.first[kept + 1] - level.first[kept]),
        weight=take(level.weight, kept),
        parent=parent,
        total_weight=take(level.total_weight, kept),
        frequency=take(level.frequency, kept),
        class_design=covariates,
    )
