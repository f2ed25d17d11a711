"""Command lines of the manual and of users parse, print and parse again; wrong ones point."""

import itertools

import pytest

from gllamm_cli.errors import GllammError, NotAllowed, VarlistRequired
from gllamm_cli.stata.command import (
    GllammCommand,
    ReplayCommand,
    format_command,
    parse_gllamm,
)
from gllamm_cli.stata.expression import Binary, Name, Number
from gllamm_cli.stata.options import GLLAMM_OPTIONS, REPLAY_OPTIONS, Argument
from gllamm_cli.stata.varlist import NamePattern, NameRange, XiTerm

PUBLISHED = [
    "gllamm ages, nocons i(id) ip(fn) nip(2) lf0(3 -99.5) gateaux(20 60 100) from(a)",
    "gllamm alt a2 a3 a2sex a3sex, nocons expand(patt chosen o) i(scy3) lin(mlogit) "
    "family(binom) nrf(2) eqs(a2 a3) from(a) nip(12) weight(wt) trace",
    "gllamm math , i(school) geqs(f1) diff adapt constr(77) from(b2) copy",
    "gllamm math5 math3, i(school) nrf(2) eqs(sch_c sch_m3) nocor nip(8) weight(wt)",
    "gllamm resp i1 i2 i3 i4 i5, nocons link(logit) fam(bin) i(id) eqs(id) nip(10) w(wt)",
    "gllamm thk prethk cc tv cctv, i(class) trace link(ologit) family(binom) weight(wt) nip(10)",
    "gllamm unceni t1-t4 secondp after decl, i(subj) nip(20) eqs(cons) family(poiss) from(a) "
    "offset(lny) eform",
    "gllamm y i2-i6, i(id) weight(wt) l(oprob) f(binom) thresh(thr) from(a)",
    "xi: gllamm dtlm i.group level, i(id famnum) family(binom) link(logit) nip(8)",
    "gllamm resp x1_1 x2_1 s*, link(id id probit) lv(v) fam(gauss gauss bin) fv(v) s(het) "
    "i(id) eq(load) nocons nip(4, 4, 4, 4)",
    'gllamm y x if z > 1 & s == "a, (b" in 1/10, i(id)',
    "gllamm, allc eform level(90)",
    "gllamm",
]


@pytest.mark.parametrize("source", PUBLISHED)
def test_published_commands_survive_printing(source):
    tree = parse_gllamm(source)
    assert parse_gllamm(format_command(tree)) == tree


def test_tree_of_a_full_command():
    tree = parse_gllamm("y x1-x4 i.g if z>1 in -5/l, i(id top) l(logit) f(bin) nip(4, 8) adapt")
    assert isinstance(tree, GllammCommand)
    assert tree.depvar == NamePattern("y")
    assert tree.items == (NameRange("x1", "x4"), XiTerm("g"))
    assert tree.condition == Binary(">", Name("z"), Number(1.0))
    assert (tree.rows.first, tree.rows.last) == (-5, -1)
    assert [option.name for option in tree.options] == ["i", "link", "family", "nip", "adapt"]
    assert tree.option("nip").numbers == (4, 8)
    assert [word.text for word in tree.option("family").words] == ["bin"]
    assert tree.option("eqs") is None
    assert not tree.xi


def test_order_of_options_and_of_if_and_in_is_free():
    options = ["i(id)", "nip(5)", "adapt"]
    trees = {
        frozenset(parse_gllamm(f"y x, {' '.join(order)}").options)
        for order in itertools.permutations(options)
    }
    assert len(trees) == 1
    assert parse_gllamm("y if x in 1/2, i(id)") == parse_gllamm("y in 1/2 if x, i(id)")


def test_blanks_and_commas_are_optional():
    assert parse_gllamm("y x,i(id)nip(5)adapt") == parse_gllamm("y  x , i ( id ) nip( 5 ), adapt")


@pytest.mark.parametrize(
    ("word", "full"),
    [
        ("i(a)", "i"),
        ("f(a)", "family"),
        ("fam(a)", "family"),
        ("fr(a)", "from"),
        ("frl(1)", "frload"),
        ("fv(a)", "fv"),
        ("l(a)", "link"),
        ("le(90)", "level"),
        ("lv(a)", "lv"),
        ("lf0(1 2)", "lf0"),
        ("e(a)", "eqs"),
        ("ev", "eval"),
        ("ex(a b c)", "expanded"),
        ("eth(a)", "ethresh"),
        ("in", "init"),
        ("inter(1 2)", "inter"),
        ("it(3)", "iterate"),
        ("c(1)", "constraints"),
        ("constr(1)", "constraints"),
        ("comp(a b c)", "composite"),
        ("copy", "copy"),
        ("cl(a)", "cluster"),
        ("noco", "noconstant"),
        ("nocor", "nocorrel"),
        ("noes", "noest"),
        ("nolo", "nolog"),
        ("nodif", "nodifficult"),
        ("nodis", "nodisplay"),
        ("diff", "difficult"),
        ("de(a)", "denom"),
        ("do", "dots"),
        ("s(a)", "s"),
        ("se(3)", "search"),
        ("w(a)", "weight"),
        ("pw(a)", "pweight"),
        ("g(1 2 3)", "gateaux"),
        ("ge(a)", "geqs"),
        ("nats", "nats"),
        ("thres(a)", "thresh"),
        ("b(1)", "basecategory"),
    ],
)
def test_shortest_forms(word, full):
    assert [option.name for option in parse_gllamm(f"y, {word}").options] == [full]


def test_no_word_means_two_options():
    for rules in (GLLAMM_OPTIONS, REPLAY_OPTIONS):
        for rule in rules:
            for length in range(rule.least, len(rule.name) + 1):
                word = rule.name[:length]
                meant = [other.name for other in rules if other.matches(word)]
                assert meant[0] == rule.name or rule.name == word, (word, meant)
                assert len(meant) == 1 or word in ("i", "s"), (word, meant)


@pytest.mark.parametrize("rule", GLLAMM_OPTIONS, ids=lambda rule: rule.name)
def test_arguments_are_required_or_forbidden(rule):
    wrong = rule.name if rule.argument is not Argument.NONE else f"{rule.name}(1)"
    with pytest.raises(GllammError) as caught:
        parse_gllamm(f"y, {wrong}")
    assert caught.value.rc == 198
    assert caught.value.span is not None


@pytest.mark.parametrize(
    ("source", "message", "rc", "place"),
    [
        ("y, foo", "option foo not allowed", 198, "foo"),
        ("y, i(id) technique(nr)", "option technique not allowed", 198, "technique"),
        ("y, i(id) nip(3) nip(5)", "option nip given twice", 198, "nip"),
        ("y, i(id) if x", "option if not allowed", 198, "if"),
        ("... , nrf(4)", "... is not a varlist", 198, "..."),
        ("y x [fw=w], i(id)", "weights not allowed", 101, "[fw=w]"),
        ("y x, i(id", "unbalanced parentheses", 132, "("),
        ("y x), i(id)", "unmatched )", 132, ")"),
        ("y c.x, i(id)", "factor variables not allowed", 101, "c.x"),
        ("y if , i(id)", "invalid syntax: nothing follows if", 198, "if"),
        ("y if x=1, i(id)", "=exp not allowed", 101, "="),
        ("y in 3/x, i(id)", "'3/x' invalid obs no", 198, "3/x"),
        ("y, nip(1 2 x)", "invalid numlist", 121, "x"),
        ("i.g x, i(id)", "invalid syntax: i.g cannot be the response", 198, "i.g"),
    ],
)
def test_errors_point_at_the_token(source, message, rc, place):
    with pytest.raises(GllammError) as caught:
        parse_gllamm(source)
    assert (caught.value.message, caught.value.rc) == (message, rc)
    assert caught.value.span.text == place


def test_a_misspelled_option_is_suggested():
    with pytest.raises(GllammError) as caught:
        parse_gllamm("y, i(id) adpat")
    assert caught.value.hint == "did you mean adapt?"


def test_weights_in_an_expression_are_subscripts():
    tree = parse_gllamm("y if x[w]>1, i(id)")
    assert tree.condition is not None


@pytest.mark.parametrize("source", ["gllamm, i(id)", ", i(id)", "gllamm if x==1", "gllamm in 1/2"])
def test_a_model_needs_a_response(source):
    with pytest.raises(VarlistRequired) as caught:
        parse_gllamm(source)
    assert caught.value.rc == 100


@pytest.mark.parametrize("source", ["gllamm", "gllamm, eform", " gllamm , rob cl(id) level(99)"])
def test_replay(source):
    assert isinstance(parse_gllamm(source), ReplayCommand)


def test_replay_refuses_unknown_options():
    with pytest.raises(GllammError, match="option foo not allowed"):
        parse_gllamm("gllamm, foo")


def test_weight_bracket_hint():
    with pytest.raises(NotAllowed) as caught:
        parse_gllamm("y x [w], i(id)")
    assert "weight()" in caught.value.hint
