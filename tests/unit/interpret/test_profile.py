"""estat profile: the likelihood at the ends, open sides, and what is refused."""

import numpy as np
import pytest
from scipy import optimize, stats
from scripts import failure, run_do
from test_components import nested

FIT = "quietly gllamm y x, i(school) adapt\n"


def after(script, frame=None):
    session, lines, error = run_do(script, frame=nested() if frame is None else frame)
    assert error is None, error.render()
    return session, lines


def gaussian_profile(frame, fixed):
    """Maximum of the random-intercept log likelihood with some of (slope, constant, ln s, sd)."""
    free = [k for k in range(4) if k not in fixed]
    groups = [group[["x", "y"]].to_numpy() for _, group in frame.groupby("school")]

    def negative(point):
        theta = np.zeros(4)
        theta[free] = point
        for k, value in fixed.items():
            theta[k] = value
        total = 0.0
        for rows in groups:
            V = np.exp(2 * theta[2]) * np.eye(len(rows)) + theta[3] ** 2
            total += stats.multivariate_normal.logpdf(
                rows[:, 1], theta[0] * rows[:, 0] + theta[1], V
            )
        return -total

    start = np.array([0.5, 0.0, 0.0, 1.0])[free]
    return -optimize.minimize(negative, start, method="BFGS").fun


@pytest.mark.parametrize(("name", "k"), [("x", 0), ("[lns1]_cons", 2), ("scho1:_cons", 3)])
def test_ends_have_the_criterion_by_an_independent_maximisation(name, k):
    frame = nested()
    session, _ = after(f"{FIT}estat profile {name}", frame)
    table = session.returned_matrices["table"].values[:, 0]
    criterion = stats.chi2.ppf(0.95, 1)
    for end in table[1:3]:
        drop = session.results.log_likelihood - gaussian_profile(frame, {k: end})
        assert 2 * drop == pytest.approx(criterion, abs=1e-4)
    assert table[1] < table[0] < table[2]


def test_all_parameters_points_and_level():
    session, lines = after(f"{FIT}estat profile _all, level(90) points(5)")
    table = session.returned_matrices["table"]
    assert table.column_names == session.results.names
    criterion = stats.chi2.ppf(0.90, 1)
    drops = 2 * (session.results.log_likelihood - table.values[3:])
    np.testing.assert_allclose(drops, criterion, atol=1e-4)
    points = session.returned_matrices["profile"].values
    assert points.shape == (20, 2)
    for k in range(4):
        of_parameter = points[5 * k : 5 * k + 5]
        assert of_parameter[[0, -1], 0] == pytest.approx(table.values[1:3, k])
        np.testing.assert_allclose(of_parameter[[0, -1], 1], table.values[3:, k], atol=1e-4)
    assert "[90% Conf. Interval]" in "\n".join(lines)


def test_variance_that_may_be_zero_is_open_below():
    rng = np.random.default_rng(8)
    frame = nested()
    frame["y"] = frame.x + rng.normal(size=len(frame))
    session, lines = after(f"{FIT}estat profile scho1:_cons", frame)
    table = session.returned_matrices["table"].values[:, 0]
    assert table[1] == 0.0
    assert any("open on the lower side: at the boundary" in line for line in lines)
    drop = session.results.log_likelihood - gaussian_profile(frame, {3: table[2]})
    assert 2 * drop == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-4)


def test_the_sample_of_the_fit_is_found_after_sorting():
    frame = nested()
    model = "quietly gllamm y x in 1/120, i(school) adapt\n"
    commands = ("estat profile x", "estat bootstrap, reps(3) seed(1)", "margins, at(x=1)")
    for command in commands:
        first, before = after(f"{model}{command}", frame)
        second, later = after(f"{model}gsort -x\n{command}", frame)
        assert before[-6:] == later[-6:]
        assert first.returned.keys() == second.returned.keys()


def test_a_coefficient_without_a_finite_estimate_is_open_below():
    frame = nested()
    frame["d"] = (frame.index % 24 == 0).astype(float)
    frame.loc[frame.d == 1, "count"] = 0.0
    model = "quietly gllamm count x d, i(school) family(poisson) link(log) adapt"
    session, lines = after(
        f"{model}\nestat profile d\nmatrix t = r(table)\nscalar best = e(ll)\n"
        "local end = t[3,1]\nconstraint 1 [count]d = `end'\n"
        f"{model} constr(1)\nscalar drop = 2*(best - e(ll))",
        frame,
    )
    assert np.isnan(session.matrices["t"].values[1, 0])
    assert any("open on the lower side: the log likelihood levels off" in line for line in lines)
    assert session.scalars["drop"] == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-4)


def test_logit_with_adaptive_quadrature_equals_a_constrained_fit():
    session, _ = after(
        "quietly gllamm binary x, i(school) family(binom) link(logit) adapt\n"
        "estat profile x\nmatrix t = r(table)\nscalar best = e(ll)\nscalar end = t[2,1]\n"
        "local end = end\nconstraint 1 [binary]x = `end'\n"
        "quietly gllamm binary x, i(school) family(binom) link(logit) adapt constr(1)\n"
        "scalar drop = 2*(best - e(ll))"
    )
    assert session.scalars["drop"] == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-4)


@pytest.mark.parametrize(
    ("text", "rc"),
    [
        (f"{FIT}estat profile", 198),
        (f"{FIT}estat profile zz", 111),
        (f"{FIT}estat profile [zz]x", 111),
        (f"{FIT}estat profile x, points(1)", 498),
        (f"{FIT}estat profile x, level(5)", 198),
        (f"{FIT}estat profile x, foo", 198),
        (f"{FIT}replace y = y + x\nestat profile x", 198),
        (f"{FIT}clear\nestat profile x", 301),
        ("quietly regress y x\nestat profile x", 321),
        (
            "constraint 1 x = 0.5\nquietly gllamm y x, i(school) adapt constr(1)\nestat profile x",
            498,
        ),
    ],
)
def test_refused(text, rc):
    assert failure(text, frame=nested()).rc == rc
