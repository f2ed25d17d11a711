"""Manual pages, written from the command line's own definitions and the option tables.

``python -m gllamm_cli.manpages man/`` writes them; a test fails when they are stale.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from gllamm_cli import __version__
from gllamm_cli.cli import (
    DO_EXAMPLE,
    ESTAT_EXAMPLE,
    FIT_EXAMPLE,
    GROUP_EXAMPLE,
    PREDICT_EXAMPLE,
    REPLAY_EXAMPLE,
    SIMULATE_EXAMPLE,
    cli,
)
from gllamm_cli.errors import GllammError, NotSupported
from gllamm_cli.interpret.table import COMMANDS
from gllamm_cli.model.resolve import NOT_YET, resolve_replay
from gllamm_cli.stata.command import Option, ReplayCommand
from gllamm_cli.stata.options import GLLAMM_OPTIONS, REPLAY_OPTIONS, Argument, OptionRule

EXAMPLES = {
    "gllamm-py": GROUP_EXAMPLE,
    "do": DO_EXAMPLE,
    "fit": FIT_EXAMPLE,
    "estat": ESTAT_EXAMPLE,
    "predict": PREDICT_EXAMPLE,
    "replay": REPLAY_EXAMPLE,
    "simulate": SIMULATE_EXAMPLE,
}
EXIT_STATUS = (
    ("0", "Results were printed or written, even if convergence was not achieved."),
    ("1", "An error, told on standard error with Stata's return code r(#)."),
    ("2", "Wrong usage of the command line."),
)


def _escape(text: str) -> str:
    """Protect backslashes, hyphens and control characters at the start of a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def _option_line(option: click.Option) -> str:
    names = ", ".join(f"\\fB{_escape(name)}\\fR" for name in option.opts)
    return names if option.is_flag else f"{names} {_escape(option.make_metavar(_context()))}"


def _context() -> click.Context:
    return click.Context(cli, info_name="gllamm-py", **cli.context_settings)


def _entries(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    for head, text in entries:
        yield ".TP"
        yield head
        yield _escape(text)


def _command_options(command: click.Command) -> Iterator[tuple[str, str]]:
    for parameter in command.get_params(_context()):
        if isinstance(parameter, click.Option):
            yield _option_line(parameter), parameter.help or ""


def _refused_on_replay(rule: OptionRule) -> bool:
    try:
        resolve_replay(ReplayCommand((Option(rule.name),)))
    except NotSupported:
        return True
    except GllammError:
        # Supported, but it wants an argument.
        return False
    return False


def _language_option(rule: OptionRule, *, refused: bool) -> tuple[str, str]:
    """An option of gllamm, the letters that suffice in bold."""
    head = f"\\fB{rule.name[: rule.least]}\\fR{rule.name[rule.least :]}"
    if rule.argument is not Argument.NONE:
        head += f"(\\fI{rule.argument.value}\\fR)"
    return head, f"{rule.help}{' (not yet supported)' if refused else ''}"


def _language_options(command: str) -> list[tuple[str, str]]:
    if command == "fit":
        return [_language_option(rule, refused=rule.name in NOT_YET) for rule in GLLAMM_OPTIONS]
    return [_language_option(rule, refused=_refused_on_replay(rule)) for rule in REPLAY_OPTIONS]


def _language(name: str) -> list[str]:
    """What may be said in the language of a command: options of gllamm, or commands."""
    if name in ("fit", "replay"):
        return [
            ".SH OPTIONS OF GLLAMM",
            "The letters in bold suffice.",
            *_entries(_language_options(name)),
        ]
    if name != "do":
        return []
    known = ", ".join(
        f"\\fB{command.name[: command.least]}\\fR{command.name[command.least :]}"
        for command in sorted(COMMANDS.values(), key=lambda command: command.name)
        if command.name[0].isalpha()
    )
    return [".SH COMMANDS OF THE LANGUAGE", "The letters in bold suffice.", ".PP", known]


def _paragraphs(command: click.Command) -> Iterator[str]:
    for number, paragraph in enumerate(inspect.cleandoc(command.help or "").split("\n\n")):
        if number:
            yield ".PP"
        yield _escape(paragraph)


def page(name: str, command: click.Command) -> str:
    """Return the manual page of a command in roff."""
    is_group = isinstance(command, click.Group)
    title = "gllamm-py" if is_group else f"gllamm-py-{name}"
    summary = (command.short_help or command.help or "").splitlines()[0].rstrip(".")
    usage = " ".join(command.collect_usage_pieces(_context()))
    lines = [
        f'.TH {title.upper()} 1 "" "gllamm\\-py {__version__}" "User Commands"',
        ".SH NAME",
        f"{_escape(title)} \\- {_escape(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
        f"\\fB{_escape('gllamm-py' if is_group else f'gllamm-py {name}')}\\fR {_escape(usage)}",
        ".SH DESCRIPTION",
        *_paragraphs(command),
        ".SH OPTIONS",
        *_entries(_command_options(command)),
    ]
    others = [f"gllamm-py-{other}" for other in sorted(cli.commands) if other != name]
    if is_group:
        commands = ((f"\\fB{key}\\fR", cli.commands[key].short_help or "") for key in cli.commands)
        lines += [".SH COMMANDS", *_entries(commands)]
    else:
        others.insert(0, "gllamm-py")
        lines += _language(name)
    example = EXAMPLES["gllamm-py" if is_group else name].removeprefix("\b\n")
    lines += [
        ".SH EXIT STATUS",
        *_entries((f"\\fB{status}\\fR", text) for status, text in EXIT_STATUS),
        ".SH EXAMPLES",
        ".nf",
        _escape(inspect.cleandoc(example)),
        ".fi",
        ".SH SEE ALSO",
        ", ".join(f"\\fB{_escape(other)}\\fR(1)" for other in others),
    ]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Manual pages by file name."""
    found = {"gllamm-py.1": page("gllamm-py", cli)}
    for name, command in cli.commands.items():
        found[f"gllamm-py-{name}.1"] = page(name, command)
    return found


def main(folder: str) -> None:
    """Write the pages into a folder."""
    for name, text in pages().items():
        (Path(folder) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
