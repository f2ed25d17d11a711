"""``display``."""

from __future__ import annotations

import re

import numpy as np

from gllamm_cli.errors import BadFormat, InvalidSyntax
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.expression import ExpressionParser
from gllamm_cli.stata.format import display as display_number
from gllamm_cli.stata.format import format_stata
from gllamm_cli.stata.functions import is_text, missing_text
from gllamm_cli.stata.lexer import Kind, expression_tokens, part

WORDS = re.compile(
    r"(as\s+(?:text|txt|result|res|error|err|input|inp)|in\s+(?:smcl|red|green|yellow|white|blue|gr|ye)"
    r"|_n(?:ewline|ewlin|ewli|ewl|ew|e)?(?:\([^()]*\))?(?!\w)"
    r"|_c(?:ontinue|ont)?(?!\w)|_skip\([^()]*\)|_s\([^()]*\)"
    r"|_col(?:umn)?\([^()]*\)|_dup\([^()]*\))"
)
WIDEST = 100_000
"""Most spaces, lines or copies that one directive makes."""
FORMAT = re.compile(r"%[-~]?0?\d*(?:\.\d+)?[a-zA-Z]\w*")
SMCL = re.compile(r"\{(?:txt|res|err|it|bf|cmd|hline|com|sf|ul|inp)(?:\s*:?([^{}]*))?\}")


def display(run: Run) -> None:
    """``display`` items: texts, expressions with formats, spacing."""
    line, continued = display_text(run)
    run.interpreter.write(line, continued=continued)


def display_text(run: Run) -> tuple[str, bool]:
    """Return the text, and whether the line goes on."""
    span = run.span
    position = span.start
    text, specification, continued = "", "", False
    times = 1
    while position < span.end:
        character = span.source[position]
        if character.isspace():
            position += 1
            continue
        if character == ",":
            # One comma is a blank, two are nothing.
            two = span.source.startswith(",,", position)
            text += "" if two else " "
            position += 1 + two
            continue
        if match := WORDS.match(span.source, position, span.end):
            position = match.end()
            word = match.group()

            inside = span.source.find("(", match.start(), match.end()) + 1
            amount = 1
            if inside:
                within = part(span, inside, match.end() - 1)
                amount = run.whole_number(within, -WIDEST, WIDEST)
            if word.startswith("_n"):
                text += "\n" * amount
            elif word.startswith("_col"):
                here = len(text.rpartition("\n")[2])
                text += " " * max(0, amount - 1 - here)
            elif word.startswith("_c"):
                continued = True
            elif word.startswith("_s"):
                text += " " * max(0, amount)
            elif word.startswith("_dup"):
                times = max(0, amount)
            continue
        if match := FORMAT.match(span.source, position, span.end):
            specification = match.group()
            position = match.end()
            continue
        piece, position = _item(run, position, specification)
        text += piece * times
        specification, times = "", 1
    return text, continued


def _item(run: Run, position: int, specification: str) -> tuple[str, int]:
    """Value of the expression that starts here, and where it ends."""
    span = run.span
    end = span.end
    tokens = expression_tokens(part(span, position, _safe_end(span.source, position, end)))
    parser = ExpressionParser(tokens)
    expression = parser.parse()
    following = parser.current
    after = following.span.start if following.kind is not Kind.END else following.span.end
    value = np.ravel(run.evaluator().value(expression))
    first = value[0] if len(value) else np.nan
    if is_text(value):
        return _formatted_text(SMCL.sub(lambda m: m[1] or "", str(first)), specification), after
    number = float(first)
    if not specification:
        return missing_text(number) if np.isnan(number) else display_number(number), after
    try:
        return format_stata(_full(specification), number), after
    except ValueError:
        raise BadFormat(f"invalid %format: {specification}", span=span) from None


def _safe_end(source: str, position: int, end: int) -> int:
    """Where a word or format that no expression contains begins."""
    quoted = False
    for place in range(position, end):
        character = source[place]
        if character == '"':
            quoted = not quoted
        apart = place > position and source[place - 1] in ' "),'
        if quoted or not apart or character not in "%_a":
            continue
        if FORMAT.match(source, place, end) or WORDS.match(source, place, end):
            return place
    return end


def _full(specification: str) -> str:
    """Formats without decimals, such as %9g, mean as many as fit."""
    match = re.fullmatch(r"%(-?)(0?)(\d*)([gfe])(c?)", specification)
    if match is None:
        return specification
    return f"%{match[1]}{match[2]}{match[3] or 9}.0{match[4]}{match[5]}"


def _formatted_text(text: str, specification: str) -> str:
    match = re.fullmatch(r"%(-|~)?(\d+)s", specification)
    if match is None:
        if specification and not specification.endswith("s"):
            raise InvalidSyntax(f"type mismatch: {specification} is a format of numbers")
        return text
    width = int(match[2])
    if match[1] == "-":
        return text.ljust(width)
    return text.center(width) if match[1] == "~" else text.rjust(width)
