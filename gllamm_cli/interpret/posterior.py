"""After the fit: predict and estat."""

from __future__ import annotations

import math

import numpy as np

from gllamm_cli.errors import InvalidSyntax, WrongEstimator
from gllamm_cli.interpret.run import Run
from gllamm_cli.interpret.stored import criteria_lines
from gllamm_cli.stata.definitions import STORAGE_TYPES
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.named_matrix import NamedMatrix

INVERSE_LINKS = ("logit", "logistic", "probit", "cloglog", "poisson", "glm")


def predict(run: Run) -> None:
    """``predict newvar [if] [, xb stdp pr mu n residuals]``; gllapred after gllamm."""
    found = run.results()
    if found.fit is not None:
        raise WrongEstimator("predict is not for gllamm", hint="gllapred predicts after gllamm")
    parsed = run.parse("xb stdp pr mu n Residuals RESid SCores OUTcome(n) p Response d NOOFFset")
    words = parsed.frame.body.text.split()
    if not words:
        raise InvalidSyntax("predict needs the name of a new variable", span=run.span)
    name = run.new_name(words[-1])
    kind = words[0] if len(words) > 1 else "float"
    if kind not in STORAGE_TYPES:
        raise InvalidSyntax(f"{kind} is no storage type", span=run.span)
    xb, used = _linear_predictor(run)
    selected = run.rows(parsed)
    if parsed.has("stdp"):
        X = np.column_stack(used)
        places = [k for k, (eq, _) in enumerate(found.names) if eq == found.names[0][0]]
        V = found.V[np.ix_(places, places)]
        values = np.sqrt(np.einsum("ij,jk,ik->i", X, V, X))
    elif parsed.has("residuals") or parsed.has("resid"):
        values = run.data.column(found.depvar) - xb
    elif parsed.has("xb") or found.command == "regress":
        values = xb
    elif found.command in INVERSE_LINKS:
        values = _mean(found.command, xb)
    else:
        raise WrongEstimator(f"predict after {found.command} gives xb only", hint="the option xb")
    from gllamm_cli.stata.generate import stored

    result = stored(np.where(selected, values, np.nan), kind)
    run.data = run.data.with_column(name, result, storage_type=kind)
    if not (parsed.has("xb") or parsed.has("stdp") or parsed.has("residuals")):
        run.print(
            "(option xb assumed; fitted values)"
            if found.command == "regress"
            else "(option pr assumed)"
            if found.command in INVERSE_LINKS[:4]
            else "(option n assumed)"
        )
    missing = int(np.isnan(result).sum())
    if missing:
        run.print(f"({missing:,} missing value{'' if missing == 1 else 's'} generated)")


def _linear_predictor(run: Run) -> tuple[FloatArray, list[FloatArray]]:
    found = run.results()
    first = found.names[0][0]
    total = np.zeros(run.data.n_rows)
    columns = []
    from gllamm_cli.interpret.factors import expand_factors
    from gllamm_cli.stata.lexer import whole

    for k, (equation, name) in enumerate(found.names):
        if equation != first or equation.startswith("cut"):
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
