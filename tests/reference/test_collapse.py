"""Fits with equal rows and units merged are those of the data as they stand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gllamm_cli.data import Dataset
from gllamm_cli.estimate import engine as engine_module
from gllamm_cli.estimate import start
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.fit import estimator
from gllamm_cli.fit.covariance import sandwich
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.model import collapse
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.collapse import collapsed
from gllamm_cli.model.parameters import build_parameters
from gllamm_cli.model.resolve import Definitions, resolve
from gllamm_cli.stata.command import parse_gllamm

DEFINITIONS = Definitions(
    equations={
        "c": ("one",),
        "s": ("x",),
        "sc": ("one", "w"),
        "load": ("i0", "i1", "i2", "i3"),
        "f1": ("w",),
        "th": ("w",),
        "cw": ("w",),
        **{f"e{k}": (f"i{k}",) for k in range(4)},
    },
    constraints={},
    matrices={},
)


@pytest.fixture(autouse=True)
def no_data_are_too_few(monkeypatch):
    """Equal rows are merged however few there are."""
    monkeypatch.setattr(estimator, "FEW_TERMS", 0)


def simulate():
    """Responses of all kinds with few values: 8 rows of 240 persons in 12 groups."""
    random = np.random.default_rng(12)
    n = 1920
    row = np.arange(n)
    person, item = row // 8, row % 4
    group = person // 20
    x, w = (item > 1) * 1.0, random.integers(0, 2, 240)[person] * 1.0
    latent = random.normal(size=240)[person] + 0.7 * random.normal(size=12)[group]
    predictor = 0.4 * x - 0.3 * w + latent
    noisy = predictor + random.logistic(size=n)
    utility = (latent * (item > 1) + random.gumbel(size=n)).reshape(-1, 4)
    return pd.DataFrame(
        {
            "id": person + 1.0,
            "top": group + 1.0,
            "region": person // 4 + 1.0,
            "one": 1.0,
            "x": x,
            "w": w,
            **{f"i{k}": (item == k) * 1.0 for k in range(4)},
            "b": (noisy > 0) * 1.0,
            "o": 1.0 + (noisy > -1) + (noisy > 1),
            "n": random.poisson(np.exp(np.clip(0.5 * predictor - 0.5, None, 1.0))) * 1.0,
            "g": np.clip(np.round(predictor + random.normal(size=n)), -2, 2),
            "p": np.exp(np.clip(np.round(predictor + random.normal(size=n)), -1, 1)),
            "m": np.where(item < 2, (noisy > 0) * 1.0, np.clip(np.round(noisy), -1, 1)),
            "which": 1.0 + (item > 1),
            "trials": 1.0 + (item == 1),
            "off": 0.5 * (item == 2),
            "set": row // 4 + 1.0,
            "alternative": item + 1.0,
            "chosen": (item == np.repeat(utility.argmax(axis=1), 4)) * 1.0,
            "wt1": 1.0 + row // 4 % 2,
            "wt2": 1.0 + random.integers(0, 2, 240)[person],
            "wt3": 1.0 + group % 2,
            "pw2": 0.5 + random.integers(0, 2, 240)[person],
        }
    )


FRAME = simulate()
MODELS = [
    "b w, i(id) family(binom) link(logit) adapt",
    "b x w, i(id) family(binom) link(logit) nip(6)",
    "b x w, i(id) family(binom) link(probit) adapt nip(5)",
    "b x, i(id) nrf(2) eqs(c s) family(binom) link(logit) adapt nip(4)",
    "b x w, i(id) family(binom) link(logit) denom(trials) offset(off) adapt nip(5)",
    "b i1 i2 i3, i(id) eqs(load) family(binom) link(logit) adapt nip(5)",
    "b i1 i2 i3, i(id) eqs(load) geqs(f1) family(binom) link(logit) nip(5)",
    "b, nocons i(id) nrf(4) eqs(e0 e1 e2 e3) family(binom) link(logit) ip(fn) nip(2)",
    "b x, i(id) family(binom) link(logit) ip(f) nip(2)",
    "b x, i(id) family(binom) link(logit) ip(f) nip(2) peqs(cw)",
    "o x w, i(id) link(ologit) adapt nip(5)",
    "o x, i(id) link(oprobit) thresh(th) nip(5)",
    "o x, i(id) link(soprobit) s(s) ethresh(th) nip(5)",
    "n x w, i(id) family(poisson) link(log) adapt nip(5)",
    "p x, i(id) family(gamma) link(log) adapt nip(5)",
    "g x w, i(id) nip(5)",
    "g x, i(id) s(sc) adapt nip(5)",
    "g x, i(id) s(sc) nats adapt nip(5)",
    "m w, i(id) family(binom gauss) fv(which) link(logit ident) lv(which) adapt nip(5)",
    "o w, i(id) family(binom binom) fv(which) link(ologit ologit) lv(which) adapt nip(5)",
    "o w, i(id) link(mlogit) nip(5)",
    "alternative i1 i2 i3, i(id) eqs(s) nocons link(mlogit) expanded(set chosen o) nip(5)",
    "alternative x, i(id) eqs(s) nocons link(mlogit) expanded(set chosen o) weight(wt) adapt",
    "b w, i(id top) family(binom) link(logit) adapt nip(4)",
    "n x w, i(id top) family(poisson) link(log) nip(4)",
    "n x, i(id top) nrf(1 2) eqs(c c s) family(poisson) link(log) adapt nip(4)",
    "o x, i(id top) link(ologit) weight(wt) adapt nip(4)",
    "b x w, i(id) family(binom) link(logit) weight(wt) adapt nip(5)",
    "n x, i(id) family(poisson) link(log) pweight(pw) adapt nip(5)",
    "b x w, i(id) family(binom) link(logit) weight(wt) pweight(pw) nip(5)",
    "b x, i(id) family(binom) link(logit) robust adapt nip(5)",
    "n x, i(id) family(poisson) link(log) weight(wt) cluster(region) adapt nip(5)",
    "b x, i(id top) family(binom) link(logit) robust nip(4)",
]
ONE_LEVEL = [
    "b x w, i(id) family(binom) link(logit) init",
    "n x, i(id) family(poisson) link(log) offset(off) weight(wt) init robust",
    "b x, i(id) family(binom) link(logit) weight(wt) pweight(pw) init",
    "o x, i(id) link(ologit) thresh(th) init",
]


def resolved(text, frame=FRAME):
    data = Dataset.from_frame(frame)
    return resolve(parse_gllamm(f"gllamm {text}"), data, DEFINITIONS), data


def built(text, frame=FRAME):
    asked, data = resolved(text, frame)
    design, spec, _ = build_design(asked.spec, data)
    return design, build_parameters(spec)


def assert_same_fit(found, plain):
    assert found.converged and plain.converged
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-7)
    errors = np.sqrt(np.diag(plain.covariance))
    assert np.all(np.abs(found.estimates - plain.estimates) < 1e-5 * np.maximum(errors, 1e-3))
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), errors, rtol=1e-5)
    assert (found.n_units, found.n_rows) == (plain.n_units, plain.n_rows)
    assert (found.std_err_type, found.notes) == (plain.std_err_type, plain.notes)


@pytest.mark.parametrize("text", MODELS)
def test_fits_are_the_same(text):
    design, parameters = built(text)
    small = collapsed(design, parameters.columns)
    assert small.n_rows * collapse.WORTH_WHILE <= design.n_rows
    asked, data = resolved(text)
    assert_same_fit(
        fit_model(asked, data, threads=1), fit_model(asked, data, threads=1, shortcuts=False)
    )


@pytest.mark.parametrize("text", ONE_LEVEL)
def test_fits_without_latent_variables_are_the_same(text, monkeypatch):
    monkeypatch.setattr(start, "MANY_ROWS", 0)
    asked, data = resolved(text)
    design, parameters = built(text)
    small = collapsed(design.without_latent_variables(), parameters.columns)
    assert small.n_rows * 10 < design.n_rows
    assert_same_fit(
        fit_model(asked, data, threads=1), fit_model(asked, data, threads=1, shortcuts=False)
    )


@pytest.mark.parametrize("text", MODELS)
def test_totals_are_kept(text):
    """Weights and frequencies add up to what they were, at every level."""
    design, parameters = built(text)
    small = collapsed(design, parameters.columns)
    assert small.n_units == design.n_units
    for name in ("total_weight", "frequency"):
        total, before = getattr(small, name).sum(), getattr(design, name).sum()
        assert total == pytest.approx(before, rel=1e-12)
        for level, was in zip(small.levels, design.levels, strict=True):
            if name == "total_weight" or level is small.levels[-1]:
                total, before = getattr(level, name).sum(), getattr(was, name).sum()
                assert total == pytest.approx(before, rel=1e-12)


@pytest.mark.parametrize("text", MODELS)
def test_rows_and_units_with_the_same_hash_are_told_apart(text, monkeypatch):
    """What is merged does not depend on hashes, even if they are all the same."""
    frame = FRAME[FRAME["id"] <= 80]
    design, parameters = built(text, frame)
    monkeypatch.setattr(collapse, "_promising", lambda *_: True)
    found = collapsed(design, parameters.columns)
    monkeypatch.setattr(collapse, "row_hashes", lambda c: np.zeros(len(c[0]), dtype=np.uint64))
    monkeypatch.setattr(
        collapse, "unit_hashes", lambda start, *_: np.zeros(len(start) - 1, dtype=np.uint64)
    )
    blind = collapsed(design, parameters.columns)
    assert blind.n_rows == found.n_rows < design.n_rows
    np.testing.assert_array_equal(blind.rows, found.rows)
    np.testing.assert_array_equal(blind.row_weight, found.row_weight)
    for a, b in zip(blind.levels, found.levels, strict=True):
        np.testing.assert_array_equal(a.first, b.first)
        np.testing.assert_array_equal(a.weight, b.weight)


seeds = st.integers(0, 10_000)


def random_frame(seed, values):
    """Units of any size at three levels; rows with few or with many values."""
    random = np.random.default_rng(seed)
    n = 160
    unit = np.sort(random.integers(0, 60, n))
    top = unit // 4
    x = random.integers(0, 2, n) * 1.0 if values == "few" else random.normal(size=n)
    predictor = 0.5 * x + random.normal(size=60)[unit] + 0.6 * random.normal(size=15)[top]
    return pd.DataFrame(
        {
            "id": unit + 1.0,
            "top": top + 1.0,
            "one": 1.0,
            "x": x,
            "b": (predictor + random.logistic(size=n) > 0) * 1.0,
            "o": 1.0 + (predictor > -0.3) + (predictor + random.normal(size=n) > 0.5),
            "n": random.integers(0, 2, n) * 1.0,
            "wt1": random.integers(1, 3, n) * 1.0,
            "wt2": random.integers(1, 3, 60)[unit] * 1.0,
            "wt3": random.integers(1, 3, 15)[top] * 1.0,
        }
    )


RANDOM = {
    "b x, i(id) family(binom) link(logit) adapt nip(4)": "wt2",
    "o x, i(id) link(ologit) adapt nip(4)": "wt2",
    "n x, i(id top) family(poisson) link(log) nip(4)": "wt3",
}
"""Models, and the weight of their top-level clusters."""


@pytest.mark.parametrize("text", RANDOM)
@given(seed=seeds, k=st.integers(2, 5))
@settings(max_examples=4, deadline=None)
def test_copies_of_every_cluster_equal_a_frequency_weight(text, seed, k):
    weight = RANDOM[text]
    once = (
        random_frame(seed, "many").drop(columns=["wt1", "wt2", "wt3"]).assign(**{weight: float(k)})
    )
    copies = pd.concat(
        [once.assign(id=once["id"] + 100 * c, top=once["top"] + 100 * c) for c in range(k)],
        ignore_index=True,
    )
    design, parameters = built(text, copies)
    assert collapsed(design, parameters.columns).n_rows == len(once)
    fits = (
        fit_model(*resolved(f"{text} {option}", frame), threads=1)
        for option, frame in (("robust", copies), ("robust weight(wt)", once))
    )
    found, weighted = fits
    assert found.log_likelihood == pytest.approx(weighted.log_likelihood, rel=1e-9)
    assert found.n_units == weighted.n_units
    errors = np.sqrt(np.diag(weighted.covariance))
    assert np.all(np.abs(found.estimates - weighted.estimates) < 1e-5 * errors + 1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), errors, rtol=1e-5, atol=1e-9)


def distinct_units(frame, response):
    """Number of different level-2 units, and of different top-level ones, of weighted rows."""

    def total(weights):
        sums = Counter()
        for key, weight in weights:
            sums[key] += weight
        return frozenset(sums.items())

    units, weight, top = {}, {}, {}
    for id_, rows in frame.groupby("id"):
        units[id_] = total(
            zip(zip(rows[response], rows["x"], strict=True), rows["wt1"], strict=True)
        )
        weight[id_], top[id_] = rows["wt2"].iloc[0], rows["top"].iloc[0]
    clusters = {
        number: total((units[id_], weight[id_]) for id_ in units if top[id_] == number)
        for number in set(top.values())
    }
    representatives = set(clusters.values())
    return sum(len(cluster) for cluster in representatives), len(representatives)


@pytest.mark.parametrize("weights_worth", [1.0, 1e9])
@pytest.mark.parametrize(
    "text",
    [
        "b x, i(id top) family(binom) link(logit) weight(wt) nip(3)",
        "b x, i(id top) family(binom) link(logit) nip(3)",
        "n x, i(id top) nrf(1 2) eqs(c c s) family(poisson) link(log) weight(wt) nip(3)",
    ],
)
@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_everything_equal_is_merged_and_nothing_changes(text, weights_worth, seed):
    """Units are counted anew; log likelihood, derivatives and the sandwich stay."""
    frame = random_frame(seed, "few")
    # Small clusters, so that whole ones repeat.
    frame["top"] = (frame["id"] + 1) // 2
    frame["wt3"] = 1.0 + frame["top"] % 2
    design, parameters = built(text, frame)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collapse, "WORTH_WHILE", 1.0)
        patch.setattr(collapse, "WORTH_WEIGHTS", weights_worth)
        small = collapsed(design, parameters.columns)
    counted = frame if "weight" in text else frame.assign(wt1=1.0, wt2=1.0)
    expected = distinct_units(counted, text[0])
    assert tuple(level.n_units for level in small.levels) == expected
    theta = 0.3 * np.cos(np.arange(parameters.n))
    engines = Engine(design, parameters, 1), Engine(small, parameters, 1)
    before, after = (engine.evaluate(theta, derivatives=True) for engine in engines)
    assert after.log_likelihood == pytest.approx(before.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(after.score, before.score, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(after.hessian, before.hessian, rtol=1e-9, atol=1e-9)
    V = np.eye(parameters.n)
    robust = [
        sandwich(engine.cluster_scores(theta), engine.design.levels[-1].frequency, V, None)
        for engine in engines
    ]
    np.testing.assert_allclose(robust[1], robust[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("text", [MODELS[1], MODELS[0], "n x, i(id top) family(poisson) nip(4)"])
def test_threads_do_not_change_a_single_bit(text, monkeypatch):
    # Otherwise so few rows would be left to one thread.
    monkeypatch.setattr(engine_module, "TERMS_PER_THREAD", 1)
    asked, data = resolved(text)
    one, many = (fit_model(asked, data, threads=threads) for threads in (1, 5))
    assert one.log_likelihood == many.log_likelihood
    np.testing.assert_array_equal(one.estimates, many.estimates)
    np.testing.assert_array_equal(one.covariance, many.covariance)


def test_composite_links_are_left_alone():
    text = "n w, i(id) family(poisson) link(log) composite(set i0 one) nip(4)"
    design, parameters = built(text)
    assert collapsed(design, parameters.columns) is design


def test_rows_that_differ_are_left_alone():
    frame = FRAME.assign(x=np.random.default_rng(1).normal(size=len(FRAME)))
    for text in ("b x, i(id) family(binom)", "n x, i(id top) family(poisson) link(log)"):
        design, parameters = built(text, frame)
        assert collapsed(design, parameters.columns) is design


def test_signs_of_zero_do_not_matter():
    zero = np.where(np.arange(len(FRAME)) % 3 == 0, -0.0, 0.0)
    signed = FRAME.assign(n=np.where(FRAME["n"] == 0.0, zero, FRAME["n"]))
    sizes = []
    for frame in (FRAME, signed):
        design, parameters = built("n x, i(id) family(poisson) link(log)", frame)
        sizes.append(collapsed(design, parameters.columns).n_rows)
    assert sizes[0] == sizes[1]
