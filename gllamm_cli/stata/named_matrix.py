"""Matrices with names of rows and columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Names = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NamedMatrix:
    """A matrix whose rows and columns have names ``(equation, name)``."""

    values: FloatArray
    row_names: Names
    column_names: Names

    @classmethod
    def unnamed(cls, values: FloatArray) -> NamedMatrix:
        """Name the rows r1, r2, ... and the columns c1, c2, ... without equations."""
        rows, columns = values.shape
        return cls(values, _numbered("r", rows), _numbered("c", columns))

    @classmethod
    def row(cls, values: FloatArray, names: Names) -> NamedMatrix:
        """Return a row vector such as e(b)."""
        return cls(np.asarray(values, dtype=np.float64).reshape(1, -1), (("", "y1"),), names)


def _numbered(letter: str, count: int) -> Names:
    return tuple(("", f"{letter}{k + 1}") for k in range(count))


def joined_names(parts: list[Names], letter: str) -> Names:
    """Names after a join: given names stay, numbered ones are numbered afresh."""
    names = [name for part in parts for name in part]
    return tuple(
        ("", f"{letter}{k + 1}")
        if not equation and name[:1] == letter and name[1:].isdigit()
        else (equation, name)
        for k, (equation, name) in enumerate(names)
    )
