"""Reads Stata data files of any version with pyreadstat and pandas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.columns import FloatArray
from gllamm_cli.data import Dataset, build_dataset
from gllamm_cli.errors import FileUnreadable, one_line
from gllamm_cli.stata.functions import missing_value

STATA_TYPES = {
    "int8": "byte",
    "int16": "int",
    "int32": "long",
    "float": "float",
    "double": "double",
    "string": "str",
}
"""Storage types by the names that pyreadstat has for them."""


def read_other_dta(path: Path) -> Dataset:
    """Read a file of any version.

    Raises
    ------
    FileUnreadable
        The file is damaged or of an unknown version.
    """
    import pyreadstat

    try:
        # As a dictionary: its tables confuse missing values with and without letters.
        columns, meta = pyreadstat.read_dta(
            str(path), disable_datetime_conversion=True, user_missing=True, output_format="dict"
        )
    except Exception as first:
        # pyreadstat names no base class of its errors that covers a damaged file.
        return _read_with_pandas(path, first)
    kinds = [
        STATA_TYPES.get(kind, "double")
        for kind in (meta.readstat_variable_types[name] for name in columns)
    ]
    sets: dict[str, dict[float | str, str]] = {
        of: {
            float(value) if isinstance(value, int | float) else f".{value}": str(text)
            for value, text in labels.items()
        }
        for of, labels in meta.value_labels.items()
    }
    return build_dataset(
        list(columns),
        [
            _texts_of(values) if kind == "str" else _numbers_of(values)
            for values, kind in zip(columns.values(), kinds, strict=True)
        ],
        kinds,
        variable_labels=meta.column_names_to_labels,
        label_names=meta.variable_to_label,
        label_sets=sets,
        formats={name: form for name, form in meta.original_variable_types.items() if form},
        label=meta.file_label or "",
    )


def _texts_of(values: list[str | None]) -> NDArray[np.object_]:
    return np.array([value or "" for value in values], dtype=object)


def _numbers_of(values: list[float | str | None]) -> FloatArray:
    """Return numbers among which ``a`` to ``z`` stand for missing values with letters."""
    return np.array(
        [
            missing_value("" if value is None else value)
            if value is None or isinstance(value, str)
            else value
            for value in values
        ],
        dtype=np.float64,
    )


def _read_with_pandas(path: Path, first: Exception) -> Dataset:
    import pandas as pd

    try:
        frame = pd.read_stata(path, convert_categoricals=False, convert_dates=False)
    except Exception as second:
        raise FileUnreadable(
            f"file {path} not Stata format",
            hint=f"it is damaged or of an unknown version: {one_line(first)}",
        ) from second
    return Dataset.from_frame(frame)
