"""Linear constraints on parameters as Stata writes them: ``constraint 1 2*[e]a - [e]b = 3``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gllamm_cli.errors import InvalidSyntax, Span
from gllamm_cli.stata.expression import ExpressionParser, format_number
from gllamm_cli.stata.lexer import Kind, expression_tokens, part, stripped, without_word

LARGEST_CONSTRAINT = 1999


@dataclass(frozen=True, slots=True)
class LinearTerm:
    """``coefficient * [equation]name``; ``equation`` None means the first one."""

    coefficient: float
    equation: str | None
    name: str


@dataclass(frozen=True, slots=True)
class ConstraintDefinition:
    """``constraint # sum of terms = value``, all terms brought to the left."""

    number: int
    terms: tuple[LinearTerm, ...]
    value: float
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


def parse_constraint(span: Span) -> ConstraintDefinition:
    """Parse ``[define] # linear = linear``."""
    span = without_word(span, "define", 3)
    match = re.match(r"(\d+)(?=[\s\[])", span.text)
    if match is None:
        raise InvalidSyntax(
            "invalid syntax: a constraint is defined by constraint # [eq]name = value", span=span
        )
    digits = part(span, span.start, span.start + match.end())
    if not 1 <= int(match[1][:9]) <= LARGEST_CONSTRAINT:
        raise InvalidSyntax(
            f"constraint number {match[1][:9]} out of range",
            span=digits,
            hint=f"numbers go from 1 to {LARGEST_CONSTRAINT}",
        )
    reader = _LinearReader(stripped(part(span, digits.end, span.end)))
    terms, value = reader.read()
    return ConstraintDefinition(int(match[1]), terms, value, span=span)


class _LinearReader:
    """Reads ``2*[e]a - [e]b = 3`` from expression tokens."""

    def __init__(self, span: Span) -> None:
        self.parser = ExpressionParser(expression_tokens(span))
        self.coefficients: dict[tuple[str | None, str], float] = {}
        self.constant = 0.0

    def read(self) -> tuple[tuple[LinearTerm, ...], float]:
        self._side(1.0)
        if not (self.parser.at("=") or self.parser.at("==")):
            raise InvalidSyntax("invalid syntax: = is missing", span=self.parser.current.span)
        self.parser.take()
        self._side(-1.0)
        if self.parser.current.kind is not Kind.END:
            raise self.parser.unexpected("expected + or -")
        terms = tuple(
            LinearTerm(coefficient, equation, name)
            for (equation, name), coefficient in self.coefficients.items()
            if coefficient != 0.0
        )
        if not terms:
            raise InvalidSyntax(
                "invalid syntax: the constraint names no parameter",
                span=self.parser.tokens[0].span,
                hint="[equation]name stands for a parameter",
            )
        return terms, 0.0 - self.constant

    def _side(self, sign: float) -> None:
        term_sign = sign
        while self.parser.at("+") or self.parser.at("-"):
            term_sign *= -1.0 if self.parser.take().text == "-" else 1.0
        self._term(term_sign)
        while self.parser.at("+") or self.parser.at("-"):
            term_sign = sign
            while self.parser.at("+") or self.parser.at("-"):
                term_sign *= -1.0 if self.parser.take().text == "-" else 1.0
            self._term(term_sign)

    def _term(self, sign: float) -> None:
        """``number``, ``[number [*]] parameter`` or ``parameter */ number``."""
        parser = self.parser
        factor, has_number = sign, False
        if parser.current.kind is Kind.NUMBER:
            factor *= self._number()
            has_number = True
            while parser.at("/"):
                parser.take()
                factor /= self._divisor()
            if parser.at("*"):
                parser.take()
                has_number = False
        is_parameter = parser.at("[") or parser.current.kind is Kind.NAME
        if not is_parameter and has_number:
            self.constant += factor
            return
        key = self._parameter()
        while parser.at("*") or parser.at("/"):
            factor = (
                factor * self._number() if parser.take().text == "*" else factor / self._divisor()
            )
        self.coefficients[key] = self.coefficients.get(key, 0.0) + factor

    def _number(self) -> float:
        token = self.parser.take()
        if token.kind is not Kind.NUMBER or float(token.text) == float("inf"):
            raise InvalidSyntax("invalid syntax: expected a number", span=token.span)
        return float(token.text)

    def _divisor(self) -> float:
        place = self.parser.current.span
        number = self._number()
        if number == 0.0:
            raise InvalidSyntax("invalid syntax: division by 0", span=place)
        return number

    def _name(self) -> str:
        token = self.parser.take()
        if token.kind is not Kind.NAME:
            raise InvalidSyntax("invalid syntax: expected the name of a parameter", span=token.span)
        return token.text

    def _equation(self) -> str:
        """An equation's name or ``#`` and its number."""
        if not self.parser.at("#"):
            return self._name()
        self.parser.take()
        token = self.parser.take()
        if token.kind is not Kind.NUMBER or not token.text.isdigit():
            raise InvalidSyntax("invalid syntax: # and the number of an equation", span=token.span)
        return f"#{token.text}"

    def _parameter(self) -> tuple[str | None, str]:
        parser = self.parser
        if not parser.at("["):
            name = self._name()
            if name not in ("_b", "_coef") or not parser.at("["):
                return None, name
            opening = parser.take()
            equation, name = None, self._name()
            if parser.at(":"):
                parser.take()
                equation, name = name, self._name()
            parser.expect("]", opening)
            return equation, name
        opening = parser.take()
        equation = self._equation()
        parser.expect("]", opening)
        name = self._name()
        if name in ("_b", "_coef") and parser.at("["):
            opening = parser.take()
            name = self._name()
            parser.expect("]", opening)
        return equation, name


def listed_number(value: float) -> str:
    """Print a number as Stata does, without a zero before the point."""
    return re.sub(r"^(-?)0\.", r"\1.", format_number(value))


class Term(Protocol):
    """A multiple of a parameter, here or in a model."""

    @property
    def coefficient(self) -> float:
        """The multiple."""

    @property
    def equation(self) -> str | None:
        """The parameter's equation; None for the first one."""

    @property
    def name(self) -> str:
        """The parameter's name in its equation."""


def format_terms(terms: Sequence[Term], first_equation: str) -> str:
    """Print a linear combination of parameters as Stata lists constraints."""
    pieces: list[str] = []
    for term in terms:
        sign = "-" if term.coefficient < 0 else "+"
        size = abs(term.coefficient)
        factor = "" if size == 1.0 else f"{listed_number(size)}*"
        text = f"{factor}[{term.equation or first_equation}]{term.name}"
        pieces.append(f"{sign} {text}" if pieces or sign == "-" else text)
    return " ".join(pieces)
