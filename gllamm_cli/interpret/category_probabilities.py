"""Probabilities of the outcomes of ordinal and multinomial regressions, for ``predict``."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from gllamm_cli.errors import (
    AlreadyDefined,
    InvalidSyntax,
    TooFewVariables,
    TooManyVariables,
    VariableNotFound,
)
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.predict.means import INVERSE_LINKS
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.varlist import parse_newlist

COMMANDS = ("ologit", "oprobit", "mlogit")

Predictor = Callable[[str], FloatArray]
"""Linear predictor of an equation."""


def has_outcomes(found: Estimates) -> bool:
    """Whether the response has categories with a probability each."""
    link = LINK_BY_NAME[found.macros.get("link", "ident")]
    return found.command in COMMANDS or (found.latent is not None and link.ordinal)


def outcome_count(found: Estimates) -> int:
    """Number of outcomes of an ordinal or multinomial model."""
    return 1 + (len(found.equations()) if found.command == "mlogit" else len(_cutpoints(found)))


def _cutpoints(found: Estimates) -> list[float]:
    return [float(b) for place, b in enumerate(found.b) if found.is_cutpoint(place)]


def new_names(run: Run, parsed: Parsed, text: str, most: int) -> list[str]:
    """Names of the new variables: one, or as many as there are outcomes; ``stub*`` makes them."""
    body = parsed.frame.body
    stub = re.fullmatch(r"(\w+)\*", text)
    names = [f"{stub[1]}{k + 1}" for k in range(most)] if stub else parse_newlist(text)
    if len(names) > most:
        raise TooManyVariables("too many variables specified", span=body)
    wanted = 1 if parsed.has("outcome") else most
    if len(names) not in (1, wanted):
        error = TooFewVariables if len(names) < wanted else TooManyVariables
        few = "few" if len(names) < wanted else "many"
        raise error(f"too {few} variables specified", span=body, hint=f"1 or {wanted} new ones")
    for position, name in enumerate(names):
        run.new_name(name)
        if name in names[:position]:
            raise AlreadyDefined(f"variable {name} already defined", span=body)
    return names


def probabilities(
    run: Run, found: Estimates, parsed: Parsed, number: int, predictor: Predictor
) -> list[FloatArray]:
    """Probabilities of all outcomes, or of one: that of outcome(), else the first."""
    every = (
        _multinomial(found, predictor) if found.command == "mlogit" else _ordinal(found, predictor)
    )
    if number == len(every):
        return every
    return [every[_outcome(run, found, parsed.text("outcome", "#1"), len(every))]]


def equation_of(run: Run, found: Estimates, parsed: Parsed) -> str:
    """Equation of the outcome in outcome(); that of the base outcome has no coefficients."""
    if found.command != "mlogit":
        raise InvalidSyntax(
            "option outcome() not allowed with a linear predictor",
            span=parsed.options["outcome"].span,
            hint="it is the same for all outcomes",
        )
    equations = found.equations()
    equations.insert(_place_of_base(found), "")
    return equations[_outcome(run, found, parsed.text("outcome"), len(equations))]


def _place_of_base(found: Estimates) -> int:
    shown = found.regression
    return shown.base[1] if shown is not None and shown.base is not None else 0


def _multinomial(found: Estimates, predictor: Predictor) -> list[FloatArray]:
    predictors = [predictor(equation) for equation in found.equations()]
    predictors.insert(_place_of_base(found), np.zeros_like(predictors[0]))
    largest = np.maximum.reduce(predictors)
    relative = [np.exp(each - largest) for each in predictors]
    return [part / sum(relative) for part in relative]


def _ordinal(found: Estimates, predictor: Predictor) -> list[FloatArray]:
    xb = predictor(found.names[0][0] if found.latent is None else found.depvar)
    below_cut = INVERSE_LINKS[found.macros["link"]].complement
    cuts = (below_cut(xb - cut) for cut in _cutpoints(found))
    below = [np.zeros_like(xb), *cuts, np.ones_like(xb)]
    # Where the linear predictor is missing, so are the first and last, too.
    below = [np.where(np.isnan(xb), np.nan, each) for each in below]
    return [upper - lower for lower, upper in pairwise(below)]


def _outcome(run: Run, found: Estimates, text: str, number: int) -> int:
    """Position of an outcome, given as a value or as ``#`` and its number."""
    if match := re.fullmatch(r"#(\d+)", text.strip()):
        position = int(match[1]) - 1
    else:
        values = run.data.column(found.depvar)[run.session.estimation_sample(run.data)]
        known = np.unique(values[~np.isnan(values)]).tolist()
        wanted = run.number(whole(text))
        position = known.index(wanted) if wanted in known and len(known) == number else -1
    if not 0 <= position < number:
        raise VariableNotFound(
            f"outcome {text} not found", span=run.span, hint=f"#1 to #{number}, or a value"
        )
    return position
