"""The data in memory: one immutable value with Stata's view of a table.

Named variables that are numbers or text, NaN for every kind of missing number,
and empty text for missing text. pandas is imported only when a table of its kind
is asked for: it takes longer to load than most models to fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.columns import FloatArray, Values
from gllamm_cli.errors import TypeMismatch, VariableNotFound
from gllamm_cli.stata.format import shown_in_format
from gllamm_cli.stata.functions import missing_text, ordered
from gllamm_cli.stata.lexer import LONGEST_NAME, is_name

if TYPE_CHECKING:
    import pandas as pd


ROWS_OF_A_TABLE = 1 << 32
"""Numbers kept for the rows of one table, those added later included."""

DEFAULT_FORMATS = {
    "byte": "%8.0g",
    "int": "%8.0g",
    "long": "%12.0g",
    "float": "%9.0g",
    "double": "%10.0g",
}


@dataclass(frozen=True, slots=True)
class Reshaped:
    """What ``reshape`` needs to go back.

    Attributes
    ----------
    stubs
        Names of the variables in long form.
    identifiers, index
        ``i()`` and ``j()``.
    values
        Values of j in the names of wide form; ``text`` says whether j holds text.
    """

    stubs: tuple[str, ...]
    identifiers: tuple[str, ...]
    index: str
    values: tuple[str, ...]
    text: bool


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A table in data order.

    Attributes
    ----------
    columns
        Values by variable, (N,), float64 or text as objects; not to be written to.
    row_ids : (N,)
        Numbers that stay with their rows when rows are sorted or dropped.
    variable_labels
        By variable.
    label_names, label_sets
        Name of the value labels of a variable; value labels by name, from numbers
        (or ``.a`` to ``.z``) to text.
    storage_types
        Stata's type by variable: ``byte``, ``float``, ``str`` and so on.
    formats
        Display formats that are not those of the storage type.
    omitted
        Category that ``xi`` leaves out, by variable, where it is not the smallest.
    coded
        Categories that ``xi`` has made indicators for, by variable, as numbers or text.
    label
        Of the data as a whole.
    renamed
        Pairs of the name in the file and the legal name it was given.
    reshaped
        How the last ``reshape`` was specified.
    """

    columns: Mapping[str, Values]
    row_ids: NDArray[np.int64]
    variable_labels: Mapping[str, str] = field(default_factory=dict)
    label_names: Mapping[str, str] = field(default_factory=dict)
    label_sets: Mapping[str, Mapping[float | str, str]] = field(default_factory=dict)
    storage_types: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    omitted: Mapping[str, str] = field(default_factory=dict)
    coded: Mapping[str, tuple[float | str, ...]] = field(default_factory=dict)
    label: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    reshaped: Reshaped | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Variables in data order."""
        return tuple(self.columns)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.row_ids)

    @property
    def frame(self) -> pd.DataFrame:
        """A copy as a pandas table, its index the numbers of the rows in their table."""
        import pandas as pd

        index = pd.Index(self.row_ids % ROWS_OF_A_TABLE)
        columns = {
            name: pd.Series(values, index, values.dtype) for name, values in self.columns.items()
        }
        return pd.DataFrame(columns, index)

    def of_table(self, number: int) -> Dataset:
        """Return the data with row numbers that tables of other numbers do not have."""
        first = number * ROWS_OF_A_TABLE
        return replace(self, row_ids=first + np.arange(self.n_rows, dtype=np.int64))

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
        at = np.flatnonzero(rows) if rows.dtype == bool else rows
        ids = self.row_ids[at]
        if copies:
            again = np.ones(len(ids), dtype=bool)
            again[np.unique(ids, return_index=True)[1]] = False
            ids[again] = self.next_id + np.arange(int(again.sum()))
        columns = {name: values[at] for name, values in self.columns.items()}
        return self.with_table(columns, ids)

    @property
    def next_id(self) -> int:
        """A number no row has."""
        return int(self.row_ids.max()) + 1 if self.n_rows else 0

    def keep(self, names: Sequence[str]) -> Dataset:
        """Return the data with these variables, in this order."""
        return replace(self, columns={name: self.columns[name] for name in names})

    def with_names(self, new: Mapping[str, str]) -> Dataset:
        """Return the data with variables renamed."""

        def moved(old: Mapping[str, str]) -> dict[str, str]:
            return {new.get(name, name): value for name, value in old.items()}

        return replace(
            self,
            columns={new.get(name, name): values for name, values in self.columns.items()},
            variable_labels=moved(self.variable_labels),
            label_names=moved(self.label_names),
            storage_types=moved(self.storage_types),
            formats=moved(self.formats),
            omitted=moved(self.omitted),
        )

    def is_text(self, name: str) -> bool:
        """Whether the variable holds text."""
        return self.values(name).dtype != np.float64

    def column(self, name: str) -> FloatArray:
        """Values of a numeric variable, NaN where missing; r(109) for text."""
        if self.is_text(name):
            raise TypeMismatch(
                f"type mismatch: {name} is text where a number is needed",
                hint=f"make a numeric variable from {name}, or use xi: i.{name} as a covariate",
            )
        return np.asarray(self.values(name), dtype=np.float64)

    def text(self, name: str) -> NDArray[np.object_]:
        """Values of a text variable, empty where missing; r(109) for numbers."""
        if not self.is_text(name):
            raise TypeMismatch(f"type mismatch: {name} is a number where text is needed")
        return np.asarray(self.values(name), dtype=object)

    def values(self, name: str) -> Values:
        """Values of a variable of either kind."""
        if name not in self.columns:
            raise VariableNotFound(f"variable {name} not found")
        return self.columns[name]

    def with_table(
        self, columns: Mapping[str, NDArray[Any]], row_ids: NDArray[np.int64] | None = None
    ) -> Dataset:
        """Return other columns and rows; what is known of variables of these names stays.

        Parameters
        ----------
        columns
            Numbers, or text as objects; taken over.
        row_ids
            Numbers of the rows; None to count from 0.
        """
        table = {name: _taken_over(values) for name, values in columns.items()}
        return replace(
            self, columns=table, row_ids=_numbered(table) if row_ids is None else row_ids
        )

    def with_columns(
        self,
        columns: Mapping[str, FloatArray | NDArray[np.object_]],
        *,
        storage_type: str = "float",
        labels: Mapping[str, str] | None = None,
    ) -> Dataset:
        """Return the data with variables, (N,) each, added at the end or replaced."""
        typed = {
            # A copy: the caller may go on writing to its own.
            name: np.array(
                np.broadcast_to(values, self.n_rows),
                dtype=object if values.dtype == object else np.float64,
            )
            for name, values in columns.items()
        }
        added = {name for name in typed if name not in self.columns}
        types = {
            name: "str" if values.dtype == object else storage_type
            for name, values in typed.items()
        }
        # Labels and formats of a variable of that name that was dropped do not come back.
        described = {k: v for k, v in self.variable_labels.items() if k not in added}
        return replace(
            self.with_table({**self.columns, **typed}, self.row_ids),
            storage_types={**self.storage_types, **types},
            variable_labels={**described, **(labels or {})},
            label_names={k: v for k, v in self.label_names.items() if k not in added},
            formats={k: v for k, v in self.formats.items() if k not in added},
            omitted={k: v for k, v in self.omitted.items() if k not in added},
        )

    def with_column(
        self, name: str, values: FloatArray | NDArray[np.object_], *, storage_type: str = "float"
    ) -> Dataset:
        """Return the data with one variable added at the end or replaced."""
        return self.with_columns({name: values}, storage_type=storage_type)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Dataset:
        """Take over a pandas table.

        Numbers and booleans, also as categories, become numbers, dates the days since
        1 January 1960 as in Stata; text and other categories become text. Names that are
        not legal in Stata are made so.
        """
        if not hasattr(frame, "iloc"):
            raise TypeError(f"a pandas table is needed, not {type(frame).__name__}")
        from gllamm_cli.frames import columns_of_frame

        names, columns, types = columns_of_frame(frame)
        return build_dataset(names, columns, types)


def _numbered(columns: Mapping[str, Values]) -> NDArray[np.int64]:
    return np.arange(len(next(iter(columns.values()), ())), dtype=np.int64)


def _taken_over(values: NDArray[Any]) -> Values:
    """Return the values, not to be written to; text as objects, all else as float64."""
    view: Values = (values if values.dtype == object else values.astype(float, copy=False)).view()
    view.flags.writeable = False
    return view


def build_dataset(
    names: Sequence[str],
    columns: Sequence[Values],
    storage_types: Sequence[str],
    *,
    variable_labels: Mapping[str, str | None] | None = None,
    label_names: Mapping[str, str] | None = None,
    label_sets: Mapping[str, Mapping[float | str, str]] | None = None,
    formats: Mapping[str, str] | None = None,
    label: str = "",
) -> Dataset:
    """Build data from the columns of a file, which are taken over, and make names legal.

    Parameters
    ----------
    names
        As in the file; so are the keys of labels and formats.
    columns, storage_types
        One for each name.
    """
    legal = legal_names(list(names))
    new_name = dict(zip(names, legal, strict=True))
    types = dict(zip(legal, storage_types, strict=True))
    table = dict(zip(legal, map(_taken_over, columns), strict=True))
    return Dataset(
        table,
        _numbered(table),
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
        renamed=tuple((a, b) for a, b in zip(names, legal, strict=True) if a != b),
    )


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
