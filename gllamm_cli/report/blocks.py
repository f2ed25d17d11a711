"""What gllamm prints below the coefficient table: level 1, latent variables, their structure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from gllamm_cli.fit.natural import (
    Level1Scale,
    NaturalEstimate,
    NaturalKind,
    level1_scale,
    natural_estimates,
)
from gllamm_cli.report.table import RULE
from gllamm_cli.stata.format import display, format_g

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import Fit
    from gllamm_cli.model.spec import Level

BLANK = " "

LEVEL1_TITLES = {
    Level1Scale.VARIANCE: "Variance at level 1",
    Level1Scale.COEFFICIENT_OF_VARIATION: "Squared Coefficient of Variation",
    Level1Scale.DISPERSION: "Dispersion at level 1",
}
LEVEL1_EQUATIONS = {
    Level1Scale.VARIANCE: "standard deviation: ",
    Level1Scale.COEFFICIENT_OF_VARIATION: "coefficient of variation",
    Level1Scale.DISPERSION: "(sqrt(phi))",
}
"""What an equation for the level-1 scale is about, by the meaning of the scale."""


def with_std_err(estimate: NaturalEstimate) -> str:
    """``value (standard error)``, or the value alone where it has none."""
    value = display(estimate.estimate)
    return value if estimate.std_err is None else f"{value} ({display(estimate.std_err)})"


def _of_kind(estimates: Iterable[NaturalEstimate], kind: NaturalKind) -> list[NaturalEstimate]:
    return [estimate for estimate in estimates if estimate.kind is kind]


def _title(text: str) -> list[str]:
    return [text, RULE, ""]


def level1_lines(fit: Fit) -> Iterator[str]:
    """The level-1 variance, or the equation for its logarithm; nothing without a scale."""
    estimates = natural_estimates(fit)
    scale = level1_scale(fit.spec)
    variances = _of_kind(estimates, NaturalKind.LEVEL1_VARIANCE)
    equation = _of_kind(estimates, NaturalKind.LEVEL1_LOG_SD)
    if not (variances or equation):
        return
    yield from _title(LEVEL1_TITLES[scale])
    yield from (f"  {with_std_err(estimate)}" for estimate in variances)
    if equation:
        log = "" if fit.spec.natural_scale else "log "
        yield BLANK
        yield f"    equation for {log}{LEVEL1_EQUATIONS[scale]}"
        yield BLANK
        yield from (f"    {estimate.label}: {with_std_err(estimate)}" for estimate in equation)
    yield BLANK


def random_effect_lines(fit: Fit) -> Iterator[str]:
    """Latent variables level by level, then regressions among and on them."""
    if not fit.spec.levels:
        return
    estimates = natural_estimates(fit)
    discrete = fit.spec.rule.discrete
    what = "Probabilities and locations" if discrete else "Variances and covariances"
    yield from _title(f"{what} of random effects")
    structure = (NaturalKind.BMATRIX, NaturalKind.REGRESSION)
    for level in fit.spec.levels:
        yield BLANK
        yield f"***level {level.number} ({level.unit})"
        of_level = [
            estimate
            for estimate in estimates
            if estimate.level == level.number and estimate.kind not in structure
        ]
        yield from (_masses if discrete else _normal)(level, of_level)
    yield from _latent_paths(_of_kind(estimates, NaturalKind.BMATRIX))
    yield from _regressions(_of_kind(estimates, NaturalKind.REGRESSION))
    yield RULE
    yield ""
    yield BLANK


def _normal(level: Level, estimates: list[NaturalEstimate]) -> Iterator[str]:
    """Covariances of an effect with those before it, its variance, its loadings."""
    for effect in level.latent:
        mine = [estimate for estimate in estimates if estimate.effects[0] == effect.number]
        correlations = {
            estimate.effects: estimate for estimate in _of_kind(mine, NaturalKind.CORRELATION)
        }
        for covariance in _of_kind(mine, NaturalKind.COVARIANCE):
            yield _covariance(covariance, correlations.get(covariance.effects))
        for variance in _of_kind(mine, NaturalKind.VARIANCE):
            yield BLANK
            yield f"    {variance.label}: {with_std_err(variance)}"
        yield from _loadings(effect.index, _of_kind(mine, NaturalKind.LOADING))


def _covariance(estimate: NaturalEstimate, correlation: NaturalEstimate | None) -> str:
    if estimate.fixed or correlation is None:
        return f"    {estimate.label}: fixed at 0"
    return (
        f"    {estimate.label}: {with_std_err(estimate)} "
        f"{correlation.label}: {display(correlation.estimate)}"
    )


def _loadings(index: int, loadings: list[NaturalEstimate]) -> Iterator[str]:
    if not loadings:
        return
    yield BLANK
    yield f"    loadings for random effect {index}"
    for loading in loadings:
        value = "1 (fixed)" if loading.fixed else with_std_err(loading)
        yield f"    {loading.label}: {value}"
    yield BLANK


def _masses(level: Level, estimates: list[NaturalEstimate]) -> Iterator[str]:
    """Locations and moments of each effect, then the probabilities of the classes."""
    moments = (NaturalKind.COVARIANCE, NaturalKind.VARIANCE)
    probabilities = _of_kind(estimates, NaturalKind.PROBABILITY)
    log_odds = _of_kind(estimates, NaturalKind.LOG_ODDS)
    of_classes = (NaturalKind.PROBABILITY, NaturalKind.LOG_ODDS)
    for effect in level.latent:
        mine = [
            estimate
            for estimate in estimates
            if estimate.effects[0] == effect.number and estimate.kind not in of_classes
        ]
        locations = _of_kind(mine, NaturalKind.LOCATION)
        yield BLANK
        values = (format_g(estimate.estimate, 7, commas=True).strip() for estimate in locations)
        yield f"    loc{effect.index}: {', '.join(values)}"
        for moment in mine:
            if moment.kind in moments:
                # gllamm indents variances here by two, covariances not at all.
                indent = "  " if moment.kind is NaturalKind.VARIANCE else ""
                yield f"{indent}{moment.label}: {display(moment.estimate)}"
        yield from _loadings(effect.index, _of_kind(mine, NaturalKind.LOADING))
    yield f"    prob: {', '.join(_probability(estimate.estimate) for estimate in probabilities)}"
    yield from _class_covariates(log_odds)


def _probability(value: float) -> str:
    text = format_g(value, 6, commas=True).strip()
    return f"0{text}" if text.startswith(".") and text != "." else text


def _class_covariates(log_odds: list[NaturalEstimate]) -> Iterator[str]:
    if not log_odds:
        return
    yield BLANK
    yield "    log odds parameters"
    for number, (mass, of_class) in enumerate(groupby(log_odds, key=lambda e: e.mass)):
        if number:
            yield BLANK
        yield f"    class {mass}"
        yield from (f"    {estimate.label}: {with_std_err(estimate)}" for estimate in of_class)


def _latent_paths(paths: list[NaturalEstimate]) -> Iterator[str]:
    if not paths:
        return
    yield from (BLANK, "B-matrix:", RULE, BLANK, BLANK)
    yield from (f"    {path.label}: {with_std_err(path)}" for path in paths)


def _regressions(regressions: list[NaturalEstimate]) -> Iterator[str]:
    if not regressions:
        return
    yield from (BLANK, "Regressions of latent variables on covariates", RULE, BLANK)
    for (number,), rows in groupby(regressions, key=lambda estimate: estimate.effects):
        of_effect = list(rows)
        yield f"    random effect {number} has {len(of_effect)} covariates:"
        yield from (f"    {row.label}: {with_std_err(row)}" for row in of_effect)
