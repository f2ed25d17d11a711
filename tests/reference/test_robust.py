"""Robust standard errors against a sandwich from differences of per-cluster log likelihoods."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from direct import Level, binary, hermite, log_likelihood
from scipy.special import expit

from gllamm_cli.data import Dataset
from gllamm_cli.errors import GllammError
from gllamm_cli.session import Session

POINTS = 5


def simulate():
    rng = np.random.default_rng(8)
    n = 240
    person = np.arange(n) // 4
    latent = rng.normal(size=60)[person]
    x = rng.normal(size=n)
    y = rng.uniform(size=n) < expit(0.5 * x - 0.2 + latent)
    return pd.DataFrame(
        {
            "id": person + 1.0,
            "region": person // 6 + 1.0,
            "x": x,
            "y": y.astype(float),
            "wt2": (person % 3 + 1).astype(float),
            "pw2": 0.5 + (person % 5) / 4,
        }
    )


FRAME = simulate()


def cluster_values(theta, frame=FRAME):
    """Log likelihood of each person at theta, unweighted."""

    def density(rows, v):
        return binary(rows["y"], expit(theta[0] * rows["x"] + theta[1] + theta[2] * v["u"]))

    level = [Level("id", *hermite(("u",), POINTS))]
    return np.array([log_likelihood(rows, level, density) for _, rows in frame.groupby("id")])


def scores(theta, step=1e-5):
    out = []
    for k in range(len(theta)):
        up, down = theta.copy(), theta.copy()
        up[k] += step
        down[k] -= step
        out.append((cluster_values(up) - cluster_values(down)) / (2 * step))
    return np.column_stack(out)


def fit(options):
    session = Session(Dataset.from_frame(FRAME))
    session.run(f"gllamm y x, i(id) family(binom) nip({POINTS}) {options}")
    return session.fit


@pytest.mark.parametrize("weights", ["", "weight(wt)", "pweight(pw)", "weight(wt) pweight(pw)"])
@pytest.mark.parametrize("clustered", [False, True])
def test_sandwich(clustered, weights):
    result = fit(f"{weights} {'cluster(region)' if clustered else 'robust'}")
    persons = FRAME.groupby("id").first()
    frequency = persons["wt2"].to_numpy() if "weight(wt)" in weights else np.ones(60)
    sampling = persons["pw2"].to_numpy() if "pw" in weights else np.ones(60)
    u = sampling[:, None] * scores(result.estimates)
    V = result.model_covariance
    if clustered:
        sums = pd.DataFrame(frequency[:, None] * u).groupby(persons["region"].to_numpy()).sum()
        middle, J = sums.to_numpy().T @ sums.to_numpy(), len(sums)
    else:
        middle, J = (u * frequency[:, None]).T @ u, frequency.sum()
    expected = J / (J - 1) * V @ middle @ V
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-6, atol=1e-10)
    assert result.std_err_type == ("cluster" if clustered else "robust")


def test_weighted_scores_sum_to_zero_at_the_estimates():
    result = fit("pweight(pw)")
    total = (FRAME.groupby("id")["pw2"].first().to_numpy()[:, None] * scores(result.estimates)).sum(
        0
    )
    np.testing.assert_allclose(total, 0.0, atol=1e-6)


def test_model_based_covariance_is_the_inverse_of_the_information():
    """Differences of the scores summed over persons."""
    result = fit("robust")
    step = 1e-4
    rows = []
    for k in range(3):
        up, down = result.estimates.copy(), result.estimates.copy()
        up[k] += step
        down[k] -= step
        rows.append((scores(up).sum(0) - scores(down).sum(0)) / (2 * step))
    np.testing.assert_allclose(result.model_covariance, np.linalg.inv(-np.array(rows)), rtol=1e-4)


def test_without_latent_variables_it_is_white_with_n_over_n_minus_1():
    result = fit("init robust")
    X = np.column_stack([FRAME["x"], np.ones(len(FRAME))])
    p = expit(X @ result.estimates)
    bread = np.linalg.inv((X * (p * (1 - p))[:, None]).T @ X)
    residual = X * (FRAME["y"].to_numpy() - p)[:, None]
    n = len(FRAME)
    expected = n / (n - 1) * bread @ residual.T @ residual @ bread
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-8)


def test_without_latent_variables_scores_are_summed_in_clusters():
    """Groups of ``cluster()`` belong to units; without latent variables scores belong to rows."""
    result = fit("init cluster(region)")
    X = np.column_stack([FRAME["x"], np.ones(len(FRAME))])
    p = expit(X @ result.estimates)
    bread = np.linalg.inv((X * (p * (1 - p))[:, None]).T @ X)
    residual = X * (FRAME["y"].to_numpy() - p)[:, None]
    sums = pd.DataFrame(residual).groupby(FRAME["region"].to_numpy()).sum().to_numpy()
    J = len(sums)
    expected = J / (J - 1) * bread @ sums.T @ sums @ bread
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-8)


def test_replay_switches_between_the_two():
    session = Session(Dataset.from_frame(FRAME))
    session.run(f"gllamm y x, i(id) family(binom) nip({POINTS})")
    model = session.fit.covariance
    session.run("gllamm, robust")
    np.testing.assert_allclose(session.fit.covariance, fit("robust").covariance, rtol=1e-8)
    session.run("gllamm, cluster(region)")
    np.testing.assert_allclose(session.fit.covariance, fit("cluster(region)").covariance, rtol=1e-8)
    session.run("gllamm")
    np.testing.assert_allclose(session.fit.covariance, model)


def test_a_cluster_variable_that_varies_within_units_is_refused():
    session = Session(Dataset.from_frame(FRAME.assign(c=np.arange(240.0))))
    with pytest.raises(GllammError) as caught:
        session.run("gllamm y x, i(id) family(binom) cluster(c)")
    assert caught.value.message == "c varies within id"
    assert caught.value.rc == 198
