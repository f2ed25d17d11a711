"""``xi`` on its own."""

from __future__ import annotations

from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.definitions import parse_xi
from gllamm_cli.stata.xi import expand_xi


def xi(run: Run) -> None:
    """``xi i.a i.b``: make the indicators."""
    expansion = expand_xi(parse_xi(run.span).terms, run.session.data)
    run.data = expansion.dataset
    run.print(*expansion.notes)
