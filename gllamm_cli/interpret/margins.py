"""``margins``: average predictions and average marginal effects after gllamm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from gllamm_cli.after.average import Kind, Prediction, check_prediction
from gllamm_cli.after.margins import (
    Margin,
    Margins,
    average_margins,
    derivative,
    represented_rows,
    row_weights,
)
from gllamm_cli.after.terms import Terms, model_terms
from gllamm_cli.data import Dataset
from gllamm_cli.errors import General, InvalidSyntax, NoObservations, NotAFactor, VariableNotFound
from gllamm_cli.fit.fit import Fit
from gllamm_cli.interpret.fitted import fitted_data, fitted_rows, last_fit
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.report.regression import DIVIDER, Row, coefficient_line, table_head
from gllamm_cli.report.table import NAME_WIDTH, RULE, abbreviate
from gllamm_cli.stata.format import display
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.named_matrix import NamedMatrix
from gllamm_cli.stata.numlist import parse_numlist
from gllamm_cli.stata.varlist import expand_varlist, find_variable, parse_varlist

OPTIONS = "AT(t) ATMEANS DYDX(t) PREDict(t) Level(n) POST NOWEIGHTs"
ASSIGNMENT = re.compile(r"\s*(\w+)\s*=\s*(\([^()]*\)|[^\s()]+)")
CATEGORY = re.compile(r"(outcome|out|above|ab)\s*\(([^()]*)\)")
KINDS = {
    "": Kind.MARGINAL,
    "mu": Kind.MARGINAL,
    "marginal": Kind.MARGINAL,
    "mu marginal": Kind.MARGINAL,
    "fixedonly": Kind.FIXED_ONLY,
    "mu fixedonly": Kind.FIXED_ONLY,
    "mu conditional(fixedonly)": Kind.FIXED_ONLY,
    "xb": Kind.XB,
}
MOST_COMBINATIONS = 500
TITLES = {
    Kind.MARGINAL: "integrated over the latent variables",
    Kind.FIXED_ONLY: "at latent variables of zero",
}
TITLE_OF_EFFECTS = ("Average marginal effects", "Conditional marginal effects")
TITLE_OF_PREDICTIONS = ("Predictive margins", "Adjusted predictions")

At = Mapping[str, float | FloatArray]


@dataclass(frozen=True, slots=True)
class _Combination:
    """Values of covariates: those typed, and the means of others under ``atmeans``."""

    values: At
    shown: Mapping[str, str]


def margins(run: Run) -> None:
    """``margins [factors] [if] [in] [, at() dydx() predict() atmeans level() post]``."""
    parsed = run.parse(OPTIONS)
    run.refuse(parsed, "using")
    level = run.confidence_level(parsed)
    fit = last_fit(run, "margins")
    if fit.spec.depvar not in run.data.names:
        raise VariableNotFound(f"{fit.spec.depvar} not found", hint="margins needs the data")
    sample = fitted_rows(run, fit) & run.rows(parsed)
    rows = np.flatnonzero(sample).astype(np.int64)
    if not len(rows):
        raise NoObservations("no observations", hint="if and in leave no row of the estimation")
    data = fitted_data(run, fit)
    terms = model_terms(fit.spec, data)
    prediction = _prediction(parsed, fit)
    check_prediction(fit.spec, prediction)
    weight, n = np.ones(data.n_rows), len(rows)
    if not parsed.has("noweights"):
        weight, n = row_weights(fit.spec, data), represented_rows(fit.spec, data, rows)
    weight = np.where(sample, weight, 0.0)
    combinations = _combinations(data, parsed, terms, weight)
    chosen = (
        _effects(data, parsed, terms, combinations, rows)
        if parsed.has("dydx")
        else _averages(data, parsed, terms, combinations)
    )
    found = average_margins(
        fit, data, rows, weight, chosen, prediction, terms, threads=run.session.threads
    )
    _print(run, fit, parsed, prediction, combinations, found, n, level)
    _keep(run, parsed, found, n, level)


def _prediction(parsed: Parsed, fit: Fit) -> Prediction:
    text = parsed.text("predict")
    categories: dict[str, float] = {}
    for match in CATEGORY.finditer(text):
        numbers = parse_numlist(whole(match[2]))
        if len(numbers) != 1:
            raise InvalidSyntax(f"{match[1]}() takes one number")
        categories["outcome" if match[1].startswith("out") else "above"] = numbers[0]
    rest = " ".join(CATEGORY.sub(" ", text).replace(",", " ").split())
    if fit.spec.response.family == "binom":
        rest = re.sub(r"^pr\b", "mu", rest)
    if rest not in KINDS:
        raise InvalidSyntax(
            f"predict({text}) is not supported",
            hint="mu marginal, mu fixedonly or xb, with outcome(#) or above(#)",
        )
    return Prediction(KINDS[rest], **categories)


def _known_variable(data: Dataset, terms: Terms, name: str) -> str:
    full = find_variable(name, data.names)
    if full not in terms.variables:
        raise VariableNotFound(
            f"{full} not found in list of covariates",
            hint="covariates: " + " ".join(sorted(terms.covariates)),
        )
    return full


def _combinations(
    data: Dataset, parsed: Parsed, terms: Terms, weight: FloatArray
) -> list[_Combination]:
    """Combinations of the values in ``at()``; one without values if there are none."""
    lists: dict[str, tuple[float, ...]] = {}
    text = parsed.text("at")
    position = 0
    while position < len(text.rstrip()):
        match = ASSIGNMENT.match(text, position)
        if match is None:
            raise InvalidSyntax(
                f"at({text}) cannot be read at {text[position:].strip()}",
                hint="at(x=1 z=(0 1 2)); atmeans sets the others to their means",
            )
        name = _known_variable(data, terms, match[1])
        lists[name] = parse_numlist(whole(match[2].strip("()")))
        _check_level(terms, name, lists[name])
        position = match.end()
    means = _means(data, terms, lists, weight) if parsed.has("atmeans") else {}
    if np.prod([len(values) for values in lists.values()]) > MOST_COMBINATIONS:
        raise General(f"at() gives more than {MOST_COMBINATIONS} combinations")
    made = []
    for values_at in product(*lists.values()):
        typed = dict(zip(lists, values_at, strict=True))
        shown = {name: display(value) for name, value in typed.items()}
        shown |= {name: f"{display(float(value))} (mean)" for name, value in means.items()}
        made.append(_Combination({**means, **typed}, shown))
    return made


def _means(
    data: Dataset, terms: Terms, given: Mapping[str, tuple[float, ...]], weight: FloatArray
) -> dict[str, float | FloatArray]:
    """Means of the covariates that ``given`` leaves, of factors those of their indicators."""
    own = {name for (of, _), name in terms.indicators.items() if of not in given}
    used = weight > 0.0
    return {
        name: float(np.average(data.column(name)[used], weights=weight[used]))
        for name in sorted((terms.variables - set(terms.factors) - set(given)) | own)
    }


def _check_level(terms: Terms, name: str, values: tuple[float, ...]) -> None:
    if name in terms.factors:
        unknown = [value for value in values if value not in terms.factors[name].levels]
        if unknown:
            raise NotAFactor(f"{unknown[0]:g} is no level of {name}")


def _label(pieces: list[str]) -> str:
    return "#".join(piece for piece in pieces if piece) or "_cons"


def _at_label(number: int, combinations: list[_Combination]) -> str:
    return f"{number}._at" if len(combinations) > 1 else ""


def _averages(
    data: Dataset, parsed: Parsed, terms: Terms, combinations: list[_Combination]
) -> list[Margin]:
    """Averages for all rows, or for each level of factors."""
    names = expand_varlist(parse_varlist(parsed.frame.body), data.names)
    for name in names:
        if name not in terms.factors:
            raise NotAFactor(
                f"{name}: factor not found in list of covariates",
                hint=f"xi: gllamm ... i.{name} makes it one; at({name}=(0 1)) sets its values",
            )
        if any(name in combination.values for combination in combinations):
            raise General(f"{name} stands in at() as well")
    found = []
    for name in names or ("",):
        for number, combination in enumerate(combinations, start=1):
            at = _at_label(number, combinations)
            for level in terms.factors[name].levels if name else (None,):
                values = dict(combination.values)
                if level is not None:
                    values = _without_indicators(values, terms, name)
                    values[name] = level
                label = _label([at, f"{level:g}.{name}" if level is not None else ""])
                found.append(Margin(name, label, ((1.0, values),)))
    return found


def _without_indicators(values: At, terms: Terms, name: str) -> dict[str, float | FloatArray]:
    """Values without the means of a factor's indicators."""
    own = set(terms.factors[name].indicators.values())
    return {key: value for key, value in values.items() if key not in own}


def _effects(
    data: Dataset,
    parsed: Parsed,
    terms: Terms,
    combinations: list[_Combination],
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> list[Margin]:
    """Derivatives in continuous covariates; differences from the base level in factors."""
    if parsed.frame.body.text:
        raise General("margins by levels of factors together with dydx() are not supported")
    words = parsed.text("dydx")
    if words in ("*", "_all"):
        names = [name for name in data.names if name in terms.covariates]
    else:
        listed = expand_varlist(parse_varlist(whole(words)), data.names)
        names = [_known_variable(data, terms, name) for name in listed]
    found = []
    for name in names:
        values = data.column(name)
        for number, combination in enumerate(combinations, start=1):
            at = _at_label(number, combinations)
            if name not in terms.factors:
                centre = np.where(np.isin(np.arange(len(values)), rows), values, np.nan)
                margin = derivative(name, at or name, name, combination.values, centre)
                found.append(margin)
                continue
            others = _without_indicators(combination.values, terms, name)
            factor = terms.factors[name]
            for level in factor.levels:
                if level == factor.base:
                    continue
                pair = ((1.0, {**others, name: level}), (-1.0, {**others, name: factor.base}))
                found.append(Margin(name, _label([at, f"{level:g}.{name}"]), pair))
    return found


def _expression(fit: Fit, prediction: Prediction) -> str:
    if prediction.kind is Kind.XB:
        return "Linear prediction, fixed portion"
    y = fit.spec.depvar
    trials = fit.spec.denominator is not None
    what = f"Mean of {y} per trial" if trials else f"Predicted mean of {y}"
    if prediction.outcome is not None:
        what = f"Pr({y}=={prediction.outcome:g})"
    elif prediction.above is not None:
        what = f"Pr({y}>{prediction.above:g})"
    return f"{what}, {TITLES[prediction.kind]}" if fit.spec.levels else what


def _print(
    run: Run,
    fit: Fit,
    parsed: Parsed,
    prediction: Prediction,
    combinations: list[_Combination],
    found: Margins,
    n: int,
    level: float,
) -> None:
    effects = parsed.has("dydx")
    average, conditional = TITLE_OF_EFFECTS if effects else TITLE_OF_PREDICTIONS
    title = conditional if parsed.has("atmeans") else average
    run.print("", f"{title:<48}{'Number of obs':<17} = {n:>10,}", "")
    run.print(f"Expression   : {_expression(fit, prediction)}")
    if effects:
        names = dict.fromkeys(equation for equation, _ in found.labels)
        run.print(f"dy/dx w.r.t. : {' '.join(names)}")
    for number, combination in enumerate(combinations, start=1):
        head = f"{number}._at" if len(combinations) > 1 else "at"
        for k, (name, shown) in enumerate(combination.shown.items()):
            run.print(f"{head if k == 0 else '':<13}: {abbreviate(name):<15} = {shown:>11}")
    run.print("")
    table = table_head("", level=level, df=None, heading="dy/dx" if effects else "Margin")
    run.print(table[0], f"{'':>{NAME_WIDTH}} |            Delta-method", *table[1:])
    errors = np.sqrt(np.maximum(np.diag(found.covariance), 0.0))
    previous: str | None = None
    for (equation, name), value, error in zip(found.labels, found.values, errors, strict=True):
        if equation != previous:
            run.print(DIVIDER)
            if equation and equation != name:
                run.print(f"{abbreviate(equation):<{NAME_WIDTH}} |")
        previous = equation
        row = Row(name, float(value), float(error))
        run.print(coefficient_line(row, level=level, df=None))
    run.print(RULE)
    if effects and any("." in name and "_at" not in name for _, name in found.labels):
        run.print("Note: dy/dx for factor levels is the discrete change from the base level.")


def _keep(run: Run, parsed: Parsed, found: Margins, n: int, level: float) -> None:
    names = found.labels
    matrices = {
        "b": NamedMatrix.row(found.values, names),
        "V": NamedMatrix(found.covariance, names, names),
        "Jacobian": NamedMatrix(found.jacobian, names, run.results().names),
    }
    run.returns({"N": float(n), "level": level}, matrices)
    if parsed.has("post"):
        run.session.results = replace(
            run.results(),
            command="margins",
            names=names,
            b=found.values,
            V=found.covariance,
            rank=len(names),
            fit=None,
            latent=None,
        )
