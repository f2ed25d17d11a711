"""``estimates``: results kept under a name."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from gllamm_cli.errors import InvalidSyntax, VariableNotFound
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret.run import Run
from gllamm_cli.interpret.show import show_estimates
from gllamm_cli.report.regression import p_value
from gllamm_cli.report.table import abbreviate
from gllamm_cli.stata.format import format_g, shown_in_format
from gllamm_cli.stata.lexer import is_name, part


def estimates(run: Run) -> None:
    """``estimates store|restore|table|stats|dir|drop|replay|clear|query``."""
    match = re.match(r"(\w+)\s*", run.span.text)
    word = match[1] if match else "query"
    run.span = part(run.span, run.span.start + (match.end() if match else 0), run.span.end)
    for full, least, function in SUBCOMMANDS:
        if len(word) >= least and full.startswith(word):
            function(run)
            return
    raise InvalidSyntax(f"estimates {word} is not supported", span=run.span)


def find(run: Run, name: str) -> Estimates:
    """Return results by name; ``.`` are the last ones."""
    if name == ".":
        return run.results()
    if name not in run.session.stored:
        raise VariableNotFound(f"estimation result {name} not found", span=run.span)
    return run.session.stored[name]


def _store(run: Run) -> None:
    name = run.parse("Title(t) NOCOpy").frame.body.text
    if not is_name(name):
        raise InvalidSyntax(f"{name or 'nothing'} invalid name", span=run.span)
    run.session.stored[name] = run.results()


def _restore(run: Run) -> None:
    name = run.span.text.split(",")[0].strip()
    run.session.results = find(run, name)
    run.print(f"(results {name} are active now)")


def _dir(run: Run) -> None:
    run.print("", "-" * 60, "        name | command      depvar       npar", "-" * 60)
    for name, found in run.session.stored.items():
        run.print(
            f"{abbreviate(name):>12} | {found.command:<13}{abbreviate(found.depvar):<13}"
            f"{len(found.b):>4}"
        )
    run.print("-" * 60)


def _drop(run: Run) -> None:
    names = run.span.text.split()
    for name in list(run.session.stored) if names == ["_all"] else names:
        find(run, name)
        del run.session.stored[name]


def _clear(run: Run) -> None:
    run.session.stored.clear()


def _replay(run: Run) -> None:
    parsed = run.parse("EForm Level(n)")
    for name in parsed.frame.body.text.split() or ["."]:
        level = run.confidence_level(parsed)
        show_estimates(run, find(run, name), level=level, eform=parsed.has("eform"))


def _stats(run: Run) -> None:
    """AIC and BIC; BIC with the number of rows, and with that of the highest level."""
    parsed = run.parse("N(n)")
    names = parsed.frame.body.text.split() or ["."]
    run.print(
        *criteria_lines([(name, find(run, name)) for name in names], parsed.number("n", math.nan))
    )


def criteria_lines(models: list[tuple[str, Estimates]], n: float = math.nan) -> list[str]:
    """Information criteria of several models."""
    rule = "-" * 77
    lines = [
        "",
        "Akaike's information criterion and Bayesian information criterion",
        "",
        rule,
        "       Model |          N   ll(null)  ll(model)      df        AIC        BIC",
        "-------------+---------------------------------------------------------------",
    ]
    for name, found in models:
        size = found.n if math.isnan(n) else n
        aic = -2 * found.log_likelihood + 2 * found.rank
        bic = -2 * found.log_likelihood + found.rank * math.log(size)
        null = found.scalars.get("ll_0", math.nan)
        shown = abbreviate(name)
        lines.append(
            f"{shown:>12} |{size:>11,.0f}  {format_g(null)}  {format_g(found.log_likelihood)}"
            f"{found.rank:>8d}  {format_g(aic)}  {format_g(bic)}"
        )
    lines.append(rule)
    for name, found in models:
        if found.fit is not None and found.fit.spec.levels and math.isnan(n):
            clusters = found.fit.n_units[-1]
            bic = -2 * found.log_likelihood + found.rank * math.log(clusters)
            unit = found.fit.spec.levels[-1].unit
            lines.append(
                f"BIC of {name} with N = {clusters:,.0f} ({unit}) in place of {found.n:,.0f}: "
                f"{format_g(bic, 10).strip()}"
            )
    return lines


def _table(run: Run) -> None:
    """``estimates table a b [, b(%fmt) se t p star stats(N ll) eform keep()]``."""
    parsed = run.parse(
        "b(o) se(o) t(o) p(o) STAR Stats(t) EForm Keep(t) STYle(t) VARwidth(n) NEWPanel"
    )
    names = parsed.frame.body.text.split() or ["."]
    models = [(name, find(run, name)) for name in names]
    pairs = list(dict.fromkeys(pair for _, found in models for pair in found.names))
    equations = list(dict.fromkeys(equation for equation, _ in pairs))
    rows = sorted(pairs, key=lambda pair: equations.index(pair[0]))
    keep = parsed.text("keep").split()
    if keep:
        rows = [pair for pair in rows if pair[1] in keep or f"{pair[0]}:{pair[1]}" in keep]
    specification = parsed.text("b") or "%10.0g"
    width = 13
    rule = "-" * 13 + "-" * (width * len(models) + 1)
    run.print(
        "",
        rule,
        f"{'Variable':>12} |"
        + "".join(f"{abbreviate(name, 10):^{width}}" for name in names).rstrip(),
    )
    several = len({equation for equation, _ in rows}) > 1
    previous: str | None = None
    for equation, name in rows:
        if equation != previous:
            run.print("-" * 13 + "+" + "-" * (width * len(models)))
            if several and equation:
                run.print(f"{abbreviate(equation):<12} |")
            previous = equation
        for what in ("b", "se", "t", "p"):
            if what != "b" and not parsed.has(what):
                continue
            cells = []
            for _, found in models:
                cells.append(
                    _cell(
                        found,
                        equation,
                        name,
                        what,
                        parsed.text(what) or specification,
                        parsed.has("star") and what == "b",
                        parsed.has("eform"),
                    ).rjust(width - 1)
                    + " "
                )
            head = abbreviate(name) if what == "b" else ""
            run.print(f"{head:>12} |{''.join(cells)}".rstrip())
    wanted = parsed.text("stats").replace(",", " ").split()
    if wanted:
        run.print("-" * 13 + "+" + "-" * (width * len(models)))
        for stat in wanted:
            values = [_statistic(found, stat) for _, found in models]
            run.print(
                f"{stat:>12} |"
                + "".join(f"{format_g(x, 10):>{width - 1}} " for x in values).rstrip()
            )
    run.print(rule)
    if parsed.has("star"):
        run.print(f"{'legend: * p<0.05; ** p<0.01; *** p<0.001':>{len(rule)}}")


def _statistic(found: Estimates, name: str) -> float:
    if name == "aic":
        return -2 * found.log_likelihood + 2 * found.rank
    if name == "bic":
        return -2 * found.log_likelihood + found.rank * math.log(found.n)
    value = found.all_scalars.get(name, math.nan)
    return value if isinstance(value, float) else math.nan


def _cell(
    found: Estimates,
    equation: str,
    name: str,
    what: str,
    specification: str,
    star: bool,
    eform: bool,
) -> str:
    if (equation, name) not in found.names:
        return ""
    place = found.names.index((equation, name))
    b = float(found.b[place])
    se = math.sqrt(max(float(found.V[place, place]), 0.0))
    z = b / se if se > 0 else math.nan
    p = p_value(z, found.residual_df)
    if eform:
        se, b = se * math.exp(b), math.exp(b)
    value = {"b": b, "se": se, "t": z, "p": p}[what]
    marks = ""
    if star:
        marks = "***" if p < 0.001 else "**" if p < 0.01 else "*" if p < 0.05 else ""
    return shown_in_format(specification, value).strip() + marks


def _query(run: Run) -> None:
    found = run.results()
    run.print(f"(active results produced by {found.command})")


def _esample(run: Run) -> None:
    """``estimates esample: if``: declares the estimation sample."""
    run.span = part(
        run.span, run.span.start + len(run.span.text.partition(":")[0]) + 1, run.span.end
    )
    rows = run.rows(run.parse("replace"))
    run.session.results = replace(run.results(), sample=run.data.row_ids[rows])


SUBCOMMANDS = (
    ("store", 3, _store),
    ("restore", 3, _restore),
    ("table", 3, _table),
    ("stats", 4, _stats),
    ("dir", 3, _dir),
    ("drop", 2, _drop),
    ("clear", 2, _clear),
    ("replay", 1, _replay),
    ("query", 1, _query),
    ("esample", 3, _esample),
)
