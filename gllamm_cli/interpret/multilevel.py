"""How fits of Stata's multilevel commands are shown: the table, then the random effects."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from gllamm_cli.after.components import Measure, variance_components
from gllamm_cli.after.delta import Estimated, log_scale
from gllamm_cli.after.intraclass import intraclass
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.natural import NaturalEstimate, NaturalKind, natural_estimates
from gllamm_cli.report.coefficients import critical_value
from gllamm_cli.report.regression import DIVIDER as TABLE_DIVIDER
from gllamm_cli.report.regression import regression_lines
from gllamm_cli.report.table import RULE
from gllamm_cli.stata.format import format_g

ONE = "__one"
"""Column of ones for which these commands let the constant of a level be a variable."""
PANEL = {
    "xtreg": "sigma_u",
    "xtlogit": "lnsig2u",
    "xtprobit": "lnsig2u",
    "xtcloglog": "lnsig2u",
    "xtpoisson": "lnsig2u",
    "xtologit": "sigma2_u",
    "xtoprobit": "sigma2_u",
}
"""Commands with one random intercept, and what e(b) has of its variance."""
DIVIDER = "-" * 29 + "+" + "-" * 48


def multilevel_lines(
    estimates: Estimates,
    *,
    level: float,
    exponentiate: bool | None = None,
    deviations: bool = False,
) -> list[str]:
    """Print a fit.

    Parameters
    ----------
    deviations
        Whether random effects are shown as standard deviations and correlations rather
        than as variances and covariances.
    """
    fit, shown = estimates.latent, estimates.regression
    assert fit is not None and shown is not None, "only fits of multilevel commands come here"
    # After bootstrap e(V) is not that of the fit itself.
    fit = replace(fit, covariance=estimates.of_fit_parameters().V)
    if estimates.command in PANEL:
        bare = replace(estimates, regression=replace(shown, below=()))
        lines = regression_lines(bare, level=level, exponentiate=exponentiate)
        return [*lines[:-1], *_panel_rows(estimates, fit, level), *shown.below]
    below = (*_random_part(fit, level, deviations=deviations), *shown.below)
    estimates = replace(estimates, regression=replace(shown, below=below))
    return regression_lines(estimates, level=level, exponentiate=exponentiate)


def _panel_rows(estimates: Estimates, fit: Fit, level: float) -> Iterator[str]:
    """Parameters of the variances, and what follows from them."""
    places = [fit.block("diagonal")[0], *fit.block("scale")]
    reach = critical_value(level)
    yield TABLE_DIVIDER
    for k in places:
        of, b, se = estimates.names[k][0], float(estimates.b[k]), math.sqrt(estimates.V[k, k])
        logarithmic = of == "lnsig2u"
        value = Estimated(b, se, b - reach * se, b + reach * se)
        yield _panel_row(f"/{of}", value if logarithmic else log_scale(b, se, level))
    derived = []
    if estimates.names[places[0]][0] == "lnsig2u":
        k = places[0]
        variance = fit.covariance[k, k]
        derived.append(("sigma_u", log_scale(fit.estimates[k], math.sqrt(variance), level)))
    if fit.spec.response.family != "poiss" and estimates.names[places[0]][0] != "sigma2_u":
        (rho,) = intraclass(fit, {ONE: 1.0}, level=level).values
        derived.append(("rho", rho))
    if derived:
        yield TABLE_DIVIDER
    for name, value in derived:
        yield _panel_row(name, value)
    yield RULE


def _panel_row(name: str, value: Estimated) -> str:
    limits = f"{format_g(value.lower)}   {format_g(value.upper)}"
    start = f"{name:>12} |  {format_g(value.estimate)}  {format_g(value.std_err)}"
    return f"{start}{'':>22}{limits}"


def _random_part(fit: Fit, level: float, *, deviations: bool) -> list[str]:
    interval = f"[{level:g}% Conf. Interval]"
    lines = ["", RULE, f"  Random-effects Parameters  |{'Estimate':>11}   Std. Err.{interval:>25}"]
    unit = None
    rows = _deviations(fit, level) if deviations else _variances(fit, level)
    for of, label, value in rows:
        if of != unit:
            unit = of
            lines += [DIVIDER, *([f"{of + ':':<29}|"] if of else [])]
        lines.append(_line(label, value))
    return [*lines, RULE]


def _line(label: str, value: Estimated | None) -> str:
    start = f"{label:>28} |"
    if value is None:
        return f"{start}  {format_g(0.0)}  (fixed)"
    return (
        f"{start}  {format_g(value.estimate)}  {format_g(value.std_err)}"
        f"     {format_g(value.lower)}   {format_g(value.upper)}"
    )


def _deviations(fit: Fit, level: float) -> Iterator[tuple[str, str, Estimated | None]]:
    """Unit, label and value of standard deviations and correlations."""
    for component in variance_components(fit, level=level):
        if component.measure is not Measure.VARIANCE:
            label = component.label.replace(ONE, "_cons")
            yield component.unit, label, component.value


def _variances(fit: Fit, level: float) -> Iterator[tuple[str, str, Estimated | None]]:
    """Unit, label and value of variances and covariances; no value where it is fixed."""
    variables = {effect.number: effect.variables[0] for effect in fit.spec.latent}
    shown = (NaturalKind.VARIANCE, NaturalKind.COVARIANCE, NaturalKind.LEVEL1_VARIANCE)
    found = [estimate for estimate in natural_estimates(fit) if estimate.kind in shown]
    # The highest level comes first, its covariances after its variances.
    for estimate in sorted(found, key=lambda e: (-e.level, e.kind is NaturalKind.COVARIANCE)):
        names = [variables[k] for k in sorted(set(estimate.effects))]
        of = ",".join("_cons" if name == ONE else name for name in names) or "Residual"
        kind = "cov" if estimate.kind is NaturalKind.COVARIANCE else "var"
        value = None if estimate.fixed else _interval(estimate, level)
        yield estimate.unit, f"{kind}({of})", value


def _interval(found: NaturalEstimate, level: float) -> Estimated:
    value = found.estimate
    std_err = math.nan if found.std_err is None else found.std_err
    if found.kind is not NaturalKind.COVARIANCE:
        return log_scale(value, std_err, level)
    reach = critical_value(level) * std_err
    return Estimated(value, std_err, value - reach, value + reach)
