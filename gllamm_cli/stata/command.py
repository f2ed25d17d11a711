"""A gllamm command line as a tree, and the printer that turns it into text again.

Parsing is about form only: which options there are and what their arguments
look like. Whether names exist and options fit together is for ``model.resolve``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gllamm_cli.errors import (
    InvalidSyntax,
    NotAllowed,
    Span,
    VarlistRequired,
)
from gllamm_cli.stata.expression import (
    Expression,
    format_expression,
    format_number,
)
from gllamm_cli.stata.lexer import Kind, Token, frame_tokens, joined, part, stripped, whole, words
from gllamm_cli.stata.numlist import parse_numlist
from gllamm_cli.stata.options import (
    GLLAMM_OPTIONS,
    REPLAY_OPTIONS,
    Argument,
    OptionRule,
    find_option,
)
from gllamm_cli.stata.standard import RowRange as RowRange
from gllamm_cli.stata.standard import StandardCommand, parse_standard
from gllamm_cli.stata.varlist import NamePattern, VarlistItem, format_item, parse_varlist


@dataclass(frozen=True, slots=True)
class Word:
    """A word in the argument of an option."""

    text: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Option:
    """An option by its full name; which of the three arguments is filled depends on its rule."""

    name: str
    numbers: tuple[float, ...] = ()
    items: tuple[VarlistItem, ...] = ()
    words: tuple[Word, ...] = ()
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class GllammCommand:
    """A model as typed: ``gllamm depvar items if condition in rows, options``."""

    depvar: NamePattern
    items: tuple[VarlistItem, ...] = ()
    condition: Expression | None = None
    rows: RowRange | None = None
    options: tuple[Option, ...] = ()
    xi: bool = False
    source: str = field(default="", compare=False, repr=False, kw_only=True)

    def option(self, name: str) -> Option | None:
        """Return an option by its full name, None if it was not given."""
        return next((option for option in self.options if option.name == name), None)


@dataclass(frozen=True, slots=True)
class ReplayCommand:
    """``gllamm`` without a model: show the last one again."""

    options: tuple[Option, ...] = ()
    source: str = field(default="", compare=False, repr=False, kw_only=True)

    def option(self, name: str) -> Option | None:
        """Return an option by its full name, None if it was not given."""
        return next((option for option in self.options if option.name == name), None)


def parse_frame(span: Span) -> StandardCommand:
    """Cut a command that takes neither weights nor files at its joints.

    Raises
    ------
    NotAllowed
        A weight in square brackets, or ``using``.
    GllammError
        As ``parse_standard``.
    """
    frame = parse_standard(span)
    if frame.weight is not None:
        raise NotAllowed(
            "weights not allowed",
            span=frame.weight.span,
            hint="frequency weights go into the option weight()",
        )
    if frame.using is not None:
        raise NotAllowed("using not allowed", span=frame.using)
    return frame


def parse_options(span: Span, rules: tuple[OptionRule, ...]) -> tuple[Option, ...]:
    """Parse what follows the comma of a command.

    Raises
    ------
    InvalidSyntax
        An unknown or repeated option, an argument too many or too few.
    """
    options: list[Option] = []
    for name, group in _option_pieces(span):
        if name.text == "if":
            raise InvalidSyntax(
                "option if not allowed", span=name.span, hint="if comes before the comma"
            )
        rule = find_option(name.text, rules, name.span)
        if any(option.name == rule.name for option in options):
            raise InvalidSyntax(f"option {rule.name} given twice", span=name.span)
        options.append(_option(rule, name, group))
    return tuple(options)


def _option_pieces(span: Span) -> Iterator[tuple[Token, Token | None]]:
    """Yield names of options with their parentheses; blanks may stand between the two."""
    waiting: Token | None = None
    for token in frame_tokens(span):
        if token.kind is Kind.GROUP and token.text.startswith("(") and waiting is not None:
            yield waiting, token
            waiting = None
            continue
        if waiting is not None:
            yield waiting, None
            waiting = None
        if token.kind is Kind.WORD:
            waiting = token
        elif token.kind is not Kind.COMMA:
            raise InvalidSyntax(f"invalid syntax: {token.text} is no option", span=token.span)
    if waiting is not None:
        yield waiting, None


def _option(rule: OptionRule, name: Token, group: Token | None) -> Option:
    if rule.argument is Argument.NONE:
        if group is not None:
            raise InvalidSyntax(f"option {rule.name} takes no argument", span=group.span)
        return Option(rule.name, span=name.span)
    if group is None and rule.argument is Argument.OPTIONAL_TEXT:
        return Option(rule.name, span=name.span)
    if group is None:
        raise InvalidSyntax(
            f"option {rule.name}() incorrectly specified",
            span=name.span,
            hint=f"it takes {rule.argument.value} in parentheses",
        )
    place = joined(name.span, group.span)
    inside = stripped(part(group.span, group.span.start + 1, group.span.end - 1))
    if not inside.text:
        raise InvalidSyntax(f"option {rule.name}() is empty", span=place)
    match rule.argument:
        case Argument.NUMBERS:
            return Option(rule.name, numbers=parse_numlist(inside), span=place)
        case Argument.VARIABLES:
            return Option(rule.name, items=parse_varlist(inside), span=place)
        case Argument.TEXT | Argument.OPTIONAL_TEXT:
            return Option(rule.name, words=(Word(inside.text, inside),), span=place)
        case _:
            # frame_tokens has split nothing inside the group; quotes have no use here.
            found = tuple(Word(token.text, token.span) for token in words(inside))
            return Option(rule.name, words=found, span=place)


def parse_gllamm(text: str) -> GllammCommand | ReplayCommand:
    """Parse a gllamm command; the leading word ``gllamm`` may be left out.

    Raises
    ------
    GllammError
        With the place of what is wrong.
    """
    span = stripped(whole(text))
    prefix = re.match(r"xi\s*:\s*", span.text)
    if prefix:
        span = part(span, span.start + prefix.end(), span.end)
    word = re.match(r"gllamm(?![\w.])\s*", span.text)
    if word:
        span = part(span, span.start + word.end(), span.end)
    frame = parse_frame(span)
    if not frame.body.text:
        return _parse_replay(frame, text)
    items = parse_varlist(frame.body)
    if not items:
        raise VarlistRequired("varlist required", span=frame.body)
    depvar = items[0]
    if not isinstance(depvar, NamePattern):
        raise InvalidSyntax(
            f"invalid syntax: {depvar.span.text if depvar.span else ''} cannot be the response",
            span=depvar.span,
            hint="one variable, then the covariates",
        )
    return GllammCommand(
        depvar=depvar,
        items=items[1:],
        condition=frame.condition,
        rows=frame.rows,
        options=parse_options(frame.options, GLLAMM_OPTIONS),
        xi=prefix is not None,
        source=text.strip(),
    )


def _parse_replay(frame: StandardCommand, text: str) -> ReplayCommand:
    """Without a response this is a replay; options of a model then show what is missing."""
    for name, _ in _option_pieces(frame.options):
        is_replay = any(rule.matches(name.text) for rule in REPLAY_OPTIONS)
        if not is_replay and any(rule.matches(name.text) for rule in GLLAMM_OPTIONS):
            raise VarlistRequired(
                "varlist required", span=name.span, hint="the response comes before the comma"
            )
    if frame.condition is not None or frame.rows is not None:
        raise VarlistRequired(
            "varlist required", hint="the response comes before if, in and the comma"
        )
    return ReplayCommand(parse_options(frame.options, REPLAY_OPTIONS), source=text.strip())


def format_option(option: Option) -> str:
    """Print an option with its full name."""
    if option.numbers:
        return f"{option.name}({' '.join(map(format_number, option.numbers))})"
    if option.items:
        return f"{option.name}({' '.join(map(format_item, option.items))})"
    if option.words:
        return f"{option.name}({' '.join(word.text for word in option.words)})"
    return option.name


def format_command(command: GllammCommand | ReplayCommand) -> str:
    """Print a command in full words, so that reading it gives the same tree."""
    options = " ".join(map(format_option, command.options))
    if isinstance(command, ReplayCommand):
        return f"gllamm, {options}" if options else "gllamm"
    pieces = ["xi: gllamm" if command.xi else "gllamm", format_item(command.depvar)]
    pieces.extend(map(format_item, command.items))
    if command.condition is not None:
        pieces.append(f"if {format_expression(command.condition)}")
    if command.rows is not None:
        pieces.append(f"in {command.rows.first}/{command.rows.last}")
    text = " ".join(pieces)
    return f"{text}, {options}" if options else text
