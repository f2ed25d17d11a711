"""What a command means, what is refused in which words, and that nothing is ignored silently."""

import numpy as np
import pandas as pd
import pytest
from statements import parse_statement

from gllamm_cli.data import Dataset
from gllamm_cli.errors import GllammError, NotNumeric, NotSupported, TypeMismatch
from gllamm_cli.model.resolve import (
    NOT_YET,
    Definitions,
    display_options,
    resolve,
    resolve_replay,
)
from gllamm_cli.model.spec import CONSTANT, Purpose, Response
from gllamm_cli.stata.command import parse_gllamm
from gllamm_cli.stata.matrices import NamedMatrix
from gllamm_cli.stata.options import GLLAMM_OPTIONS, Argument

NUMERIC = ["y", "x", "x2", "id", "school", "county", "one", "n", "wt1", "wt2", "other3", "lny"]
CONSTRAINTS = [
    "cons 1 [id1]_cons = 1",
    "cons 2 2*x - [lns1]_cons = .5",
    "cons 3 [id1l]x = 1",
    "cons 4 [scho2_1]_cons = 0",
]


@pytest.fixture
def data():
    frame = pd.DataFrame({name: np.arange(6.0) for name in NUMERIC})
    return Dataset.from_frame(frame.assign(txt="a"))


@pytest.fixture
def definitions():
    constraints = [parse_statement(source) for source in CONSTRAINTS]
    return Definitions(
        equations={
            "load": ("x", "x2"),
            "slope": ("x",),
            "one": ("one",),
            "empty": (),
            "old": ("gone",),
        },
        constraints={constraint.number: constraint for constraint in constraints},
        matrices={
            "a": NamedMatrix.row(np.array([1.0, 2.0]), (("y", "x"), ("y", "_cons"))),
            "wide": NamedMatrix.unnamed(np.ones((2, 3))),
            "holes": NamedMatrix.unnamed(np.array([[1.0, np.nan]])),
        },
    )


@pytest.fixture
def request_for(data, definitions):
    return lambda source: resolve(parse_gllamm(source), data, definitions)


@pytest.fixture
def spec_for(request_for):
    return lambda source: request_for(source).spec


def test_simplest_model(request_for):
    request = request_for("gllamm y, i(id)")
    spec = request.spec
    assert (spec.depvar, spec.covariates, spec.constant) == ("y", (), True)
    assert spec.response == Response("gauss", "ident")
    assert spec.has_scale and spec.correlated and not spec.adaptive and not spec.named_effects
    assert spec.purpose is Purpose.FIT
    (level,) = spec.levels
    assert (level.number, level.unit) == (2, "id")
    (effect,) = level.latent
    assert (effect.number, effect.level, effect.index) == (1, 2, 1)
    assert (effect.variables, effect.stem, effect.points) == ((CONSTANT,), "id1", 8)
    assert request.notes == ()
    assert request.command == "gllamm y, i(id)"


def test_names_with_equations_at_several_levels(spec_for):
    spec = spec_for("y x, i(school county) nrf(2 1) eqs(load slope one) nip(4 5 6) adapt nocor")
    assert [(e.number, e.level, e.index, e.stem, e.points) for e in spec.latent] == [
        (1, 2, 1, "sch1_1", 4),
        (2, 2, 2, "sch1_2", 5),
        (3, 3, 1, "cou2_1", 6),
    ]
    assert [e.variables for e in spec.latent] == [("x", "x2"), ("x",), ("one",)]
    assert spec.named_effects and spec.adaptive and not spec.correlated


def test_names_without_equations(spec_for):
    spec = spec_for("y, i(id school county)")
    assert [e.stem for e in spec.latent] == ["id1", "scho2", "coun3"]


def test_a_variable_serves_as_its_own_equation(spec_for):
    spec = spec_for("y, i(id) nrf(2) eqs(x2 empty)")
    assert [e.variables for e in spec.latent] == [("x2",), (CONSTANT,)]


@pytest.mark.parametrize(
    ("options", "response", "has_scale"),
    [
        ("", Response("gauss", "ident"), True),
        ("f(bin)", Response("binom", "logit"), False),
        ("f(POISSON)", Response("poiss", "log"), False),
        ("f(gam)", Response("gamma", "recip"), True),
        ("f(gam) l(log)", Response("gamma", "log"), True),
        ("f(nor)", Response("gauss", "ident"), True),
        ("l(prob)", Response("gauss", "probit"), True),
        ("f(bin) l(cll) denom(n)", Response("binom", "cll", "n"), False),
        ("f(poi) denom(n)", Response("poiss", "log", None), False),
    ],
)
def test_family_and_link(options, response, has_scale, spec_for):
    spec = spec_for(f"y x, i(id) {options}")
    assert (spec.response, spec.has_scale) == (response, has_scale)


def test_full_set_of_options(request_for):
    request = request_for(
        "y x if x > 1 in -4/l, i(id) nocons offset(lny) frload(1) cons(2) from(a) copy long "
        "iterate(5) eval nodifficult lf0(3 -12.5) level(90) eform allc trace nolog nodis dots "
        "weight(wt)"
    )
    spec, display = request.spec, request.display
    assert not spec.constant and not spec.difficult
    assert spec.offset == "lny"
    assert spec.latent[0].free_first_loading
    assert spec.start.names == (("y", "x"), ("y", "_cons"))
    assert (spec.start.copy, spec.start.skip, spec.start.long) == (True, False, True)
    assert (spec.iterate, spec.purpose, spec.reference) == (5, Purpose.EVALUATE, (3, -12.5))
    assert spec.weights == ((1, "wt1"), (2, "wt2"))
    assert spec.sample.rows == (3, 6) and spec.sample.condition is not None
    assert display.level == 90 and display.eform and display.all_coefficients
    assert display.trace and display.dots and not display.log and not display.display


def test_abbreviated_variables_get_their_full_names(spec_for):
    spec = spec_for("y x, i(sch) offset(ln)")
    assert (spec.levels[0].unit, spec.offset) == ("school", "lny")


def test_weights_need_exact_names(spec_for):
    assert spec_for("y, i(id school) weight(other)").weights == ((3, "other3"),)
    with pytest.raises(GllammError) as caught:
        spec_for("y, i(id) weight(w)")
    assert (caught.value.message, caught.value.rc) == ("weight variables w not found", 111)


def test_constraints_carry_coefficients_and_text(spec_for):
    first, second = spec_for("y x, i(id) constr(1/2)").constraints
    assert first.text == "[id1]_cons = 1"
    assert [(t.coefficient, t.equation, t.name) for t in second.terms] == [
        (2, None, "x"),
        (-1, "lns1", "_cons"),
    ]
    assert (second.number, second.value, second.text) == (2, 0.5, "2*[y]x - [lns1]_cons = .5")


@pytest.mark.parametrize(
    ("source", "number", "equation"),
    [
        ("y, i(id) cons(1)", 1, "id1"),
        ("y, i(id) eqs(one) cons(1)", 1, "id1_1"),
        ("y, i(id) eqs(load) cons(3)", 3, "id1_1l"),
        ("y, i(school) nrf(2) eqs(one slope) cons(4)", 4, "sch1_2_1"),
    ],
)
def test_equation_names_of_2001_are_understood(source, number, equation, spec_for):
    (constraint,) = spec_for(source).constraints
    assert constraint.number == number
    assert constraint.terms[0].equation == equation


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ("nocor", "nocorrel ignored: no level has more than one random effect"),
        ("denom(n)", "denom(n) ignored: the family is not binomial"),
        ("nip(1)", "nip(1): variances of random effects are not identified"),
        ("frload(2)", "frload(2) ignored: the model has 1 random effect"),
        ("adoonly", "adoonly ignored: there is only one implementation here"),
        ("skip", "skip ignored: there is no from()"),
        ("link(log)", "link(log) without family(): responses are gaussian, as in gllamm"),
    ],
)
def test_what_has_no_effect_is_said(options, note, request_for):
    assert request_for(f"y x, i(id) {options}").notes == (note,)


@pytest.mark.parametrize("name", NOT_YET)
def test_unsupported_options_are_refused_by_name(name, request_for):
    rule = next(rule for rule in GLLAMM_OPTIONS if rule.name == name)
    argument = {
        Argument.NONE: "",
        Argument.NUMBERS: "(1)",
        Argument.VARIABLES: "(x)",
        Argument.WORDS: "(x)",
    }[rule.argument]
    with pytest.raises(NotSupported) as caught:
        request_for(f"y x, i(id) {name}{argument}")
    assert caught.value.message == f"not yet supported: {name}{'()' if argument else ''}"
    assert caught.value.rc == 198
    assert caught.value.span.text == f"{name}{argument}"


@pytest.mark.parametrize(
    ("link", "kept"),
    [("ologit", False), ("oprobit", False), ("ocll", False), ("mlogit", True), ("sprobit", True)],
)
def test_ordinal_links_take_the_constant_away(link, kept, request_for):
    assert request_for(f"y x, i(id) f(bin) link({link})").spec.constant is kept


@pytest.mark.parametrize(("rule", "points"), [("l", 8), ("m", 15), ("f", 8), ("fn", 8), ("g", 8)])
def test_default_points_depend_on_the_rule(rule, points, request_for):
    assert request_for(f"y x, i(id) ip({rule})").spec.latent[0].points == points


@pytest.mark.parametrize(
    ("source", "message", "rc"),
    [
        ("y x", "option i() required", 198),
        ("y, i(id id)", "i() names id twice", 198),
        ("y, i(nosuch)", "variable nosuch not found", 111),
        ("nosuch, i(id)", "variable nosuch not found", 111),
        ("y w, i(id)", "w ambiguous abbreviation", 111),
        ("y, i(id) nrf(2)", "eqs() option required", 198),
        ("y, i(id) nrf(2 1) eqs(one)", "option nrf() does not contain 1 argument(s)", 198),
        ("y, i(id school) nrf(2)", "option nrf() does not contain 2 argument(s)", 198),
        ("y, i(id) nrf(1.5)", "nrf(): 1.5 is not a number of random effects", 198),
        ("y, i(id) nrf(2) eqs(one)", "1 equations specified in eqs() option, need 2", 198),
        ("y, i(id) eqs(zz)", "equation zz not found", 111),
        ("y, i(id) eqs(_cons)", "equation _cons not found", 111),
        ("y, i(id) eqs(old)", "variable gone not found", 111),
        ("y, i(id) nip(4 5)", "option nip() has 2 arguments, need 1", 198),
        ("y, i(id school) nip(4 5 6)", "option nip() has 3 arguments, need 1 or 2", 198),
        ("y, i(id) nip(0)", "nip(): 0 is not a number of integration points", 198),
        ("y, i(id) nip(2.5)", "nip(): 2.5 is not a number of integration points", 198),
        ("y, i(id) ip(z)", "ip option z not valid", 198),
        ("y, i(id) f(foo)", "unknown family() foo", 198),
        ("y, i(id) l(foo)", "unknown link() foo", 198),
        ("y, i(id) f(bin gauss)", "need fv option", 198),
        ("y, i(id) l(logit id)", "need lv option", 198),
        ("y, i(id) f(foo gauss) fv(x)", "unknown family() foo", 198),
        ("y, i(id) from(zz)", "zz not a matrix", 111),
        ("y, i(id) from(wide)", "from(): wide is 2 x 3, not a row vector", 198),
        ("y, i(id) from(holes)", "from(): holes has missing values", 198),
        ("y, i(id) from(a) copy skip", "copy and skip cannot be combined", 198),
        ("y, i(id) eval", "eval not valid without from option", 198),
        ("y, i(id) init noest", "init and noest cannot be combined", 198),
        ("y, i(id) constr(9)", "constraint 9 not found", 111),
        ("y, i(id) level(9.9)", "level() must be between 10 and 99.99 inclusive", 198),
        ("y, i(id) level(100)", "level() must be between 10 and 99.99 inclusive", 198),
        ("y, i(id) iterate(-1)", "iterate(): -1 is not a number of iterations", 198),
        ("y, i(id) lf0(3)", "option lf0() takes two numbers", 198),
        ("y, i(id) offset(x x2)", "option offset() takes one variable, not 2", 198),
        ("y, i(id) diff nodiff", "difficult and nodifficult cannot be combined", 198),
        ("y in 1/7, i(id)", "observation numbers out of range", 198),
        ("y i.x, i(id)", "factor variables not allowed", 101),
    ],
)
def test_refusals(source, message, rc, request_for):
    with pytest.raises(GllammError) as caught:
        request_for(source)
    assert (caught.value.message, caught.value.rc) == (message, rc)
    assert caught.value.span is not None or message == "option i() required"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("txt x, i(id)", TypeMismatch),
        ("y txt, i(id)", TypeMismatch),
        ("y x, i(txt)", NotNumeric),
        ("y x, i(id) eqs(txt)", TypeMismatch),
        ("y x, i(id) offset(txt)", TypeMismatch),
    ],
)
def test_text_variables_are_refused_where_they_stand(source, error, request_for):
    with pytest.raises(error) as caught:
        request_for(source)
    assert "txt" in caught.value.span.text


def test_replay_options(request_for):
    shown = display_options(parse_gllamm("gllamm, eform allc level(99)"))
    assert (shown.eform, shown.all_coefficients, shown.level) == (True, True, 99)
    assert resolve_replay(parse_gllamm("gllamm")).display.level == 95
    assert resolve_replay(parse_gllamm("gllamm, robust")).robust
    assert not resolve_replay(parse_gllamm("gllamm, robust norob")).robust
    with pytest.raises(NotSupported):
        resolve_replay(parse_gllamm("gllamm, scorefil(f)"))
