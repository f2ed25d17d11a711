"""Cook's distances: against scores by differences, and against refits without a cluster."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from gllamm_cli.data import Dataset
from gllamm_cli.errors import DifferentData
from gllamm_cli.predict import PredictRequest, Quantity, Rows, StartingPoint, predict
from gllamm_cli.session import Session


def simulated(n_clusters=150, seed=2):
    rng = np.random.default_rng(seed)
    size = rng.integers(5, 12, n_clusters)
    id_ = np.repeat(np.arange(n_clusters), size)
    x = rng.normal(size=len(id_))
    p = expit(0.2 + 0.8 * x + rng.normal(size=n_clusters)[id_])
    y = (rng.random(len(id_)) < p) * 1.0
    weight = rng.integers(1, 3, n_clusters)[id_] * 1.0
    return pd.DataFrame({"id": id_ + 1.0, "x": x, "y": y, "wt2": weight})


FRAME = simulated()


def fitted(options="adapt nip(8)", before="", frame=FRAME):
    session = Session(Dataset.from_frame(frame), threads=1)
    if before:
        session.run(before)
    session.run(f"gllamm y x, i(id) family(binom) {options}")
    return session


def distances(session):
    request = PredictRequest("d", Quantity.COOKSD)
    found = predict(session.fit, session.dataset, request, threads=1)
    assert found.lines == ("(Cook's D will be stored in d)",)
    return found.columns["d"]


def scores_by_differences(session):
    """Gradients of the clusters' contributions in the parameters, (rows, K)."""
    b = session.fit.estimates

    def contributions(values):
        start = StartingPoint("b", (tuple(values),))
        request = PredictRequest("q", Quantity.LL, start=start)
        return predict(session.fit, session.dataset, request, threads=1).columns["q"]

    columns = []
    for k in range(len(b)):
        step = np.zeros(len(b))
        step[k] = 1e-4
        columns.append((contributions(b + step) - contributions(b - step)) / 2e-4)
    return np.column_stack(columns)


@pytest.mark.parametrize("weighted", [False, True])
def test_distances_follow_from_scores_by_differences(weighted):
    session = fitted("nip(8) weight(wt)" if weighted else "nip(8)")
    g = scores_by_differences(session)
    information = np.linalg.inv(session.fit.covariance)
    N = session.fit.n_units[-1]
    blend = (N - 1) / N * information + np.diag(np.diag(information)) / N
    expected = 2 * np.einsum("ij,jk,ik->i", g, np.linalg.inv(blend), g)
    np.testing.assert_allclose(distances(session), expected, rtol=1e-5, atol=1e-9)


def test_distances_are_those_of_refits_without_a_cluster():
    """D_j is to first order 2 (b - b_j)' I (b - b_j)."""
    session = fitted()
    found = distances(session)
    information = np.linalg.inv(session.fit.covariance)
    for cluster in (3.0, 40.0, 77.0, 120.0):
        without = fitted(frame=FRAME[FRAME["id"] != cluster])
        change = session.fit.estimates - without.fit.estimates
        refitted = 2 * change @ information @ change
        assert found[FRAME["id"] == cluster][0] == pytest.approx(refitted, rel=0.15)


def test_constraints_leave_out_fixed_parameters():
    fixed = fitted("nip(8) constraints(1)", "constraint 1 [y]x = 0.8")
    g = scores_by_differences(fixed)[:, 1:]
    information = np.linalg.inv(fixed.fit.covariance[1:, 1:])
    N = fixed.fit.n_units[-1]
    blend = (N - 1) / N * information + np.diag(np.diag(information)) / N
    expected = 2 * np.einsum("ij,jk,ik->i", g, np.linalg.inv(blend), g)
    np.testing.assert_allclose(distances(fixed), expected, rtol=1e-5, atol=1e-9)


def test_a_robust_fit_has_the_distances_of_the_model_based_one():
    np.testing.assert_allclose(distances(fitted("robust")), distances(fitted("")), rtol=1e-8)


def test_other_rows_than_those_of_the_fit_are_refused():
    session = fitted("")
    request = PredictRequest("d", Quantity.COOKSD, rows=Rows(rows=(1, 100)))
    with pytest.raises(DifferentData, match="can't get correct log-likelihood"):
        predict(session.fit, session.dataset, request)


def test_a_model_without_latent_variables_has_one_unit_per_row():
    session = fitted("init")
    found = distances(session)
    p = expit(session.fit.estimates[0] * FRAME["x"] + session.fit.estimates[1])
    g = (FRAME["y"] - p).to_numpy()[:, None] * np.column_stack([FRAME["x"], np.ones(len(FRAME))])
    information = np.linalg.inv(session.fit.covariance)
    N = len(FRAME)
    blend = (N - 1) / N * information + np.diag(np.diag(information)) / N
    expected = 2 * np.einsum("ij,jk,ik->i", g, np.linalg.inv(blend), g)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
