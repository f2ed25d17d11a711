"""Runs a do-file as Stata would and shows it as Stata's log."""

from __future__ import annotations

from collections.abc import Sequence

from gllamm_cli.errors import GllammError
from gllamm_cli.interpret.interpreter import Interpreter
from gllamm_cli.interpret.outcomes import Estimated, Outcome
from gllamm_cli.report.terminal import Transcript, Watcher
from gllamm_cli.report.text import fit_lines
from gllamm_cli.session import Session

END = "end of do-file"


def outcome_lines(outcome: Outcome) -> Sequence[str]:
    """Lines that show an outcome."""
    if isinstance(outcome, Estimated):
        return fit_lines(outcome.fit, outcome.display)
    return outcome.notes


def echo_lines(typed: Sequence[str]) -> list[str]:
    """A statement as the log shows it: a dot before its first line, ``>`` before the others."""
    if not typed:
        return []
    if typed[0].rstrip().endswith("{"):
        numbered = [f"{k:3d}. {line}" for k, line in enumerate(typed[1:], start=2)]
        return [f". {typed[0]}", *numbered]
    return [f". {typed[0]}", *(f"> {line}" for line in typed[1:])]


def script_interpreter(
    session: Session,
    transcript: Transcript,
    watcher: Watcher,
    *,
    echo: bool = True,
    lenient: bool = False,
    keep_going: bool = False,
) -> Interpreter:
    """Return an interpreter that shows what it does on a transcript."""

    def show(outcome: Outcome) -> None:
        watcher.close()
        transcript.lines(outcome_lines(outcome))

    def show_statement(typed: Sequence[str]) -> None:
        transcript.lines(["", *echo_lines(typed)])

    return Interpreter(
        session,
        show,
        echo=show_statement if echo else None,
        lenient=lenient,
        keep_going=keep_going,
    )


def run_script(
    interpreter: Interpreter, transcript: Transcript, text: str, name: str, arguments: Sequence[str]
) -> GllammError | None:
    """Run the text of a do-file; return the error that stopped it, or the last one if none did."""
    interpreter.on_error = lambda error: transcript.lines(error.render().split("\n"))
    failure: GllammError | None = None
    try:
        with interpreter.call(name, arguments):
            interpreter.run_text(text)
    except GllammError as error:
        failure = error
        transcript.lines([*error.render().split("\n"), "", END, "", f"r({error.rc});"])
    else:
        transcript.lines(["", END])
    return failure or interpreter.failed
