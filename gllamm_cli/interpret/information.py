"""``estat ic`` and ``estat vce``: information criteria, and covariances of the estimates."""

from __future__ import annotations

import math

import numpy as np

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.interpret.matrices import matrix_lines
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.interpret.stored import criteria_lines
from gllamm_cli.stata.named_matrix import NamedMatrix


def _options(run: Run, options: str) -> Parsed:
    parsed = run.parse(options)
    run.refuse(parsed, "if", "in", "using")
    if parsed.frame.body.text:
        raise InvalidSyntax(f"{parsed.frame.body.text} not allowed", span=parsed.frame.body)
    return parsed


def ic(run: Run) -> None:
    """``estat ic [, n(#)]``."""
    parsed = _options(run, "N(n)")
    found = run.results()
    n = parsed.number("n", found.n)
    if not n > 0:
        raise InvalidSyntax("n() must be positive", span=parsed.options["n"].span)
    run.print(*criteria_lines([(".", found)], parsed.number("n", math.nan)))
    aic = -2 * found.log_likelihood + 2 * found.rank
    bic = -2 * found.log_likelihood + found.rank * math.log(n)
    null = found.scalars.get("ll_0", math.nan)
    row = np.array([[n, null, found.log_likelihood, float(found.rank), aic, bic]])
    names = tuple(("", name) for name in ("N", "ll0", "ll", "df", "AIC", "BIC"))
    run.returns({"AIC": aic, "BIC": bic}, {"S": NamedMatrix(row, (("", "."),), names)})


def vce(run: Run) -> None:
    """``estat vce [, covariance correlation format()]``."""
    parsed = _options(run, "COVariance Correlation Format(t) EQuation(t) BLock DIag NOLINes")
    parsed.refuse("equation()", "block", "diag")
    V = run.results().all_matrices["V"]
    what, matrix = "Covariance", V
    if parsed.has("correlation"):
        deviations = np.sqrt(np.diag(V.values))
        with np.errstate(all="ignore"):
            values = V.values / np.outer(deviations, deviations)
        # A parameter that is fixed correlates with nothing.
        matrix = NamedMatrix(
            np.where(np.isfinite(values), values, 0.0), V.row_names, V.column_names
        )
        what = "Correlation"
    default = "%9.4f" if parsed.has("correlation") else "%10.0g"
    run.print("", f"{what} matrix of coefficients of the model")
    run.print(*matrix_lines("e(V)", matrix, parsed.text("format", default))[2:])
    run.returns({}, {"V": V} if matrix is V else {"C": matrix})
