"""Saved fits are used from the shell: predict, simulate, estat."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tables import write_clusters

from gllamm_cli.cli import cli
from gllamm_cli.fit.store import save_fit
from gllamm_cli.session import Session

MODEL = "gllamm y x, i(id) adapt nolog"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clusters(tmp_path / "data.csv")
    assert run("fit", "data.csv", MODEL, "--save", "m.fit", "--quiet").exit_code == 0
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli, arguments)


def test_a_fresh_process_predicts_what_the_session_predicts(folder):
    session = Session(threads=1)
    session.use("data.csv")
    session.run(f"{MODEL}\ngllapred m, mu\ngllapred u, u")
    for request in ("m, mu", "u, u"):
        subprocess.run(
            [sys.executable, "-m", "gllamm_cli", "predict", "m.fit", "data.csv", request,
             "--out", "p.csv"],
            check=True,
            capture_output=True,
        )  # fmt: skip
        table = pd.read_csv("p.csv")
        for name in table.columns.intersection(["m", "um1", "us1"]):
            np.testing.assert_allclose(table[name], session.data.column(name), rtol=1e-12)


def test_new_data_are_predicted_with_missing_responses(folder):
    new = pd.DataFrame({"id": [999.0, 999.0], "x": [0.0, 1.0], "y": [np.nan, np.nan]})
    new.to_csv("new.csv", index=False)
    assert run("predict", "m.fit", "new.csv", "m, mu", "--out", "p.dta").exit_code == 0
    found = pd.read_stata("p.dta")
    fit = Session(threads=1)
    fit.use("data.csv")
    fit.run(MODEL)
    b = dict(zip([n.name for n in fit.fit.names], fit.fit.estimates, strict=False))
    np.testing.assert_allclose(np.diff(found["m"]), b["x"], rtol=1e-6)


def test_simulations_depend_on_the_seed_and_on_nothing_else(folder):
    for threads, seed, out in (("1", "7", "a"), ("2", "7", "b"), ("1", "8", "c")):
        result = run(
            "simulate", "m.fit", "data.csv", "s", "--seed", seed, "--threads", threads,
            "--out", f"{out}.csv",
        )  # fmt: skip
        assert result.exit_code == 0
    a, b, c = (pd.read_csv(f"{name}.csv")["s"] for name in "abc")
    assert (a == b).all()
    assert (a != c).any()


def test_estat_and_tests_of_a_saved_fit(folder):
    assert "BIC" in run("estat", "m.fit", "ic").stdout
    assert "( 1)  2*[y]x = 0" in run("estat", "m.fit", "lincom 2*x").stdout
    assert "Prob > chi2" in run("estat", "m.fit", "test x").stdout
    result = run("estat", "m.fit", "nosuch")
    assert (result.exit_code, "r(198);" in result.stderr) == (1, True)


def test_a_model_of_a_newer_program_is_refused(folder):
    content = json.loads((folder / "m.fit").read_text())
    content["schema"] = 10**6
    (folder / "m.fit").write_text(json.dumps(content))
    result = run("predict", "m.fit", "data.csv", "m, mu", "--out", "p.csv")
    assert result.exit_code == 1
    assert "newer" in result.stderr


def test_files_of_unknown_types_are_refused(folder):
    result = run("predict", "m.fit", "data.csv", "m, mu", "--out", "p.xyz")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_the_rows_of_the_fit_are_found_again_in_its_data(folder):
    assert run("fit", "data.csv", "gllamm y x if x > 0, i(id) adapt nolog", "--save", "part.fit",
               "--quiet").exit_code == 0  # fmt: skip
    session = Session(threads=1)
    session.use("data.csv")
    session.run("gllamm y x if x > 0, i(id) adapt nolog\nmargins")
    rows = int((session.data.column("x") > 0).sum())
    assert session.returned["N"] == rows
    result = run("estat", "part.fit", "margins", "--data", "data.csv")
    assert result.exit_code == 0
    assert f"Number of obs     = {rows:10,d}" in result.output


def test_scores_of_cooks_distances_are_written(folder):
    session = Session()
    session.use("data.csv")
    session.run(f"{MODEL}\ngllapred c, cooksd scorefil(scores)")
    found = pd.read_stata("scores.dta")
    assert list(found.columns) == ["id", "d1", "d2", "d3", "d4"]
    assert sorted(found["id"]) == sorted(set(session.data.column("id")))
    # At the maximum the scores of the clusters cancel.
    scores = found.drop(columns="id").to_numpy()
    np.testing.assert_allclose(scores.sum(axis=0), 0.0, atol=1e-3 * np.abs(scores).max())


def write_prepared(folder, name="data.csv"):
    table = pd.read_csv(folder / name)
    table["sex"] = np.where(table.index % 3 == 0, "m", np.where(table.index % 3 == 1, "f", "d"))
    table.to_csv(folder / "raw.csv", index=False)
    return table


@pytest.mark.parametrize(
    "command",
    [
        "gen x2 = x^2; gllamm y x x2, i(id) adapt nolog",
        "xi: gllamm y x i.sex, i(id) adapt nolog",
        "gllamm y x i.sex, i(id) adapt nolog",
        "xi i.sex; gllamm y x _Isex_2 _Isex_3, i(id) adapt nolog",
        "egen m = mean(x), by(id); gen d = x - m; gllamm y d m, i(id) adapt nolog",
        "replace x = x - 1; gllamm y x, i(id) adapt nolog",
        "local s 2\ngen x2 = x^`s'\nforeach v in x x2 {\nreplace `v' = `v'/10\n}\n"
        "gllamm y x x2, i(id) adapt nolog",
        "encode sex, gen(user); quietly tab user, gen(s); gllamm y s2 s3, i(id) adapt nolog",
        "summarize x; gen d = x - r(mean) if r(N) > 1; gllamm y d, i(id) adapt nolog",
        "scalar h = 0.5; matrix A = (1, 3); gen d = h*x^A[1,2]; gllamm y d, i(id) adapt nolog",
        "regress y x; gen d = x*_b[x] + e(N); gllamm y d, i(id) adapt nolog",
        "set seed 7; gen z = rnormal(); gllamm y z, i(id) adapt nolog",
        "gllamm y, i(id) nip(3) nolog; gllapred u, u; gen z = -x; gllamm y z, i(id) adapt nolog",
        "bysort id: gen first = _n == 1; gllamm y first x, i(id) adapt nolog",
    ],
)
def test_variables_made_before_the_fit_are_made_again(folder, command):
    write_prepared(folder)
    assert run("fit", "raw.csv", command, "--save", "p.fit", "--quiet").exit_code == 0
    session = Session(threads=1)
    session.use("raw.csv")
    session.run(f"{command}\ngllapred p, mu\nmargins")
    result = run("predict", "p.fit", "raw.csv", "p, mu", "--out", "p.dta")
    assert result.exit_code == 0, result.stderr
    assert "(data prepared as for the fit: " in result.output
    found = pd.read_stata("p.dta")
    np.testing.assert_allclose(found["p"], session.data.column("p"), rtol=1e-9)
    assert run("simulate", "p.fit", "raw.csv", "s", "--seed", "1", "--out", "s.csv").exit_code == 0
    result = run("estat", "p.fit", "margins", "--data", "raw.csv")
    assert result.exit_code == 0, result.stderr
    # The prepared data are taken as they are.
    if "replace x = x - 1" not in command:
        found.drop(columns="p").to_csv("prepared.csv", index=False)
        result = run("predict", "p.fit", "prepared.csv", "p, mu", "--out", "q.dta")
        assert result.exit_code == 0, result.stderr
        assert "prepared as for" not in result.output


def test_reading_data_is_no_preparation(folder):
    session = Session(threads=1)
    session.run("use data.csv, clear\ngllamm y x, i(id) adapt nolog")
    assert "preparation" not in session.fit.extra
    session.run("use data.csv, clear\ngen x2 = x^2\ngllamm y x2, i(id) adapt nolog")
    save_fit(session.fit, "s.fit")
    result = run("predict", "s.fit", "data.csv", "p, mu", "--out", "p.csv")
    assert result.exit_code == 0, result.stderr
    assert "(data prepared as for the fit: gen x2 = x^2)" in result.output


def test_rows_left_out_before_the_fit_are_left_out_again(folder):
    command = "keep if x > 0; gllamm y x, i(id) adapt nolog"
    assert run("fit", "data.csv", command, "--save", "p.fit", "--quiet").exit_code == 0
    rows = int((pd.read_csv("data.csv")["x"] > 0).sum())
    result = run("estat", "p.fit", "margins", "--data", "data.csv")
    assert f"Number of obs     = {rows:10,d}" in result.output


def test_other_categories_than_those_of_the_fit_are_refused(folder):
    table = write_prepared(folder)
    command = "gllamm y x i.sex, i(id) adapt nolog"
    assert run("fit", "raw.csv", command, "--save", "p.fit", "--quiet").exit_code == 0
    table["sex"] = np.where(table["sex"] == "d", "x", table["sex"])
    table.to_csv("new.csv", index=False)
    result = run("predict", "p.fit", "new.csv", "m, mu", "--out", "p.csv")
    assert result.exit_code == 1
    assert "other categories" in result.stderr and "r(111);" in result.stderr


@pytest.mark.parametrize(
    "command", ["gllamm y x i.sex, i(id)", "encode sex, gen(s); xi: gllamm y x i.s, i(id)"]
)
def test_another_first_category_is_not_taken_for_that_of_the_fit(folder, command):
    """It has no indicator, and so would pass for the one that xi has left out."""
    table = write_prepared(folder)
    assert run("fit", "raw.csv", command, "--save", "p.fit", "--quiet").exit_code == 0
    table.replace({"sex": {"d": "a"}}).to_csv("new.csv", index=False)
    result = run("predict", "p.fit", "new.csv", "m, mu", "--out", "p.csv")
    assert result.exit_code == 1
    assert "other categories" in result.stderr and "r(111);" in result.stderr


@pytest.mark.parametrize("kept", [["d", "f"], ["f", "m"], ["m"]])
def test_new_data_need_not_have_all_categories(folder, kept):
    table = write_prepared(folder)
    command = "xi: gllamm y i.sex*x, i(id) adapt nolog"
    assert run("fit", "raw.csv", command, "--save", "p.fit", "--quiet").exit_code == 0
    assert run("predict", "p.fit", "raw.csv", "m, xb", "--out", "all.csv").exit_code == 0
    chosen = table["sex"].isin(kept)
    table[chosen].to_csv("some.csv", index=False)
    result = run("predict", "p.fit", "some.csv", "m, xb", "--out", "some_p.csv")
    assert result.exit_code == 0, result.stderr
    expected = pd.read_csv("all.csv")["m"][chosen]
    np.testing.assert_allclose(pd.read_csv("some_p.csv")["m"], expected, rtol=1e-6)


def test_values_that_depend_on_all_rows_are_noted(folder):
    command = "egen z = std(x); bysort id: egen m = mean(x); gllamm y z m, i(id) adapt nolog"
    assert run("fit", "data.csv", command, "--save", "p.fit", "--quiet").exit_code == 0
    result = run("predict", "p.fit", "data.csv", "p, mu", "--out", "p.csv")
    assert result.output.count("computes from all rows of these data") == 1
    assert "(note: egen z = std(x) computes" in result.output


def test_results_that_are_gone_are_not_those_of_the_fit(folder):
    command = "regress y x; keep if e(sample); gllamm y x, i(id) adapt nolog"
    assert run("fit", "data.csv", command, "--save", "p.fit", "--quiet").exit_code == 0
    result = run("predict", "p.fit", "data.csv", "p, mu", "--out", "p.csv")
    assert result.exit_code == 1
    assert "'keep if e(sample)' needs results of earlier commands" in result.stderr


def test_preparations_that_cannot_be_repeated_say_what_to_do(folder):
    pd.DataFrame({"id": range(1, 30), "w": np.arange(29.0) % 4}).to_stata("w.dta")
    command = "quietly merge m:1 id using w, keep(3); gllamm y x w, i(id) adapt nolog"
    assert run("fit", "data.csv", command, "--save", "p.fit", "--quiet").exit_code == 0
    result = run("predict", "p.fit", "data.csv", "m, mu", "--out", "p.csv")
    assert result.exit_code == 1
    assert "merge" in result.stderr and "do-file" in result.stderr


def test_a_saved_fit_writes_no_files(folder):
    command = "gen x2 = x; gllamm y x2, i(id) adapt nolog"
    assert run("fit", "data.csv", command, "--save", "p.fit", "--quiet").exit_code == 0
    document = json.loads((folder / "p.fit").read_text())
    document["fit"]["extra"]["preparation"]["statements"] = ["quietly save stolen", "gen x2 = x"]
    (folder / "p.fit").write_text(json.dumps(document))
    assert run("predict", "p.fit", "data.csv", "m, mu", "--out", "p.csv").exit_code == 1
    assert not (folder / "stolen.dta").exists()
