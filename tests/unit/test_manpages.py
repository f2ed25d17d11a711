"""The manual pages in the repository say what the program does now."""

from pathlib import Path

import click
import pytest

from gllamm_cli.cli import cli
from gllamm_cli.manpages import pages
from gllamm_cli.stata.options import GLLAMM_OPTIONS

FOLDER = Path(__file__).resolve().parents[2] / "man"


@pytest.mark.parametrize("name", ["gllamm-py.1", *(f"gllamm-py-{c}.1" for c in cli.commands)])
def test_page_is_up_to_date(name):
    assert (FOLDER / name).read_text() == pages()[name], (
        "stale: run python -m gllamm_cli.manpages man/"
    )


def test_every_option_is_documented():
    text = pages()["gllamm-py-fit.1"]
    for rule in GLLAMM_OPTIONS:
        assert f"\\fB{rule.name[: rule.least]}\\fR{rule.name[rule.least :]}" in text
        assert rule.help
    for command in cli.commands.values():
        assert command.help
        assert "Example" in (command.epilog or "")
        options = [p for p in command.params if isinstance(p, click.Option)]
        assert options and all(option.help for option in options)


def test_no_line_starts_with_an_unknown_request():
    known = (".TH", ".SH", ".TP", ".PP", ".nf", ".fi")
    for text in pages().values():
        for line in text.splitlines():
            assert not line.startswith((".", "'")) or line.startswith(known)
