"""``bootstrap: gllamm ...`` and ``estat bootstrap``."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from gllamm_cli.after.resample import Bootstrap
from gllamm_cli.after.resample import bootstrap as resample
from gllamm_cli.errors import General, InvalidSyntax, WrongEstimator
from gllamm_cli.interpret.fitted import fitted_data, on_sample
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.report.coefficients import critical_value
from gllamm_cli.report.regression import DIVIDER, Row, coefficient_line, table_head
from gllamm_cli.report.table import NAME_WIDTH, RULE, abbreviate
from gllamm_cli.stata.format import format_g
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.lexer import Kind, frame_tokens, part, stripped, whole
from gllamm_cli.stata.named_matrix import NamedMatrix

PREFIX = re.compile(r"(?P<head>(?:[^():,]|\([^()]*\))*(?:,(?:[^():]|\([^()]*\))*)?):(?!:)")
OPTIONS = "Reps(n) SEED(n) CLuster(v) PARametric Level(n) NODOTS"
OF_OUTPUT = ("eform", "allc", "level", "or", "irr", "trace")
REPLICATIONS = 50
MOST_REPLICATIONS = 100_000


def bootstrap(run: Run) -> None:
    """``bootstrap [, reps(#) seed(#) cluster(id) parametric level(#)]: gllamm ...``."""
    match = PREFIX.match(run.span.text)
    if match is None:
        raise InvalidSyntax(
            "invalid syntax: bootstrap, reps(#) seed(#): gllamm ...",
            span=run.span,
            hint="after the fit: estat bootstrap, reps(#) seed(#)",
        )
    command = part(run.span, run.span.start + match.end(), run.span.end).text.strip()
    if not command:
        raise InvalidSyntax("invalid syntax: nothing follows the colon", span=run.span)
    run.span = stripped(part(run.span, run.span.start, run.span.start + match.end("head")))
    parsed = _parsed(run)
    run.interpreter.run_quietly(command)
    _carry_out(run, parsed)
    for word in _display_options(command):
        run.print(f"({word} ignored: bootstrap shows the parameters as they are)")


def _display_options(command: str) -> list[str]:
    """Options of the command that are about its output, which is not shown."""
    tokens = list(frame_tokens(whole(command)))
    comma = next((k for k, token in enumerate(tokens) if token.kind is Kind.COMMA), len(tokens))
    return [token.text for token in tokens[comma:] if token.text in OF_OUTPUT]


def estat(run: Run) -> None:
    """``estat bootstrap [, reps(#) seed(#) parametric level(#)]`` after gllamm."""
    _carry_out(run, _parsed(run))


def _parsed(run: Run) -> Parsed:
    parsed = run.parse(OPTIONS)
    run.refuse(parsed, "if", "in", "using")
    if parsed.frame.body.text not in ("", "_b"):
        raise InvalidSyntax(
            f"{parsed.frame.body.text} not allowed",
            span=parsed.frame.body,
            hint="all parameters are bootstrapped: _b, or nothing",
        )
    return parsed


def _whole(parsed: Parsed, name: str, default: float, least: int, most: float) -> int:
    value = parsed.number(name, default)
    if not (value == math.floor(value) and least <= value <= most):
        raise General(f"{name}() must be a whole number from {least} to {most:,.0f}")
    return int(value)


def _carry_out(run: Run, parsed: Parsed) -> None:
    level = run.confidence_level(parsed)
    replications = _whole(parsed, "reps", REPLICATIONS, 2, MOST_REPLICATIONS)
    fallback = 0.0 if parsed.has("seed") else float(run.session.random.integers(2**31))
    seed = _whole(parsed, "seed", fallback, 0, 2**53)
    found = run.results()
    fit = found.fit or found.latent
    if fit is None:
        raise WrongEstimator(
            f"bootstrap is not for {found.command}", hint="bootstrap, reps(50): gllamm ..."
        )
    given = run.option_variables(parsed, "cluster")
    own = fit.spec.cluster or (fit.spec.levels[-1].unit if fit.spec.levels else "")
    if given and (parsed.has("parametric") or given != (own,)):
        raise General(
            f"cluster({' '.join(given)}) is not what is drawn",
            hint=f"the clusters of {own} are; cluster() of gllamm names larger ones"
            if own
            else "rows are drawn in a model without clusters",
        )
    result = resample(
        on_sample(run, fit),
        fitted_data(run, fit),
        replications=replications,
        seed=seed,
        parametric=parsed.has("parametric"),
        threads=run.session.threads,
    )
    _print(run, result, replications, level)
    _keep(run, result, replications, level)


def _print(run: Run, result: Bootstrap, replications: int, level: float) -> None:
    fit, V = result.fit, result.covariance
    kind = "Parametric bootstrap results" if result.parametric else "Bootstrap results"
    run.print(
        "",
        f"{kind:<48}{'Number of obs':<17} = {fit.n_units[0]:>10,.0f}",
        f"{'':<48}{'Replications':<17} = {replications - result.n_failed:>10,}",
        "",
    )
    if result.unit:
        run.print(f"(Replications based on {result.n_units:,} clusters in {result.unit})".rjust(78))
    head = table_head(fit.spec.depvar, level=level, df=None)
    title = f"{'':>{NAME_WIDTH}} |   Observed   Bootstrap{'Normal-based':>37}"
    run.print(head[0], title, *head[1:])
    errors = np.sqrt(np.maximum(np.diag(V), 0.0))
    equation: str | None = None
    for k, (of, name) in enumerate(run.results().of_fit_parameters().names):
        if of != equation:
            equation = of
            run.print(DIVIDER, f"{abbreviate(equation):<{NAME_WIDTH}} |")
        row = Row(name, float(fit.estimates[k]), float(errors[k]) if fit.free[k] else math.nan)
        run.print(coefficient_line(row, level=level, df=None))
    run.print(RULE, "")
    _print_percentiles(run, result, errors, level)
    if result.n_failed:
        why = "; ".join(f"{count}: {reason}" for reason, count in result.reasons.items())
        run.print(f"Note: {result.n_failed:,} of {replications:,} replications failed ({why}).")


def _print_percentiles(run: Run, result: Bootstrap, errors: FloatArray, level: float) -> None:
    fit, bias = result.fit, result.bias
    low, high = result.percentiles(level)
    run.print(
        RULE,
        f"{'':>{NAME_WIDTH}} |   Observed               Bootstrap{'Percentile':>25}",
        f"{abbreviate(fit.spec.depvar):>{NAME_WIDTH}} |{'Coef.':>11}{'Bias':>12}   Std. Err."
        + f"[{level:g}% Conf. Interval]".rjust(25),
    )
    equation: str | None = None
    for k, (of, name) in enumerate(run.results().of_fit_parameters().names):
        if of != equation:
            equation = of
            run.print(DIVIDER, f"{abbreviate(equation):<{NAME_WIDTH}} |")
        if not fit.free[k]:
            shown = f"  {format_g(float(fit.estimates[k]))}  (constrained)"
        else:
            numbers = (fit.estimates[k], bias[k], errors[k], low[k], high[k])
            b, shift, error, left, right = (format_g(float(x)) for x in numbers)
            shown = f"  {b}   {shift}   {error}      {left}  {right}"
        run.print(f"{abbreviate(name):>{NAME_WIDTH}} |{shown}")
    run.print(RULE)


def _keep(run: Run, result: Bootstrap, replications: int, level: float) -> None:
    """Make the covariance that of the replications, as Stata's prefix does."""
    found, fit, V = run.results(), result.fit, result.covariance
    names = found.of_fit_parameters().names
    errors = np.sqrt(np.maximum(np.diag(V), 0.0))
    reach = critical_value(level) * errors
    ends = (("", "ll"), ("", "ul"))
    matrices = {
        "se": NamedMatrix.row(errors, names),
        "bias": NamedMatrix.row(result.bias, names),
        "ci_normal": NamedMatrix(
            np.array([fit.estimates - reach, fit.estimates + reach]), ends, names
        ),
        "ci_percentile": NamedMatrix(result.percentiles(level), ends, names),
        "V_modelbased": NamedMatrix(fit.covariance, names, names),
    }
    scalars = {"N_reps": float(replications - result.n_failed), "N_misreps": float(result.n_failed)}
    scale = found.scale
    run.session.results = replace(
        found,
        V=V if scale is None else V * np.outer(scale.derivative, scale.derivative),
        scalars={**found.scalars, **scalars},
        macros={**found.macros, "vcetype": "Bootstrap", "prefix": "bootstrap"},
        matrices={**found.matrices, **matrices},
    )
    run.returns({**scalars, "level": level})
