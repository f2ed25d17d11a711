"""Arrays of rows or units that are the same everywhere: one element with a stride of zero.

They take no memory, which matters: to touch a page for the first time costs more than to use it.
Whatever numpy makes of them is an ordinary array; the functions here keep them as they are.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def uniform(value: Scalar, n: int) -> NDArray[Scalar]:
    """An array (n,) of one value, not to be written to."""
    # What numpy.broadcast_to does, without its checks.
    return np.ndarray((n,), value.dtype, value.tobytes(), strides=(0,))


def is_uniform(values: NDArray[Scalar]) -> bool:
    """Whether an array has one element for all places."""
    return len(values) > 0 and values.strides == (0,)


def ones(n: int) -> NDArray[np.float64]:
    """A uniform array of ones."""
    return uniform(np.float64(1.0), n)


def zeros(n: int) -> NDArray[np.float64]:
    """A uniform array of zeros."""
    return uniform(np.float64(0.0), n)


def take(
    values: NDArray[Scalar], rows: NDArray[np.int64] | NDArray[np.bool_] | slice
) -> NDArray[Scalar]:
    """Some elements of an array; uniform if it is."""
    if not is_uniform(values) or isinstance(rows, slice):
        return values[rows]
    n = int(np.count_nonzero(rows)) if rows.dtype == np.bool_ else len(rows)
    return uniform(values[0], n)


def product(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Elementwise product of two arrays (n,); uniform if both are."""
    return uniform(x[0] * y[0], len(x)) if is_uniform(x) and is_uniform(y) else x * y


def total(values: NDArray[np.float64]) -> float:
    """Sum of an array."""
    return float(values[0]) * len(values) if is_uniform(values) else float(values.sum())


def occurring(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """The elements to look at for what is true of any or of all: one of a uniform array."""
    return values[:1] if is_uniform(values) else values
