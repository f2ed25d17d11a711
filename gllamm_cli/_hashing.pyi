"""Types of the compiled search for equal rows and units; see ``_ext/hashing.pyx``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]
# May have a stride of zero.
_Strided = NDArray[np.float64]
_Int64 = NDArray[np.int64]
_Hash = NDArray[np.uint64]

def row_hashes(columns: Sequence[_Float]) -> _Hash: ...
def number_rows(columns: Sequence[_Float], hashed: _Hash) -> _Int64: ...
def distinct_children(first: _Int64, number: _Int64) -> tuple[_Int64, _Int64, _Int64]: ...
def unit_hashes(start: _Int64, item: _Int64, weight: _Strided, own: _Float) -> _Hash: ...
def number_units(
    start: _Int64, item: _Int64, weight: _Strided, own: _Float, hashed: _Hash
) -> _Int64: ...
