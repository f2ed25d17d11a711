"""What ``trace`` prints: the model, the starting values, the parameters at each iteration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from gllamm_cli.fit.natural import Level1Scale, level1_scale
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.model.parameters import parameter_names
from gllamm_cli.model.spec import CONSTANT
from gllamm_cli.report.table import RULE, abbreviate
from gllamm_cli.stata.format import format_count, format_g

if TYPE_CHECKING:
    from gllamm_cli.estimate.records import IterationRecord, Preparation
    from gllamm_cli.model.names import ParameterName
    from gllamm_cli.model.spec import LatentVariable, Level, ModelSpec

PER_LINE = 5
"""Parameters side by side in a coefficient vector."""
VALUE_COLUMN = 28
"""Width of the labels; values start in the next column."""

LEVEL1_PARAMETERS = {
    Level1Scale.VARIANCE: "standard deviation",
    Level1Scale.COEFFICIENT_OF_VARIATION: "coefficient of variation",
    Level1Scale.DISPERSION: "(sqrt(phi))",
}


def description_lines(spec: ModelSpec) -> list[str]:
    """General model information, then the random effects level by level."""
    return [*_general(spec), *_random_effects(spec), *_structure(spec)]


def _pair(label: str, value: str) -> str:
    return f"{label:<{VALUE_COLUMN}}{value}"


def _words(words: Iterable[str]) -> str:
    """Distinct words in order."""
    return " ".join(dict.fromkeys(words))


def _general(spec: ModelSpec) -> Iterator[str]:
    yield " "
    yield "General model information"
    yield RULE
    yield ""
    yield _pair("dependent variable:", spec.depvar)
    by_link = [(response, LINK_BY_NAME[response.link]) for response in spec.responses]
    plain = [response for response, link in by_link if not (link.ordinal or link.nominal)]
    ordinal = [link.name for _, link in by_link if link.ordinal]
    nominal = [link.name for _, link in by_link if link.nominal]
    if plain:
        yield _pair("family:", _words(response.family for response in plain))
        yield _pair("link:", _words(response.link for response in plain))
    if ordinal:
        yield _pair("ordinal responses:", " ".join(ordinal))
    if nominal:
        yield _pair("nominal responses:", " ".join(nominal))
    binomial = [response for response in plain if response.family == "binom"]
    if binomial:
        yield _pair("denominator:", _words(response.denominator or "1" for response in binomial))
    if spec.offset is not None:
        yield _pair("offset:", spec.offset)
    yield from _fixed_effects(spec)
    yield ""


def _fixed_effects(spec: ModelSpec) -> Iterator[str]:
    blocks = spec.fixed_blocks
    if len(blocks) == 1:
        yield _pair("equation for fixed effects", " ".join(blocks[0].variables) or "none")
        return
    yield "equations for fixed effects"
    for block in blocks:
        yield f"{'':{VALUE_COLUMN - 1}}{block.equation}: {' '.join(block.variables)}"


def _random_effects(spec: ModelSpec) -> Iterator[str]:
    if not (spec.levels or spec.has_scale):
        return
    yield f"Random effects information for {len(spec.levels) + 1} level model"
    yield RULE
    yield ""
    if spec.has_scale:
        log = "" if spec.natural_scale else "log "
        yield "***level 1 equation:"
        yield ""
        yield f"   {log}{LEVEL1_PARAMETERS[level1_scale(spec)]}"
        yield f"   {'s1' if spec.natural_scale else 'lns1'}: {' '.join(spec.scale_variables)}"
        yield ""
    for level in spec.levels:
        yield f"***level {level.number} ({level.unit}) equation(s):"
        if spec.named_effects:
            yield f"   ({len(level.latent)} random effect(s))"
        yield ""
        yield from (_classes if spec.rule.discrete else _normal)(spec, level)


def _parameters(names: Iterable[ParameterName], block: str) -> list[ParameterName]:
    return [name for name in names if name.block == block]


def _equation(names: list[ParameterName]) -> str:
    """Equation and variables of parameters that share it."""
    return f"   {names[0].equation}: {' '.join(name.name for name in names)}"


def _loadings(effect: LatentVariable) -> Iterator[str]:
    loadings = effect.variables if effect.free_first_loading else effect.variables[1:]
    if loadings:
        yield f"   lambdas for random effect {effect.number}"
        yield f"   {effect.stem}l: {' '.join(loadings)}"


def _normal(spec: ModelSpec, level: Level) -> Iterator[str]:
    several = spec.correlated and len(level.latent) > 1
    for effect in level.latent:
        yield from _loadings(effect)
        if several:
            yield "   diagonal element of cholesky decomp. of covariance matrix"
        else:
            yield f"   standard deviation for random effect {effect.number}"
        yield f"   {effect.stem} : {effect.variables[0]}"
        yield ""
    if several:
        yield "   off-diagonal elements"
        for row in level.latent:
            for column in level.latent[: row.index - 1]:
                yield f"   {row.stem}_{column.index}: {CONSTANT}"
        yield ""


def _classes(spec: ModelSpec, level: Level) -> Iterator[str]:
    """Parameters of a discrete level, class by class."""
    names = parameter_names(spec)
    numbers = {effect.number: effect for effect in level.latent}
    locations = [n for n in _parameters(names, "location") if n.effects[0] in numbers]
    odds = [n for n in _parameters(names, "odds") if n.effects[0] == level.number]
    for k in sorted({name.effects[1] for name in (*locations, *odds)}):
        yield f"   class {k}"
        for location in locations:
            if location.effects[1] == k:
                if k == 1:
                    yield from _loadings(numbers[location.effects[0]])
                yield f"   location for random effect {location.effects[0]}"
                yield _equation([location])
        of_class = [name for name in odds if name.effects[1] == k]
        if of_class:
            yield f"   log odds for level {level.number}"
            yield _equation(of_class)
        yield ""


def _structure(spec: ModelSpec) -> Iterator[str]:
    if spec.latent_paths:
        yield "B-matrix:"
        yield from (f"   b{row}_{column}: {CONSTANT}" for row, column in spec.latent_paths)
        yield ""
    if spec.regressions:
        yield "Regressions of random effects on covariates:"
        for regression in spec.regressions:
            yield f"   random effect {regression.number}"
            yield f"   {regression.equation}: {' '.join(regression.variables)}"
        yield ""


def preparation_lines(preparation: Preparation) -> list[str]:
    """Unit counts, starting values of the fixed part, constraints, number of parameters."""
    lines = [
        f"number of level {level} units = {format_count(n)}"
        for level, n in enumerate(preparation.n_units, start=1)
    ]
    lines += ["", "Initial values for fixed effects", ""]
    fixed = list(zip(preparation.names, preparation.start, strict=True))[: preparation.n_fixed]
    lines += [f"{name.equation:>12}:{name.name:<12} {format_g(value)}" for name, value in fixed]
    if preparation.constraint_text:
        lines += ["", *(f" ({k})  {text}" for k, text in enumerate(preparation.constraint_text, 1))]
    return [*lines, "", f"estimating {len(preparation.free_names)} parameters", RULE, ""]


def vector_lines(preparation: Preparation, record: IterationRecord) -> list[str]:
    """Free parameters at an iteration, under their names."""
    names = preparation.free_names
    lines = ["Coefficient vector:"]
    for first in range(0, len(names), PER_LINE):
        part = slice(first, first + PER_LINE)
        lines += [
            "    " + "".join(f"{abbreviate(name.equation) + ':':>13}" for name in names[part]),
            "    " + "".join(f"{abbreviate(name.name):>13}" for name in names[part]),
            "r1  " + "".join(f"{format_g(value):>13}" for value in record.point[part]),
        ]
    return lines


def running_line(what: str) -> str:
    """When estimation starts or ends."""
    now = datetime.now()
    return f"{what} running on {now:%d %b %Y} at {now:%H:%M:%S}"
