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


def test_scales_of_responses_that_have_none_stay_where_they_are():
    """The log likelihood does not depend on them at all: both are named, and neither moves."""
    random = np.random.default_rng(8)
    n = 360
    frame = pd.DataFrame({"id": np.arange(n) // 6, "link": np.arange(n) % 3 + 1.0})
    for k in (1, 2, 3):
        frame[f"d{k}"] = (frame["link"] == k) * 1.0
    frame["x"] = random.normal(size=n)
    latent = frame["x"] + random.normal(size=60)[frame["id"]] + random.logistic(size=n)
    frame["y"] = (latent > 0.0) * 1.0
    session = Session(Dataset.from_frame(frame))
    session.run(
        "eq scale: d1 d2 d3\n"
        "gllamm y x, i(id) family(binom) link(cll logit sprobit) lv(link) s(scale) adapt"
    )
    fit = session.fit
    at = [fit.index("lns1", f"d{k}") for k in (1, 2)]
    assert np.all(np.abs(fit.estimates[at]) <= 1.0), fit.estimates
    assert any("[lns1]d1, [lns1]d2" in note for note in fit.notes), fit.notes


def test_probabilities_above_one_are_noted():
    """The log link lets them pass, as in gllamm, wherever all outcomes are successes."""
    random = np.random.default_rng(6)
    frame = pd.DataFrame({"id": np.arange(200) // 4, "x": random.normal(size=200)})
    frame["y"] = (random.normal(size=50)[frame["id"]] > 0.0) * 1.0
    found = notes(frame, "gllamm y x, i(id) family(binom) link(log) iterate(20)")
    assert any("some probabilities are above 1" in note for note in found), found
    found = notes(frame, "gllamm y x, i(id) family(binom) link(logit) adapt iterate(5)")
    assert not any("above 1" in note for note in found), found
