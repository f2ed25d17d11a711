"""Cuts a text of several commands into statements, without comments.

Newlines end a statement; after ``#delimit ;`` semicolons do instead. ``*`` at the
start of a statement, ``//`` and ``/* */`` start comments, and ``///`` joins the
next line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

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
  | (?P<other>  [^"`/\n;]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
DELIMIT = re.compile(r"[ \t]*#d(?:elimit)?[ \t]*(;|cr)[ \t]*(?:\n|$)")
STAR_COMMENT = re.compile(r"(?:[^\n]*[ \t]///[^\n]*\n)*[^\n]*")
COMMENT_MARK = re.compile(r"/\*|\*/")
PROMPT = re.compile(r"^\. ?", re.MULTILINE)
CONTINUED_PROMPT = re.compile(r"(?:[ \t]///[^\n]*|[ \t]*)\n> ?")
LOOP_PROMPT = re.compile(r"^(?=[ \d]{3}\.) *(\d+)\.(?: |$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement without comments, and where and how it was typed.

    Attributes
    ----------
    text
        Empty for a comment on its own.
    line
        Number of its first line, from 1.
    typed
        Its lines as they stand in the source.
    """

    text: str
    line: int = 1
    typed: tuple[str, ...] = ()

    @property
    def indentation(self) -> int:
        """Width of the blanks before the first line, tabs to multiples of 8."""
        first = self.typed[0].expandtabs(8) if self.typed else ""
        return len(first) - len(first.lstrip())


def split_statements(text: str) -> tuple[str, ...]:
    """Return the statements of a command line, where semicolons end them as well.

    Raises
    ------
    InvalidSyntax
        A comment ``/*`` is not closed.
    """
    found = read_statements(text, semicolons=True)
    return tuple(statement.text for statement in found if statement.text)


def without_prompts(text: str) -> str:
    """Return a log without the prompts ``. ``, ``> `` and ``  2. ``; continued lines are joined."""
    text = CONTINUED_PROMPT.sub(" ///\n", text)
    # In a log every block has its }: indented ever more, its lines close none.
    return PROMPT.sub("", LOOP_PROMPT.sub(lambda match: " " * int(match[1]), text))


def read_statements(text: str, *, semicolons: bool = False) -> Iterator[Statement]:
    """Yield the statements of a text, comments on their own as empty ones.

    Parameters
    ----------
    semicolons
        Whether semicolons end statements even without ``#delimit ;``.

    Raises
    ------
    InvalidSyntax
        A comment ``/*`` is not closed.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    pieces: list[str] = []
    newline_ends, at_start = True, True
    position = start = 0
    line = 1

    def finished(end: int) -> Statement | None:
        nonlocal at_start, start, line
        typed = text[start:end]
        statement = Statement("".join(pieces).strip(), line, tuple(typed.strip("\n").split("\n")))
        # A statement starts on the line of its first character that is not blank.
        blank_lines = len(typed) - len(typed.lstrip("\n"))
        statement = Statement(statement.text, line + blank_lines, statement.typed)
        line += typed.count("\n")
        pieces.clear()
        at_start, start = True, end
        return statement if typed.strip(" \t\n;") else None

    while position < len(text):
        if at_start and (delimit := DELIMIT.match(text, position)):
            newline_ends = delimit[1] == "cr"
            position = delimit.end()
            if statement := finished(position):
                yield statement
            continue
        if at_start and text[position] == "*":
            position = _after_star(text, position, newline_ends)
            continue
        match = CODE.match(text, position)
        assert match is not None, "the last alternative matches every character"
        position = match.end()
        piece = match.group()
        match match.lastgroup:
            case "join":
                piece = " "
            case "line":
                piece = ""
            case "compound" if (closing := text.find("\"'", position)) >= 0:
                position = closing + 2
                piece = text[match.start() : position]
            case "block":
                position = _after_block(text, match.start())
                piece = " "
            case "newline" if not newline_ends:
                piece = " "
            case "newline" | "semicolon" if (
                match.lastgroup == "newline" or semicolons or not newline_ends
            ):
                if statement := finished(position):
                    yield statement
                continue
            case "other":
                # A star starts a comment only where a statement starts.
                if at_start and "*" in piece and piece.lstrip().startswith("*"):
                    position = match.start() + len(piece) - len(piece.lstrip())
                    piece = text[match.start() : position]
        pieces.append(piece)
        at_start = at_start and not piece.strip()
    if statement := finished(len(text)):
        yield statement


def _after_star(text: str, start: int, newline_ends: bool) -> int:
    """Return where a ``*`` comment ends: with its statement, continued lines included."""
    if not newline_ends:
        end = text.find(";", start)
        return len(text) if end < 0 else end
    match = STAR_COMMENT.match(text, start)
    return match.end() if match else start + 1


def _after_block(text: str, start: int) -> int:
    """Return the position after the nested comment that starts at ``start``."""
    depth, position = 1, start + 2
    while depth:
        match = COMMENT_MARK.search(text, position)
        if match is None:
            raise InvalidSyntax(
                "comment not closed", span=Span(text, start, start + 2), hint="*/ is missing"
            )
        depth += 1 if match.group() == "/*" else -1
        position = match.end()
    return position
