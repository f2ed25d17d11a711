"""Types of the compiled likelihood kernel; see ``_ext/cluster.pyx``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]
_Int64 = NDArray[np.int64]
_Int32 = NDArray[np.int32]

LARGEST_LEVEL: int

class Kernel:
    def __init__(
        self,
        family: int,
        link: int,
        y: _Float,
        denominator: _Float,
        constant: _Float,
        row_weight: _Float,
        offset: _Float,
        scale_design: _Float,
        row_start: _Int64,
        column: _Int32,
        value: _Float,
        pair_start: _Int64,
        pair_latent: _Int32,
        levels: Sequence[tuple[_Int64, _Float, _Float, _Float]],
        blocks: _Int64,
    ) -> None: ...
    @property
    def n_parameters(self) -> int: ...
    def evaluate(
        self,
        coefficient: _Float,
        log_scale: _Float,
        gamma_terms: _Float,
        placement: Sequence[tuple[_Float, _Float, _Float]] | None,
        derivatives: bool,
        moments: bool,
        threads: int,
    ) -> tuple[_Float, _Float | None, _Float | None, list[_Float] | None]: ...
