"""Published gllapred output, to the printed digits.

The programs that printed it stopped their maximisation early, so that their
predictions belong to the printed estimates rather than to the maximum: those
estimates are handed over in ``from()``.
"""

from __future__ import annotations

import golden_support
import numpy as np
import pytest
from golden_data import DataUnavailable, load

from gllamm_cli.predict import carry_out
from gllamm_cli.session import Session
from gllamm_cli.stata.named_matrix import NamedMatrix
from gllamm_cli.stata.postestimation import parse_postestimation


def session_after(case_id, run_title):
    """Session after the runs of a golden case up to the one named."""
    (case,) = (case for case in golden_support.cases() if case.id == case_id)
    try:
        session = Session(load(case.data[0]), threads=1)
    except DataUnavailable as reason:
        pytest.skip(str(reason))
    for run in case.runs:
        for statement in run.before:
            session.run(statement)
        command = run.command
        if run.start is not None:
            session.run(f"matrix start = ({', '.join(map(repr, run.start))})")
            command += " from(start) copy"
        session.run(command)
        if run.title == run_title:
            return session
    raise ValueError(run_title)


def first_rows(session, unit):
    """First row of each unit, and the units."""
    units, rows = np.unique(session.dataset.column(unit), return_index=True)
    return dict(zip(units.tolist(), rows.tolist(), strict=True))


def gllapred_at(session, values, command):
    """``gllapred`` at parameter values by equation and name."""
    names = [(name.equation, name.name) for name in session.fit.names]
    assert set(values) == set(names)
    session.matrices["printed"] = NamedMatrix.row([values[name] for name in names], names)
    return gllapred(session, f"{command} from(printed)")


def gllapred(session, command):
    """Columns of the new variables and what was printed."""
    done = carry_out(
        parse_postestimation(command), session.fit, session.dataset, matrices=session.matrices
    )
    new = [name for name in done.data.names if name not in session.dataset.names]
    return {name: done.data.column(name) for name in new}, done.lines, done.scalars


def close_in_digits(found, printed, units=1):
    """Equal to within some units of the last printed digit."""
    decimals = len(printed.partition(".")[2])
    assert found == pytest.approx(float(printed), abs=(units + 0.01) * 10.0**-decimals)


@pytest.fixture(scope="module")
def normal_schools():
    """Random intercept and slope of mathematics, adaptive; and the printed estimates."""
    session = session_after("jsp_normal", "correlated, adaptive")
    variances = 4.5788594, -0.3605893, 0.03430316
    first = np.sqrt(variances[0])
    below = variances[1] / first
    values = {
        ("math5", "math3"): 0.6123977,
        ("math5", "_cons"): 30.59295,
        ("lns1", "_cons"): 0.5 * np.log(26.964585),
        ("sch1_1", "cons"): first,
        ("sch1_2", "math3"): np.sqrt(variances[2] - below**2),
        ("sch1_2_1", "_cons"): below,
    }
    return session, values


@pytest.mark.parametrize(
    ("school", "printed"),
    [
        (5.0, {"um1": "-.03653", "um2": "-.00149", "us1": "1.04430", "us2": ".11193"}),
        (6.0, {"um1": ".85082", "um2": "-.07552", "us1": "1.11327", "us2": ".10828"}),
    ],
)
def test_intercepts_and_slopes_of_schools(normal_schools, school, printed):
    """GLLAMM manual (2001), section 3.2.

    The printed constant has five decimals, and so have the targets. us2 is not
    the printed .10956977 and .11470399: the program of 2001 left a covariance
    out of it; these are values in closed form.
    """
    session, values = normal_schools
    columns, lines, scalars = gllapred_at(session, values, "gllapred u, u")
    assert lines[0] == "(means and standard deviations will be stored in um1 us1 um2 us2)"
    assert lines[-1] == "log-likelihood:-2757.0803"
    close_in_digits(scalars["ll"], "-2757.0803")
    for name, text in printed.items():
        close_in_digits(columns[name][first_rows(session, "school")[school]], text)


def test_distribution_of_the_schools(normal_schools):
    session, values = normal_schools
    columns, _, _ = gllapred_at(session, values, "gllapred u, u")
    rows = list(first_rows(session, "school").values())
    first, second = columns["um1"][rows], columns["um2"][rows]
    assert len(rows) == 48
    assert abs(first.mean()) < 1e-5
    for found, printed in (
        (first.std(ddof=1), "1.85322"),
        (first.min(), "-3.83425"),
        (first.max(), "3.27077"),
        (second.std(ddof=1), ".15171"),
        (second.min(), "-.26794"),
        (second.max(), ".33662"),
    ):
        close_in_digits(found, printed)
    covariance = np.cov(first, second)
    for found, printed in zip(
        covariance[[0, 0, 1], [0, 1, 1]], ("3.43442", "-.27781", ".02302"), strict=True
    ):
        close_in_digits(found, printed)


def test_diagnostic_standard_deviations_and_correlations(normal_schools):
    """Standardised means divide by sqrt(prior - posterior variance); manual, section 3.2."""
    session, values = normal_schools
    row = first_rows(session, "school")[5.0]
    columns, _, _ = gllapred_at(session, values, "gllapred v, ustd")
    close_in_digits(columns["vs1"][row], "1.86770")
    close_in_digits(columns["vs2"][row], ".14757")
    columns, _, _ = gllapred_at(session, values, "gllapred c, u corr")
    close_in_digits(columns["cc21"][row], "-.763")
    close_in_digits(columns["cc21"][first_rows(session, "school")[6.0]], "-.734")


@pytest.fixture(scope="module")
def school_classes():
    """Four masses in two dimensions, and the printed estimates."""
    session = session_after("jsp_npml", "four masses by gateaux()")
    p = np.array([0.53340462, 0.0316186, 0.1596556, 0.27532118])
    locations = [
        [-0.34239476, -2.6291197, -3.3806175],
        [0.0631312, 0.88984924, 0.08056978],
    ]
    values = {
        ("math5", "math3"): 0.616916,
        ("math5", "_cons"): 30.65184,
        ("lns1", "_cons"): 0.5 * np.log(26.644581),
    }
    for k in range(3):
        values["p2_" + str(k + 1), "_cons"] = np.log(p[k] / p[3])
        for r, variable in enumerate(("cons", "math3")):
            values[f"z2_{r + 1}_{k + 1}", variable] = locations[r][k]
    return session, values


def test_classes_of_schools(school_classes):
    session, values = school_classes
    columns, lines, _ = gllapred_at(session, values, "gllapred z, u")
    assert lines == ("(means and standard deviations will be stored in zm1 zs1 zm2 zs2)",)
    for school, printed in (
        (5.0, ("-.28268", ".52130", ".05583", ".04961")),
        (6.0, (".59826", "1.49838", "-.03396", ".15184")),
    ):
        row = first_rows(session, "school")[school]
        for name, text in zip(("zm1", "zs1", "zm2", "zs2"), printed, strict=True):
            close_in_digits(columns[name][row], text)


def test_probabilities_of_classes_of_schools(school_classes):
    session, values = school_classes
    columns, lines, _ = gllapred_at(session, values, "gllapred z, p")
    assert lines == (
        "(probabilities will be stored in z1 z2 z3 z4)",
        "prior probabilities",
        "    prob: 0.5334, 0.0316, 0.1597, 0.2753",
        "",
        "locations for random effect 1",
        "     loc: -.3424, -2.629, -3.381, 2.926",
        "",
        "locations for random effect 2",
        "     loc: .0631, .8898, .0806, -.2712",
        "",
        "log-likelihood:-2751.1611",
    )
    largest = np.max(list(columns.values()), axis=0)
    assert len(largest) == 848
    for found, printed in (
        (largest.mean(), ".89406"),
        (largest.std(ddof=1), ".14465"),
        (largest.min(), ".51108"),
        (largest.max(), ".99982"),
    ):
        close_in_digits(found, printed)


def test_classes_of_ages_of_onset():
    session = session_after("onset", "second class by gateaux()")
    _, lines, _ = gllapred(session, "gllapred u, p")
    assert lines == (
        "(probabilities will be stored in u1 u2)",
        "prior probabilities",
        "    prob: 0.2515, 0.7485",
        "",
        "locations for random effect 1",
        "     loc: 16.43, -5.519",
        "",
        "log-likelihood:-373.69749",
    )


def test_repeating_a_grade_in_thailand():
    """Log of gllapred 2.3 in Stata 14, with the successive log likelihoods."""
    session = session_after("thailand", "adaptive, 8 points")
    values = {
        ("rep", "male"): 0.5352029,
        ("rep", "pped"): -0.6271234,
        ("rep", "mses"): -0.2958522,
        ("rep", "_cons"): -2.242161,
        ("scho1", "_cons"): np.sqrt(1.6842414),
    }
    columns, lines, _ = gllapred_at(session, values, "gllapred m, mu")
    assert lines == (
        "(mu will be stored in m)",
        "Non-adaptive log-likelihood: -2722.2211",
        "-2723.0700 -2720.8854 -2720.8393 -2720.8393  ",
        "log-likelihood:-2720.8393",
    )
    data = session.dataset
    school = np.flatnonzero(data.column("school") == 10104)
    printed = {(0, 0): ".03065107", (0, 1): ".01677408", (1, 0): ".05054833", (1, 1): ".02808518"}
    assert len(school) == len(printed)
    for row in school:
        text = printed[data.column("male")[row], data.column("pped")[row]]
        close_in_digits(columns["m"][row], text, units=3)
