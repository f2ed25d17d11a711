"""The sums over units that a linear mixed model needs of its rows; see ``gaussian``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._gaussian import cross_products, distinct_rows
from gllamm_cli.model.design import Design
from gllamm_cli.model.distinct import distinct
from gllamm_cli.model.gram import rough_least_squares
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.structure import as_column

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

FEW_VARIANCES, MOST_VARIANCES = 16, 256
VARIANCES_PER_ROW = 4
"""Of a unit; more than these distinct residual variances take more memory than they are worth."""
LEAST_UNITS = 128
MOST_BLOCKS = 64
ROWS_PER_THREAD = 100_000
"""Rows that keep a thread busy for about 2 ms when sums are taken.

Less is not worth it: on a busy machine a thread may wait longer than that for a processor.
"""
SAMPLED_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class ResidualVariances:
    """The G distinct residual variances of the rows.

    ``group`` (N,) is the variance of each row, None if there is one only; ``design`` (G, A) are
    the variables of the log standard deviations.
    """

    group: NDArray[np.int32] | None
    design: FloatArray


def residual_variances(design: Design) -> ResidualVariances | None:
    """Residual variances of a design, None if there are too many."""
    columns = [as_column(name) for name in design.scale_variables]
    if columns == [()]:
        return ResidualVariances(None, np.ones((1, 1)))
    values = [np.ascontiguousarray(design.product(column)) for column in columns]
    rows_of_unit = design.n_rows / design.levels[0].n_units
    most = min(MOST_VARIANCES, max(FEW_VARIANCES, int(VARIANCES_PER_ROW * rows_of_unit)))
    found = distinct_rows(values, most)
    if found is None:
        return None
    group, first = found
    distinct = np.column_stack([value[first] for value in values])
    return ResidualVariances(group if len(first) > 1 else None, distinct)


@dataclass(frozen=True, slots=True)
class Sums:
    """Cross products of the rows of the lowest units.

    Attributes
    ----------
    products : (products, 3)
        Residual variance and columns of each; the response comes after the C columns.
    values : (groups of units, products + G, units in a group)
    shift : (C,)
        Coefficients of the columns whose prediction has been taken off the response.
    borders
        First unit of each block, for each level, lowest first.
    """

    products: IndexArray
    values: FloatArray
    shift: FloatArray
    borders: list[IndexArray]

    def log_sd(self) -> float:
        """Log standard deviation of what ``shift`` leaves of the response; 0 if it leaves none."""
        response = len(self.shift)
        squares = np.flatnonzero((self.products[:, 1:] == response).all(axis=1))
        size = float(self.values[:, squares].sum())
        weight = float(self.values[:, len(self.products) :].sum())
        return 0.5 * float(np.log(size / weight)) if size > 0.0 < weight else 0.0


def take_sums(
    design: Design, parameters: Parameters, variances: ResidualVariances, threads: int
) -> Sums:
    """Pass over the rows of a design."""
    columns = [design.product(column) for column in parameters.columns]
    shift = _rough_coefficients(design, parameters, columns)
    borders = _blocks(design)
    products, values = cross_products(
        columns,
        shift,
        design.y,
        design.offset,
        design.row_weight,
        variances.group,
        len(variances.design),
        design.levels[0].first,
        borders[0],
        min(threads, 1 + design.n_rows // ROWS_PER_THREAD),
    )
    return Sums(products, values, shift, borders)


def _blocks(design: Design) -> list[IndexArray]:
    """First unit of each block of whole top-level units, for each level, lowest first.

    The borders depend on the data alone.
    """
    lowest = np.arange(design.levels[-1].n_units + 1)
    for level in reversed(design.levels[1:]):
        lowest = level.first[lowest]
    together = max(LEAST_UNITS, -(-int(lowest[-1]) // MOST_BLOCKS))
    inner = np.searchsorted(lowest, np.arange(together, lowest[-1], together))
    border = distinct(np.concatenate([[0], inner, [len(lowest) - 1]]).astype(np.int64))
    borders = [border]
    for level in reversed(design.levels[1:]):
        borders.insert(0, level.first[borders[0]])
    return borders


def _rough_coefficients(
    design: Design, parameters: Parameters, columns: list[FloatArray]
) -> FloatArray:
    """Coefficients (C,) of the fixed part from some rows.

    Any will do: sums of what they leave of the response lose fewer digits.
    """
    some = slice(None, None, 1 + design.n_rows // SAMPLED_ROWS)
    fixed = parameters.pair_column[parameters.pair_latent == 0]
    residual = design.y[some] - design.offset[some]
    sampled = [np.ascontiguousarray(columns[c][some]) for c in fixed]
    coefficients = np.zeros(len(columns))
    if len(fixed):
        weight = np.ones(len(residual))
        coefficients[fixed] = rough_least_squares(sampled, residual, weight)
    return coefficients
