"""A do-file of data management beside the same steps in pandas: 100,000 rows, in one process.

    python benchmarks/dofile.py

Reads and writes the same files on both sides; prints medians of five runs and their ratio.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from gllamm_cli.report.terminal import Silence, Transcript, Watcher
from gllamm_cli.script import run_script, script_interpreter
from gllamm_cli.session import Session

PERSONS = 25_000
RUNS = 5
SCRIPT = """
use wide, clear
reshape long y, i(id) j(time)
bysort id (time): gen n = _n
by id: gen before = y[_n-1]
by id: gen change = y - before if n > 1
egen m = mean(y), by(group)
egen s = sd(y), by(group)
gen z = (y - m)/s
merge m:1 group using groups
drop _merge
gen late = time > 2 & !missing(change)
save long, replace
collapse (mean) z (sd) sd=y (count) count=change (max) top=size, by(group late)
save summary, replace
"""


def prepare() -> None:
    """Write the files both sides read."""
    random = np.random.default_rng(1)
    wide = pd.DataFrame(
        {
            "id": np.arange(1, PERSONS + 1, dtype=np.int32),
            "group": random.integers(1, 501, PERSONS).astype(np.int16),
            **{f"y{k}": random.normal(size=PERSONS) for k in range(1, 5)},
        }
    )
    wide.sample(frac=1.0, random_state=1).to_stata("wide.dta", write_index=False)
    groups = pd.DataFrame({"group": np.arange(1, 501, dtype=np.int16), "size": random.random(500)})
    groups.to_stata("groups.dta", write_index=False)


def in_pandas() -> pd.DataFrame:
    """The steps of the script."""
    wide = pd.read_stata("wide.dta")
    long = pd.wide_to_long(wide, "y", i="id", j="time").reset_index()
    long = long.sort_values(["id", "time"], kind="stable")
    by_id = long.groupby("id")
    long["n"] = by_id.cumcount() + 1
    long["before"] = by_id["y"].shift(1)
    long["change"] = (long["y"] - long["before"]).where(long["n"] > 1)
    by_group = long.groupby("group")["y"]
    long["m"] = by_group.transform("mean")
    long["s"] = by_group.transform("std")
    long["z"] = (long["y"] - long["m"]) / long["s"]
    groups = pd.read_stata("groups.dta")
    long = long.merge(groups, on="group", how="outer", validate="m:1", indicator=True)
    long = long.drop(columns="_merge")
    long["late"] = ((long["time"] > 2) & long["change"].notna()).astype(float)
    long.to_stata("long.dta", write_index=False, version=118)
    summary = (
        long.groupby(["group", "late"])
        .agg(z=("z", "mean"), sd=("y", "std"), count=("change", "count"), top=("size", "max"))
        .reset_index()
    )
    summary.to_stata("summary.dta", write_index=False, version=118)
    return summary


def in_script() -> pd.DataFrame:
    """Run the do-file in a session of its own."""
    transcript = Transcript(Silence())
    watcher = Watcher(transcript)
    session = Session(listener=watcher)
    interpreter = script_interpreter(session, transcript, watcher, echo=False)
    error = run_script(interpreter, transcript, SCRIPT, "benchmark.do", ())
    assert error is None, error.render()
    assert session.dataset is not None
    return session.dataset.frame


def main() -> None:
    """Time both sides, each run of one after a run of the other."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        prepare()
        ours, theirs = in_script(), in_pandas()
        columns = ["z", "sd", "count", "top"]
        np.testing.assert_allclose(ours[columns], theirs[columns], rtol=1e-5, atol=1e-6)
        times: dict[str, list[float]] = {"do-file": [], "pandas": []}
        for _ in range(RUNS):
            for name, function in (("do-file", in_script), ("pandas", in_pandas)):
                began = time.perf_counter()
                function()
                times[name].append(time.perf_counter() - began)
        os.chdir(Path.home())
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, seconds in medians.items():
        print(f"{name:>8}: {seconds:.3f} s")
    print(f"   ratio: {medians['do-file'] / medians['pandas']:.2f}")


if __name__ == "__main__":
    main()
