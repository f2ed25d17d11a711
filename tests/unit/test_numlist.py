"""Lists of numbers in all of Stata's forms; malformed ones are r(121)."""

import pytest

from gllamm_cli.errors import BadNumlist
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.numlist import parse_numlist


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 2 3", [1, 2, 3]),
        ("4, 4,4 , 4", [4, 4, 4, 4]),
        ("1/5", [1, 2, 3, 4, 5]),
        ("5/3", [5, 4, 3]),
        ("1(2)9", [1, 3, 5, 7, 9]),
        ("1[2]5", [1, 3, 5]),
        ("10(-5)0", [10, 5, 0]),
        ("1 3 to 9", [1, 3, 5, 7, 9]),
        ("1 2:4", [1, 2, 3, 4]),
        ("-20 1e2 .5", [-20, 100, 0.5]),
        ("1 2 5/7", [1, 2, 5, 6, 7]),
        ("6 -2466.9376252", [6, -2466.9376252]),
    ],
)
def test_forms(source, expected):
    assert list(parse_numlist(whole(source))) == expected


def test_fractional_steps_reach_the_end():
    assert len(parse_numlist(whole("0(.1)1"))) == 11


@pytest.mark.parametrize(
    "source",
    ["x", "1 2 x", "/3", "1/", "1(0)3", "1(2 3", "3 to 4", "1(1)1e9", "1e999", "1..2 x", "."],
)
def test_malformed(source):
    with pytest.raises(BadNumlist) as caught:
        parse_numlist(whole(source))
    assert caught.value.rc == 121
    assert caught.value.span is not None
