"""The command line as users meet it: output, files, messages and exit statuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import published
import pytest
from click.testing import CliRunner
from tables import write_clusters

from gllamm_cli import __version__, cli
from gllamm_cli.fit.store import save_fit
from gllamm_cli.session import Session

MODEL = "gllamm y x, i(id) adapt"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return str(write_clusters(tmp_path_factory.mktemp("data") / "clusters.csv"))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "towerl.fit"
    save_fit(published.towerl(), path)
    return str(path)


def run(*arguments):
    return CliRunner().invoke(cli.cli, list(arguments))


def test_fit_prints_log_and_results(data):
    result = run("fit", data, MODEL)
    assert result.exit_code == 0
    assert result.stdout.startswith("\nRunning adaptive quadrature\nIteration 0:    log likelihood")
    assert "Adaptive quadrature has converged, running Newton-Raphson" in result.stdout
    assert "number of level 2 units = 12" in result.stdout
    assert "***level 2 (id)" in result.stdout
    assert result.stderr == ""


def test_nolog_and_trace_are_obeyed(data):
    result = run("fit", data, f"{MODEL} nolog trace")
    assert "Iteration" not in result.stdout
    assert "General model information" in result.stdout
    assert "gllamm model" in result.stdout


def test_definitions_as_options_may_use_generated_variables(data):
    result = run(
        "fit",
        data,
        "generate one = 1; y x, i(id) nrf(2) eqs(cons slope) constr(1) from(a) copy iterate(1)",
        "--eq",
        "cons: one",
        "--eq",
        "slope: x",
        "--constraint",
        "1 [id1_2_1]_cons = 0",
        "--matrix",
        "a = (1, .5, 0, .5, .3)",
    )
    assert result.exit_code == 0, result.stderr
    assert "gllamm model with constraints" in result.stdout
    assert " ( 1)  [id1_2_1]_cons = 0" in result.stdout


def test_not_converged_is_said_and_is_no_error(data):
    result = run("fit", data, f"{MODEL} iterate(0)", "--json", "-")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["converged"] is False
    assert "convergence not achieved" in result.stderr
    text = run("fit", data, f"{MODEL} iterate(0)").stdout
    assert text.count("convergence not achieved") == 1


def test_eval_and_noest_are_no_failures_to_converge(data):
    for purpose in ("eval from(a) copy", "noest"):
        command = f"matrix a = (1, .5, 0, 1); {MODEL} {purpose}"
        result = run("fit", data, command, "--json", "-")
        assert (result.exit_code, result.stderr) == (0, ""), purpose
        assert "convergence" not in run("fit", data, command).stdout


def test_new_names_of_variables_are_told(tmp_path):
    lines = write_clusters(tmp_path / "clusters.csv").read_text().split("\n", 1)
    path = tmp_path / "odd.csv"
    path.write_text("id,town,first.x,y,pass,group,name\n" + lines[1])
    result = run("fit", str(path), "y first_x, i(id) nolog")
    assert result.stdout.startswith("note: variable first.x of the file is called first_x\n")


def test_letters_the_terminal_lacks_are_escaped(tmp_path):
    lines = write_clusters(tmp_path / "clusters.csv").read_text().split("\n", 1)
    path = tmp_path / "odd.csv"
    path.write_text("id,town,größe,y,pass,group,name\n" + lines[1], encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for extra in ([], ["--json", "-"]):
        process = subprocess.run(
            [sys.executable, "-m", "gllamm_cli", "fit", str(path), "y größe, i(id)", *extra],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
        )
        assert (process.returncode, process.stderr) == (0, "")


def test_json_on_standard_output_comes_alone(data):
    result = run("fit", data, MODEL, "--json", "-")
    assert json.loads(result.stdout)["depvar"] == "y"


def test_json_and_saved_fit_agree_with_the_text(data, tmp_path):
    results, fit = tmp_path / "r.json", tmp_path / "m.fit"
    result = run("fit", data, MODEL, "--json", str(results), "--save", str(fit), "--threads", "1")
    content = json.loads(results.read_text())
    assert content["timing"]["read"] > 0
    again = run("replay", str(fit))
    assert again.exit_code == 0
    assert result.stdout.endswith(again.stdout)
    assert json.loads(run("replay", str(fit), "--json", "-").stdout) == content


def test_quiet_prints_nothing(data, tmp_path):
    result = run("fit", data, MODEL, "--quiet", "--json", str(tmp_path / "r.json"))
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    "options", ["allc eform level(90)", ", allc eform level(90)", "gllamm, allc eform level(90)"]
)
def test_replay_options(saved, options):
    result = run("replay", saved, options)
    assert "[90% Conf. Interval]" in result.stdout
    assert "exp(b)" in result.stdout
    assert "famn2        |" in result.stdout


def test_replay_of_robust_standard_errors(data, tmp_path):
    path = str(tmp_path / "robust.fit")
    fitted = run("fit", data, f"{MODEL} robust nolog", "--save", path)
    assert run("replay", path, "robust").stdout == fitted.stdout
    plain = run("replay", path)
    assert plain.stdout.startswith("(model-based standard errors; add robust for robust ones)\n")
    results = json.loads(run("replay", path, "--json", "-").stdout)
    assert results["std_err_type"] == "model"


def test_xi_note_is_printed_before_the_results(data):
    result = run("fit", data, "y i.group, i(id) nolog", "--xi")
    assert result.stdout.splitlines()[0].startswith("i.group           _Igroup_1-3 ")


@pytest.mark.parametrize(
    ("command", "message", "code"),
    [
        ("gllamm y z, i(id)", "variable z not found", 111),
        ("gllamm zz x, i(id)", "variable zz not found", 111),
        ("zz x, i(id)", "variable zz not found", 111),
        ("gllamm y x", "option i() required", 198),
        ("gllamm y x, i(id) link(logitt)", "unknown link() logitt", 198),
        ("gllamm y x, i(id) foo", "option foo not allowed", 198),
        ("gllamm y x, i(id", "parentheses", 132),
        ("gllamm y x if , i(id)", "invalid syntax", 198),
        ("gllamm y x if x > , i(id)", "expected", 198),
        ("gllamm y name, i(id)", "type mismatch", 109),
        ("gllamm y x, i(id) from(q)", "q not a matrix", 111),
        ("gllamm y x, i(id) constr(3)", "constraint 3 not found", 111),
        ("gllamm y x if x > 100, i(id)", "no observations", 2000),
        ("gllamm y x, i(id) eval", "eval not valid without from option", 198),
        ("gllamm y x, i(id) family(binom)", "must be between 0 and 1", 459),
        ("gllamm, allc", "last estimates not found", 301),
        ("eq a: x", "the command holds no model", 198),
        ("", "the command holds no model", 198),
        ("gllam y x, i(id)", "command gllam is unrecognized", 199),
        ("generate x = 1; y x, i(id)", "variable x already defined", 110),
        ("matrix a = e(b); y x, i(id)", "e(b) not found", 111),
        ("/* y x, i(id)", "comment not closed", 198),
    ],
)
def test_errors_are_a_message_and_a_return_code(data, command, message, code):
    result = run("fit", data, command)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.endswith(f"r({code});\n")
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["fit", "none.dta", MODEL], "file none.dta not found", 601),
        (["replay", "none.fit"], "file none.fit not found", 601),
        (["replay", "{data}"], "does not hold a saved fit", 610),
        (["replay", "{saved}", "levle(90)"], "option levle not allowed", 198),
        (["replay", "{saved}", "level(101)"], "level() must be between", 198),
        (["fit", "{data}", MODEL, "--json", "/no/such/folder/r.json"], "could not be opened", 603),
        (["fit", "{data}", MODEL, "--save", "/no/such/folder/m.fit"], "could not be opened", 603),
        (["fit", "{data}", MODEL, "--save", "/"], "could not be opened", 603),
        (["fit", "{data}", MODEL, "--eq", "slope x"], "invalid syntax", 198),
        (["fit", "{data}", MODEL, "--constraint", "x = 1"], "invalid syntax", 198),
        (["fit", "{data}", MODEL, "--matrix", "b = (1,"], "expected", 198),
    ],
)
def test_errors_of_files_and_options(data, saved, arguments, message, code):
    result = run(*(text.format(data=data, saved=saved) for text in arguments))
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.endswith(f"r({code});\n")


def test_data_without_rows_are_not_blamed_on_a_qualifier(tmp_path):
    header = tmp_path / "header.csv"
    header.write_text("y,x,id\n")
    result = run("fit", str(header), "y x, i(id)")
    assert result.exit_code == 1
    assert result.stderr == "no observations\n(the data hold no rows)\nr(2000);\n"


def test_results_before_an_error_are_printed(data):
    result = run("fit", data, f"{MODEL}; gllamm y nothing, i(id)")
    assert result.exit_code == 1
    assert "gllamm model" in result.stdout
    assert result.stderr.endswith("r(111);\n")


@pytest.mark.parametrize(
    "arguments", [["fit"], ["fit", "a.csv"], ["fit", "a", "b", "--threads", "0"], ["sing"]]
)
def test_wrong_usage_is_status_2(arguments):
    assert run(*arguments).exit_code == 2


def test_break(data, monkeypatch):
    def interrupt(self, text):
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "execute", interrupt)
    result = run("fit", data, MODEL)
    assert (result.exit_code, result.stderr) == (1, "--Break--\nr(1);\n")


@pytest.mark.parametrize("command", [[], ["fit"], ["replay"]])
def test_every_help_has_an_example(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert "gllamm-py fit jsp.dta" in result.stdout


def test_version_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, gllamm_cli.cli; "
        "print([m for m in ('numpy', 'pandas', 'scipy', 'rich') if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "[]\n"
    shown = subprocess.run(
        [sys.executable, "-P", "-m", "gllamm_cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert __version__ in shown.stdout


@pytest.mark.skipif(os.name != "posix", reason="pipes are closed differently elsewhere")
def test_a_closed_pipe_leaves_no_traceback(data, tmp_path):
    process = subprocess.run(
        f'"{sys.executable}" -m gllamm_cli fit "{Path(data).resolve()}" "{MODEL}" | head -n 1',
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        # Away from the checkout, whose package is not compiled.
        cwd=tmp_path,
    )
    assert process.stderr == ""


def test_api_names_are_there():
    import gllamm_cli

    for name in dir(gllamm_cli):
        assert getattr(gllamm_cli, name) is not None
    with pytest.raises(AttributeError):
        _ = gllamm_cli.nothing
    assert isinstance(gllamm_cli.cli.cli, click.Group)
