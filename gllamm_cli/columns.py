"""What the columns of a table hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Values = FloatArray | NDArray[np.object_]


def smallest_whole_type(values: FloatArray) -> str:
    """Stata's smallest type for whole numbers of this size; double for the largest."""
    largest = max(np.nanmax(values, initial=0.0), -np.nanmin(values, initial=0.0))
    limits = (("byte", 100), ("int", 32740), ("long", 2147483620))
    return next((name for name, limit in limits if largest <= limit), "double")
