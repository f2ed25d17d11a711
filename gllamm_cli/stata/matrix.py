"""``matrix name = ...`` as a tree: literals, joins, operators, functions, ranges, results.

Apart from ``stata.matrices``, which needs numpy, so that reading a command
stays quick.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gllamm_cli.errors import InvalidSyntax, Span
from gllamm_cli.stata.expression import Call, Expression, ExpressionParser, Name
from gllamm_cli.stata.lexer import Kind, Token, expression_tokens, is_name, joined, part, stripped

FUNCTIONS = frozenset(
    [
        "inv",
        "invsym",
        "syminv",
        "cholesky",
        "diag",
        "vecdiag",
        "I",
        "J",
        "corr",
        "nullmat",
        "vec",
        "hadamard",
    ]
)
"""Functions whose value is a matrix."""

ABOVE_PRODUCTS = 6
"""Rank from which the operators of numbers are read as part of an element (``2^3``)."""


@dataclass(frozen=True, slots=True)
class MatrixNode:
    """Part of the right-hand side of a matrix definition."""

    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class MatrixElement(MatrixNode):
    """A number, given as an expression."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class MatrixReference(MatrixNode):
    """A matrix or scalar by name; ``source`` is ``e`` or ``r`` for a stored result."""

    name: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """``3``, ``1..6``, ``2...`` or a name; ``last`` None is the end, if there is a range."""

    first: Expression
    last: Expression | None = None
    is_range: bool = False


@dataclass(frozen=True, slots=True)
class MatrixRange(MatrixNode):
    """``name[rows, columns]``."""

    matrix: MatrixReference
    rows: Bounds
    columns: Bounds


@dataclass(frozen=True, slots=True)
class MatrixJoin(MatrixNode):
    """Parts side by side (joined by commas) in rows under each other (by backslashes)."""

    rows: tuple[tuple[MatrixNode, ...], ...]


@dataclass(frozen=True, slots=True)
class MatrixOperation(MatrixNode):
    """``-a``, ``a'`` or two matrices with ``+ - * / #`` between them."""

    operator: str
    operands: tuple[MatrixNode, ...]


@dataclass(frozen=True, slots=True)
class MatrixFunction(MatrixNode):
    """A function whose value is a matrix."""

    name: str
    arguments: tuple[MatrixNode, ...]


@dataclass(frozen=True, slots=True)
class MatrixDefinition:
    """``matrix name = value`` or, with ``element``, ``matrix name[1, 2] = value``."""

    name: str
    value: MatrixNode
    element: tuple[Expression, Expression] | None = None
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


def parse_matrix(span: Span) -> MatrixDefinition:
    """Parse ``name = value``; brackets may be round or, as an extension, square.

    Raises
    ------
    InvalidSyntax
        With the place that cannot be read.
    """
    match = re.match(
        r"(?:(?:define|def|input|inp)\s+)?([^\s=\[]+)\s*(\[.*?\])?\s*=(?!=)", span.text
    )
    if match is None:
        raise InvalidSyntax(
            "invalid syntax: a matrix is defined by matrix name = (1, 2 \\ 3, 4)", span=span
        )
    name = part(span, span.start + match.start(1), span.start + match.end(1))
    if not is_name(name.text):
        raise InvalidSyntax(f"{name.text} invalid name", span=name)
    element = None
    if match[2]:
        inside = part(span, span.start + match.start(2) + 1, span.start + match.end(2) - 1)
        place = _Reader(expression_tokens(inside))
        element = place.pair()
    value = parse_matrix_expression(stripped(part(span, span.start + match.end(), span.end)))
    return MatrixDefinition(name.text, value, element, span=span)


def parse_matrix_expression(span: Span) -> MatrixNode:
    """Parse what may stand after ``matrix name =``."""
    reader = _Reader(expression_tokens(span))
    value = reader.join()
    if reader.current.kind is not Kind.END:
        raise reader.unexpected("expected , or \\")
    return value


class _Reader(ExpressionParser):
    """Joins of sums of products; what is no matrix is an expression."""

    def join(self) -> MatrixNode:
        """Read parts up to a closing bracket or the end."""
        rows: list[tuple[MatrixNode, ...]] = []
        while True:
            row = [self._sum()]
            while self.at(","):
                self.take()
                row.append(self._sum())
            rows.append(tuple(row))
            if not self.at("\\"):
                break
            self.take()
        if len(rows) == 1 and len(rows[0]) == 1:
            return rows[0][0]
        return MatrixJoin(tuple(rows))

    def pair(self) -> tuple[Expression, Expression]:
        """Read the row and the column of an element."""
        row = self.parse()
        if not self.at(","):
            raise self.unexpected("expected , between row and column")
        self.take()
        column = self.parse()
        if self.current.kind is not Kind.END:
            raise self.unexpected("expected ]")
        return row, column

    def _sum(self) -> MatrixNode:
        left = self._product()
        while self.at("+") or self.at("-"):
            operator = self.take().text
            left = MatrixOperation(operator, (left, self._product()), span=left.span)
        return left

    def _product(self) -> MatrixNode:
        left = self._factor()
        while self.at("*") or self.at("#") or self.at("/"):
            operator = self.take().text
            left = MatrixOperation(operator, (left, self._factor()), span=left.span)
        return left

    def _factor(self) -> MatrixNode:
        if self.at("-") or self.at("+"):
            sign = self.take()
            inner = self._factor()
            if sign.text == "+":
                return inner
            return MatrixOperation("-", (inner,), span=sign.span)
        node = self._primary()
        while self.at("'"):
            self.take()
            node = MatrixOperation("'", (node,), span=node.span)
        return node

    def _primary(self) -> MatrixNode:
        if self.at("(") or (self.at("[") and not self._is_equation()):
            start = self.position
            opening = self.take()
            inner = self.join()
            self.expect(")" if opening.text == "(" else "]", opening)
            if not self.at("^"):
                return inner
            # A bracket around a number was the start of an expression: (1+2)^2.
            self.position = start
        elif self.current.kind is Kind.NAME:
            return self._matrix_named()
        return self._element()

    def _is_equation(self) -> bool:
        """Whether ``[`` starts ``[equation]name`` and not a literal."""
        tokens = self.tokens[self.position + 1 : self.position + 4]
        return len(tokens) == 3 and tokens[1].text == "]" and tokens[2].kind is Kind.NAME

    def _element(self) -> MatrixElement:
        expression = super().parse(ABOVE_PRODUCTS)
        return MatrixElement(expression, span=expression.span)

    def _matrix_named(self) -> MatrixNode:
        token = self.current
        following = self.tokens[self.position + 1].text
        if following == "(" and token.text in FUNCTIONS:
            self.take()
            opening = self.take()
            arguments: list[MatrixNode] = []
            if not self.at(")"):
                arguments.append(self._sum())
                while self.at(","):
                    self.take()
                    arguments.append(self._sum())
            closing = self.expect(")", opening)
            span = joined(token.span, closing.span)
            return MatrixFunction(token.text, tuple(arguments), span=span)
        if following == "[" and token.text not in ("_b", "_se", "_coef"):
            self.take()
            return self._range(MatrixReference(token.text, span=token.span), token)
        expression = super().parse(ABOVE_PRODUCTS)
        match expression:
            case Name(name=name) if not name.startswith("_"):
                return MatrixReference(name, span=token.span)
            case Call(function="e" | "r" as source, arguments=(Name(name=name),)):
                reference = MatrixReference(name, source, span=expression.span)
                return self._range(reference, token) if self.at("[") else reference
            case _:
                return MatrixElement(expression, span=expression.span)

    def _range(self, matrix: MatrixReference, name: Token) -> MatrixRange:
        opening = self.take()
        rows = self._bounds()
        if not self.at(","):
            raise self.unexpected("expected , between rows and columns")
        self.take()
        columns = self._bounds()
        closing = self.expect("]", opening)
        return MatrixRange(matrix, rows, columns, span=joined(name.span, closing.span))

    def _bounds(self) -> Bounds:
        """``3``, ``1..6``, ``2...`` or ``"name"``."""
        first = super().parse()
        if not self.at(".."):
            return Bounds(first)
        self.take()
        if self.current.kind is Kind.MISSING:
            self.take()
            return Bounds(first, is_range=True)
        if self.current.text in (",", "]"):
            return Bounds(first, is_range=True)
        return Bounds(first, super().parse(), is_range=True)
