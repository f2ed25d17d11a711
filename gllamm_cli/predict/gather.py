"""What the rows of a prediction hold and lack, and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.assemble import predictor_variables
from gllamm_cli.model.responses import response_number
from gllamm_cli.model.spec import CONSTANT, ModelSpec

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.int64]


class Source:
    """Variables of some rows of the data, and which rows lack what.

    Attributes
    ----------
    rows : (n,)
        Positions in the data.
    complete : (n,) bool
        Rows in which nothing was missing that ``filled`` was asked for.
    """

    def __init__(self, dataset: Dataset, rows: IndexArray) -> None:
        self._dataset = dataset
        self.rows = rows
        n = dataset.n_rows
        self._is_whole = len(rows) == n and bool(np.array_equal(rows, np.arange(n)))
        self.complete: BoolArray = np.ones(len(rows), dtype=bool)

    def column(self, name: str) -> FloatArray:
        """Values with NaN for everything missing; not to be written to."""
        values = self._dataset.column(name)
        if not self._is_whole:
            values = values[self.rows]
        finite = np.isfinite(values)
        return values if finite.all() else np.where(finite, values, np.nan)

    def filled(self, name: str, value: float = 0.0) -> FloatArray:
        """Values with missing ones replaced; their rows count as incomplete."""
        values = self.column(name)
        missing = np.isnan(values)
        self.complete &= ~missing
        return np.where(missing, value, values)


def select_responses(spec: ModelSpec, source: Source) -> tuple[IndexArray, BoolArray]:
    """Response number of each row (0 where a selector is missing), and whether it is known."""
    first = spec.responses[0]
    known = np.ones(len(source.rows), dtype=bool)
    columns: dict[str, FloatArray] = {}
    for name, value in (
        (spec.link_selector, first.link_value),
        (spec.family_selector, first.family_value),
    ):
        if name is None:
            continue
        missing = np.isnan(source.column(name))
        known &= ~missing
        columns[name] = source.filled(name, float(value or 0))
    number = np.zeros(len(source.rows), dtype=np.int64)
    if columns and known.any():
        here = np.flatnonzero(known)
        number[here] = response_number(spec, lambda name: columns[name][here], len(here))
    return number, known


def complete_rows(spec: ModelSpec, source: Source) -> BoolArray:
    """Rows that lack nothing but perhaps their response, (rows,)."""
    names = set(predictor_variables(spec))
    names.update(name for thresholds in spec.thresholds for name in thresholds.covariates)
    if spec.offset is not None:
        names.add(spec.offset)
    if spec.choice_sets is not None:
        names.add(spec.choice_sets.unit)
        if spec.choice_sets.by_alternative:
            names.add(spec.depvar)
    if spec.composite is not None:
        names.update((spec.composite.unit, spec.composite.indicator, *spec.composite.portions))
    complete = np.ones(len(source.rows), dtype=bool)
    for name in names - {CONSTANT}:
        complete &= ~np.isnan(source.column(name))
    return complete


def sorted_order(
    spec: ModelSpec, source: Source, number: IndexArray, known: BoolArray
) -> NDArray[np.int64]:
    """Order of the rows as at estimation; those outside groups come last in their unit."""
    keys: list[FloatArray | IndexArray | BoolArray] = [np.arange(len(number))]
    if spec.choice_sets is not None:
        keys.append(source.column(spec.choice_sets.unit))
    keys.append(number if spec.composite is None else source.column(spec.composite.unit))
    keys.append(~known)
    keys.extend(source.column(level.unit) for level in spec.levels)
    return np.asarray(np.lexsort(keys), dtype=np.int64)


def filled_within_units(values: FloatArray, start: IndexArray) -> FloatArray:
    """Fill gaps of a variable that belongs to units from other rows of the unit."""
    if not np.isnan(values).any():
        return values
    of_unit = np.fmax.reduceat(values, start)
    sizes = np.diff(np.append(start, len(values)))
    return np.where(np.isnan(values), np.repeat(of_unit, sizes), values)
