"""Distinct values, without what ``numpy.unique`` loads to look for masked arrays."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.float64, np.int64)


def distinct(values: NDArray[Number]) -> NDArray[Number]:
    """Return the distinct values, ascending, (at most N,)."""
    ascending = np.sort(values)
    first = np.ones(len(ascending), dtype=bool)
    first[1:] = ascending[1:] != ascending[:-1]
    return ascending[first]


def numbered(values: NDArray[Number]) -> tuple[NDArray[Number], NDArray[np.int64]]:
    """Return the distinct values, ascending, and the place of each value among them, (N,)."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    first = np.ones(len(ascending), dtype=bool)
    first[1:] = ascending[1:] != ascending[:-1]
    place = np.empty(len(values), dtype=np.int64)
    place[order] = np.cumsum(first) - 1
    return ascending[first], place


def n_combinations(columns: list[NDArray[np.float64]]) -> int:
    """Number of distinct rows of columns (N,)."""
    order = np.lexsort(columns)
    first = np.zeros(len(order), dtype=bool)
    first[:1] = True
    for column in columns:
        ascending = column[order]
        first[1:] |= ascending[1:] != ascending[:-1]
    return int(first.sum())
