"""Macros expand as Stata expands them."""

import os
import time

import pandas as pd
import pytest
from scripts import failure, printed, run_do


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("local a 5\ndisplay `a'+1", ["6"]),
        ('local a = 2 + 3\ndisplay "`a\'"', ["5"]),
        ('local a = 1/3\ndisplay "`a\'"', [".3333333333333333"]),
        ('local a "one two"\ndisplay "`a\'"', ["one two"]),
        ('display "x`nothing\'y"', ["xy"]),
        ('display 1, 2 ,"a",, "b"', ["1 2 ab"]),
        ("local i 2\nlocal x2 two\ndisplay \"`x`i''\"", ["two"]),
        ('global g abc\ndisplay "$g ${g}d"', ["abc abcd"]),
        ('local k 1\nglobal g1 one\ndisplay "${g`k\'}"', ["one"]),
        ("local i 1\ndisplay `++i'\ndisplay `i'", ["2", "2"]),
        ("local i 1\ndisplay `i++'\ndisplay `i'", ["1", "2"]),
        ("local i 4\nlocal --i\ndisplay `i'", ["3"]),
        ("display `=2^3'", ["8"]),
        ('local b x\nlocal a "\\`b\'"\nlocal b y\ndisplay "`a\'"', ["y"]),
        ("local l a b c\ndisplay \"`: word 2 of `l''\" `: word count `l''", ["b3"]),
        ('local a 1 2 3\nlocal b 2\nlocal c : list a - b\ndisplay "`c\'"', ["1 3"]),
        ('local a 1 2\nlocal b 2 3\nlocal c : list a | b\ndisplay "`c\'"', ["1 2 3"]),
        ('local a b a b\nlocal c : list uniq a\ndisplay "`c\'"', ["b a"]),
        ('local a b a\nlocal c : list sizeof a\ndisplay "`c\'"', ["2"]),
        ('local a a.b.c\nlocal c : subinstr local a "." "-", all\ndisplay "`c\'"', ["a-b-c"]),
        ('local a\ndisplay "[`a\']"', ["[]"]),
        ('matrix m = (1,2)\nmatrix colnames m = u v\ndisplay "`: colnames m\'"', ["u v"]),
        ('local x : display %5.2f 3.14159\ndisplay "`x\'"', ["3.14"]),
        ('tokenize a b c\ndisplay "`2\'"', ["b"]),
        ("local s a b c\ngettoken x s : s\ndisplay \"`x'|`s'\"", ["a| b c"]),
        ('display `"say "hi""\'', ['say "hi"']),
    ],
)
def test_expansion(script, lines):
    assert printed(script) == lines


def test_arguments_of_a_script_are_numbered():
    assert printed("display \"`1'-`2'-`0'\"", arguments=("a", "b")) == ["a-b-a b"]
    assert printed("args x y\ndisplay \"`y'`x'\"", arguments=("a", "b")) == ["ba"]


def test_locals_are_private_to_a_program_and_globals_shared():
    script = """
program define p
    local a inner
    global g inner
end
local a outer
p
display "`a' $g"
"""
    assert printed(script) == ["outer inner"]


def test_a_macro_that_contains_itself_is_an_error():
    assert failure('local a "\\`a\' \\`a\'"\ndisplay "`a\'"').rc == 920


def test_a_macro_that_grows_is_an_error():
    script = "local a x\nforvalues i = 1/40 {\n    local a `a'`a'\n}"
    assert failure(script).rc == 920


def test_temporary_names_are_new_and_dropped():
    script = """
set obs 3
tempvar t
tempname s
gen `t' = _n
scalar `s' = 4
display "`t'" == "`s'"
"""
    session, lines, error = run_do(script)
    assert error is None
    assert "0" in lines
    assert session.dataset.names == ()
    assert not session.scalars


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("quietly summarize x\ndisplay `r(mean)' + 1", ["3.25"]),
        ("quietly summarize x\ndisplay \"`r(N)' `r(mean)'\"", ["4 2.25"]),
        ("quietly regress x z\ndisplay \"`e(depvar)' `e(cmd)' `e(N)'\"", ["x regress 4"]),
        ("display \"`c(N)' `c(k)' `c(pi)'\"", ["4 2 3.141592653589793"]),
        ("local r mean\nquietly summarize x\ndisplay \"`r(`r')'\"", ["2.25"]),
        ("display \"[`r(nothing)'`e(nothing)'`s(x)'`c(nothing)']\"", ["[]"]),
        ("quietly levelsof x\nforeach l in `r(levels)' {\ndisplay `l'\n}", ["1", "2", "4"]),
    ],
)
def test_stored_results_expand_in_macro_quotes(script, lines):
    frame = pd.DataFrame({"x": [1.0, 2.0, 2.0, 4.0], "z": [1.0, 0.0, 2.0, 1.0]})
    assert printed(script, frame=frame) == lines


def test_the_folder_and_the_day_are_known_to_macros():
    day, folder = printed('display "`c(current_date)\'"\ndisplay "`c(pwd)\'"')
    assert day == time.strftime("%d %b %Y")
    assert folder == os.getcwd()


def test_results_of_gllamm_expand_in_macro_quotes():
    frame = pd.DataFrame({"y": [1.0, 3.0, 2.0, 5.0, 4.0, 4.5], "g": [1, 1, 2, 2, 3, 3]})
    script = """
quietly gllamm y, i(g) nip(4)
display reldif(`e(ll)', e(ll)) < 1e-14
display "`e(k)'"
"""
    assert printed(script, frame=frame) == ["1", "3"]
