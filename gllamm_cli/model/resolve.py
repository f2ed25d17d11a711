"""From a parsed command to a model: the checks and refusals that need no data values.

Only names and types of variables are looked at. What gllamm can do and this
program cannot is refused by name; nothing is ignored without a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gllamm_cli.errors import (
    InvalidSyntax,
    NotSupported,
    Span,
    TypeMismatch,
    VariableNotFound,
)
from gllamm_cli.model.definitions import Definitions as Definitions
from gllamm_cli.model.definitions import find_constraints, find_start
from gllamm_cli.model.families import LINK_BY_NAME, find_family, find_link
from gllamm_cli.model.latent import build_levels, check_units, counts
from gllamm_cli.model.spec import (
    CONSTANT,
    DisplayOptions,
    Level,
    ModelSpec,
    Purpose,
    Request,
    Response,
    Sample,
)
from gllamm_cli.stata.command import GllammCommand, Option, ReplayCommand
from gllamm_cli.stata.varlist import expand_varlist, find_variable

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

NOT_YET = (
    "lv",
    "fv",
    "s",
    "nats",
    "expanded",
    "basecategory",
    "composite",
    "thresh",
    "ethresh",
    "bmatrix",
    "geqs",
    "peqs",
    "inter",
    "gateaux",
    "search",
    "robust",
    "cluster",
    "pweight",
    "prior",
)
"""Options of gllamm that are refused."""

NOT_YET_RULES = ("l", "m", "f", "fn")
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

    def has(self, name: str) -> bool:
        """Whether an option was given."""
        return self.command.option(name) is not None

    def request(self) -> Request:
        command = self.command
        self.refuse_unsupported()
        depvar = find_variable(command.depvar.text, self.dataset.names, command.depvar.span)
        self.check_numeric(depvar, command.depvar.span)
        covariates = self.covariates()
        units = self.units()
        response, has_scale = self.response()
        offset = self.single_variable("offset")
        levels, notes = build_levels(command, units, self.definitions.equations, self.dataset.names)
        self.notes.extend(notes)
        self.check_effects(levels)
        weights = self.weights(levels)
        constraints = find_constraints(command, depvar, levels, self.definitions)
        start, notes = find_start(command, self.definitions)
        self.notes.extend(notes)
        display = self.display()
        purpose = self.purpose()
        spec = ModelSpec(
            depvar=depvar,
            covariates=covariates,
            constant=not self.has("noconstant"),
            response=response,
            has_scale=has_scale,
            levels=levels,
            offset=offset,
            correlated=self.correlated(levels),
            named_effects=self.has("eqs"),
            adaptive=self.has("adapt"),
            weights=weights,
            constraints=constraints,
            sample=self.sample(),
            start=start,
            purpose=purpose,
            iterate=self.iterate(),
            difficult=self.difficult(),
            reference=self.reference(),
        )
        if self.has("adoonly"):
            self.notes.append("adoonly ignored: there is only one implementation here")
        return Request(command.source, spec, display, tuple(self.notes))

    def refuse_unsupported(self) -> None:
        for option in self.command.options:
            if option.name in NOT_YET:
                self.check_selector_lists(option)
                brackets = "()" if option.numbers or option.items or option.words else ""
                raise NotSupported(f"not yet supported: {option.name}{brackets}", span=option.span)

    def check_selector_lists(self, option: Option) -> None:
        """With ``fv()`` or ``lv()`` misspelled families come first: they are the user's to mend."""
        if option.name in ("fv", "lv"):
            self.family_names()
            self.link_names()

    def check_numeric(self, name: str, span: Span | None, hint: str | None = None) -> None:
        if self.dataset.is_text(name):
            raise TypeMismatch(
                f"type mismatch: {name} is text where a number is needed", span=span, hint=hint
            )

    def covariates(self) -> tuple[str, ...]:
        names: list[str] = []
        for item in self.command.items:
            for name in expand_varlist((item,), self.dataset.names):
                self.check_numeric(name, item.span, f"write i.{name} for indicator variables")
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

    def single_variable(self, name: str) -> str | None:
        option = self.command.option(name)
        if option is None:
            return None
        variables = expand_varlist(option.items, self.dataset.names)
        if len(variables) != 1:
            raise InvalidSyntax(
                f"option {name}() takes one variable, not {len(variables)}", span=option.span
            )
        self.check_numeric(variables[0], option.span)
        return variables[0]

    def family_names(self) -> tuple[str, ...]:
        option = self.command.option("family")
        words = option.words if option else ()
        return tuple(find_family(word.text, word.span).name for word in words)

    def link_names(self) -> tuple[str, ...]:
        option = self.command.option("link")
        words = option.words if option else ()
        return tuple(find_link(word.text, word.span).name for word in words)

    def response(self) -> tuple[Response, bool]:
        """Family and link; a link alone leaves the family gaussian, as in gllamm."""
        families, links = self.family_names(), self.link_names()
        for found, name, selector in ((families, "family", "fv"), (links, "link", "lv")):
            if len(found) > 1:
                option = self.command.option(name)
                raise InvalidSyntax(
                    f"need {selector} option",
                    span=option.span if option else None,
                    hint=f"several names in {name}() need {selector}(), which is not yet supported",
                )
        family = find_family(families[0]) if families else find_family("gaussian")
        link = LINK_BY_NAME[links[0]] if links else LINK_BY_NAME[family.canonical]
        if link.ordinal or link.nominal or link.has_scale:
            option = self.command.option("link")
            raise NotSupported(
                f"not yet supported: link({link.name})", span=option.span if option else None
            )
        if not families and link.name != "ident":
            self.notes.append(
                f"link({link.name}) without family(): responses are gaussian, as in gllamm"
            )
        denominator = self.single_variable("denom")
        if denominator is not None and family.name != "binom":
            self.notes.append(f"denom({denominator}) ignored: the family is not binomial")
            denominator = None
        return Response(family.name, link.name, denominator), family.has_scale

    def check_effects(self, levels: tuple[Level, ...]) -> None:
        option = self.command.option("eqs")
        for level in levels:
            for effect in level.latent:
                for name in effect.variables:
                    if name != CONSTANT:
                        word = option.words[effect.number - 1] if option else None
                        self.check_numeric(name, word.span if word else None)
        ip = self.command.option("ip")
        if ip is None:
            return
        rule = " ".join(word.text for word in ip.words)
        if rule in NOT_YET_RULES:
            raise NotSupported(f"not yet supported: ip({rule})", span=ip.span)
        if rule != "g":
            raise InvalidSyntax(
                f"ip option {rule} not valid", span=ip.span, hint="rules: g, l, m, f, fn"
            )

    def correlated(self, levels: tuple[Level, ...]) -> bool:
        if not self.has("nocorrel"):
            return True
        if all(len(level.latent) == 1 for level in levels):
            self.notes.append("nocorrel ignored: no level has more than one random effect")
            return True
        return False

    def weights(self, levels: tuple[Level, ...]) -> tuple[tuple[int, str], ...]:
        option = self.command.option("weight")
        if option is None:
            return ()
        if len(option.words) != 1:
            raise InvalidSyntax(
                "option weight() takes one stub", span=option.span, hint="weight(wt): wt1, wt2, ..."
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
                f"weight variables {word.text} not found",
                span=word.span,
                hint=f"the data have none of {wanted}, the weights by level",
            )
        for _, name in found:
            self.check_numeric(name, word.span)
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

    def display(self) -> DisplayOptions:
        return display_options(self.command)

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


def resolve_replay(command: ReplayCommand) -> DisplayOptions:
    """Return how the last results are to be shown again; other options are refused by name."""
    for option in command.options:
        if option.name in ("robust", "cluster", "scorefil", "norob", "eval"):
            raise NotSupported(f"not yet supported: {option.name} on replay", span=option.span)
    return display_options(command)
