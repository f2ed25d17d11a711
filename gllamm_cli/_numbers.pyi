"""Fields of a text table as numbers."""

import numpy as np
from numpy.typing import NDArray

def read_rows(
    text: bytes,
    separator: str,
    columns: NDArray[np.float64],
    row: int,
    kinds: NDArray[np.uint8],
) -> int:
    """Read lines of numbers; returns the row after the last, -1 if something else occurs.

    Parameters
    ----------
    text
        Whole lines; empty ones are passed over.
    columns : (columns, at least row + lines)
        Written from ``row`` on; NaN where a value is missing.
    kinds : (columns,)
        1 is added to a column with missing values, 2 to one with decimal points or exponents.

    Raises
    ------
    ValueError
        There is no room in ``columns``, or the last line does not end.
    """
