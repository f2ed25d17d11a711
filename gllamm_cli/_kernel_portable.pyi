"""Types of the compiled likelihood kernel; see ``_ext/kernel.pxi``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]
_Int64 = NDArray[np.int64]
_Int32 = NDArray[np.int32]
# These may have a stride of zero.
_Strided = NDArray[np.float64]
_StridedInt32 = NDArray[np.int32]

LARGEST_LEVEL: int

class Kernel:
    def __init__(
        self,
        kind: _StridedInt32,
        y: _Float,
        denominator: _Strided,
        constant: _Strided,
        row_weight: _Strided,
        offset: _Strided,
        kinds: Sequence[int],
        row_start: _Int64 | None,
        column: _Int32,
        value: _Float,
        entry_start: _Int64 | None,
        pair_start: _Int64,
        pair_latent: _Int32,
        auxiliary: Sequence[tuple[int, _Int64, _Int32]],
        n_aux: int,
        levels: Sequence[tuple[_Int64, _Strided, _Float, int]],
        blocks: _Int64,
        composite: tuple[_Int32, _Float, _Strided] | None = None,
        product_form: bool = True,
        constant_columns: Sequence[int] = (),
        threads: int = 1,
    ) -> None: ...
    def with_nodes(self, nodes: Sequence[_Float]) -> Kernel: ...
    @property
    def n_parameters(self) -> int: ...
    def evaluate(
        self,
        coefficient: _Float,
        auxiliary: Sequence[tuple[_Float, _Float]],
        gamma_terms: _Float,
        masses: Sequence[tuple[_Float, _Float]],
        placement: Sequence[tuple[_Float, _Float, _Float]] | None,
        derivatives: bool,
        moments: bool,
        cluster_scores: bool,
        first_derivatives: _Float,
        threads: int,
        chosen: _Int64 | None = None,
    ) -> tuple[_Float, _Float | None, _Float | None, list[_Float] | None]: ...
    def posterior_nodes(
        self,
        coefficient: _Float,
        auxiliary: Sequence[tuple[_Float, _Float]],
        gamma_terms: _Float,
        masses: Sequence[tuple[_Float, _Float]],
        placement: Sequence[tuple[_Float, _Float, _Float]] | None,
        begin: int,
        end: int,
        threads: int,
    ) -> tuple[_Float, _Float | None]: ...
