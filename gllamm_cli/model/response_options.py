"""Options about the response: families, links, thresholds, the level-1 scale, choice sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gllamm_cli.errors import InvalidSyntax, Span, TypeMismatch
from gllamm_cli.model.families import (
    FAMILY_BY_NAME,
    LINK_BY_NAME,
    Family,
    Link,
    find_family,
    find_link,
)
from gllamm_cli.model.latent import equation_variables
from gllamm_cli.model.spec import CONSTANT, ChoiceSets, Composite, Response, Thresholds
from gllamm_cli.stata.command import GllammCommand
from gllamm_cli.stata.varlist import expand_varlist, find_variable

BINARY = "binom"
"""Family noted for ordinal and nominal links, which bring their own distribution."""


@dataclass(frozen=True, slots=True)
class Variables:
    """Names of the variables of a data set, and which are text."""

    names: tuple[str, ...]
    text: frozenset[str]
    equations: Mapping[str, tuple[str, ...]]

    def check_numeric(self, name: str, span: Span | None, hint: str | None = None) -> None:
        """Raise r(109) for a text variable."""
        if name in self.text:
            raise TypeMismatch(
                f"type mismatch: {name} is text where a number is needed", span=span, hint=hint
            )

    def single(self, command: GllammCommand, option_name: str) -> str | None:
        """Return the one numeric variable of an option, None if it was not given."""
        option = command.option(option_name)
        if option is None:
            return None
        found = expand_varlist(option.items, self.names)
        if len(found) != 1:
            raise InvalidSyntax(
                f"option {option_name}() takes one variable, not {len(found)}", span=option.span
            )
        self.check_numeric(found[0], option.span)
        return found[0]

    def equation_list(self, command: GllammCommand, option_name: str) -> list[tuple[str, ...]]:
        """Return the variables of each equation an option names, numeric all of them."""
        option = command.option(option_name)
        if option is None:
            return []
        found = []
        for word in option.words:
            variables = equation_variables(word, self.equations, self.names)
            for name in variables:
                if name != CONSTANT:
                    self.check_numeric(name, word.span)
            found.append(variables)
        return found


@dataclass(frozen=True, slots=True)
class ResponsePart:
    """The fields of a specification that describe the response."""

    responses: tuple[Response, ...]
    has_scale: bool
    link_selector: str | None = None
    family_selector: str | None = None
    thresholds: tuple[Thresholds, ...] = ()
    scale_variables: tuple[str, ...] = (CONSTANT,)
    natural_scale: bool = False
    choice_sets: ChoiceSets | None = None
    base_category: float | None = None
    composite: Composite | None = None
    ordinal: bool = False
    notes: tuple[str, ...] = field(default=())


def _names(command: GllammCommand, option_name: str) -> tuple[Family | Link, ...]:
    option = command.option(option_name)
    find = find_family if option_name == "family" else find_link
    words = option.words if option else ()
    return tuple(find(word.text, word.span) for word in words)


def _span(command: GllammCommand, option_name: str) -> Span | None:
    option = command.option(option_name)
    return option.span if option else None


def _families_and_links(
    command: GllammCommand, notes: list[str]
) -> tuple[tuple[Family, ...], tuple[Link, ...]]:
    """Return families and links with gllamm's defaults; a link alone leaves the family gaussian."""
    families = tuple(f for f in _names(command, "family") if isinstance(f, Family))
    links = tuple(k for k in _names(command, "link") if isinstance(k, Link))
    for found, option_name, selector in ((families, "family", "fv"), (links, "link", "lv")):
        if len(found) > 1 and command.option(selector) is None:
            raise InvalidSyntax(
                f"need {selector} option",
                span=_span(command, option_name),
                hint=f"{selector}(var) says with 1, 2, ... which name of {option_name}() a row has",
            )
    plain = [link for link in links if not (link.ordinal or link.nominal)]
    several = len(families) > 1 or len(links) > 1
    if several and ((not families and plain) or not links):
        raise InvalidSyntax(
            "both link() and fam() required for multiple links or families",
            span=_span(command, "link") or _span(command, "family"),
        )
    if plain and not families:
        if links[0].name != "ident":
            notes.append(
                f"link({links[0].name}) without family(): responses are gaussian, as in gllamm"
            )
        families = (FAMILY_BY_NAME["gauss"],)
    families = families or (FAMILY_BY_NAME["gauss" if not links else BINARY],)
    links = links or (LINK_BY_NAME[families[0].canonical],)
    return families, links


def _blocks(
    families: tuple[Family, ...], links: tuple[Link, ...], denominator: str | None
) -> tuple[Response, ...]:
    """One block for each link, and for plain links for each family."""
    blocks = []
    for k, link in enumerate(links, start=1):
        link_value = k if len(links) > 1 else None
        if link.ordinal or link.nominal:
            blocks.append(Response(BINARY, link.name, None, link_value))
            continue
        blocks.extend(
            Response(
                family.name,
                link.name,
                denominator if family.name == BINARY else None,
                link_value,
                j if len(families) > 1 else None,
            )
            for j, family in enumerate(families, start=1)
        )
    return tuple(blocks)


def _thresholds(
    command: GllammCommand, variables: Variables, n_ordinal: int, notes: list[str]
) -> tuple[Thresholds, ...]:
    given = [name for name in ("thresh", "ethresh") if command.option(name) is not None]
    if len(given) == 2:
        raise InvalidSyntax(
            "thresh() and ethresh() cannot be combined", span=_span(command, "ethresh")
        )
    if not given:
        return ()
    if not n_ordinal:
        notes.append(f"{given[0]}() ignored: there is no ordinal link")
        return ()
    equations = variables.equation_list(command, given[0])
    if len(equations) != n_ordinal:
        raise InvalidSyntax(
            f"number of threshold equations should be {n_ordinal}", span=_span(command, given[0])
        )
    return tuple(
        Thresholds(r, tuple(n for n in names if n != CONSTANT), given[0] == "ethresh")
        for r, names in enumerate(equations, start=1)
    )


def _choice_sets(
    command: GllammCommand, variables: Variables, links: tuple[Link, ...]
) -> ChoiceSets | None:
    option = command.option("expanded")
    nominal = any(link.nominal for link in links)
    if option is None:
        if nominal and len(links) > 1:
            raise InvalidSyntax(
                "must use expanded option when combining mlogit with other links",
                span=_span(command, "link"),
            )
        return None
    if len(option.words) != 3:
        raise InvalidSyntax(
            f"option expanded() takes three words, not {len(option.words)}",
            span=option.span,
            hint="expanded(unit chosen m) or expanded(unit chosen o)",
        )
    if not nominal:
        raise InvalidSyntax(
            "expanded() needs a nominal link", span=option.span, hint="link(mlogit)"
        )
    unit, chosen = (find_variable(w.text, variables.names, w.span) for w in option.words[:2])
    for name, word in ((unit, option.words[0]), (chosen, option.words[1])):
        variables.check_numeric(name, word.span)
    by_alternative = option.words[2].text != "o"
    if by_alternative and len(links) > 1:
        raise InvalidSyntax(
            "must use o in expanded option when combining mlogit with other links",
            span=option.span,
        )
    return ChoiceSets(unit, chosen, by_alternative)


def _composite(
    command: GllammCommand, variables: Variables, links: tuple[Link, ...]
) -> Composite | None:
    option = command.option("composite")
    if option is None:
        return None
    names = expand_varlist(option.items, variables.names)
    if len(names) < 3:
        raise InvalidSyntax(
            "option composite() takes at least three variables",
            span=option.span,
            hint="composite(group indicator weight1 weight2 ...)",
        )
    for name in names:
        variables.check_numeric(name, option.span)
    wrong = [link for link in links if link.ordinal or link.nominal or link.has_scale]
    if wrong:
        raise InvalidSyntax(
            f"composite() cannot be combined with link({wrong[0].name})", span=option.span
        )
    return Composite(names[0], names[1], names[2:])


def _base_category(
    command: GllammCommand, links: tuple[Link, ...], notes: list[str]
) -> float | None:
    option = command.option("basecategory")
    if option is None:
        return None
    if not any(link.nominal for link in links):
        notes.append("basecategory() ignored: there is no nominal link")
        return None
    if len(option.numbers) != 1:
        raise InvalidSyntax("option basecategory() takes one number", span=option.span)
    return option.numbers[0]


def _scale(
    command: GllammCommand, variables: Variables, has_scale: bool, notes: list[str]
) -> tuple[str, ...]:
    option = command.option("s")
    if option is None:
        return (CONSTANT,)
    if not has_scale:
        notes.append("s() ignored: no family or link has a scale parameter")
        return (CONSTANT,)
    equations = variables.equation_list(command, "s")
    if len(equations) != 1:
        raise InvalidSyntax("option s() takes one equation", span=option.span)
    return equations[0]


def resolve_response(command: GllammCommand, variables: Variables) -> ResponsePart:
    """Return what a command says about the response.

    Raises
    ------
    InvalidSyntax, VariableNotFound, TypeMismatch
        What gllamm refuses, with its messages where it has any.
    """
    notes: list[str] = []
    families, links = _families_and_links(command, notes)
    if sum(link.nominal for link in links) > 1:
        raise InvalidSyntax("can only have one mlogit link", span=_span(command, "link"))
    denominator = variables.single(command, "denom")
    if denominator is not None and not any(family.name == BINARY for family in families):
        notes.append(f"denom({denominator}) ignored: the family is not binomial")
        denominator = None
    ordinal = [link for link in links if link.ordinal]
    if ordinal and command.option("noconstant") is not None:
        raise InvalidSyntax(
            "noconstant not allowed with ordinal links",
            span=_span(command, "noconstant"),
            hint="the thresholds take the place of the constant, which is absent already",
        )
    blocks = _blocks(families, links, denominator)
    has_scale = any(
        LINK_BY_NAME[block.link].has_scale
        or (
            FAMILY_BY_NAME[block.family].has_scale
            and not (LINK_BY_NAME[block.link].ordinal or LINK_BY_NAME[block.link].nominal)
        )
        for block in blocks
    )
    selectors = {}
    for option_name, found in (("lv", links), ("fv", families)):
        selectors[option_name] = variables.single(command, option_name)
        if selectors[option_name] is not None and len(found) == 1:
            notes.append(f"{option_name}() ignored: there is only one name to select")
            selectors[option_name] = None
    natural = command.option("nats") is not None
    if natural and not has_scale:
        notes.append("nats ignored: no family or link has a scale parameter")
    return ResponsePart(
        responses=blocks,
        has_scale=has_scale,
        link_selector=selectors["lv"],
        family_selector=selectors["fv"],
        thresholds=_thresholds(command, variables, len(ordinal), notes),
        scale_variables=_scale(command, variables, has_scale, notes),
        natural_scale=natural and has_scale,
        choice_sets=_choice_sets(command, variables, links),
        base_category=_base_category(command, links, notes),
        composite=_composite(command, variables, links),
        ordinal=bool(ordinal),
        notes=tuple(notes),
    )
