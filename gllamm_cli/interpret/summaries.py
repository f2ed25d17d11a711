"""Tables of values: summarize, count, correlate, tabstat and their like."""

from __future__ import annotations

import math

import numpy as np

from gllamm_cli.errors import AssertionFailed, InvalidSyntax, NoObservations, VarlistRequired
from gllamm_cli.interpret.macros import number_text
from gllamm_cli.interpret.run import Mask, Parsed, Run, plural
from gllamm_cli.interpret.statistics import (
    percentile,
    skewness,
    standard_deviation,
    statistic,
    weighted_percentile,
)
from gllamm_cli.interpret.tabulations import levels_of, missing_in
from gllamm_cli.report.table import abbreviate
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.format import format_f, format_g
from gllamm_cli.stata.functions import FloatArray, truth
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.named_matrix import NamedMatrix

SHARES = (1, 5, 10, 25, 50, 75, 90, 95, 99)


def summarize(run: Run) -> None:
    """``summarize [varlist] [if] [in] [weight] [, detail meanonly]``."""
    parsed = run.parse("Detail MEANonly Format SEParator(n)")
    names = run.variables(parsed.frame.body, required=False) or run.data.names
    selected = run.rows(parsed)
    weights, kind = run.weights(parsed.frame.weight, ("aweight", "fweight", "iweight"))
    if weights is not None:
        selected = selected & ~np.isnan(weights) & (weights > 0)
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
        w = weights[used] if weights is not None else None
        _summary(run, parsed, name, x[used], w, kind)


def _moments(x: FloatArray, w: FloatArray | None, kind: str) -> tuple[float, float, float, float]:
    """Number, sum of weights, mean and variance."""
    if not len(x):
        return 0.0, 0.0, math.nan, math.nan
    if w is None:
        return float(len(x)), float(len(x)), float(x.mean()), standard_deviation(x) ** 2
    total = float(w.sum())
    n = total if kind in ("fweight", "iweight") else float(len(x))
    mean = float((w * x).sum() / total)
    scale = n / total
    divisor = n - 1.0
    variance = float((w * scale * (x - mean) ** 2).sum() / divisor) if divisor > 0 else math.nan
    return n, total, mean, variance


def _summary(
    run: Run, parsed: Parsed, name: str, x: FloatArray, w: FloatArray | None, kind: str
) -> None:
    n, total_weight, mean, variance = _moments(x, w, kind)
    sd = math.sqrt(variance) if variance >= 0 else math.nan
    low, high = (float(x.min()), float(x.max())) if len(x) else (math.nan, math.nan)
    results: dict[str, float | str] = {"N": n, "sum_w": total_weight}
    if n:
        total = mean * total_weight
        results |= {"mean": mean, "min": low, "max": high, "sum": total}
        if not parsed.has("meanonly"):
            results |= {"Var": variance, "sd": sd}
    if parsed.has("meanonly"):
        run.returns(results)
        return
    if parsed.has("detail"):
        results |= _detail(run, name, x, w, n, mean, sd)
    else:
        line = f"{abbreviate(name):>12} |{n:>11,.0f}"
        if n:
            line += f"   {format_g(mean)}   {format_g(sd)}  {format_g(low)}  {format_g(high)}"
        run.print(line)
    run.returns(results)


def _detail(
    run: Run, name: str, x: FloatArray, w: FloatArray | None, n: float, mean: float, sd: float
) -> dict[str, float | str]:
    label = run.data.variable_labels.get(name, name)
    rule = "-" * 61
    run.print("", f"{label:^61}".rstrip(), rule)
    if not len(x):
        run.print("no observations")
        return {}
    weights = np.ones(len(x)) if w is None else w
    values = np.sort(x)
    points = {
        p: percentile(values, p) if w is None else weighted_percentile(x, weights, p)
        for p in SHARES
    }
    skew, kurtosis = skewness(x), skewness(x, 4)
    first = [f"{format_g(v)}" if k < len(values) else "" for k, v in enumerate(values[:4])]
    last = [f"{format_g(v)}" for v in values[-4:]]
    right = [
        ("", ""),
        ("", ""),
        ("Obs", f"{n:>11,.0f}"),
        ("Sum of Wgt.", f"{float(weights.sum()):>11,.0f}"),
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


def correlate(run: Run) -> None:
    """``correlate`` and ``pwcorr``."""
    parsed = run.parse("COVariance Means obs sig star(n) Listwise wrap")
    names = [
        n
        for n in run.variables(parsed.frame.body, required=False) or run.data.names
        if not run.is_text(n)
    ]
    pairwise = run.name == "pwcorr"
    selected = run.rows(parsed)
    if not names:
        raise VarlistRequired("numeric variables required", span=run.span)
    x = np.column_stack([run.data.column(name) for name in names])
    if not pairwise:
        selected = selected & ~np.isnan(x).any(axis=1)
    x = x[selected]
    if len(x) < 2:
        raise NoObservations("no observations")
    k = len(names)
    matrix = np.full((k, k), np.nan)
    counts = np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            known = ~np.isnan(x[:, i]) & ~np.isnan(x[:, j])
            counts[i, j] = known.sum()
            if known.sum() > 1:
                covariance = np.cov(x[known, i], x[known, j])
                with np.errstate(all="ignore"):
                    scale = np.sqrt(covariance[0, 0] * covariance[1, 1])
                    is_covariance = parsed.has("covariance")
                    matrix[i, j] = covariance[0, 1] / (1.0 if is_covariance else scale)
    if not pairwise:
        run.print(f"(obs={len(x):,})")
    run.print("", " " * 12 + " |" + "".join(f"{abbreviate(name, 8):>9}" for name in names))
    run.print("-------------+" + "-" * (9 * k))
    for i, name in enumerate(names):
        cells = matrix[i, : i + 1]
        shown = [format_g(v, 9) if parsed.has("covariance") else format_f(v, 9, 4) for v in cells]
        run.print(f"{abbreviate(name):>12} |{''.join(shown)}")
        if pairwise and parsed.has("sig"):
            run.print(
                " " * 12
                + " |"
                + "".join(
                    format_f(_p_of(v, n), 9, 4) for v, n in zip(cells[:i], counts[i], strict=False)
                )
            )
        if pairwise and parsed.has("obs"):
            run.print(" " * 12 + " |" + "".join(f"{n:9,.0f}" for n in counts[i, : i + 1]))
    labels = tuple(("", name) for name in names)
    results: dict[str, float | str] = {"N": float(len(x))}
    if k > 1:
        results["rho"] = float(matrix[1, 0])
    run.returns(results, {"C": NamedMatrix(matrix, labels, labels)})


def _p_of(r: float, n: float) -> float:
    from scipy.special import stdtr

    if n < 3 or abs(r) >= 1:
        return 0.0 if abs(r) >= 1 else math.nan
    t = r * math.sqrt((n - 2) / (1 - r * r))
    return float(2 * stdtr(n - 2, -abs(t)))


def tabstat(run: Run) -> None:
    """``tabstat varlist [, by(g) statistics(names) columns()]``."""
    parsed = run.parse(
        "by(v) Statistics(t) Columns(t) NOTotal Missing Format(t) LONGstub NOSEParator save"
    )
    names = run.variables(parsed.frame.body)
    wanted = (parsed.text("statistics") or "mean").replace(",", " ").split()
    functions = []
    for word in wanted:
        function = statistic("variance" if word == "var" else word)
        if function is None:
            raise InvalidSyntax(f"unknown statistic: {word}", span=run.span)
        functions.append(function)
    used = run.rows(parsed)
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
    run.print("")
    stub = abbreviate(by[0], 10) if by else "stats"
    run.print(f"{stub:>10} |" + "".join(f"{abbreviate(name, 9):>10}" for name in names))
    rule = "-----------+" + "-" * (10 * len(names))
    run.print(rule)
    for text, rows in groups:
        for k, (word, function) in enumerate(zip(wanted, functions, strict=True)):
            cells = []
            for name in names:
                x = run.data.column(name)
                values = x[rows & ~np.isnan(x)]
                cells.append(f" {format_g(function(values) if len(values) else math.nan)}")
            head = text if by and k == 0 else ("" if by else word)
            run.print(f"{head[:10]:>10} |{''.join(cells)}")
    run.print(rule)


def mean(run: Run) -> None:
    """``mean varlist``: means with standard errors."""
    from scipy.special import stdtrit

    parsed = run.parse("Level(n) over(v)")
    if parsed.has("over"):
        raise InvalidSyntax("not yet supported: over()", span=run.span)
    names = run.variables(parsed.frame.body)
    used = run.rows(parsed)
    for name in names:
        used = used & ~np.isnan(run.data.column(name))
    n = int(used.sum())
    if not n:
        raise NoObservations("no observations")
    run.print("", f"Mean estimation                   Number of obs   = {n:>10,}", "")
    rule = "-" * 13 + "+" + "-" * 48
    run.print(rule, "             |       Mean   Std. Err.     [95% Conf. Interval]", rule)
    reach = float(stdtrit(n - 1, 0.975))
    for name in names:
        x = run.data.column(name)[used]
        error = standard_deviation(x) / math.sqrt(n)
        centre = float(x.mean())
        run.print(
            f"{abbreviate(name):>12} |  {format_g(centre)}  {format_g(error)}"
            f"    {format_g(centre - reach * error)}   {format_g(centre + reach * error)}"
        )
    run.print(rule)


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
    parsed = run.parse("Contents(t) by(v) Format(t) row COLumn Missing")
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
    used = run.rows(parsed) & ~missing_in(run, names[0])
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
            if not name:
                cells.append(f"{len(chosen):>13,}")
                continue
            function = statistic(stat)
            if function is None:
                raise InvalidSyntax(f"unknown statistic: {stat}", span=run.span)
            x = run.data.column(name)[chosen]
            x = x[~np.isnan(x)]
            cells.append(f"{format_g(function(x) if len(x) else math.nan):>13}")
        run.print(f"{text[:9]:>9} |{''.join(cells)}")
    run.print(rule)
