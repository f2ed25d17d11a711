"""A part of a design: some top-level units with all that belongs to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.auxiliary import OrdinalRows
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


def thinned(design: Design, step: int) -> Design:
    """Return one of each ``step`` top-level units of a design.

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
    composite = design.composite
    if composite is not None:
        composite = replace(
            composite,
            part=composite.part[kept],
            portion=composite.portion[kept],
            weight=take(composite.weight, kept),
            total_weight=take(composite.total_weight, kept),
        )
    return replace(
        design,
        kind=take(design.kind, kept),
        positions=kept if design.positions is None else design.positions[kept],
        y=design.y[kept],
        denominator=take(design.denominator, kept),
        offset=take(design.offset, kept),
        row_weight=take(design.row_weight, kept),
        total_weight=take(design.total_weight, kept),
        frequency=take(design.frequency, kept),
        variables={name: x[kept] for name, x in design.variables.items()},
        levels=tuple(levels),
        entry_start=design.entries_of(kept),
        ordinal=tuple(_part_of_response(rows, kept) for rows in design.ordinal),
        cluster=None if design.cluster is None else design.cluster[top],
        composite=composite,
    )


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


def _part_of_response(response: OrdinalRows, kept: IndexArray) -> OrdinalRows:
    place = np.searchsorted(kept, response.rows)
    here = kept[np.minimum(place, len(kept) - 1)] == response.rows
    return replace(
        response,
        rows=place[here].astype(np.int64),
        category=response.category[here],
        design=response.design[here],
    )
