"""The coefficient table: columns that programs and eyes rely on, whatever the numbers."""

import math
from dataclasses import replace

import numpy as np
import published
import pytest

from gllamm_cli.report.coefficients import (
    all_parameters,
    coefficient_row,
    critical_value,
    exponentiated,
    fixed_part,
)
from gllamm_cli.report.lrtest import reference_test
from gllamm_cli.report.table import abbreviate, table_lines

HEADING = "      Coef.   Std. Err.      z    P>|z|     [95% Conf. Interval]"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x", "x"),
        ("twelveletter", "twelveletter"),
        ("verylongname_e", "verylongna~e"),
        ("_IgrouXlevel_12_3", "_IgrouXlev~3"),
    ],
)
def test_long_names_keep_their_beginning_and_last_letter(name, shown):
    assert abbreviate(name) == shown
    assert len(abbreviate(name)) <= 12


def test_row_of_the_specification():
    fit = published.make_fit(
        published.towerl().spec,
        published.fixed("dtlm", [("_Igroup_2", -0.1690688, 0.334248)]),
        command="",
        log_likelihood=-1.0,
        n_units=(2,),
        condition_number=1.0,
    )
    assert table_lines("dtlm", fixed_part(fit)) == [
        "-" * 78,
        f"        dtlm |{HEADING}",
        "-" * 13 + "+" + "-" * 64,
        "   _Igroup_2 |  -.1690688    .334248    -0.51   0.613    -.8241828    .4860452",
        "-" * 78,
    ]


@pytest.mark.parametrize("level", [90.0, 95.0, 99.9, 99.99])
def test_the_heading_ends_where_the_table_ends(level):
    lines = table_lines("y", fixed_part(published.towerl(), level=level), level=level)
    assert len(lines[1]) == 78
    assert lines[1].endswith(f"[{level:g}% Conf. Interval]")


@pytest.mark.parametrize("scale", [1e-300, 1e-8, 1.0, 1e5, 1e9, 1e150])
def test_columns_hold_at_every_size(scale):
    fit = published.towerl()
    fit = replace(fit, estimates=-fit.estimates * scale)
    fit = replace(fit, covariance=fit.covariance * min(scale, 1e150) ** 2)
    for eform in (False, True):
        for line in table_lines("dtlm", fixed_part(fit, eform=eform)):
            assert len(line) == 78


def test_numbers_that_are_not_there_are_dots():
    fit = published.towerl()
    for value in (0.0, np.nan, -1.0):
        covariance = np.full_like(fit.covariance, value)
        line = table_lines("dtlm", fixed_part(replace(fit, covariance=covariance)))[3]
        assert (
            line == "   _Igroup_2 |      -.249          .        .       .            .           ."
        )


def test_eform_keeps_the_test_and_drops_the_constant():
    raw = coefficient_row(published.angina(), 0)
    row = exponentiated(raw)
    assert (row.estimate, row.std_err) == pytest.approx((4.55074, 1.106933))
    assert (row.lower, row.upper) == pytest.approx((2.825099, 7.330446), rel=1e-6)
    assert (row.z, row.p) == (raw.z, raw.p)
    (block,) = fixed_part(published.angina(), eform=True)
    assert "_cons" not in [row.name for row in block.rows]


def test_eform_of_a_model_with_nothing_but_a_constant_shows_it():
    (block,) = fixed_part(published.mixture(), eform=True)
    assert [row.name for row in block.rows] == ["_cons"]


def test_exponentials_beyond_the_largest_number_are_missing():
    fit = published.towerl()
    fit = replace(fit, estimates=fit.estimates + 1000.0)
    row = exponentiated(coefficient_row(fit, 0))
    assert math.isinf(row.estimate)
    assert table_lines("dtlm", fixed_part(fit, eform=True))[3].split()[2] == "."


def test_all_parameters_are_grouped_by_equation():
    blocks = all_parameters(published.factor_structure())
    assert [block.equation for block in blocks] == [
        "y",
        "_cut11",
        "_cut12",
        "lns1",
        "id1_1l",
        "id1_1",
        "id1_2l",
        "id1_2",
        "b1_2",
        "f1",
    ]
    assert blocks[7].rows[0].constrained


def test_critical_values():
    assert critical_value(95.0) == pytest.approx(1.959963984540054, rel=1e-14)
    assert critical_value(90.0) == pytest.approx(1.6448536269514722, rel=1e-14)


def test_small_p_values_keep_their_digits():
    row = coefficient_row(published.towerl(), 2)
    assert row.p == pytest.approx(1.44e-17, rel=0.05)


def test_likelihood_ratio_test_without_degrees_of_freedom_has_no_p():
    fit = published.lsat()
    test = reference_test(replace(fit, spec=replace(fit.spec, reference=(10, -2470.0))))
    assert test.df == 0
    assert math.isnan(test.p)
    assert reference_test(published.towerl()) is None
