"""Reads text tables: commas, tabs, semicolons or blanks between the columns."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gllamm_cli.data import Dataset
from gllamm_cli.errors import FileUnreadable, one_line
from gllamm_cli.numeric_text import LONGEST_HEADER, read_numeric_text

if TYPE_CHECKING:
    import pandas as pd

MISSING_CODES = [".", *(f".{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
PLAIN_SEPARATORS = (",", "\t", ";")
"""Those that no number or name contains."""


def read_delimited(path: Path, separator: str | None = None, names: bool = True) -> Dataset:
    """Read a text table.

    Empty fields are missing. In a column of numbers so are NA, NaN and their like, as other
    programs write them; in a column of text these are text.

    Parameters
    ----------
    separator
        What separates the columns; None to find out from the first line.
    names
        Whether the first line holds names; else they are v1, v2, ...

    Raises
    ------
    FileUnreadable
        Lines of different lengths, or nothing to read.
    """
    if names:
        chosen = _separator(path, "latin-1") if separator is None else separator
        data = read_numeric_text(path, chosen) if chosen in PLAIN_SEPARATORS else None
        if data is not None:
            return data
    return _read_any_text(path, separator, names)


def _separator(path: Path, encoding: str) -> str:
    """Guess what separates the columns from the line of names."""
    with path.open(encoding=encoding) as file:
        header = file.readline(LONGEST_HEADER)
    if path.suffix.lower() == ".tsv":
        return "\t"
    for separator in PLAIN_SEPARATORS:
        if separator in header:
            return separator
    return "," if path.suffix.lower() == ".csv" else r"\s+"


def _read_any_text(path: Path, separator: str | None, names: bool) -> Dataset:
    """Read a table of any dialect with pandas."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            # Rows longer than the line of names; trailing separators are no reason to warn.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = _parsed_table(path, separator, names)
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OSError) as error:
        raise FileUnreadable(
            f"file {path} cannot be read as a table", hint=one_line(error)
        ) from error
    return Dataset.from_frame(frame)


def _holds_text(column: pd.Series[Any]) -> bool:
    from pandas.api import types

    return types.infer_dtype(column, skipna=True) == "string"


def _parsed_table(path: Path, separator: str | None, names: bool) -> pd.DataFrame:
    import pandas as pd

    def parsed(encoding: str) -> pd.DataFrame:
        def table(**options: Any) -> pd.DataFrame:
            frame: pd.DataFrame = pd.read_csv(
                path,
                sep=_separator(path, encoding) if separator is None else separator,
                header=0 if names else None,
                encoding=encoding,
                skipinitialspace=True,
                index_col=False,
                low_memory=False,
                **options,
            )
            return frame

        frame = table(na_values=MISSING_CODES)
        texts = [k for k in range(frame.shape[1]) if _holds_text(frame.iloc[:, k])]
        if texts:
            # Among text, NA and its like are text: read again what was taken for missing.
            typed = table(dtype=str, na_filter=False, usecols=texts)
            for position, k in enumerate(texts):
                frame.isetitem(k, typed.iloc[:, position].to_numpy(dtype=object))
        return frame

    try:
        frame = parsed("utf-8-sig")
    except UnicodeDecodeError:
        frame = parsed("latin-1")
    if not names:
        frame.columns = pd.Index([f"v{k + 1}" for k in range(frame.shape[1])])
    return frame
