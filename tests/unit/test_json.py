"""The results file: keys that programs rely on, full precision, null for missing."""

import json
import math
from dataclasses import replace

import numpy as np
import published
import pytest

from gllamm_cli.report.json import results_json


def read(fit, **options):
    return json.loads(results_json(fit, **options))


def test_promised_keys():
    content = read(published.towerl())
    promised = """schema version command title depvar converged messages log_likelihood n_units
        n_rows condition_number df_model n_parameters parameters covariance std_err_type
        random_effects quadrature iterations timing"""
    assert set(promised.split()) <= set(content)
    assert content["schema"] == 1
    assert content["n_units"] == [677, 226, 118]
    assert (content["df_model"], content["n_parameters"]) == (4, 6)
    assert content["quadrature"] == {"rule": "gauss-hermite", "adaptive": False, "points": [8, 8]}
    assert content["iterations"][0]["scaled_gradient"] == 1.25
    assert content["timing"] == {"setup": 0.25, "fit": 0.5, "total": 0.75}


def test_parameters_carry_tests_and_limits_in_full_precision():
    fit = published.towerl()
    level = read(fit)["parameters"][2]
    assert (level["equation"], level["name"]) == ("dtlm", "level")
    assert level["estimate"] == fit.estimates[2]
    assert level["std_err"] == math.sqrt(fit.covariance[2, 2])
    assert level["z"] == pytest.approx(-8.53, abs=0.005)
    assert level["p"] == pytest.approx(1.44e-17, rel=0.05)
    assert level["ci"] == pytest.approx([-2.027206, -1.269801], abs=2e-6)
    assert level["constrained"] is False
    narrower = read(fit, level=90.0)["parameters"][2]["ci"]
    assert narrower[0] > level["ci"][0]


def test_covariance_round_trips_exactly():
    fit = published.jsp_correlated()
    assert np.array_equal(read(fit)["covariance"], fit.covariance)


def test_random_effects_are_the_printed_block():
    found = read(published.lsat())["random_effects"]
    assert [row["kind"] for row in found] == ["variance"] + ["loading"] * 5
    assert found[0] == {
        "level": 2,
        "unit": "id",
        "kind": "variance",
        "label": "var(1)",
        "effects": [1],
        "estimate": pytest.approx(0.68157927),
        "std_err": pytest.approx(0.42601805),
        "fixed": False,
    }
    assert found[1]["variable"] == "i1"
    assert found[1]["std_err"] is None


def test_likelihood_ratio_test_of_lf0():
    test = read(published.lsat())["lr_test"]
    assert test["df"] == 4
    assert test["chi2"] == pytest.approx(0.57, abs=0.005)
    assert test["p"] == pytest.approx(0.9665, abs=5e-5)


def test_missing_is_null_and_constrained_is_marked():
    content = read(published.jsp_constrained())
    scale = content["parameters"][2]
    assert (scale["constrained"], scale["std_err"], scale["z"], scale["ci"]) == (
        True,
        None,
        None,
        [None, None],
    )
    assert content["constraints"] == ["[lns1]_cons = 1.5"]
    bad = replace(published.towerl(), log_likelihood=math.nan, condition_number=None)
    assert read(bad)["log_likelihood"] is None
    assert read(bad)["condition_number"] is None
    assert "NaN" not in results_json(bad)
