"""``glm``: generalized linear models with Stata's estimates of the dispersion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.one_level import OneLevelFit, fit_one_level
from gllamm_cli.interpret.predictions import inverse_link
from gllamm_cli.interpret.regressions import (
    OPTIONS,
    OWN_OPTIONS,
    TEMPORARY,
    WEIGHTS,
    Setup,
    finish,
    model_spec,
    read_setup,
    replayed,
)
from gllamm_cli.interpret.run import Run
from gllamm_cli.model.families import find_family, find_link
from gllamm_cli.model.spec import CONSTANT, Response

DEFAULT_LINKS = {"gauss": "ident", "binom": "logit", "poiss": "log", "gamma": "recip"}


def glm(run: Run) -> None:
    """``glm y x, family() link()``: the families and links of gllamm."""
    parsed = run.parse(f"{OWN_OPTIONS[run.name]} {OPTIONS}", weights=WEIGHTS)
    if replayed(run, parsed):
        return
    setup = read_setup(run, parsed)
    words = parsed.text("family", "gaussian").split()
    family = find_family(words[0]).name
    link = find_link(parsed.text("link")).name if parsed.has("link") else DEFAULT_LINKS[family]
    spec = model_spec(setup, family, link)
    if len(words) > 1:
        spec = replace(spec, response=Response(family, link, denominator=words[1]))
    fitted = fit_one_level(
        spec, setup.data, robust=setup.robust, cluster=setup.cluster, threads=run.session.threads
    )
    if spec.has_scale:
        fitted = replace(fitted, fit=_without_scale(setup, fitted))
    finish(run, parsed, setup, fitted, "exp(b)", setup.exponentiate, None)


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
