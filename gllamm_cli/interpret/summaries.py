"""Tables of values: summarize, count, correlate, tabstat and their like."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gllamm_cli.errors import AssertionFailed, InvalidSyntax, NoObservations
from gllamm_cli.interpret.macros import number_text
from gllamm_cli.interpret.run import Mask, Parsed, Run, plural
from gllamm_cli.interpret.statistics import (
    Rows,
    Weights,
    percentile,
    skewness,
    standard_deviation,
    statistic,
    weighted_deviation,
    weighted_percentile,
    weighted_statistic,
)
from gllamm_cli.interpret.tabulations import levels_of, missing_in
from gllamm_cli.report.table import abbreviate
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.format import format_g
from gllamm_cli.stata.functions import FloatArray, truth
from gllamm_cli.stata.lexer import whole

SHARES = (1, 5, 10, 25, 50, 75, 90, 95, 99)


def summarize(run: Run) -> None:
    """``summarize [varlist] [if] [in] [weight] [, detail meanonly]``."""
    parsed = run.parse(
        "Detail MEANonly Format SEParator(n)", weights=("aweight", "fweight", "iweight")
    )
    names = run.variables(parsed.frame.body, required=False) or run.data.names
    selected, weights = run.weighted_rows(parsed)
    silent = parsed.has("meanonly")
    if not (parsed.has("detail") or silent):
        run.print("", "    Variable |        Obs        Mean    Std. Dev.       Min        Max")
        run.print("-------------+---------------------------------------------------------")
    every = int(parsed.number("separator", 5.0))
    for number, name in enumerate(names):
        if number and every and number % every == 0 and not (parsed.has("detail") or silent):
            run.print("-------------+---------------------------------------------------------")
        if run.is_text(name):
            if not (parsed.has("detail") or silent):
                run.print(f"{abbreviate(name):>12} |{0:>11}")
            continue
        x = run.data.column(name)
        used = selected & ~np.isnan(x)
        _summary(run, parsed, name, x[used], weights.of(used) if weights is not None else None)


def _summary(run: Run, parsed: Parsed, name: str, x: FloatArray, weights: Weights | None) -> None:
    w = Weights(np.ones(len(x)), "aweight") if weights is None else weights
    n, total_weight = w.number(), float(w.values.sum())
    mean = float(np.average(x, weights=w.values)) if len(x) else math.nan
    sd = weighted_deviation(x, w) if weights is not None else standard_deviation(x)
    low, high = (float(x.min()), float(x.max())) if len(x) else (math.nan, math.nan)
    results: dict[str, float | str] = {"N": n, "sum_w": total_weight}
    if n:
        total = mean * total_weight
        results |= {"mean": mean, "min": low, "max": high, "sum": total}
        if not parsed.has("meanonly"):
            results |= {"Var": sd**2, "sd": sd}
    if parsed.has("meanonly"):
        run.returns(results)
        return
    if parsed.has("detail"):
        results |= _detail(run, name, x, weights, n, mean, sd)
    else:
        line = f"{abbreviate(name):>12} |{n:>11,.0f}"
        if n:
            line += f"   {format_g(mean)}   {format_g(sd)}  {format_g(low)}  {format_g(high)}"
        run.print(line)
    run.returns(results)


def _detail(
    run: Run, name: str, x: FloatArray, weights: Weights | None, n: float, mean: float, sd: float
) -> dict[str, float | str]:
    label = run.data.variable_labels.get(name, name)
    rule = "-" * 61
    run.print("", f"{label:^61}".rstrip(), rule)
    if not len(x):
        run.print("no observations")
        return {}
    w = None if weights is None else weights.values
    values = np.sort(x)
    points = {
        p: percentile(values, p) if w is None else weighted_percentile(x, w, p) for p in SHARES
    }
    skew, kurtosis = skewness(x, 3, w), skewness(x, 4, w)
    total_weight = float(len(x)) if w is None else float(w.sum())
    first = [f"{format_g(v)}" if k < len(values) else "" for k, v in enumerate(values[:4])]
    last = [f"{format_g(v)}" for v in values[-4:]]
    right = [
        ("", ""),
        ("", ""),
        ("Obs", f"{n:>11,.0f}"),
        ("Sum of Wgt.", f"{total_weight:>11,.0f}"),
        ("", ""),
        ("Mean", format_g(mean)),
        ("Std. Dev.", format_g(sd)),
        ("", ""),
        ("Variance", format_g(sd**2)),
        ("Skewness", format_g(skew)),
        ("Kurtosis", format_g(kurtosis)),
    ]
    run.print("      Percentiles      Smallest")
    small = [*first, *[""] * (4 - len(first))]
    large = [*[""] * (4 - len(last)), *last]
    rows = [
        (1, small[0], ""), (5, small[1], ""), (10, small[2], "Obs"), (25, small[3], "Sum of Wgt."),
        (None, "", ""), (50, "", "Mean"), (None, "Largest", "Std. Dev."),
        (75, large[0], ""), (90, large[1], "Variance"), (95, large[2], "Skewness"),
        (99, large[3], "Kurtosis"),
    ]  # fmt: skip
    shown = dict(right)
    for share, middle, title in rows:
        left = f"{share:>2}%    {format_g(points[share])}" if share is not None else " " * 16
        tail = f"       {title:<12}{shown[title]:>11}" if title else ""
        run.print(f"{left:<16}{middle:>15}{tail}".rstrip())
    return {
        **{f"p{p}": value for p, value in points.items()},
        "skewness": skew,
        "kurtosis": kurtosis,
    }


def count(run: Run) -> None:
    """``count [if] [in]``."""
    parsed = run.parse()
    number = int(run.rows(parsed).sum())
    run.print(f"  {number:,}")
    run.returns({"N": float(number)})


def tabstat(run: Run) -> None:
    """``tabstat varlist [, by(g) statistics(names) columns()]``."""
    parsed = run.parse(
        "by(v) Statistics(t) Columns(t) NOTotal Missing Format(t) LONGstub NOSEParator save",
        weights=("aweight", "fweight"),
    )
    names = run.variables(parsed.frame.body)
    wanted = (parsed.text("statistics") or "mean").replace(",", " ").split()
    for word in wanted:
        if statistic(_statistic_name(word)) is None:
            raise InvalidSyntax(f"unknown statistic: {word}", span=run.span)
    parsed.refuse("missing", "format()", "longstub", "save")
    columns = parsed.text("columns", "variables")
    in_columns = len(columns) > 0 and "statistics".startswith(columns)
    if not in_columns and not "variables".startswith(columns):
        raise InvalidSyntax(
            "columns() takes variables or statistics", span=parsed.options["columns"].span
        )
    used, weights = run.weighted_rows(parsed)
    by = run.option_variables(parsed, "by")
    groups: list[tuple[str, Mask]] = []
    if by:
        chosen = used & ~missing_in(run, by[0])
        shown, codes, _ = levels_of(run, by[0], chosen)
        for k, text in enumerate(shown):
            rows = np.zeros(len(used), dtype=bool)
            rows[np.flatnonzero(chosen)[codes == k]] = True
            groups.append((text, rows))
        if not parsed.has("nototal"):
            groups.append(("Total", chosen))
    else:
        groups.append(("", used))
    if in_columns:
        _statistics_in_columns(run, names, wanted, by, groups, weights)
        return
    run.print("")
    stub = abbreviate(by[0], 10) if by else "stats"
    run.print(f"{stub:>10} |" + "".join(f"{abbreviate(name, 9):>10}" for name in names))
    rule = "-----------+" + "-" * (10 * len(names))
    run.print(rule)
    for text, rows in groups:
        for k, word in enumerate(wanted):
            cells = [f" {format_g(_statistic(run, word, name, rows, weights))}" for name in names]
            head = text if by and k == 0 else ("" if by else word)
            run.print(f"{head[:10]:>10} |{''.join(cells)}")
    run.print(rule)


def _statistics_in_columns(
    run: Run,
    names: Sequence[str],
    wanted: Sequence[str],
    by: Sequence[str],
    groups: Sequence[tuple[str, Mask]],
    weights: Weights | None,
) -> None:
    """One line for each variable; with groups, a block of lines for each."""
    stub = abbreviate(by[0], 12) if by else "variable"
    rule = "-" * 13 + "+" + "-" * (10 * len(wanted))
    run.print("", f"{stub:>12} |" + "".join(f"{word[:9]:>10}" for word in wanted), rule)
    for text, rows in groups:
        for k, name in enumerate(names):
            cells = (f" {format_g(_statistic(run, word, name, rows, weights))}" for word in wanted)
            head = (text if k == 0 else "") if by else abbreviate(name, 12)
            run.print(f"{head[:12]:>12} |{''.join(cells)}")
    run.print(rule)


def _statistic_name(word: str) -> str:
    return "variance" if word == "var" else word


def _statistic(run: Run, word: str, name: str, rows: Rows, weights: Weights | None) -> float:
    """Value of a statistic in some rows, without those where the variable is missing."""
    x = run.data.column(name)[rows]
    known = ~np.isnan(x)
    if not known.any():
        return math.nan
    w = weights.of(rows).of(known) if weights is not None else None
    value = weighted_statistic(_statistic_name(word), x[known], w)
    if value is None:
        raise InvalidSyntax(f"unknown statistic: {word}", span=run.span)
    return value


def mean(run: Run) -> None:
    """``mean varlist``: means with standard errors."""
    from scipy.special import stdtrit

    parsed = run.parse("Level(n) over(v)", weights=("fweight", "aweight", "pweight"))
    parsed.refuse("over()")
    level = run.confidence_level(parsed)
    names = run.variables(parsed.frame.body)
    used, given = run.weighted_rows(parsed)
    for name in names:
        used = used & ~np.isnan(run.data.column(name))
    if not used.any():
        raise NoObservations("no observations")
    weights = Weights(np.ones(int(used.sum())), "fweight") if given is None else given.of(used)
    n = weights.number()
    run.print("", f"Mean estimation                   Number of obs   = {n:>10,.0f}", "")
    rule = "-" * 13 + "+" + "-" * 48
    interval = f"[{level:g}% Conf. Interval]".rjust(25)
    run.print(rule, f"             |       Mean   Std. Err.{interval}", rule)
    reach = float(stdtrit(n - 1, 0.5 + level / 200.0))
    for name in names:
        centre, error = _mean_and_error(run.data.column(name)[used], weights)
        run.print(
            f"{abbreviate(name):>12} |  {format_g(centre)}  {format_g(error)}"
            f"    {format_g(centre - reach * error)}   {format_g(centre + reach * error)}"
        )
    run.print(rule)


def _mean_and_error(x: FloatArray, weights: Weights) -> tuple[float, float]:
    """Mean and its standard error; by linearisation if the weights are those of a survey."""
    n = weights.number()
    centre = float(np.average(x, weights=weights.values))
    if weights.kind != "pweight":
        return centre, weighted_deviation(x, weights) / math.sqrt(n)
    if n < 2:
        return centre, math.nan
    parts = weights.values * (x - centre) / weights.values.sum()
    return centre, math.sqrt(n / (n - 1.0) * float(parts @ parts))


def levelsof(run: Run) -> None:
    """``levelsof v [, local(name) separate()]``."""
    parsed = run.parse("Local(w) Separate(t) Clean Missing")
    (name,) = run.variables(parsed.frame.body)
    used = run.rows(parsed)
    if not parsed.has("missing"):
        used = used & ~missing_in(run, name)
    if run.is_text(name):
        found = sorted(set(run.data.text(name)[used].tolist()))
        shown = found if parsed.has("clean") else [f'`"{text}"\'' for text in found]
    else:
        shown = [number_text(float(x)) for x in np.unique(run.data.column(name)[used])]
    text = (parsed.text("separate") or " ").join(shown)
    run.print(text)
    if parsed.has("local"):
        run.interpreter.macros.local[parsed.text("local")] = text
    run.returns({"levels": text, "r": float(len(shown))})


def assert_(run: Run) -> None:
    """``assert exp [if] [in]``."""
    parsed = run.parse("rc0 Null FAST")
    selected = run.rows(parsed)
    holds = truth(run.evaluator().number(parse_expression(parsed.frame.body)))
    holds = np.broadcast_to(holds, selected.shape) if run.data.n_rows else np.ravel(holds)
    wrong = int((selected & ~holds).sum()) if run.data.n_rows else int(not holds.all())
    if wrong:
        total = int(selected.sum()) if run.data.n_rows else 1
        raise AssertionFailed(
            "assertion is false",
            span=parsed.frame.body,
            hint=f"{plural(wrong, 'contradiction')} in {plural(total, 'observation')}",
        )


def table(run: Run) -> None:
    """``table rowvar [colvar] [, contents(stat var ...)]`` in the form before Stata 17."""
    parsed = run.parse(
        "Contents(t) by(v) Format(t) row COLumn Missing", weights=("fweight", "aweight")
    )
    parsed.refuse("by()", "format()", "row", "column", "missing")
    names = run.variables(parsed.frame.body)
    if len(names) != 1:
        raise InvalidSyntax(
            "table takes one row variable", span=run.span, hint="tabulate takes two"
        )
    words = (parsed.text("contents") or "freq").replace(",", " ").split()
    wanted: list[tuple[str, str]] = []
    position = 0
    while position < len(words):
        if words[position] in ("freq", "n") and (
            position + 1 == len(words) or words[position] == "freq"
        ):
            wanted.append(("freq", ""))
            position += 1
        else:
            variable = words[position + 1] if position + 1 < len(words) else ""
            (full,) = run.variables(whole(variable))
            wanted.append((words[position], full))
            position += 2
    selected, weights = run.weighted_rows(parsed)
    used = selected & ~missing_in(run, names[0])
    shown, codes, _ = levels_of(run, names[0], used)
    rows = np.flatnonzero(used)
    rule = "-" * (10 + 13 * len(wanted))
    heads = "".join(
        f"{(stat + '(' + name + ')') if name else 'Freq.':>13}" for stat, name in wanted
    )
    run.print(
        "", rule, f"{abbreviate(names[0], 9):>9} |{heads}", "----------+" + "-" * (13 * len(wanted))
    )
    for k, text in enumerate(shown):
        cells = []
        for stat, name in wanted:
            chosen = rows[codes == k]
            if name:
                value = _statistic(run, stat, name, chosen, weights)
                cells.append(f"{format_g(value):>13}")
            else:
                number = float(len(chosen)) if weights is None else weights.of(chosen).number()
                cells.append(f"{number:>13,.0f}")
        run.print(f"{text[:9]:>9} |{''.join(cells)}")
    run.print(rule)
