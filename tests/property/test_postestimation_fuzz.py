"""Any text after gllapred or gllasim is read or refused; what is read comes back when printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gllamm_cli.errors import GllammError
from gllamm_cli.stata.options import Argument
from gllamm_cli.stata.postestimation import (
    COMMANDS,
    format_postestimation,
    parse_postestimation,
)

NAMES = st.sampled_from(["v", "new", "u1", "_x"])
CONDITIONS = st.sampled_from(["", " if x > 1", " in 2/5", ' if name == "a" & x < .', " in f/-2"])
ARGUMENTS = {
    Argument.NONE: st.just(""),
    Argument.NUMBERS: st.sampled_from(["(2)", "( -1.5 )", "(1e3)"]),
    Argument.WORDS: st.sampled_from(["(a)", "( stub )"]),
    Argument.TEXT: st.sampled_from(["(a)", "( data/scores.dta )"]),
}


@st.composite
def commands(draw):
    name = draw(st.sampled_from(sorted(COMMANDS)))
    rules = draw(st.lists(st.sampled_from(COMMANDS[name]), unique=True, max_size=5))
    options = []
    for rule in rules:
        letters = draw(st.integers(rule.least, len(rule.name)))
        options.append(rule.name[:letters] + draw(ARGUMENTS[rule.argument]))
    text = f"{name} {draw(NAMES)}{draw(CONDITIONS)}"
    return f"{text}, {' '.join(options)}" if options else text


@given(commands())
def test_what_is_read_comes_back_when_printed(text):
    tree = parse_postestimation(text)
    assert parse_postestimation(format_postestimation(tree)) == tree


@given(st.sampled_from(sorted(COMMANDS)), st.text(max_size=40))
def test_any_text_is_read_or_refused(name, text):
    try:
        tree = parse_postestimation(f"{name} {text}")
    except GllammError as error:
        assert error.render().endswith(f"r({error.rc});")
    else:
        assert tree.name == name


@pytest.mark.parametrize("text", ["gllapredx v", "gllamm y", ""])
def test_other_commands_are_refused(text):
    with pytest.raises(GllammError):
        parse_postestimation(text)
