"""Text tables of numbers alone, read without pandas.

pandas takes longer to load than most models to fit, and most tables are plain:
a line of names, then numbers. Whatever is unusual is left to the reader that
knows all dialects, and what is read here is what that one would give.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._numbers import read_rows
from gllamm_cli.columns import FloatArray, smallest_whole_type
from gllamm_cli.data import Dataset, build_dataset

HAS_FRACTION = 2
"""Set in the kind of a column with decimal points or exponents."""
BYTES_AT_ONCE = 1 << 20
LONGEST_HEADER = 1_000_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NAME = re.compile(r' *(?:"([!#-~]+)"|([!#-~]+))')
"""A name of visible characters, with or without quotes."""


def read_numeric_text(path: Path, separator: str) -> Dataset | None:
    """Read a table of numbers whose first line holds names; None if it is not that plain.

    Parameters
    ----------
    separator
        One character.
    """
    with path.open("rb") as file:
        header = file.readline(LONGEST_HEADER)
        names = _names(header.removeprefix(BYTE_ORDER_MARK), separator)
        if names is None:
            return None
        read = _read_columns(file, len(names), separator)
    if read is None:
        return None
    columns, kinds = read
    types = []
    for values, kind in zip(columns, kinds, strict=True):
        if not kind & HAS_FRACTION:
            # As a whole number -0 is 0.
            values += 0.0
        types.append("double" if kind else smallest_whole_type(values))
    return build_dataset(names, list(columns), types)


def _names(header: bytes, separator: str) -> list[str] | None:
    """Names in a line of plain, different ones."""
    if not header.endswith(b"\n") or not header.isascii():
        return None
    found = [NAME.fullmatch(field) for field in header.decode().rstrip("\r\n").split(separator)]
    names = [match[1] or match[2] for match in found if match is not None]
    return names if len(names) == len(found) == len(set(names)) else None


def _read_columns(
    file: BinaryIO, n_columns: int, separator: str
) -> tuple[FloatArray, NDArray[np.uint8]] | None:
    """Read the lines that follow as columns (columns, rows), and what kinds of fields they have."""
    start = file.tell()
    n_lines = 1
    while text := file.read(BYTES_AT_ONCE):
        n_lines += text.count(b"\n")
    file.seek(start)
    # Room for all lines at once, so that the table is never copied.
    columns = np.empty((n_columns, n_lines))
    kinds = np.zeros(n_columns, dtype=np.uint8)
    row, rest = 0, b""
    while text := file.read(BYTES_AT_ONCE):
        text = rest + text
        end = text.rfind(b"\n") + 1
        row = read_rows(text[:end], separator, columns, row, kinds) if end else row
        if row < 0:
            return None
        rest = text[end:]
    if rest:
        row = read_rows(rest + b"\n", separator, columns, row, kinds)
    return None if row <= 0 else (columns[:, :row], kinds)
