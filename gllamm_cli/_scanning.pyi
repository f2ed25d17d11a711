"""Types of the compiled questions about columns; see ``_ext/scanning.pyx``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]

def all_finite(x: _Float) -> bool: ...
def zeros_and_ones(x: _Float) -> bool: ...
def in_order(keys: Sequence[_Float]) -> bool: ...
def outcomes_by_value(
    x: _Float, y: _Float, denominator: _Float
) -> tuple[tuple[float, float], tuple[tuple[bool, bool], tuple[bool, bool]]] | None: ...
