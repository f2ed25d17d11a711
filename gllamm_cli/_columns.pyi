"""Types of the compiled design columns; see ``_ext/columns.pyx``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def compress(
    columns: Sequence[NDArray[np.float64] | None], n: int, threads: int
) -> tuple[NDArray[np.int64] | None, NDArray[np.int32], NDArray[np.float64]]: ...
def cross_products(
    columns: Sequence[NDArray[np.float64]], weight: NDArray[np.float64] | None, threads: int
) -> NDArray[np.float64]: ...
def least_share(products: NDArray[np.float64]) -> float: ...
