"""After the fit: predict and estat."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np

from gllamm_cli.errors import (
    AlreadyDefined,
    InvalidSyntax,
    TooFewVariables,
    TooManyVariables,
    VariableNotFound,
    WrongEstimator,
)
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret.factors import expand_factors
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.interpret.stored import criteria_lines
from gllamm_cli.stata.definitions import STORAGE_TYPES
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.generate import stored
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.named_matrix import NamedMatrix
from gllamm_cli.stata.varlist import parse_newlist

INVERSE_LINKS = ("logit", "logistic", "probit", "cloglog", "poisson", "glm")
SEVERAL_OUTCOMES = ("ologit", "oprobit", "mlogit")


def predict(run: Run) -> None:
    """``predict newvar [if] [, xb stdp pr mu n residuals]``; gllapred after gllamm.

    After models of several outcomes there are as many new variables, or one and outcome().
    """
    found = run.results()
    if found.fit is not None:
        raise WrongEstimator("predict is not for gllamm", hint="gllapred predicts after gllamm")
    parsed = run.parse("xb stdp pr mu n Residuals RESid SCores OUTcome(t) p Response d NOOFFset")
    several = found.command in SEVERAL_OUTCOMES and not (parsed.has("xb") or parsed.has("stdp"))
    kind, names = _new_variables(run, parsed, outcome_count(found) if several else 1)
    if several:
        columns = _probabilities(run, found, parsed, len(names))
        assumed = "(option pr assumed; predicted probabilities)"
    else:
        values, assumed = _prediction(run, found, parsed)
        columns = [values]
    selected = run.rows(parsed)
    results = [stored(np.where(selected, values, np.nan), kind) for values in columns]
    run.data = run.data.with_columns(dict(zip(names, results, strict=True)), storage_type=kind)
    if assumed:
        run.print(assumed)
    missing = max(int(np.isnan(result).sum()) for result in results)
    if missing:
        run.print(f"({missing:,} missing value{'' if missing == 1 else 's'} generated)")


def _new_variables(run: Run, parsed: Parsed, most: int) -> tuple[str, list[str]]:
    """Storage type and names of the new variables: one, or as many as there are outcomes."""
    body = parsed.frame.body
    kind, words = "float", body.text
    first, _, rest = words.partition(" ")
    if first in STORAGE_TYPES:
        kind, words = first, rest.strip()
    if not words:
        raise InvalidSyntax("predict needs the name of a new variable", span=run.span)
    stub = re.fullmatch(r"(\w+)\*", words)
    names = [f"{stub[1]}{k + 1}" for k in range(most)] if stub else parse_newlist(words)
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
    return kind, names


def _prediction(run: Run, found: Estimates, parsed: Parsed) -> tuple[FloatArray, str]:
    """One prediction by row, and the note on what it is if nothing was asked for."""
    xb, used = _linear_predictor(run, found.names[0][0])
    if parsed.has("stdp"):
        X = np.column_stack(used)
        places = [k for k, (eq, _) in enumerate(found.names) if eq == found.names[0][0]]
        V = found.V[np.ix_(places, places)]
        return np.sqrt(np.einsum("ij,jk,ik->i", X, V, X)), ""
    if parsed.has("residuals") or parsed.has("resid"):
        return run.data.column(found.depvar) - xb, ""
    if parsed.has("xb"):
        return xb, ""
    if found.command == "regress":
        return xb, "(option xb assumed; fitted values)"
    if found.command not in INVERSE_LINKS:
        raise WrongEstimator(f"predict after {found.command} gives xb only", hint="the option xb")
    probability = found.command in INVERSE_LINKS[:4]
    note = "(option pr assumed)" if probability else "(option n assumed)"
    return _mean(found.command, xb), note


def outcome_count(found: Estimates) -> int:
    """Number of outcomes of an ordinal or multinomial model."""
    cuts = sum(equation.startswith("cut") for equation, _ in found.names)
    return 1 + (len(found.equations()) if found.command == "mlogit" else cuts)


def _probabilities(run: Run, found: Estimates, parsed: Parsed, number: int) -> list[FloatArray]:
    """Probabilities of all outcomes, or of one: that of outcome(), else the first."""
    if found.command == "mlogit":
        shown = found.regression
        place = shown.base[1] if shown is not None and shown.base is not None else 0
        predictors = [_linear_predictor(run, equation)[0] for equation in found.equations()]
        predictors.insert(place, np.zeros(run.data.n_rows))
        largest = np.maximum.reduce(predictors)
        relative = [np.exp(predictor - largest) for predictor in predictors]
        every = [part / sum(relative) for part in relative]
    else:
        xb, _ = _linear_predictor(run, found.names[0][0])
        link = "probit" if found.command == "oprobit" else "logit"
        cuts = [x for x, (of, _) in zip(found.b, found.names, strict=True) if of[:3] == "cut"]
        below = [np.zeros_like(xb), *(_mean(link, cut - xb) for cut in cuts), np.ones_like(xb)]
        # Where the linear predictor is missing, so are the first and last, too.
        below = [np.where(np.isnan(xb), np.nan, each) for each in below]
        every = [upper - lower for lower, upper in pairwise(below)]
    if number == len(every):
        return every
    return [every[_outcome(run, found, parsed.text("outcome", "#1"), len(every))]]


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


def _linear_predictor(run: Run, of: str) -> tuple[FloatArray, list[FloatArray]]:
    """Linear predictor of an equation and the variables in it."""
    found = run.results()
    total = np.zeros(run.data.n_rows)
    columns = []
    for k, (equation, name) in enumerate(found.names):
        if equation != of or equation.startswith("cut"):
            continue
        if name == "_cons":
            x = np.ones(run.data.n_rows)
        elif name in run.data.names:
            x = run.data.column(name)
        else:
            expanded = expand_factors(whole(name), run.data)
            x = expanded.dataset.column(expanded.names[0])
        columns.append(x)
        total = total + float(found.b[k]) * x
    return total, columns


def _mean(command: str, xb: FloatArray) -> FloatArray:
    from scipy.special import expit, ndtr

    if command in ("logit", "logistic"):
        return np.asarray(expit(xb))
    if command == "probit":
        return np.asarray(ndtr(xb))
    if command == "cloglog":
        return np.asarray(-np.expm1(-np.exp(xb)))
    return np.asarray(np.exp(xb))


def estat(run: Run) -> None:
    """``estat ic``, ``estat vce``, ``estat icc``."""
    found = run.results()
    word = run.span.text.split(",")[0].strip()
    if word == "ic":
        run.print(*criteria_lines([(".", found)]))
        aic = -2 * found.log_likelihood + 2 * found.rank
        bic = -2 * found.log_likelihood + found.rank * math.log(found.n)
        row = np.array([[found.n, math.nan, found.log_likelihood, float(found.rank), aic, bic]])
        names = tuple(("", name) for name in ("N", "ll0", "ll", "df", "AIC", "BIC"))
        run.returns({"AIC": aic, "BIC": bic}, {"S": NamedMatrix(row, (("", "."),), names)})
    elif word == "vce":
        from gllamm_cli.interpret.matrices import matrix_lines

        run.print("", "Covariance matrix of coefficients of the model")
        run.print(*matrix_lines("e(V)", found.all_matrices["V"])[2:])
    else:
        raise InvalidSyntax(f"estat {word} is not supported", span=run.span, hint="ic, vce")
