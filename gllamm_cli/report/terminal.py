"""Text on its way out: plain to files and pipes, with a little colour on a terminal.

Colour never moves a character: Stata's layout is exact. While a model is
fitted, a terminal also shows a line with the iteration, the log likelihood
and the time that has passed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from gllamm_cli.report.format import display
from gllamm_cli.report.iterations import ADAPTIVE, iteration_lines
from gllamm_cli.report.trace import description_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from gllamm_cli.fit.fit import IterationRecord
    from gllamm_cli.model.spec import Request

STYLES = (
    (re.compile(r"-+(\+-+)?"), "dim"),
    (re.compile(r"note: .*"), "yellow"),
    (re.compile(r"convergence not achieved"), "bold red"),
    (re.compile(r"(gllamm|fixed effects) model.*|\*\*\*level .*"), "bold"),
    (re.compile(r"(Variances?|Squared|General|Random effects) .*"), "bold"),
    (re.compile(r"Iteration \d+: .*"), "dim"),
)
"""Whole lines and their looks; the first that fits counts."""


def style_of(line: str) -> str:
    """Look of a line on a terminal; empty for plain."""
    return next((style for pattern, style in STYLES if pattern.fullmatch(line)), "")


class Output(Protocol):
    """Somewhere lines can go."""

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines."""


class PlainOutput:
    """Standard output that is a file or a pipe."""

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines as they are."""
        for line in lines:
            sys.stdout.write(f"{line}\n")
        # A reader of the pipe should see an iteration when it happens.
        sys.stdout.flush()


class StyledOutput:
    """A terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines with colour and without wrapping."""
        from rich.text import Text

        for line in lines:
            self.console.print(Text(line, style=style_of(line)), soft_wrap=True, highlight=False)


class Silence:
    """No output."""

    def lines(self, lines: Iterable[str]) -> None:
        """Print nothing."""


class Watcher:
    """Shows an estimation while it runs: the log on ``output``, a live line on ``live``.

    Parameters
    ----------
    output
        Where the iteration log goes.
    live
        The terminal, None if there is none.
    """

    def __init__(self, output: Output, live: Console | None = None) -> None:
        self.output = output
        self.live = live
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._log = True
        self._previous: IterationRecord | None = None

    def started(self, request: Request) -> None:
        """Describe the model if asked, and show that work has begun."""
        self.close()
        self._log = request.display.log
        self._previous = None
        if request.display.trace:
            self.output.lines(description_lines(request.spec))
        if self.live is not None:
            self._progress = _live_line(self.live)
            self._task = self._progress.add_task("starting values")
            self._progress.start()

    def iterated(self, record: IterationRecord) -> None:
        """Add an iteration to the log and to the live line."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=live_text(record))
        if self._log:
            self.output.lines(iteration_lines(record, self._previous))
        self._previous = record

    def close(self) -> None:
        """Remove the live line."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def live_text(record: IterationRecord) -> str:
    """What the live line says after an iteration."""
    stage = "adaptive quadrature, iteration" if record.stage == ADAPTIVE else "iteration"
    return f"{stage} {record.number}: log likelihood {display(record.log_likelihood)}"


def _live_line(console: Console) -> Progress:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def standard_output() -> tuple[Output, Console | None]:
    """Return where text goes, and the terminal on which progress can be shown, if any."""
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        return StyledOutput(console), console
    return PlainOutput(), error_terminal()


def error_terminal() -> Console | None:
    """Standard error as a console if it is a terminal."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    return Console(stderr=True)
