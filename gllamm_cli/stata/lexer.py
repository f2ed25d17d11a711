"""Cuts command text into tokens that know where they stood.

Stata reads the same characters differently in different places: ``*`` is a
product in an expression and a wildcard in a list of variables. So there are
three readers, one for the frame of a command, one for expressions and one for
lists of words, and each token keeps its place for error messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gllamm_cli.errors import InvalidSyntax, NotAllowed, Span, UnbalancedParentheses

LONGEST_NAME = 32

RESERVED = frozenset(
    {"byte", "double", "float", "if", "in", "int", "long", "strL", "using", "with"}
)
SYSTEM_NAMES = frozenset(
    f"_{name}" for name in ("all", "b", "coef", "cons", "n", "N", "pi", "pred", "rc", "se", "skip")
)

NAME = re.compile(r"[^\W\d]\w*")
NUMBER = re.compile(r"(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eEdD][+-]?\d+)?")
FACTOR_PART = r"(?:\d+[bon]*|[co]|co|ib?\d*)\.[^\W\d]\w*"
FACTOR = re.compile(rf"(?!\d+\.[eEdD]\d){FACTOR_PART}(?:#(?:{FACTOR_PART}|[^\W\d]\w*))*")
TIME_SERIES = re.compile(r"(?:[LFDS]\d*)+\.[^\W\d]\w*", re.IGNORECASE)
MISSING = re.compile(r"\.(?:[a-z](?!\w))?")
OPERATOR = re.compile(r"==|!=|~=|<=|>=|\.\.|[-+*/^<>=!~&|()\[\],:#\\']")


class Kind(StrEnum):
    """What a token is."""

    NUMBER = "number"
    MISSING = "missing value"
    TEXT = "text"
    NAME = "name"
    FACTOR = "indicator"
    OPERATOR = "operator"
    WORD = "word"
    GROUP = "parentheses"
    COMMA = "comma"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of source; ``text`` is its value (quotes removed from TEXT)."""

    kind: Kind
    text: str
    span: Span


def is_name(text: str) -> bool:
    """Whether ``text`` can name a variable, an equation or a matrix."""
    return (
        len(text) <= LONGEST_NAME
        and NAME.fullmatch(text) is not None
        and text not in RESERVED | SYSTEM_NAMES
        and not re.fullmatch(r"str\d+", text)
    )


def is_number(text: str) -> bool:
    """Whether ``text`` is written as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def whole(text: str) -> Span:
    """Return the span of all of ``text``."""
    return Span(text, 0, len(text))


def part(span: Span, start: int, end: int) -> Span:
    """Return the span of ``source[start:end]`` in the source of ``span``."""
    return Span(span.source, start, end)


def stripped(span: Span) -> Span:
    """Return the span without blanks at its ends."""
    text = span.text
    start = span.start + len(text) - len(text.lstrip())
    return Span(span.source, start, max(start, span.end - len(text) + len(text.rstrip())))


def joined(first: Span, last: Span) -> Span:
    """Return the span from the start of ``first`` to the end of ``last``."""
    return Span(first.source, first.start, last.end)


def without_word(span: Span, full: str, least: int) -> Span:
    """Return the span after an optional word such as ``define``, perhaps abbreviated."""
    match = re.match(r"\w+(?=\s)", span.text)
    if match and len(match.group()) >= least and full.startswith(match.group()):
        return stripped(part(span, span.start + match.end(), span.end))
    return span


def _quoted(source: str, start: int, end: int) -> int:
    """Return the position after the quoted text that starts at ``start``."""
    if source.startswith('`"', start):
        depth, position = 1, start + 2
        while position < end:
            if source.startswith('`"', position):
                depth, position = depth + 1, position + 2
            elif source.startswith("\"'", position):
                depth, position = depth - 1, position + 2
                if not depth:
                    return position
            else:
                position += 1
    else:
        closing = source.find('"', start + 1, end)
        if closing >= 0:
            return closing + 1
    raise UnbalancedParentheses(
        "unbalanced quotes", span=Span(source, start, start + 1), hint="a closing quote is missing"
    )


def _starts_quote(source: str, position: int) -> bool:
    return source[position] == '"' or source.startswith('`"', position)


def _without_quotes(text: str) -> str:
    return text[2:-2] if text.startswith("`") else text[1:-1]


def _balanced(source: str, start: int, end: int) -> int:
    """Return the position after the bracket that closes the one at ``start``."""
    open_at: list[int] = []
    partner = {")": "(", "]": "["}
    position = start
    while position < end:
        character = source[position]
        if _starts_quote(source, position):
            position = _quoted(source, position, end)
            continue
        if character in "([":
            open_at.append(position)
        elif character in partner:
            if source[open_at[-1]] != partner[character]:
                break
            open_at.pop()
            if not open_at:
                return position + 1
        position += 1
    place = position if position < end else open_at[-1]
    raise UnbalancedParentheses(
        "unbalanced parentheses",
        span=Span(source, place, place + 1),
        hint="every ( needs its ), every [ its ]",
    )


def no_time_series(span: Span) -> NotAllowed:
    """Return the error for ``L.x`` and its like."""
    operators, _, name = span.text.partition(".")
    rows = operators[1:] if operators[1:].isdigit() else "1"
    shown = {"L": f"{name}[_n-{rows}]", "F": f"{name}[_n+{rows}]"}.get(operators[0].upper())
    shown = shown or f"{name} - {name}[_n-1]"
    return NotAllowed(
        "time-series operators not allowed",
        span=span,
        hint=f"bysort id (t): generate new = {shown} makes such a variable",
    )


def frame_tokens(span: Span) -> Iterator[Token]:
    """Yield words, balanced parentheses or brackets, quoted texts and commas.

    This finds the qualifiers and options of a command without knowing what is
    inside parentheses.

    Raises
    ------
    UnbalancedParentheses
        A bracket or quote has no partner.
    """
    source, position, end = span.source, span.start, span.end
    while position < end:
        character = source[position]
        start = position
        if character.isspace():
            position += 1
        elif character == ",":
            position += 1
            yield Token(Kind.COMMA, ",", Span(source, start, position))
        elif _starts_quote(source, position):
            position = _quoted(source, position, end)
            quoted = Span(source, start, position)
            yield Token(Kind.TEXT, _without_quotes(quoted.text), quoted)
        elif character in "([":
            position = _balanced(source, position, end)
            yield Token(Kind.GROUP, source[start:position], Span(source, start, position))
        elif character in ")]":
            raise UnbalancedParentheses(
                f"unmatched {character}",
                span=Span(source, start, start + 1),
                hint="there is no opening bracket for it",
            )
        else:
            while position < end and not (
                source[position].isspace()
                or source[position] in ',()[]"'
                or _starts_quote(source, position)
            ):
                position += 1
            yield Token(Kind.WORD, source[start:position], Span(source, start, position))


def words(span: Span) -> Iterator[Token]:
    """Yield words separated by blanks or commas."""
    for match in re.finditer(r"[^\s,]+", span.text):
        place = part(span, span.start + match.start(), span.start + match.end())
        yield Token(Kind.WORD, match.group(), place)


def expression_tokens(span: Span) -> list[Token]:
    """Return the tokens of an expression, an END token last.

    Raises
    ------
    InvalidSyntax
        A character that has no meaning in an expression.
    NotAllowed
        A time-series operator.
    UnbalancedParentheses
        A quote without its partner.
    """
    source, position, end = span.source, span.start, span.end
    tokens: list[Token] = []
    patterns = (
        (Kind.FACTOR, FACTOR),
        (Kind.NUMBER, NUMBER),
        (Kind.NAME, NAME),
        (Kind.OPERATOR, OPERATOR),
        (Kind.MISSING, MISSING),
    )
    while position < end:
        if source[position].isspace():
            position += 1
            continue
        if _starts_quote(source, position):
            after = _quoted(source, position, end)
            place = Span(source, position, after)
            tokens.append(Token(Kind.TEXT, _without_quotes(place.text), place))
            position = after
            continue
        if lagged := TIME_SERIES.match(source, position, end):
            raise no_time_series(Span(source, position, lagged.end()))
        for kind, pattern in patterns:
            match = pattern.match(source, position, end)
            if match:
                place = Span(source, position, match.end())
                tokens.append(Token(kind, match.group(), place))
                position = match.end()
                break
        else:
            raise InvalidSyntax(
                f"invalid syntax: {source[position]} is not part of an expression",
                span=Span(source, position, position + 1),
            )
    tokens.append(Token(Kind.END, "", Span(source, end, end)))
    return tokens
