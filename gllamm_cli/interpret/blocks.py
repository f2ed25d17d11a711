"""Statements put into blocks: loops, conditions, programs and inline data as trees."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.stata.source import Statement

PREFIXES = re.compile(
    r"(?:(?:qui(?:etly|etl|et|e)?|n|noi(?:sily|sil|si|s)?|cap(?:ture|tur|tu|t)?)\s+)*"
)
PROGRAM = re.compile(
    r"pr(?:ogram|ogra|ogr|og|o)?\s+(?:de(?:fine|fin|fi|f)?\s+)?(?!drop|dir|list)\w+"
)
RAW_BLOCK = re.compile(r"(?:input|inp|inpu|mata|python)\b(?!\s*:\s*\S)|matrix\s+input\s*$")
DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Line:
    """A statement on its own."""

    statement: Statement


@dataclass(frozen=True, slots=True)
class Block:
    """A statement that ends in ``{`` and what stands up to its ``}``.

    ``head`` is without the brace. Programs and inline data end in ``end``; the
    lines of data are kept as statements.
    """

    head: Statement
    body: tuple[Node, ...]
    end: Statement | None = None


Node = Line | Block


class Incomplete(InvalidSyntax):
    """A block that is still open at the end of the text."""


def parse_blocks(statements: Iterable[Statement], *, lenient: bool = False) -> tuple[Node, ...]:
    """Put statements into blocks.

    Parameters
    ----------
    lenient
        Close a block without ``}`` at the first line indented no more than its head.

    Raises
    ------
    Incomplete
        A block is not closed.
    InvalidSyntax
        A ``}`` without a block.
    """
    reader = _Reader(list(statements), lenient)
    nodes = reader.body(None, 0)
    return nodes


class _Reader:
    def __init__(self, statements: Sequence[Statement], lenient: bool) -> None:
        self.statements = statements
        self.lenient = lenient
        self.position = 0

    def body(self, head: Statement | None, depth: int) -> tuple[Node, ...]:
        """Read nodes up to the ``}`` of ``head``, which is not consumed."""
        if depth > DEEPEST:
            raise InvalidSyntax(f"blocks nested more than {DEEPEST} deep")
        nodes: list[Node] = []
        while self.position < len(self.statements):
            statement = self.statements[self.position]
            text = statement.text
            if text.startswith("}"):
                if head is None:
                    raise InvalidSyntax(f"line {statement.line}: }} without a block")
                return tuple(nodes)
            if self._ends_by_indentation(head, statement):
                return tuple(nodes)
            self.position += 1
            if text.endswith("{") and not text.endswith("${"):
                nodes.extend(self._braced(statement, text[:-1].rstrip(), depth))
            elif PROGRAM.match(text) or RAW_BLOCK.match(text):
                nodes.append(self._up_to_end(statement, depth))
            else:
                nodes.append(Line(statement))
        if head is not None and not self.lenient:
            raise Incomplete(
                f"line {head.line}: unexpected end of file",
                hint="a block is not closed: } is missing",
            )
        return tuple(nodes)

    def _ends_by_indentation(self, head: Statement | None, statement: Statement) -> bool:
        if not self.lenient or head is None or not statement.text:
            return False
        return statement.indentation <= head.indentation and statement.line > head.line

    def _braced(self, statement: Statement, head: str, depth: int) -> list[Node]:
        """Read the body of a block, and the blocks that ``} else {`` opens at its end."""
        body = self.body(statement, depth + 1)
        closing = self.statements[self.position] if self.position < len(self.statements) else None
        if closing is None or not closing.text.startswith("}"):
            return [Block(Statement(head, statement.line, statement.typed), body)]
        rest = closing.text[1:].strip()
        self.position += 1
        block = Block(Statement(head, statement.line, statement.typed), body, closing)
        if not rest:
            return [block]
        following = Statement(rest, closing.line, closing.typed)
        if rest.endswith("{"):
            return [block, *self._braced(following, rest[:-1].rstrip(), depth)]
        return [block, Line(following)]

    def _up_to_end(self, statement: Statement, depth: int) -> Block:
        body: list[Statement] = []
        while self.position < len(self.statements):
            line = self.statements[self.position]
            self.position += 1
            if line.text == "end":
                is_program = PROGRAM.match(statement.text) is not None
                inner = (
                    _Reader(body, self.lenient).body(None, depth + 1)
                    if is_program
                    else tuple(map(Line, body))
                )
                return Block(statement, inner, line)
            body.append(line)
        raise Incomplete(f"line {statement.line}: unexpected end of file", hint="end is missing")
