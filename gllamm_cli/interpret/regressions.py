"""Regressions without latent variables by maximum likelihood: logit, poisson, ologit and others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import count as count_from

import numpy as np

from gllamm_cli.data import Dataset
from gllamm_cli.errors import (
    InsufficientObservations,
    InvalidSyntax,
    NoEstimates,
    PerfectPrediction,
)
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.fit.one_level import OneLevelFit, fit_one_level
from gllamm_cli.interpret.macros import number_text
from gllamm_cli.interpret.regression_setup import EXPONENTIATED, Setup, model_spec, read_setup
from gllamm_cli.interpret.run import Parsed, Run, plural
from gllamm_cli.model.spec import ChoiceSets, Sample
from gllamm_cli.report.regression import Regression, count, regression_lines
from gllamm_cli.stata.format import display, format_f
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.lexer import is_number
from gllamm_cli.stata.named_matrix import Names

OPTIONS = (
    "OFFset(v) EXPosure(v) Robust CLuster(v) VCE(t) Level(n) NOLOg LOG OR IRr RRr EForm HR "
    "NOHeader ITERate(n) ASIS TRace TECHnique(t) DIFficult From(w) SCORe(w)"
)
OWN_OPTIONS = {
    "ologit": "",
    "oprobit": "",
    "mlogit": "NOCONstant BASEoutcome(n) Base(n)",
    "glm": "NOCONstant Family(t) LINk(t) SCAle(t)",
    "clogit": "GRoup(v) STrata(v)",
}
"""Options of some commands; the others have ``noconstant``."""
WEIGHTS = ("fweight", "pweight", "iweight")
TITLES = {
    "logit": "Logistic regression",
    "logistic": "Logistic regression",
    "probit": "Probit regression",
    "cloglog": "Complementary log-log regression",
    "poisson": "Poisson regression",
    "ologit": "Ordered logistic regression",
    "oprobit": "Ordered probit regression",
    "mlogit": "Multinomial logistic regression",
    "glm": "Generalized linear models",
    "clogit": "Conditional (fixed-effects) logistic regression",
}
MODELS = {
    "logit": ("binom", "logit", "Odds Ratio"),
    "logistic": ("binom", "logit", "Odds Ratio"),
    "probit": ("binom", "probit", "exp(b)"),
    "cloglog": ("binom", "cll", "exp(b)"),
    "poisson": ("poiss", "log", "IRR"),
    "ologit": ("binom", "ologit", "Odds Ratio"),
    "oprobit": ("binom", "oprobit", "exp(b)"),
    "mlogit": ("binom", "mlogit", "RRR"),
}
ALTERNATIVE = "__alternative"


def replayed(run: Run, parsed: Parsed) -> bool:
    """Show the last results of this command again if nothing stands before the comma."""
    frame = parsed.frame
    found = run.session.results
    if frame.body.text or frame.condition is not None or found is None:
        return False
    if found.command != run.name or found.regression is None:
        raise NoEstimates("last estimates not found", span=run.span)
    asked = any(parsed.has(option) for option in EXPONENTIATED)
    level = run.confidence_level(parsed)
    run.print(*regression_lines(found, level=level, exponentiate=True if asked else None))
    return True


def _ml(run: Run) -> None:
    own = OWN_OPTIONS.get(run.name, "NOCONstant")
    parsed = run.parse(f"{own} {OPTIONS}", weights=WEIGHTS)
    if replayed(run, parsed):
        return
    setup = read_setup(run, parsed)
    family, link, heading = MODELS[run.name]
    y = setup.data.column(setup.depvar)
    if link in ("logit", "probit", "cll"):
        # Any number but zero counts as a success.
        setup = replace(setup, data=_recoded_outcome(setup, y))
    base = None
    if link == "mlogit":
        base = parsed.number("baseoutcome", parsed.number("base", math.nan))
        base = _most_frequent(setup, y) if math.isnan(base) else base
    setup, fitted = _fit_without_perfect_predictors(run, setup, family, link, base)
    exponentiate = setup.exponentiate or run.name == "logistic"
    finish(run, parsed, setup, fitted, heading, exponentiate, base)


logit = logistic = probit = cloglog = poisson = ologit = oprobit = mlogit = _ml


def _fit_without_perfect_predictors(
    run: Run, setup: Setup, family: str, link: str, base: float | None
) -> tuple[Setup, OneLevelFit]:
    """Fit; indicators that determine the outcome are left out with the rows they determine."""
    while True:
        try:
            fitted = fit_one_level(
                model_spec(setup, family, link, base),
                setup.data,
                robust=setup.robust,
                cluster=setup.cluster,
                threads=run.session.threads,
            )
        except PerfectPrediction as error:
            if error.indicator is None:
                raise
            setup = _without_perfect_predictor(run, setup, *error.indicator, error.outcome)
        else:
            return setup, fitted


def _without_perfect_predictor(
    run: Run, setup: Setup, name: str, value: float, outcome: str
) -> Setup:
    rows = np.array(setup.sample.selected, dtype=np.int64)
    used = [setup.depvar, *setup.covariates, *([setup.offset] if setup.offset else [])]
    for each in used:
        rows = rows[~np.isnan(setup.data.column(each)[rows])]
    x = setup.data.column(name)[rows]
    other = number_text(float(x[x != value][0]))
    run.print(
        f"note: {name} != {other} predicts {outcome} perfectly",
        f"      {name} dropped and {count(float((x == value).sum()))} obs not used",
    )
    return replace(
        setup,
        covariates=tuple(each for each in setup.covariates if each != name),
        sample=Sample(selected=tuple(rows[x != value].tolist())),
    )


def _recoded_outcome(setup: Setup, y: FloatArray) -> Dataset:
    known = y[~np.isnan(y)]
    if np.isin(known, (0.0, 1.0)).all():
        return setup.data
    new = np.where(np.isnan(y), np.nan, (y != 0.0).astype(np.float64))
    return setup.data.with_column(setup.depvar, new)


def _most_frequent(setup: Setup, y: FloatArray) -> float:
    rows = np.array(setup.sample.selected, dtype=np.int64)
    values, counts = np.unique(y[rows][~np.isnan(y[rows])], return_counts=True)
    if not len(values):
        raise InsufficientObservations("no observations")
    return float(values[np.argmax(counts)])


def _names(setup: Setup, fitted: OneLevelFit, link: str) -> Names:
    """Names of parameters as Stata has them for these commands."""
    made: list[tuple[str, str]] = []
    cuts = count_from(1)
    for name in fitted.fit.names:
        if name.block == "threshold":
            made.append((f"cut{next(cuts)}", "_cons"))
        elif link == "mlogit":
            made.append((_outcome_name(setup, name.equation), name.name))
        else:
            made.append((setup.depvar, name.name))
    return tuple(made)


def _outcome_name(setup: Setup, equation: str) -> str:
    """Label of an outcome, or its number; the engine calls category 4 ``c4``."""
    number = equation.removeprefix("c")
    labels = setup.data.labels_of(setup.depvar)
    label = labels.get(float(number), "") if is_number(number) else ""
    return label.replace(" ", "_") or number


def finish(
    run: Run,
    parsed: Parsed,
    setup: Setup,
    fitted: OneLevelFit,
    heading: str,
    exponentiate: bool,
    base: float | None,
    *,
    names: Names | None = None,
    macros: Mapping[str, str] | None = None,
) -> None:
    """Keep the results and print them."""
    fit = fitted.fit
    link = fit.spec.response.link
    several = link == "mlogit" and names is None
    names = names or _names(setup, fitted, link)
    n = fit.n_units[0]
    robust = setup.robust or setup.cluster is not None
    slopes = [k for k, (_, name) in enumerate(names) if name != "_cons"]
    right = [("Number of obs", count(n))]
    scalars: dict[str, float] = {"k": float(len(names)), "df_m": float(len(slopes))}
    chi2 = math.nan
    null = fitted.null_log_likelihood
    if slopes and (robust or null is None):
        b, V = fit.estimates[slopes], fit.covariance[np.ix_(slopes, slopes)]
        chi2 = float(b @ np.linalg.pinv(V) @ b)
        right.append((f"Wald chi2({len(slopes)})", format_f(chi2, 10, 2).strip()))
    elif null is not None:
        chi2 = 2.0 * (fit.log_likelihood - null)
        right.append((f"LR chi2({len(slopes)})", format_f(chi2, 10, 2).strip()))
    if slopes:
        from scipy.special import chdtrc

        right.append(("Prob > chi2", f"{float(chdtrc(len(slopes), max(chi2, 0.0))):.4f}"))
        scalars |= {"chi2": chi2, "p": float(chdtrc(len(slopes), max(chi2, 0.0)))}
    if null is not None:
        right.append(("Pseudo R2", f"{1.0 - fit.log_likelihood / null:.4f}"))
        scalars |= {"ll_0": null, "r2_p": 1.0 - fit.log_likelihood / null}
    word = "Log pseudolikelihood" if robust else "Log likelihood"
    last = f"{word} = {display(fit.log_likelihood)}"
    title = TITLES[run.name]
    rows_right = len(right)
    left = [title, *[""] * max(rows_right - 2, 1), last]
    place = None
    if base is not None:
        found = dict.fromkeys(name.equation.removeprefix("c") for name in fit.names)
        numbers = sorted([*(float(e) for e in found if is_number(e)), base])
        place = (_outcome_name(setup, number_text(base)), numbers.index(base))
    cuts = tuple(names[k][0] for k in fit.block("threshold"))
    clusters = None
    if setup.cluster is not None:
        clusters = len(np.unique(setup.data.column(setup.cluster)[fitted.rows]))
        scalars["N_clust"] = float(clusters)
    shown = Regression(
        left=tuple(left),
        right=tuple(right),
        heading=heading,
        exponentiated=exponentiate,
        several=several,
        base=place,
        auxiliary=cuts,
        clusters=clusters,
    )
    fitted_here = np.zeros(run.data.n_rows, dtype=bool)
    fitted_here[fitted.rows] = True
    estimates = Estimates(
        command=run.name,
        line=f"{run.name} {run.span.text}",
        depvar=setup.depvar,
        names=names,
        b=fit.estimates,
        V=fit.covariance,
        log_likelihood=fit.log_likelihood,
        n=n,
        rank=int(fit.n_free),
        sample=run.data.row_ids[fitted_here],
        scalars=scalars,
        macros={**macros_of(setup, robust), "link": link, **(macros or {})},
        regression=shown,
    )
    if not parsed.has("nolog"):
        run.print("")
        for record in fit.iterations:
            value = display(record.log_likelihood)
            kind = "pseudolikelihood" if robust else "likelihood"
            run.print(f"Iteration {record.number}:   log {kind} = {value}  ")
    run.print(*(f"note: {note}" for note in fit.notes))
    run.session.results = estimates
    header = not parsed.has("noheader")
    run.print(*regression_lines(estimates, level=setup.level, header=header))


def macros_of(setup: Setup, robust: bool) -> dict[str, str]:
    """What is stored about a regression in words."""
    macros = {"predict": "predict"}
    if robust:
        macros["vcetype"] = "Robust"
    if setup.cluster_name:
        macros["clustvar"] = setup.cluster_name
    if setup.offset:
        macros["offset"] = setup.offset_as_typed
    return macros


def clogit(run: Run) -> None:
    """``clogit y x, group(g)``: conditional logit with one success in each group."""
    parsed = run.parse(
        f"{OWN_OPTIONS[run.name]} {OPTIONS}", weights_hint="gllamm with expanded() takes weight()"
    )
    if replayed(run, parsed):
        return
    option = "group" if parsed.has("group") else "strata"
    if not parsed.has(option):
        raise InvalidSyntax("option group() required", span=run.span)
    (group,) = run.option_variables(parsed, option)
    setup = read_setup(run, parsed)
    if setup.robust or setup.cluster is not None:
        raise InvalidSyntax("clogit with robust errors is not supported", span=run.span)
    y, rows = setup.data.column(setup.depvar), np.array(setup.sample.selected, dtype=np.int64)
    known = rows[~np.isnan(y[rows])]
    codes = np.unique(setup.data.sort_key(group)[known], return_inverse=True)[1]
    successes = np.bincount(codes, weights=(y[known] != 0).astype(np.float64))
    varies = (successes > 0) & (successes < np.bincount(codes))
    if (successes[varies] != 1).any():
        raise InvalidSyntax(
            "a group has several successes",
            span=run.span,
            hint="clogit here takes one success in each group",
        )
    dropped = int((~varies).sum())
    if dropped:
        rows_left = tuple(known[varies[codes]].tolist())
        run.print(f"note: {plural(dropped, 'group')} dropped: all outcomes are the same")
        setup = replace(setup, sample=Sample(selected=rows_left))
    number = np.zeros(setup.data.n_rows)
    number[known] = np.arange(1.0, len(known) + 1.0)
    chosen = (y != 0).astype(np.float64)
    data = setup.data.with_columns({ALTERNATIVE: number, setup.depvar: chosen})
    spec = replace(
        model_spec(setup, "binom", "mlogit"),
        depvar=ALTERNATIVE,
        constant=False,
        choice_sets=ChoiceSets(group, setup.depvar, by_alternative=False),
    )
    fitted = fit_one_level(spec, data, threads=run.session.threads)
    names = tuple((setup.depvar, name.name) for name in fitted.fit.names)
    finish(run, parsed, setup, fitted, "Odds Ratio", setup.exponentiate, None, names=names)
