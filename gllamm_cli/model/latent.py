"""The random part of a command: levels, random effects, their variables and names."""

from __future__ import annotations

from collections.abc import Mapping

from gllamm_cli.errors import InvalidSyntax, NotNumeric, Span, VariableNotFound
from gllamm_cli.model.spec import CONSTANT, IntegrationRule, LatentVariable, Level
from gllamm_cli.stata.command import GllammCommand, Option, Word
from gllamm_cli.stata.varlist import suggestion

LETTERS_WITHOUT_EQUATIONS = 4
LETTERS_WITH_EQUATIONS = 3
DEFAULT_POINTS = 8
DEFAULT_DEGREE = 7
MOST_POINTS = 1000


def counts(option: Option, what: str, least: int = 1, most: int = 10**9) -> tuple[int, ...]:
    """Return the numbers of an option as whole numbers; r(198) if they are not."""
    for number in option.numbers:
        if number != int(number) or not least <= number <= most:
            limit = f" and at most {most}" if most < 10**9 else ""
            raise InvalidSyntax(
                f"{option.name}(): {number:g} is not {what}",
                span=option.span,
                hint=f"whole numbers, at least {least}{limit}",
            )
    return tuple(int(number) for number in option.numbers)


def check_units(units: tuple[str, ...], is_text: Mapping[str, bool], span: Span | None) -> None:
    """Raise unless cluster variables are numeric and named once."""
    for position, unit in enumerate(units):
        if is_text[unit]:
            raise NotNumeric(
                f"'{unit}' found where numeric variable expected",
                span=span,
                hint=f"egen number = group({unit}) numbers its values; i() takes numeric variables",
            )
        if unit in units[:position]:
            raise InvalidSyntax(f"i() names {unit} twice", span=span)


def effects_per_level(command: GllammCommand, n_levels: int) -> tuple[int, ...]:
    """Return how many random effects each level above the rows has."""
    option = command.option("nrf")
    if option is None:
        return (1,) * n_levels
    found = counts(option, "a number of random effects")
    if len(found) != n_levels:
        raise InvalidSyntax(
            f"option nrf() does not contain {n_levels} argument(s)",
            span=option.span,
            hint="one number for each variable of i()",
        )
    if command.option("eqs") is None and max(found) > 1:
        raise InvalidSyntax(
            "eqs() option required",
            span=option.span,
            hint="with several random effects eqs() names the variables they multiply",
        )
    return found


def equation_variables(
    word: Word, equations: Mapping[str, tuple[str, ...]], names: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the variables of a named equation; a variable's name serves as its own equation."""
    if word.text in equations:
        variables = equations[word.text]
        for variable in variables:
            if variable not in names:
                raise VariableNotFound(
                    f"variable {variable} not found",
                    span=word.span,
                    hint=f"equation {word.text} was defined with it",
                )
        return variables or (CONSTANT,)
    if word.text in names:
        return (word.text,)
    hint = suggestion(word.text, (*equations, *names)) or f"define it: eq {word.text}: varlist"
    if word.text == CONSTANT:
        hint = "gen one = 1 makes a variable for the random intercept: eqs(one)"
    raise VariableNotFound(f"equation {word.text} not found", span=word.span, hint=hint)


def effect_variables(
    command: GllammCommand,
    n_effects: int,
    equations: Mapping[str, tuple[str, ...]],
    names: tuple[str, ...],
) -> tuple[tuple[str, ...], ...]:
    """Return the variables that multiply each random effect."""
    option = command.option("eqs")
    if option is None:
        return ((CONSTANT,),) * n_effects
    if len(option.words) != n_effects:
        raise InvalidSyntax(
            f"{len(option.words)} equations specified in eqs() option, need {n_effects}",
            span=option.span,
            hint="one equation for each random effect; nrf() says how many there are",
        )
    return tuple(equation_variables(word, equations, names) for word in option.words)


def integration_points(
    command: GllammCommand, per_level: tuple[int, ...], rule: IntegrationRule
) -> tuple[tuple[int, ...], list[str]]:
    """Return the number of points (or degree, or classes) for each random effect, and notes.

    Product rules have a number for each random effect, the others one for each
    level, which all its effects share.
    """
    by_effect = rule in (IntegrationRule.GAUSS_HERMITE, IntegrationRule.EQUAL_PROBABILITY)
    loops = sum(per_level) if by_effect else len(per_level)
    option = command.option("nip")
    notes: list[str] = []
    if option is None:
        points: tuple[int, ...] = (DEFAULT_POINTS,) * loops
        if rule is IntegrationRule.SPHERICAL:
            points = tuple(DEFAULT_DEGREE if n > 1 else 2 * DEFAULT_POINTS - 1 for n in per_level)
    else:
        points = counts(option, "a number of integration points", 1, MOST_POINTS)
        if len(points) not in (1, loops):
            needed = "1" if loops == 1 else f"1 or {loops}"
            raise InvalidSyntax(
                f"option nip() has {len(points)} arguments, need {needed}", span=option.span
            )
        points = points if len(points) == loops else points * loops
        if 1 in points and not rule.discrete:
            notes.append("nip(1): variances of random effects are not identified")
    if by_effect:
        return points, notes
    return tuple(p for p, n in zip(points, per_level, strict=True) for _ in range(n)), notes


def free_loadings(command: GllammCommand, n_effects: int) -> tuple[frozenset[int], list[str]]:
    """Return the numbers of the random effects whose first loading is free, and notes."""
    option = command.option("frload")
    if option is None:
        return frozenset(), []
    numbers = counts(option, "the number of a random effect")
    beyond = [number for number in numbers if number > n_effects]
    effects = "1 random effect" if n_effects == 1 else f"{n_effects} random effects"
    notes = [f"frload({number}) ignored: the model has {effects}" for number in beyond]
    return frozenset(numbers), notes


def stem(unit: str, level: int, index: int, *, with_equations: bool) -> str:
    """Equation name of a standard deviation, as gllamm 2.3.20 builds it."""
    if with_equations:
        return f"{unit[:LETTERS_WITH_EQUATIONS]}{level - 1}_{index}"
    return f"{unit[:LETTERS_WITHOUT_EQUATIONS]}{level - 1}"


def build_levels(
    command: GllammCommand,
    units: tuple[str, ...],
    equations: Mapping[str, tuple[str, ...]],
    names: tuple[str, ...],
    rule: IntegrationRule,
) -> tuple[tuple[Level, ...], tuple[str, ...]]:
    """Return levels 2 and higher with their random effects, and notes.

    Raises
    ------
    InvalidSyntax, VariableNotFound
        Options that do not fit together, with gllamm's messages.
    """
    per_level = effects_per_level(command, len(units))
    n_effects = sum(per_level)
    variables = effect_variables(command, n_effects, equations, names)
    points, notes = integration_points(command, per_level, rule)
    free, more_notes = free_loadings(command, n_effects)
    with_equations = command.option("eqs") is not None
    levels: list[Level] = []
    number = 0
    for position, (unit, count) in enumerate(zip(units, per_level, strict=True)):
        level = position + 2
        effects = []
        for index in range(1, count + 1):
            number += 1
            effects.append(
                LatentVariable(
                    number=number,
                    level=level,
                    index=index,
                    variables=variables[number - 1],
                    stem=stem(unit, level, index, with_equations=with_equations),
                    points=points[number - 1],
                    free_first_loading=number in free,
                )
            )
        levels.append(Level(level, unit, tuple(effects)))
    return tuple(levels), (*notes, *more_notes)


def old_equation_names(levels: tuple[Level, ...], *, with_equations: bool) -> dict[str, str]:
    """Map equation names of the 2001 version to the current ones, where they differ.

    A name that is current as well, or that would mean two things, is left out.
    """
    current: set[str] = set()
    pairs: list[tuple[str, str]] = []
    for level in levels:
        for effect in level.latent:
            old = level.unit[:LETTERS_WITHOUT_EQUATIONS]
            old = f"{old}{effect.index}" if with_equations else old
            pairs.extend([(old, effect.stem), (f"{old}l", f"{effect.stem}l")])
            current.update((effect.stem, f"{effect.stem}l"))
            for other in range(1, effect.index):
                pairs.append((f"{old}_{other}", f"{effect.stem}_{other}"))
                current.add(f"{effect.stem}_{other}")
    spelled = [old for old, _ in pairs]
    return {old: new for old, new in pairs if old not in current and spelled.count(old) == 1}
