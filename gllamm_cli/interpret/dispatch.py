"""Which command a statement names, and its function, whose failures become errors of users."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from gllamm_cli.errors import FileCannotBeOpened, General, OutOfMemory, Span
from gllamm_cli.interpret.run import Run
from gllamm_cli.interpret.table import COMMANDS, Command, find_command, unknown_command
from gllamm_cli.stata.lexer import part, stripped, whole

NAME = re.compile(r"[^\W\d]\w*|[!#?]")


def named_command(text: str, names: Sequence[str], *, bare_models: bool) -> tuple[Command, Span]:
    """Return the command that a statement begins with, and what follows its name.

    Parameters
    ----------
    names
        Variables of the data.
    bare_models
        Whether a statement that starts with a variable is a gllamm command.

    Raises
    ------
    UnknownCommand
    """
    span = stripped(whole(text))
    match = NAME.match(span.text)
    word = match.group() if match else span.text[:1]
    rest = stripped(part(span, span.start + len(word), span.end))
    # A variable that is also the name of a command starts a model if i() follows.
    if bare_models and word in names and re.search(r",.*\bi\s*\(", text):
        return COMMANDS["gllamm"], span
    command = find_command(word)
    if command is not None:
        return command, rest
    error = unknown_command(word, part(span, span.start, span.start + max(1, len(word))))
    is_variable = bool(word) and any(name.startswith(word) for name in names)
    if bare_models and (is_variable or not error.hint):
        return COMMANDS["gllamm"], span
    raise error


def carry_out(command: Command, run: Run, lines: Sequence[str]) -> None:
    """Call a command's function; ``lines`` are those of its block.

    Raises
    ------
    GllammError
        Also for what linear algebra, memory or a file refuses.
    """
    module, _, function = command.handler.partition(":")
    handler: Any = getattr(import_module(f"gllamm_cli.interpret.{module}"), function)
    try:
        if command.takes_lines:
            handler(run, lines)
        else:
            handler(run)
    except np.linalg.LinAlgError as error:
        raise General(
            f"{command.name} cannot be computed: {error}",
            hint="numbers too large, or a singular matrix",
        ) from error
    except MemoryError as error:
        raise OutOfMemory(
            f"not enough memory for {command.name}", hint="fewer rows or points need less"
        ) from error
    except OSError as error:
        # A reader of the output that has gone away is nobody's mistake.
        if error.errno == errno.EPIPE:
            raise
        raise FileCannotBeOpened.told(error) from error
