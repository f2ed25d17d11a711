"""What ``foreach`` and ``forvalues`` run over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.interpret.macros import number_text, words
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.numlist import parse_numlist
from gllamm_cli.stata.varlist import expand_varlist, parse_newlist, parse_varlist

if TYPE_CHECKING:
    from gllamm_cli.session import Session
    from gllamm_cli.stata.evaluate import Evaluator


@dataclass(frozen=True, slots=True)
class Loop:
    """A local macro and its values, one for each pass."""

    name: str
    values: Iterable[str]


class LoopEnd(Exception):
    """``continue``, with ``break`` if no further pass is to follow."""

    def __init__(self, leave: bool) -> None:
        super().__init__()
        self.leave = leave


def foreach(text: str, session: Session, local: dict[str, str]) -> Loop:
    """Read ``name in list`` or ``name of varlist | numlist | newlist | local | global ...``."""
    match = re.match(r"(\w+)\s+(in|of)\b\s*(.*)", text, re.DOTALL)
    if match is None:
        raise InvalidSyntax("invalid syntax: foreach name in list {, or foreach name of ...")
    name, kind, items = match.groups()
    if kind == "in":
        return Loop(name, words(items))
    source = re.match(r"(\w+)\s*(.*)", items, re.DOTALL)
    if source is None:
        raise InvalidSyntax("invalid syntax: foreach name of varlist, numlist, local or global")
    what, items = source.groups()
    if "varlist".startswith(what) and len(what) >= 3:
        return Loop(name, expand_varlist(parse_varlist(whole(items)), session.data_or_empty.names))
    if "numlist".startswith(what) and len(what) >= 3:
        return Loop(name, [number_text(x) for x in parse_numlist(whole(items))])
    if "newlist".startswith(what) and len(what) >= 3:
        return Loop(name, parse_newlist(items))
    if what in ("local", "loc", "lcl"):
        return Loop(name, _words_of_macro(local, items.strip()))
    if "global".startswith(what) and len(what) >= 2:
        return Loop(name, _words_of_macro(session.global_macros, items.strip()))
    raise InvalidSyntax(f"invalid syntax: foreach of {what}")


def _words_of_macro(macros: dict[str, str], name: str) -> Iterator[str]:
    """Words of a macro that may grow while the loop runs."""
    position = 0
    while position < len(found := words(macros.get(name, ""))):
        yield found[position]
        position += 1


def forvalues(text: str, evaluator: Evaluator) -> Loop:
    """Read ``name = range``."""
    match = re.match(r"(\w+)\s*=\s*(.*)", text, re.DOTALL)
    if match is None:
        raise InvalidSyntax("invalid syntax: forvalues name = first/last {")
    return Loop(match[1], (number_text(x) for x in _range(match[2], evaluator)))


def _range(text: str, evaluator: Evaluator) -> Iterator[float]:
    """``1/3``, ``1(2)9``, ``0 .5 to 2``; bounds may be expressions."""

    def value(piece: str) -> float:
        number = float(np.ravel(evaluator.number(parse_expression(piece)))[0])
        if not np.isfinite(number):
            raise InvalidSyntax(f"invalid syntax: {piece.strip()} is no bound of a range")
        return number

    simple = re.fullmatch(r"\s*([^/()\s]+)\s*/\s*([^/()]+)", text)
    stepped = re.fullmatch(r"\s*([^()]+)\(([^()]+)\)(.+)", text)
    listed = re.fullmatch(r"\s*(\S+)\s+(\S+)\s*(?:to|:)\s*(\S+)\s*", text)
    if simple:
        first, step, last = value(simple[1]), 1.0, value(simple[2])
    elif stepped:
        first, step, last = (value(piece) for piece in stepped.groups())
    elif listed:
        first, second, last = (value(piece) for piece in listed.groups())
        step = second - first
    else:
        raise InvalidSyntax("invalid syntax: forvalues takes 1/3, 1(2)9 or 0 .5 to 2")
    if step == 0.0:
        raise InvalidSyntax("invalid syntax: a range with step 0 has no end")
    number = 0
    while (first + number * step - last) * np.sign(step) <= 1e-9 * abs(step):
        yield first + number * step
        number += 1
