"""``xi`` on its own, and ``char``, which says what it leaves out."""

from __future__ import annotations

import re
from dataclasses import replace

from gllamm_cli.interpret.macros import unquoted
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.definitions import parse_xi
from gllamm_cli.stata.varlist import find_variable
from gllamm_cli.stata.xi import expand_xi

OMIT = re.compile(r"(?:de(?:fine|fin|fi|f)?\s+)?(?!_dta)(\w+)\[omit\]\s*(.*)", re.DOTALL)


def xi(run: Run) -> None:
    """``xi i.a i.b``: make the indicators."""
    expansion = expand_xi(parse_xi(run.span).terms, run.session.data, run.session.categories)
    run.data = expansion.dataset
    run.print(*expansion.notes)


def char(run: Run) -> None:
    """``char [define] variable[omit] value``: the category that xi omits; others have no effect."""
    match = OMIT.fullmatch(run.span.text)
    if match is None:
        return
    name = find_variable(match[1], run.data.names, run.span)
    others = {of: value for of, value in run.data.omitted.items() if of != name}
    value = unquoted(match[2])
    run.data = replace(run.data, omitted={**others, name: value} if value else others)
