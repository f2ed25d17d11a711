"""Reads Stata data files.

Formats 113 to 115 and 117 to 119 (Stata 8 and later) are read here, straight into
columns, with storage types, display formats and the letters of missing values. Other
and damaged files are left to libraries that take longer to load than most models to fit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.columns import FloatArray, Values
from gllamm_cli.data import Dataset, build_dataset
from gllamm_cli.dta import MISSING_STEP, NUMERIC_TYPES
from gllamm_cli.dta_header import Header, NotRead, field_text, file_size, read_header, row_dtype
from gllamm_cli.stata.functions import LETTERS, QUIET_NAN

FIRST_MISSING_LABEL = 2147483621
"""Value that stands for ``.`` among those with labels."""
BYTES_AT_ONCE = 1 << 22


def read_dta(path: Path) -> Dataset:
    """Read a Stata data file.

    Raises
    ------
    FileUnreadable
        The file is damaged or of an unknown version.
    """
    try:
        with path.open("rb") as file:
            return _read_alone(file)
    except NotRead:
        # Imported late: hardly any file needs it.
        from gllamm_cli.dta_other import read_other_dta

        return read_other_dta(path)


def _read_alone(file: BinaryIO) -> Dataset:
    """Read a file without the libraries.

    Raises
    ------
    NotRead
        They are to try.
    """
    try:
        return _read_table(file, read_header(file))
    except (struct.error, UnicodeDecodeError) as error:
        raise NotRead from error


def _read_table(file: BinaryIO, header: Header) -> Dataset:
    """Read values and value labels."""
    row_type = row_dtype(header.kinds, header.order)
    # Before there is room for rows that a damaged header promises.
    if not 0 <= header.n_rows * row_type.itemsize <= file_size(file) - header.data_at:
        raise NotRead
    columns: list[Values] = [
        np.empty(header.n_rows, dtype=object if isinstance(kind, int) else np.float64)
        for kind in header.kinds
    ]
    file.seek(header.data_at)
    at_once = max(BYTES_AT_ONCE // max(row_type.itemsize, 1), 1)
    for start in range(0, header.n_rows if header.kinds else 0, at_once):
        size = min(at_once, header.n_rows - start)
        rows = np.frombuffer(file.read(size * row_type.itemsize), dtype=row_type)
        for k, kind in enumerate(header.kinds):
            # Side by side, as what follows goes over them several times.
            raw = np.ascontiguousarray(rows[f"c{k}"])
            columns[k][start : start + size] = (
                _decoded(raw, header.layout.encoding)
                if isinstance(kind, int)
                else _numbers(raw, kind)
            )
    sets = dict(_label_sets(file, header))
    return build_dataset(
        header.names,
        columns,
        ["str" if isinstance(kind, int) else kind for kind in header.kinds],
        variable_labels=dict(zip(header.names, header.variable_labels, strict=True)),
        label_names={
            name: of for name, of in zip(header.names, header.label_names, strict=True) if of
        },
        label_sets=sets,
        formats={name: f for name, f in zip(header.names, header.formats, strict=True) if f},
        label=header.label,
    )


def _decoded(raw: NDArray[np.bytes_], encoding: str) -> NDArray[np.object_]:
    # Text repeats itself.
    values, number = np.unique(raw, return_inverse=True)
    texts = np.array([field_text(value, encoding) for value in values.tolist()], dtype=object)
    return np.asarray(texts[number], dtype=object)


def _numbers(raw: NDArray[Any], kind: str) -> FloatArray:
    """Values of a numeric type, missing ones as NaN with their letters."""
    first = NUMERIC_TYPES[kind][2]
    raw = raw.astype(raw.dtype.newbyteorder("="), copy=False)
    values = raw.astype(np.float64)
    if kind not in MISSING_STEP:
        unknown = raw >= first
        letters = raw[unknown].astype(np.int64) - int(first)
    else:
        bits = raw.view(f"i{raw.itemsize}")
        # NaN and infinity, which Stata does not write, are above all numbers but in sign.
        unknown = (bits >= first) | ~np.isfinite(values)
        letters = (bits[unknown].astype(np.int64) - int(first)) // MISSING_STEP[kind]
    if unknown.any():
        letters[(letters < 0) | (letters > len(LETTERS))] = 0
        values[unknown] = (QUIET_NAN | letters).view(np.float64)
    return values


def _label_sets(file: BinaryIO, header: Header) -> Iterator[tuple[str, dict[float | str, str]]]:
    """Read value labels, set by set."""
    file.seek(header.labels_at)
    tagged, width = header.layout.tagged, header.layout.name
    while True:
        if tagged and file.read(len(b"<lbl>")) != b"<lbl>":
            return
        head = file.read(4 + width + 3)
        if not tagged and len(head) < 4 + width + 3:
            # The end, or what a transfer as text has added to it.
            return
        size, name = struct.unpack(f"{header.order}i{width}s3x", head)
        table = file.read(size)
        n, n_text = struct.unpack_from(f"{header.order}ii", table)
        starts = struct.unpack_from(f"{header.order}{n}i", table, 8)
        values = struct.unpack_from(f"{header.order}{n}i", table, 8 + 4 * n)
        texts = table[8 + 8 * n : 8 + 8 * n + n_text]
        encoding = header.layout.encoding
        yield (
            field_text(name, encoding),
            {
                _labelled(value): field_text(texts[start:], encoding)
                for value, start in zip(values, starts, strict=True)
            },
        )
        if tagged and file.read(len(b"</lbl>")) != b"</lbl>":
            raise NotRead


def _labelled(value: int) -> float | str:
    """A value with a label: a number, or ``.`` or ``.a`` to ``.z``."""
    letter = value - FIRST_MISSING_LABEL
    return float(value) if letter < 0 else f".{LETTERS[letter - 1] if letter else ''}"
