"""``matrix name = ...``: literals, joins, ranges and stored results as a tree.

Apart from ``stata.matrices``, which needs numpy, so that reading a command
stays quick.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gllamm_cli.errors import InvalidSyntax, Span
from gllamm_cli.stata.expression import Call, Expression, ExpressionParser, Name
from gllamm_cli.stata.lexer import Kind, Token, expression_tokens, is_name, joined, part, stripped


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
    """A matrix by name, or ``e(name)`` if ``stored``."""

    name: str
    stored: bool = False


@dataclass(frozen=True, slots=True)
class MatrixRange(MatrixNode):
    """``name[r1..r2, c1..c2]``, counted from 1; None is the end (``...``)."""

    matrix: MatrixReference
    rows: tuple[int, int | None]
    columns: tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class MatrixJoin(MatrixNode):
    """Parts side by side (joined by commas) in rows under each other (by backslashes)."""

    rows: tuple[tuple[MatrixNode, ...], ...]


@dataclass(frozen=True, slots=True)
class MatrixDefinition:
    """``matrix name = value``."""

    name: str
    value: MatrixNode
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


def parse_matrix(span: Span) -> MatrixDefinition:
    """Parse ``name = value``; brackets may be round or, as an extension, square.

    Raises
    ------
    InvalidSyntax
        With the place that cannot be read.
    """
    match = re.match(r"(?:define\s+|def\s+)?(\S+?)\s*=(?!=)", span.text)
    if match is None:
        raise InvalidSyntax(
            "invalid syntax: a matrix is defined by matrix name = (1, 2 \\ 3, 4)", span=span
        )
    name = part(span, span.start + match.start(1), span.start + match.end(1))
    if not is_name(name.text):
        raise InvalidSyntax(f"{name.text} invalid name", span=name)
    reader = _Reader(expression_tokens(stripped(part(span, span.start + match.end(), span.end))))
    value = reader.join()
    if reader.current.kind is not Kind.END:
        raise reader.unexpected("expected , or \\")
    return MatrixDefinition(name.text, value, span=span)


class _Reader(ExpressionParser):
    """Joins of parts; a part that is no matrix is an expression."""

    def join(self) -> MatrixNode:
        """Read parts up to a closing bracket or the end."""
        rows: list[tuple[MatrixNode, ...]] = []
        while True:
            row = [self._part()]
            while self.at(","):
                self.take()
                row.append(self._part())
            rows.append(tuple(row))
            if not self.at("\\"):
                break
            self.take()
        if len(rows) == 1 and len(rows[0]) == 1:
            return rows[0][0]
        return MatrixJoin(tuple(rows))

    def _part(self) -> MatrixNode:
        if self.at("(") or self.at("["):
            start = self.position
            opening = self.take()
            inner = self.join()
            self.expect(")" if opening.text == "(" else "]", opening)
            if not isinstance(inner, MatrixElement) or self._ends_part():
                return inner
            # A bracket around a number was the start of an expression: (1+2)*3.
            self.position = start
        elif self.current.kind is Kind.NAME:
            return self._named_part()
        return self._element()

    def _element(self) -> MatrixElement:
        expression = self.parse()
        if self.at("'"):
            raise self.unexpected("expected , or \\")
        return MatrixElement(expression, span=expression.span)

    def _ends_part(self) -> bool:
        return self.current.kind is Kind.END or self.current.text in (",", "\\", ")", "]")

    def _named_part(self) -> MatrixNode:
        token = self.current
        following = self.tokens[self.position + 1]
        if following.kind is Kind.OPERATOR and following.text == "[":
            self.take()
            return self._range(token)
        expression = self.parse()
        match expression:
            case Name(name=name):
                return MatrixReference(name, span=token.span)
            case Call(function="e", arguments=(Name(name=name),)):
                return MatrixReference(name, stored=True, span=expression.span)
            case _:
                return MatrixElement(expression, span=expression.span)

    def _range(self, name: Token) -> MatrixRange:
        opening = self.take()
        rows = self._bounds()
        if not self.at(","):
            raise self.unexpected("expected , between rows and columns")
        self.take()
        columns = self._bounds()
        closing = self.expect("]", opening)
        return MatrixRange(
            MatrixReference(name.text, span=name.span),
            rows,
            columns,
            span=joined(name.span, closing.span),
        )

    def _bounds(self) -> tuple[int, int | None]:
        """``3``, ``1..6`` or ``2...``."""
        first = self._whole_number()
        if not self.at(".."):
            return first, first
        self.take()
        if self.current.kind is Kind.MISSING:
            self.take()
            return first, None
        return first, self._whole_number()

    def _whole_number(self) -> int:
        token = self.take()
        if token.kind is not Kind.NUMBER or not token.text.rstrip(".").isdigit():
            raise InvalidSyntax(
                "invalid syntax: expected the number of a row or column", span=token.span
            )
        return int(token.text.rstrip("."))
