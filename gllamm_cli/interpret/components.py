"""``estat icc`` and ``estat vc``: intraclass correlations and variance components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from gllamm_cli.after.components import variance_components
from gllamm_cli.after.delta import Estimated
from gllamm_cli.after.intraclass import intraclass
from gllamm_cli.errors import General, InvalidSyntax
from gllamm_cli.interpret.fitted import constant_effects, last_fit
from gllamm_cli.interpret.multilevel import ONE
from gllamm_cli.interpret.run import Run
from gllamm_cli.model.spec import CONSTANT
from gllamm_cli.report.components import DIVIDER, head_lines, unit_line, value_line
from gllamm_cli.report.table import RULE
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.named_matrix import NamedMatrix

ROWS = tuple(("", name) for name in ("b", "se", "ll", "ul"))


def _level(run: Run) -> float:
    parsed = run.parse("Level(n)")
    run.refuse(parsed, "if", "in", "using")
    if parsed.frame.body.text:
        raise InvalidSyntax(f"{parsed.frame.body.text} not allowed", span=parsed.frame.body)
    return run.confidence_level(parsed)


def _table(values: Sequence[Estimated]) -> FloatArray:
    """Estimates, errors and limits, (4, values)."""
    return np.array([[v.estimate, v.std_err, v.lower, v.upper] for v in values]).T


def icc(run: Run) -> None:
    """``estat icc [, level()]``."""
    level = _level(run)
    fit = last_fit(run, "estat icc")
    found = intraclass(fit, constant_effects(run, fit), level=level)
    kind = "Intraclass correlation"
    if found.conditional:
        kind = "Conditional intraclass correlation"
    elif fit.spec.covariates:
        kind = "Residual intraclass correlation"
    run.print("", kind, "", *head_lines("Level", "ICC", level))
    run.print(*map(value_line, found.labels, found.values), RULE)
    if found.conditional:
        run.print("Note: ICC is conditional on zero values of random-effects covariates.")
    scalars: dict[str, float | str] = {"level": level}
    matrices = {}
    for number, label, value in zip(found.levels, found.labels, found.values, strict=True):
        scalars |= {
            f"icc{number}": value.estimate,
            f"se{number}": value.std_err,
            f"label{number}": label,
        }
        limits = np.array([value.lower, value.upper])
        matrices[f"ci{number}"] = NamedMatrix.row(limits, (("", "ll"), ("", "ul")))
    names = tuple(("", label) for label in found.labels)
    matrices["V"] = NamedMatrix(found.covariance, names, names)
    run.returns(scalars, matrices)


def vc(run: Run) -> None:
    """``estat vc [, level()]``."""
    level = _level(run)
    fit = last_fit(run, "estat vc")
    found = tuple(
        # Stata's multilevel commands make the constant a variable.
        replace(component, label=component.label.replace(ONE, CONSTANT))
        for component in variance_components(fit, level=level)
    )
    if not found:
        raise General(
            "the model has no variance components", hint="they belong to the levels of i()"
        )
    run.print("", "Variance components", "", *head_lines("", "Estimate", level)[:-1])
    for unit, rows in groupby(found, key=lambda component: component.unit):
        run.print(DIVIDER)
        if unit:
            run.print(unit_line(unit))
        run.print(*(value_line(row.label, row.value) for row in rows))
    run.print(RULE)
    if fit.spec.latent_paths or fit.spec.regressions:
        run.print("Note: these are variances of the disturbances of the latent variables.")
    if fit.spec.rule.discrete:
        run.print("Note: these are moments of the masses.")
    names = tuple((component.unit, component.label) for component in found)
    values = _table([component.value for component in found])
    run.returns({"level": level}, {"table": NamedMatrix(values, ROWS, names)})
