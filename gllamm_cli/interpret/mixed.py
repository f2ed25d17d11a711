"""Stata's own multilevel commands, carried out by gllamm's engine with adaptive quadrature.

``xtlogit y x, i(id)`` and its family have one random intercept;
``melogit y x || id: z, cov(unstructured)`` and its family have levels from the
highest to the lowest with their random coefficients.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from gllamm_cli.data import Dataset
from gllamm_cli.errors import InvalidSyntax, NoEstimates, NotSupported, VarlistRequired
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.fit.fit import Fit
from gllamm_cli.interpret.factors import expand_factors
from gllamm_cli.interpret.fitted import fitted_columns
from gllamm_cli.interpret.multilevel import ONE, PANEL, multilevel_lines
from gllamm_cli.interpret.multilevel_results import show_fit
from gllamm_cli.interpret.regression_setup import refuse_two_offsets
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.model.families import LINK_BY_NAME, find_family, find_link
from gllamm_cli.model.resolve import Definitions, resolve
from gllamm_cli.model.spec import Response
from gllamm_cli.stata.command import GllammCommand, parse_gllamm
from gllamm_cli.stata.expression import Name
from gllamm_cli.stata.lexer import Kind, frame_tokens, part, whole
from gllamm_cli.stata.varlist import expand_varlist, find_variable, parse_varlist

OPTIONS = (
    "RE MLE ML FE PA i(v) NOCONstant OFFset(v) EXPosure(v) INTPoints(n) INTMethod(w) Level(n) "
    "NOLOg LOG OR IRr EForm VARiance STDDEViations Family(t) LINk(w) LAPlace REML "
    "NOHeader VCE(t) Robust DIFficult ITERate(n) QUAD(n) BINomial(t) NORMAL"
)
REFUSED = ("fe", "pa", "laplace", "reml", "intmethod", "iterate", "noheader")
NOT_ALWAYS = {
    "family": ("meglm",),
    "link": ("meglm",),
    "binomial": ("melogit", "meprobit", "mecloglog", "xtmelogit", "meqrlogit"),
    "normal": ("xtpoisson",),
    "exposure": ("xtpoisson", "mepoisson", "xtmepoisson", "meqrpoisson", "meglm"),
}
"""Options that only some commands have."""
LINEAR = ("xtreg", "mixed", "xtmixed")
MODELS = {
    "xtreg": ("gauss", "ident", "Random-effects ML regression"),
    "xtlogit": ("binom", "logit", "Random-effects logistic regression"),
    "xtprobit": ("binom", "probit", "Random-effects probit regression"),
    "xtcloglog": ("binom", "cll", "Random-effects complementary log-log model"),
    "xtpoisson": ("poiss", "log", "Random-effects Poisson regression"),
    "xtologit": ("binom", "ologit", "Random-effects ordered logistic regression"),
    "xtoprobit": ("binom", "oprobit", "Random-effects ordered probit regression"),
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
    if run.name == "xtpoisson" and not parsed.has("normal"):
        run.print("(random effects are normal, as with the option normal)")
    _estimate(run, parsed, [_Level(panel[0], (), True, False)])


xtreg = xtlogit = xtprobit = xtcloglog = xtpoisson = xtologit = xtoprobit = random_intercept


def _estimate(run: Run, parsed: Parsed, levels: list[_Level]) -> None:
    """Fit; ``levels`` from the lowest to the highest."""
    refused = [name for name, commands in NOT_ALWAYS.items() if run.name not in commands]
    if run.name in LINEAR:
        refused.append("offset")
    if run.name in PANEL:
        refused += ["variance", "stddeviations"]
    for option in (*REFUSED, *refused):
        if parsed.has(option):
            raise NotSupported(
                f"{run.name} with {option} is not supported",
                span=parsed.options[option].span,
                hint="use gllamm",
            )
    title = MODELS[run.name][2]
    response, trials = _response(run, parsed)
    expansion = expand_factors(parsed.frame.body, run.data)
    if not expansion.names:
        raise VarlistRequired("varlist required", span=run.span, hint="a response and covariates")
    data = expansion.dataset.with_column(ONE, np.ones(run.data.n_rows), storage_type="byte")
    offset = _offset(run, parsed)
    columns = fitted_columns(run, filter(None, (offset, trials)))
    data = data.with_columns(columns, storage_type="double")
    fit = _fit(run, parsed, data, expansion.names, levels, response, offset)
    macros = {"offset": offset, "denominator": trials}
    show_fit(run, parsed, fit, title, data, {name: text for name, text in macros.items() if text})
    run.print(*_lines(run, parsed, run.results()))


def _response(run: Run, parsed: Parsed) -> tuple[Response, str]:
    """Family and link, and the number of trials: a variable or a number."""
    family, link, _ = MODELS[run.name]
    option = "family" if parsed.has("family") else "binomial"
    words = parsed.text("family").split()
    if parsed.has("family") or parsed.has("link"):
        family, link = _family(parsed)
    elif parsed.has("binomial"):
        words = ["binomial", *parsed.text("binomial").split()]
    if not words[1:]:
        return Response(family, link), ""
    if words[2:] or family != "binom" or LINK_BY_NAME[link].ordinal:
        raise InvalidSyntax(
            f"{option}({parsed.text(option)}) not allowed",
            span=parsed.options[option].span,
            hint="one variable or number of trials, after binomial",
        )
    trials = words[1] if words[1].isdigit() else find_variable(words[1], run.data.names)
    return Response(family, link, trials), trials


def _family(parsed: Parsed) -> tuple[str, str]:
    """Family and link of ``meglm``."""
    word = parsed.text("family", "gaussian").split()[0]
    ordinal = "ordinal".startswith(word)
    bernoulli = len(word) > 2 and "bernoulli".startswith(word)
    family = "binom" if ordinal or bernoulli else find_family(word).name
    link = {"gauss": "ident", "binom": "logit", "poiss": "log", "gamma": "log"}[family]
    if parsed.has("link"):
        link = find_link(parsed.text("link")).name
    if ordinal and not LINK_BY_NAME[link].ordinal:
        link = f"o{link}"
        if link not in LINK_BY_NAME:
            raise InvalidSyntax(
                f"link({parsed.text('link')}) not allowed with family(ordinal)",
                span=parsed.options["link"].span,
                hint="logit, probit, cloglog",
            )
    return family, link


def _offset(run: Run, parsed: Parsed) -> str | None:
    """The offset: a variable, or the logarithm of one."""
    refuse_two_offsets(parsed)
    for option, expression in (("offset", "{}"), ("exposure", "ln({})")):
        if parsed.has(option):
            (name,) = run.option_variables(parsed, option)
            return expression.format(name)
    return None


def _fit(
    run: Run,
    parsed: Parsed,
    data: Dataset,
    names: tuple[str, ...],
    levels: list[_Level],
    response: Response,
    offset: str | None,
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
    points = _integration_points(run, parsed)
    # One effect alone has no covariance, whatever its level says.
    structures = {
        level.unstructured for level, number in zip(levels, numbers, strict=True) if number > 1
    }
    if len(structures) > 1:
        raise NotSupported("levels with different covariance() are not supported", hint="gllamm")
    uncorrelated = structures == {False}
    text = (
        f"gllamm {names[0]} , i({' '.join(level.unit for level in levels)}) "
        f"nrf({' '.join(map(str, numbers))}) eqs({' '.join(equations)}) family({response.family}) "
        f"link({response.link}) adapt nip({points}) nolog{' nocorrel' if uncorrelated else ''}"
        f"{' nocons' if parsed.has('noconstant') else ''}"
    )
    command = parse_gllamm(text)
    assert isinstance(command, GllammCommand), "the text names a response"
    request = resolve(command, data, Definitions(equations, {}, {}))
    rows, weights = run.weighted_rows(parsed)
    selected = tuple(np.flatnonzero(rows).tolist())
    of_rows = _weight_of_rows(run, parsed)
    sampling = weights is not None and weights.kind == "pweight"
    robust, cluster = _standard_errors(run, parsed, levels[-1].unit)
    spec = replace(
        request.spec,
        weights=() if sampling else of_rows,
        sampling_weights=of_rows if sampling else (),
        covariates=tuple(dict.fromkeys(names[1:])),
        response=response,
        offset=offset,
        robust=robust,
        cluster=cluster,
        sample=replace(request.spec.sample, condition=None, selected=selected),
    )
    request = replace(request, spec=spec)
    run.session.listener.started(request)
    fit = fit_model(request, data, threads=run.session.threads, monitor=run.session.listener)
    run.session.listener.finished()
    return fit


def _integration_points(run: Run, parsed: Parsed) -> int:
    option = "intpoints" if parsed.has("intpoints") else "quad"
    points = parsed.number(option, 12.0 if run.name in PANEL else 7.0)
    if points != int(points) or points < 1:
        raise InvalidSyntax(
            f"{option}() must be a whole number, at least 1", span=parsed.options[option].span
        )
    return int(points)


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


def _standard_errors(run: Run, parsed: Parsed, top: str) -> tuple[bool, str | None]:
    """Whether standard errors are robust, and for which clusters if not those of the top level."""
    words = parsed.text("vce").split()
    kind = words[0] if words else ""
    if kind and "cluster".startswith(kind) and len(words) == 2:
        (cluster,) = run.variables(whole(words[1]))
        return True, None if cluster == top else cluster
    if words[1:] or not (kind == "oim" or "robust".startswith(kind)):
        raise InvalidSyntax(
            f"vce({parsed.text('vce')}) is not supported",
            span=parsed.options["vce"].span,
            hint="oim, robust, cluster variable",
        )
    return parsed.has("robust") or kind not in ("", "oim"), None
