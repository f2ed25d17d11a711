"""What a command takes from earlier statements: equations, constraints, starting values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gllamm_cli.errors import InvalidSyntax, VariableNotFound
from gllamm_cli.model.latent import counts, old_equation_names
from gllamm_cli.model.spec import Constraint, ConstraintTerm, Level, StartVector
from gllamm_cli.stata.command import GllammCommand
from gllamm_cli.stata.constraint import ConstraintDefinition, format_terms, listed_number
from gllamm_cli.stata.varlist import suggestion

if TYPE_CHECKING:
    from gllamm_cli.stata.named_matrix import NamedMatrix


@dataclass(frozen=True, slots=True)
class Definitions:
    """What earlier statements defined.

    Attributes
    ----------
    equations
        Full names of the variables, by equation.
    constraints
        By number.
    matrices
        By name.
    """

    equations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constraints: Mapping[int, ConstraintDefinition] = field(default_factory=dict)
    matrices: Mapping[str, NamedMatrix] = field(default_factory=dict)


def find_constraints(
    command: GllammCommand, depvar: str, levels: tuple[Level, ...], definitions: Definitions
) -> tuple[Constraint, ...]:
    """Return the constraints named in ``constraints()``, with current equation names.

    Raises
    ------
    VariableNotFound
        A number that was not defined.
    """
    option = command.option("constraints")
    if option is None:
        return ()
    with_equations = command.option("eqs") is not None
    aliases = old_equation_names(levels, with_equations=with_equations)
    found = []
    for number in dict.fromkeys(counts(option, "the number of a constraint")):
        definition = definitions.constraints.get(number)
        if definition is None:
            raise VariableNotFound(
                f"constraint {number} not found",
                span=option.span,
                hint=f"define it: constraint {number} [equation]name = value",
            )
        terms = tuple(
            ConstraintTerm(
                term.coefficient,
                aliases.get(term.equation, term.equation) if term.equation else None,
                term.name,
            )
            for term in definition.terms
        )
        text = f"{format_terms(terms, depvar)} = {listed_number(definition.value)}"
        found.append(Constraint(number, terms, definition.value, text))
    return tuple(found)


def find_start(
    command: GllammCommand, definitions: Definitions
) -> tuple[StartVector | None, tuple[str, ...]]:
    """Return the starting values of ``from()``, if given, and notes.

    Raises
    ------
    VariableNotFound
        There is no such matrix.
    InvalidSyntax
        It is not a row vector of numbers, or ``copy`` meets ``skip``.
    """
    option = command.option("from")
    flags = {name: command.option(name) for name in ("copy", "skip", "long")}
    if option is None:
        return None, tuple(
            f"{name} ignored: there is no from()" for name, given in flags.items() if given
        )
    if len(option.words) != 1:
        raise InvalidSyntax("option from() takes one matrix", span=option.span)
    if flags["copy"] and flags["skip"]:
        raise InvalidSyntax(
            "copy and skip cannot be combined",
            span=flags["skip"].span,
            hint="copy goes by position, skip by name",
        )
    word = option.words[0]
    matrix = definitions.matrices.get(word.text)
    if matrix is None:
        hint = suggestion(word.text, list(definitions.matrices))
        raise VariableNotFound(
            f"{word.text} not a matrix",
            span=word.span,
            hint=hint or f"define it: matrix {word.text} = (0, 1, .5)",
        )
    n_rows, n_columns = matrix.values.shape
    if n_rows != 1:
        raise InvalidSyntax(
            f"from(): {word.text} is {n_rows} x {n_columns}, not a row vector", span=word.span
        )
    values = tuple(float(value) for value in matrix.values[0])
    if any(value != value for value in values):
        raise InvalidSyntax(f"from(): {word.text} has missing values", span=word.span)
    given = {name: flag is not None for name, flag in flags.items()}
    return StartVector(word.text, values, matrix.column_names, **given), ()
