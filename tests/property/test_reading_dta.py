"""Stata files are read without pandas and pyreadstat; the data are what pyreadstat would give."""

import contextlib
import struct
from dataclasses import replace

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gllamm_cli.data import Dataset
from gllamm_cli.dta import write_dta
from gllamm_cli.dta_header import NotRead, read_header
from gllamm_cli.dta_other import read_other_dta
from gllamm_cli.dta_read import _read_alone, read_dta
from gllamm_cli.stata.functions import missing_codes, missing_value

LIMITS = {"byte": 100, "int": 32740, "long": 2147483620}
TEXTS = st.text(st.characters(codec="latin-1", exclude_categories=["C"]), max_size=12)
ASCII = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=12)
MISSING = st.sampled_from([missing_value(), missing_value("a"), missing_value("z")])


def column(kind, n, texts):
    """Values of a storage type."""
    if kind == "str":
        return st.lists(texts, min_size=n, max_size=n).map(lambda x: np.array(x, dtype=object))
    if kind in LIMITS:
        numbers = st.integers(-LIMITS[kind], LIMITS[kind]).map(float)
    elif kind == "float":
        numbers = st.floats(-(2.0**126), 2.0**126, width=32)
    else:
        numbers = st.floats(-8e307, 8e307)
    return st.lists(st.one_of(numbers, numbers, MISSING), min_size=n, max_size=n).map(np.array)


@st.composite
def datasets(draw, texts=TEXTS):
    n = draw(st.integers(1, 5))
    kinds = draw(st.lists(st.sampled_from([*LIMITS, "float", "double", "str"]), min_size=1))
    names = [f"v{k}" for k in range(len(kinds))]
    data = Dataset(
        {name: draw(column(kind, n, texts)) for name, kind in zip(names, kinds, strict=True)},
        np.arange(n),
        storage_types=dict(zip(names, kinds, strict=True)),
        variable_labels={names[0]: draw(texts)},
        label=draw(texts),
    )
    numeric = [name for name, kind in zip(names, kinds, strict=True) if kind in LIMITS]
    if numeric:
        values = st.one_of(st.integers(-50, 2147483620).map(float), st.sampled_from([".a", ".z"]))
        labels = draw(st.dictionaries(values, texts.filter(bool), min_size=1, max_size=3))
        data = replace(
            data,
            label_names={numeric[0]: "set"},
            label_sets={"set": labels},
            formats={numeric[0]: "%9.2f"},
        )
    return data


def same_column(mine, theirs):
    if mine.dtype == object:
        return mine.tolist() == theirs.tolist()
    gone = np.isnan(mine)
    return np.array_equal(mine, theirs, equal_nan=True) and np.array_equal(
        missing_codes(mine[gone]), missing_codes(theirs[gone])
    )


def assert_read_alike(path):
    mine, theirs = read_alone(path), read_other_dta(path)
    for what in ("names", "label_names", "storage_types"):
        assert getattr(mine, what) == getattr(theirs, what), what
    # pyreadstat drops blanks at the end of labels; Stata keeps them.
    assert stripped(mine) == stripped(theirs)
    assert mine.formats == theirs.formats
    for name in mine.names:
        assert same_column(mine.values(name), theirs.values(name)), name
    return mine


def stripped(data):
    """All labels, without blanks at the end."""
    return (
        data.label.rstrip(" "),
        {name: text.rstrip(" ") for name, text in data.variable_labels.items() if text.strip(" ")},
        {
            of: {value: text.rstrip(" ") for value, text in labels.items()}
            for of, labels in data.label_sets.items()
            if labels
        },
    )


def read_alone(path):
    """Read without the libraries: an error if the file is left to them."""
    with path.open("rb") as file:
        return _read_alone(file)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stata")


@settings(max_examples=60, deadline=None)
@given(data=datasets())
def test_files_of_this_program(folder, data):
    path = folder / "a.dta"
    write_dta(data, path)
    read = assert_read_alike(path)
    for name in data.names:
        assert same_column(read.values(name), data.values(name))


@settings(max_examples=60, deadline=None)
@given(data=datasets(), version=st.sampled_from([114, 117, 118, 119]), order=st.sampled_from("<>"))
def test_files_of_pandas(folder, data, version, order):
    path = folder / "b.dta"
    kinds = {"byte": np.int8, "int": np.int16, "long": np.int32, "float": np.float32}
    frame = pd.DataFrame(
        {
            name: pd.Series(
                data.values(name),
                dtype=kinds.get(data.storage_types[name])
                if data.is_text(name) or not np.isnan(data.column(name)).any()
                else None,
            )
            for name in data.names
        }
    )
    frame.to_stata(
        path,
        write_index=False,
        version=version,
        byteorder=order,
        data_label=data.label,
        variable_labels=dict(data.variable_labels),
        value_labels={
            name: {k: v for k, v in data.labels_of(name).items() if isinstance(k, float)}
            for name in data.label_names
        },
    )
    assert_read_alike(path)


@settings(max_examples=60, deadline=None)
@given(data=datasets(ASCII), version=st.sampled_from([8, 10, 12, 13, 14, 15]))
def test_files_of_pyreadstat(folder, data, version):
    path = folder / "c.dta"
    pyreadstat.write_dta(
        pd.DataFrame({name: data.values(name) for name in data.names}),
        str(path),
        version=version,
        file_label=data.label,
        column_labels=dict(data.variable_labels),
        variable_value_labels={
            name: {int(k): v for k, v in data.labels_of(name).items() if isinstance(k, float)}
            for name in data.label_names
        },
    )
    assert_read_alike(path)


@settings(max_examples=200, deadline=None)
@given(
    data=datasets(),
    version=st.sampled_from([114, 117, 118, 119]),
    place=st.floats(0.0, 1.0, exclude_max=True),
    change=st.binary(max_size=4),
    cut=st.booleans(),
)
def test_damaged_files_are_read_or_left_to_others(folder, data, version, place, change, cut):
    path = folder / "d.dta"
    pd.DataFrame({name: data.values(name) for name in data.names}).to_stata(
        path, write_index=False, version=version
    )
    content = path.read_bytes()
    # Most of what matters is in front.
    at = int(len(content) * place**3)
    path.write_bytes(content[:at] + change + (b"" if cut else content[at + len(change) :]))
    with contextlib.suppress(NotRead):
        read_alone(path)


def test_what_is_of_no_use_is_passed_over(folder):
    path = folder / "e.dta"
    pd.DataFrame({"x": [1.5, 2.5], "s": ["a", "b"]}).to_stata(path, write_index=False, version=114)
    content = path.read_bytes()
    with path.open("rb") as file:
        end = read_header(file).data_at - 5
    note = (
        struct.pack("<Bi", 1, 70)
        + b"x\0".ljust(33, b"\0")
        + b"note0\0".ljust(33, b"\0")
        + b"hi\0\0"
    )
    # And a line end that has come to the end.
    path.write_bytes(content[:end] + note + content[end:] + b"\n")
    assert assert_read_alike(path).text("s").tolist() == ["a", "b"]


def test_long_strings_are_left_to_the_libraries(folder):
    path = folder / "f.dta"
    pd.DataFrame({"x": [1.5], "s": ["a" * 3000]}).to_stata(
        path, write_index=False, version=118, convert_strl=["s"]
    )
    with pytest.raises(NotRead):
        read_alone(path)
    assert read_dta(path).text("s").tolist() == ["a" * 3000]
