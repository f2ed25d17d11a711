"""Tables of numbers are read without pandas; the values are what pandas would give."""

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gllamm_cli import delimited
from gllamm_cli.errors import FileUnreadable
from gllamm_cli.numeric_text import read_numeric_text

FIELDS = st.one_of(
    st.integers(-(10**19), 10**19).map(str),
    st.integers(-120, 120).map(str),
    st.floats(allow_nan=False).map(repr),
    st.floats(-1e6, 1e6).map("{:.3f}".format),
    st.floats(allow_nan=False, allow_infinity=False).map("{:.25E}".format),
    st.sampled_from(["", ".", ".a", ".z", "NA", "NaN", "nan", "-0", "+5", "007", "1.", ".5"]),
    st.sampled_from(["1e5", "-.5E-3", "1e400", "1e-400", "0.0e0", "9007199254740993", "-0.0"]),
    st.sampled_from(["-", "e5", "1e", "1 ", " 1", "x", '"1"', "1_0", "0x1", "inf", ".A", "True"]),
    st.text("0123456789.eE+-", max_size=24),
)
NUMBERS = st.one_of(
    st.integers(-(10**17), 10**17).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["", ".", "NA"]),
)


@st.composite
def tables(draw, fields):
    """Text of a table, most often with lines of the same length."""
    width = draw(st.integers(1, 4))
    separator = draw(st.sampled_from([",", ";", "\t"]))
    names = draw(st.lists(st.text('abz._1"', max_size=3), min_size=width, max_size=width))
    if draw(st.booleans()):
        names = list(string.ascii_lowercase[:width])
    lines = [names, *draw(st.lists(st.lists(fields, min_size=width, max_size=width), max_size=6))]
    if draw(st.integers(0, 9)) == 0:
        lines += [draw(st.lists(fields, max_size=5))]
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n"]))
    text = end.join(separator.join(line) for line in lines)
    return text + draw(st.sampled_from([end, ""])), separator


def read_both(folder, text, separator):
    """The table as this program reads it and as pandas does; None where that is refused."""
    path = folder / "a.csv"
    path.write_bytes(text.encode())
    plain = read_numeric_text(path, separator)
    try:
        general = delimited._read_any_text(path, separator, True)
    except FileUnreadable:
        general = None
    return plain, general


def assert_same(plain, general):
    assert plain.names == general.names
    assert plain.renamed == general.renamed
    assert plain.storage_types == general.storage_types
    assert plain.row_ids.tolist() == general.row_ids.tolist()
    for name in plain.names:
        mine, theirs = plain.column(name), general.column(name)
        # Versions of pandas differ in the last bit.
        np.testing.assert_allclose(mine, theirs, rtol=2.3e-16, atol=5e-324)
        assert np.array_equal(np.signbit(mine), np.signbit(theirs))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@settings(max_examples=300, deadline=None)
@given(table=tables(FIELDS))
def test_what_is_read_without_pandas_is_what_pandas_reads(folder, table):
    plain, general = read_both(folder, *table)
    if plain is not None:
        assert general is not None
        assert_same(plain, general)


@settings(max_examples=100, deadline=None)
@given(table=tables(NUMBERS))
def test_plain_numbers_x(folder, table):
    plain, general = read_both(folder, *table)
    if plain is not None:
        assert_same(plain, general)
