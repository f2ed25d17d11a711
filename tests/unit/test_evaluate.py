"""Values follow Stata: missing is larger than all numbers, texts and numbers do not mix."""

import numpy as np
import pandas as pd
import pytest

from gllamm_cli.data import Dataset
from gllamm_cli.errors import (
    GllammError,
    InvalidSyntax,
    NoEstimates,
    TypeMismatch,
    UnknownFunction,
    VariableNotFound,
)
from gllamm_cli.model.spec import Sample
from gllamm_cli.stata.evaluate import Evaluator, absolute_rows, evaluate, sample_mask
from gllamm_cli.stata.expression import parse_expression

NAN = np.nan


@pytest.fixture
def data():
    return Dataset.from_frame(
        pd.DataFrame(
            {
                "x": [1.0, 2.0, NAN, -4.0],
                "mathach": [0.0, 1.0, 2.0, 3.0],
                "name": ["ann", "bob", None, "Zoe"],
            }
        )
    )


def value(source, data):
    return evaluate(parse_expression(source), data)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x>1", [0, 1, 1, 0]),
        ("x<.", [1, 1, 0, 1]),
        ("x==.", [0, 0, 1, 0]),
        ("x==.a", [0, 0, 0, 0]),
        ("x<.a", [1, 1, 1, 1]),
        (".a<.b & .<.a & .z>1e300", [1, 1, 1, 1]),
        ("missing(.q)", [1, 1, 1, 1]),
        ("x>=.", [0, 0, 1, 0]),
        ("x!=.", [1, 1, 0, 1]),
        ("x & 1", [1, 1, 1, 1]),
        ("!x", [0, 0, 0, 0]),
        ("x+1", [2, 3, NAN, -3]),
        ("x/0", [NAN] * 4),
        ("1^x", [1, 1, NAN, 1]),
        ("x^0", [1, 1, NAN, 1]),
        ("ln(x)", [0, np.log(2), NAN, NAN]),
        ("sqrt(-1)", [NAN] * 4),
        ("exp(1000)", [NAN] * 4),
        ("max(x,1.5)", [1.5, 2, 1.5, 1.5]),
        ("min(x,.)", [1, 2, NAN, -4]),
        ("sum(x)", [1, 3, 3, -1]),
        ("sum(1)", [1, 2, 3, 4]),
        ("cond(x,1,0)", [1, 1, 1, 1]),
        ("cond(x,1,0,9)", [1, 1, 9, 1]),
        ("inlist(x,1,.)", [1, 0, 1, 0]),
        ("inrange(x,.,1)", [1, 0, 0, 1]),
        ("inrange(x,1,.)", [1, 1, 0, 0]),
        ("missing(x,name)", [0, 0, 1, 0]),
        ("mi(x)", [0, 0, 1, 0]),
        ("mod(x,3)", [1, 2, NAN, 2]),
        ("int(-2.7)", [-2] * 4),
        ("round(2.5)", [3] * 4),
        ("round(28,5)", [30] * 4),
        ("sign(x)", [1, 1, NAN, -1]),
        ("_n", [1, 2, 3, 4]),
        ("_N", [4] * 4),
        ("x[_n-1]", [NAN, 1, 2, NAN]),
        ("x[_N]", [-4] * 4),
        ("x[1.9]", [1] * 4),
        ("x[.]", [NAN] * 4),
        ("math", [0, 1, 2, 3]),
        ("normal(0)", [0.5] * 4),
        ("invnormal(normal(1))", [1] * 4),
        ("invlogit(logit(.3))", [0.3] * 4),
        ("chi2tail(1,3.841458820694124)", [0.05] * 4),
        ("chiprob(1,3.841458820694124)", [0.05] * 4),
        ("ttail(10,2.2281388519649385)", [0.025] * 4),
        ("invttail(10,.025)", [2.2281388519649385] * 4),
        ("Ftail(2,10,4.102821015)", [0.05] * 4),
        ("comb(5,2)", [10] * 4),
        ("lnfactorial(4)", [np.log(24)] * 4),
        ("float(.1)==.1", [0] * 4),
        ("poisson(2,1)", [3 * np.exp(-2)] * 4),
        ("ibeta(3,3,1-invbinomial(5,2,.3))", [0.3] * 4),
        ("hypergeometric(10,4,3,0)", [1 / 6] * 4),
        ("hypergeometric(10,4,3,3)", [1] * 4),
        ("mdy(1,x,2000)", [14610, 14611, NAN, NAN]),
        ("td(1jan1960) + td(29 feb 2000)", [14669] * 4),
        ("td(31dec1959)", [-1] * 4),
        ('date("1/31/2000", "MDY")', [14640] * 4),
        ('date("31 January 2000", "DMY")', [14640] * 4),
        ('date("2000-01-31", "YMD")', [14640] * 4),
        ('date("20000131", "YMD")', [14640] * 4),
        ('date("31.1.60", "DM19Y")', [30] * 4),
        ('date("31.1.60", "DMY", 2050)', [30] * 4),
        ('date("31.1.60", "DMY")', [NAN] * 4),
        ('date("31.2.2000", "DMY")', [NAN] * 4),
        ('date(name, "DMY")', [NAN] * 4),
        ('date("31.1.2000", "DDY")', [NAN] * 4),
        ("year(14640) + month(14640)/100", [2000.01] * 4),
        ("day(14640.9)", [31] * 4),
        ("dow(0)", [5] * 4),
        ("quarter(td(1jul2001))", [3] * 4),
        ("ym(1960,x)", [0, 1, NAN, NAN]),
        ("mofd(td(15mar1961))", [14] * 4),
        ("dofm(ym(1959,12))", [-31] * 4),
        ("year(1e300)", [NAN] * 4),
    ],
)
def test_numbers(source, expected, data):
    np.testing.assert_allclose(value(source, data), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('name+"!"', ["ann!", "bob!", "!", "Zoe!"]),
        ('"ab"*2', ["abab"] * 4),
        ("name[_n+1]", ["bob", "", "Zoe", ""]),
        ("substr(name,-2,.)", ["nn", "ob", "", "oe"]),
        ("substr(name,1,1)", ["a", "b", "", "Z"]),
        ('cond(name=="","?",upper(name))', ["ANN", "BOB", "?", "ZOE"]),
        ('word("one two",2)', ["two"] * 4),
        ('subinstr("aXbX","X","-",1)', ["a-bX"] * 4),
    ],
)
def test_texts(source, expected, data):
    assert value(source, data).tolist() == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('name<"b"', [1, 0, 1, 1]),
        ('name==""', [0, 0, 1, 0]),
        ('inlist(name,"ann","Zoe")', [1, 0, 0, 1]),
        ("length(name)", [3, 3, 0, 3]),
        ('strpos(name,"n")', [2, 0, 0, 0]),
        ('real("2.5")', [2.5] * 4),
        ('"a"<"b"', [1] * 4),
    ],
)
def test_numbers_from_texts(source, expected, data):
    np.testing.assert_allclose(value(source, data), expected)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("name+1", TypeMismatch),
        ("name>1", TypeMismatch),
        ("-name", TypeMismatch),
        ("ln(name)", TypeMismatch),
        ("length(x)", TypeMismatch),
        ("cond(x,1,name)", TypeMismatch),
        ("zz", VariableNotFound),
        ("foo(1)", UnknownFunction),
        ("_pdtr(1,2)", UnknownFunction),
        ("ln()", InvalidSyntax),
        ("e(sample)", NoEstimates),
        ("e(1)", InvalidSyntax),
    ],
)
def test_errors_have_a_place(source, error, data):
    with pytest.raises(error) as caught:
        value(source, data)
    assert caught.value.span is not None


def test_random_numbers_come_from_the_given_source(data):
    first, second = (
        evaluate(parse_expression("runiform()"), data, random=np.random.default_rng(1))
        for _ in range(2)
    )
    assert (first == second).all()
    assert len(set(first)) == 4


def test_estimation_sample(data):
    mask = np.array([True, False, True, False])
    found = evaluate(parse_expression("e(sample)"), data, estimation_sample=mask)
    assert found.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("rows", "expected"), [((2, 3), [0, 1, 1, 0]), ((-2, -1), [0, 0, 1, 1]), ((1, -1), [1] * 4)]
)
def test_sample_by_rows(rows, expected, data):
    assert sample_mask(data, Sample(None, rows)).tolist() == [bool(x) for x in expected]


def test_sample_by_condition_counts_missing_as_large(data):
    sample = Sample(parse_expression("x>1"), (1, 3))
    assert sample_mask(data, sample).tolist() == [False, True, True, False]


@pytest.mark.parametrize("rows", [(1, 5), (0, 2), (3, 2), (-9, 1)])
def test_rows_out_of_range(rows):
    with pytest.raises(GllammError) as caught:
        absolute_rows(rows, 4)
    assert caught.value.rc == 198
    assert caught.value.message == "observation numbers out of range"


def test_evaluation_does_not_change_the_data(data):
    found = value("x", data)
    found[0] = 99
    assert data.column("x")[0] == 1


def test_parts_of_matches(data):
    evaluator = Evaluator(data)

    def texts(source):
        return np.broadcast_to(evaluator.value(parse_expression(source)), (4,)).tolist()

    assert texts('regexm(name, "^(.)(o?)")') == [1, 1, 0, 1]
    assert texts("regexs(1) + regexs(2)") == ["a", "bo", "", "Zo"]
    assert texts("regexs(0) + regexs(3) + regexs(.)") == ["a", "bo", "", "Zo"]
    assert np.isnan(texts('regexm(name, "(")')).all()
    assert texts("regexs(0)") == [""] * 4


def test_days_that_are_none(data):
    with pytest.raises(InvalidSyntax, match="invalid date"):
        value("td(31feb2000)", data)
