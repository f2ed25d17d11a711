"""Types of the compiled auxiliary predictors; see ``_ext/auxiliary.pyx``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]
_Int64 = NDArray[np.int64]

def evaluate_predictor(
    row_group: _Int64,
    group_start: _Int64,
    column: NDArray[np.int32],
    weight: _Float,
    transform: NDArray[np.int8],
    alpha: _Float,
    absent: float,
    linear: bool,
) -> tuple[_Float, _Float | None]: ...
def threshold_terms(
    n_rows: int,
    upper: bool,
    responses: Sequence[tuple[_Int64, _Int64, int, _Float, int, bool]],
) -> tuple[_Int64, _Int64, NDArray[np.int32], _Float, NDArray[np.int8]]: ...
def log_gammas(x: _Float) -> _Float: ...
def gamma_terms(log_scale: _Float) -> _Float: ...
