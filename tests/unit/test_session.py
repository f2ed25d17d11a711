"""A session keeps what statements define, and the last fit through every failure."""

import numpy as np
import published
import pytest
from tables import write_clusters

import gllamm_cli
from gllamm_cli.errors import (
    GllammError,
    NoEstimates,
    UnknownCommand,
    VariableNotFound,
)
from gllamm_cli.estimate.records import Unwatched
from gllamm_cli.session import Estimated, Noted, Session


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    session = Session()
    session.use(write_clusters(tmp_path_factory.mktemp("data") / "clusters.csv"))
    return session.dataset


@pytest.fixture
def session(data):
    return Session(data, threads=1)


MODEL = "gllamm y x, i(id) adapt"


def test_a_fit_becomes_the_last_one(session):
    (outcome,) = session.run(MODEL)
    assert isinstance(outcome, Estimated)
    assert outcome.fit is session.fit
    assert outcome.fit.converged
    assert outcome.fit.command == MODEL


def test_a_model_may_stand_without_the_word_gllamm(session):
    (bare,) = session.run("y x, i(id) adapt")
    (full,) = session.run(MODEL)
    assert np.array_equal(bare.fit.estimates, full.fit.estimates)


def test_what_resembles_a_command_is_a_misspelt_command(session):
    with pytest.raises(UnknownCommand, match="gllam is unrecognized"):
        session.run("gllam y x, i(id)")


def test_a_variable_may_resemble_a_command(session):
    (outcome,) = session.run("generate gllam = y; gllam x, i(id)")
    assert outcome.fit.spec.depvar == "gllam"


def test_an_error_keeps_the_fit_and_what_came_before(session):
    session.run(MODEL)
    kept = session.fit
    with pytest.raises(VariableNotFound):
        session.run("eq slope: x\ngllamm y z, i(id)")
    assert session.fit is kept
    assert session.equations == {"slope": ("x",)}


def test_equations_are_expanded_when_defined(session):
    session.run("eq f: x-pass; eq f2: g*")
    assert session.equations == {"f": ("x", "y", "pass"), "f2": ("group",)}


def test_definitions_reach_the_model(session):
    session.run(
        "generate one = 1; eq cons: one; eq slope: x; constraint define 1 [id1_1]one = .7\n"
        "matrix a = (1, .5, 0, .3, 0)"
    )
    (outcome,) = session.run(
        "gllamm y x, i(id) nrf(2) eqs(cons slope) constr(1) adapt from(a) copy iterate(1)"
    )
    fit = outcome.fit
    k = fit.index("id1_1", "one")
    assert fit.estimates[k] == pytest.approx(0.7)
    assert not fit.free[k]
    assert fit.constraint_text == ("[id1_1]one = .7",)


def test_stored_estimates_are_a_matrix_with_names(session):
    session.run(f"{MODEL}; matrix a = e(b); matrix v = e(V)")
    matrix = session.matrices["a"]
    assert np.array_equal(matrix.values[0], session.fit.estimates)
    assert matrix.column_names == (("y", "x"), ("y", "_cons"), ("lns1", "_cons"), ("id1", "_cons"))
    assert session.matrices["v"].values.shape == (4, 4)
    (again,) = session.run("gllamm y x, i(id) adapt from(a)")
    assert again.fit.log_likelihood == pytest.approx(session.fit.log_likelihood, abs=1e-6)


def test_no_stored_estimates_before_a_fit(session):
    with pytest.raises(VariableNotFound, match=r"e\(b\) not found"):
        session.run("matrix a = e(b)")


def test_replay_shows_the_last_fit_with_new_options(session):
    session.run(MODEL)
    (outcome,) = session.run("gllamm, level(90) allc")
    assert outcome.fit is session.fit
    assert (outcome.display.level, outcome.display.all_coefficients) == (90.0, True)


def test_replay_of_a_fit_from_elsewhere():
    fit = published.lsat()
    (outcome,) = Session(fit=fit).run("gllamm")
    assert outcome.fit is fit


def test_replay_without_a_fit(session):
    with pytest.raises(NoEstimates, match="last estimates not found"):
        session.run("gllamm, allc")


def test_replay_switches_standard_errors_as_gllamm_does(session):
    (fitted,) = session.run(f"{MODEL} cluster(town)")
    assert fitted.fit.std_err_type == "cluster"
    noted, model_based = session.run("gllamm")
    assert noted.notes == ("(model-based standard errors; add robust for robust ones)",)
    assert model_based.fit.std_err_type == "model"
    (again,) = session.run("gllamm, cluster(town)")
    assert again.fit.covariance == pytest.approx(fitted.fit.covariance, rel=1e-4)
    assert "clustered data: cluster(town)" in gllamm_cli.render_fit(again.fit)
    (robust,) = session.run("gllamm, robust")
    assert "Robust standard errors\n" in gllamm_cli.render_fit(robust.fit)


def test_replay_without_data_shows_the_robust_errors_it_has(session):
    (fitted,) = session.run(f"{MODEL} robust")
    elsewhere = Session(fit=fitted.fit)
    (shown,) = elsewhere.run("gllamm, robust")
    assert shown.fit is fitted.fit
    with pytest.raises(NoEstimates, match="need the data"):
        elsewhere.run("gllamm, cluster(town)")


def test_noest_leaves_starting_values_and_the_last_fit(session):
    session.run(MODEL)
    kept = session.fit
    session.run("gllamm y x, i(id) noest")
    assert session.fit is kept
    assert session.matrices["M_initf"].column_names[0] == ("y", "x")
    assert session.matrices["M_initr"].column_names == (("id1", "_cons"),)
    assert session.matrices["M_initr"].values.shape == (1, 1)


def test_no_new_mass_keeps_the_last_fit(session):
    session.run("gllamm y x, i(id) ip(f) nip(2); matrix a = e(b)")
    kept = session.fit
    (outcome,) = session.run("gllamm y x, i(id) ip(f) nip(3) from(a) lf0(5 0) gateaux(-1 1 3)")
    assert session.fit is kept
    text = gllamm_cli.render_fit(outcome.fit)
    assert text.startswith("note: maximum gateaux derivative less than 0.00001")
    assert "gllamm model" not in text


def test_a_new_mass_is_announced(session):
    session.run("gllamm y x, i(id) ip(f) nip(2); matrix a = e(b)")
    ll = session.fit.log_likelihood
    (outcome,) = session.run(
        f"gllamm y x, i(id) ip(f) nip(3) from(a) lf0(5 {ll - 1:.10f}) gateaux(-1 1 3)"
    )
    assert session.fit is outcome.fit
    first = gllamm_cli.render_fit(outcome.fit).splitlines()[0]
    assert first.startswith("maximum gateaux derivative is ")


def test_xi_notes_come_before_the_fit(session):
    noted, estimated = session.run("xi: gllamm y x i.group, i(id)")
    assert isinstance(noted, Noted)
    assert noted.notes[0].startswith("i.group           _Igroup_1-3 ")
    assert "_Igroup_3" in session.dataset.names
    assert [name.name for name in estimated.fit.names[:4]] == [
        "x",
        "_Igroup_2",
        "_Igroup_3",
        "_cons",
    ]


def test_generate_notes_missing_values(session):
    (outcome,) = session.run("gen z = x if group == 1")
    assert outcome.notes == ("(36 missing values generated)",)


def test_draws_are_the_same_in_every_session(data):
    draws = []
    for _ in range(2):
        session = Session(data)
        session.run("generate u = uniform()")
        draws.append(session.dataset.column("u"))
    assert np.array_equal(*draws)


def test_outcomes_arrive_one_by_one(session):
    outcomes = session.execute(f"{MODEL}; gllamm y nothing, i(id)")
    assert isinstance(next(outcomes), Estimated)
    with pytest.raises(GllammError):
        next(outcomes)


def test_no_data():
    with pytest.raises(VariableNotFound, match="no variables defined"):
        Session().run(MODEL)


def test_a_listener_hears_of_every_iteration(data):
    heard = []

    class Listener(Unwatched):
        def started(self, request):
            heard.append(request.command)

        def prepared(self, preparation):
            heard.append(preparation)

        def iterated(self, record):
            heard.append(record)

        def finished(self):
            heard.append("finished")

    session = Session(data, listener=Listener())
    session.run(MODEL)
    assert heard[0] == MODEL
    assert heard[1].names == session.fit.names
    assert tuple(heard[2:-1]) == session.fit.iterations
    assert heard[-1] == "finished"


def test_time_for_reading_counts(tmp_path):
    session = Session()
    session.use(write_clusters(tmp_path / "clusters.csv"))
    (outcome,) = session.run(MODEL)
    timing = outcome.fit.timing
    assert timing["read"] > 0
    assert timing["total"] > timing["read"]


def test_one_call_fits_a_table_a_file_or_a_data_set(tmp_path, data):
    path = write_clusters(tmp_path / "clusters.csv")
    fits = [
        gllamm_cli.gllamm(f"gen one = 1; {MODEL}", source, threads=1)
        for source in (str(path), path, data, data.frame)
    ]
    for fit in fits:
        assert fit.log_likelihood == pytest.approx(fits[0].log_likelihood, abs=1e-9)
    with pytest.raises(NoEstimates, match="holds no model"):
        gllamm_cli.gllamm("eq a: x", data)


def test_starting_values_by_name_reach_parameters_of_masses(data):
    """Their numbers are those of levels and classes, not of random effects."""
    session = Session(data)
    masses = MODEL.replace("adapt", "ip(f) nip(2)")
    session.run(masses)
    before = session.fit
    session.run("matrix a = e(b)")
    session.run(masses + " from(a)")
    assert session.fit.log_likelihood == pytest.approx(before.log_likelihood, rel=1e-10)
    assert len(session.fit.iterations) <= 3
