"""Prefixes of statements: ``quietly``, ``capture``, ``xi:``, ``by groups:`` and the like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.varlist import expand_varlist, parse_varlist

PATTERN = re.compile(
    r"(?P<quietly>qui(?:etly|etl|et|e)?)\b(?!\s*=)"
    r"|(?P<noisily>n|noi(?:sily|sil|si|s)?)\b(?=\s+\S)(?!\s*=)"
    r"|(?P<capture>cap(?:ture|tur|tu|t)?)\b(?!\s*=)"
    r"|(?P<version>version)\s+[\d.]+\s*:"
    r"|(?P<xi>xi)\s*:"
    r"|(?P<by>by(?:sort|sor|so|s)?)\s+(?P<groups>[^:]*?):(?!:)"
)


@dataclass(frozen=True, slots=True)
class Prefix:
    """Prefixes of a statement.

    Attributes
    ----------
    muted : bool or None
        Whether answers are withheld; None as before.
    captured : bool
        Whether an error only sets the return code.
    xi : bool
    by : str or None
        What follows ``by``.
    sort : bool
        Whether the prefix was ``bysort``.
    """

    muted: bool | None = None
    captured: bool = False
    xi: bool = False
    by: str | None = None
    sort: bool = False


@dataclass(frozen=True, slots=True)
class Grouping:
    """Variables of ``by``: groups, those in parentheses that only sort, and whether to sort."""

    names: tuple[str, ...]
    within: tuple[str, ...]
    sort: bool


def read_prefixes(text: str) -> tuple[Prefix, str]:
    """Take the prefixes off a statement; return them and what is left."""
    muted, captured, xi, by, sort = None, False, False, None, False
    while match := PATTERN.match(text):
        if match["quietly"]:
            muted = True
        elif match["noisily"]:
            muted = False
        elif match["capture"]:
            captured = muted = True
        elif match["xi"]:
            xi = True
        elif match["by"]:
            by, sort = match["groups"], len(match["by"]) > len("by")
        text = text[match.end() :].lstrip()
    return Prefix(muted, captured, xi, by, sort), text


def read_groups(prefix: Prefix, names: Sequence[str]) -> Grouping:
    """Read what follows ``by``, with the variables there are."""
    text, _, options = (prefix.by or "").partition(",")
    sort = prefix.sort
    for option in options.split():
        if option not in ("sort", "sor", "so", "s", "rc0"):
            raise InvalidSyntax(f"option {option} not allowed")
        sort = sort or option.startswith("s")
    match = re.fullmatch(r"([^()]*)(?:\(([^()]*)\))?\s*", text)
    if match is None:
        raise InvalidSyntax(f"invalid syntax: by {text}")
    of_groups = expand_varlist(parse_varlist(whole(match[1])), names)
    within = expand_varlist(parse_varlist(whole(match[2] or "")), names)
    if not of_groups:
        raise InvalidSyntax("invalid syntax: by needs variables")
    return Grouping(of_groups, within, sort)
