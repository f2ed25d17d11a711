"""Every option of gllamm does something that can be seen, so none can be ignored unnoticed.

``CHECKS`` has an entry for each option; a new option without one fails.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from gllamm_cli.cli import cli
from gllamm_cli.data import Dataset
from gllamm_cli.errors import GllammError
from gllamm_cli.session import Session
from gllamm_cli.stata.options import GLLAMM_OPTIONS, REPLAY_OPTIONS

OPTIONS_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "options.md"


def simulate():
    rng = np.random.default_rng(4)
    n = 240
    person = np.arange(n) // 6
    latent, slope = rng.normal(size=40), 0.6 * rng.normal(size=40)
    x, item = rng.normal(size=n), np.arange(n) % 3 + 1.0
    nu = 0.5 * x + latent[person] + slope[person] * x
    choice = np.argmax(rng.gumbel(size=(n // 3, 3)) + 0.4 * latent[:, None].repeat(2, 0), axis=1)
    return pd.DataFrame(
        {
            "id": person + 1.0,
            "top": person // 8 + 1.0,
            "one": 1.0,
            "x": x,
            "w": rng.normal(size=40)[person],
            "g": nu + rng.normal(size=n),
            "b": (rng.uniform(size=n) < 1 / (1 + np.exp(-nu))).astype(float),
            "n": rng.poisson(np.exp(0.4 * nu)).astype(float),
            "o": np.digitize(nu + rng.logistic(size=n), [-1.0, 0.5]) + 1.0,
            "s3": 3.0,
            "item": item,
            **{f"i{k}": (item == k).astype(float) for k in (1, 2, 3)},
            "kind": np.where(item == 1, 1.0, 2.0),
            "off": 2.0,
            "set": np.arange(n) // 3 + 1.0,
            "chosen": (np.tile([0, 1, 2], n // 3) == choice.repeat(3)).astype(float),
            "wt1": rng.integers(1, 3, n).astype(float),
            "pw2": (1.0 + person % 2),
        }
    ).assign(m=lambda d: np.where(d["kind"] == 1, d["g"], d["b"]))


FRAME = simulate()


@pytest.fixture(scope="module")
def fit():
    known = {}

    def run(command, before=""):
        if (command, before) not in known:
            session = Session(Dataset.from_frame(FRAME))
            session.run("eq load: i1 i2 i3; eq f1: w; eq het: i1 i2 i3; eq th: x; eq p: w")
            session.run("matrix B = (0, 1 \\ 0, 0)")
            if before:
                session.run(before)
            session.run(f"gllamm {command}")
            known[command, before] = session
        return known[command, before].fit

    return run


def names(result):
    return [f"{name.equation}:{name.name}" for name in result.names]


def differ(a, b):
    return abs(a.log_likelihood - b.log_likelihood) > 1e-4


def same(a, b):
    return a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-7)


LOGIT = "b x, i(id) family(binom)"
GAUSS = "g x, i(id)"
SLOPE = "nrf(2) eqs(one x)"
FACTOR = "b, nocons i(id) family(binom)"


def check_i(fit):
    assert names(fit(LOGIT))[-1] == "id1:_cons"
    assert differ(fit(LOGIT), fit("b x, i(top) family(binom)"))


def check_noconstant(fit):
    assert "b:_cons" not in names(fit(LOGIT + " noconstant"))


def check_offset(fit):
    plain, moved = fit(LOGIT), fit(LOGIT + " offset(off)")
    assert same(plain, moved)
    k = plain.index("b", "_cons")
    assert moved.estimates[k] == pytest.approx(plain.estimates[k] - 2.0, abs=1e-4)


def check_nrf(fit):
    assert len(fit(f"{GAUSS} {SLOPE} adapt").spec.latent) == 2


def check_eqs(fit):
    assert names(fit(f"{GAUSS} eqs(load) adapt"))[-3:] == ["id1_1l:i2", "id1_1l:i3", "id1_1:i1"]


def check_frload(fit):
    free = fit(f"{GAUSS} eqs(load) frload(1) constraints(1) adapt",
               "constraint 1 [id1_1]i1 = 1")  # fmt: skip
    assert "id1_1l:i1" in names(free)
    assert same(free, fit(f"{GAUSS} eqs(load) adapt"))


def check_nocorrel(fit):
    plain, without = fit(f"{GAUSS} {SLOPE} adapt"), fit(f"{GAUSS} {SLOPE} nocorrel adapt")
    assert set(names(plain)) - set(names(without)) == {"id1_2_1:_cons"}


def check_bmatrix(fit):
    # With covariances free, a path in their place is the same model.
    path = fit(f"{GAUSS} {SLOPE} bmatrix(B) nocorrel adapt")
    assert names(path)[-1] == "b1_2:_cons"
    assert same(path, fit(f"{GAUSS} {SLOPE} adapt"))


def check_geqs(fit):
    # A random intercept on w is a fixed effect of w.
    regression = fit(f"{GAUSS} eqs(one) geqs(f1) adapt")
    assert names(regression)[-1] == "f1:w"
    assert same(regression, fit("g x w, i(id) adapt"))


def check_peqs(fit):
    with_w, plain = fit(f"{LOGIT} ip(f) nip(2) peqs(p)"), fit(f"{LOGIT} ip(f) nip(2)")
    assert "p2_1:w" in names(with_w)
    assert with_w.log_likelihood > plain.log_likelihood


def check_inter(fit):
    assert differ(fit(f"{LOGIT} {SLOPE}"), fit(f"{LOGIT} nrf(2) eqs(x x) inter(1 2) nocorrel"))


def check_ip(fit):
    plain = fit(f"{LOGIT} nip(4)")
    assert differ(plain, fit(f"{LOGIT} nip(4) ip(l)"))
    assert differ(fit(f"{LOGIT} {SLOPE} ip(m) nip(5)"), fit(f"{LOGIT} {SLOPE} nip(5)"))
    assert names(fit(f"{LOGIT} ip(f) nip(2)"))[-2:] == ["z2_1_1:_cons", "p2_1:_cons"]
    free = fit("b x, nocons i(id) family(binom) ip(fn) nip(2)")
    assert names(free)[-3:] == ["z2_1_1:_cons", "p2_1:_cons", "z2_1_2:_cons"]
    assert same(free, fit(f"{LOGIT} ip(f) nip(2)"))


def check_nip(fit):
    assert differ(fit(f"{GAUSS} nip(5)"), fit(f"{GAUSS} nip(9)"))


def check_constraints(fit):
    tied = fit(LOGIT + " constraints(1)", "constraint 1 [b]x = .25")
    assert tied.estimates[0] == 0.25
    assert not tied.free[0]


def check_weight(fit):
    assert fit(LOGIT + " weight(wt)").n_units[0] == FRAME["wt1"].sum()


def check_pweight(fit):
    weighted = fit(LOGIT + " pweight(pw)")
    assert weighted.std_err_type == "robust"
    assert weighted.n_units == fit(LOGIT).n_units
    assert differ(weighted, fit(LOGIT))


def check_family(fit):
    assert differ(fit("n x, i(id) family(poisson)"), fit("n x, i(id)"))


def check_link(fit):
    assert differ(fit(LOGIT), fit(LOGIT + " link(probit)"))


MIXED = "m x, i(id) family(gauss binom) link(ident logit) fv(kind) lv(kind)"


def check_fv(fit):
    assert names(fit(MIXED)).count("lns1:_cons") == 1
    assert differ(fit(MIXED), fit("m x, i(id)"))


def check_lv(fit):
    several = fit("o, i(id) link(ologit ologit ologit) lv(item)")
    assert names(several)[:6] == [f"_cut{r}{s}:_cons" for r in (1, 2, 3) for s in (1, 2)]


def check_denom(fit):
    assert differ(fit("b x, i(id) family(binom) denom(s3)"), fit(LOGIT))


def check_s(fit):
    several = fit("g x, i(id) s(het)")
    assert [name for name in names(several) if name.startswith("lns1")] == [
        "lns1:i1", "lns1:i2", "lns1:i3",
    ]  # fmt: skip


def check_nats(fit):
    natural, log = fit(f"{GAUSS} nats adapt"), fit(f"{GAUSS} adapt")
    assert same(natural, log)
    s1, lns1 = (f.estimates[f.block("scale")[0]] for f in (natural, log))
    assert s1 == pytest.approx(np.exp(lns1), rel=1e-5)


CHOICE = "item x, nocons i(id) link(mlogit) expanded(set chosen"


def check_expanded(fit):
    assert names(fit(f"{CHOICE} o) eqs(x)")) == ["item:x", "id1_1:x"]
    assert names(fit(f"{CHOICE} m) eqs(x)")) == ["c2:x", "c3:x", "id1_1:x"]


def check_basecategory(fit):
    plain, other = (
        fit("o x, i(id) link(mlogit) init"),
        fit("o x, i(id) link(mlogit) basecategory(3) init"),
    )
    assert names(other) == ["c1:x", "c1:_cons", "c2:x", "c2:_cons"]
    assert same(plain, other)


def check_composite(fit):
    composite = fit("b x, i(id) family(binom) composite(set one i1)")
    assert differ(composite, fit(LOGIT))


def check_thresh(fit):
    free = fit("o, i(id) link(ologit) thresh(th)")
    assert names(free)[:4] == ["_cut11:x", "_cut11:_cons", "_cut12:x", "_cut12:_cons"]
    assert free.log_likelihood > fit("o x, i(id) link(ologit)").log_likelihood - 1e-6


def check_ethresh(fit):
    increments = fit("o, i(id) link(ologit) ethresh(th)")
    plain = fit("o, i(id) link(ologit)")
    assert names(increments)[:2] == ["_cut11:x", "_cut11:_cons"]
    assert increments.log_likelihood > plain.log_likelihood


def check_from(fit):
    evaluated = fit(LOGIT + " from(a) copy eval", "matrix a = (.1, .2, .3)")
    assert evaluated.estimates.tolist() == [0.1, 0.2, 0.3]


def check_copy(fit):
    with pytest.raises(GllammError, match="no column of a"):
        fit(LOGIT + " from(a) eval", "matrix a = (.1, .2, .3)")


def check_skip(fit):
    before = f"gllamm {LOGIT}; matrix a = e(b)"
    with pytest.raises(GllammError, match="extra parameter"):
        fit("b, i(id) family(binom) from(a)", before)
    assert fit("b, i(id) family(binom) from(a) skip", before).converged


def check_long(fit):
    before = "constraint 1 [b]x = .25; matrix a = (9, .2, .3)"
    evaluated = fit(LOGIT + " constraints(1) from(a) copy long eval", before)
    assert evaluated.estimates.tolist() == [0.25, 0.2, 0.3]
    with pytest.raises(GllammError, match="dimension 2"):
        fit(LOGIT + " constraints(1) from(a) copy eval", before)


def check_gateaux(fit):
    before = f"gllamm {LOGIT} ip(f) nip(2); matrix a = e(b)"
    two = fit(f"{LOGIT} ip(f) nip(2)")
    options = f"ip(f) nip(3) from(a) gateaux(-3 3 20) lf0(4 {two.log_likelihood!r})"
    result = fit(f"{LOGIT} {options}", before)
    assert "gateaux" in result.extra
    assert result.log_likelihood >= two.log_likelihood - 1e-6


def check_lf0(fit):
    assert fit(LOGIT + " lf0(1 -170)").spec.reference == (1, -170.0)
    assert "LR chi2(" in printed(f"{LOGIT} lf0(1 -170)")


def check_search(fit):
    searched = fit(f"{GAUSS} eqs(load) search(20) iterate(0)")
    plain = fit(f"{GAUSS} eqs(load) iterate(0)")
    assert searched.iterations[0].log_likelihood > plain.iterations[0].log_likelihood


def check_adapt(fit):
    assert differ(fit(f"{GAUSS} nip(5)"), fit(f"{GAUSS} nip(5) adapt"))
    assert fit(f"{GAUSS} nip(5) adapt").iterations[0].stage == "adaptive"


def check_iterate(fit):
    short = fit(LOGIT + " iterate(1)")
    assert len(short.iterations) == 2
    assert not short.converged


def check_noest(fit):
    session = Session(Dataset.from_frame(FRAME))
    session.run(f"gllamm {LOGIT} noest")
    assert session.fit is None
    assert session.matrices["M_initf"].values.shape == (1, 2)
    assert session.matrices["M_initr"].values.tolist() == [[0.5]]


def check_eval(fit):
    assert not fit(LOGIT + " from(a) copy eval", "matrix a = (.1, .2, .3)").covariance.any()


def check_init(fit):
    assert names(fit(LOGIT + " init")) == ["b:x", "b:_cons"]


def check_robust(fit):
    assert fit(LOGIT + " robust").std_err_type == "robust"
    assert not np.allclose(fit(LOGIT + " robust").covariance, fit(LOGIT).covariance)


def check_cluster(fit):
    assert fit(LOGIT + " cluster(top)").std_err_type == "cluster"


def check_unchanged(option):
    def check(fit):
        assert np.array_equal(fit(f"{LOGIT} {option}").estimates, fit(LOGIT).estimates)

    return check


def printed(command):
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "data.csv")
        FRAME.to_csv(path, index=False)
        result = CliRunner().invoke(cli, ["fit", path, f"gllamm {command}"])
    assert result.exit_code == 0
    return result.stdout


def check_printed(option, present=None, absent=None):
    def check(fit):
        text, plain = printed(f"{LOGIT} {option}"), printed(LOGIT)
        if present is not None:
            assert re.search(present, text)
            assert not re.search(present, plain)
        if absent is not None:
            assert not re.search(absent, text)
            assert re.search(absent, plain)

    return check


CHECKS = {
    name.removeprefix("check_"): function
    for name, function in list(globals().items())
    if name.startswith("check_") and name not in ("check_unchanged", "check_printed")
} | {
    "difficult": check_unchanged("difficult"),
    "nodifficult": check_unchanged("nodifficult"),
    "adoonly": check_printed("adoonly", present="note: adoonly ignored"),
    "level": check_printed("level(90)", present=r"\[90% Conf"),
    "eform": check_printed("eform", present=r"exp\(b\)"),
    "allc": check_printed("allc", present="id1 +\\|"),
    "trace": check_printed("trace", present="General model information"),
    "nolog": check_printed("nolog", absent="Iteration 0"),
    "nodisplay": check_printed("nodisplay", absent="Coef."),
    "dots": check_printed("dots", present=r"(?m)^\.+$"),
    "prior": None,
}


@pytest.mark.parametrize("option", [rule.name for rule in GLLAMM_OPTIONS])
def test_option(option, fit):
    check = CHECKS[option]
    if check is None:
        with pytest.raises(GllammError, match=re.escape(f"not yet supported: {option}()")):
            fit(f"{LOGIT} {option}(x)")
        return
    check(fit)


def test_the_document_has_a_row_for_every_option():
    text = OPTIONS_DOCUMENT.read_text(encoding="utf-8")
    rows = [row.lower() for row in re.findall(r"^\| `(\w+)", text, flags=re.MULTILINE)]
    wanted = [rule.name for rule in (*GLLAMM_OPTIONS, *REPLAY_OPTIONS)]
    assert sorted(rows) == sorted(wanted)
