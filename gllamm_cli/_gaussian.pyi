from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]
# May have a stride of zero.
_Strided = NDArray[np.float64]
_Index = NDArray[np.int64]
_Int = NDArray[np.int32]

UNITS_TOGETHER: int

def distinct_rows(columns: Sequence[_Float], most: int) -> tuple[_Int, list[int]] | None: ...
def cross_products(
    columns: Sequence[_Strided],
    shift: _Float,
    y: _Float,
    offset: _Strided,
    weight: _Strided,
    group_: _Int | None,
    n_variances: int,
    first: _Index,
    block_first: _Index,
    threads: int,
) -> tuple[_Index, _Float]: ...

class NestedQuadratics:
    def __init__(
        self,
        sums: _Float,
        levels: Sequence[tuple[int, _Index, _Index, _Strided, _Strided]],
    ) -> None: ...
    @property
    def n_blocks(self) -> int: ...
    def evaluate(
        self,
        form: _Index,
        cell: _Index,
        place: _Int,
        entry: _Int,
        value: _Float,
        derivatives: bool,
        unit_scores: bool,
        threads: int,
    ) -> tuple[float, float, _Float | None, _Float | None, _Float | None]: ...
