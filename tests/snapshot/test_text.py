"""Whole printed outputs: Stata's layout is exact characters, blanks included.

``published`` cases show the numbers of the manual. To accept a change, delete the
file and run with GLLAMM_PY_ACCEPT=1; without it a missing file is a failure.
"""

import os
from pathlib import Path

import published
import pytest

from gllamm_cli.model.spec import DisplayOptions
from gllamm_cli.report.iterations import log_lines
from gllamm_cli.report.text import render_fit
from gllamm_cli.report.trace import description_lines

FOLDER = Path(__file__).parent

CASES = {
    "towerl_three_levels": (published.towerl, DisplayOptions()),
    "jsp_nocorrel": (published.jsp_uncorrelated, DisplayOptions()),
    "jsp_covariance": (published.jsp_correlated, DisplayOptions()),
    "jsp_allc": (published.jsp_uncorrelated, DisplayOptions(all_coefficients=True)),
    "jsp_level90": (published.jsp_uncorrelated, DisplayOptions(level=90.0)),
    "jsp_constraints": (published.jsp_constrained, DisplayOptions(all_coefficients=True)),
    "jsp_eval": (published.jsp_evaluated, DisplayOptions()),
    "jsp_init": (published.jsp_fixed_only, DisplayOptions()),
    "lsat_lf0": (published.lsat, DisplayOptions()),
    "angina_eform": (published.angina, DisplayOptions(eform=True)),
    "mixture": (published.mixture, DisplayOptions()),
    "factor_structure": (published.factor_structure, DisplayOptions(eform=True)),
    "classes": (published.classes_with_covariates, DisplayOptions(all_coefficients=True)),
}
STRUCTURES = ("mixture", "factor_structure", "classes_with_covariates")


def check(name, text):
    path = FOLDER / f"{name}.txt"
    if not path.exists() and os.environ.get("GLLAMM_PY_ACCEPT"):
        path.write_text(text)
    assert path.exists(), f"no snapshot {path.name}; GLLAMM_PY_ACCEPT=1 writes it"
    assert text == path.read_text()


@pytest.mark.parametrize("name", CASES)
def test_printed_output(name):
    make, options = CASES[name]
    check(name, render_fit(make(), options) + "\n")


@pytest.mark.parametrize("name", ["lsat", "jsp_correlated", "towerl", *STRUCTURES])
def test_model_description(name):
    fit = getattr(published, name)()
    check(f"{name}_trace", "\n".join(description_lines(fit.spec)) + "\n")


def test_every_line_fits_78_columns_and_rules_are_full_width():
    for make, options in CASES.values():
        for line in render_fit(make(), options).splitlines():
            assert len(line) <= 78 or line.startswith("note: ")
            if line.startswith("---") and "+" not in line:
                assert line == "-" * 78


def test_log_of_ordinary_quadrature():
    assert log_lines(published.towerl().iterations) == [
        "Iteration 0:   log likelihood =     -306.5  (not concave)",
        "Iteration 1:   log likelihood = -305.11873  ",
    ]


def test_log_of_adaptive_quadrature_names_its_two_stages():
    record = published.IterationRecord
    records = [
        record("adaptive", 0, -2757.5283, 1.0),
        record("adaptive", 1, -2757.0805, 1e-3),
        record("newton", 0, -2757.0803, 1e-9),
    ]
    assert log_lines(records) == [
        "",
        "Running adaptive quadrature",
        "Iteration 0:    log likelihood = -2757.5283",
        "Iteration 1:    log likelihood = -2757.0805",
        "",
        "",
        "Adaptive quadrature has converged, running Newton-Raphson",
        "Iteration 0:   log likelihood = -2757.0803  ",
    ]
