"""Commands that make, change, combine and write data, worked out by hand or by pandas."""

import math
import sys
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import failure, printed, run_do

NAN = math.nan
FRAME = pd.DataFrame(
    {"g": [2.0, 1, 2, 1, 2], "x": [5.0, NAN, 4, 1, 2], "t": ["b", "a", "", "a", "c"]}
)


def after(script, frame=FRAME):
    session, _, error = run_do(script, frame=frame)
    assert error is None, error.render()
    return session.dataset


def column(script, name, frame=FRAME):
    data = after(script, frame)
    return data.text(name).tolist() if data.is_text(name) else data.column(name)


@pytest.mark.parametrize(
    ("script", "values"),
    [
        ("gen y = x + 1", [6, NAN, 5, 2, 3]),
        ("gen y = x > 3", [1, 1, 1, 0, 0]),
        ("gen y = x if g == 2", [5, NAN, 4, NAN, 2]),
        ("gen y = _n in 2/3", [NAN, 2, 3, NAN, NAN]),
        ("gen byte y = 200 if _n > 3", [NAN] * 5),
        ("gen y = x[_n-1]", [NAN, 5, NAN, 4, 1]),
        ("gen y = sum(x)", [5, 5, 9, 10, 12]),
        ("gen y = x\nreplace y = 0 if missing(y)", [5, 0, 4, 1, 2]),
        ("gen y = x\nreplace y = y[_n-1] if missing(y)", [5, 5, 4, 1, 2]),
        ("gen y = 1\nreplace y = y[_n-1] + 1 if _n > 1", [1, 2, 3, 4, 5]),
        ("gen y = x\nreplace y = y[_n+1]", [NAN, 4, 1, 2, NAN]),
        ("gen y = x\nreplace y = y - y[1]", [0, NAN, 4, 1, 2]),
        ("egen y = mean(x), by(g)", [11 / 3, 1, 11 / 3, 1, 11 / 3]),
        ("egen y = max(x), by(g)", [5, 1, 5, 1, 5]),
        ("egen y = count(x), by(g)", [3, 1, 3, 1, 3]),
        ("egen y = total(x), by(g)", [11, 1, 11, 1, 11]),
        ("egen y = sd(x)", [np.std([5, 4, 1, 2], ddof=1)] * 5),
        ("egen y = median(x)", [3] * 5),
        ("egen y = group(t)", [2, 1, NAN, 1, 3]),
        ("egen y = group(g t)", [2, 1, NAN, 1, 3]),
        ("egen y = tag(g)", [1, 1, 0, 0, 0]),
        ("egen y = rank(x)", [4, NAN, 3, 1, 2]),
        ("egen y = rowmean(x g)", [3.5, 1, 3, 1, 2]),
        ("egen y = rowmiss(x g)", [0, 1, 0, 0, 0]),
        ("egen y = rowtotal(x g)", [7, 1, 6, 2, 4]),
        ("egen y = seq(), by(g)", [1, 1, 2, 2, 3]),
        ("egen y = anymatch(x g), values(1 5)", [1, 1, 0, 1, 0]),
        ("egen y = cut(x), at(0 2 5)", [NAN, NAN, 2, 0, 2]),
        ("egen y = pctile(x), p(25)", [1.5] * 5),
        ("egen y = diff(x g)", [1, 1, 1, 0, 0]),
        ("egen y = seq(), f(1) t(2)", [1, 2, 1, 2, 1]),
        ("egen y = seq(), f(3) t(2) b(2)", [3, 3, 2, 2, 3]),
        ("egen y = seq(), from(10) block(2) by(g)", [10, 10, 10, 10, 11]),
        ("egen y = seq() if x < .", [1, NAN, 2, 3, 4]),
        ("gen z = min(x, 4)\negen y = rank(z)", [4, 4, 4, 1, 2]),
        ("gen z = x == 5\negen y = rank(z), field", [1, 2, 2, 2, 2]),
        ("gen z = x == 5\negen y = rank(z), track", [5, 1, 1, 1, 1]),
        ("gen z = x == 5\negen y = rank(z), unique", [5, 1, 2, 3, 4]),
        ("gen z = x\nreplace z = 1 in 3\nreplace z = 5 in 2\negen y = mode(z)", [NAN] * 5),
        ("gen z = x\nreplace z = 1 in 3\nreplace z = 5 in 2\negen y = mode(z), minm", [1] * 5),
        ("gen z = x\nreplace z = 1 in 3\nreplace z = 5 in 2\negen y = mode(z), maxm", [5] * 5),
        (
            "egen y = std(x), mean(10) std(2)",
            10 + 2 * (np.array([5, NAN, 4, 1, 2]) - 3) / np.std([5, 4, 1, 2], ddof=1),
        ),
        ("egen y = total(x) if x == ., missing", [NAN] * 5),
        ("gen z = .\negen y = rowtotal(x z), missing", [5, NAN, 4, 1, 2]),
        ("gen y = x\nrecode y (1 2 = 0) (4/5 = 1) (missing = 9)", [1, 9, 1, 0, 0]),
        ("recode x (min/2 = 0) (nonmissing = 1) (else = .a), gen(y)", [1, NAN, 1, 0, 0]),
        ("gen y = x\nrecode y 1=10 .=0", [5, 0, 4, 10, 2]),
        ("encode t, gen(y)", [2, 1, NAN, 1, 3]),
        ("gen y = x\nmvencode y, mv(-9)", [5, -9, 4, 1, 2]),
        ("gen y = x\nmvdecode y, mv(5)", [NAN, NAN, 4, 1, 2]),
        ("tab t, gen(d)\nrename d1 y", [0, 1, NAN, 1, 0]),
        ("gen s = string(x)\ndestring s, gen(y)", [5, NAN, 4, 1, 2]),
    ],
)
def test_values(script, values):
    np.testing.assert_allclose(column(script, "y"), values, rtol=1e-6)


@pytest.mark.parametrize(
    ("script", "values"),
    [
        ('gen y = t + "!"', ["b!", "a!", "!", "a!", "c!"]),
        ("tostring g, gen(y)", ["2", "1", "2", "1", "2"]),
        ("encode t, gen(n)\ndecode n, gen(y)", ["b", "a", "", "a", "c"]),
        ("egen y = concat(t g), punct(-)", ["b-2", "a-1", "-2", "a-1", "c-2"]),
        ("gen y = upper(substr(t, 1, 1))", ["B", "A", "", "A", "C"]),
    ],
)
def test_texts(script, values):
    assert column(script, "y") == values


@pytest.mark.parametrize(
    ("script", "values"),
    [
        ("sort g", [NAN, 1, 5, 4, 2]),
        ("sort x", [1, 2, 4, 5, NAN]),
        ("gsort -x", [5, 4, 2, 1, NAN]),
        ("gsort g -x", [1, NAN, 5, 4, 2]),
        ("expand g", [5, NAN, 4, 1, 2, 5, 4, 2]),
        ("keep if g == 2", [5, 4, 2]),
        ("drop if missing(x)", [5, 4, 1, 2]),
        ("drop in 2/3", [5, 1, 2]),
        ("bysort g: keep if _n == 1", [NAN, 5]),
        ("duplicates drop g, force", [5, NAN]),
        ("set obs 6", [5, NAN, 4, 1, 2, NAN]),
        ("collapse (mean) x, by(g)", [1, 11 / 3]),
        ("collapse (sum) x (count) n=x, by(g)", [1, 11]),
        ("collapse (median) x", [3]),
        ("collapse (p75) x, by(g)", [1, 5]),
        ("collapse (first) x, by(g)", [NAN, 5]),
        ("collapse (max) x [fw=g]", [5]),
        ("collapse (mean) x [fw=g]", [(10 + 8 + 1 + 4) / 7]),
    ],
)
def test_rows(script, values):
    np.testing.assert_allclose(column(script, "x"), values, rtol=1e-6)


def test_sort_is_stable_and_sample_follows_rows():
    data = after("gen n = _n\nsort g")
    assert data.column("n").tolist() == [2, 4, 1, 3, 5]


def test_contract_counts_patterns():
    data = after("contract g t")
    assert data.column("_freq").tolist() == [2, 1, 1, 1]
    data = after("contract g t, freq(n) nomiss")
    assert data.column("n").tolist() == [2, 1, 1]


WIDE = pd.DataFrame({"id": [2.0, 1], "y1": [3.0, 1], "y2": [4.0, NAN], "z": [7.0, 8]})


def test_reshape_long_and_back():
    data = after("reshape long y, i(id) j(time)", WIDE)
    assert data.names == ("id", "time", "y", "z")
    np.testing.assert_array_equal(data.column("id"), [1, 1, 2, 2])
    np.testing.assert_array_equal(data.column("y"), [1, NAN, 3, 4])
    back = after(
        "reshape long y, i(id) j(time)\nreshape wide y, i(id) j(time)\norder id y1 y2 z", WIDE
    )
    np.testing.assert_array_equal(back.frame.to_numpy(), WIDE.sort_values("id").to_numpy())


def test_reshape_without_arguments_goes_back():
    there = "reshape long y, i(id) j(time)\nreshape wide"
    data = after(f"{there}\norder id y1 y2 z", WIDE)
    for name in WIDE:
        np.testing.assert_array_equal(data.column(name), WIDE.sort_values("id")[name])
    again = after(f"{there}\nreshape long", WIDE)
    long = after("reshape long y, i(id) j(time)", WIDE)
    assert set(again.names) == set(long.names)
    for name in long.names:
        np.testing.assert_array_equal(again.column(name), long.column(name))
    inner = "rename (y1 y2) (y1b y2b)\nreshape long y@b, i(id) j(time)\nreshape wide"
    assert set(after(inner, WIDE).names) == {"id", "z", "y1b", "y2b"}
    assert failure("reshape wide", frame=WIDE).rc == 198
    assert failure(f"{there}\nreshape wide", frame=WIDE).rc == 198


@pytest.mark.parametrize(
    ("statistic", "values"),
    [
        ("first", ["a", "b"]),
        ("last", ["a", "c"]),
        ("firstnm", ["a", "b"]),
        ("lastnm", ["a", "c"]),
        ("count", [2, 2]),
    ],
)
def test_collapse_of_text(statistic, values):
    data = after(f"collapse ({statistic}) t, by(g)")
    found = data.text("t") if data.is_text("t") else data.column("t")
    assert found.tolist() == values


def test_collapse_to_values_that_are_not_missing():
    data = after("sort g x\ncollapse (firstnm) a=x (lastnm) b=x (last) c=x (firstnm) t, by(g)")
    np.testing.assert_array_equal(data.column("a"), [1, 2])
    np.testing.assert_array_equal(data.column("b"), [1, 5])
    np.testing.assert_array_equal(data.column("c"), [NAN, 5])
    data = after("keep if x == .\ncollapse (firstnm) x (first) t")
    assert np.isnan(data.column("x")).tolist() == [True]


def test_reshape_reports_as_stata_does():
    lines = printed("reshape long y, i(id) j(time)", frame=WIDE)
    assert lines == [
        "(note: j = 1 2)",
        "",
        "Data                               wide   ->   long",
        "-" * 77,
        "Number of obs.                        2   ->       4",
        "Number of variables                   4   ->       4",
        "j variable (2 values)                      ->   time",
        "xij variables:",
        "                                  y1 y2   ->   y",
        "-" * 77,
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = "clear\ninput g w\n1 10\n3 30\nend\nsave other\n"
    assert run_do(other)[2] is None
    return tmp_path


def test_merge_keeps_marks_and_reports(folder):
    data = after("merge m:1 g using other")
    assert data.column("_merge").tolist() == [1, 3, 1, 3, 1, 2]
    np.testing.assert_array_equal(data.column("w"), [NAN, 10, NAN, 10, NAN, 30])
    assert after("merge m:1 g using other, keep(match) nogen").n_rows == 2
    assert after("merge m:1 g using other, keep(master match) nogenerate").n_rows == 5
    assert failure("merge 1:1 g using other", frame=FRAME).rc == 459
    assert failure("merge m:1 g using other\nmerge m:1 g using other", frame=FRAME).rc == 110
    lines = printed("merge m:1 g using other", frame=FRAME)
    assert "    matched                                     2  (_merge==3)" in lines


def test_append_and_cross(folder):
    data = after("append using other, gen(from)")
    assert data.column("from").tolist() == [0] * 5 + [1] * 2
    assert data.text("t").tolist()[-2:] == ["", ""]
    assert after("keep g\ncross using other").n_rows == 10
    assert after("keep g\njoinby g using other").n_rows == 2
    assert failure("gen w = t\nappend using other", frame=FRAME).rc == 106


def test_a_saved_file_opens_elsewhere_with_labels_types_and_missing_values(folder):
    script = """
gen byte b = g
gen int i = 300
gen long l = 100000
gen float f = x/3
gen double d = x/3
replace d = .b in 4
label variable b "a byte"
label define bl 1 "one" 2 "two"
label values b bl
format f %8.3f
label data "the data"
save a
"""
    data = after(script)
    table = pd.read_stata("a.dta", convert_categoricals=False)
    assert table.dtypes[["b", "i", "l", "f", "d"]].astype(str).tolist() == [
        "int8", "int16", "int32", "float32", "float64",
    ]  # fmt: skip
    _, meta = pyreadstat.read_dta("a.dta", user_missing=True)
    assert meta.column_names_to_labels["b"] == "a byte"
    assert meta.variable_value_labels["b"] == {1: "one", 2: "two"}
    assert meta.original_variable_types["f"] == "%8.3f"
    assert meta.file_label == "the data"
    again = after("use a, clear\ngen isb = d == .b")
    assert again.column("isb").tolist() == [0, 0, 0, 1, 0]
    assert again.labels_of("b") == {1.0: "one", 2.0: "two"}
    assert again.storage_types["i"] == "int"
    np.testing.assert_array_equal(again.column("f"), data.column("f"))
    assert pd.read_stata("a.dta", convert_missing=True)["d"][3].string == ".b"


def test_text_files(folder):
    after("export delimited using a.csv")
    data = after("import delimited a.csv, clear")
    np.testing.assert_array_equal(data.column("x"), FRAME["x"])
    assert data.text("t").tolist() == FRAME["t"].tolist()
    (folder / "r.raw").write_text("1 2.5 abc\n3 . de\n")
    data = after("infile a b str5 s using r.raw, clear")
    assert (data.column("a").tolist(), data.text("s").tolist()) == ([1, 3], ["abc", "de"])
    data = after("insheet using a.csv, clear comma")
    assert data.names == ("g", "x", "t")


def test_parts_of_matches_are_those_of_the_condition():
    script = (
        'gen r = "x" + t + "7"\ngen y = regexs(1) if regexm(r, "([ab])7")\ncount if regexm(t, "z")'
    )
    assert column(script, "y") == ["b", "a", "", "a", ""]
    assert column(f"{script}\nkeep in 1/2\ngen z = regexs(1)", "z") == ["", ""]
    assert printed('if regexm("id12", "([0-9]+)") display regexs(1)') == ["12"]


@pytest.mark.parametrize(
    ("text", "command", "columns"),
    [
        ("x,y\n1,2\n3,4\n", "import delimited id2 yy using n.csv", {"id2": [1, 3], "yy": [2, 4]}),
        ("X,y\n1,2\n3,4\n", "insheet a1-a2 using n.csv", {"a1": [1, 3], "a2": [2, 4]}),
        ("1,2\n3,4\n", "insheet a b using n.csv", {"a": [1, 3], "b": [2, 4]}),
        ("1,2\n3,4\n", "import delimited x y using n.csv, varnames(1)", {"x": [3], "y": [4]}),
    ],
)
def test_columns_take_the_names_of_the_command(text, command, columns, folder):
    (folder / "n.csv").write_text(text)
    data = after(f"{command}{',' if ',' not in command else ''} clear")
    assert {name: data.column(name).tolist() for name in data.names} == columns


@pytest.mark.parametrize(
    ("names", "rc"), [("a", 102), ("a b c", 103), ("a a", 110), ("a 2", 198), ("a byte", 198)]
)
def test_names_that_do_not_suit_the_columns(names, rc, folder):
    (folder / "n.csv").write_text("x,y\n1,2\n")
    assert failure(f"import delimited {names} using n.csv").rc == rc


def test_texts_where_numbers_belong_are_told(folder):
    (folder / "r.raw").write_text('1 ann 3 "b c"\n nan . 5d1 .a')
    session, lines, error = run_do("infile a b using r.raw, clear")
    assert error is None
    assert lines[:4] == [
        "'ann' cannot be read as a number for b[1]",
        "'b c' cannot be read as a number for b[2]",
        "'nan' cannot be read as a number for a[3]",
        "(4 observations read)",
    ]
    np.testing.assert_array_equal(session.dataset.column("a"), [1, 3, NAN, 50])
    assert "(5 more values cannot be read as numbers)" in printed("input a\n" + "x\n" * 25 + "end")


def test_excel_names_the_package_it_needs(folder, monkeypatch):
    (folder / "b.xlsx").write_bytes(b"")
    assert failure("import excel b.xlsx").rc == 610
    with ZipFile(folder / "a.xlsx", "w") as file:
        file.writestr("xl/workbook.xml", "")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert "package openpyxl" in failure("import excel a.xlsx").message


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("xi i.k", ["_Ik_2", "_Ik_3"]),
        ("char k[omit] 3\nxi i.k", ["_Ik_1", "_Ik_2"]),
        ("char define k[omit] 2\nrename k z\nxi i.z", ["_Iz_1", "_Iz_3"]),
        ("char k[omit] 3\nchar k[omit]\nchar k[note] 2\nchar list\nxi i.k", ["_Ik_2", "_Ik_3"]),
        ('char t[omit] "b"\nxi i.t', ["_It_1", "_It_3"]),
        ("char k[omit] 2\npreserve\ncollapse x, by(k)\nrestore\nxi i.k", ["_Ik_1", "_Ik_3"]),
        ("char k[omit] 2\nxi i.k|x", ["_IkXx_1", "_IkXx_3"]),
        ("char k[omit] 2\nxi: quietly regress x i.k", ["_Ik_1", "_Ik_3"]),
    ],
)
def test_xi_leaves_out_the_category_that_char_names(script, names):
    frame = FRAME.assign(k=[3, 1, 2, 2, 1])
    data = after(f"{script}", frame)
    assert [name for name in data.names if name.startswith("_I")] == names


def test_xi_says_which_category_it_leaves_out():
    frame = FRAME.assign(k=[3, 1, 2, 2, 1])
    assert printed("char k[omit] 3\nxi i.k", frame=frame) == [
        "i.k               _Ik_1-3             (naturally coded; _Ik_3 omitted)"
    ]


def test_text_files_give_back_what_was_written(folder):
    texts = ["NA", "None", "a,b", 'say "hi"', " two ", "two\nlines", "nan", ".", ""]
    numbers = [1 / 3, 0.1 + 0.2, 5e-324, -1e300, 123456789.123456789, NAN, 1, 2, 3.0]
    frame = pd.DataFrame({"t": texts, "x": numbers, "k": range(9)})
    data = after("export delimited using b.csv\nimport delimited b.csv, clear", frame)
    assert data.text("t").tolist() == texts
    assert data.column("k").tolist() == list(range(9))
    np.testing.assert_array_equal(data.column("x"), numbers)


@pytest.mark.parametrize(
    ("script", "rc"),
    [
        ("gen x = 1", 110),
        ("replace zz = 1", 111),
        ("gen y = t + 1", 109),
        ("gen 1y = 1", 198),
        ("rename x g", 110),
        ("rename zz y", 111),
        ("egen y = foo(x)", 133),
        ("egen y = fill(1 2)", 133),
        ("egen y = mean(x), p(50)", 198),
        ("egen y = rank(x), field track", 198),
        ("egen y = mode(x), minmode maxmode", 198),
        ("egen y = seq(), block(0)", 198),
        ("recode x ( = 1)", 198),
        ("sort zz", 111),
        ("drop zz", 111),
        ("keep", 198),
        ("reshape long y, i(g) j(k)", 9),
        ("reshape wide x, i(g) j(t)", 9),
        ("collapse (foo) x", 198),
        ("merge 1:1 g using nosuch", 601),
        ("use nosuch, clear", 601),
        ('label define a 1 "x"\nlabel define a 2 "y"', 110),
        ("label values t a", 198),
        ("format x %zz", 120),
        ("set obs 2", 198),
        ("isid g", 9),
        ("assert x > 3", 9),
        ("summarize x [fw=x/2]", 401),
        ("summarize x [pw=g]", 101),
        ("list in 9", 198),
        ("xtset g x\nxtset g g", 451),
        ("encode t", 198),
        ("encode x, gen(y)", 109),
        ("correlate t", 100),
        ("input\n1 2\nend", 100),
        ("save a\0b", 198),
        ("split g x", 103),
        ("split t x", 103),
        ("split x", 109),
        ("decode x x", 103),
        ("move x", 102),
        ("move g x t", 103),
        ("move g - t", 103),
        ("encode t g, gen(y)", 103),
        ("stset x g", 103),
        ("drop in 1/5\nsample x if g", 198),
        ("drop in 1/5\nmatrix a = (1,2)\ngen y = a[1,x]\nsample x", 198),
        ("drop in 1/5\nsample x", 198),
        ("char g[omit] 7\nxi i.g", 198),
        ("char zz[omit] 7", 111),
        ("exit .", 198),
        ("display _dup(.) 3", 198),
        ("set obs .", 198),
        ("sample .", 198),
        ("sample 200", 198),
        ("set obs 3000000000", 901),
        ("expand 1e15", 901),
        ("clear\nset obs 100000\ngen a = _n\ngen b = _n\nfillin a b", 901),
    ],
)
def test_errors_have_statas_codes(script, rc):
    assert failure(script, frame=FRAME).rc == rc


def test_notes_are_statas():
    lines = printed(
        "gen y = x\nreplace y = 3\nreplace y = . if g==1\nkeep if g == 2\nexpand 2\nrecode g 2=3",
        frame=FRAME,
    )
    assert lines == [
        "(1 missing value generated)",
        "(5 real changes made)",
        "(2 real changes made, 2 to missing)",
        "(2 observations deleted)",
        "(3 observations created)",
        "(g: 6 changes made)",
    ]


def test_labels_are_shown_where_values_are():
    script = 'label define l 1 "low" 2 "high"\nlabel values g l\n'
    assert printed(f"{script}list g in 1/2, clean noobs", frame=FRAME)[1:] == [
        "       g",
        "    high",
        "     low",
    ]
    assert "        low |          2       40.00       40.00" in printed(
        f"{script}tabulate g", frame=FRAME
    )


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("tabulate x", "x has 12,001; a table has room for 12,000"),
        ("tabulate x two", "x has 12,001; a table has room for 1,200"),
        ("tabulate two x", "x has 12,001; a table has room for 80"),
        ("tabulate x, summarize(two)", "x has 12,001; a table has room for 12,000"),
    ],
)
def test_a_continuous_variable_is_not_tabulated(command, named):
    """Nobody reads such a table, and two of them may not fit in memory."""
    error = failure(f"set obs 12001\ngen x = _n\ngen two = mod(x, 2)\n{command}")
    assert error.rc == 134
    assert error.hint == named


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.one_of(st.none(), st.integers(-5, 5))),
        min_size=1,
        max_size=12,
    )
)
def test_group_functions_are_those_of_pandas(rows):
    frame = pd.DataFrame(rows, columns=["g", "x"]).astype(float)
    data = after(
        "egen m = mean(x), by(g)\negen s = total(x), by(g)\negen n = count(x), by(g)\n"
        "egen d = sd(x), by(g)\negen lo = min(x), by(g)",
        frame,
    )
    by = frame.groupby("g")["x"]
    for name, function in (
        ("m", "mean"),
        ("s", "sum"),
        ("n", "count"),
        ("d", "std"),
        ("lo", "min"),
    ):
        np.testing.assert_allclose(data.column(name), by.transform(function), rtol=1e-6)
    small = after("collapse (mean) m=x (count) n=x (max) h=x, by(g)", frame)
    wanted = frame.groupby("g")["x"].agg(["mean", "count", "max"])
    np.testing.assert_allclose(small.column("m"), wanted["mean"], rtol=1e-12)
    np.testing.assert_allclose(small.column("h"), wanted["max"])
    np.testing.assert_array_equal(small.column("n"), wanted["count"])
