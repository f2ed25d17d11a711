"""A part of a design: some top-level units with all that belongs to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.auxiliary import OrdinalRows
from gllamm_cli.model.design import Design, DesignLevel

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


def thinned(design: Design, step: int) -> Design:
    """Return every ``step``-th top-level unit of a design, from the first on.

    ``n_units`` stay those of the whole design.
    """
    levels: list[DesignLevel] = []
    kept: IndexArray = np.arange(0, design.levels[-1].n_units, step)
    parent: IndexArray = np.zeros(0, dtype=np.int64)
    for level in reversed(design.levels):
        levels.insert(0, _part_of_level(level, kept, parent))
        size = np.diff(levels[0].first)
        parent = np.repeat(np.arange(len(kept)), size)
        # All units of the level below in those that are kept.
        kept = np.repeat(level.first[kept] - levels[0].first[:-1], size) + np.arange(len(parent))
    take = _Gather(kept)
    composite = design.composite
    if composite is not None:
        composite = replace(
            composite,
            part=composite.part[kept],
            portion=composite.portion[kept],
            weight=composite.weight[kept],
            total_weight=composite.total_weight[kept],
        )
    return replace(
        design,
        kind=design.kind[kept],
        positions=kept if design.positions is None else design.positions[kept],
        y=take(design.y),
        denominator=take(design.denominator),
        offset=take(design.offset),
        row_weight=take(design.row_weight),
        total_weight=take(design.total_weight),
        frequency=take(design.frequency),
        variables={name: take(x) for name, x in design.variables.items()},
        levels=tuple(levels),
        entry_start=design.entries_of(kept),
        ordinal=tuple(_part_of_response(rows, kept) for rows in design.ordinal),
        cluster=None if design.cluster is None else design.cluster[::step],
        composite=composite,
    )


class _Gather:
    """Some rows of arrays; those of one array, which may stand for several, once."""

    def __init__(self, rows: IndexArray) -> None:
        self._rows = rows
        self._found: dict[int, FloatArray] = {}

    def __call__(self, values: FloatArray) -> FloatArray:
        if id(values) not in self._found:
            self._found[id(values)] = values[self._rows]
        return self._found[id(values)]


def _starts(sizes: IndexArray) -> IndexArray:
    return np.append(0, np.cumsum(sizes)).astype(np.int64)


def _part_of_level(level: DesignLevel, kept: IndexArray, parent: IndexArray) -> DesignLevel:
    covariates = level.class_design
    if covariates is not None and len(covariates) > 1:
        covariates = covariates[kept]
    return replace(
        level,
        first=_starts(level.first[kept + 1] - level.first[kept]),
        weight=level.weight[kept],
        parent=parent,
        total_weight=level.total_weight[kept],
        frequency=level.frequency[kept],
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
