"""What cannot be done is refused with Stata's return code and a sentence, or noted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_options_have_effect import CHOICE, FRAME, LOGIT

from gllamm_cli.data import Dataset
from gllamm_cli.errors import GllammError
from gllamm_cli.session import Session

REFUSED = [
    ("o x, nocons i(id) link(ologit)", 198, "noconstant not allowed with ordinal links"),
    ("o x, i(id) link(mlogit mlogit) lv(kind)", 198, "can only have one mlogit link"),
    ("b x, i(id) family(binom) expanded(set chosen o)", 198, "expanded() needs a nominal link"),
    (f"{CHOICE})", 198, "takes three words"),
    ("o x, i(id) link(mlogit ologit) lv(kind)", 198, "must use expanded option when combining"),
    ("o x, i(id) link(mlogit ologit) lv(kind) expanded(set chosen m)", 198, "must use o in expan"),
    (f"{LOGIT} eqs(one) geqs(f1x)", 198, "geqs(): x varies within id"),
    (f"{LOGIT} geqs(f2)", 198, "refers to a random effects that does not exist"),
    (f"{LOGIT} geqs(f1 f1b)", 198, "more than one geq given for random effect 1"),
    (f"{LOGIT} nrf(2) eqs(one x) bmatrix(L)", 198, "bmatrix must be upper triangular"),
    (f"{LOGIT} nrf(2) eqs(one x) bmatrix(R)", 198, "bmatrix must be square"),
    (f"{LOGIT} bmatrix(L)", 198, "bmatrix can only be used for more than 1 random effect"),
    (
        f"{LOGIT} nrf(2) eqs(one x) bmatrix(S)",
        198,
        "number of rows and columns of B matrix must be",
    ),
    (f"{LOGIT} nrf(2) eqs(one x) bmatrix(nosuch)", 111, "nosuch not a matrix"),
    (f"{LOGIT} ip(f) adapt", 198, "adapt can only be used with ip(g) or ip(m)"),
    (f"{LOGIT} ip(l) adapt", 198, "adapt can only be used with ip(g) or ip(m)"),
    (f"{LOGIT} ip(x)", 198, "ip option x not valid"),
    (f"{LOGIT} ip(m) nip(4)", 198, "must be odd"),
    (f"{LOGIT} nrf(2) eqs(one x) ip(m) nip(6)", 198, "nip must be 5 or 7"),
    (f"{LOGIT} nip(3 4)", 198, "option nip() has 2 arguments, need 1"),
    ("m x, i(id) family(gauss binom)", 198, "need fv option"),
    ("m x, i(id) family(binom) link(logit probit)", 198, "need lv option"),
    ("m x, i(id) family(gauss binom) fv(kind)", 198, "both link() and fam() required"),
    ("m x, i(id) link(ident logit) lv(kind)", 198, "both link() and fam() required"),
    ("m x, i(id) family(nosuch)", 198, "unknown family() nosuch"),
    ("m x, i(id) link(nosuch)", 198, "unknown link() nosuch"),
    ("m x, i(id) family(gauss binom) link(ident logit) fv(item) lv(item)", 459, "no response"),
    ("o x, i(id) link(mlogit) basecategory(9)", 198, "basecategory = 9 not one of the categories"),
    ("o x, i(id) link(ologit) thresh(th th)", 198, "number of threshold equations should be 1"),
    ("o x, i(id) link(ologit) thresh(th) ethresh(th)", 198, "cannot be combined"),
    (f"{LOGIT} search(5) constraints(1)", 198, "search() cannot be combined with constraints()"),
    (f"{LOGIT} ip(f) gateaux(-1 1 5)", 198, "gateaux can't be used without option from()"),
    (f"{LOGIT} ip(f) nip(3) from(a) gateaux(-1 1 5)", 198, "should have length"),
    (f"{LOGIT} eval", 198, "eval not valid without from option"),
    (f"{LOGIT} from(a) copy", 189, "from matrix must be dimension 3"),
    (f"{LOGIT} from(nosuch)", 111, "nosuch not a matrix"),
    (f"{LOGIT} weight(nosuch)", 111, "weight variables nosuch not found"),
    (f"{LOGIT} pweight(nosuch)", 111, "probability weight variables nosuch not found"),
    (f"{LOGIT} constraints(7)", 111, "constraint 7 not found"),
    ("item x, nocons i(id) link(mlogit) expanded(set one o)", 198, "has several rows"),
    ("item x, nocons i(id) link(mlogit) expanded(set zero o)", 198, "has no row"),
    (f"{LOGIT} prior(x)", 198, "not yet supported: prior()"),
    ("one x, i(id) link(ologit)", 459, "one has one category only"),
    (f"{LOGIT} ip(f) peqs(px) nip(2)", 402, "varies within id"),
    ("g, nocons i(id) family(poisson) link(nosuch)", 198, "unknown link()"),
]

NOTED = [
    (f"{LOGIT} s(het)", "s() ignored"),
    (f"{LOGIT} nats", "nats ignored"),
    (f"{LOGIT} thresh(th)", "thresh() ignored"),
    (f"{LOGIT} peqs(p)", "peqs() ignored"),
    (f"{LOGIT} basecategory(1)", "basecategory() ignored"),
    (f"{LOGIT} nocorrel", "nocorrel ignored"),
    (f"{LOGIT} gateaux(-1 1 5) from(ok) copy", "gateaux() ignored"),
    (f"{LOGIT} search(5) from(ok) copy", "search() ignored"),
    (f"{LOGIT} frload(4)", "frload(4) ignored"),
    ("g x, i(id) denom(s3)", "denom(s3) ignored"),
    ("g x, i(id) lv(kind)", "lv() ignored"),
]


@pytest.fixture
def session():
    session = Session(Dataset.from_frame(FRAME.assign(zero=0.0)))
    session.run(
        "eq load: i1 i2 i3; eq f1x: x; eq f1: w; eq f1b: w; eq f2: w; eq het: i1 i2 i3; eq th: x; "
        "eq p: w; eq px: x; constraint 1 [b]x = 0; matrix a = (1, 2); matrix ok = (.1, .2, .5); "
        "matrix L = (0, 0 \\ 1, 0); matrix R = (0, 1); matrix S = (0, 1, 0 \\ 0, 0, 0 \\ 0, 0, 0)"
    )
    return session


@pytest.mark.parametrize(("command", "rc", "text"), REFUSED)
def test_refused(command, rc, text, session):
    with pytest.raises(GllammError) as caught:
        session.run(f"gllamm {command}")
    assert text in caught.value.message
    assert caught.value.rc == rc
    assert session.fit is None
    rendered = caught.value.render()
    assert "Traceback" not in rendered
    assert rendered.endswith(f"r({rc});")


@pytest.mark.parametrize(("command", "text"), NOTED)
def test_noted(command, text, session):
    session.run(f"gllamm {command} iterate(1)")
    assert any(text in note for note in session.fit.notes)


@pytest.mark.parametrize("n", [8, 40, 400])
def test_perfect_prediction_is_seen_in_small_and_large_data(n):
    """Starting values are rough, and must not hide that the likelihood has no maximum."""
    x = np.linspace(-1.0, 1.0, n)
    frame = pd.DataFrame({"y": (x > 0.0) * 1.0, "x": x, "id": np.arange(n) // 4})
    command = "gllamm y x, i(id) family(binom) link(logit) adapt"
    with pytest.raises(GllammError, match="predict the outcome perfectly") as error:
        Session(Dataset.from_frame(frame)).run(command)
    assert error.value.rc == 198
    # Two rows the other way round, and there is a maximum.
    frame.loc[n // 2 - 1, "y"], frame.loc[n // 2, "y"] = 1.0, 0.0
    session = Session(Dataset.from_frame(frame))
    session.run(command)
    assert session.fit.converged and session.fit.log_likelihood < -2.5


@pytest.mark.parametrize(
    ("options", "fixed"),
    [
        ("from(b) copy eval", 0.3),
        ("constraints(1)", 2.0),
        ("constraints(1) from(b) copy long", 2.0),
    ],
)
def test_given_coefficients_need_not_be_determined_by_the_outcomes(options, fixed):
    """All rows with d = 1 are successes, but its coefficient has a value without them."""
    rng = np.random.default_rng(5)
    d = (np.arange(120) % 6 == 0) * 1.0
    y = np.maximum(d, rng.integers(0, 2, 120))
    frame = pd.DataFrame({"y": y, "d": d, "id": np.arange(120) // 4})
    session = Session(Dataset.from_frame(frame))
    session.run("constraint 1 [y]d = 2; matrix b = (.3, -.1, .5)")
    command = "gllamm y d, i(id) family(binom) link(logit) "
    with pytest.raises(GllammError, match="d = 1 predicts success perfectly"):
        session.run(command)
    session.run(command + options)
    assert session.fit.estimates[0] == pytest.approx(fixed, abs=1e-12)
    assert np.isfinite(session.fit.log_likelihood)


def test_choices_without_alternatives_determine_nothing(recwarn):
    """Sets of one alternative have probability 1 whatever the parameters: that is said."""
    n = 40
    frame = pd.DataFrame(
        {"set": np.arange(n) + 1.0, "id": np.arange(n) // 5, "alt": 1.0, "chosen": 1.0}
    )
    frame["x"] = np.random.default_rng(3).normal(size=n)
    frame["one"] = 1.0
    session = Session(Dataset.from_frame(frame))
    session.run(
        "eq c: one\ngllamm alt x, nocons i(id) eqs(c) link(mlogit) expanded(set chosen o) adapt"
    )
    assert not recwarn.list
    assert session.fit.log_likelihood == pytest.approx(0.0, abs=1e-9)
    assert any("does not curve down" in note for note in session.fit.notes)


def test_a_matrix_of_all_parameters_beside_constraints_needs_long():
    frame = pd.DataFrame({"y": [0.0, 1.0] * 20, "x": np.arange(40) % 7, "id": np.arange(40) // 4})
    session = Session(Dataset.from_frame(frame))
    session.run("gllamm y x, i(id) family(binom)\nmatrix a = e(b)\nconstraint 1 [y]x = 0")
    command = "gllamm y x, i(id) family(binom) constraints(1) from(a)"
    with pytest.raises(GllammError, match="from matrix must be dimension 2") as error:
        session.run(command)
    assert "long takes all of them" in (error.value.hint or "")
    session.run(f"{command} long")
