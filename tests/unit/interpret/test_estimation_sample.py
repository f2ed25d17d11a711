"""Rows stay in e(sample) wherever their data go, and other rows never get into it."""

import pandas as pd
import pytest
from scripts import printed, run_do

FRAME = pd.DataFrame({"g": [1.0, 1, 2, 2, 3, 3], "x": [5.0, 3, 4, 1, 2, 9], "z": range(6)})
FITTED = "quietly regress x z if g < 3\n"
COUNT = "\ncount if e(sample)"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FRAME.to_stata("a.dta", write_index=False)
    pd.DataFrame({"g": [1.0, 2, 4], "w": [1.0, 2, 3]}).to_stata("w.dta", write_index=False)


@pytest.mark.parametrize(
    "between",
    [
        "collapse x, by(g)",
        "contract g",
        "drop _all",
        "drop _all\nset obs 6",
        "clear\nset obs 6",
        "keep if g == 3\nsave b\nuse b, clear",
        "use a, clear",
        "quietly merge m:1 g using w",
        "gsort -x",
        "keep x z\ngen id = _n\nrename (x z) (v1 v2)\nquietly reshape long v, i(id) j(k)",
        "use a, clear\nexpand 3\nquietly regress x z",
    ],
)
def test_restored_rows_are_in_the_sample_again(between):
    script = f"{FITTED}estimates store m\npreserve\nquietly {{\n{between}\n}}\nrestore\n"
    assert printed(f"{script}quietly estimates restore m{COUNT}", frame=FRAME)[-1] == "  4"


@pytest.mark.parametrize(
    "between",
    [
        "use a, clear",
        "collapse x z, by(g)",
        "contract g",
        "drop _all\nset obs 6",
        "keep x z\ngen id = _n\nrename (x z) (v1 v2)\nreshape long v, i(id) j(k)",
        "drop _all\nappend using a",
        "use a in 1/3, clear",
    ],
)
def test_rows_of_other_data_are_in_no_sample(between):
    script = f"{FITTED}quietly {{\n{between}\n}}{COUNT}"
    assert printed(script, frame=FRAME)[-1] == "  0"
    assert printed(f"use a, clear\n{script}")[-1] == "  0"


def test_merging_keeps_rows_in_the_sample_but_not_the_added_ones():
    script = f"{FITTED}quietly merge m:1 g using w{COUNT}\ncount"
    assert printed(script, frame=FRAME)[-2:] == ["  4", "  7"]


def test_predictions_after_restoring():
    script = """
quietly gllamm x z if g < 3, i(g) nip(4)
preserve
collapse x, by(g)
restore
quietly gllapred p, mu
count if p < .
"""
    assert printed(script, frame=FRAME)[-1] == "  4"


def test_tables_for_pandas_are_numbered_from_zero():
    """Whatever else the session has had in memory before."""
    session, _, _ = run_do("use a, clear\ncollapse x, by(g)\nuse a, clear\nkeep in 2/4")
    assert session.data.frame.index.tolist() == [1, 2, 3]
