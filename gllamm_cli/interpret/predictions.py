"""``predict``: variables from the last estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gllamm_cli.errors import InvalidSyntax, TooManyVariables, VarlistRequired, WrongEstimator
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret import category_probabilities
from gllamm_cli.interpret.factors import expand_factors
from gllamm_cli.interpret.multilevel_predictions import (
    Effects,
    effects_of,
    linear_predictor,
    possible_kinds,
    predicted_values,
)
from gllamm_cli.interpret.random_effects import new_names, predicted_effects
from gllamm_cli.interpret.run import Parsed, Run, plural
from gllamm_cli.predict.means import INVERSE_LINKS
from gllamm_cli.stata.definitions import STORAGE_TYPES
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.generate import stored
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.varlist import parse_newlist

KINDS = (
    "xb", "stdp", "pr", "mu", "n", "residuals", "response", "fitted", "reffects", "eta", "pu0",
    "nu0",
)  # fmt: skip
OPTIONS = (
    "xb stdp pr mu n Residuals Response FITted REFfects eta pu0 nu0 SCores OUTcome(t) NOOFFset "
    "CONDitional(w) FIXEDonly MARGinal"
)


@dataclass(frozen=True, slots=True)
class _Possible:
    """What can be predicted after a command; the first is the default, ``note`` says what it is."""

    kinds: tuple[str, ...]
    note: str = ""


_PROBABILITY = _Possible(("pr", "xb", "stdp"), "; Pr({depvar})")
_OUTCOMES = _Possible(("pr", "xb", "stdp"), "; predicted probabilities")
_LINEAR = _Possible(("xb", "stdp"))
POSSIBLE = {
    "regress": _Possible(("xb", "stdp", "residuals"), "; fitted values"),
    "logit": _PROBABILITY,
    "logistic": _PROBABILITY,
    "probit": _PROBABILITY,
    "cloglog": _PROBABILITY,
    "poisson": _Possible(("n", "xb", "stdp"), "; predicted number of events"),
    **dict.fromkeys(category_probabilities.COMMANDS, _OUTCOMES),
    "glm": _Possible(("mu", "xb", "stdp", "response"), "; predicted mean {depvar}"),
}
WITHOUT_DEFAULT = ("clogit", "treatreg")
"""Commands after which ``predict`` alone gives something in Stata that is not there."""


def predict(run: Run) -> None:
    """``predict newvar [if] [in] [, statistic nooffset]``; gllapred after gllamm."""
    found = run.results()
    if found.fit is not None:
        _by_gllapred(run)
        return
    parsed = run.parse(OPTIONS)
    fit = found.latent
    several = category_probabilities.has_outcomes(found)
    parsed.refuse("scores", *(() if several else ("outcome()",)))
    kind, assumed = _kind(parsed, found)
    if fit is None:
        parsed.refuse("conditional()", "fixedonly", "marginal")
    effects = Effects.ZERO if fit is None else effects_of(parsed, found, fit, kind)
    words = parsed.frame.body.text.split()
    storage = run.session.settings.get("type", "float")
    if len(words) > 1 and words[0] in STORAGE_TYPES:
        storage = words.pop(0)
    if not words:
        raise VarlistRequired("predict needs the name of a new variable", span=run.span)
    selected = run.rows(parsed)
    if kind == "reffects":
        assert fit is not None, "only multilevel commands have random effects"
        names = new_names(run, fit, words)
        columns = dict(zip(names, predicted_effects(run, fit), strict=True))
    elif several and kind in ("pr", "mu", "pu0"):
        most = category_probabilities.outcome_count(found)
        names = category_probabilities.new_names(run, parsed, " ".join(words), most)
        values = _probabilities(run, found, parsed, len(names), effects)
        columns = dict(zip(names, values, strict=True))
    else:
        names = parse_newlist(" ".join(words))
        if len(names) > 1:
            raise TooManyVariables("too many variables specified", span=run.span)
        columns = {run.new_name(names[0]): _values(run, found, kind, parsed, effects)}
    if assumed:
        run.print(assumed)
        if effects is Effects.POSTERIOR_MEANS:
            run.print(f"(predictions based on {effects.value})")
    results = {
        name: stored(np.where(selected, values, np.nan), storage)
        for name, values in columns.items()
    }
    run.data = run.data.with_columns(results, storage_type=storage)
    for missing in {int(np.isnan(result).sum()) for result in results.values()} - {0}:
        run.print(f"({plural(missing, 'missing value')} generated)")


def _by_gllapred(run: Run) -> None:
    from gllamm_cli.interpret.models import postestimation

    run.span = whole(f"gllapred {run.span.text}")
    postestimation(run)


def _kind(parsed: Parsed, found: Estimates) -> tuple[str, str]:
    """What is to be predicted, and the note that says so if it was not named."""
    possible = POSSIBLE.get(found.command, _LINEAR)
    if found.latent is not None:
        possible = _Possible(possible_kinds(found, found.latent))
    given = [kind for kind in KINDS if parsed.has(kind)]
    if len(given) > 1:
        raise InvalidSyntax(
            "only one statistic may be specified", span=parsed.options[given[1]].span
        )
    if given and given[0] not in possible.kinds:
        raise InvalidSyntax(
            f"option {given[0]} not allowed after {found.command}",
            span=parsed.options[given[0]].span,
            hint=", ".join(possible.kinds),
        )
    if given:
        return given[0], ""
    if found.command in WITHOUT_DEFAULT:
        raise WrongEstimator(f"predict after {found.command} gives xb only", hint="the option xb")
    note = possible.note.format(depvar=found.depvar)
    return possible.kinds[0], f"(option {possible.kinds[0]} assumed{note})"


def _probabilities(
    run: Run, found: Estimates, parsed: Parsed, number: int, effects: Effects
) -> list[FloatArray]:
    shift = _offset(run, found, parsed)

    def predictor(equation: str) -> FloatArray:
        xb = _linear_predictor(run, found, equation)[0] + shift
        return xb if found.latent is None else linear_predictor(run, found.latent, effects, xb)

    return category_probabilities.probabilities(run, found, parsed, number, predictor)


def _offset(run: Run, found: Estimates, parsed: Parsed) -> FloatArray | float:
    offset = found.macros.get("offset")
    if offset is None or parsed.has("nooffset"):
        return 0.0
    return run.evaluator().number(parse_expression(offset))


def _values(run: Run, found: Estimates, kind: str, parsed: Parsed, effects: Effects) -> FloatArray:
    equation = found.depvar if found.latent is not None else found.names[0][0]
    if parsed.has("outcome"):
        equation = category_probabilities.equation_of(run, found, parsed)
    xb, columns = _linear_predictor(run, found, equation)
    if kind == "stdp":
        X = np.column_stack([*columns.values()]) if columns else np.zeros((len(xb), 0))
        V = found.V[np.ix_([*columns], [*columns])]
        return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", X, V, X)))
    xb = xb + _offset(run, found, parsed)
    if found.latent is not None:
        nooffset = parsed.has("nooffset")
        return predicted_values(run, found, kind, effects, xb, nooffset=nooffset)
    if kind == "xb":
        return xb
    if kind == "residuals":
        return run.data.column(found.depvar) - xb
    mean = inverse_link(found.macros["link"], xb)
    if "denominator" in found.macros:
        mean = mean * run.evaluator().number(parse_expression(found.macros["denominator"]))
    return run.data.column(found.depvar) - mean if kind == "response" else mean


def _linear_predictor(
    run: Run, found: Estimates, of: str
) -> tuple[FloatArray, dict[int, FloatArray]]:
    """Linear predictor of an equation without offset, and its columns by place in e(b)."""
    total = np.zeros(run.data.n_rows)
    columns: dict[int, FloatArray] = {}
    for place, ((equation, name), b) in enumerate(zip(found.names, found.b, strict=True)):
        if equation != of or found.is_cutpoint(place):
            continue
        if name == "_cons":
            x = np.ones(run.data.n_rows)
        elif name in run.data.names:
            x = run.data.column(name)
        else:
            expanded = expand_factors(whole(name), run.data)
            x = expanded.dataset.column(expanded.names[0])
        columns[place] = x
        total = total + float(b) * x
    return total, columns


def inverse_link(link: str, xb: FloatArray) -> FloatArray:
    """Means at linear predictors, by Stata's links."""
    # Its log-log link has the other sign.
    predictor = -xb if link == "ll" else xb
    with np.errstate(all="ignore"):
        return np.asarray(INVERSE_LINKS[link].mean(predictor), dtype=np.float64)
