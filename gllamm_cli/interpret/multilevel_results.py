"""What is kept of a fit of Stata's multilevel commands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import count as count_from

import numpy as np

from gllamm_cli.data import Dataset
from gllamm_cli.fit.estimates import Estimates, OwnScale
from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.natural import NaturalKind, natural_estimates
from gllamm_cli.fit.one_level import fit_one_level
from gllamm_cli.interpret.multilevel import ONE, PANEL
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.model.spec import Sample
from gllamm_cli.report.regression import Regression, count
from gllamm_cli.stata.format import display, format_f

SMALLEST_DEVIATION = 1e-100


def _names(fit: Fit) -> tuple[tuple[str, str], ...]:
    depvar = fit.spec.depvar
    made: list[tuple[str, str]] = []
    cuts = count_from(1)
    for name in fit.names:
        if name.block == "threshold":
            made.append((f"cut{next(cuts)}", "_cons"))
        elif name.block == "fixed":
            made.append((depvar, name.name))
        else:
            made.append((name.equation, "_cons" if name.name == ONE else name.name))
    return tuple(made)


def show_fit(
    run: Run, parsed: Parsed, fit: Fit, title: str, data: Dataset, macros: Mapping[str, str]
) -> None:
    """Keep the results of a fit."""
    names = _names(fit)
    slopes = [k for k in fit.block("fixed") if fit.names[k].name != "_cons"]
    right = [("Number of obs", count(fit.n_units[0]))]
    levels = fit.spec.levels
    for level, units in zip(reversed(levels), reversed(fit.n_units[1:]), strict=True):
        right.append((f"Groups of {level.unit}"[:17], count(units)))
    scalars: dict[str, float] = {"k": float(fit.n_free), "N_g": fit.n_units[-1]}
    if slopes:
        from scipy.special import chdtrc

        b, V = fit.estimates[slopes], fit.covariance[np.ix_(slopes, slopes)]
        chi2 = float(b @ np.linalg.pinv(V) @ b)
        p = float(chdtrc(len(slopes), chi2))
        right.append((f"Wald chi2({len(slopes)})", format_f(chi2, 10, 2).strip()))
        right.append(("Prob > chi2", f"{p:.4f}"))
        scalars |= {"chi2": chi2, "p": p}
    left = [title, "", "Adaptive quadrature, integration points = "
            f"{fit.spec.latent[0].points}", *[""] * max(len(right) - 4, 0)]  # fmt: skip
    robust = fit.spec.robust or bool(fit.spec.sampling_weights)
    word = "Log pseudolikelihood" if robust else "Log likelihood"
    left.append(f"{word} = {display(fit.log_likelihood)}")
    cuts = tuple(names[k][0] for k in fit.block("threshold"))
    shown_equations = {fit.spec.depvar, *cuts}
    hidden = tuple(dict.fromkeys(of for of, _ in names if of not in shown_equations))
    below = [] if robust else _against_one_level(run, fit, data)
    rows = _rows(fit, data)
    macros = {
        "ivar": levels[-1].unit,
        "link": fit.spec.response.link,
        **macros,
        **({"vcetype": "Robust"} if robust else {}),
    }
    clusters = None
    if fit.spec.robust:
        macros["clustvar"] = fit.spec.cluster or levels[-1].unit
        clusters = int(fit.n_units[-1])
        if fit.spec.cluster is not None:
            clusters = len(np.unique(data.column(fit.spec.cluster)[rows]))
        scalars["N_clust"] = float(clusters)
    run.session.results = Estimates(
        command=run.name,
        line=f"{run.name} {run.span.text}",
        depvar=fit.spec.depvar,
        names=names,
        b=fit.estimates,
        V=fit.covariance,
        log_likelihood=fit.log_likelihood,
        n=fit.n_units[0],
        rank=fit.n_free,
        sample=run.data.row_ids[rows],
        scalars={**scalars, **_derived(fit)},
        macros=macros,
        regression=Regression(
            left=tuple(left),
            right=tuple(right),
            heading={"binom": "Odds Ratio", "poiss": "IRR"}.get(fit.spec.response.family, "exp(b)"),
            auxiliary=cuts,
            hidden=hidden,
            below=tuple(below),
            exponentiated=any(parsed.has(option) for option in ("or", "irr", "eform")),
            clusters=clusters,
        ),
        latent=fit,
    )
    if run.name in PANEL:
        run.session.results = _on_panel_scale(run.session.results, fit)
    run.print(*(f"note: {note.replace('nip()', 'intpoints()')}" for note in fit.notes))


def _on_panel_scale(found: Estimates, fit: Fit) -> Estimates:
    """Name and transform variances as Stata's panel commands do."""
    names, b, derivative = list(found.names), fit.estimates.copy(), np.ones(len(fit.estimates))
    (effect,), scale = fit.block("diagonal"), fit.block("scale")
    # The logarithm of a variance of zero still has to be a number.
    sd = max(float(b[effect]), SMALLEST_DEVIATION)
    names[effect] = (PANEL[found.command], "_cons")
    match PANEL[found.command]:
        case "lnsig2u":
            b[effect], derivative[effect] = 2.0 * math.log(sd), 2.0 / sd
        case "sigma2_u":
            b[effect], derivative[effect] = sd * sd, 2.0 * sd
    for k in scale:
        names[k] = ("sigma_e", "_cons")
        b[k] = derivative[k] = math.exp(b[k])
    assert found.regression is not None, "it is shown as a regression"
    hidden = tuple(names[k][0] for k in (effect, *scale))
    return replace(
        found,
        names=tuple(names),
        b=b,
        V=found.V * np.outer(derivative, derivative),
        regression=replace(found.regression, hidden=hidden),
        scale=OwnScale(found.names, derivative),
    )


def _rows(fit: Fit, data: Dataset) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    from gllamm_cli.model.sample import estimation_rows

    return estimation_rows(fit.spec, data)[0]


def _derived(fit: Fit) -> dict[str, float]:
    """``e(sigma_u)``, ``e(sigma_e)`` and ``e(rho)`` of a random-intercept model."""
    if len(fit.spec.latent) != 1:
        return {}
    found = natural_estimates(fit)
    variance = next(e.estimate for e in found if e.kind is NaturalKind.VARIANCE)
    residual = next((e.estimate for e in found if e.kind is NaturalKind.LEVEL1_VARIANCE), None)
    if residual is None:
        of_link = {"logit": math.pi**2 / 3, "probit": 1.0, "cll": math.pi**2 / 6}
        residual = of_link.get(fit.spec.response.link)
    values = {"sigma_u": math.sqrt(variance)}
    if residual is not None:
        values |= {"sigma_e": math.sqrt(residual), "rho": variance / (variance + residual)}
    return values


def _against_one_level(run: Run, fit: Fit, data: Dataset) -> list[str]:
    """The likelihood-ratio test against the model without random effects."""
    from scipy.special import chdtrc

    # Rows without a cluster are no rows of the smaller model either.
    sample = Sample(selected=tuple(_rows(fit, data).tolist()))
    single = fit_one_level(
        replace(fit.spec, levels=(), adaptive=False, correlated=True, sample=sample),
        data,
        threads=run.session.threads,
    )
    chi2 = max(2.0 * (fit.log_likelihood - single.fit.log_likelihood), 0.0)
    df = fit.n_free - single.fit.n_free
    word = "linear model" if fit.spec.response.family == "gauss" else "one-level model"
    if df == 1:
        p = 0.5 * float(chdtrc(1, chi2)) if chi2 > 0 else 1.0
        return [
            f"LR test vs. {word}: chibar2(01) = {chi2:.2f}".ljust(52) + f"Prob >= chibar2 = {p:.4f}"
        ]
    p = float(chdtrc(df, chi2))
    return [
        f"LR test vs. {word}: chi2({df}) = {chi2:.2f}".ljust(52) + f"Prob > chi2 = {p:.4f}",
        "",
        "Note: LR test is conservative and provided only for reference.",
    ]
