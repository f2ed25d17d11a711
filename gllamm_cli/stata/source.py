"""Cuts a text of several commands into statements, without comments.

Both newlines and semicolons end a statement; after ``#delimit ;`` only
semicolons do. ``*`` at the start of a statement, ``//`` and ``/* */`` start
comments, and ``///`` joins the next line.
"""

from __future__ import annotations

import re

from gllamm_cli.errors import InvalidSyntax, Span

CODE = re.compile(
    r"""
    (?P<quoted> "[^"\n]*" )
  | (?P<compound> `" )
  | (?P<join>   (?<!\S)///[^\n]*(?:\n|$) )
  | (?P<line>   (?<!\S)//[^\n]* )
  | (?P<block>  /\* )
  | (?P<newline> \n )
  | (?P<semicolon> ; )
  | (?P<other>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
DELIMIT = re.compile(r"[ \t]*#d(?:elimit)?[ \t]+(;|cr)[ \t]*(?:\n|$)")


def split_statements(text: str) -> tuple[str, ...]:
    """Return the statements of a text, without comments and empty statements.

    Raises
    ------
    InvalidSyntax
        A comment ``/*`` is not closed.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    statements: list[str] = []
    pieces: list[str] = []
    newline_ends, at_start = True, True
    position = 0

    def finish() -> None:
        nonlocal at_start
        at_start = True
        statement = "".join(pieces).strip()
        if statement:
            statements.append(statement)
        pieces.clear()

    def add(piece: str) -> None:
        nonlocal at_start
        pieces.append(piece)
        at_start = at_start and not piece.strip()

    while position < len(text):
        if at_start and (delimit := DELIMIT.match(text, position)):
            newline_ends = delimit[1] == "cr"
            position = delimit.end()
            continue
        if at_start and text[position] == "*":
            position = _after_star(text, position, newline_ends)
            continue
        match = CODE.match(text, position)
        assert match is not None, "the last alternative matches every character"
        position = match.end()
        match match.lastgroup:
            case "join":
                add(" ")
            case "line":
                pass
            case "compound" if (closing := text.find("\"'", position)) >= 0:
                add(text[match.start() : closing + 2])
                position = closing + 2
            case "block":
                position = _after_block(text, match.start())
                add(" ")
            case "newline" if not newline_ends:
                add(" ")
            case "newline" | "semicolon":
                finish()
            case _:
                add(match.group())
    finish()
    return tuple(statements)


def _after_star(text: str, start: int, newline_ends: bool) -> int:
    """Return where a ``*`` comment ends: with its statement, continued lines included."""
    if not newline_ends:
        end = text.find(";", start)
        return len(text) if end < 0 else end + 1
    match = re.compile(r"(?:[^\n]*[ \t]///[^\n]*\n)*[^\n]*").match(text, start)
    return match.end() if match else start + 1


def _after_block(text: str, start: int) -> int:
    """Return the position after the nested comment that starts at ``start``."""
    depth, position = 1, start + 2
    while depth:
        match = re.compile(r"/\*|\*/").search(text, position)
        if match is None:
            raise InvalidSyntax(
                "comment not closed", span=Span(text, start, start + 2), hint="*/ is missing"
            )
        depth += 1 if match.group() == "/*" else -1
        position = match.end()
    return position
