"""Equal rows and equal units of a design merged into weighted ones: the same log likelihood.

Inside a unit, equal rows (with a nominal response, equal choice sets) become one with the
sum of their weights; then equal units of level 2 inside the same unit of level 3, and so on
up to the top-level clusters. Units are equal if they consist of the same rows or subunits
with the same weights, whatever the order, and have the same class covariates.

Scores of clusters include their weights, so that for a sandwich the frequencies add up: m
clusters with weight w, frequency f and score w s have m (w s)(w s)'/f = (m w s)(m w s)'/(m f).
Weights that differ in frequency alone are added as well: w/f is the same.

Rows are compared by the values of all columns in use (``_ext/hashing.pyx``). A small sample
tells whether it is worth while.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._hashing import (
    distinct_children,
    number_rows,
    number_units,
    row_hashes,
    unit_hashes,
)
from gllamm_cli.model.auxiliary import OrdinalRows
from gllamm_cli.model.design import Design, DesignLevel
from gllamm_cli.model.families import kind
from gllamm_cli.model.structure import Column, as_column
from gllamm_cli.model.uniform import is_uniform, occurring, ones, product, take

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

WORTH_WHILE = 1.5
"""Factor by which the number of rows must fall."""
WORTH_WEIGHTS = 4.0
"""The same for merging binary rows inside units, whose product form needs weights of 1."""
SAMPLE_UNITS = 256
SAMPLE_ROWS = 4096
"""Units and rows to look at first; more of a large design."""


@dataclass(frozen=True, slots=True)
class _Units:
    """Units of one level, or rows or choice sets, in the order of the units above them.

    Those of unit j of the level above are ``first[j]:first[j + 1]``. ``number`` says which
    ones of the data they are; ``weight`` and ``frequency`` are sums over those that each
    stands for.
    """

    first: IndexArray
    number: IndexArray
    weight: FloatArray
    frequency: FloatArray

    def of(self, above: IndexArray) -> _Units:
        """Return those of some units of the level above, in their order."""
        at, first = _runs(self.first, above)
        return _Units(first, self.number[at], take(self.weight, at), take(self.frequency, at))


def _runs(start: IndexArray, units: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Numbers ``start[j]`` to ``start[j + 1]`` of each unit j in turn, and where each begins."""
    size = start[units + 1] - start[units]
    first = np.append(0, np.cumsum(size))
    return np.repeat(start[units] - first[:-1], size) + np.arange(first[-1]), first


def _merged(
    first: IndexArray, pattern: IndexArray, weight: FloatArray, frequency: FloatArray
) -> _Units:
    """Merge units of one pattern inside the units above, which begin at ``first``."""
    start, number, group = distinct_children(first, pattern)
    if len(number) == len(pattern):
        return _Units(start, number, weight, frequency)
    sums = (np.bincount(group, x, len(number)).astype(np.float64) for x in (weight, frequency))
    return _Units(start, number, *sums)


def _compared(design: Design, columns: tuple[Column, ...], n: int) -> list[FloatArray]:
    """Everything in which the first ``n`` rows may differ, weights apart; each (n,)."""
    compared = [design.y[:n]]
    compared.extend(x[:n] for x in (design.denominator, design.offset) if not is_uniform(x))
    if len(design.kinds) > 1:
        compared.append(design.kind[:n].astype(np.float64))
    scale = (as_column(variable) for variable in design.scale_variables)
    for column in dict.fromkeys((*columns, *scale)):
        if column:
            x = design.variables[column[0]][:n]
            for name in column[1:]:
                x = x * design.variables[name][:n]
            compared.append(x)
    for response in design.ordinal:
        own = response.rows < n
        # Which response it is, and the covariates of its thresholds; y is the category.
        for x in (1.0, *response.design[own, :-1].T):
            values = np.zeros(n)
            values[response.rows[own]] = x
            compared.append(values)
    return [np.ascontiguousarray(x) for x in compared]


def _patterns_of_rows(compared: list[FloatArray]) -> IndexArray:
    """Numbers that only equal rows share."""
    return number_rows(compared, row_hashes(compared))


def _patterns_of_units(children: _Units, pattern: IndexArray, own: FloatArray) -> IndexArray:
    """Numbers that units share if the patterns of their children and their ``own`` are the same."""
    arrays = children.first, pattern[children.number], children.weight, own
    return number_units(*arrays, unit_hashes(*arrays))


def _own(design: Design, k: int, n: int) -> FloatArray:
    """What must be equal in units of ``levels[k]`` beside their children, (n, ...)."""
    level = design.levels[k]
    own: list[FloatArray] = []
    if level.class_design is not None and len(level.class_design) > 1:
        own.extend(level.class_design[:n].T)
    if k == len(design.levels) - 1:
        weight, frequency = level.weight[:n], level.frequency[:n]
        if not np.array_equal(weight, frequency):
            own.append(np.divide(weight, frequency, out=np.zeros(n), where=frequency > 0.0))
        if design.cluster is not None:
            own.append(design.cluster[:n])
    return np.column_stack(own) if own else np.zeros((n, 0))


def _is_plain(design: Design, n: int) -> bool:
    """Whether the first ``n`` rows are all binary, with a logit link and weight 1."""
    return (
        design.kinds == (kind("binom", "logit"),)
        and bool((occurring(design.row_weight[:n]) == 1.0).all())
        and bool((occurring(design.denominator[:n]) == 1.0).all())
    )


def _promising(design: Design, columns: tuple[Column, ...]) -> bool:
    """Whether the first units, or their rows, resemble each other enough to look at all."""
    lowest = design.levels[0]
    units = min(lowest.n_units, max(SAMPLE_UNITS, int(2.0 * np.sqrt(lowest.n_units))))
    most = max(SAMPLE_ROWS, design.n_rows // 16)
    if lowest.first[units] > most:
        units = max(1, int(np.searchsorted(lowest.first, most, side="right")) - 1)
    rows = min(int(lowest.first[units]), most)
    pattern = _patterns_of_rows(_compared(design, columns, rows))
    first = np.minimum(lowest.first[: units + 1], rows)
    merged = _merged(first, pattern, design.row_weight[:rows], design.frequency[:rows])
    factor = WORTH_WEIGHTS if _is_plain(design, rows) else WORTH_WHILE
    if rows >= factor * len(merged.number):
        return True
    different = int(_patterns_of_units(merged, pattern, _own(design, 0, units)).max()) + 1
    # The share of units like an earlier one grows at most in proportion to their number.
    share = (1.0 - different / units) * lowest.n_units / units
    return share >= 1.0 - 1.0 / WORTH_WHILE


def collapsed(design: Design, columns: tuple[Column, ...]) -> Design:
    """Merge equal rows and equal units.

    Returns ``design`` itself where that would not save much, and for composite links. The
    result has the variables of ``columns`` and of the scale alone; ``n_units`` are still
    those of the data.

    Parameters
    ----------
    columns
        Design columns of the linear predictor.
    """
    if design.composite is not None or not _promising(design, columns):
        return design
    pattern = _patterns_of_rows(_compared(design, columns, design.n_rows))
    # Rows, or choice sets, are the elements that units consist of.
    starts, first = np.arange(design.n_rows + 1), design.levels[0].first
    if design.group_starts is not None:
        starts = np.append(design.group_starts, design.n_rows)
        first = np.searchsorted(starts, first)
        one = ones(design.n_rows)
        sets = _merged(starts, pattern, one, one)
        pattern = _patterns_of_units(sets, pattern, np.zeros((len(starts) - 1, 0)))
    weight = take(design.row_weight, starts[:-1])
    frequency = take(design.frequency, starts[:-1])
    every = _Units(first, np.arange(len(pattern)), weight, frequency)
    merged = [_merged(first, pattern, weight, frequency)]
    for k, level in enumerate(design.levels):
        pattern = _patterns_of_units(merged[k], pattern, _own(design, k, level.n_units))
        top = k + 1 == len(design.levels)
        first = np.array([0, level.n_units]) if top else design.levels[k + 1].first
        merged.append(_merged(first, pattern, level.weight, level.frequency))
    kept = [merged[-1]]
    for units in merged[-2:0:-1]:
        kept.insert(0, units.of(kept[0].number))
    elements = merged[0].of(kept[0].number)
    if _is_plain(design, design.n_rows):
        unmerged = every.of(kept[0].number)
        if len(unmerged.number) < WORTH_WEIGHTS * len(elements.number):
            elements = unmerged
    if len(every.number) < WORTH_WHILE * len(elements.number):
        return design
    return _rebuilt(design, columns, starts, elements, kept)


def _rebuilt(
    design: Design,
    columns: tuple[Column, ...],
    starts: IndexArray,
    elements: _Units,
    kept: list[_Units],
) -> Design:
    """Return the design that consists of some elements and of the units of levels 2, 3, ..."""
    rows, first_row = _runs(starts, elements.number)
    levels: list[DesignLevel] = []
    for k, (level, units) in reversed(list(enumerate(zip(design.levels, kept, strict=True)))):
        first = kept[k - 1].first if k else first_row[elements.first]
        parent = np.zeros(0, dtype=np.int64)
        total = units.weight
        if levels:
            parent = _owners(units.first)
            total = product(total, take(levels[0].total_weight, parent))
        covariates = level.class_design
        if covariates is not None and len(covariates) > 1:
            covariates = np.ascontiguousarray(covariates[units.number])
        levels.insert(
            0,
            DesignLevel(
                first, units.weight, level.rule, parent, total, units.frequency, covariates
            ),
        )
    unit = _owners(elements.first)
    # Frequencies of rows are products that include those of their units, as they were.
    before = _frequency_products(design.levels)[kept[0].number]
    now = _frequency_products(tuple(levels))
    growth = np.divide(now, before, out=np.zeros_like(now), where=before > 0.0)
    size = np.diff(first_row)
    used = {name for column in columns for name in column}
    used.update(name for variable in design.scale_variables for name in as_column(variable))
    return replace(
        design,
        kind=take(design.kind, rows),
        positions=design.rows[rows],
        y=design.y[rows],
        denominator=take(design.denominator, rows),
        offset=take(design.offset, rows),
        row_weight=np.repeat(elements.weight, size),
        total_weight=np.repeat(elements.weight * levels[0].total_weight[unit], size),
        frequency=np.repeat(elements.frequency * growth[unit], size),
        variables={name: design.variables[name][rows] for name in sorted(used)},
        levels=tuple(levels),
        entry_start=design.entries_of(rows),
        ordinal=tuple(_rows_of(response, rows, design.n_rows) for response in design.ordinal),
        cluster=None if design.cluster is None else design.cluster[kept[-1].number],
    )


def _owners(first: IndexArray) -> IndexArray:
    """Unit above of each unit."""
    return np.repeat(np.arange(len(first) - 1), np.diff(first))


def _frequency_products(levels: tuple[DesignLevel, ...]) -> FloatArray:
    """Products of the frequencies of the lowest units and of all units they belong to."""
    found = levels[-1].frequency
    for level in reversed(levels[:-1]):
        found = product(level.frequency, take(found, level.parent))
    return found


def _rows_of(response: OrdinalRows, rows: IndexArray, n: int) -> OrdinalRows:
    """Rows of an ordinal response among ``rows`` of the ``n`` there were."""
    position = np.full(n, -1)
    position[response.rows] = np.arange(len(response.rows))
    at = position[rows]
    here = np.flatnonzero(at >= 0)
    at = at[here]
    return replace(response, rows=here, category=response.category[at], design=response.design[at])
