"""``estat ic`` and ``estat vce``."""

from __future__ import annotations

import math

import numpy as np

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.interpret.run import Run
from gllamm_cli.interpret.stored import criteria_lines
from gllamm_cli.stata.named_matrix import NamedMatrix


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
