"""Tables of numbers are read without pandas; the values are what pandas would give."""

import string

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gllamm_cli import delimited, numeric_text
from gllamm_cli._numbers import read_rows
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


@settings(max_examples=200, deadline=None)
@given(table=tables(FIELDS))
def test_what_is_read_without_pandas_is_what_pandas_reads(folder, table):
    plain, general = read_both(folder, *table)
    if plain is not None:
        assert general is not None
        assert_same(plain, general)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_tables_written_by_pandas(folder, data):
    rows = data.draw(st.integers(1, 6))
    cells = st.one_of(st.integers(-(10**6), 10**6), st.floats(allow_infinity=False), st.none())
    columns = st.one_of(
        st.lists(st.integers(-(2**53), 2**53), min_size=rows, max_size=rows),
        st.lists(st.integers(-200, 200), min_size=rows, max_size=rows),
        st.lists(cells, min_size=rows, max_size=rows),
    )
    frame = pd.DataFrame(
        data.draw(st.dictionaries(st.text("xyz_", min_size=1), columns, min_size=1))
    )
    plain, general = read_both(folder, frame.to_csv(index=False), ",")
    # A line of one empty field is an empty line.
    if frame.shape[1] > 1:
        assert plain is not None
        assert_same(plain, general)


@settings(max_examples=50, deadline=None)
@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_are_the_nearest(folder, numbers):
    (folder / "n.csv").write_text("x,y\n" + "".join(f"{x!r},{x:.19e}\n" for x in numbers))
    data = read_numeric_text(folder / "n.csv", ",")
    assert data.column("x").tolist() == numbers
    assert data.column("y").tolist() == numbers


@pytest.mark.parametrize("size", [1, 2, 7, 16, 50])
def test_lines_across_the_borders_of_what_is_read_at_once(size, folder, monkeypatch):
    monkeypatch.setattr(numeric_text, "BYTES_AT_ONCE", size)
    text = "a,b\n" + "".join(f"{k},{k / 7!r}\n" for k in range(40)) + "\n40,-0.5"
    (folder / "s.csv").write_text(text)
    data = read_numeric_text(folder / "s.csv", ",")
    assert data.column("a").tolist() == list(range(41))
    assert data.column("b").tolist() == [*(k / 7 for k in range(40)), -0.5]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n", "a,b\n1,2,3\n", "a,b\n1\n", "a,a\n1,2\n", "a,\n1,2\n", 'a,b\n1,"2"\n',
        "a,b\n1,2 \n", "a,b\n1,inf\n", "a,b\n1,1e400\n", "a,b\r1,2\r", "ä,b\n1,2\n", "a,b\n",
        "a,b", "a,b\n1,12345678901234567890\n", "a,b\n1,True\n", "a,b\n1,2\0\n",
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_pandas(text, folder):
    (folder / "o.csv").write_bytes(text.encode())
    assert read_numeric_text(folder / "o.csv", ",") is None


def test_the_reader_keeps_to_its_arrays():
    columns, kinds = np.empty((2, 1)), np.zeros(2, dtype=np.uint8)
    for text, row, kinds_ in ((b"1,2\n", 1, kinds), (b"1,2\n", 0, kinds[:1]), (b"1,2", 0, kinds)):
        with pytest.raises(ValueError, match=r"columns|line"):
            read_rows(text, ",", columns, row, kinds_)
