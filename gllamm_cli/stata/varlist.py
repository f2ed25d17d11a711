"""Lists of variables: abbreviations, ranges and wildcards against the names in the data.

Parsing needs no data; expansion does. Factor-variable and time-series notation
is recognised here so that it can be refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from gllamm_cli.errors import InvalidSyntax, NotAllowed, Span, VariableNotFound
from gllamm_cli.stata.lexer import NAME, joined, no_time_series, part

MOST_SUGGESTIONS = 5
MOST_NEW_NAMES = 32_766

XI_TERM = re.compile(r"[iI]\.(?P<first>[^*|]+)(?:(?P<operator>[*|])(?P<second>.+))?")
FACTOR = re.compile(r"(?:[cC]|[iI]?[bB]\S*|[iI]?\d+|[iI][nN]?|[oO])\..*|.*#.*|[iI]\(.*|[iI]b.*\..*")
OPTION = re.compile(r"(?!i\(\d)[A-Za-z]\w*\([^().]*\)?")
TIME_SERIES = re.compile(r"[lLfFdDsS]\d*\..+")


@dataclass(frozen=True, slots=True)
class VarlistItem:
    """One entry of a list of variables."""

    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class NamePattern(VarlistItem):
    """A name, perhaps abbreviated or with wildcards ``* ? ~``."""

    text: str


@dataclass(frozen=True, slots=True)
class NameRange(VarlistItem):
    """All variables from ``first`` to ``last`` in the order of the data."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class XiTerm(VarlistItem):
    """``i.first``, ``i.first*second`` or ``i.first|second`` of the ``xi`` prefix.

    ``second_is_factor`` tells ``i.a*i.b`` from ``i.a*x``.
    """

    first: str
    operator: str = ""
    second: str = ""
    second_is_factor: bool = False


def parse_varlist(span: Span) -> tuple[VarlistItem, ...]:
    """Parse names, patterns, ranges and ``i.`` terms; blanks or commas between them.

    Raises
    ------
    NotAllowed
        Factor variables or time-series operators.
    InvalidSyntax
        Anything else that is not a name or a pattern.
    """
    pieces = [
        part(span, span.start + match.start(), span.start + match.end())
        for match in re.finditer(r"[^\s,-]+|-", span.text)
    ]
    items: list[VarlistItem] = []
    position = 0
    while position < len(pieces):
        piece = pieces[position]
        is_range = position + 1 < len(pieces) and pieces[position + 1].text == "-"
        if not is_range:
            items.append(_item(piece))
            position += 1
            continue
        if position + 2 == len(pieces) or "-" in (piece.text, pieces[position + 2].text):
            raise InvalidSyntax("invalid syntax: a range needs a first and a last name", span=piece)
        last = pieces[position + 2]
        for end in (piece, last):
            if not NAME.fullmatch(end.text):
                raise InvalidSyntax(f"{end.text} invalid name", span=end)
        items.append(NameRange(piece.text, last.text, span=joined(piece, last)))
        position += 3
    return tuple(items)


def _item(span: Span) -> VarlistItem:
    text = span.text
    if "#" not in text and (match := XI_TERM.fullmatch(text)):
        first, operator, second = match["first"], match["operator"] or "", match["second"] or ""
        is_factor = second[:2].lower() == "i."
        second = second[2:] if is_factor else second
        names_are_legal = NAME.fullmatch(first) and (not operator or NAME.fullmatch(second))
        if names_are_legal and not (operator == "|" and is_factor):
            return XiTerm(first, operator, second, is_factor, span=span)
        raise InvalidSyntax(
            f"{text} is not a term of xi",
            span=span,
            hint="xi knows i.a, i.a*i.b, i.a*x and i.a|x",
        )
    if OPTION.fullmatch(text):
        raise InvalidSyntax(
            f"{text} is not a varlist", span=span, hint="options stand behind a comma"
        )
    if FACTOR.fullmatch(text):
        raise NotAllowed(
            "factor variables not allowed",
            span=span,
            hint="use xi: with i.a, i.a*i.b, i.a*x or i.a|x",
        )
    if TIME_SERIES.fullmatch(text):
        raise no_time_series(span)
    if not re.fullmatch(r"[^\W\d][\w*?~]*|[*?~][\w*?~]*", text):
        raise InvalidSyntax(
            f"{text} is not a varlist", span=span, hint="a name is made of letters, digits and _"
        )
    return NamePattern(text, span=span)


def find_variable(
    name: str, names: Sequence[str], span: Span | None = None, *, in_expression: bool = False
) -> str:
    """Return the variable meant by ``name``: itself, or the only one that starts so.

    Raises
    ------
    VariableNotFound
        None or several variables start so.
    """
    if name in names:
        return name
    candidates = [other for other in names if other.startswith(name)]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise VariableNotFound(
            f"{name} ambiguous abbreviation",
            span=span,
            hint=f"it could be {_listed(candidates)}",
        )
    message = f"{name} not found" if in_expression else f"variable {name} not found"
    raise VariableNotFound(message, span=span, hint=suggestion(name, names))


def suggestion(name: str, names: Sequence[str]) -> str | None:
    """Return a hint that names variables spelled like ``name``."""
    folded = {other.lower(): other for other in names}
    close = [folded[match] for match in get_close_matches(name.lower(), list(folded), n=3)]
    return f"did you mean {' or '.join(close)}?" if close else None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_SUGGESTIONS])
    return f"{shown}, ..." if len(names) > MOST_SUGGESTIONS else shown


def _matching(item: NamePattern, names: Sequence[str]) -> list[str]:
    if item.text == "_all":
        return list(names)
    if not re.search(r"[*?~]", item.text):
        return [find_variable(item.text, names, item.span)]
    pattern = re.compile(re.sub(r"[*~]+", ".*", item.text).replace("?", "."))
    found = [name for name in names if pattern.fullmatch(name)]
    if not found:
        raise VariableNotFound(f"variable {item.text} not found", span=item.span)
    if "~" in item.text and len(found) > 1:
        raise VariableNotFound(
            f"{item.text} ambiguous abbreviation",
            span=item.span,
            hint=f"it could be {_listed(found)}",
        )
    return found


def expand_varlist(items: Sequence[VarlistItem], names: Sequence[str]) -> tuple[str, ...]:
    """Return full names for a parsed list, in the order typed.

    Raises
    ------
    VariableNotFound
        An unknown or ambiguous name, or a pattern nothing matches.
    NotAllowed
        An ``i.`` term that ``xi`` has not replaced.
    """
    expanded: list[str] = []
    for item in items:
        match item:
            case NamePattern():
                expanded.extend(_matching(item, names))
            case NameRange(first=first, last=last, span=span):
                ends = [list(names).index(find_variable(end, names, span)) for end in (first, last)]
                if ends[0] > ends[1]:
                    raise InvalidSyntax(
                        f"{first}-{last} invalid range",
                        span=span,
                        hint=f"{last} stands before {first} in the data",
                    )
                expanded.extend(names[ends[0] : ends[1] + 1])
            case _:
                raise NotAllowed(
                    "factor variables not allowed",
                    span=item.span,
                    hint="i. terms belong in the list of covariates",
                )
    return tuple(expanded)


def parse_newlist(text: str) -> list[str]:
    """Names to be made: ``x1-x5`` counts."""
    names: list[str] = []
    for item in text.replace("-", " - ").split():
        if len(names) > 1 and names[-1] == "-":
            names.pop()
            names += _counted(names[-1], item)
        else:
            names.append(item)
    return names


def _counted(before: str, to: str) -> list[str]:
    """Names that follow ``before`` up to ``to``."""
    first, last = re.fullmatch(r"(.*?)(\d+)", before), re.fullmatch(r"(.*?)(\d+)", to)
    if not first or not last or first[1] != last[1]:
        raise InvalidSyntax(f"{before}-{to} invalid range of new names")
    begin, end, width = int(first[2]), int(last[2]), len(first[2])
    if end - begin > MOST_NEW_NAMES:
        raise InvalidSyntax(f"{before}-{to} invalid range of new names")
    return [f"{first[1]}{k:0{width}d}" for k in range(begin + 1, end + 1)]


def format_item(item: VarlistItem) -> str:
    """Print an entry as it can be read again."""
    match item:
        case NamePattern(text=text):
            return text
        case NameRange(first=first, last=last):
            return f"{first}-{last}"
        case XiTerm(first=first, operator=operator, second=second, second_is_factor=is_factor):
            return f"i.{first}{operator}{'i.' if is_factor else ''}{second}"
        case _:
            raise TypeError(f"not an entry of a varlist: {item!r}")
