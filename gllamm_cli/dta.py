"""Writes Stata data files (format 118, Stata 14 and later).

The libraries that write ``.dta`` lose storage types, display formats, names of
value labels or the letters of missing values; layout as in Stata's ``help dta``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import FileUnreadable
from gllamm_cli.stata.functions import missing_codes

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

LONGEST_TEXT = 2045
NUMERIC_TYPES: dict[str, tuple[int, str, int | float]] = {
    "byte": (65530, "<i1", 101),
    "int": (65529, "<i2", 32741),
    "long": (65528, "<i4", 2147483621),
    "float": (65527, "<f4", 0x7F000000),
    "double": (65526, "<f8", 0x7FE0000000000000),
}
"""Code in the file, numpy type, and the integer or bit pattern of the missing value ``.``."""
MISSING_STEP = {"float": 0x800, "double": 1 << 40}
"""Distance of the bit patterns of ``.`` and ``.a``."""


def write_dta(dataset: Dataset, path: Path) -> None:
    """Write a data set.

    Raises
    ------
    FileUnreadable
        A text is longer than 2045 bytes.
    OSError
        The file cannot be written.
    """
    columns = [_column(dataset, name) for name in dataset.names]
    types = [code for code, _ in columns]
    n_rows, n_columns = dataset.n_rows, len(columns)
    # Names of their own, as a table may have no columns.
    rows = np.zeros(
        n_rows, dtype=[(f"c{k}", values.dtype) for k, (_, values) in enumerate(columns)]
    )
    for k, (_, values) in enumerate(columns):
        rows[f"c{k}"] = values
    label = dataset.label.encode()[:320]
    stamp = datetime.now().strftime("%d %b %Y %H:%M").encode()
    used = [dataset.label_names.get(name, "") for name in dataset.names]
    header = (
        b"<header><release>118</release><byteorder>LSF</byteorder>"
        + b"<K>" + struct.pack("<H", n_columns) + b"</K>"
        + b"<N>" + struct.pack("<Q", n_rows) + b"</N>"
        + b"<label>" + struct.pack("<H", len(label)) + label + b"</label>"
        + b"<timestamp>" + struct.pack("<B", len(stamp)) + stamp + b"</timestamp></header>"
    )  # fmt: skip
    formats = [dataset.format(name) for name in dataset.names]
    labels = [dataset.variable_labels.get(name, "") for name in dataset.names]
    parts = [
        (b"variable_types", struct.pack(f"<{n_columns}H", *types)),
        (b"varnames", _fixed(dataset.names, 129)),
        (b"sortlist", b"\0\0" * (n_columns + 1)),
        (b"formats", _fixed(formats, 57)),
        (b"value_label_names", _fixed(used, 129)),
        (b"variable_labels", _fixed(labels, 321)),
        (b"characteristics", b""),
        (b"data", rows.tobytes()),
        (b"strls", b""),
        (b"value_labels", _value_labels(dataset, set(used) - {""})),
    ]
    position = len(b"<stata_dta>") + len(header)
    offsets = [0, position]
    position += len(b"<map></map>") + 14 * 8
    for tag, content in parts:
        offsets.append(position)
        position += 2 * len(tag) + len(b"<></>") + len(content)
    offsets += [position, position + len(b"</stata_dta>")]
    with path.open("wb") as file:
        file.write(b"<stata_dta>" + header)
        file.write(b"<map>" + struct.pack("<14Q", *offsets) + b"</map>")
        for tag, content in parts:
            file.write(b"<" + tag + b">" + content + b"</" + tag + b">")
        file.write(b"</stata_dta>")


def _fixed(texts: Any, width: int) -> bytes:
    return b"".join(text.encode()[: width - 1].ljust(width, b"\0") for text in texts)


def _column(dataset: Dataset, name: str) -> tuple[int, NDArray[Any]]:
    if dataset.is_text(name):
        encoded = [text.encode() for text in dataset.text(name)]
        width = max([1, *map(len, encoded)])
        if width > LONGEST_TEXT:
            raise FileUnreadable(
                f"{name} holds a text of {width} bytes", hint=f"at most {LONGEST_TEXT} are saved"
            )
        return width, np.array(encoded, dtype=f"S{width}")
    values = dataset.column(name)
    kind = dataset.storage_types.get(name, "double")
    unknown = np.isnan(values)
    code, dtype, missing = NUMERIC_TYPES[kind]
    stored = np.zeros(len(values), dtype=dtype)
    stored[~unknown] = values[~unknown]
    if unknown.any():
        letters = missing_codes(values[unknown])
        if kind in MISSING_STEP:
            bits = stored.view(stored.dtype.str.replace("f", "u"))
            bits[unknown] = (int(missing) + letters * MISSING_STEP[kind]).astype(bits.dtype)
        else:
            stored[unknown] = missing + letters
    return code, stored


def _value_labels(dataset: Dataset, names: set[str]) -> bytes:
    return b"".join(
        _label_set(name, dataset.label_sets[name])
        for name in sorted(names)
        if name in dataset.label_sets
    )


def _label_set(name: str, labels: Mapping[float | str, str]) -> bytes:
    pairs = sorted(
        (2147483621 + ord(value[1]) - ord("a") + 1 if isinstance(value, str) else int(value), text)
        for value, text in labels.items()
    )
    texts = [text.encode() + b"\0" for _, text in pairs]
    starts = np.cumsum([0, *map(len, texts)])[:-1]
    table = (
        struct.pack("<II", len(pairs), sum(map(len, texts)))
        + b"".join(struct.pack("<I", int(start)) for start in starts)
        + b"".join(struct.pack("<i", value) for value, _ in pairs)
        + b"".join(texts)
    )
    head = struct.pack("<I", len(table)) + _fixed([name], 129) + b"\0\0\0"
    return b"<lbl>" + head + table + b"</lbl>"
