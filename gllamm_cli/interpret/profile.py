"""``estat profile``: profile-likelihood intervals of parameters."""

from __future__ import annotations

import math
import re

import numpy as np

from gllamm_cli.after.profile import Openness, ProfileInterval, profile_intervals
from gllamm_cli.errors import General, InvalidSyntax
from gllamm_cli.fit.fit import Fit
from gllamm_cli.interpret.fitted import fitted_data, last_fit, on_sample
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.report.coefficients import coefficient_row
from gllamm_cli.report.table import DIVIDER, NAME_WIDTH, RULE, abbreviate
from gllamm_cli.stata.command import parse_options
from gllamm_cli.stata.format import display, format_g
from gllamm_cli.stata.lexer import Kind, frame_tokens, is_name, part, stripped
from gllamm_cli.stata.named_matrix import NamedMatrix
from gllamm_cli.stata.options import rules
from gllamm_cli.stata.standard import StandardCommand

PARAMETER = re.compile(r"\[\s*([^\]\s]+)\s*\]\s*([^\s\[\]]+)|([^\s\[\]:]+):([^\s\[\]]+)|(\S+)")
MOST_POINTS = 200


def profile(run: Run) -> None:
    """``estat profile [eq]name ... [, level() points()]``; ``_all`` for all parameters."""
    parsed = _parsed(run)
    level = run.confidence_level(parsed)
    points = parsed.number("points", 0.0)
    if not (points == int(points) and (points == 0 or 2 <= points <= MOST_POINTS)):
        raise General(f"points() must be a whole number from 2 to {MOST_POINTS}")
    fit = last_fit(run, "estat profile")
    positions = _positions(run, fit, parsed.frame.body.text)
    found = profile_intervals(
        on_sample(run, fit),
        fitted_data(run, fit),
        positions,
        level=level,
        points=int(points),
        threads=run.session.threads,
    )
    run.print("", f"Profile likelihood{'Log likelihood = ':>43}{display(fit.log_likelihood):>17}")
    run.print("", *_head(fit, level))
    equation: str | None = None
    for interval in found:
        of, name = run.results().of_fit_parameters().names[interval.position]
        if of != equation:
            equation = of
            run.print(DIVIDER, f"{abbreviate(equation):<{NAME_WIDTH}} |")
        run.print(_line(fit, name, interval, level))
    run.print(RULE, *_notes(run, found))
    _return(run, fit, found, level)


def _parsed(run: Run) -> Parsed:
    """Cut at the comma only: ``[eq]name`` would be a weight in the usual form."""
    comma = next((t.span.start for t in frame_tokens(run.span) if t.kind is Kind.COMMA), None)
    end = run.span.end if comma is None else comma
    options = part(run.span, min(end + 1, run.span.end), run.span.end)
    frame = StandardCommand(stripped(part(run.span, run.span.start, end)), None, None, options)
    found = parse_options(options, rules("Level(n) Points(n)"))
    return Parsed(frame, {option.name: option for option in found})


def _positions(run: Run, fit: Fit, text: str) -> tuple[int, ...]:
    if not text:
        raise InvalidSyntax(
            "estat profile needs parameters",
            hint="[equation]name as in e(b), or _all; estat vce shows the names",
        )
    if text == "_all":
        return tuple(int(k) for k in np.flatnonzero(fit.free))
    names = run.results().of_fit_parameters()
    found = []
    for match in PARAMETER.finditer(text):
        equation, name = match[1] or match[3], match[2] or match[4] or match[5]
        if not is_name(name) and name != "_cons":
            raise InvalidSyntax(f"{name} is no name of a parameter", span=run.span)
        found.append(names.position(equation, name))
    return tuple(dict.fromkeys(found))


def _head(fit: Fit, level: float) -> list[str]:
    interval = f"[{level:g}% Conf. Interval]"
    return [
        RULE,
        f"{'':>{NAME_WIDTH}} |{'':>11}{'Profile likelihood':>26}{'Wald':>18}",
        f"{abbreviate(fit.spec.depvar):>{NAME_WIDTH}} |{'Coef.':>11}{interval:>26}{interval:>26}",
    ]


def _line(fit: Fit, name: str, interval: ProfileInterval, level: float) -> str:
    wald = coefficient_row(fit, interval.position, level=level)
    numbers = (interval.lower.value, interval.upper.value, wald.lower, wald.upper)
    low, high, wald_low, wald_high = map(format_g, numbers)
    return (
        f"{abbreviate(name):>{NAME_WIDTH}} |  {format_g(interval.estimate)}"
        f"      {low}  {high}      {wald_low}  {wald_high}"
    )


def _notes(run: Run, found: tuple[ProfileInterval, ...]) -> list[str]:
    notes = []
    for interval in found:
        of, name = run.results().of_fit_parameters().names[interval.position]
        for side, end in (("lower", interval.lower), ("upper", interval.upper)):
            if end.openness is not Openness.CLOSED:
                notes.append(f"Note: [{of}]{name} is open on the {side} side: {end.openness}")
    return notes


def _return(run: Run, fit: Fit, found: tuple[ProfileInterval, ...], level: float) -> None:
    names = tuple(run.results().of_fit_parameters().names[i.position] for i in found)
    columns = [
        (i.estimate, i.lower.value, i.upper.value, i.lower.log_likelihood, i.upper.log_likelihood)
        for i in found
    ]
    table = np.array(columns).T
    table[~np.isfinite(table)] = math.nan
    rows = tuple(("", name) for name in ("b", "ll", "ul", "lnl_ll", "lnl_ul"))
    matrices = {"table": NamedMatrix(table, rows, names)}
    if len(found[0].points):
        points = np.vstack([interval.points for interval in found])
        labels = tuple(
            pair for pair, i in zip(names, found, strict=True) for _ in range(len(i.points))
        )
        matrices["profile"] = NamedMatrix(points, labels, (("", "value"), ("", "ll")))
    run.returns({"level": level, "ll": fit.log_likelihood}, matrices)
