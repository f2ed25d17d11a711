"""Text on its way out: plain to files and pipes, with a little colour on a terminal.

Colour never moves a character: Stata's layout is exact. While a model is
fitted, a terminal also shows a line with the iteration, the log likelihood
and the time that has passed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from gllamm_cli.report.iterations import ADAPTIVE, iteration_lines
from gllamm_cli.report.trace import (
    description_lines,
    preparation_lines,
    running_line,
    vector_lines,
)
from gllamm_cli.stata.format import display

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from gllamm_cli.estimate.records import IterationRecord, Preparation
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

    def dot(self) -> None:
        """Print a dot without ending the line."""


class PlainOutput:
    """Standard output that is a file or a pipe."""

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines as they are."""
        for line in lines:
            sys.stdout.write(f"{line}\n")
        # A reader of the pipe should see an iteration when it happens.
        sys.stdout.flush()

    def dot(self) -> None:
        """Print a dot."""
        sys.stdout.write(".")
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

    def dot(self) -> None:
        """Print a dot."""
        self.console.print(".", end="")


class Transcript:
    """Output that is also written to a log file while one is open."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.log: TextIO | None = None
        self.outer: TextIO | None = None

    def open(self, path: Path, *, append: bool) -> None:
        """Begin a log."""
        self.log = path.open("a" if append else "w", encoding="utf-8")

    def open_outer(self, path: Path) -> None:
        """Begin a log of everything, whatever the script does with its own."""
        self.outer = path.open("w", encoding="utf-8")

    def close_all(self) -> None:
        """End all logs."""
        self.close()
        if self.outer is not None:
            self.outer.close()
            self.outer = None

    def close(self) -> None:
        """End the log, if there is one."""
        if self.log is not None:
            self.log.close()
            self.log = None

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines, here and in the log."""
        files = [file for file in (self.log, self.outer) if file is not None]
        # Where nothing is written down, lines may never be wanted.
        kept = list(lines) if files else lines
        self.output.lines(kept)
        for file in files:
            file.writelines(f"{line}\n" for line in kept)
            file.flush()

    def dot(self) -> None:
        """Print a dot."""
        self.output.dot()
        for file in (self.log, self.outer):
            if file is not None:
                file.write(".")


class Silence:
    """No output."""

    def lines(self, lines: Iterable[str]) -> None:
        """Print nothing."""

    def dot(self) -> None:
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
        self._trace = False
        self._dots = False
        self._after_dots = False
        self._previous: IterationRecord | None = None
        self._preparation: Preparation | None = None

    def started(self, request: Request) -> None:
        """Describe the model if asked, and show that work has begun."""
        self.close()
        self._log = request.display.log
        self._previous = None
        self._trace, self._dots = request.display.trace, request.display.dots
        if self._trace:
            self.output.lines(description_lines(request.spec))
        if self.live is not None:
            self._progress = _live_line(self.live)
            self._task = self._progress.add_task("starting values")
            self._progress.start()

    def prepared(self, preparation: Preparation) -> None:
        """Show starting values if asked."""
        self._preparation = preparation
        if self._trace:
            self.output.lines(preparation_lines(preparation))
            self.output.lines([running_line("start")])

    def evaluated(self) -> None:
        """Print a dot if asked."""
        if self._dots:
            self.output.dot()
            self._after_dots = True

    def iterated(self, record: IterationRecord) -> None:
        """Add an iteration to the log and to the live line."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=live_text(record))
        self._end_dots()
        if self._log:
            self.output.lines(iteration_lines(record, self._previous))
        if self._trace and self._preparation is not None:
            self.output.lines(vector_lines(self._preparation, record))
        self._previous = record

    def finished(self) -> None:
        """End the log."""
        self._end_dots()
        if self._trace and self._previous is not None:
            self.output.lines([running_line("finish")])

    def _end_dots(self) -> None:
        if self._after_dots:
            self.output.lines([""])
            self._after_dots = False

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
