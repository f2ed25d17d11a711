"""Cross products of columns, and what they tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._columns import cross_products, least_share

FloatArray = NDArray[np.float64]

INDEPENDENT = 1e-3
"""Share of its length that a column adds to those before it; less may be rounding."""
NO_WEIGHT = 1e-10
"""Eigenvalue of cross products of unit columns, relative to the largest, that may be rounding."""
ENOUGH_ROWS = 2048
"""Rows that show as a rule that columns are independent."""


def gram(columns: Sequence[FloatArray], weight: FloatArray | None = None) -> FloatArray:
    """Sums of products of columns, each (N,), over rows with their weights: (C, C)."""
    plain = [np.ascontiguousarray(column) for column in columns]
    return cross_products(plain, None if weight is None else np.ascontiguousarray(weight), 1)


def solve_semidefinite(A: FloatArray, b: FloatArray) -> FloatArray:
    """Shortest solution of Ax = b with A (K, K) symmetric and nonnegative definite.

    Unknowns may have scales of their own. Directions that hardly count are left alone.
    """
    size = np.sqrt(A.diagonal())
    size[~(size > 0.0)] = 1.0
    weights, vectors = np.linalg.eigh(A / (size[:, None] * size))
    counts = weights > NO_WEIGHT * weights[-1:]
    vectors = vectors[:, counts]
    return np.asarray(vectors @ ((b / size) @ vectors / weights[counts]) / size)


def rough_least_squares(
    columns: Sequence[FloatArray], target: FloatArray, weight: FloatArray
) -> FloatArray:
    """Coefficients (C,) of weighted least squares by normal equations; about half the digits.

    Of collinear columns any solution.
    """
    sums = gram([*columns, target], weight)
    return solve_semidefinite(sums[:-1, :-1], sums[:-1, -1])


def clearly_independent(columns: Sequence[FloatArray]) -> bool:
    """Whether each column adds more than a thousandth of its length to those before it.

    False may also mean that cross products cannot tell. What is clear from some of many rows is
    clear: columns that depend on each other do so everywhere.
    """
    step = len(columns[0]) // ENOUGH_ROWS if columns else 0
    if step > 1 and clearly_independent([column[::step] for column in columns]):
        return True
    return least_share(gram(columns)) > INDEPENDENT
