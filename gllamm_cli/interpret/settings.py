"""Settings, logs, the machine outside, and commands without effect here."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from gllamm_cli import __version__
from gllamm_cli.errors import FileMissing, InvalidSyntax, LogOpen, NoLog, NotPermitted
from gllamm_cli.interpret.macros import unquoted
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.lexer import whole

ACCEPTED = frozenset(
    [
        "more",
        "mem",
        "memory",
        "matsize",
        "maxvar",
        "linesize",
        "pagesize",
        "type",
        "varabbrev",
        "scheme",
        "graphics",
        "logtype",
        "output",
        "trace",
        "tracedepth",
        "rmsg",
        "dp",
        "emptycells",
        "processors",
        "niceness",
        "excelxlsxlargefile",
        "cformat",
        "pformat",
        "sformat",
        "fvlabel",
        "lstretch",
        "showbaselevels",
        "showomitted",
        "adosize",
        "checksum",
        "conren",
        "copycolor",
        "varlabelpos",
        "revkeyboard",
        "maxiter",
        "iterlog",
    ]
)
"""Settings of Stata that change nothing here."""


def ignored(run: Run) -> None:
    """Commands that have no meaning here and need no message."""


def graph(run: Run) -> None:
    """Graphs are not drawn."""
    run.print(f"(note: {run.name} skipped, this program draws no graphs)")


def net(run: Run) -> None:
    """Installing has no meaning here, and scripts never reach the network."""
    run.print(f"(note: {run.name} has no effect, gllamm is part of this program)")


def which(run: Run) -> None:
    """Say the version of a command."""
    from gllamm_cli.interpret.table import find_command

    name = run.span.text.split(",")[0].strip()
    if find_command(name) is None:
        raise FileMissing(f"command {name} not found as either built-in or ado-file", span=run.span)
    run.print(f"gllamm-py {__version__}: {name}")


def help(run: Run) -> None:
    """Name the commands."""
    from gllamm_cli.interpret.table import COMMANDS

    run.print("Commands of this program:")
    line = " "
    for name in sorted(COMMANDS):
        if len(line) + len(name) > 76:
            run.print(line)
            line = " "
        line += f" {name}"
    run.print(line, "", "gllamm-py fit --help explains the options of gllamm.")


def set(run: Run) -> None:
    """``set obs``, ``set seed``, and settings that are accepted."""
    match = re.match(r"(\w+)\s*(.*)", run.span.text)
    name, value = match.groups() if match else ("", "")
    if name == "obs":
        from gllamm_cli.interpret.rows import set_observations

        set_observations(run, run.number(whole(value)))
    elif name == "seed":
        number = run.number(whole(value))
        if not 0 <= number < 2**63:
            raise InvalidSyntax(
                f"'{value}' is no seed", span=run.span, hint="a whole number, 0 or more"
            )
        run.session.random = np.random.default_rng(int(number))
    elif name == "type":
        if value.split(",")[0].strip() not in ("float", "double"):
            raise InvalidSyntax("set type takes float or double", span=run.span)
        run.session.settings["type"] = value.split(",")[0].strip()
    elif name == "level":
        level = run.checked_level(run.number(whole(value)))
        run.session.settings["level"] = f"{level:g}"
    elif name not in ACCEPTED:
        raise InvalidSyntax(f"set {name} not allowed", span=run.span, hint="no such setting")


def clear(run: Run) -> None:
    """``clear`` drops the data; ``clear all`` definitions and results as well."""
    session = run.session
    word = run.span.text.strip()
    if word in ("", "all", "*"):
        session.load(None)
    if word in ("all", "*"):
        session.forget()
    elif word in ("matrix", "mata"):
        session.matrices.clear()
    elif word in ("programs", "program"):
        session.programs.clear()
    elif word in ("results", "ado"):
        session.results = None
    elif word:
        raise InvalidSyntax(f"clear {word} not allowed", span=run.span)


def cd(run: Run) -> None:
    """Change the working directory, for reading; where files may be written stays."""
    target = Path(unquoted(run.span.text) or ".").expanduser()
    if not target.is_dir():
        raise FileMissing(f"directory {target} not found", span=run.span)
    run.session.permissions = run.session.permissions.pinned()
    os.chdir(target)
    run.print(str(Path.cwd()))


def pwd(run: Run) -> None:
    """Print the working directory."""
    run.print(str(Path.cwd()))


def shell(run: Run) -> None:
    """Run a command of the machine, if permitted."""
    if not run.session.permissions.shell:
        raise NotPermitted(
            "commands of the machine are refused", span=run.span, hint="--allow-shell permits them"
        )
    import subprocess

    done = subprocess.run(run.span.text, shell=True, capture_output=True, text=True, check=False)
    run.print(*(done.stdout + done.stderr).splitlines())


def erase(run: Run) -> None:
    """``erase file`` and ``mkdir folder``, where writing is permitted."""
    permissions = run.session.permissions
    if run.name == "copy":
        raise NotPermitted("copy is refused", span=run.span, hint="use it outside the script")
    name = unquoted(run.span.text.partition(",")[0])
    if not permissions.shell and not permissions.folders:
        raise NotPermitted(
            f"{run.name} is refused",
            span=run.span,
            hint="--allow-write DIR permits it in a folder",
        )
    path = permissions.check_write(name)
    if run.name == "mkdir":
        path.mkdir(exist_ok=False)
        return
    if not path.is_file():
        raise FileMissing(f"file {name} not found", span=run.span)
    path.unlink()


def log(run: Run) -> None:
    """``log using file [, replace append text]``, ``log close``, ``log off`` and ``on``."""
    transcript = run.session.transcript
    text = run.span.text
    if match := re.match(r"using\s+(\"[^\"]*\"|[^\s,]+)\s*(?:,(.*))?", text):
        options = (match[2] or "").split()
        file = run.file(match[1], ".log")
        if transcript is None:
            return
        if transcript.log is not None:
            raise LogOpen("log file already open", span=run.span, hint="log close closes it")
        append = "append" in options
        path = run.session.permissions.check_write(file, overwrite="replace" in options or append)
        transcript.open(path, append=append)
        run.print("      name:  <unnamed>", f"       log:  {path}")
        return
    word = text.split()[0] if text.split() else ""
    if word == "close":
        if transcript is None:
            return
        if transcript.log is None:
            raise NoLog("no log file open", span=run.span)
        run.print(f"       log:  {transcript.log.name}", " closed")
        transcript.close()
    elif word not in ("", "off", "on", "query"):
        raise InvalidSyntax(f"log {word} not allowed", span=run.span)
