"""Abbreviations must be unique, ranges follow the data, patterns must match something."""

import pytest

from gllamm_cli.errors import GllammError, InvalidSyntax, NotAllowed, VariableNotFound
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.varlist import (
    XiTerm,
    expand_varlist,
    find_variable,
    format_item,
    parse_varlist,
)

NAMES = ("id", "x1", "x3", "x2", "s1", "s10", "mathach", "meanses", "x")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("id x1", "id x1"),
        ("x", "x"),
        ("math", "mathach"),
        ("x1-x2", "x1 x3 x2"),
        ("x1 - s1", "x1 x3 x2 s1"),
        ("s*", "s1 s10"),
        ("x?", "x1 x3 x2"),
        ("m*s", "meanses"),
        ("m~h", "mathach"),
        ("*1", "x1 s1"),
        ("_all", " ".join(NAMES)),
        ("x2,x1", "x2 x1"),
        ("", ""),
    ],
)
def test_expansion(source, expected):
    assert expand_varlist(parse_varlist(whole(source)), NAMES) == tuple(expected.split())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("m", "m ambiguous abbreviation"),
        ("zz", "variable zz not found"),
        ("zz*", "variable zz* not found"),
        ("s~", "s~ ambiguous abbreviation"),
        ("id-zz", "variable zz not found"),
    ],
)
def test_unknown_and_ambiguous_names(source, message):
    with pytest.raises(VariableNotFound) as caught:
        expand_varlist(parse_varlist(whole(source)), NAMES)
    assert caught.value.message == message
    assert caught.value.span is not None


def test_ambiguity_names_the_candidates_and_typos_are_suggested():
    with pytest.raises(VariableNotFound) as caught:
        find_variable("m", NAMES)
    assert "mathach, meanses" in caught.value.hint
    with pytest.raises(VariableNotFound) as caught:
        find_variable("mathahc", NAMES, in_expression=True)
    assert caught.value.message == "mathahc not found"
    assert "mathach" in caught.value.hint


def test_range_against_the_order_of_the_data():
    with pytest.raises(InvalidSyntax):
        expand_varlist(parse_varlist(whole("x2-x1")), NAMES)


@pytest.mark.parametrize(
    ("source", "term"),
    [
        ("i.group", XiTerm("group")),
        ("I.group", XiTerm("group")),
        ("i.a*i.b", XiTerm("a", "*", "b", True)),
        ("i.a*x", XiTerm("a", "*", "x")),
        ("i.a|x", XiTerm("a", "|", "x")),
    ],
)
def test_xi_terms(source, term):
    assert parse_varlist(whole(source)) == (term,)
    assert parse_varlist(whole(format_item(term))) == (term,)


@pytest.mark.parametrize("source", ["y x i(id) adapt", "y family(binom)", "y x nip(5 7)"])
def test_options_without_a_comma_are_told_from_factor_variables(source):
    with pytest.raises(InvalidSyntax, match="is not a varlist") as caught:
        parse_varlist(whole(source))
    assert caught.value.hint == "options stand behind a comma"


@pytest.mark.parametrize("source", ["c.x", "a#b", "a##b", "i.a#c.x", "ib2.g", "2.g", "i2.g", "o.x"])
def test_factor_variables_are_refused_by_name(source):
    with pytest.raises(NotAllowed) as caught:
        parse_varlist(whole(source))
    assert caught.value.message == "factor variables not allowed"
    assert caught.value.rc == 101
    assert caught.value.span.text == source


@pytest.mark.parametrize("source", ["L.x", "D2.x"])
def test_time_series_operators_are_refused(source):
    with pytest.raises(NotAllowed, match="time-series") as caught:
        parse_varlist(whole(source))
    assert "[_n-1]" in caught.value.hint


@pytest.mark.parametrize("source", ["...", "x.y", "3x", "-x", "x1-", "x1--x2", "i.a|i.b"])
def test_what_is_no_varlist(source):
    with pytest.raises(GllammError) as caught:
        parse_varlist(whole(source))
    assert caught.value.rc == 198
