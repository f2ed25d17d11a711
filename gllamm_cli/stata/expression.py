"""Expressions as trees: one table of precedence, a parser, and the printer that undoes it.

Stata binds, tightest first: ``!``, ``^``, unary minus, ``* /``, ``+ -``, relations,
``&``, ``|``; operators of one rank group to the left. So ``-2^2`` is -4, ``2^3^2``
is 64 and ``!a==b`` compares ``!a`` with ``b``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gllamm_cli.errors import (
    ExpressionTooLong,
    GllammError,
    InvalidSyntax,
    NotAllowed,
    Span,
    UnbalancedParentheses,
)
from gllamm_cli.stata.dates import literal_day
from gllamm_cli.stata.lexer import RESERVED, Kind, Token, expression_tokens, joined, part, whole

BINARY = {
    "|": 1,
    "&": 2,
    "==": 3,
    "!=": 3,
    "~=": 3,
    "<": 3,
    "<=": 3,
    ">": 3,
    ">=": 3,
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "^": 7,
}
"""Rank of each operator between two operands; higher binds tighter."""

PREFIX = {"-": 6, "+": 6, "!": 8, "~": 8}
"""Rank of each operator before its operand."""

MOST_OPERATORS = 300
"""Longest expression, so that no input exhausts the stack of whoever walks its tree."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A node; where it stood does not take part in comparison."""

    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Missing(Expression):
    """A missing value; ``letter`` is empty for ``.``, else ``a`` to ``z``."""

    letter: str = ""


@dataclass(frozen=True, slots=True)
class Text(Expression):
    """A text in quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Name(Expression):
    """A variable, ``_n``, ``_N`` or ``_pi``."""

    name: str


@dataclass(frozen=True, slots=True)
class Prefix(Expression):
    """``-x``, ``+x`` or ``!x`` (``~`` is read as ``!``)."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """Two operands; ``~=`` is read as ``!=``."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A function of its arguments."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Subscript(Expression):
    """The value of a variable in another row."""

    name: str
    index: Expression


@dataclass(frozen=True, slots=True)
class Element(Expression):
    """An element of a matrix, by numbers or names of its row and column."""

    name: str
    row: Expression
    column: Expression


@dataclass(frozen=True, slots=True)
class Coefficient(Expression):
    """``_b[eq:name]``, ``[eq]name`` or ``_se[...]`` of the last estimation.

    ``equation`` None means the first one.
    """

    equation: str | None
    name: str
    standard_error: bool = False


COEFFICIENTS = ("_b", "_coef", "_se")


class ExpressionParser:
    """Pratt parser over the tokens of one expression.

    Parameters
    ----------
    coefficients
        Whether ``3.x`` is allowed and means its coefficient.
    """

    def __init__(self, tokens: list[Token], *, coefficients: bool = False) -> None:
        self.tokens = tokens
        self.coefficients = coefficients
        self.position = 0
        operators = [token for token in tokens if token.kind is Kind.OPERATOR and token.text != ","]
        if len(operators) > MOST_OPERATORS:
            raise ExpressionTooLong(
                "expression too long",
                span=operators[MOST_OPERATORS].span,
                hint=f"no more than {MOST_OPERATORS} operators and brackets",
            )

    @property
    def current(self) -> Token:
        """The token not yet read."""
        return self.tokens[self.position]

    def take(self) -> Token:
        """Read a token."""
        token = self.current
        if token.kind is not Kind.END:
            self.position += 1
        return token

    def at(self, operator: str) -> bool:
        """Whether the next token is this operator."""
        return self.current.kind is Kind.OPERATOR and self.current.text == operator

    def expect(self, operator: str, opening: Token) -> Token:
        """Read the bracket that closes ``opening``."""
        if self.at(operator):
            return self.take()
        if self.current.kind is Kind.END:
            raise UnbalancedParentheses(
                "unbalanced parentheses", span=opening.span, hint=f"{operator} is missing"
            )
        raise self.unexpected(f"expected {operator}")

    def unexpected(self, wanted: str) -> InvalidSyntax | NotAllowed:
        """Return the error for the current token."""
        token = self.current
        if token.kind is Kind.OPERATOR and token.text == "=":
            return NotAllowed(
                "=exp not allowed", span=token.span, hint="to compare for equality type =="
            )
        found = f"found {token.text}" if token.kind is not Kind.END else "nothing follows"
        return InvalidSyntax(f"invalid syntax: {wanted}, {found}", span=token.span)

    def parse(self, least: int = 0) -> Expression:
        """Parse operators that bind at least as tightly as ``least``."""
        left = self._operand(least)
        while self.current.kind is Kind.OPERATOR:
            rank = BINARY.get(self.current.text, -1)
            if rank < max(least, 1):
                break
            operator = self.take().text
            right = self.parse(rank + 1)
            left = Binary(
                "!=" if operator == "~=" else operator, left, right, span=_across(left, right)
            )
        return left

    def _operand(self, least: int) -> Expression:
        token = self.current
        if token.kind is Kind.NUMBER:
            self.take()
            value = float(token.text.replace("d", "e").replace("D", "e"))
            if value == float("inf"):
                raise InvalidSyntax("number too large", span=token.span)
            return Number(value, span=token.span)
        if token.kind is Kind.MISSING:
            self.take()
            return Missing(token.text[1:], span=token.span)
        if token.kind is Kind.TEXT:
            self.take()
            return Text(token.text, span=token.span)
        if token.kind is Kind.NAME:
            return self._named()
        if token.kind is Kind.FACTOR:
            return self._indicator()
        if token.kind is Kind.OPERATOR and token.text in PREFIX:
            self.take()
            # At least `least`, so that 2^-1^2 groups to the left like 2^1^2.
            operand = self.parse(max(PREFIX[token.text], least))
            operator = "!" if token.text == "~" else token.text
            return Prefix(operator, operand, span=_from(token, operand))
        if self.at("("):
            opening = self.take()
            inner = self.parse()
            self.expect(")", opening)
            return inner
        if self.at("["):
            return self._in_equation()
        raise self.unexpected("expected an expression")

    def _indicator(self) -> Expression:
        token = self.take()
        if not self.coefficients:
            raise NotAllowed(
                "factor variables not allowed",
                span=token.span,
                hint=f"compare as in x == 3; the coefficient is _b[{token.text}]",
            )
        return Coefficient(None, token.text, span=token.span)

    def _date(self, name: Token) -> Expression:
        """``td(1jan2000)``: a day."""
        value = literal_day(self._bracketed(")"))
        span = joined(name.span, self.tokens[self.position - 1].span)
        if value != value:
            raise InvalidSyntax("invalid date", span=span, hint="td() takes dates like 1jan2000")
        return Number(value, span=span)

    def _bracketed(self, closing: str = "]") -> str:
        """Return what stands between brackets, as typed."""
        opening = self.take()
        first = self.current
        while not self.at(closing):
            if self.current.kind is Kind.END:
                self.expect(closing, opening)
            self.take()
        return first.span.source[first.span.start : self.take().span.start].strip()

    def _in_equation(self) -> Expression:
        """``[eq]name``, ``[eq]_b[name]`` or ``[eq]_se[name]``."""
        opening = self.current
        equation = self._bracketed()
        token = self.take()
        if token.kind not in (Kind.NAME, Kind.FACTOR) or not equation:
            raise InvalidSyntax(
                "invalid syntax: expected [equation]name", span=joined(opening.span, token.span)
            )
        if token.text not in COEFFICIENTS:
            span = joined(opening.span, token.span)
            return Coefficient(equation, token.text, span=span)
        if not self.at("["):
            raise self.unexpected(f"expected [name] after {token.text}")
        name = self._bracketed()
        span = joined(opening.span, self.tokens[self.position - 1].span)
        return Coefficient(equation, name, token.text == "_se", span=span)

    def _coefficient(self, token: Token) -> Expression:
        """``_b[name]`` or ``_b[eq:name]``."""
        inside = self._bracketed()
        equation, colon, name = inside.rpartition(":")
        span = joined(token.span, self.tokens[self.position - 1].span)
        if not name.strip():
            raise InvalidSyntax(f"invalid syntax: {token.text}[] needs a name", span=span)
        return Coefficient(
            equation.strip() if colon else None, name.strip(), token.text == "_se", span=span
        )

    def _named(self) -> Expression:
        token = self.take()
        if token.text == "td" and self.at("("):
            return self._date(token)
        if self.at("("):
            opening = self.take()
            arguments: list[Expression] = []
            if not self.at(")"):
                arguments.append(self.parse())
                while self.at(","):
                    self.take()
                    arguments.append(self.parse())
            closing = self.expect(")", opening)
            return Call(token.text, tuple(arguments), span=joined(token.span, closing.span))
        if self.at("["):
            if token.text in COEFFICIENTS:
                return self._coefficient(token)
            opening = self.take()
            index = self.parse()
            if self.at(","):
                self.take()
                column = self.parse()
                closing = self.expect("]", opening)
                span = joined(token.span, closing.span)
                return Element(token.text, index, column, span=span)
            closing = self.expect("]", opening)
            return Subscript(token.text, index, span=joined(token.span, closing.span))
        if token.text in RESERVED:
            raise InvalidSyntax(
                f"{token.text} invalid name", span=token.span, hint="a word of the language"
            )
        return Name(token.text, span=token.span)


def _across(left: Expression, right: Expression) -> Span | None:
    return joined(left.span, right.span) if left.span and right.span else None


def _from(token: Token, operand: Expression) -> Span | None:
    return joined(token.span, operand.span) if operand.span else None


def parse_expression(source: str | Span, *, coefficients: bool = False) -> Expression:
    """Parse a whole expression; ``coefficients`` allows ``3.x`` for ``_b[3.x]``.

    Raises
    ------
    InvalidSyntax, NotAllowed, UnbalancedParentheses
        With the place of the offending token.
    """
    span = whole(source) if isinstance(source, str) else source
    parser = ExpressionParser(expression_tokens(span), coefficients=coefficients)
    expression = parser.parse()
    if parser.current.kind is not Kind.END:
        raise parser.unexpected("expected an operator")
    return expression


def leading_expression(span: Span) -> tuple[Expression, Span]:
    """Parse the expression that a text begins with; return it and what follows.

    Raises
    ------
    InvalidSyntax, NotAllowed, UnbalancedParentheses
        With the place of the offending token.
    """
    parser = ExpressionParser(_leading_tokens(span))
    expression = parser.parse()
    if parser.at("="):
        raise parser.unexpected("expected a command")
    return expression, part(span, parser.current.span.start, span.end)


def _leading_tokens(span: Span) -> list[Token]:
    """Tokens up to where something cannot belong to an expression."""
    end = span.end
    while True:
        try:
            return expression_tokens(part(span, span.start, end))
        except GllammError as error:
            if error.span is None or error.span.start <= span.start or error.span.start >= end:
                raise
            end = error.span.start


def format_number(value: float) -> str:
    """Print a number so that reading it gives the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def format_expression(expression: Expression, least: int = 0) -> str:
    """Print an expression with as few parentheses as reading it back needs."""
    match expression:
        case Number(value=value):
            return format_number(value)
        case Missing(letter=letter):
            return f".{letter}"
        case Text(value=value):
            return f'"{value}"' if '"' not in value else f'`"{value}"\''
        case Name(name=name):
            return name
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(map(format_expression, arguments))})"
        case Subscript(name=name, index=index):
            return f"{name}[{format_expression(index)}]"
        case Element(name=name, row=row, column=column):
            return f"{name}[{format_expression(row)}, {format_expression(column)}]"
        case Coefficient(equation=equation, name=name, standard_error=is_error):
            kind = "_se" if is_error else "_b"
            return f"{kind}[{name}]" if equation is None else f"{kind}[{equation}:{name}]"
        case Prefix(operator=operator, operand=operand):
            rank = PREFIX[operator]
            text = operator + format_expression(operand, rank)
        case Binary(operator=operator, left=left, right=right):
            rank = BINARY[operator]
            text = (
                f"{format_expression(left, rank)} {operator} {format_expression(right, rank + 1)}"
            )
        case _:
            raise TypeError(f"not an expression: {expression!r}")
    return f"({text})" if rank < least else text
