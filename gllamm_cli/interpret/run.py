"""What a command gets: the session, where it stands, and how to answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import (
    AlreadyDefined,
    BadWeights,
    InvalidSyntax,
    NoEstimates,
    NonIntegerWeights,
    NotAllowed,
    Span,
    TooFewVariables,
    TooManyVariables,
    VarlistRequired,
)
from gllamm_cli.interpret.macros import unquoted
from gllamm_cli.interpret.statistics import Weights
from gllamm_cli.stata.command import Option, parse_options
from gllamm_cli.stata.evaluate import Evaluator, absolute_rows, constant_value
from gllamm_cli.stata.expression import Expression, parse_expression
from gllamm_cli.stata.functions import FloatArray, truth
from gllamm_cli.stata.lexer import is_name
from gllamm_cli.stata.named_matrix import NamedMatrix
from gllamm_cli.stata.options import rules
from gllamm_cli.stata.standard import RowRange, StandardCommand, parse_standard
from gllamm_cli.stata.varlist import expand_varlist, parse_varlist

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset
    from gllamm_cli.fit.estimates import Estimates
    from gllamm_cli.interpret.interpreter import Interpreter
    from gllamm_cli.session import Session
    from gllamm_cli.stata.environment import Groups

Mask = NDArray[np.bool_]
LEVEL_BOUNDS = (10.0, 99.99)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A command in the usual form with its options by name.

    ``weights`` are the kinds of weights it may have; the first is meant if none is named.
    """

    frame: StandardCommand
    options: Mapping[str, Option]
    weights: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether an option was given."""
        return name in self.options

    def refuse(self, *shown: str) -> None:
        """Raise if any of these options of Stata's was given, ``()`` after those with arguments.

        Raises
        ------
        InvalidSyntax
            Naming the option, and where it stands.
        """
        for option in shown:
            given = self.options.get(option.removesuffix("()"))
            if given is not None:
                raise InvalidSyntax(f"not yet supported: {option}", span=given.span)

    def text(self, name: str, default: str = "") -> str:
        """Argument of an option as typed, without outer quotes."""
        option = self.options.get(name)
        if option is None:
            return default
        return unquoted(" ".join(word.text for word in option.words))

    def words(self, name: str) -> tuple[str, ...]:
        """Words of an option's argument."""
        option = self.options.get(name)
        return tuple(word.text for word in option.words) if option else ()

    def number(self, name: str, default: float) -> float:
        """The one number of an option."""
        option = self.options.get(name)
        if option is None:
            return default
        if len(option.numbers) != 1:
            raise InvalidSyntax(f"option {name}() takes one number", span=option.span)
        return option.numbers[0]


@dataclass(slots=True)
class Run:
    """One command being carried out.

    Attributes
    ----------
    span
        What follows the name of the command.
    groups
        By-groups of a command that works within them all at once.
    within
        Rows of the by-group for which the command is repeated; None for all.
    """

    session: Session
    interpreter: Interpreter
    name: str
    span: Span
    groups: Groups | None = None
    within: Mask | None = None

    @property
    def data(self) -> Dataset:
        """The data in memory; an empty set if there are none."""
        return self.session.data_or_empty

    @data.setter
    def data(self, dataset: Dataset) -> None:
        self.session.dataset = dataset
        self.session.changed = True

    def print(self, *lines: str) -> None:
        """Answer with lines."""
        self.interpreter.note(*lines)

    def parse(
        self, options: str = "", *, weights: tuple[str, ...] = (), weights_hint: str | None = None
    ) -> Parsed:
        """Parse the usual form.

        Parameters
        ----------
        options
            Described as ``stata.options.rules`` reads.
        weights
            Kinds of weights that the command takes; without any it refuses them.
        weights_hint
            What to use in place of weights.

        Raises
        ------
        NotAllowed
            Weights of another kind.
        """
        frame = parse_standard(self.span)
        found = parse_options(frame.options, rules(options))
        given = frame.weight
        if given is not None and not weights:
            raise NotAllowed("weights not allowed", span=given.span, hint=weights_hint)
        if given is not None and given.kind and given.kind not in weights:
            raise NotAllowed(
                f"{given.kind}s not allowed", span=given.span, hint=f"it takes {listed(weights)}"
            )
        return Parsed(frame, {option.name: option for option in found}, weights)

    def refuse(self, parsed: Parsed, *parts: str) -> None:
        """Raise r(101) for qualifiers that the command does not take."""
        given = {
            "if": parsed.frame.condition is not None,
            "in": parsed.frame.rows is not None,
            "using": parsed.frame.using is not None,
        }
        for part in parts:
            if given[part]:
                raise NotAllowed(f"{part} not allowed", span=self.span)

    def evaluator(self, dataset: Dataset | None = None) -> Evaluator:
        """What expressions of this command refer to."""
        return self.session.evaluator(dataset, groups=self.groups)

    def variables(self, span: Span, *, required: bool = True) -> tuple[str, ...]:
        """Names of a list of variables; r(100) if it is empty though required."""
        items = parse_varlist(span)
        if not items and required:
            raise VarlistRequired("varlist required", hint=f"{self.name} needs variables")
        return expand_varlist(items, self.data.names)

    def these_variables(self, span: Span, number: int) -> tuple[str, ...]:
        """Names of a list of so many variables; r(102) or r(103) for others."""
        names = self.variables(span)
        if len(names) < number:
            raise TooFewVariables("too few variables specified", span=span)
        if len(names) > number:
            raise TooManyVariables("too many variables specified", span=span)
        return names

    def variable(self, span: Span) -> str:
        """Name of the only variable of a list."""
        return self.these_variables(span, 1)[0]

    def option_variables(self, parsed: Parsed, name: str) -> tuple[str, ...]:
        """Variables named in an option."""
        option = parsed.options.get(name)
        return expand_varlist(option.items, self.data.names) if option else ()

    def rows(self, parsed: Parsed) -> Mask:
        """Rows that ``if``, ``in`` and the by-group select."""
        return self.chosen_rows(parsed.frame.condition, parsed.frame.rows)

    def chosen_rows(self, condition: Expression | None, rows: RowRange | None) -> Mask:
        """Rows that a condition, a range and the by-group select."""
        n_rows = self.data.n_rows
        selected = np.ones(n_rows, dtype=bool) if self.within is None else self.within.copy()
        if condition is not None:
            selected &= truth(self.evaluator().number(condition))
        if rows is not None:
            first, last = absolute_rows((rows.first, rows.last), n_rows, rows.span)
            selected[: first - 1] = False
            selected[last:] = False
        return selected

    def weights(self, parsed: Parsed) -> tuple[FloatArray | None, str]:
        """Values of the weights, NaN where missing, and their kind."""
        weight = parsed.frame.weight
        if weight is None:
            return None, ""
        kind = weight.kind or parsed.weights[0]
        values = np.broadcast_to(self.evaluator().number(weight.expression), (self.data.n_rows,))
        known = values[~np.isnan(values)]
        if (known < 0).any():
            raise BadWeights("negative weights encountered", span=weight.span)
        if kind == "fweight" and (known != np.trunc(known)).any():
            raise NonIntegerWeights("may not use noninteger frequency weights", span=weight.span)
        return np.array(values), kind

    def weighted_rows(self, parsed: Parsed) -> tuple[Mask, Weights | None]:
        """Rows that are selected and have a weight; the weights of all rows, None without."""
        selected = self.rows(parsed)
        values, kind = self.weights(parsed)
        if values is None:
            return selected, None
        # A weight that is missing or zero leaves its row out.
        return selected & ~np.isnan(values) & (values > 0), Weights(values, kind)

    def confidence_level(self, parsed: Parsed) -> float:
        """``level()`` in per cent, or that of ``set level``; r(198) if there is no such level."""
        return self.checked_level(parsed.number("level", self.default_level))

    @property
    def default_level(self) -> float:
        """Confidence level in per cent that ``set level`` has set."""
        return float(self.session.settings.get("level", 95))

    def checked_level(self, level: float) -> float:
        """Confidence level in per cent; r(198) if there is no such level."""
        low, high = LEVEL_BOUNDS
        if not low <= level <= high:
            raise InvalidSyntax(
                f"level() must be between {low:g} and {high:g} inclusive", span=self.span
            )
        return level

    def new_name(self, name: str) -> str:
        """Check the name of a new variable."""
        if not is_name(name):
            raise InvalidSyntax(f"{name} invalid name")
        if name in self.data.names:
            raise AlreadyDefined(f"variable {name} already defined", hint="choose another name")
        return name

    def is_text(self, name: str) -> bool:
        """Whether a variable holds text."""
        return self.data.is_text(name)

    def file(self, text: str, suffix: str = ".dta") -> str:
        """Name of a file as typed, quotes removed and its usual ending added."""
        name = unquoted(text)
        if not name:
            raise InvalidSyntax("invalid file specification", hint="a file name is missing")
        last = re.split(r"[/\\]", name)[-1]
        return name if "." in last else name + suffix

    def results(self) -> Estimates:
        """The last estimation; r(301) if there is none."""
        if self.session.results is None:
            raise NoEstimates("last estimates not found", hint="fit a model first")
        return self.session.results

    def returns(
        self,
        scalars: Mapping[str, float | str] | None = None,
        matrices: Mapping[str, NamedMatrix] | None = None,
    ) -> None:
        """Set ``r()``."""
        self.session.returned = dict(scalars or {})
        self.session.returned_matrices = dict(matrices or {})

    def number(self, span: Span) -> float:
        """Value of an expression that is a number."""
        return constant_value(parse_expression(span), self.evaluator())

    def whole_number(self, span: Span, least: int = 0, most: int = 2**31 - 1) -> int:
        """Value of an expression that is a whole number from ``least`` to ``most``."""
        number = self.number(span)
        if not (least <= number <= most and number == int(number)):
            raise InvalidSyntax(
                f"'{span.text.strip()}' found where integer expected",
                span=span,
                hint=f"a whole number from {least} to {most}",
            )
        return int(number)


def listed(words: Sequence[str]) -> str:
    """``a, b and c``, each in the plural."""
    *others, last = (f"{word}s" for word in words)
    return f"{', '.join(others)} and {last}" if others else last


def plural(count: int, word: str) -> str:
    """``1 value``, ``2 values``, thousands grouped."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
