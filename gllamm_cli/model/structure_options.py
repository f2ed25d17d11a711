"""Options about the latent variables: integration rule, regressions, class probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gllamm_cli.errors import InvalidSyntax, VariableNotFound
from gllamm_cli.model.latent import counts
from gllamm_cli.model.response_options import Variables
from gllamm_cli.model.spec import CONSTANT, IntegrationRule, LatentRegression, Level
from gllamm_cli.model.structure import n_classes
from gllamm_cli.stata.command import GllammCommand
from gllamm_cli.stata.varlist import suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gllamm_cli.stata.named_matrix import NamedMatrix

RULES = {
    "g": IntegrationRule.GAUSS_HERMITE,
    "l": IntegrationRule.EQUAL_PROBABILITY,
    "m": IntegrationRule.SPHERICAL,
    "f": IntegrationRule.FREE_CENTRED,
    "fn": IntegrationRule.FREE,
}
"""Integration rules by what ``ip()`` calls them."""


def resolve_rule(command: GllammCommand) -> IntegrationRule:
    """Return the rule of ``ip()``; adapt is refused where nodes have no place to go."""
    option = command.option("ip")
    if option is None:
        return IntegrationRule.GAUSS_HERMITE
    text = " ".join(word.text for word in option.words)
    if text not in RULES:
        raise InvalidSyntax(
            f"ip option {text} not valid", span=option.span, hint="rules: " + ", ".join(RULES)
        )
    adapt = command.option("adapt")
    if adapt is not None and text not in ("g", "m"):
        raise InvalidSyntax(
            "adapt can only be used with ip(g) or ip(m) option",
            span=adapt.span,
            hint="masses and grids are not moved; leave out adapt",
        )
    return RULES[text]


@dataclass(frozen=True, slots=True)
class StructurePart:
    """The fields of a specification that describe relations of latent variables."""

    regressions: tuple[LatentRegression, ...]
    latent_paths: tuple[tuple[int, int], ...]
    interaction: tuple[int, int] | None
    class_covariates: tuple[tuple[int, tuple[str, ...]], ...]
    notes: tuple[str, ...]


def _regressions(
    command: GllammCommand, variables: Variables, n_effects: int
) -> tuple[LatentRegression, ...]:
    option = command.option("geqs")
    if option is None:
        return ()
    found: list[LatentRegression] = []
    equations = variables.equation_list(command, "geqs")
    for word, names in zip(option.words, equations, strict=True):
        digit = word.text[1:2]
        if not digit.isdigit() or not 1 <= int(digit) <= n_effects:
            raise InvalidSyntax(
                f"eq {word.text} refers to a random effects that does not exist",
                span=word.span,
                hint="the second character of the name is the number of the random effect, "
                f"1 to {n_effects}",
            )
        number = int(digit)
        if any(regression.number == number for regression in found):
            raise InvalidSyntax(
                f"more than one geq given for random effect {number}", span=word.span
            )
        if CONSTANT in names:
            raise InvalidSyntax(f"equation {word.text} has no variables", span=word.span)
        found.append(LatentRegression(word.text, number, names))
    return tuple(found)


def _paths(
    command: GllammCommand, matrices: Mapping[str, NamedMatrix], n_effects: int
) -> tuple[tuple[int, int], ...]:
    option = command.option("bmatrix")
    if option is None:
        return ()
    if n_effects < 2:
        raise InvalidSyntax(
            "bmatrix can only be used for more than 1 random effect", span=option.span
        )
    if len(option.words) != 1:
        raise InvalidSyntax("option bmatrix() takes one matrix", span=option.span)
    word = option.words[0]
    matrix = matrices.get(word.text)
    if matrix is None:
        raise VariableNotFound(
            f"{word.text} not a matrix",
            span=word.span,
            hint=suggestion(word.text, list(matrices))
            or f"define it: matrix {word.text} = (0, 1 \\ 0, 0)",
        )
    rows, columns = matrix.values.shape
    if rows != columns:
        raise InvalidSyntax("bmatrix must be square", span=word.span)
    if rows != n_effects:
        raise InvalidSyntax(
            f"number of rows and columns of B matrix must be {n_effects}", span=word.span
        )
    paths = [(i + 1, j + 1) for i in range(rows) for j in range(columns) if matrix.values[i, j] > 0]
    wrong = [path for path in paths if path[0] >= path[1]]
    if wrong:
        raise InvalidSyntax(
            f"bmatrix must be upper triangular: element [{wrong[0][0]},{wrong[0][1]}] is positive",
            span=word.span,
            hint="a latent variable may depend on those with higher numbers only",
        )
    return tuple(paths)


def _interaction(command: GllammCommand, n_effects: int) -> tuple[int, int] | None:
    option = command.option("inter")
    if option is None:
        return None
    found = counts(option, "the number of a random effect", 1, n_effects)
    if len(found) != 2:
        raise InvalidSyntax("option inter() takes two numbers", span=option.span)
    return found[0], found[1]


def _class_covariates(
    command: GllammCommand,
    variables: Variables,
    levels: tuple[Level, ...],
    rule: IntegrationRule,
    notes: list[str],
) -> tuple[tuple[int, tuple[str, ...]], ...]:
    option = command.option("peqs")
    if option is None:
        return ()
    if not rule.discrete:
        notes.append("peqs() ignored: it needs ip(f) or ip(fn)")
        return ()
    if len(option.words) != len(levels):
        raise InvalidSyntax(
            f"option peqs() needs {len(levels)} equation(s)",
            span=option.span,
            hint="one for each variable of i()",
        )
    equations = variables.equation_list(command, "peqs")
    found = []
    for level, names in zip(levels, equations, strict=True):
        if n_classes(level) == 1:
            notes.append(f"peqs() ignored at level {level.number}: it has one class")
            continue
        found.append((level.number, tuple(name for name in names if name != CONSTANT)))
    return tuple(found)


def resolve_structure(
    command: GllammCommand,
    variables: Variables,
    matrices: Mapping[str, NamedMatrix],
    levels: tuple[Level, ...],
    rule: IntegrationRule,
) -> StructurePart:
    """Return what a command says about relations among latent variables and covariates."""
    n_effects = sum(len(level.latent) for level in levels)
    notes: list[str] = []
    return StructurePart(
        _regressions(command, variables, n_effects),
        _paths(command, matrices, n_effects),
        _interaction(command, n_effects),
        _class_covariates(command, variables, levels, rule, notes),
        tuple(notes),
    )
