"""Statements around a gllamm command: equations, new variables and indicators."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gllamm_cli.errors import InvalidSyntax, Span
from gllamm_cli.stata.command import (
    RowRange,
    parse_frame,
)
from gllamm_cli.stata.constraint import ConstraintDefinition as ConstraintDefinition
from gllamm_cli.stata.expression import Expression, parse_expression
from gllamm_cli.stata.lexer import NAME, is_name, part, stripped, without_word
from gllamm_cli.stata.varlist import VarlistItem, XiTerm, parse_varlist

STORAGE_TYPES = ("byte", "int", "long", "float", "double")


@dataclass(frozen=True, slots=True)
class Equation:
    """``eq name: varlist``; the list is expanded when the equation is defined."""

    name: str
    items: tuple[VarlistItem, ...]
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Generate:
    """``generate [type] name = exp [if] [in]``; without a type, numbers have the default one."""

    name: str
    expression: Expression
    storage_type: str = ""
    default_type: str = "float"
    condition: Expression | None = None
    rows: RowRange | None = None
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class XiExpand:
    """``xi i.a i.b``: make the dummies without a model."""

    terms: tuple[XiTerm, ...]


def parse_equation(span: Span) -> Equation:
    """Parse ``[define] name: varlist``."""
    span = without_word(span, "define", 3)
    match = re.match(r"(\S*?)\s*:", span.text)
    if match is None:
        raise InvalidSyntax("invalid syntax: an equation is defined by eq name: varlist", span=span)
    name = part(span, span.start, span.start + match.end(1))
    if NAME.fullmatch(name.text) is None:
        raise InvalidSyntax(f"{name.text or ':'} invalid name", span=name)
    items = parse_varlist(part(span, span.start + match.end(), span.end))
    return Equation(name.text, items, span=span)


def parse_generate(span: Span, *, default: str = "float") -> Generate:
    """Parse ``[type] name = exp [if] [in]``."""
    frame = parse_frame(span)
    if frame.options.text.strip():
        raise InvalidSyntax("options not allowed", span=frame.options)
    body = frame.body
    match = re.match(r"(?:(\w+)\s+)?([^\s=]+)\s*=(?!=)", body.text)
    if match is None:
        raise InvalidSyntax("invalid syntax: generate needs name = expression", span=span)
    kind = match[1] or ""
    if kind and kind not in STORAGE_TYPES and not re.fullmatch(r"str\d*|strL", kind):
        raise InvalidSyntax(
            f"{kind} is no storage type",
            span=part(body, body.start + match.start(1), body.start + match.end(1)),
            hint=f"types: {', '.join(STORAGE_TYPES)}",
        )
    name = part(body, body.start + match.start(2), body.start + match.end(2))
    if not is_name(name.text):
        raise InvalidSyntax(f"{name.text} invalid name", span=name)
    expression = parse_expression(stripped(part(body, body.start + match.end(), body.end)))
    return Generate(name.text, expression, kind, default, frame.condition, frame.rows, span=name)


def parse_xi(span: Span) -> XiExpand:
    """Parse the terms of ``xi`` standing alone."""
    terms = []
    for item in parse_varlist(span):
        if not isinstance(item, XiTerm):
            raise InvalidSyntax("invalid syntax: xi takes terms like i.group", span=item.span)
        terms.append(item)
    if not terms:
        raise InvalidSyntax("invalid syntax: xi takes terms like i.group", span=span)
    return XiExpand(tuple(terms))
