"""Equations, constraints, matrices and new variables, as users and the manual write them."""

import numpy as np
import pandas as pd
import pytest
from statements import parse_statement

from gllamm_cli.data import Dataset
from gllamm_cli.errors import AlreadyDefined, GllammError, TypeMismatch
from gllamm_cli.stata.command import GllammCommand, ReplayCommand
from gllamm_cli.stata.constraint import ConstraintDefinition, LinearTerm, format_terms
from gllamm_cli.stata.definitions import (
    Equation,
    Generate,
    XiExpand,
)
from gllamm_cli.stata.environment import Environment
from gllamm_cli.stata.evaluate import Evaluator
from gllamm_cli.stata.generate import generate
from gllamm_cli.stata.matrices import define_matrix
from gllamm_cli.stata.named_matrix import NamedMatrix
from gllamm_cli.stata.source import split_statements
from gllamm_cli.stata.varlist import NamePattern, NameRange, XiTerm


@pytest.mark.parametrize(
    ("source", "name", "items"),
    [
        ("eq f1 : one meanses", "f1", (NamePattern("one"), NamePattern("meanses"))),
        ("eq define load: i1-i6", "load", (NameRange("i1", "i6"),)),
        ("eq e:", "e", ()),
        ("eq het:s1 s2", "het", (NamePattern("s1"), NamePattern("s2"))),
    ],
)
def test_equations(source, name, items):
    assert parse_statement(source) == Equation(name, items)


@pytest.mark.parametrize(
    ("source", "terms", "value"),
    [
        ("constr 77 [mathach]_cons=0", [(1, "mathach", "_cons")], 0),
        ("constraint define 1 [id1_1l]i2 = 1", [(1, "id1_1l", "i2")], 1),
        ("cons 2 [e]a=[e]b", [(1, "e", "a"), (-1, "e", "b")], 0),
        ("cons def 3 2*[e]a + [e]b = 3", [(2, "e", "a"), (1, "e", "b")], 3),
        ("cons 4 x1 = 2", [(1, None, "x1")], 2),
        ("cons 5 [e]cons = -1.5", [(1, "e", "cons")], -1.5),
        ("cons 6 -_b[e:x]/2 + 1 = [#2]z*3", [(-0.5, "e", "x"), (-3, "#2", "z")], -1),
        ("cons 7 [e]_b[x] - 2[e]y = 1/4", [(1, "e", "x"), (-2, "e", "y")], 0.25),
        ("cons 8 a - b = 0", [(1, None, "a"), (-1, None, "b")], 0),
    ],
)
def test_constraints(source, terms, value):
    found = parse_statement(source)
    assert isinstance(found, ConstraintDefinition)
    assert [(t.coefficient, t.equation, t.name) for t in found.terms] == terms
    assert found.value == value
    assert str(found.value) != "-0.0"


def test_constraints_are_listed_as_in_stata():
    terms = (LinearTerm(1.0, "id1_1l", "i2"), LinearTerm(-2.0, None, "x"))
    assert format_terms(terms, "y") == "[id1_1l]i2 - 2*[y]x"


@pytest.mark.parametrize(
    ("source", "rc"),
    [
        ("eq 1a: x", 198),
        ("eq x y", 198),
        ("eq a: c.x", 101),
        ("constraint [e]x = 1", 198),
        ("constraint 2000 [e]x = 1", 198),
        ("constraint 0 [e]x = 1", 198),
        ("constraint 1 [e]x", 198),
        ("constraint 1 3 = 4", 198),
        ("constraint 1 [e]x = [e]x", 198),
        ("constraint 1 [e x = 1", 198),
        ("constraint 1 [e]x/0 = 1", 198),
        ("constraint 1 [e]x = 1 2", 198),
        ("matrix a", 198),
        ("matrix 1a = 3", 198),
        ("matrix a = (1,2", 132),
        ("matrix a = (1,,2)", 198),
        ("gen x", 198),
        ("gen x == 1", 198),
        ("gen if = 1", 101),
        ("gen foo x = 1", 198),
        ("gen _n = 1", 198),
        ("xi x", 198),
        ("xi", 198),
        ("gllam y, i(id)", 199),
        ("regres_ y x", 199),
        ("", 199),
    ],
)
def test_malformed_statements(source, rc):
    with pytest.raises(GllammError) as caught:
        parse_statement(source)
    assert caught.value.rc == rc


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("g byte one = 1", Generate),
        ("generate long id = _n if x > 1 in 1/3", Generate),
        ("xi i.race", XiExpand),
        ("xi: gllamm y i.x, i(id)", GllammCommand),
        ("gllamm y x, i(id)", GllammCommand),
        ("gllamm, allc", ReplayCommand),
    ],
)
def test_kinds_of_statements(source, kind):
    assert isinstance(parse_statement(source), kind)


def test_xi_alone():
    assert parse_statement("xi i.a i.b*i.c").terms == (XiTerm("a"), XiTerm("b", "*", "c", True))


def matrix(source, matrices=None):
    stored = {"b": NamedMatrix.row(np.array([1.0, 2.0]), (("y", "x"), ("y", "_cons")))}
    environment = Environment(matrices=matrices or {}, estimated_matrices=stored)
    return define_matrix(parse_statement(source), Evaluator(environment=environment))


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("mat b1 = [12, 2, 8]", [[12, 2, 8]]),
        ("matrix a = (1,2\\3,4)", [[1, 2], [3, 4]]),
        ("mat a = 5", [[5]]),
        ("mat a = (1+2)*3", [[9]]),
        ("mat a = (-1, 2^3, ln(1))", [[-1, 8, 0]]),
        ("mat a = e(b)", [[1, 2]]),
        ("mat a = (e(b), .2, 0)", [[1, 2, 0.2, 0]]),
        ("mat a = e(b)\\(3,4)", [[1, 2], [3, 4]]),
        ("mat a = e(b)'", [[1], [2]]),
        ("mat a = e(b)*e(b)'", [[5]]),
        ("mat a = 2*e(b) - e(b)/2", [[1.5, 3]]),
        ("mat a = I(2)#(1,2)", [[1, 2, 0, 0], [0, 0, 1, 2]]),
        ("mat a = J(1,2,.5), 3", [[0.5, 0.5, 3]]),
        ("mat a = inv((2,0\\0,4))", [[0.5, 0], [0, 0.25]]),
        ("mat a = cholesky((4,2\\2,5))", [[2, 0], [1, 2]]),
        ("mat a = vecdiag(diag((1,2)))", [[1, 2]]),
        ("mat a = nullmat(zz), 3", [[3]]),
        ("mat a = nullmat(zz) \\ 3", [[3]]),
        ('mat a = e(b)[1, "y:x"]', [[1]]),
    ],
)
def test_matrices(source, values):
    assert matrix(source).values.tolist() == values


def test_matrices_keep_names_of_stored_results():
    assert matrix("mat a = (e(b), 9)").column_names == (("y", "x"), ("y", "_cons"), ("", "c3"))


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("mat c = a[1,1..2]", [[1, 2]]),
        ("mat c = a[2,2...]", [[5, 6]]),
        ("mat c = a[1..2,3]", [[3], [6]]),
    ],
)
def test_matrix_ranges(source, values):
    a = NamedMatrix.unnamed(np.array([[1.0, 2, 3], [4, 5, 6]]))
    assert matrix(source, {"a": a}).values.tolist() == values


@pytest.mark.parametrize(
    ("source", "rc"),
    [
        ("mat c = z", 111),
        ("mat c = e(V)", 111),
        ("mat c = (1,2\\3)", 503),
        ("mat c = (1, e(b)\\ 1, 2)", 503),
    ],
)
def test_matrix_errors(source, rc):
    with pytest.raises(GllammError) as caught:
        matrix(source)
    assert caught.value.rc == rc


def test_matrix_index_outside():
    with pytest.raises(GllammError) as caught:
        matrix("mat c = a[1,1..4]", {"a": NamedMatrix.unnamed(np.ones((1, 3)))})
    assert caught.value.rc == 503


@pytest.fixture
def data():
    return Dataset.from_frame(pd.DataFrame({"x": [1.0, 2.0, 300.0], "s": ["a", "b", ""]}))


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("g byte one = 1", [1, 1, 1]),
        ("g byte z = x", [1, 2, np.nan]),
        ("g int z = x + .9", [1, 2, 300]),
        ("g z = .1", [float(np.float32(0.1))] * 3),
        ("g double z = .1", [0.1] * 3),
        ("g z = x if x > 1", [np.nan, 2, 300]),
        ("g z = _n in 2/l", [np.nan, 2, 3]),
    ],
)
def test_generate_stores_as_stata_does(source, values, data):
    statement = parse_statement(source)
    new, notes = generate(statement, data, Evaluator(data))
    np.testing.assert_array_equal(new.column(statement.name), values)
    assert bool(notes) == bool(np.isnan(values).any())
    assert new.names == (*data.names, statement.name)
    assert statement.name not in data.names


def test_generate_counts_missing_values(data):
    assert generate(parse_statement("g z = . if x < 3"), data, Evaluator(data))[1] == (
        "(3 missing values generated)",
    )
    assert generate(parse_statement("g z = 1 if x > 1"), data, Evaluator(data))[1] == (
        "(1 missing value generated)",
    )


def test_generate_text(data):
    new, _ = generate(parse_statement('g t = s + "!" if x > 1'), data, Evaluator(data))
    assert new.text("t").tolist() == ["", "b!", "!"]
    with pytest.raises(TypeMismatch):
        generate(parse_statement("g byte t = s"), data, Evaluator(data))
    with pytest.raises(TypeMismatch):
        generate(parse_statement("g str3 t = x"), data, Evaluator(data))


def test_generate_refuses_existing_names_but_not_their_abbreviations(data):
    with pytest.raises(AlreadyDefined, match="variable x already defined"):
        generate(parse_statement("g x = 1"), data, Evaluator(data))


def test_statements_are_split_and_comments_dropped():
    text = """* a comment; not code /// and more
of it
eq f: one // note
gllamm y x, ///   trailing words
   i(id) /* inside /* nested */ too */ nip(3); g z = "a;b//c"
gen u = 2*3 ; * last ; comment
"""
    assert [" ".join(s.split()) for s in split_statements(text)] == [
        "eq f: one",
        "gllamm y x, i(id) nip(3)",
        'g z = "a;b//c"',
        "gen u = 2*3",
    ]


def test_delimiter_semicolon():
    text = "#delimit ;\ngllamm y\n  x, i(id) ;\n#d cr\neq a: x\n"
    assert [" ".join(s.split()) for s in split_statements(text)] == ["gllamm y x, i(id)", "eq a: x"]


def test_addresses_are_no_comments():
    assert split_statements("use http://x/y.dta") == ("use http://x/y.dta",)


def test_open_comments_are_refused():
    with pytest.raises(GllammError, match="comment not closed"):
        split_statements("gllamm y /* x")
