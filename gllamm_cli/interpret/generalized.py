"""``glm``: generalized linear models with Stata's estimates of the dispersion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.one_level import OneLevelFit, fit_one_level
from gllamm_cli.interpret.predictions import inverse_link
from gllamm_cli.interpret.regression_setup import TEMPORARY, Setup, model_spec, read_setup
from gllamm_cli.interpret.regressions import OPTIONS, OWN_OPTIONS, WEIGHTS, finish, replayed
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.model.families import find_family, find_link
from gllamm_cli.model.spec import CONSTANT, Response
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.varlist import find_variable

LINKS = ("ident", "log", "recip", "logit", "probit", "cll", "ll")
DENOMINATOR = "__denominator"
DEFAULT_LINKS = {"gauss": "ident", "binom": "logit", "poiss": "log", "gamma": "recip"}


def glm(run: Run) -> None:
    """``glm y x, family() link()``: the families and links of gllamm."""
    parsed = run.parse(f"{OWN_OPTIONS[run.name]} {OPTIONS}", weights=WEIGHTS)
    if replayed(run, parsed):
        return
    setup = read_setup(run, parsed)
    response, denominator = _response(run, parsed)
    data = setup.data
    if denominator:
        values = run.evaluator().number(parse_expression(denominator))
        values = np.array(np.broadcast_to(values, (data.n_rows,)))
        data = data.with_column(DENOMINATOR, values, storage_type="double")
    turned = response.link == "ll"
    if turned and setup.offset is not None:
        data = data.with_column(setup.offset, -data.column(setup.offset))
    spec = replace(model_spec(setup, response.family, response.link), response=response)
    fitted = fit_one_level(
        spec, data, robust=setup.robust, cluster=setup.cluster, threads=run.session.threads
    )
    if turned:
        # Stata's log-log link, -ln(-ln(mu)), is the negative of gllamm's.
        fitted = replace(fitted, fit=replace(fitted.fit, estimates=-fitted.fit.estimates))
    if spec.has_scale:
        fitted = replace(fitted, fit=_without_scale(setup, fitted))
    macros = {"denominator": denominator} if denominator else {}
    finish(run, parsed, setup, fitted, "exp(b)", setup.exponentiate, None, macros=macros)


def _response(run: Run, parsed: Parsed) -> tuple[Response, str]:
    """Family and link, and the number of trials as an expression."""
    text = parsed.text("family", "gaussian")
    words = text.split()
    family = find_family(words[0]).name
    link = find_link(parsed.text("link")).name if parsed.has("link") else DEFAULT_LINKS[family]
    if link not in LINKS:
        raise InvalidSyntax(
            f"link({parsed.text('link')}) not allowed after glm",
            span=parsed.options["link"].span,
            hint="gllamm has it",
        )
    if words[2:] or (words[1:] and family != "binom"):
        raise InvalidSyntax(
            f"family({text}) not allowed",
            span=parsed.options["family"].span,
            hint="one variable or number of trials, after binomial",
        )
    if not words[1:]:
        return Response(family, link), ""
    denominator = words[1] if words[1].isdigit() else find_variable(words[1], run.data.names)
    return Response(family, link, DENOMINATOR), denominator


def _without_scale(setup: Setup, fitted: OneLevelFit) -> Fit:
    """Return the coefficients alone, their covariance that of Pearson's dispersion.

    The score of the scale is uncorrelated with that of the coefficients at the maximum, so
    their covariance is that of dispersion 1 times the dispersion, phi.
    """
    fit = fitted.fit
    (scale,) = fit.block("scale")
    kept = fit.block("fixed")
    V = fit.covariance[np.ix_(kept, kept)]
    if fit.std_err_type == "model":
        phi_of_fit = float(np.exp(2.0 * fit.estimates[scale]))
        V = V * (_pearson_dispersion(setup, fitted) / phi_of_fit)
    return replace(
        fit,
        names=tuple(fit.names[k] for k in kept),
        estimates=fit.estimates[kept],
        covariance=V,
        free=fit.free[kept],
        n_free=len(kept),
    )


def _pearson_dispersion(setup: Setup, fitted: OneLevelFit) -> float:
    """Sum of squared Pearson residuals over the residual degrees of freedom."""
    fit, rows = fitted.fit, fitted.rows
    eta = np.zeros(len(rows))
    if setup.offset is not None:
        eta += setup.data.column(setup.offset)[rows]
    kept = fit.block("fixed")
    for k in kept:
        name = fit.names[k].name
        x = 1.0 if name == CONSTANT else setup.data.column(name)[rows]
        eta += fit.estimates[k] * x
    y, mean = setup.data.column(setup.depvar)[rows], inverse_link(fit.spec.response.link, eta)
    w = np.ones(len(rows))
    if setup.weight_kind:
        w = setup.data.column(TEMPORARY)[rows]
    variance = mean * mean if fit.spec.response.family == "gamma" else 1.0
    return float((w * (y - mean) ** 2 / variance).sum() / (w.sum() - len(kept)))
