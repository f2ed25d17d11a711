"""Reads Stata data files.

Formats 113 to 115 and 117 to 119 (Stata 8 and later) without long strings are read
here, straight into columns, with storage types, display formats and the letters of missing
values; layout as in Stata's ``help dta``. Other and damaged files are left to pyreadstat
and pandas, which take longer to load than most models to fit.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.data import Dataset, FloatArray, Values, build_dataset
from gllamm_cli.dta import LONGEST_TEXT, MISSING_STEP, NUMERIC_TYPES
from gllamm_cli.errors import FileUnreadable, one_line
from gllamm_cli.stata.functions import LETTERS, QUIET_NAN, missing_value

NAMES_OF_CODES = {code: name for name, (code, _, _) in NUMERIC_TYPES.items()}
OLD_CODES = {251: "byte", 252: "int", 253: "long", 254: "float", 255: "double"}
LONGEST_OLD_TEXT = 244
FIRST_MISSING_LABEL = 2147483621
"""Value that stands for ``.`` among those with labels."""
BYTES_AT_ONCE = 1 << 22

STATA_TYPES = {
    "int8": "byte",
    "int16": "int",
    "int32": "long",
    "float": "float",
    "double": "double",
    "string": "str",
}
"""Names that pyreadstat has for storage types."""


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
    except _NotRead:
        return _read_with_pyreadstat(path)


class _NotRead(Exception):
    """The file is of a kind, or in a state, that is left to others."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """What differs between formats: tags, widths of fields in bytes, the encoding of text."""

    tagged: bool
    name: int
    format: int
    label: int
    encoding: str


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands before the values.

    ``order`` is ``<`` or ``>``; ``kinds`` are storage types, or widths of text.
    """

    layout: _Layout
    order: str
    n_rows: int
    kinds: tuple[str | int, ...]
    names: tuple[str, ...]
    formats: tuple[str, ...]
    label_names: tuple[str, ...]
    variable_labels: tuple[str, ...]
    label: str
    data_at: int
    labels_at: int


OLD_LAYOUTS = {
    113: _Layout(False, 33, 12, 81, "cp1252"),
    114: _Layout(False, 33, 49, 81, "cp1252"),
    115: _Layout(False, 33, 49, 81, "cp1252"),
}
LAYOUTS = {
    117: _Layout(True, 33, 49, 81, "cp1252"),
    118: _Layout(True, 129, 57, 321, "utf-8"),
    119: _Layout(True, 129, 57, 321, "utf-8"),
}


def _read_alone(file: BinaryIO) -> Dataset:
    """Read a file without the libraries.

    Raises
    ------
    _NotRead
        They are to try.
    """
    try:
        return _read_table(file, _read_header(file))
    except (struct.error, UnicodeDecodeError) as error:
        raise _NotRead from error


def _read_header(file: BinaryIO) -> _Header:
    start = file.read(1)
    if start == b"<":
        return _tagged_header(file)
    if start and start[0] in OLD_LAYOUTS:
        return _old_header(file, OLD_LAYOUTS[start[0]])
    raise _NotRead


def _tagged_header(file: BinaryIO) -> _Header:
    """Read the header of formats 117 to 119, whose parts stand between tags."""
    file.seek(0)
    match = re.match(
        rb"<stata_dta><header><release>(\d+)</release><byteorder>([ML])SF</byteorder><K>",
        file.read(80),
    )
    if match is None or int(match[1]) not in LAYOUTS:
        raise _NotRead
    release, order = int(match[1]), ">" if match[2] == b"M" else "<"
    layout = LAYOUTS[release]
    file.seek(match.end())

    def number(code: str) -> int:
        size = struct.calcsize(f"{order}{code}")
        return int(struct.unpack(f"{order}{code}", file.read(size))[0])

    def tag(text: bytes) -> None:
        if file.read(len(text)) != text:
            raise _NotRead

    n_columns = number("I" if release == 119 else "H")
    tag(b"</K><N>")
    n_rows = number("I" if release == 117 else "Q")
    tag(b"</N><label>")
    label = file.read(number("B" if release == 117 else "H"))
    tag(b"</label><timestamp>")
    file.read(number("B"))
    tag(b"</timestamp></header><map>")
    places = struct.unpack(f"{order}14Q", file.read(14 * 8))
    if max(places) > _size(file):
        raise _NotRead

    def part(position: int, name: bytes, width: int) -> bytes:
        file.seek(places[position])
        tag(b"<" + name + b">")
        return file.read(width * n_columns)

    def texts(position: int, name: bytes, width: int) -> tuple[str, ...]:
        return _texts(part(position, name, width), width, n_columns, layout.encoding)

    codes = struct.unpack(f"{order}{n_columns}H", part(2, b"variable_types", 2))
    kinds = tuple(NAMES_OF_CODES.get(code, code) for code in codes)
    if any(isinstance(kind, int) and not 0 < kind <= LONGEST_TEXT for kind in kinds):
        raise _NotRead
    part(9, b"data", 0)
    part(11, b"value_labels", 0)
    return _Header(
        layout,
        order,
        n_rows,
        kinds,
        texts(3, b"varnames", layout.name),
        texts(5, b"formats", layout.format),
        texts(6, b"value_label_names", layout.name),
        texts(7, b"variable_labels", layout.label),
        label.decode(layout.encoding),
        places[9] + len(b"<data>"),
        places[11] + len(b"<value_labels>"),
    )


def _old_header(file: BinaryIO, layout: _Layout) -> _Header:
    """Read the header of formats 113 to 115, whose parts follow each other."""
    order = {b"\1": ">", b"\2": "<"}.get(file.read(1))
    if order is None:
        raise _NotRead
    n_columns, n_rows, label = struct.unpack(f"{order}xxHi81s18x", file.read(107))
    codes = file.read(n_columns)
    kinds = tuple(OLD_CODES.get(code, code) for code in codes)
    if any(isinstance(kind, int) and not 0 < kind <= LONGEST_OLD_TEXT for kind in kinds):
        raise _NotRead

    def texts(width: int) -> tuple[str, ...]:
        return _texts(file.read(width * n_columns), width, n_columns, layout.encoding)

    names = texts(layout.name)
    file.read(2 * (n_columns + 1))
    formats, label_names, variable_labels = (
        texts(layout.format),
        texts(layout.name),
        texts(layout.label),
    )
    while True:
        kind, length = struct.unpack(f"{order}Bi", file.read(5))
        if not kind and not length:
            break
        if length < 0:
            raise _NotRead
        file.seek(length, 1)
    data_at = file.tell()
    return _Header(
        layout,
        order,
        n_rows,
        kinds,
        names,
        formats,
        label_names,
        variable_labels,
        _text(label, layout.encoding),
        data_at,
        data_at + n_rows * _row_type(kinds, order).itemsize,
    )


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _text(field: bytes, encoding: str) -> str:
    """Text of a field that ends with a zero byte, unless it is full."""
    return field.split(b"\0", 1)[0].decode(encoding)


def _texts(block: bytes, width: int, n: int, encoding: str) -> tuple[str, ...]:
    if len(block) < width * n:
        raise _NotRead
    return tuple(_text(block[k * width : (k + 1) * width], encoding) for k in range(n))


def _row_type(kinds: tuple[str | int, ...], order: str) -> np.dtype[np.void]:
    """A row of the file as a structure with fields c0, c1, ..."""
    return np.dtype(
        [
            (f"c{k}", f"S{kind}" if isinstance(kind, int) else order + NUMERIC_TYPES[kind][1][1:])
            for k, kind in enumerate(kinds)
        ]
    )


def _read_table(file: BinaryIO, header: _Header) -> Dataset:
    """Read values and value labels."""
    row_type = _row_type(header.kinds, header.order)
    # Before there is room for rows that a damaged header promises.
    if not 0 <= header.n_rows * row_type.itemsize <= _size(file) - header.data_at:
        raise _NotRead
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
    texts = np.array([_text(value, encoding) for value in values.tolist()], dtype=object)
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


def _label_sets(file: BinaryIO, header: _Header) -> Iterator[tuple[str, dict[float | str, str]]]:
    """Read value labels, set by set."""
    file.seek(header.labels_at)
    tagged, width = header.layout.tagged, header.layout.name
    while True:
        if tagged and file.read(len(b"<lbl>")) != b"<lbl>":
            return
        head = file.read(4 + width + 3)
        if not tagged and not head:
            return
        size, name = struct.unpack(f"{header.order}i{width}s3x", head)
        table = file.read(size)
        n, n_text = struct.unpack_from(f"{header.order}ii", table)
        starts = struct.unpack_from(f"{header.order}{n}i", table, 8)
        values = struct.unpack_from(f"{header.order}{n}i", table, 8 + 4 * n)
        texts = table[8 + 8 * n : 8 + 8 * n + n_text]
        encoding = header.layout.encoding
        yield (
            _text(name, encoding),
            {
                _labelled(value): _text(texts[start:], encoding)
                for value, start in zip(values, starts, strict=True)
            },
        )
        if tagged and file.read(len(b"</lbl>")) != b"</lbl>":
            raise _NotRead


def _labelled(value: int) -> float | str:
    """A value with a label: a number, or ``.`` or ``.a`` to ``.z``."""
    letter = value - FIRST_MISSING_LABEL
    return float(value) if letter < 0 else f".{LETTERS[letter - 1] if letter else ''}"


def _read_with_pyreadstat(path: Path) -> Dataset:
    """Read a file of any version."""
    import pyreadstat

    try:
        # As a dictionary: its tables confuse missing values with and without letters.
        columns, meta = pyreadstat.read_dta(
            str(path), disable_datetime_conversion=True, user_missing=True, output_format="dict"
        )
    except Exception as first:
        # pyreadstat names no base class of its errors that covers a damaged file.
        return _read_dta_with_pandas(path, first)
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


def _read_dta_with_pandas(path: Path, first: Exception) -> Dataset:
    import pandas as pd

    try:
        frame = pd.read_stata(path, convert_categoricals=False, convert_dates=False)
    except Exception as second:
        raise FileUnreadable(
            f"file {path} not Stata format",
            hint=f"it is damaged or of an unknown version: {one_line(first)}",
        ) from second
    return Dataset.from_frame(frame)
