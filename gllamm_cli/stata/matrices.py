"""The value of a matrix definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import Conformability, InvalidSyntax, NotPositiveDefinite, VariableNotFound
from gllamm_cli.stata.environment import Environment
from gllamm_cli.stata.evaluate import Evaluator, constant_value
from gllamm_cli.stata.expression import Expression, Text
from gllamm_cli.stata.matrix import (
    Bounds,
    MatrixDefinition,
    MatrixElement,
    MatrixFunction,
    MatrixJoin,
    MatrixNode,
    MatrixOperation,
    MatrixRange,
    MatrixReference,
)
from gllamm_cli.stata.named_matrix import NamedMatrix, Names, joined_names
from gllamm_cli.stata.varlist import suggestion

FloatArray = NDArray[np.float64]
LARGEST = 20_000
"""Rows or columns a matrix function may make."""


def define_matrix(definition: MatrixDefinition, evaluator: Evaluator) -> NamedMatrix:
    """Return the matrix that ``matrix name = ...`` defines.

    Raises
    ------
    VariableNotFound
        A matrix that does not exist.
    Conformability
        Parts that do not fit together, or an index outside the matrix.
    """
    value = evaluate_matrix(definition.value, evaluator)
    if definition.element is None:
        return value
    matrix = _find(evaluator.environment, MatrixReference(definition.name, span=definition.span))
    if value.values.shape != (1, 1):
        raise Conformability(
            "conformability error", span=definition.span, hint="a number is needed"
        )
    place = []
    for index, names in zip(
        definition.element, (matrix.row_names, matrix.column_names), strict=True
    ):
        place.append(_position(index, names, definition.value, evaluator))
    values = matrix.values.copy()
    values[place[0], place[1]] = value.values[0, 0]
    return NamedMatrix(values, matrix.row_names, matrix.column_names)


def evaluate_matrix(node: MatrixNode, evaluator: Evaluator) -> NamedMatrix:
    """Return the value of a matrix expression; raises as ``define_matrix`` does."""
    match node:
        case MatrixElement(expression=expression):
            return NamedMatrix.unnamed(np.array([[constant_value(expression, evaluator)]]))
        case MatrixReference():
            return _find(evaluator.environment, node)
        case MatrixRange():
            return _slice(node, _find(evaluator.environment, node.matrix), evaluator)
        case MatrixJoin(rows=rows):
            strips = [
                _beside(
                    [part for entry in row if (part := _part(entry, evaluator)) is not None], node
                )
                for row in rows
            ]
            return _stacked([strip for strip in strips if strip is not None], node)
        case MatrixOperation():
            operands = [evaluate_matrix(operand, evaluator) for operand in node.operands]
            return _operation(node, operands)
        case MatrixFunction():
            return _function(node, [evaluate_matrix(entry, evaluator) for entry in node.arguments])
        case _:
            raise TypeError(f"not part of a matrix: {node!r}")


def _find(environment: Environment, node: MatrixReference) -> NamedMatrix:
    sources = {
        "": (environment.matrices, environment.scalars),
        "e": (environment.estimated_matrices, environment.estimated),
        "r": (environment.returned_matrices, environment.returned),
    }
    matrices, scalars = sources[node.source]
    if node.name in matrices:
        return matrices[node.name]
    if isinstance(number := scalars.get(node.name), float):
        return NamedMatrix.unnamed(np.array([[number]]))
    shown = f"{node.source}({node.name})" if node.source else node.name
    raise VariableNotFound(
        f"matrix {shown} not found", span=node.span, hint=suggestion(node.name, list(matrices))
    )


def _part(node: MatrixNode, evaluator: Evaluator) -> NamedMatrix | None:
    """Part of a join; ``nullmat(A)`` is nothing if A does not exist."""
    if isinstance(node, MatrixFunction) and node.name == "nullmat" and len(node.arguments) == 1:
        try:
            return evaluate_matrix(node.arguments[0], evaluator)
        except VariableNotFound:
            return None
    return evaluate_matrix(node, evaluator)


def _position(index: Expression, names: Names, node: MatrixNode, evaluator: Evaluator) -> int:
    if isinstance(index, Text):
        return _named_places(index.value, names, node)[0]
    number = constant_value(index, evaluator)
    if not (np.isfinite(number) and 1 <= int(number) <= len(names)):
        raise Conformability(
            "conformability error", span=node.span, hint=f"places go from 1 to {len(names)}"
        )
    return int(number) - 1


def _named_places(wanted: str, names: Names, node: MatrixNode) -> list[int]:
    """Positions of a name, of ``equation:name`` or, with a final colon, of a whole equation."""
    equation, colon, name = wanted.rpartition(":")
    places = [
        k
        for k, (of, own) in enumerate(names)
        if (not colon or of == equation) and (own == name or (colon and not name))
    ]
    if not places:
        raise VariableNotFound(f"{wanted} not found", span=node.span, hint="no row or column of it")
    return places


def _places(bounds: Bounds, names: Names, node: MatrixNode, evaluator: Evaluator) -> slice:
    if isinstance(bounds.first, Text) and not bounds.is_range:
        found = _named_places(bounds.first.value, names, node)
        return slice(found[0], found[-1] + 1)
    first = _position(bounds.first, names, node, evaluator)
    last = first
    if bounds.is_range:
        last = len(names) - 1
        if bounds.last is not None:
            last = _position(bounds.last, names, node, evaluator)
    if last < first:
        raise Conformability("conformability error", span=node.span, hint="the range is empty")
    return slice(first, last + 1)


def _slice(node: MatrixRange, matrix: NamedMatrix, evaluator: Evaluator) -> NamedMatrix:
    rows = _places(node.rows, matrix.row_names, node, evaluator)
    columns = _places(node.columns, matrix.column_names, node, evaluator)
    return NamedMatrix(
        matrix.values[rows, columns], matrix.row_names[rows], matrix.column_names[columns]
    )


def _beside(parts: list[NamedMatrix], node: MatrixNode) -> NamedMatrix | None:
    if not parts:
        return None
    if len({part.values.shape[0] for part in parts}) > 1:
        raise Conformability(
            "conformability error", span=node.span, hint="parts beside each other differ in rows"
        )
    return NamedMatrix(
        np.hstack([part.values for part in parts]),
        parts[0].row_names,
        joined_names([part.column_names for part in parts], "c"),
    )


def _stacked(strips: list[NamedMatrix], node: MatrixNode) -> NamedMatrix:
    if not strips:
        raise Conformability("conformability error", span=node.span, hint="there is no matrix")
    if len({strip.values.shape[1] for strip in strips}) > 1:
        raise Conformability(
            "conformability error", span=node.span, hint="rows differ in their number of columns"
        )
    return NamedMatrix(
        np.vstack([strip.values for strip in strips]),
        joined_names([strip.row_names for strip in strips], "r"),
        strips[0].column_names,
    )


def _operation(node: MatrixOperation, operands: list[NamedMatrix]) -> NamedMatrix:
    first, *rest = operands
    if node.operator == "'":
        return NamedMatrix(first.values.T, first.column_names, first.row_names)
    if not rest:
        return NamedMatrix(-first.values, first.row_names, first.column_names)
    second = rest[0]
    a, b = first.values, second.values
    with np.errstate(all="ignore"):
        if node.operator == "#":
            return NamedMatrix.unnamed(np.kron(a, b))
        if node.operator in "*/" and b.shape == (1, 1) and a.shape[1] != 1:
            factor = b[0, 0] if node.operator == "*" else 1.0 / b[0, 0]
            return NamedMatrix(a * factor, first.row_names, first.column_names)
        if node.operator == "*" and a.shape == (1, 1) and b.shape[0] != 1:
            return NamedMatrix(a[0, 0] * b, second.row_names, second.column_names)
        if node.operator == "/" and b.shape == (1, 1):
            return NamedMatrix(a / b[0, 0], first.row_names, first.column_names)
        if node.operator == "*" and a.shape[1] == b.shape[0]:
            return NamedMatrix(a @ b, first.row_names, second.column_names)
        if node.operator in "+-" and a.shape == b.shape:
            values = a + b if node.operator == "+" else a - b
            return NamedMatrix(values, first.row_names, first.column_names)
    raise Conformability(
        "conformability error",
        span=node.span,
        hint="{} x {} and {} x {}".format(*a.shape, *b.shape),
    )


def _square(matrix: NamedMatrix, node: MatrixNode) -> FloatArray:
    if matrix.values.shape[0] != matrix.values.shape[1]:
        raise Conformability("conformability error", span=node.span, hint="not a square matrix")
    return matrix.values


def _inverse(matrix: NamedMatrix, node: MatrixFunction) -> NamedMatrix:
    values = _square(matrix, node)
    try:
        inverse = np.linalg.inv(values)
    except np.linalg.LinAlgError:
        # As Stata: singular symmetric matrices have a generalised inverse.
        inverse = np.linalg.pinv(values)
    return NamedMatrix(inverse, matrix.column_names, matrix.row_names)


def _cholesky(matrix: NamedMatrix, node: MatrixFunction) -> NamedMatrix:
    try:
        factor = np.linalg.cholesky(_square(matrix, node))
    except np.linalg.LinAlgError:
        raise NotPositiveDefinite("matrix not positive definite", span=node.span) from None
    return NamedMatrix(factor, matrix.row_names, matrix.column_names)


def _diagonal(matrix: NamedMatrix, node: MatrixFunction) -> NamedMatrix:
    if 1 not in matrix.values.shape:
        raise Conformability("conformability error", span=node.span, hint="diag() needs a vector")
    names = matrix.column_names if matrix.values.shape[0] == 1 else matrix.row_names
    return NamedMatrix(np.diag(matrix.values.ravel()), names, names)


def _correlation(matrix: NamedMatrix, node: MatrixFunction) -> NamedMatrix:
    values = _square(matrix, node)
    with np.errstate(all="ignore"):
        scale = 1.0 / np.sqrt(np.diag(values))
    return NamedMatrix(values * np.outer(scale, scale), matrix.row_names, matrix.column_names)


ONE_MATRIX: dict[str, Callable[[NamedMatrix, MatrixFunction], NamedMatrix]] = {
    "inv": _inverse,
    "invsym": _inverse,
    "syminv": _inverse,
    "cholesky": _cholesky,
    "diag": _diagonal,
    "corr": _correlation,
    "vecdiag": lambda matrix, node: NamedMatrix(
        np.diag(_square(matrix, node)).reshape(1, -1).copy(), (("", "r1"),), matrix.column_names
    ),
    "vec": lambda matrix, node: NamedMatrix.unnamed(matrix.values.reshape(-1, 1, order="F")),
    "nullmat": lambda matrix, node: matrix,
}


def _size(matrix: NamedMatrix, node: MatrixFunction) -> int:
    number = float(matrix.values[0, 0])
    if matrix.values.shape != (1, 1) or not 1 <= number <= LARGEST or number != int(number):
        raise Conformability("conformability error", span=node.span, hint="not a number of rows")
    return int(number)


def _function(node: MatrixFunction, arguments: list[NamedMatrix]) -> NamedMatrix:
    if node.name in ONE_MATRIX and len(arguments) == 1:
        return ONE_MATRIX[node.name](arguments[0], node)
    if node.name == "I" and len(arguments) == 1:
        return NamedMatrix.unnamed(np.eye(_size(arguments[0], node)))
    if node.name == "J" and len(arguments) == 3:
        rows, columns = (_size(argument, node) for argument in arguments[:2])
        return NamedMatrix.unnamed(np.full((rows, columns), arguments[2].values[0, 0]))
    if node.name == "hadamard" and len(arguments) == 2:
        a, b = arguments
        if a.values.shape != b.values.shape:
            raise Conformability("conformability error", span=node.span)
        return NamedMatrix(a.values * b.values, a.row_names, a.column_names)
    raise InvalidSyntax(f"invalid syntax: {node.name}() with other arguments", span=node.span)
