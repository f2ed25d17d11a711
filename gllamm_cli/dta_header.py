"""What stands before the values in a Stata data file: formats 113 to 115 and 117 to 119.

Layout as in Stata's ``help dta``. Long strings are not read.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from gllamm_cli.dta import LONGEST_TEXT, NUMERIC_TYPES

NAMES_OF_CODES = {code: name for name, (code, _, _) in NUMERIC_TYPES.items()}
OLD_CODES = {251: "byte", 252: "int", 253: "long", 254: "float", 255: "double"}
LONGEST_OLD_TEXT = 244


class NotRead(Exception):
    """The file is of a kind, or in a state, that is left to others."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What differs between formats: tags, widths of fields in bytes, the encoding of text."""

    tagged: bool
    name: int
    format: int
    label: int
    encoding: str


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the values.

    ``order`` is ``<`` or ``>``; ``kinds`` are storage types, or widths of text.
    """

    layout: Layout
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
    113: Layout(False, 33, 12, 81, "cp1252"),
    114: Layout(False, 33, 49, 81, "cp1252"),
    115: Layout(False, 33, 49, 81, "cp1252"),
}
LAYOUTS = {
    117: Layout(True, 33, 49, 81, "cp1252"),
    118: Layout(True, 129, 57, 321, "utf-8"),
    119: Layout(True, 129, 57, 321, "utf-8"),
}


def read_header(file: BinaryIO) -> Header:
    """Read what stands before the values.

    Raises
    ------
    NotRead
        Another format, or a damaged file; struct.error and UnicodeDecodeError say the same.
    """
    start = file.read(1)
    if start == b"<":
        return _tagged_header(file)
    if start and start[0] in OLD_LAYOUTS:
        return _old_header(file, OLD_LAYOUTS[start[0]])
    raise NotRead


def _tagged_header(file: BinaryIO) -> Header:
    """Read the header of formats 117 to 119, whose parts stand between tags."""
    file.seek(0)
    match = re.match(
        rb"<stata_dta><header><release>(\d+)</release><byteorder>([ML])SF</byteorder><K>",
        file.read(80),
    )
    if match is None or int(match[1]) not in LAYOUTS:
        raise NotRead
    release, order = int(match[1]), ">" if match[2] == b"M" else "<"
    layout = LAYOUTS[release]
    file.seek(match.end())

    def number(code: str) -> int:
        size = struct.calcsize(f"{order}{code}")
        return int(struct.unpack(f"{order}{code}", file.read(size))[0])

    def tag(text: bytes) -> None:
        if file.read(len(text)) != text:
            raise NotRead

    n_columns = number("I" if release == 119 else "H")
    tag(b"</K><N>")
    n_rows = number("I" if release == 117 else "Q")
    tag(b"</N><label>")
    label = file.read(number("B" if release == 117 else "H"))
    tag(b"</label><timestamp>")
    file.read(number("B"))
    tag(b"</timestamp></header><map>")
    places = struct.unpack(f"{order}14Q", file.read(14 * 8))
    if max(places) > file_size(file):
        raise NotRead

    def part(position: int, name: bytes, width: int) -> bytes:
        file.seek(places[position])
        tag(b"<" + name + b">")
        return file.read(width * n_columns)

    def texts(position: int, name: bytes, width: int) -> tuple[str, ...]:
        return _texts(part(position, name, width), width, n_columns, layout.encoding)

    codes = struct.unpack(f"{order}{n_columns}H", part(2, b"variable_types", 2))
    kinds = tuple(NAMES_OF_CODES.get(code, code) for code in codes)
    if any(isinstance(kind, int) and not 0 < kind <= LONGEST_TEXT for kind in kinds):
        raise NotRead
    part(9, b"data", 0)
    part(11, b"value_labels", 0)
    return Header(
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


def _old_header(file: BinaryIO, layout: Layout) -> Header:
    """Read the header of formats 113 to 115, whose parts follow each other."""
    order = {b"\1": ">", b"\2": "<"}.get(file.read(1))
    if order is None:
        raise NotRead
    n_columns, n_rows, label = struct.unpack(f"{order}xxHi81s18x", file.read(107))
    codes = file.read(n_columns)
    kinds = tuple(OLD_CODES.get(code, code) for code in codes)
    if any(isinstance(kind, int) and not 0 < kind <= LONGEST_OLD_TEXT for kind in kinds):
        raise NotRead

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
            raise NotRead
        file.seek(length, 1)
    data_at = file.tell()
    return Header(
        layout,
        order,
        n_rows,
        kinds,
        names,
        formats,
        label_names,
        variable_labels,
        field_text(label, layout.encoding),
        data_at,
        data_at + n_rows * row_dtype(kinds, order).itemsize,
    )


def file_size(file: BinaryIO) -> int:
    """Size of a file in bytes."""
    return os.fstat(file.fileno()).st_size


def field_text(field: bytes, encoding: str) -> str:
    """Text of a field that ends with a zero byte, unless it is full."""
    return field.split(b"\0", 1)[0].decode(encoding)


def _texts(block: bytes, width: int, n: int, encoding: str) -> tuple[str, ...]:
    if len(block) < width * n:
        raise NotRead
    return tuple(field_text(block[k * width : (k + 1) * width], encoding) for k in range(n))


def row_dtype(kinds: tuple[str | int, ...], order: str) -> np.dtype[np.void]:
    """A row of the file as a structure with fields c0, c1, ..."""
    return np.dtype(
        [
            (f"c{k}", f"S{kind}" if isinstance(kind, int) else order + NUMERIC_TYPES[kind][1][1:])
            for k, kind in enumerate(kinds)
        ]
    )
