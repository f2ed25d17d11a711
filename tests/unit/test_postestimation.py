"""gllapred and gllasim commands: their form, their messages, what they leave in the data."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gllamm_cli.data import Dataset
from gllamm_cli.errors import GllammError
from gllamm_cli.predict import carry_out
from gllamm_cli.session import Session
from gllamm_cli.stata.named_matrix import NamedMatrix
from gllamm_cli.stata.postestimation import (
    COMMANDS,
    GLLAPRED_OPTIONS,
    GLLASIM_OPTIONS,
    PostestimationCommand,
    format_postestimation,
    is_postestimation,
    parse_postestimation,
)

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "prediction.md"
ARGUMENTS = {"nothing": "", "numbers": "(1)", "words": "(name)", "text": "(name)"}


@cache
def frame():
    rng = np.random.default_rng(0)
    n = 80
    return pd.DataFrame(
        {
            "id": np.arange(n) // 4 + 1.0,
            "top": np.arange(n) // 20 + 1.0,
            "x": rng.normal(size=n),
            "one": 1.0,
            "off": 0.0,
            "y": rng.normal(size=n),
            "b": rng.integers(0, 2, n) * 1.0,
            "o": rng.integers(1, 5, n) * 1.0,
            "item": np.arange(n) % 2 + 1.0,
            "wt1": 1.0,
        }
    )


@cache
def fitted(command):
    session = Session(Dataset.from_frame(frame()), threads=1)
    session.run(f"gllamm {command}")
    return session


LINEAR = "y x, i(id) nip(4)"
ORDINAL = "o x, i(id) link(ologit) nip(4)"
TWO_ORDINAL = "o x, i(id) link(ologit oprobit) lv(item) nip(4)"
NOMINAL = "o x, i(id) link(mlogit) nip(4)"
ONE_LEVEL = "y x, i(id) init"
BINARY = "b x, i(id) family(binom) nip(4)"


def run(command, model=LINEAR, *, data=None, matrices=None):
    session = fitted(model)
    given = session.dataset if data is None else data
    done = carry_out(
        parse_postestimation(command),
        session.fit,
        given,
        matrices=matrices,
        random=np.random.default_rng(1),
    )
    return done.data, done.lines, done.scalars


def new_names(command, model=LINEAR):
    data, _, _ = run(command, model)
    return [name for name in data.names if name not in frame().columns]


@pytest.mark.parametrize(
    ("name", "rule"), [(name, rule) for name, rules in COMMANDS.items() for rule in rules]
)
def test_every_option_is_read_in_full_and_in_its_shortest_form(name, rule):
    argument = ARGUMENTS[rule.argument]
    full = parse_postestimation(f"{name} v, {rule.name}{argument}")
    assert [option.name for option in full.options] == [rule.name]
    assert parse_postestimation(f"{name} v, {rule.name[: rule.least]}{argument}") == full


@pytest.mark.parametrize(
    ("section", "rules"),
    [("## Options of gllapred", GLLAPRED_OPTIONS), ("## Options of gllasim", GLLASIM_OPTIONS)],
)
def test_every_option_is_documented_with_its_shortest_form(section, rules):
    text = DOCUMENT.read_text(encoding="utf-8").partition(section)[2].partition("\n## ")[0]
    shown = {
        cell
        for row in text.splitlines()
        for cell in re.findall(r"`([^`]*)`", row[1:].partition("|")[0])
    }
    assert shown == {rule.name[: rule.least].upper() + rule.name[rule.least :] for rule in rules}


def test_shortest_forms_are_unambiguous():
    for rules in (GLLAPRED_OPTIONS, GLLASIM_OPTIONS):
        for rule in rules:
            matching = [other.name for other in rules if other.matches(rule.name[: rule.least])]
            assert matching == [rule.name]


def test_the_tree_of_a_command():
    found = parse_postestimation("gllapred double v if x > 1 in 2/l, mu ab(1 2) fr(a) fsample")
    assert isinstance(found, PostestimationCommand)
    assert (found.name, found.stub) == ("gllapred", "v")
    assert (found.rows.first, found.rows.last) == (2, -1)
    assert found.option("above").numbers == (1.0, 2.0)
    assert found.option("from").words[0].text == "a"
    assert found.has("fsample")
    assert not found.has("marginal")
    assert parse_postestimation(format_postestimation(found)) == found


@pytest.mark.parametrize("text", ["gllapred v, u", "  gllasim y"])
def test_postestimation_is_recognised(text):
    assert is_postestimation(text)


@pytest.mark.parametrize("text", ["gllamm y, i(id)", "gllapredict v", "gllasim.v"])
def test_other_statements_are_not(text):
    assert not is_postestimation(text)


@pytest.mark.parametrize(
    ("text", "rc", "message"),
    [
        ("gllapred", 100, "varlist required"),
        ("gllapred , u", 100, "varlist required"),
        ("gllapred a b, u", 198, "too many variables specified"),
        ("gllapred 1a, u", 198, "1a invalid name"),
        ("gllapred v, median", 198, "option median not allowed"),
        ("gllapred v, y", 198, "option y not allowed"),
        ("gllasim v, ll", 198, "option ll not allowed"),
        ("gllapred v, outcome(1 2)", 198, "option outcome() takes one number"),
        ("gllapred v, us(a b)", 198, "option us() takes one name"),
        ("gllapred v [fw=x], u", 101, "weights not allowed"),
        ("gllapred v, u(2)", 198, "option u takes no argument"),
    ],
)
def test_what_cannot_be_read(text, rc, message):
    with pytest.raises(GllammError) as caught:
        parse_postestimation(text)
    assert (caught.value.rc, caught.value.message) == (rc, message)


REFUSED = [
    ("gllapred v, u mu", LINEAR, 198,
     "only one of these options allowed: xb, u, fac, linpred, mu, ll, p, s, deviance, pearson, "
     "anscombe, dfbeta"),
    ("gllapred v, corr", LINEAR, 198, "corr option allowed only with u option"),
    ("gllapred v, p", ONE_LEVEL, 198, "p option not valid for 1 level model"),
    ("gllapred v, u", ONE_LEVEL, 198, "u, and fac options not valid for 1-level model"),
    ("gllapred v, fac", ONE_LEVEL, 198, "u, and fac options not valid for 1-level model"),
    ("gllapred v, u nooff", LINEAR, 198,
     "nooffset option only allowed with xb, mu or linpred options"),
    ("gllapred v, us(e)", LINEAR, 198,
     "us() option only valid with mu, pearson, deviance or anscombe"),
    ("gllapred x, u", LINEAR, 110, "x already defined"),
    ("gllapred v if x > 100, u", LINEAR, 2001, "insufficient observations"),
    ("gllapred v, mu", ORDINAL, 198, "must specify above() option for ordinal responses"),
    ("gllapred v, mu above(1 2 3)", TWO_ORDINAL, 198, "wrong length of numlist in above() option"),
    ("gllapred v, mu above(7)", ORDINAL, 198, "7 not a category for 1th ordinal response"),
    ("gllapred v, mu above(4)", ORDINAL, 198, "4 is highest category for 1th ordinal response"),
    ("gllapred v, mu above(1 4)", TWO_ORDINAL, 198,
     "4 is highest category for 2th ordinal response"),
    ("gllapred v, mu", NOMINAL, 198,
     "must specify outcome() option for nominal responses unless data in expanded form"),
    ("gllapred v, mu outcome(9)", NOMINAL, 198, "9 not a category of the nominal response"),
    ("gllapred v, mu from(a)", LINEAR, 111, "a not a matrix"),
    ("gllapred v, mu from(short)", LINEAR, 111, "from matrix has 2 columns but should have 4"),
    ("gllapred v, mu from(tall)", LINEAR, 111, "from matrix has more than one row"),
    ("gllapred v, mu us(e)", LINEAR, 111, "variable e1 not found"),
    ("gllapred v, p", "y x, i(id top) nip(4)", 301,
     "cannot compute posterior probabilities in higher level models"),
    ("gllapred v, p", "y x, i(id) nrf(2) eqs(one x) nip(4)", 301,
     "cannot compute posterior probabilities for more than 1 continuous latent variable"),
    ("gllapred v, s", BINARY, 198, "s option not valid: the model has no level-1 scale parameter"),
    ("gllapred v, u scorefil(f)", LINEAR, 198, "scorefil() option only allowed with cooksd"),
    ("gllapred v, u adapt", "y x, i(id) ip(f) nip(2)", 198,
     "adapt can only be used with ip(g) or ip(m) option"),
    ("gllasim v, u fac", LINEAR, 198,
     "only one of these option allowed: u, fac, linpred or mu"),
    ("gllasim v, u", ONE_LEVEL, 198, "u and fac options not valid for 1 level model"),
    ("gllasim v, nooff", LINEAR, 198, "nooffset option only allowed with linpred or mu option"),
    ("gllasim v, u us(e)", LINEAR, 198, "u option does not make sense with us() option"),
    ("gllasim x", LINEAR, 110, "x already defined"),
    ("gllasim v in 1", LINEAR, 2001, "insufficient observations"),
    ("gllasim v, mu", ORDINAL, 198, "must specify above() option for ordinal responses"),
    ("gllasim v, mu", NOMINAL, 198,
     "must specify outcome() option for nominal responses unless data in expanded form"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "model", "rc", "message"), REFUSED)
def test_what_gllapred_and_gllasim_refuse(text, model, rc, message):
    matrices = {
        "short": NamedMatrix.row([1.0, 2.0], [("", "c1"), ("", "c2")]),
        "tall": NamedMatrix(np.ones((2, 4)), (("", "r1"), ("", "r2")), (("", "c"),) * 4),
    }
    with pytest.raises(GllammError) as caught:
        run(text, model, matrices=matrices)
    assert (caught.value.rc, caught.value.message) == (rc, message)


def test_what_was_printed_before_an_error_is_kept():
    with pytest.raises(GllammError) as caught:
        run("gllapred v, mu", ORDINAL)
    assert caught.value.printed == ("(mu will be stored in v)",)
    with pytest.raises(GllammError) as caught:
        run("gllapred v, corr")
    assert caught.value.printed == ()


@pytest.mark.parametrize(("option", "what"), [("u", "posterior"), ("mu", "posterior or ll")])
def test_a_log_likelihood_that_cannot_be_computed(option, what):
    data = Dataset.from_frame(frame().assign(y=np.where(np.arange(80) == 3, 1e200, frame()["y"])))
    with pytest.raises(GllammError) as caught:
        run(f"gllapred v, {option}", data=data)
    assert (caught.value.rc, caught.value.message) == (198, "log-likelihood cannot be computed")
    assert f"should not contribute to {what}, set response" in caught.value.hint


def test_cooks_distances_need_a_covariance_matrix():
    session = Session(Dataset.from_frame(frame()), threads=1)
    session.run("matrix b = (0, 0, 0, 1)")
    session.run("gllamm y x, i(id) nip(4) from(b) copy eval")
    with pytest.raises(GllammError) as caught:
        carry_out(parse_postestimation("gllapred v, cooksd"), session.fit, session.dataset)
    assert (caught.value.rc, caught.value.message) == (
        198,
        "parameter covariance matrix not invertible",
    )


def test_existing_suffixed_names_are_refused():
    data = fitted(LINEAR).dataset.with_column("vm1", np.zeros(80))
    with pytest.raises(GllammError) as caught:
        run("gllapred v, u", data=data)
    assert (caught.value.rc, caught.value.message) == (110, "vm1 already defined")


def test_without_a_fit():
    with pytest.raises(GllammError) as caught:
        carry_out(parse_postestimation("gllapred v"), None, fitted(LINEAR).dataset)
    assert (caught.value.rc, caught.value.message) == (301, "gllamm was not the last command")


@pytest.mark.parametrize(
    ("text", "model", "names", "first"),
    [
        ("gllapred v", LINEAR, ["v"], "(xb will be stored in v)"),
        ("gllapred v, s", LINEAR, ["v"], "(s will be stored in v)"),
        ("gllapred v, u", LINEAR, ["vm1", "vs1"],
         "(means and standard deviations will be stored in vm1 vs1)"),
        ("gllapred v, ustd", LINEAR, ["vm1", "vs1"],
         "(means and standard deviations will be stored in vm1 vs1)"),
        ("gllapred v, fac", LINEAR, ["vm1"], "(means will be stored in vm1)"),
        ("gllapred v, p", LINEAR, ["v1", "v2", "v3", "v4"],
         "(probabilities will be stored in v1 v2 v3 v4)"),
        ("gllapred v, linpred", LINEAR, ["v"], "(linear predictor will be stored in v)"),
        ("gllapred v, linpred", ONE_LEVEL, ["v"],
         "linpred option equivalent to xb for this model"),
        ("gllapred v, mu", LINEAR, ["v"], "(mu will be stored in v)"),
        ("gllapred v, ll", LINEAR, ["v"], "(ll will be stored in v)"),
        ("gllapred v, pearson", LINEAR, ["v"], "(residuals will be stored in v)"),
        ("gllapred v, cooksd", LINEAR, ["v"], "(Cook's D will be stored in v)"),
        ("gllasim v", LINEAR, ["v"], "(simulated responses will be stored in v)"),
        ("gllasim v, u", LINEAR, ["vp1"], "(simulated scores will be stored in vp1)"),
        ("gllasim v, fac", LINEAR, ["vp1"], "(simulated scores will be stored in vp1)"),
        ("gllasim v, linpred", LINEAR, ["vp"], "(linear predictor will be stored in vp)"),
        ("gllasim v, mu", LINEAR, ["vp"], "(mu will be stored in vp)"),
        ("gllasim v, y mu", LINEAR, ["v", "vp"], "(simulated responses will be stored in v)"),
        ("gllasim v, adapt", LINEAR, ["v"], "(simulated responses will be stored in v)"),
    ],
)  # fmt: skip
def test_new_variables_and_the_first_line(text, model, names, first):
    data, lines, _ = run(text, model)
    assert [name for name in data.names if name not in frame().columns] == names
    assert lines[0] == first
    assert all(data.storage_types[name] == "double" for name in names)
    assert np.isfinite(data.column(names[0])).all()


def test_correlations_have_a_line_of_their_own():
    model = "y x, i(id) nrf(2) eqs(one x) nip(4)"
    _, lines, _ = run("gllapred v, u corr", model)
    assert lines[:2] == (
        "(means and standard deviations will be stored in vm1 vs1 vm2 vs2)",
        "(correlations will be stored in vc21)",
    )
    assert new_names("gllapred v, u corr", model) == ["vm1", "vs1", "vm2", "vs2", "vc21"]


@pytest.mark.parametrize("option", ["mu", "ll", "p", "pearson", "mu marginal"])
def test_the_log_likelihood_is_printed_after_ordinary_quadrature(option):
    _, lines, scalars = run(f"gllapred v, {option}")
    assert lines[-1].startswith("log-likelihood:-")
    assert scalars["ll"] == pytest.approx(fitted(LINEAR).fit.log_likelihood, rel=1e-9)


@pytest.mark.parametrize("option", ["u", "ustd", "fac", "linpred", "xb", "s", "mu us(x)"])
def test_and_not_where_gllapred_does_not_print_it(option):
    data = fitted(LINEAR).dataset.with_column("x1", np.zeros(80))
    _, lines, _ = run(f"gllapred v, {option}", data=data)
    assert len(lines) == 1


def test_contributions_beyond_the_sample_come_with_a_note():
    _, lines, _ = run("gllapred v, ll fsample")
    assert lines[1:4] == (
        "Note: conditional response probability/density set to 1",
        "      for observartions with missing values",
        "",
    )


def test_adaptive_predictions_show_their_way():
    _, lines, _ = run("gllapred v, u adapt")
    assert lines[1].startswith("Non-adaptive log-likelihood: ")
    assert lines[2].endswith("  ")
    assert lines[3].startswith("log-likelihood:")


@pytest.mark.parametrize(
    ("text", "model", "note"),
    [
        ("gllapred v, u above(1)", ORDINAL, "(above() ignored: it belongs to mu and residuals)"),
        ("gllapred v, mu above(1)", LINEAR, "(above() ignored: there is no ordinal response)"),
        ("gllapred v, ll outcome(1)", NOMINAL,
         "(outcome() ignored: it belongs to mu and residuals)"),
        ("gllapred v, mu outcome(1)", LINEAR, "(outcome() ignored: there is no nominal response)"),
        ("gllapred v, u marginal", LINEAR, "(marginal ignored: it belongs to mu and residuals)"),
        ("gllapred v, mu marginal us(one)", LINEAR,
         "(marginal ignored: us() gives the latent variables)"),
        ("gllapred v, mu marginal", ONE_LEVEL, "(marginal ignored: there are no latent variables)"),
        ("gllapred v, mu us(one)", ONE_LEVEL, "(us() ignored: there are no latent variables)"),
        ("gllapred v, xb adapt", LINEAR, "(adapt ignored: nothing is integrated)"),
        ("gllapred v, mu marginal adapt", LINEAR,
         "(adapt ignored: the prior is integrated by ordinary quadrature)"),
        ("gllapred v, adoonly", LINEAR, "(adoonly ignored: there is only one implementation here)"),
        ("gllasim v, adapt", LINEAR, "(adapt ignored: nothing is integrated in a simulation)"),
        ("gllasim v, above(1)", ORDINAL, "(above() ignored: it belongs to mu)"),
        ("gllasim v, us(one)", ONE_LEVEL, "(us() ignored: there are no latent variables)"),
    ],
)  # fmt: skip
def test_options_without_effect_are_named_after_the_usual_lines(text, model, note):
    data = fitted(model).dataset.with_column("one1", np.zeros(80))
    _, lines, _ = run(text, model, data=data)
    assert lines[-1] == note
    assert not lines[0].endswith(note)


def test_collapsed_data_are_warned_about():
    _, lines, _ = run("gllasim v", "y x, i(id) weight(wt) nip(4)")
    assert lines[0] == (
        "weight option used in gllamm: "
        "It doesn't normally make sense to simulate responses for collapsed data"
    )


@pytest.mark.parametrize("quantity", ["xb", "mu", "linpred"])
def test_predictions_of_a_model_without_latent_variables(quantity):
    b = fitted(ONE_LEVEL).fit.estimates
    data, _, _ = run(f"gllapred v, {quantity}", ONE_LEVEL)
    np.testing.assert_allclose(data.column("v"), b[0] * frame()["x"] + b[1])


def test_row_contributions_of_a_model_without_latent_variables():
    data, lines, _ = run("gllapred v, ll", ONE_LEVEL)
    assert data.column("v").sum() == pytest.approx(fitted(ONE_LEVEL).fit.log_likelihood)
    assert lines[-1].startswith("log-likelihood:")


def test_the_data_are_not_changed_but_for_the_new_variables():
    before = fitted(LINEAR).dataset
    after, _, _ = run("gllapred v, mu")
    kept = after.frame[list(before.names)]
    pd.testing.assert_frame_equal(kept, before.frame, check_column_type=False)
