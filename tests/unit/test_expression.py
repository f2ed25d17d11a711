"""Precedence is Stata's, and printing an expression can be undone by reading it."""

import pytest

from gllamm_cli.errors import GllammError, NotAllowed, UnbalancedParentheses
from gllamm_cli.stata.evaluate import constant_value
from gllamm_cli.stata.expression import (
    Binary,
    Name,
    Number,
    Prefix,
    format_expression,
    parse_expression,
)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("-2^2", -4),
        ("2^3^2", 64),
        ("2^-1", 0.5),
        ("10-4-3", 3),
        ("24/4/2", 3),
        ("1+2*3", 7),
        ("(1+2)*3", 9),
        ("-2*3+10", 4),
        ("!0==1", 1),
        ("!(0==1)", 1),
        ("!1==1", 0),
        ("1 | 0 & 0", 1),
        ("(1 | 0) & 0", 0),
        ("2 > 1 == 1", 1),
        ("1 + 1 == 2 & 3 < 4", 1),
        ("~0", 1),
        ("1d2", 100),
    ],
)
def test_precedence(source, value):
    assert constant_value(parse_expression(source)) == value


def test_not_binds_tighter_than_comparison():
    assert parse_expression("!a==b") == Binary("==", Prefix("!", Name("a")), Name("b"))


def test_minus_binds_looser_than_power():
    assert parse_expression("-a^2") == Prefix("-", Binary("^", Name("a"), Number(2.0)))


@pytest.mark.parametrize(
    "source",
    [
        "-(a + b) * c",
        "a - (b - c)",
        "(a ^ b) ^ c",
        "a ^ (b ^ c)",
        "(-a) ^ 2",
        "!(a & b) | c",
        'cond(x > ., "m", s)',
        "x[_n - 1]",
        "a ^ (-b)",
        "inlist(x, 1, 2, .a)",
    ],
)
def test_printing_is_undone_by_reading(source):
    tree = parse_expression(source)
    assert parse_expression(format_expression(tree)) == tree


def test_printing_uses_no_needless_parentheses():
    assert format_expression(parse_expression("((a*b)+(c^(2)))")) == "a * b + c ^ 2"


def test_single_equals_sign_is_explained():
    with pytest.raises(NotAllowed) as caught:
        parse_expression("x=1")
    assert caught.value.rc == 101
    assert caught.value.span.text == "="
    assert "==" in caught.value.hint


@pytest.mark.parametrize("source", ["x + * y", "", "1 2", "x +", ",", "f(1,)", "a b", "x=="])
def test_malformed_expressions_are_refused_with_a_place(source):
    with pytest.raises(GllammError) as caught:
        parse_expression(source)
    assert caught.value.span is not None


def test_missing_bracket_points_at_the_open_one():
    with pytest.raises(UnbalancedParentheses) as caught:
        parse_expression("2*(x+1")
    assert caught.value.span.start == 2


def test_endless_expressions_are_refused_not_recursed_into():
    for source in ("(" * 5000 + "1" + ")" * 5000, "+".join(["1"] * 5000), "-" * 5000 + "1"):
        with pytest.raises(GllammError) as caught:
            parse_expression(source)
        assert caught.value.rc == 130


@pytest.mark.parametrize("source", ["2*in", "if + 1", "x > using", "-double"])
def test_words_of_the_language_are_no_variables(source):
    """What `x*in -5/l` meant could not be printed and read again."""
    with pytest.raises(GllammError, match="invalid name"):
        parse_expression(source)


def test_functions_may_be_called_as_types_are():
    assert constant_value(parse_expression("int(2.7) + float(1)")) == 3


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("L.y", "= y[_n-1]"),
        ("x - l2.y", "= y[_n-2]"),
        ("F.y + 1", "= y[_n+1]"),
        ("D.gnp", "= gnp - gnp[_n-1]"),
    ],
)
def test_time_series_operators_are_refused_with_another_way(source, hint):
    with pytest.raises(NotAllowed, match="time-series operators not allowed") as caught:
        parse_expression(source)
    assert hint in caught.value.hint and "." in caught.value.span.text


@pytest.mark.parametrize("source", ["3.x", "1b.x", "c.x#c.x", "2.x#1.z", "2._at", "1.x#z"])
def test_indicators_are_coefficients_or_refused(source):
    node = parse_expression(f"2*{source} - 1", coefficients=True)
    assert node == parse_expression(f"2*_b[{source}] - 1")
    with pytest.raises(NotAllowed, match="factor variables not allowed"):
        parse_expression(f"2*{source} - 1")


def test_numbers_with_exponents_are_no_indicators():
    assert constant_value(parse_expression("2.e2 + 1.d1 + 1.")) == 211


def test_indicators_within_an_equation():
    assert parse_expression("[y]3.x") == parse_expression("_b[y:3.x]")
