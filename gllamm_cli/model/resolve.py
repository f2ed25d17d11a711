"""From a parsed command to a model: the checks and refusals that need no data values.

Only names and types of variables are looked at. What gllamm can do and this
program cannot is refused by name; nothing is ignored without a note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gllamm_cli.errors import InvalidSyntax, NotSupported, Span, VariableNotFound
from gllamm_cli.model.definitions import Definitions as Definitions
from gllamm_cli.model.definitions import find_constraints, find_start
from gllamm_cli.model.latent import build_levels, check_units, counts
from gllamm_cli.model.response_options import Variables, resolve_response
from gllamm_cli.model.spec import (
    CONSTANT,
    DisplayOptions,
    IntegrationRule,
    Level,
    ModelSpec,
    Purpose,
    Request,
    Sample,
)
from gllamm_cli.model.structure_options import resolve_rule, resolve_structure
from gllamm_cli.stata.command import GllammCommand, ReplayCommand
from gllamm_cli.stata.varlist import VarlistItem, expand_varlist, find_variable

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

NOT_YET = ("prior",)
"""Options of gllamm that are refused."""
NOT_YET_ON_REPLAY = ("scorefil", "eval")

LEVEL_BOUNDS = (10.0, 99.99)
DEFAULT_LEVEL = 95.0


def resolve(
    command: GllammCommand, dataset: Dataset, definitions: Definitions | None = None
) -> Request:
    """Return the model a command describes.

    ``i.`` terms must have been replaced by ``stata.xi.expand_command``.

    Raises
    ------
    NotSupported
        Something gllamm can do and this program cannot.
    InvalidSyntax, VariableNotFound, TypeMismatch, NotNumeric
        What gllamm refuses, with its messages and return codes.
    """
    return _Resolver(command, dataset, definitions or Definitions()).request()


class _Resolver:
    """One resolution; collects notes on the way."""

    def __init__(self, command: GllammCommand, dataset: Dataset, definitions: Definitions) -> None:
        self.command = command
        self.dataset = dataset
        self.definitions = definitions
        self.notes: list[str] = []
        names = dataset.names
        text = frozenset(name for name in names if dataset.is_text(name))
        self.variables = Variables(names, text, definitions.equations)

    def has(self, name: str) -> bool:
        """Whether an option was given."""
        return self.command.option(name) is not None

    def request(self) -> Request:
        command = self.command
        self.refuse_unsupported()
        depvar = find_variable(command.depvar.text, self.dataset.names, command.depvar.span)
        variables = self.variables
        variables.check_numeric(depvar, command.depvar.span)
        covariates = self.covariates()
        units = self.units()
        response = resolve_response(command, variables)
        offset = variables.single(command, "offset")
        rule = resolve_rule(command)
        equations = self.definitions.equations
        levels, notes = build_levels(command, units, equations, self.dataset.names, rule)
        self.check_effects(levels)
        structure = resolve_structure(command, variables, self.definitions.matrices, levels, rule)
        self.notes.extend((*response.notes, *notes, *structure.notes))
        weights = self.weights(levels, "weight", "weight variables {} not found")
        sampling = self.weights(levels, "pweight", "probability weight variables {} not found")
        constraints = find_constraints(command, depvar, levels, self.definitions)
        start, notes = find_start(command, self.definitions)
        self.notes.extend(notes)
        cluster = variables.single(command, "cluster")
        purpose = self.purpose()
        spec = ModelSpec(
            depvar=depvar,
            covariates=covariates,
            constant=not (self.has("noconstant") or response.ordinal),
            response=response.responses[0],
            other_responses=response.responses[1:],
            link_selector=response.link_selector,
            family_selector=response.family_selector,
            has_scale=response.has_scale,
            scale_variables=response.scale_variables,
            natural_scale=response.natural_scale,
            thresholds=response.thresholds,
            choice_sets=response.choice_sets,
            base_category=response.base_category,
            composite=response.composite,
            levels=levels,
            offset=offset,
            correlated=self.correlated(levels, rule),
            named_effects=self.has("eqs"),
            rule=rule,
            adaptive=self.has("adapt"),
            weights=weights,
            sampling_weights=sampling,
            robust=self.has("robust") or cluster is not None,
            cluster=cluster,
            constraints=constraints,
            regressions=structure.regressions,
            latent_paths=structure.latent_paths,
            interaction=structure.interaction,
            class_covariates=structure.class_covariates,
            sample=self.sample(),
            start=start,
            purpose=purpose,
            iterate=self.iterate(),
            difficult=self.difficult(),
            reference=self.reference(),
            search=self.search(start is not None, bool(constraints)),
            gateaux=self.gateaux(start is not None, rule),
        )
        if self.has("adoonly"):
            self.notes.append("adoonly ignored: there is only one implementation here")
        return Request(command.source, spec, display_options(command), tuple(self.notes))

    def refuse_unsupported(self) -> None:
        for option in self.command.options:
            if option.name in NOT_YET:
                raise NotSupported(f"not yet supported: {option.name}()", span=option.span)

    def covariates(self) -> tuple[str, ...]:
        names: list[str] = []
        for item in self.command.items:
            for name in expand_varlist((item,), self.dataset.names):
                hint = f"write i.{name} for indicator variables"
                self.variables.check_numeric(name, item.span, hint)
                if name in names:
                    self.notes.append(f"{name} omitted because of collinearity")
                else:
                    names.append(name)
        return tuple(names)

    def units(self) -> tuple[str, ...]:
        option = self.command.option("i")
        if option is None:
            raise InvalidSyntax(
                "option i() required", hint="i(id) names the clusters, lowest level first"
            )
        units = expand_varlist(option.items, self.dataset.names)
        check_units(units, {unit: self.dataset.is_text(unit) for unit in units}, option.span)
        return units

    def check_effects(self, levels: tuple[Level, ...]) -> None:
        option = self.command.option("eqs")
        for level in levels:
            for effect in level.latent:
                for name in effect.variables:
                    if name != CONSTANT:
                        word = option.words[effect.number - 1] if option else None
                        self.variables.check_numeric(name, word.span if word else None)

    def correlated(self, levels: tuple[Level, ...], rule: IntegrationRule) -> bool:
        if not self.has("nocorrel"):
            return True
        if rule.discrete:
            self.notes.append("nocorrel ignored: masses have no correlation parameters")
            return True
        if all(len(level.latent) == 1 for level in levels):
            self.notes.append("nocorrel ignored: no level has more than one random effect")
            return True
        return False

    def weights(
        self, levels: tuple[Level, ...], option_name: str, missing: str
    ) -> tuple[tuple[int, str], ...]:
        option = self.command.option(option_name)
        if option is None:
            return ()
        if len(option.words) != 1:
            raise InvalidSyntax(
                f"option {option_name}() takes one stub",
                span=option.span,
                hint=f"{option_name}(wt): wt1, wt2, ... by level",
            )
        word = option.words[0]
        numbers = range(1, len(levels) + 2)
        found = tuple(
            (number, f"{word.text}{number}")
            for number in numbers
            if f"{word.text}{number}" in self.dataset.names
        )
        if not found:
            wanted = ", ".join(f"{word.text}{number}" for number in numbers)
            raise VariableNotFound(
                missing.format(word.text),
                span=word.span,
                hint=f"the data have none of {wanted}, the weights by level",
            )
        for _, name in found:
            self.variables.check_numeric(name, word.span)
        return found

    def command_span(self, name: str) -> Span | None:
        option = self.command.option(name)
        return option.span if option else None

    def purpose(self) -> Purpose:
        given = [
            (name, purpose)
            for name, purpose in (
                ("init", Purpose.FIXED_ONLY),
                ("eval", Purpose.EVALUATE),
                ("noest", Purpose.SET_UP),
            )
            if self.has(name)
        ]
        if not given:
            return Purpose.FIT
        if len(given) > 1:
            raise InvalidSyntax(
                f"{given[0][0]} and {given[1][0]} cannot be combined",
                span=self.command_span(given[1][0]),
            )
        name, purpose = given[0]
        if name == "eval" and not self.has("from"):
            raise InvalidSyntax(
                "eval not valid without from option", span=self.command_span("eval")
            )
        return purpose

    def single_number(self, name: str) -> float | None:
        option = self.command.option(name)
        if option is None:
            return None
        if len(option.numbers) != 1:
            raise InvalidSyntax(
                f"option {name}() takes one number, not {len(option.numbers)}", span=option.span
            )
        return option.numbers[0]

    def iterate(self) -> int | None:
        option = self.command.option("iterate")
        if option is None or self.single_number("iterate") is None:
            return None
        return counts(option, "a number of iterations", 0)[0]

    def difficult(self) -> bool:
        if self.has("difficult") and self.has("nodifficult"):
            raise InvalidSyntax(
                "difficult and nodifficult cannot be combined",
                span=self.command_span("nodifficult"),
            )
        return not self.has("nodifficult")

    def reference(self) -> tuple[int, float] | None:
        option = self.command.option("lf0")
        if option is None:
            return None
        if len(option.numbers) != 2 or option.numbers[0] != int(option.numbers[0]):
            raise InvalidSyntax(
                "option lf0() takes two numbers",
                span=option.span,
                hint="the number of parameters and the log likelihood of a nested model",
            )
        return int(option.numbers[0]), option.numbers[1]

    def search(self, from_given: bool, constrained: bool) -> int | None:
        option = self.command.option("search")
        if option is None:
            return None
        tries = counts(option, "a number of starting values", 1, 10**6)
        if len(tries) != 1:
            raise InvalidSyntax("option search() takes one number", span=option.span)
        if from_given:
            self.notes.append("search() ignored: starting values are given by from()")
            return None
        if tries[0] > 1 and constrained:
            raise InvalidSyntax("search() cannot be combined with constraints()", span=option.span)
        return tries[0]

    def gateaux(self, from_given: bool, rule: IntegrationRule) -> tuple[float, float, int] | None:
        option = self.command.option("gateaux")
        if option is None:
            return None
        if not from_given:
            raise InvalidSyntax(
                "gateaux can't be used without option from()",
                span=option.span,
                hint="from() gives the solution with one class less",
            )
        if not rule.discrete:
            self.notes.append("gateaux() ignored: it needs ip(f) or ip(fn)")
            return None
        numbers = option.numbers
        if len(numbers) != 3 or numbers[2] != int(numbers[2]) or numbers[2] < 2:
            raise InvalidSyntax(
                "option gateaux() takes two locations and a number of points, at least 2",
                span=option.span,
                hint="gateaux(-5 5 100)",
            )
        return numbers[0], numbers[1], int(numbers[2])

    def sample(self) -> Sample:
        command = self.command
        if command.rows is None:
            return Sample(command.condition)
        from gllamm_cli.stata.evaluate import absolute_rows

        rows = absolute_rows(
            (command.rows.first, command.rows.last), self.dataset.n_rows, command.rows.span
        )
        return Sample(command.condition, rows)


def display_options(command: GllammCommand | ReplayCommand) -> DisplayOptions:
    """Return how results are to be shown; r(198) if level() is out of bounds."""
    level = command.option("level")
    value = DEFAULT_LEVEL
    if level is not None:
        low, high = LEVEL_BOUNDS
        if len(level.numbers) != 1 or not low <= level.numbers[0] <= high:
            raise InvalidSyntax(
                f"level() must be between {low:g} and {high:g} inclusive", span=level.span
            )
        value = level.numbers[0]
    given = {option.name for option in command.options}
    return DisplayOptions(
        level=value,
        eform="eform" in given,
        all_coefficients="allc" in given,
        trace="trace" in given,
        log="nolog" not in given,
        display="nodisplay" not in given,
        dots="dots" in given,
    )


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """How the last results are to be shown again, and with which standard errors."""

    display: DisplayOptions
    robust: bool = False
    cluster: tuple[VarlistItem, ...] = ()


def resolve_replay(command: ReplayCommand) -> ReplayRequest:
    """Return what a replay asks for; options that are missing are refused by name."""
    for option in command.options:
        if option.name in NOT_YET_ON_REPLAY:
            raise NotSupported(f"not yet supported: {option.name} on replay", span=option.span)
    cluster = command.option("cluster")
    without = command.option("norob") is not None
    robust = (command.option("robust") is not None or cluster is not None) and not without
    return ReplayRequest(display_options(command), robust, cluster.items if cluster else ())
