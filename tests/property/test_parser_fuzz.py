"""Whatever is typed, the parser answers with a tree or with an error the user can mend."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from statements import parse_statement

from gllamm_cli.data import Dataset
from gllamm_cli.errors import GllammError
from gllamm_cli.model.resolve import Definitions, resolve
from gllamm_cli.stata.command import GllammCommand, format_command, parse_gllamm
from gllamm_cli.stata.expression import format_expression, parse_expression
from gllamm_cli.stata.options import GLLAMM_OPTIONS, Argument
from gllamm_cli.stata.source import split_statements
from gllamm_cli.stata.xi import expand_command

VALID = [
    'gllamm y x1-x3 s* i.g if x1 > 1 & t == "a, (b" in -5/l, i(id top) nrf(2, 1) '
    "eqs(x1 x2 x3) l(logit) f(bin) nip(4 5 6) adapt nocons constr(1/3) from(a) copy",
    "xi: gllamm y i.g*x1 i.g*i.id, i(id) family(poiss) offset(x2) weight(wt) lf0(3 -12.5)",
    "gllamm, allc eform level(90)",
    "eq load: x1-x3 s*",
    "constraint define 1 2*[e]a - [#2]b/3 = [e]_b[c] + 1.5",
    "matrix a = (1, 2 \\ e(b), .5) ",
    "matrix a = b[1, 2...]",
    'gen byte z = cond(x1 > ., "m", t[_n-1]) if inlist(x2, 1, .a) in 1/3',
    "xi i.g i.g|x1",
]
SNIPPETS = [
    *"()[]{},.*+-/\\|&!~^=<>:;#'`\"$%@?_\n\t 0129eEd",
    *(
        "if",
        "in",
        "i.",
        "gllamm",
        "xi:",
        "i(id)",
        "==",
        "///",
        "/*",
        "*/",
        "1/0",
        "..",
        '`"',
        "\"'",
    ),
    *("é", "²", "١", "\x00", "1e999", "999999999999999999999", "nip(", "_all", "eq", "c.x"),
]
DATA = Dataset.from_frame(
    pd.DataFrame(
        {
            name: np.arange(1.0, 7.0) % 4
            for name in ("id", "top", "y", "x1", "x2", "x3", "s1", "s2", "g", "wt1")
        }
    ).assign(t="a")
)
DEFINITIONS = Definitions(equations={"load": ("x1", "x2")})


@st.composite
def mutated(draw):
    """A valid statement with pieces cut out, doubled or replaced."""
    text = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 6)))
        text = (
            text[:start] + draw(st.sampled_from(["", text[start:end] * 2, *SNIPPETS])) + text[end:]
        )
    return text


anything = mutated() | st.text(max_size=60) | st.lists(st.sampled_from(SNIPPETS)).map("".join)


def check(text, function):
    """Run; errors must be the user's, print in full and stay inside the text."""
    try:
        return function(text)
    except GllammError as error:
        assert f"r({error.rc});" in error.render()
        if error.span is not None:
            assert 0 <= error.span.start <= error.span.end <= len(error.span.source)
        return None


@given(anything)
@settings(max_examples=400, deadline=2000)
def test_statements(text):
    for statement in check(text, split_statements) or ():
        check(statement, parse_statement)


@given(anything)
@settings(max_examples=400, deadline=2000)
def test_commands_are_read_printed_and_resolved(text):
    tree = check(text, parse_gllamm)
    if tree is None:
        return
    assert parse_gllamm(format_command(tree)) == tree
    if isinstance(tree, GllammCommand):
        check(tree, lambda command: resolve(*expand_command(command, DATA)[:2], DEFINITIONS))


@given(anything)
@settings(max_examples=200, deadline=2000)
def test_expressions(text):
    tree = check(text, parse_expression)
    if tree is not None:
        assert parse_expression(format_expression(tree)) == tree


ARGUMENTS = {
    Argument.NONE: st.just(""),
    Argument.NUMBERS: st.lists(st.sampled_from(["1", "2", "1/3", ".5", "-1"]), min_size=1).map(
        lambda words: f"({' '.join(words)})"
    ),
    Argument.VARIABLES: st.lists(st.sampled_from(["id", "top", "x1-x3", "s*"]), min_size=1).map(
        lambda words: f"({' '.join(words)})"
    ),
    Argument.WORDS: st.lists(st.sampled_from(["load", "x1", "logit", "bin", "g"]), min_size=1).map(
        lambda words: f"({','.join(words)})"
    ),
}


@st.composite
def well_formed(draw):
    """Any options in any order, each spelled with any number of letters that suffices."""
    rules = draw(st.lists(st.sampled_from(GLLAMM_OPTIONS), unique=True, max_size=8))
    options = [
        rule.name[: draw(st.integers(rule.least, len(rule.name)))] + draw(ARGUMENTS[rule.argument])
        for rule in rules
    ]
    return [rule.name for rule in rules], f"y x1, {' '.join(options)}"


@given(well_formed())
@settings(max_examples=200, deadline=2000)
def test_well_formed_options_always_parse(case):
    names, text = case
    tree = parse_gllamm(text)
    assert [option.name for option in tree.options] == names
    assert parse_gllamm(format_command(tree)) == tree
    check(tree, lambda command: resolve(command, DATA, DEFINITIONS))
