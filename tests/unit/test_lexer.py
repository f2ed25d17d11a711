"""Tokens know where they stood; brackets and quotes balance or are refused."""

import pytest

from gllamm_cli.errors import InvalidSyntax, UnbalancedParentheses
from gllamm_cli.stata.lexer import Kind, expression_tokens, frame_tokens, is_name, whole, words


def texts(tokens):
    return [token.text for token in tokens if token.kind is not Kind.END]


def test_expression_tokens_have_their_place():
    source = 'x1 >= .5e1 & s=="a b"'
    tokens = expression_tokens(whole(source))
    assert texts(tokens) == ["x1", ">=", ".5e1", "&", "s", "==", "a b"]
    for token in tokens[:-1]:
        assert source[token.span.start : token.span.end].strip('"') == token.text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x<.", ["x", "<", "."]),
        ("x<.a", ["x", "<", ".a"]),
        ("1..6", ["1", "..", "6"]),
        ("1.5", ["1.5"]),
        ("a~=b", ["a", "~=", "b"]),
        ("x[_n-1]", ["x", "[", "_n", "-", "1", "]"]),
        ('`"say "hi""\'', ['say "hi"']),
    ],
)
def test_expression_tokens(source, expected):
    assert texts(expression_tokens(whole(source))) == expected


def test_frame_keeps_parentheses_and_quotes_whole():
    source = 'y x if s=="a, (b", i(id (x)) nip(4, 4)'
    tokens = list(frame_tokens(whole(source)))
    assert [t.text for t in tokens if t.kind is Kind.GROUP] == ["(id (x))", "(4, 4)"]
    assert sum(t.kind is Kind.COMMA for t in tokens) == 1


@pytest.mark.parametrize(
    ("source", "place"), [("y (x", 2), ("y x)", 3), ("(a]", 2), ('y "x', 2), ('`"x', 0)]
)
def test_unbalanced_is_refused_where_it_stands(source, place):
    with pytest.raises(UnbalancedParentheses) as caught:
        list(frame_tokens(whole(source)))
    assert caught.value.rc == 132
    assert caught.value.span.start == place


def test_characters_without_meaning_are_refused():
    with pytest.raises(InvalidSyntax) as caught:
        expression_tokens(whole("x @ 2"))
    assert caught.value.span.text == "@"


def test_words_are_separated_by_blanks_and_commas():
    assert texts(words(whole(" a,b  c ,d"))) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("name", ["x", "_Igroup_2", "größe", "a" * 32, "id1"])
def test_legal_names(name):
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "1x", "a b", "if", "_cons", "_n", "a" * 33, "x.y", "str8"])
def test_illegal_names(name):
    assert not is_name(name)
