"""``do``, piped input, and the prompt, as users run them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gllamm_cli.cli import cli
from gllamm_cli.interpret.interpreter import Interpreter
from gllamm_cli.prompt import completions, is_complete
from gllamm_cli.session import Session

SCRIPT = """* a comment
set obs 60
gen id = ceil(_n/4)
set seed 5
gen x = rnormal()
bysort id: gen u = rnormal() if _n == 1
by id: replace u = u[1]
gen y = x + u + rnormal()
gllamm y x, i(id) adapt ///
    nolog
local ll = e(ll)
display "done"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.do").write_text(SCRIPT)
    return tmp_path


def run(*arguments, **options):
    return CliRunner().invoke(cli, arguments, **options)


def test_do_shows_a_log_like_stata(folder):
    result = run("do", "a.do")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:5] == [
        "",
        ". * a comment",
        "",
        ". set obs 60",
        "number of observations (_N) was 0, now 60",
    ]
    assert ". gllamm y x, i(id) adapt ///" in lines
    assert ">     nolog" in lines
    assert lines[-4:] == ['. display "done"', "done", "", "end of do-file"]


def test_do_writes_its_log_and_the_results_of_the_last_fit(folder):
    result = run("do", "a.do", "--log", "a.log", "--json", "a.json", "--quiet")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "end of do-file" in (folder / "a.log").read_text()
    assert json.loads((folder / "a.json").read_text())["converged"]


def test_do_reads_standard_input(folder):
    """As the file, byte for byte, also with arguments and in Latin 1."""
    assert run("do", "-", input=SCRIPT).stdout == run("do", "a.do").stdout
    result = run("do", "-", "caf\u00e9", input='display "`1\' \u00e9"\nboom'.encode("latin-1"))
    assert "\ncaf\u00e9 \u00e9\n" in result.stdout
    assert "(-, line 2)" in result.stdout and result.exit_code == 1


def test_do_stops_with_the_return_code(folder):
    (folder / "b.do").write_text("display 1\nsummarize zz\ndisplay 2\n")
    result = run("do", "b")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-6:] == [
        "(b, line 2)",
        "r(111);",
        "",
        "end of do-file",
        "",
        "r(111);",
    ]
    assert "\n2\n" not in result.stdout
    assert "\n2\n" in run("do", "b.do", "--continue").stdout


def test_arguments_reach_the_script(folder):
    (folder / "c.do").write_text("display \"`1' and `2'\"\n")
    assert "\na and b c\n" in run("do", "c.do", "a", "b c").stdout


def test_permissions_are_options(folder):
    (folder / "d.do").write_text("!echo hello\n")
    assert run("do", "d.do").exit_code == 1
    assert "\nhello\n" in run("do", "d.do", "--allow-shell").stdout


def test_a_missing_script(folder):
    result = run("do", "zz.do")
    assert result.exit_code == 1
    assert result.stderr == "file zz.do not found\nr(601);\n"


def test_piped_input_runs_as_a_script(folder):
    done = subprocess.run(
        [sys.executable, "-m", "gllamm_cli"],
        input="display 2+3\nnosuch\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert ". display 2+3\n5\n" in done.stdout
    assert "(standard input, line 2)" in done.stdout


def test_completion_of_commands_variables_and_options():
    session = Session()
    interpreter = Interpreter(session, lambda outcome: None)
    interpreter.run_text("set obs 3\ngen math3 = 1\ngen math5 = 2\ngen school = 1")
    assert "gllamm" in completions("gll", session)
    assert completions("summarize ma", session) == ["math3", "math5"]
    assert "school" in completions("gllamm math3, i(sch", session)
    assert "adapt" in completions("gllamm math3, i(school) ad", session)
    assert completions("", session) == []


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("display 1", True),
        ("forvalues i = 1/3 {", False),
        ("forvalues i = 1/3 {\ndisplay `i'\n}", True),
        ("gllamm y x, ///", False),
        ("program define p", False),
        ("program define p\nend", True),
        ("display 1 /* a", False),
        ("}", True),
    ],
)
def test_the_prompt_waits_for_the_end_of_a_block(text, complete):
    assert is_complete(text) is complete
