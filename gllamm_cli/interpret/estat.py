"""``estat``: one subcommand, one function."""

from __future__ import annotations

from importlib import import_module

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.lexer import NAME, part, stripped

SUBCOMMANDS = {
    "ic": "information:ic",
    "vce": "information:vce",
    "icc": "components:icc",
    "vc": "components:vc",
    "profile": "profile:profile",
    "bootstrap": "bootstrap:estat",
}
"""Function of each subcommand; it reads what follows the name."""


def estat(run: Run) -> None:
    """``estat ic``, ``vce``, ``icc``, ``vc``, ``profile``, ``bootstrap``."""
    match = NAME.match(run.span.text)
    word = match.group() if match else ""
    handler = SUBCOMMANDS.get(word)
    if handler is None:
        known = ", ".join(SUBCOMMANDS)
        raise InvalidSyntax(
            f"estat {word} is not supported" if word else "estat needs a subcommand",
            span=run.span,
            hint=known,
        )
    module, _, function = handler.partition(":")
    run.span = stripped(part(run.span, run.span.start + len(word), run.span.end))
    getattr(import_module(f"gllamm_cli.interpret.{module}"), function)(run)
