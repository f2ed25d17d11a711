"""Stata's own multilevel commands, carried out by gllamm's engine with adaptive quadrature.

``xtlogit y x, i(id)`` and its family have one random intercept;
``melogit y x || id: z, cov(unstructured)`` and its family have levels from the
highest to the lowest with their random coefficients.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from itertools import count as count_from

import numpy as np

from gllamm_cli.data import Dataset
from gllamm_cli.errors import InvalidSyntax, NoEstimates, NotSupported, VarlistRequired
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.natural import NaturalKind, natural_estimates
from gllamm_cli.fit.one_level import fit_one_level
from gllamm_cli.interpret.factors import expand_factors
from gllamm_cli.interpret.multilevel import ONE, multilevel_lines
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.model.families import find_family, find_link
from gllamm_cli.model.resolve import Definitions, resolve
from gllamm_cli.model.spec import Sample
from gllamm_cli.report.regression import Regression, count
from gllamm_cli.stata.command import GllammCommand, parse_gllamm
from gllamm_cli.stata.expression import Name
from gllamm_cli.stata.format import display, format_f
from gllamm_cli.stata.lexer import Kind, frame_tokens, part, whole
from gllamm_cli.stata.varlist import expand_varlist, find_variable, parse_varlist

OPTIONS = (
    "RE MLE ML FE PA i(v) NOCONstant OFFset(v) EXPosure(v) INTPoints(n) INTMethod(w) Level(n) "
    "NOLOg LOG OR IRr EForm VARiance STDDEViations COVariance(w) Family(t) LINk(w) LAPlace REML "
    "NOHeader VCE(t) Robust DIFficult ITERate(n) QUAD(n)"
)
REFUSED = (
    "fe", "pa", "vce", "robust", "laplace", "reml", "intmethod", "offset", "exposure", "iterate",
    "noheader",
)  # fmt: skip
MODELS = {
    "xtreg": ("gauss", "ident", "Random-effects ML regression"),
    "xtlogit": ("binom", "logit", "Random-effects logistic regression"),
    "xtprobit": ("binom", "probit", "Random-effects probit regression"),
    "xtcloglog": ("binom", "cll", "Random-effects complementary log-log model"),
    "xtpoisson": ("poiss", "log", "Random-effects Poisson regression"),
    "mixed": ("gauss", "ident", "Mixed-effects ML regression"),
    "melogit": ("binom", "logit", "Mixed-effects logistic regression"),
    "meprobit": ("binom", "probit", "Mixed-effects probit regression"),
    "mecloglog": ("binom", "cll", "Mixed-effects cloglog regression"),
    "mepoisson": ("poiss", "log", "Mixed-effects Poisson regression"),
    "meologit": ("binom", "ologit", "Mixed-effects ologit regression"),
    "meoprobit": ("binom", "oprobit", "Mixed-effects oprobit regression"),
    "xtmixed": ("gauss", "ident", "Mixed-effects ML regression"),
    "xtmelogit": ("binom", "logit", "Mixed-effects logistic regression"),
    "meqrlogit": ("binom", "logit", "Mixed-effects logistic regression"),
    "xtmepoisson": ("poiss", "log", "Mixed-effects Poisson regression"),
    "meqrpoisson": ("poiss", "log", "Mixed-effects Poisson regression"),
    "meglm": ("gauss", "ident", "Mixed-effects GLM"),
}
IN_DEVIATIONS = ("xtmixed", "xtmelogit", "xtmepoisson")
"""Commands that show standard deviations unless variances are asked for."""
WITHOUT_WEIGHTS = ("xtmelogit", "meqrlogit", "xtmepoisson", "meqrpoisson")
WEIGHTS_HINT = "gllamm takes weights of units at any level: weight() and pweight()"
STRUCTURES = ("independent", "unstructured", "identity", "exchangeable")


@dataclass(frozen=True, slots=True)
class _Level:
    """``unit: variables, covariance()``."""

    unit: str
    variables: tuple[str, ...]
    constant: bool
    unstructured: bool


def _equations(run: Run) -> list[str]:
    """Texts between the double bars."""
    pieces, start = [], run.span.start
    for token in frame_tokens(run.span):
        if token.kind is Kind.WORD and token.text == "||":
            pieces.append(part(run.span, start, token.span.start).text)
            start = token.span.end
    return [*pieces, part(run.span, start, run.span.end).text]


def mixed(run: Run) -> None:
    """``mixed``, ``melogit`` and so on."""
    texts = _equations(run)
    if len(texts) == 1 and _replayed(run, run.parse(OPTIONS)):
        return
    # Options of estimation stand after the last comma, behind those of the last level.
    run.span = whole(texts[0] if len(texts) == 1 else f"{texts[0]} , {_estimation(texts[-1])}")
    allowed = () if run.name in WITHOUT_WEIGHTS else ("fweight", "pweight")
    parsed = run.parse(OPTIONS, weights=allowed, weights_hint=WEIGHTS_HINT)
    levels = [_level(run, text, last=k == len(texts) - 2) for k, text in enumerate(texts[1:])]
    if not levels:
        raise InvalidSyntax(f"{run.name} y x || id: needs a level", span=run.span)
    _estimate(run, parsed, levels[::-1])


def _replayed(run: Run, parsed: Parsed) -> bool:
    """Show the last results of this command again if nothing stands before the comma."""
    found = run.session.results
    if parsed.frame.body.text or parsed.frame.condition is not None:
        return False
    if found is None or found.command != run.name or found.latent is None:
        raise NoEstimates(
            "last estimates not found", span=run.span, hint=f"fit a model with {run.name} first"
        )
    run.print(*_lines(run, parsed, found))
    return True


def _lines(run: Run, parsed: Parsed, found: Estimates) -> list[str]:
    asked = any(parsed.has(option) for option in ("or", "irr", "eform"))
    deviations = run.name in IN_DEVIATIONS and not parsed.has("variance")
    return multilevel_lines(
        found,
        level=run.confidence_level(parsed),
        exponentiate=True if asked else None,
        deviations=deviations or parsed.has("stddeviations"),
    )


meglm = melogit = meprobit = mecloglog = mepoisson = meologit = meoprobit = mixed


def _estimation(text: str) -> str:
    """Options in the text of the last level that are not about its random effects."""
    _, _, options = text.partition(",")
    return re.sub(r"cov(?:ariance|arianc|arian|aria|ari|ar|a)?\([^()]*\)|nocons\w*", "", options)


def _level(run: Run, text: str, *, last: bool) -> _Level:
    match = re.match(r"\s*(\w+)\s*:\s*([^,]*)(?:,(.*))?$", text, re.DOTALL)
    if match is None:
        raise InvalidSyntax(f"invalid syntax: || {text.strip()}", hint="|| id: variables")
    unit, names, options = match[1], match[2], match[3] or ""
    covariance = re.search(r"cov\w*\(\s*(\w+)\s*\)", options)
    word = covariance[1] if covariance else "independent"
    structure = next((full for full in STRUCTURES if full.startswith(word)), "")
    if not structure:
        raise InvalidSyntax(f"covariance({word}) not allowed", hint=", ".join(STRUCTURES))
    if structure in ("identity", "exchangeable"):
        raise NotSupported(f"covariance({structure}) is not supported", hint="unstructured")
    if not last:
        rest = re.sub(r"cov\w*\([^()]*\)|nocons\w*", "", options).strip()
        if rest:
            raise InvalidSyntax(f"option {rest.split()[0]} not allowed here")
    variables = expand_varlist(parse_varlist(whole(names)), run.data.names)
    return _Level(
        expand_varlist(parse_varlist(whole(unit)), run.data.names)[0],
        variables,
        "nocons" not in options,
        structure == "unstructured",
    )


def random_intercept(run: Run) -> None:
    """``xtreg, mle``, ``xtlogit`` and so on."""
    parsed = run.parse(OPTIONS, weights_hint=WEIGHTS_HINT)
    if _replayed(run, parsed):
        return
    panel = run.option_variables(parsed, "i")
    if not panel:
        if run.session.panel is None:
            raise InvalidSyntax("panel variable not set", hint="use xtset panelvar, or i()")
        panel = (run.session.panel[0],)
    if run.name == "xtreg" and not (parsed.has("mle") or parsed.has("ml")):
        raise NotSupported(
            "xtreg without mle is not supported", span=run.span, hint="mle fits by likelihood"
        )
    if run.name == "xtpoisson" and "normal" not in run.span.text:
        run.print("(random effects are normal, as with the option normal)")
    _estimate(run, parsed, [_Level(panel[0], (), True, False)])


xtreg = xtlogit = xtprobit = xtcloglog = xtpoisson = random_intercept


def _estimate(run: Run, parsed: Parsed, levels: list[_Level]) -> None:
    """Fit; ``levels`` from the lowest to the highest."""
    for option in REFUSED if run.name == "meglm" else (*REFUSED, "family", "link"):
        if parsed.has(option):
            raise NotSupported(
                f"{run.name} with {option} is not supported",
                span=parsed.options[option].span,
                hint="use gllamm",
            )
    family, link, title = MODELS[run.name]
    if parsed.has("family"):
        family = find_family(parsed.text("family").split()[0]).name
        link = {"gauss": "ident", "binom": "logit", "poiss": "log", "gamma": "log"}[family]
    if parsed.has("link"):
        link = find_link(parsed.text("link")).name
    expansion = expand_factors(parsed.frame.body, run.data)
    if not expansion.names:
        raise VarlistRequired("varlist required", span=run.span, hint="a response and covariates")
    data = expansion.dataset.with_column(ONE, np.ones(run.data.n_rows), storage_type="byte")
    fit = _fit(run, parsed, data, expansion.names, levels, family, link)
    _show(run, parsed, fit, levels, title, data)


def _fit(
    run: Run,
    parsed: Parsed,
    data: Dataset,
    names: tuple[str, ...],
    levels: list[_Level],
    family: str,
    link: str,
) -> Fit:
    equations: dict[str, tuple[str, ...]] = {}
    numbers = []
    for level in levels:
        own = [*level.variables, *([ONE] if level.constant else [])]
        numbers.append(len(own))
        for name in own:
            equations[f"re{len(equations) + 1}"] = (name,)
    if 0 in numbers:
        raise InvalidSyntax("a level without random effects", span=run.span)
    points = int(parsed.number("intpoints", parsed.number("quad", 7.0)))
    several = max(numbers) > 1
    uncorrelated = several and not any(level.unstructured for level in levels)
    if several and len({level.unstructured for level in levels if len(level.variables) > 0}) > 1:
        raise NotSupported("levels with different covariance() are not supported", hint="gllamm")
    text = (
        f"gllamm {names[0]} , i({' '.join(level.unit for level in levels)}) "
        f"nrf({' '.join(map(str, numbers))}) eqs({' '.join(equations)}) family({family}) "
        f"link({link}) adapt nip({points}) nolog{' nocorrel' if uncorrelated else ''}"
        f"{' nocons' if parsed.has('noconstant') else ''}"
    )
    command = parse_gllamm(text)
    assert isinstance(command, GllammCommand), "the text names a response"
    request = resolve(command, data, Definitions(equations, {}, {}))
    rows, weights = run.weighted_rows(parsed)
    selected = tuple(np.flatnonzero(rows).tolist())
    of_rows = _weight_of_rows(run, parsed)
    sampling = weights is not None and weights.kind == "pweight"
    spec = replace(
        request.spec,
        weights=() if sampling else of_rows,
        sampling_weights=of_rows if sampling else (),
        covariates=tuple(dict.fromkeys(names[1:])),
        sample=replace(request.spec.sample, condition=None, selected=selected),
    )
    request = replace(request, spec=spec)
    run.session.listener.started(request)
    fit = fit_model(request, data, threads=run.session.threads, monitor=run.session.listener)
    run.session.listener.finished()
    return fit


def _weight_of_rows(run: Run, parsed: Parsed) -> tuple[tuple[int, str], ...]:
    """Level and variable of the weights; predictions find the variable in the data later."""
    weight = parsed.frame.weight
    if weight is None:
        return ()
    if not isinstance(weight.expression, Name):
        raise NotSupported(
            f"{run.name} with weights that are no variable is not supported",
            span=weight.span,
            hint="generate one",
        )
    return ((1, find_variable(weight.expression.name, run.data.names)),)


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


def _show(
    run: Run, parsed: Parsed, fit: Fit, levels: list[_Level], title: str, data: Dataset
) -> None:
    names = _names(fit)
    slopes = [k for k in fit.block("fixed") if fit.names[k].name != "_cons"]
    right = [("Number of obs", count(fit.n_units[0]))]
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
    sampling = bool(fit.spec.sampling_weights)
    word = "Log pseudolikelihood" if sampling else "Log likelihood"
    left.append(f"{word} = {display(fit.log_likelihood)}")
    cuts = tuple(names[k][0] for k in fit.block("threshold"))
    shown_equations = {fit.spec.depvar, *cuts}
    hidden = tuple(dict.fromkeys(of for of, _ in names if of not in shown_equations))
    below = [] if sampling else _against_one_level(run, fit, data)
    estimates = Estimates(
        command=run.name,
        line=f"{run.name} {run.span.text}",
        depvar=fit.spec.depvar,
        names=names,
        b=fit.estimates,
        V=fit.covariance,
        log_likelihood=fit.log_likelihood,
        n=fit.n_units[0],
        rank=fit.n_free,
        sample=run.data.row_ids[_rows(fit, data)],
        scalars={**scalars, **_derived(fit)},
        macros={"ivar": levels[-1].unit, **({"vcetype": "Robust"} if sampling else {})},
        regression=Regression(
            left=tuple(left),
            right=tuple(right),
            heading={"binom": "Odds Ratio", "poiss": "IRR"}.get(fit.spec.response.family, "exp(b)"),
            auxiliary=cuts,
            hidden=hidden,
            below=tuple(below),
            exponentiated=any(parsed.has(option) for option in ("or", "irr", "eform")),
        ),
        latent=fit,
    )
    run.session.results = estimates
    run.print(*(f"note: {note.replace('nip()', 'intpoints()')}" for note in fit.notes))
    run.print(*_lines(run, parsed, estimates))


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
