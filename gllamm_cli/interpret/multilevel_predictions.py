"""What ``predict`` gives after Stata's multilevel commands."""

from __future__ import annotations

from enum import Enum

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.fit.fit import Fit
from gllamm_cli.interpret.random_effects import fitted_values, integrated_means
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.predict.means import INVERSE_LINKS
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.functions import FloatArray

OF_MEANS = ("mu", "pr", "n", "pu0", "nu0")
CHOICES = ("conditional", "fixedonly", "marginal")


class Effects(Enum):
    """What stands for the random effects."""

    ZERO = "fixed portion only"
    POSTERIOR_MEANS = "fixed effects and posterior means of random effects"
    INTEGRATED = "integrated over the random effects"


def _is_panel_command(found: Estimates) -> bool:
    return found.command.startswith("xt") and not found.command.startswith("xtm")


def is_ordinal(fit: Fit) -> bool:
    """Whether the response has ordered categories."""
    return LINK_BY_NAME[fit.spec.response.link].ordinal


def possible_kinds(found: Estimates, fit: Fit) -> tuple[str, ...]:
    """What can be predicted; the first is the default."""
    response = fit.spec.response
    linear = ("fitted", "residuals") if response.link == "ident" else ("fitted",)
    usual = ("stdp", *linear, "reffects")
    if _is_panel_command(found):
        of_family = {"binom": ("pu0", "pr"), "poiss": ("nu0", "n")}.get(response.family, ())
        return ("xb", *usual, *(of_family[:1] if is_ordinal(fit) else of_family))
    if found.command in ("mixed", "xtmixed"):
        return ("xb", *usual)
    return ("mu", "xb", "eta", *usual, *(("pr",) if response.family == "binom" else ()))


def effects_of(parsed: Parsed, found: Estimates, fit: Fit, kind: str) -> Effects:
    """Read ``conditional()``, ``fixedonly`` and ``marginal``."""
    given = [option for option in CHOICES if parsed.has(option)]
    allowed: tuple[str, ...] = ()
    if not _is_panel_command(found) and kind in ("mu", "pr", "eta"):
        # Categories have no one mean to integrate.
        allowed = CHOICES[:2] if kind == "eta" or is_ordinal(fit) else CHOICES
    for option in given:
        if option not in allowed or len(given) > 1:
            raise InvalidSyntax(
                f"option {option} not allowed with {kind}",
                span=parsed.options[option].span,
                hint=f"{kind} takes one of " + ", ".join(allowed) if allowed else None,
            )
    if parsed.has("conditional"):
        word = parsed.text("conditional")
        if word not in ("ebmeans", "fixedonly"):
            raise InvalidSyntax(
                f"conditional({word}) not allowed",
                span=parsed.options["conditional"].span,
                hint="ebmeans, fixedonly",
            )
        return Effects.ZERO if word == "fixedonly" else Effects.POSTERIOR_MEANS
    if parsed.has("fixedonly") or kind in ("xb", "stdp", "pu0", "nu0"):
        return Effects.ZERO
    integrated = parsed.has("marginal") or (_is_panel_command(found) and kind in ("pr", "n"))
    return Effects.INTEGRATED if integrated else Effects.POSTERIOR_MEANS


def linear_predictor(run: Run, fit: Fit, effects: Effects, xb: FloatArray) -> FloatArray:
    """Linear predictor whose fixed part is ``xb`` with its offset."""
    return fitted_values(run, fit, xb) if effects is Effects.POSTERIOR_MEANS else xb


def predicted_values(
    run: Run, found: Estimates, kind: str, effects: Effects, xb: FloatArray, *, nooffset: bool
) -> FloatArray:
    """Values of all statistics but probabilities of categories; ``xb`` includes the offset."""
    fit = found.latent
    assert fit is not None, "only fits of multilevel commands come here"
    if effects is Effects.INTEGRATED:
        mean = integrated_means(run, fit, nooffset=nooffset)
    else:
        eta = linear_predictor(run, fit, effects, xb)
        if kind == "residuals":
            return run.data.column(found.depvar) - eta
        if kind not in OF_MEANS:
            return eta
        mean = INVERSE_LINKS[fit.spec.response.link].mean(eta)
    if kind == "mu" and "denominator" in found.macros:
        mean = mean * run.evaluator().number(parse_expression(found.macros["denominator"]))
    return mean
