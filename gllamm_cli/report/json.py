"""Results as JSON: full double precision, missing as null.

The keys are a promise: they may be added to, never renamed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gllamm_cli.fit.natural import NaturalEstimate, natural_estimates
from gllamm_cli.report.coefficients import CoefficientRow, coefficient_row
from gllamm_cli.report.lrtest import reference_test

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import Fit

SCHEMA = 1


def results(fit: Fit, *, level: float = 95.0) -> dict[str, Any]:
    """Return the results of a fit as plain lists, numbers and texts; NaN is None."""
    rows = [coefficient_row(fit, position, level=level) for position in range(len(fit.names))]
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "version": fit.version,
        "command": fit.command,
        "title": fit.title,
        "depvar": fit.spec.depvar,
        "converged": fit.converged,
        "messages": list(fit.notes),
        "log_likelihood": _number(fit.log_likelihood),
        "n_units": [_count(count) for count in fit.n_units],
        "n_rows": fit.n_rows,
        "condition_number": _number(fit.condition_number),
        "df_model": sum(bool(fit.free[position]) for position in fit.block("fixed")),
        "n_parameters": fit.n_free,
        "parameters": [_parameter(row) for row in rows],
        "covariance": [[_number(value) for value in row] for row in fit.covariance.tolist()],
        "std_err_type": fit.std_err_type,
        "constraints": list(fit.constraint_text),
        "random_effects": [_natural(estimate) for estimate in natural_estimates(fit)],
        "quadrature": {
            "rule": str(fit.spec.rule),
            "adaptive": fit.spec.adaptive,
            "points": [effect.points for effect in fit.spec.latent],
        },
        "iterations": [
            {
                "stage": record.stage,
                "number": record.number,
                "log_likelihood": _number(record.log_likelihood),
                "scaled_gradient": _number(record.scaled_gradient),
                "remark": record.remark,
            }
            for record in fit.iterations
        ],
        "timing": {name: _number(seconds) for name, seconds in fit.timing.items()},
    }
    if "gateaux" in fit.extra:
        content["gateaux"] = _number(fit.extra["gateaux"])
    test = reference_test(fit)
    if test is not None:
        content["lr_test"] = {"chi2": _number(test.chi2), "df": test.df, "p": _number(test.p)}
    return content


def results_json(fit: Fit, *, level: float = 95.0) -> str:
    """Return the results of a fit as one JSON object, without a final newline."""
    return json.dumps(results(fit, level=level), indent=1, allow_nan=False)


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _count(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _parameter(row: CoefficientRow) -> dict[str, Any]:
    return {
        "equation": row.equation,
        "name": row.name,
        "estimate": _number(row.estimate),
        "std_err": _number(row.std_err),
        "z": _number(row.z),
        "p": _number(row.p),
        "ci": _numbers((row.lower, row.upper)),
        "constrained": row.constrained,
    }


def _numbers(values: Sequence[float]) -> list[float | None]:
    return [_number(value) for value in values]


def _natural(estimate: NaturalEstimate) -> dict[str, Any]:
    content: dict[str, Any] = {
        "level": estimate.level,
        "unit": estimate.unit or None,
        "kind": str(estimate.kind),
        "label": estimate.label,
        "effects": list(estimate.effects),
        "estimate": _number(estimate.estimate),
        "std_err": _number(estimate.std_err),
        "fixed": estimate.fixed,
    }
    if estimate.variable is not None:
        content["variable"] = estimate.variable
    if estimate.mass is not None:
        content["class"] = estimate.mass
    return content
