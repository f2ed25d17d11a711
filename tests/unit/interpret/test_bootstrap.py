"""bootstrap against refits of samples that are put together by hand."""

import numpy as np
import pandas as pd
import pytest
from scripts import failure, run_do
from test_components import nested

from gllamm_cli import gllamm
from gllamm_cli.after.resample import bootstrap
from gllamm_cli.data import Dataset

MODEL = "gllamm y x, i(room school) adapt"


def after(script, frame=None):
    session, lines, error = run_do(script, frame=nested() if frame is None else frame)
    assert error is None, error.render()
    return session, lines


def copies(frame, unit, count):
    """Clusters repeated with identifiers of their own."""
    pieces = []
    for value, times in zip(np.unique(frame[unit]), count, strict=True):
        for _ in range(int(times)):
            pieces.append(frame[frame[unit] == value].assign(**{unit: len(pieces)}))
    return pd.concat(pieces, ignore_index=True)


def test_replications_are_fits_of_clusters_with_new_identifiers():
    frame = nested()
    fit = gllamm(MODEL, frame, threads=1)
    result = bootstrap(fit, Dataset.from_frame(frame), replications=3, seed=11, threads=1)
    assert result.n_failed == 0
    for stream, found in zip(np.random.SeedSequence(11).spawn(3), result.replications, strict=True):
        count = np.random.default_rng(stream).multinomial(20, np.full(20, 1 / 20))
        again = gllamm(MODEL, copies(frame, "school", count), threads=1)
        np.testing.assert_allclose(found, again.estimates, atol=2e-4)


def test_frequency_weights_stand_for_clusters():
    frame = nested()
    frame["w2"] = (frame.school % 3 + 1).astype(float)
    weighted = gllamm("gllamm y x, i(school) adapt weight(w)", frame.assign(w1=1.0), threads=1)
    result = bootstrap(
        weighted, Dataset.from_frame(frame.assign(w1=1.0)), replications=4, seed=2, threads=1
    )
    total = int(sum(k % 3 + 1 for k in range(20)))
    assert result.n_units == total
    shares = np.array([k % 3 + 1 for k in range(20)]) / total
    stream = np.random.SeedSequence(2).spawn(1)[0]
    count = np.random.default_rng(stream).multinomial(total, shares)
    again = gllamm("gllamm y x, i(school) adapt", copies(frame, "school", count), threads=1)
    np.testing.assert_allclose(result.replications[0], again.estimates, atol=1e-5)


@pytest.mark.parametrize("parametric", [False, True])
def test_a_seed_repeats_with_any_number_of_threads(parametric):
    frame = nested()
    fit = gllamm("gllamm binary x, i(school) link(logit) family(binom) adapt", frame, threads=1)
    data = Dataset.from_frame(frame)
    one, two = (
        bootstrap(fit, data, replications=4, seed=5, parametric=parametric, threads=threads)
        for threads in (1, 2)
    )
    np.testing.assert_array_equal(one.replications, two.replications)
    other = bootstrap(fit, data, replications=4, seed=6, parametric=parametric, threads=1)
    assert (other.replications != one.replications).any()


def test_parametric_errors_are_near_those_of_the_model():
    frame = nested()
    fit = gllamm("gllamm y x, i(school) adapt", frame, threads=1)
    result = bootstrap(
        fit, Dataset.from_frame(frame), replications=200, seed=1, parametric=True, threads=1
    )
    ratio = np.sqrt(np.diag(result.covariance) / np.diag(fit.covariance))
    # The Monte Carlo error of a standard deviation over 200 replications is 5 per cent.
    np.testing.assert_allclose(ratio, 1.0, atol=0.2)
    assert np.all(np.abs(result.bias) < 0.4 * np.sqrt(np.diag(fit.covariance)))


def test_prefix_reports_and_keeps():
    script = "bootstrap, reps(12) seed(4) cluster(school): gllamm y x, i(school) adapt"
    session, lines = after(script)
    found = session.results
    result = bootstrap(found.fit, session.data, replications=12, seed=4)
    np.testing.assert_allclose(found.V, np.cov(result.replications.T))
    np.testing.assert_allclose(found.matrices["se"].values[0], result.replications.std(0, ddof=1))
    np.testing.assert_allclose(found.matrices["bias"].values[0], result.bias)
    # Stata's percentiles: 12 * 0.025 is below 1, so that the ends are the extremes.
    ends = [result.replications.min(0), result.replications.max(0)]
    np.testing.assert_allclose(found.matrices["ci_percentile"].values, ends)
    assert found.all_scalars["N_reps"] == 12.0
    text = "\n".join(lines)
    assert "(Replications based on 20 clusters in school)" in text
    assert "Iteration" not in text
    assert all(len(line) <= 78 for line in lines)
    # The same after the fit, and the seed of the session.
    again, _ = after(f"quietly {MODEL.replace('room ', '')}\nestat bootstrap, reps(12) seed(4)")
    np.testing.assert_array_equal(again.results.V, found.V)
    first, _ = after("set seed 7\nbootstrap, reps(3): gllamm y x, i(school) adapt")
    second, _ = after("set seed 7\nbootstrap, reps(3): gllamm y x, i(school) adapt")
    np.testing.assert_array_equal(first.results.V, second.results.V)


def test_failed_replications_are_counted():
    frame = nested()
    frame["rare"] = (frame.school == 3).astype(float)
    session, lines = after("bootstrap, reps(30) seed(1): gllamm y x rare, i(school) adapt", frame)
    failed = session.returned["N_misreps"]
    # A sample lacks one of 20 schools with probability 0.36.
    assert 3 <= failed <= 20
    assert any(line.startswith(f"Note: {failed:g} of 30 replications failed") for line in lines)


def test_options_of_output_are_named():
    model = "gllamm binary x, i(school) family(binom) link(logit) adapt eform"
    _, lines = after(f"bootstrap, reps(2) seed(1): {model}")
    assert "(eform ignored: bootstrap shows the parameters as they are)" in lines


def test_rows_are_drawn_without_clusters():
    session, _ = after("bootstrap, reps(5) seed(1): gllamm y x, i(school) init")
    assert session.returned["N_reps"] == 5


@pytest.mark.parametrize(
    ("script", "rc"),
    [
        ("bootstrap, reps(1): gllamm y x, i(school) adapt", 498),
        ("bootstrap, reps(5) foo: gllamm y x, i(school) adapt", 198),
        ("bootstrap r(mean), reps(5): summarize x", 198),
        ("bootstrap, reps(5): regress y x", 321),
        ("bootstrap, reps(5) cluster(room): gllamm y x, i(school) adapt", 498),
        ("bootstrap, reps(5) cluster(school) parametric: gllamm y x, i(school) adapt", 498),
        ("bootstrap, reps(5)", 198),
        ("bootstrap, reps(5):", 198),
        ("bootstrap, reps(5): gllamm y x, i(school) pweight(p)", 498),
        ("bootstrap, reps(5): gllamm y zz, i(school)", 111),
    ],
)
def test_refused(script, rc):
    frame = nested().assign(p1=1.0, p2=1.5)
    assert failure(script, frame=frame).rc == rc
