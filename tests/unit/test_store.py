"""Saved fits: what comes back is what went in, and foreign files are refused politely."""

import json
from dataclasses import fields, replace

import numpy as np
import published
import pytest

from gllamm_cli.errors import FileMissing, FileUnreadable
from gllamm_cli.fit.store import load_fit, save_fit
from gllamm_cli.model.spec import DisplayOptions, IntegrationRule, Sample, StartVector
from gllamm_cli.report.text import render_fit
from gllamm_cli.stata.expression import parse_expression

MAKERS = (
    published.towerl,
    published.jsp_correlated,
    published.jsp_constrained,
    published.jsp_evaluated,
    published.jsp_fixed_only,
    published.lsat,
    published.angina,
    published.mixture,
    published.factor_structure,
    published.classes_with_covariates,
)


def same(a, b):
    for field in fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype
            assert np.array_equal(left, right, equal_nan=left.dtype != bool), field.name
        elif field.name != "extra":
            assert left == right, field.name


@pytest.mark.parametrize("make", MAKERS)
def test_round_trip(make, tmp_path):
    fit = make()
    save_fit(fit, tmp_path / "fit.json")
    again = load_fit(tmp_path / "fit.json")
    same(fit, again)
    options = DisplayOptions(all_coefficients=True)
    assert render_fit(again, options) == render_fit(fit, options)


def test_round_trip_of_sample_start_and_extras(tmp_path):
    fit = published.towerl()
    condition = parse_expression('(level >= 2 | group != "a b") & !missing(x) & y < .a')
    fit = replace(
        fit,
        spec=replace(
            fit.spec,
            sample=Sample(condition, (1, 600)),
            start=StartVector("a", (0.1, np.pi), (("dtlm", "level"), ("", "c2")), copy=True),
            rule=IntegrationRule.SPHERICAL,
        ),
        estimates=np.array([np.nan, np.inf, -np.inf, 1 / 3, 5e-324, -0.0]),
        extra={"M_initf": np.array([1.0, 2.0]), "cluster": "id"},
    )
    save_fit(fit, tmp_path / "fit.json")
    again = load_fit(tmp_path / "fit.json")
    same(fit, again)
    assert again.spec.sample.condition == condition
    assert again.spec.rule is IntegrationRule.SPHERICAL
    assert np.array_equal(again.extra["M_initf"], [1.0, 2.0])
    assert again.extra["cluster"] == "id"


def test_missing_file(tmp_path):
    with pytest.raises(FileMissing, match="not found") as caught:
        load_fit(tmp_path / "none.json")
    assert caught.value.rc == 601


def edited(tmp_path, change):
    path = tmp_path / "fit.json"
    save_fit(published.towerl(), path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


def test_newer_schema_is_refused_with_advice(tmp_path):
    path = edited(tmp_path, lambda d: d.update(schema=99))
    with pytest.raises(FileUnreadable, match="newer version") as caught:
        load_fit(path)
    assert "update gllamm-py" in caught.value.render()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["fit"].pop("estimates"),
        lambda d: d["fit"].update(surprise=1),
        lambda d: d["fit"].update(log_likelihood="high"),
        lambda d: d["fit"]["covariance"]["array"].pop(),
        lambda d: d["fit"]["estimates"].update(array=[[1.0], [2.0, 3.0]]),
        lambda d: d["fit"]["names"][0].update(effects=[7]),
        lambda d: d["fit"]["names"][0].pop("equation"),
        lambda d: d["fit"]["spec"].update(rule="guesswork"),
        lambda d: d["fit"]["spec"]["sample"].update(condition="a +"),
        lambda d: d.update(fit=[1, 2]),
        lambda d: d.pop("fit"),
    ],
)
def test_damaged_content(tmp_path, change):
    with pytest.raises(FileUnreadable, match="is damaged") as caught:
        load_fit(edited(tmp_path, change))
    assert caught.value.rc == 610


def test_a_class_that_does_not_exist(tmp_path):
    path = tmp_path / "fit.json"
    save_fit(published.mixture(), path)
    document = json.loads(path.read_text())
    document["fit"]["names"][2]["effects"] = [1, 3]
    path.write_text(json.dumps(document))
    with pytest.raises(FileUnreadable, match="is damaged"):
        load_fit(path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"a": 1}', b"\xff\xfe\x00", b"[" * 100_000, b"<?xml?>"]
)
def test_files_that_are_no_fit(tmp_path, content):
    path = tmp_path / "fit.json"
    path.write_bytes(content)
    with pytest.raises(FileUnreadable, match="does not hold a saved fit"):
        load_fit(path)


def test_a_directory_is_no_fit(tmp_path):
    with pytest.raises(FileUnreadable):
        load_fit(tmp_path)
