"""Matrices with names of rows and columns, and the value of a matrix definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import Conformability, VariableNotFound
from gllamm_cli.stata.evaluate import constant_value
from gllamm_cli.stata.matrix import (
    MatrixElement,
    MatrixJoin,
    MatrixNode,
    MatrixRange,
    MatrixReference,
)
from gllamm_cli.stata.varlist import suggestion

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


def _joined_names(parts: list[Names], letter: str) -> Names:
    """Names after a join: given names stay, numbered ones are numbered afresh."""
    names = [name for part in parts for name in part]
    return tuple(
        ("", f"{letter}{k + 1}")
        if not equation and name[:1] == letter and name[1:].isdigit()
        else (equation, name)
        for k, (equation, name) in enumerate(names)
    )


def evaluate_matrix(
    node: MatrixNode, matrices: Mapping[str, NamedMatrix], stored: Mapping[str, NamedMatrix]
) -> NamedMatrix:
    """Return the value of the right-hand side of ``matrix name = ...``.

    Parameters
    ----------
    matrices
        Matrices by name.
    stored
        Matrices of the last estimation, ``b`` for ``e(b)``.

    Raises
    ------
    VariableNotFound
        A matrix that does not exist.
    Conformability
        Parts that do not fit together, or an index outside the matrix.
    """
    match node:
        case MatrixElement(expression=expression):
            return NamedMatrix.unnamed(np.array([[constant_value(expression)]]))
        case MatrixReference(name=name, stored=is_stored, span=span):
            source = stored if is_stored else matrices
            if name not in source:
                shown = f"e({name})" if is_stored else name
                raise VariableNotFound(
                    f"matrix {shown} not found", span=span, hint=suggestion(name, list(source))
                )
            return source[name]
        case MatrixRange():
            return _slice(node, evaluate_matrix(node.matrix, matrices, stored))
        case MatrixJoin(rows=rows):
            strips = [
                _beside([evaluate_matrix(part, matrices, stored) for part in row], node)
                for row in rows
            ]
            return _stacked(strips, node)
        case _:
            raise TypeError(f"not part of a matrix: {node!r}")


def _slice(node: MatrixRange, matrix: NamedMatrix) -> NamedMatrix:
    bounds: list[slice] = []
    for (first, last), size in zip((node.rows, node.columns), matrix.values.shape, strict=True):
        end = size if last is None else last
        if not 1 <= first <= end <= size:
            raise Conformability(
                "conformability error",
                span=node.span,
                hint="the matrix is {} x {}".format(*matrix.values.shape),
            )
        bounds.append(slice(first - 1, end))
    rows, columns = bounds
    return NamedMatrix(
        matrix.values[rows, columns], matrix.row_names[rows], matrix.column_names[columns]
    )


def _beside(parts: list[NamedMatrix], node: MatrixNode) -> NamedMatrix:
    heights = {part.values.shape[0] for part in parts}
    if len(heights) > 1:
        raise Conformability(
            "conformability error", span=node.span, hint="parts beside each other differ in rows"
        )
    return NamedMatrix(
        np.hstack([part.values for part in parts]),
        parts[0].row_names,
        _joined_names([part.column_names for part in parts], "c"),
    )


def _stacked(strips: list[NamedMatrix], node: MatrixNode) -> NamedMatrix:
    widths = {strip.values.shape[1] for strip in strips}
    if len(widths) > 1:
        raise Conformability(
            "conformability error", span=node.span, hint="rows differ in their number of columns"
        )
    return NamedMatrix(
        np.vstack([strip.values for strip in strips]),
        _joined_names([strip.row_names for strip in strips], "r"),
        strips[0].column_names,
    )
