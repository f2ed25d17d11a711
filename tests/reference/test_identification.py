"""What is said of parameters that the data do not determine."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scripts import run_do

from gllamm_cli.data import Dataset
from gllamm_cli.session import Session

SAYS = "the data say next to nothing of "


def notes(frame: pd.DataFrame, script: str) -> tuple[str, ...]:
    session = Session(Dataset.from_frame(frame))
    session.run(script)
    return session.fit.notes


def test_an_effect_that_all_alternatives_share_cancels():
    random = np.random.default_rng(4)
    n = 100
    frame = pd.DataFrame(
        {
            "set": np.repeat(np.arange(n), 4),
            "alternative": np.tile(np.arange(4) + 1.0, n),
            "school": np.repeat(np.arange(n) // 5, 4),
            "x": random.normal(size=4 * n),
        }
    )
    frame["chosen"] = (frame["alternative"] == np.repeat(random.integers(1, 5, n), 4)) * 1.0
    found = notes(
        frame,
        "gllamm alternative x, i(school) link(mlogit) family(binom) expanded(set chosen m) adapt",
    )
    assert any(note.startswith(f"{SAYS}[scho1]") for note in found), found


def test_outcomes_that_two_covariates_predict_together():
    """Neither of them separates the outcomes alone, which is refused."""
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.normal(size=(200, 2)), columns=["a", "b"])
    frame["id"] = np.arange(200) // 5
    frame["y"] = np.where(frame["a"] + frame["b"] > 0, 2.0, 1.0)
    frame.loc[frame["a"] > 1.5, "y"] = 3.0
    found = notes(frame, "gllamm y a b, i(id) link(mlogit) family(binom) ip(f) nip(2)")
    assert any("not identified" in note for note in found), found


def test_large_standard_errors_of_large_units_are_no_matter():
    """A year of two thousand has a constant far from the data, and a slope that is no problem."""
    script = """
set seed 1
set obs 200
gen id = ceil(_n/10)
gen u = rnormal()
bysort id: replace u = u[1]
gen year = 2000 + mod(_n, 10)
gen y = .1*(year - 2000) + u + rnormal()
gen big = 1e6*y
gllamm {} year, i(id) adapt nolog
"""
    for response in ("y", "big"):
        session, _, error = run_do(script.format(response))
        assert error is None
        assert session.fit.notes == ()
