"""The interactive prompt: history, completion of commands and variables, blocks over lines."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gllamm_cli import __version__
from gllamm_cli.errors import GllammError
from gllamm_cli.interpret.blocks import Incomplete, parse_blocks
from gllamm_cli.interpret.interpreter import Interpreter, Stop
from gllamm_cli.interpret.table import COMMANDS
from gllamm_cli.session import Session
from gllamm_cli.stata.options import GLLAMM_OPTIONS
from gllamm_cli.stata.source import read_statements

if TYPE_CHECKING:
    from prompt_toolkit.completion import CompleteEvent, Completion
    from prompt_toolkit.document import Document

    from gllamm_cli.report.terminal import Transcript

GREETING = f"gllamm-py {__version__}. exit leaves, help lists the commands."


def completions(text: str, session: Session) -> list[str]:
    """Words that may stand at the end of a line: commands first, then variables and options."""
    match = re.search(r"[\w.]*$", text)
    word = match.group() if match else ""
    before = text[: len(text) - len(word)]
    first = re.fullmatch(r"\s*((qui\w*|noi\w*|cap\w*|xi:|by\w*\s+[^:]*:)\s+)*", before) is not None
    if first:
        known: Iterable[str] = sorted(COMMANDS)
    else:
        known = list(session.data_or_empty.names)
        if "," in before and re.match(r"\s*(\w+\s+)?", before):
            known = [*known, *sorted(rule.name for rule in GLLAMM_OPTIONS)]
    return [name for name in known if name.startswith(word) and word]


def is_complete(text: str) -> bool:
    """Whether a text can run, or waits for ``}``, ``end`` or a continued line."""
    if re.search(r"(?:^|\s)///[^\n]*\s*$", text):
        return False
    try:
        parse_blocks(read_statements(text))
    except Incomplete:
        return False
    except GllammError as error:
        return "comment not closed" not in error.message
    return True


def history_file() -> Path:
    """Where lines typed are kept."""
    base = os.environ.get("XDG_STATE_HOME")
    folder = Path(base) if base else Path.home() / ".local" / "state"
    return folder / "gllamm-py" / "history"


def _lines(session: Session) -> Iterator[str]:
    """Yield complete texts as they are typed."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    class Names(Completer):
        def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
            text = document.current_line_before_cursor
            match = re.search(r"[\w.]*$", text)
            length = len(match.group()) if match else 0
            for name in completions(text, session):
                yield Completion(name, start_position=-length)

    file = history_file()
    history: FileHistory | InMemoryHistory
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        history = FileHistory(str(file))
    except OSError:
        history = InMemoryHistory()
    typed: PromptSession[str] = PromptSession(
        history=history, completer=Names(), complete_while_typing=False
    )
    while True:
        try:
            text = typed.prompt(". ")
            while not is_complete(text):
                text += "\n" + typed.prompt("> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        yield text


def run_prompt(session: Session, interpreter: Interpreter, transcript: Transcript) -> None:
    """Read, run and answer until ``exit`` or the end of input."""
    sys.stdout.write(f"{GREETING}\n")
    for text in _lines(session):
        if transcript.log is not None:
            transcript.log.writelines(f". {line}\n" for line in text.split("\n"))
        try:
            interpreter.run_nodes(parse_blocks(read_statements(text)))
        except Stop:
            return
        except GllammError as error:
            transcript.lines(error.render().split("\n"))
        except KeyboardInterrupt:
            transcript.lines(["--Break--", "r(1);"])
