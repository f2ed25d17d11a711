"""Lists of numbers: ``1 2 3``, ``1,2``, ``1/5``, ``1(2)9``, ``1 3 to 9``, ``1 2:5``."""

from __future__ import annotations

import re
from math import isfinite

from gllamm_cli.errors import BadNumlist, Span
from gllamm_cli.stata.lexer import NUMBER, part

LONGEST = 10_000
SLACK = 1e-9
"""Steps are counted with this much room, so that ``0(.1)1`` ends at 1."""

PIECE = re.compile(rf"[-+]?{NUMBER.pattern}|to\b|[/:(\[\])]")


def _pieces(span: Span) -> list[Span]:
    pieces: list[Span] = []
    position = span.start
    while position < span.end:
        if span.source[position].isspace() or span.source[position] == ",":
            position += 1
            continue
        match = PIECE.match(span.source, position, span.end)
        if match is None:
            raise BadNumlist("invalid numlist", span=Span(span.source, position, position + 1))
        pieces.append(part(span, position, match.end()))
        position = match.end()
    return pieces


def _sequence(first: float, step: float, last: float, span: Span) -> list[float]:
    count = (last - first) / step if step else -1.0
    if count < 0 or count > LONGEST:
        raise BadNumlist(
            "invalid numlist", span=span, hint=f"no way from {first:g} to {last:g} by {step:g}"
        )
    return [first + k * step for k in range(int(count + SLACK) + 1)]


def _is_number(piece: Span) -> bool:
    return piece.text[-1].isdigit() or piece.text[-1] == "."


def parse_numlist(span: Span) -> tuple[float, ...]:
    """Return the numbers of a list.

    Raises
    ------
    BadNumlist
        r(121), with the place that cannot be read.
    """
    pieces = _pieces(span)
    numbers: list[float] = []
    position = 0

    def number() -> float:
        nonlocal position
        if position == len(pieces) or not _is_number(pieces[position]):
            where = pieces[position] if position < len(pieces) else span
            raise BadNumlist("invalid numlist", span=where, hint="a number is missing here")
        value = float(pieces[position].text.replace("d", "e").replace("D", "e"))
        if not isfinite(value):
            raise BadNumlist("invalid numlist: number too large", span=pieces[position])
        position += 1
        return value

    while position < len(pieces):
        place = pieces[position]
        match place.text:
            case "/":
                position += 1
                last = number()
                first = _taken(numbers, 1, place)[0]
                numbers.extend(_sequence(first, 1.0 if last >= first else -1.0, last, place))
            case "(" | "[" as bracket:
                position += 1
                step = number()
                if (
                    position == len(pieces)
                    or pieces[position].text != {"(": ")", "[": "]"}[bracket]
                ):
                    raise BadNumlist("invalid numlist", span=place, hint="bracket not closed")
                position += 1
                last = number()
                first = _taken(numbers, 1, place)[0]
                numbers.extend(_sequence(first, step, last, place))
            case "to" | ":":
                position += 1
                last = number()
                first, second = _taken(numbers, 2, place)
                numbers.extend(_sequence(first, second - first, last, place))
            case _:
                numbers.append(number())
        if len(numbers) > LONGEST:
            raise BadNumlist("invalid numlist: too many numbers", span=span)
    return tuple(numbers)


def _taken(numbers: list[float], count: int, place: Span) -> list[float]:
    """Remove and return the numbers that start a sequence."""
    if len(numbers) < count:
        raise BadNumlist("invalid numlist", span=place, hint="no number to start from")
    taken = numbers[-count:]
    del numbers[-count:]
    return taken
