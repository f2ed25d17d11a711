"""The usual form of a command: what stands before, between and after its qualifiers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import zip_longest

from gllamm_cli.errors import InvalidSyntax, Span
from gllamm_cli.stata.expression import Expression, parse_expression
from gllamm_cli.stata.lexer import Kind, frame_tokens, part, stripped

WEIGHT = re.compile(r"\[\s*(?:(?P<kind>[a-z]+)\s*=\s*)?(?P<value>.+?)\s*\]", re.DOTALL)
WEIGHT_KINDS = {"f": "fweight", "a": "aweight", "p": "pweight", "i": "iweight"}
ASSIGNMENT = re.compile(r"(?<![=!~<>])=(?!=)")


@dataclass(frozen=True, slots=True)
class RowRange:
    """``in first/last``; negative numbers count from the end, ``f`` is 1 and ``l`` is -1."""

    first: int
    last: int
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Weight:
    """``[kind=expression]``; ``kind`` is empty if the command has to choose."""

    kind: str
    expression: Expression
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class StandardCommand:
    """``body [if exp] [in range] [weight] [using file] [, options]``."""

    body: Span
    condition: Expression | None
    rows: RowRange | None
    options: Span
    weight: Weight | None = None
    using: Span | None = None


def parse_standard(span: Span) -> StandardCommand:
    """Cut a command at its joints.

    Raises
    ------
    InvalidSyntax
        A qualifier without content, or given twice.
    UnbalancedParentheses
        A bracket or quote without its partner.
    """
    marks: list[tuple[str, Span]] = []
    comma = span.end
    previous: Span | None = None
    tokens = list(frame_tokens(span))
    for token, following in zip_longest(tokens, tokens[1:]):
        if token.kind is Kind.COMMA:
            comma = token.span.start
            break
        if token.kind is Kind.WORD and token.text in ("if", "in", "using"):
            marks.append((token.text, token.span))
        apart = previous is None or previous.end < token.span.start
        ends = (
            following is None
            or following.kind is Kind.COMMA
            or following.span.start > token.span.end
        )
        bracketed = token.kind is Kind.GROUP and token.text.startswith("[")
        # x[_n-1] is a subscript, [eq]x a coefficient, [fw=n] a weight; a name of its own in
        # brackets is one only where nothing touches it.
        assigns = "=" in token.text.replace("==", "")
        if bracketed and _is_weight(token.text) and (assigns or (apart and ends)):
            marks.append(("weight", token.span))
        previous = token.span
    # The rest must balance as well, even though it is read later.
    list(frame_tokens(part(span, comma, span.end)))
    found: dict[str, Span] = {}
    for position, (word, mark) in enumerate(marks):
        end = marks[position + 1][1].start if position + 1 < len(marks) else comma
        content = mark if word == "weight" else stripped(part(span, mark.end, end))
        if not content.text:
            raise InvalidSyntax(f"invalid syntax: nothing follows {word}", span=mark)
        if word in found:
            raise InvalidSyntax(f"invalid syntax: {word} given twice", span=mark)
        found[word] = content
    body_end = marks[0][1].start if marks else comma
    return StandardCommand(
        stripped(part(span, span.start, body_end)),
        parse_expression(found["if"]) if "if" in found else None,
        _row_range(found["in"]) if "in" in found else None,
        part(span, min(comma + 1, span.end), span.end),
        _weight(found["weight"]) if "weight" in found else None,
        found.get("using"),
    )


def _is_weight(text: str) -> bool:
    match = WEIGHT.fullmatch(text)
    if match is None:
        return False
    kind = match["kind"]
    if kind is None:
        return re.fullmatch(r"[^\W\d]\w*", match["value"]) is not None
    return kind in ("w", "weight") or _weight_kind(kind) is not None


def _weight_kind(word: str) -> str | None:
    return next(
        (
            full
            for full in (*WEIGHT_KINDS.values(), "weight")
            if len(word) > 1 and full.startswith(word)
        ),
        None,
    )


def _weight(span: Span) -> Weight:
    match = WEIGHT.fullmatch(span.text)
    assert match is not None, "only what looks like a weight is taken for one"
    kind = _weight_kind(match["kind"]) if match["kind"] else None
    value = part(span, span.start + match.start("value"), span.start + match.end("value"))
    return Weight("" if kind in (None, "weight") else str(kind), parse_expression(value), span=span)


def split_assignment(body: Span) -> tuple[Span, Expression | None]:
    """Cut ``names = exp`` at its sign; without a sign there is no expression."""
    match = ASSIGNMENT.search(body.text)
    if match is None:
        return body, None
    names = stripped(part(body, body.start, body.start + match.start()))
    value = stripped(part(body, body.start + match.end(), body.end))
    return names, parse_expression(value)


def _row_range(span: Span) -> RowRange:
    match = re.fullmatch(r"([-+]?\d{1,15}|[fFlL])(?:\s*/\s*([-+]?\d{1,15}|[fFlL]))?", span.text)
    if match is None:
        raise InvalidSyntax(
            f"'{span.text}' invalid obs no", span=span, hint="in takes forms like 5, 1/10 and -5/l"
        )
    first = _row(match[1])
    return RowRange(first, first if match[2] is None else _row(match[2]), span=span)


def _row(text: str) -> int:
    named = {"f": 1, "l": -1}.get(text.lower())
    return int(text) if named is None else named
