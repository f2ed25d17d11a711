"""Types of the compiled placement of nodes; see ``_ext/placement.pyx``."""

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]

def place_level(
    moments: _Float,
    parent: NDArray[np.int64],
    above: tuple[_Float, _Float] | None,
    below: int,
    total: int,
    lowest: bool,
    old: tuple[_Float, _Float, _Float, _Float],
    cautious: bool,
    least_scale: float,
    largest_shrinkage: float,
    longest_stride: float,
    threads: int,
) -> tuple[tuple[_Float, _Float, _Float, _Float], tuple[_Float, _Float] | None, float]: ...
