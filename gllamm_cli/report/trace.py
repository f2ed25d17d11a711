"""The description of a model that ``trace`` prints before the estimation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gllamm_cli.model.spec import CONSTANT
from gllamm_cli.report.table import RULE

if TYPE_CHECKING:
    from gllamm_cli.model.spec import LatentVariable, Level, ModelSpec

VALUE_COLUMN = 28
"""Width of the labels; values start in the next column."""

LEVEL1_PARAMETERS = {"gamma": "log coefficient of variation"}
"""What ``lns1`` is by family, where it is not a log standard deviation."""


def description_lines(spec: ModelSpec) -> list[str]:
    """General model information, then the random effects level by level."""
    return [*_general(spec), *_random_effects(spec)]


def _pair(label: str, value: str) -> str:
    return f"{label:<{VALUE_COLUMN}}{value}"


def _general(spec: ModelSpec) -> Iterator[str]:
    yield " "
    yield "General model information"
    yield RULE
    yield ""
    yield _pair("dependent variable:", spec.depvar)
    yield _pair("family:", spec.response.family)
    yield _pair("link:", spec.response.link)
    if spec.response.family == "binom":
        yield _pair("denominator:", spec.response.denominator or "1")
    if spec.offset is not None:
        yield _pair("offset:", spec.offset)
    names = (*spec.covariates, *((CONSTANT,) if spec.constant else ()))
    yield _pair("equation for fixed effects", " ".join(names) or "none")
    yield ""


def _random_effects(spec: ModelSpec) -> Iterator[str]:
    if not (spec.levels or spec.has_scale):
        return
    yield f"Random effects information for {len(spec.levels) + 1} level model"
    yield RULE
    yield ""
    if spec.has_scale:
        yield "***level 1 equation:"
        yield ""
        yield f"   {LEVEL1_PARAMETERS.get(spec.response.family, 'log standard deviation')}"
        yield f"   lns1: {CONSTANT}"
        yield ""
    for level in spec.levels:
        yield from _level(spec, level)


def _level(spec: ModelSpec, level: Level) -> Iterator[str]:
    yield f"***level {level.number} ({level.unit}) equation(s):"
    if spec.named_effects:
        yield f"   ({len(level.latent)} random effect(s))"
    yield ""
    for effect in level.latent:
        yield from _effect(effect, alone=len(level.latent) == 1 or not spec.correlated)
    if spec.correlated and len(level.latent) > 1:
        yield "   off-diagonal elements"
        for row in level.latent:
            for column in level.latent[: row.index - 1]:
                yield f"   {row.stem}_{column.index}: {CONSTANT}"
        yield ""


def _effect(effect: LatentVariable, *, alone: bool) -> Iterator[str]:
    loadings = effect.variables if effect.free_first_loading else effect.variables[1:]
    if loadings:
        yield f"   lambdas for random effect {effect.number}"
        yield f"   {effect.stem}l: {' '.join(loadings)}"
    if alone:
        yield f"   standard deviation for random effect {effect.number}"
    else:
        yield "   diagonal element of cholesky decomp. of covariance matrix"
    yield f"   {effect.stem} : {effect.variables[0]}"
    yield ""
