"""Statements that no longer depend on results: numbers take the place of what refers to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gllamm_cli.errors import GllammError
from gllamm_cli.stata.evaluate import constant_value
from gllamm_cli.stata.expression import parse_expression

if TYPE_CHECKING:
    from gllamm_cli.session import Session

EXPRESSION = re.compile(r"=|\bif\b")
"""Before it a statement names commands and variables only."""
QUOTED = re.compile(r'("[^"]*")')
REPLACEABLE = re.compile(
    r"\b(?:scalar|[er])\(\s*(?!sample\b)\w+\s*\)(?:\[[^\[\],]+,[^\[\],]+\])?"
    r"|(?:\[[^\[\]]+\])?\b_(?:b|se)\[[^\[\]]+\]"
    r"|\b[A-Za-z]\w*\[[^\[\],]+,[^\[\],]+\]"
    r"|(?<![\w.])[A-Za-z_]\w*\b(?!\s*[(\[])"
)
"""What may stand for a number: scalars, matrix elements, results."""
RESULT = re.compile(r"\b[er]\(\s*\w+\s*\)|\b_(?:b|se)\[")
"""Results of earlier commands alone."""


def needs_results(statement: str) -> bool:
    """Whether a statement refers to results of commands before it."""
    return any(
        RESULT.search(piece) for piece in QUOTED.split(statement) if not piece.startswith('"')
    )


def settled(statement: str, session: Session) -> str:
    """Return a statement with the numbers that scalars, matrices and results have now.

    Text and what has no number here, such as ``e(sample)``, stay as they are.
    """
    start = EXPRESSION.search(statement)
    if start is None:
        return statement
    names = session.dataset.names if session.dataset is not None else ()

    def number(match: re.Match[str]) -> str:
        word = match.group()
        is_scalar = word in session.scalars and not any(name.startswith(word) for name in names)
        if word.isidentifier() and not is_scalar:
            return word
        try:
            value = constant_value(parse_expression(word), session.evaluator())
        except GllammError:
            return word
        return f"({value!r})" if value == value else "(.)"

    head, tail = statement[: start.start()], statement[start.start() :]
    pieces = QUOTED.split(tail)
    return head + "".join(
        piece if piece.startswith('"') else REPLACEABLE.sub(number, piece) for piece in pieces
    )
