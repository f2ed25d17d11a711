"""Rows of several families and links in one model: each row has the density of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gllamm_cli.data import Dataset
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.model.resolve import Definitions, resolve
from gllamm_cli.session import Session
from gllamm_cli.stata.command import parse_gllamm


def fit(frame: pd.DataFrame, script: str):
    session = Session(Dataset.from_frame(frame))
    session.run(script)
    return session.fit


def simulate() -> pd.DataFrame:
    """Clusters of gaussian rows, clusters of binary rows, and clusters of both."""
    random = np.random.default_rng(1)
    cluster = np.repeat(np.arange(90), 4)
    first = np.where(cluster % 3 == 2, np.arange(360) % 2, cluster % 3) == 0
    x = random.normal(size=360)
    predictor = x + random.normal(size=90)[cluster]
    binary = random.random(360) < 1.0 / (1.0 + np.exp(-predictor))
    return pd.DataFrame(
        {
            "id": cluster,
            "top": cluster // 6,
            "kind": np.where(first, 1, 2),
            "y": np.where(first, predictor + random.normal(size=360), binary),
            "positive": np.where(first, random.gamma(2.0, size=360), binary),
            "x": x,
            "k1": 1.0 * first,
            "k2": 1.0 - first,
        }
    )


@pytest.mark.parametrize(
    "model",
    [
        "y x k1 k2, i(id) family(gauss binom) link(ident logit) adapt",
        "y x k1 k2, i(id) family(gauss binom) link(ident logit) nip(12)",
        "y x k1 k2, i(id top) family(gauss binom) link(ident logit) nip(5) adapt",
        "positive x k1 k2, i(id) family(gamma binom) link(log logit) adapt",
    ],
)
def test_clusters_without_scaled_rows_say_nothing_of_the_scale(model):
    """Binary clusters are computed in product form, which must leave no derivatives behind."""
    data = Dataset.from_frame(simulate())
    text = f"gllamm {model} nocons fv(kind) lv(kind)"
    asked = resolve(parse_gllamm(text), data, Definitions())
    found, plain = (fit_model(asked, data, shortcuts=shortcuts) for shortcuts in (True, False))
    assert found.converged
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-7)
    np.testing.assert_allclose(found.covariance, plain.covariance, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("link", ["ologit", "oprobit", "ocll"])
def test_only_scaled_links_have_the_scale_of_other_rows(link):
    """s() with a variable that is zero in ordinal rows says so in so many words."""
    frame = simulate()
    frame["y"] = np.where(
        frame["kind"] == 2, np.digitize(frame["y"] + frame["x"], [-0.5, 1]), frame["y"]
    )
    model = f"gllamm y x k1, i(id) family(gauss binom) link(ident {link}) fv(kind) lv(kind) adapt"
    a, b = fit(frame, model), fit(frame, f"eq h: k1\n{model} s(h)")
    assert a.log_likelihood == pytest.approx(b.log_likelihood, abs=1e-7)
    np.testing.assert_allclose(a.estimates, b.estimates, atol=1e-5)


def test_a_scaled_ordinal_link_has_it():
    frame = simulate()
    frame["y"] = np.where(
        frame["kind"] == 2, np.digitize(frame["y"] + frame["x"], [-0.5, 1]), frame["y"]
    )
    model = "gllamm y x k1, i(id) family(gauss binom) fv(kind) lv(kind) adapt link(ident {})"
    plain, scaled = fit(frame, model.format("oprobit")), fit(frame, model.format("soprobit"))
    assert abs(plain.log_likelihood - scaled.log_likelihood) > 1e-3


@pytest.mark.parametrize(
    ("family", "link"), [("gauss binom", "ident logit"), ("binom", "ologit logit")]
)
def test_denominators_count_whichever_response_is_binomial(family, link):
    """Rows of the other response say nothing of the probability."""
    frame = simulate()
    random = np.random.default_rng(2)
    other = np.digitize(frame["x"], [-0.5, 1.0]) if "ologit" in link else frame["x"]
    frame["y"] = np.where(frame["kind"] == 2, random.binomial(5, 0.3, size=360), other)
    frame["n"] = np.where(frame["kind"] == 2, 5.0, 1.0)
    selectors = "lv(kind)" if family == "binom" else "lv(kind) fv(kind) nocons"
    model = f"gllamm y k2, i(id) family({family}) link({link}) {selectors} denom(n) init"
    share = frame["y"][frame["kind"] == 2].mean() / 5
    assert fit(frame, model).estimates[0] == pytest.approx(np.log(share / (1 - share)))


@pytest.mark.parametrize("second", ["logit", "ologit"])
def test_rows_without_a_scale_under_nats(second):
    """A standard deviation of zero beside rows that have none is no matter."""
    frame = simulate()
    model = (
        "eq h: k1\ngllamm y x k1, i(id) family(gauss binom) fv(kind) lv(kind) s(h) adapt"
        f" link(ident {second})"
    )
    logs, natural = fit(frame, model), fit(frame, f"{model} nats")
    assert natural.log_likelihood == pytest.approx(logs.log_likelihood, abs=1e-7)
    scale = logs.index("lns1", "k1")
    assert natural.estimates[scale] == pytest.approx(np.exp(logs.estimates[scale]), rel=1e-5)
