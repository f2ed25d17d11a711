"""Comparisons of means, and quantile groups."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from gllamm_cli.errors import InvalidSyntax, NoObservations
from gllamm_cli.interpret.run import Mask, Run
from gllamm_cli.interpret.statistics import (
    Weights,
    percentile,
    standard_deviation,
    weighted_percentile,
)
from gllamm_cli.report.table import abbreviate
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.format import format_g
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.standard import split_assignment

RULE = "-" * 9 + "+" + "-" * 68


def _quantiles(run: Run) -> tuple[str, FloatArray, FloatArray]:
    """Name of the new variable, values, and the inner quantiles of the chosen rows."""
    parsed = run.parse(
        "NQuantiles(n) Cutpoints(v) ALTdef", weights=("aweight", "fweight", "pweight")
    )
    parsed.refuse("altdef")
    left, expression = split_assignment(parsed.frame.body)
    if expression is None:
        raise InvalidSyntax(f"invalid syntax: {run.name} new = exp", span=run.span)
    name = run.new_name(left.text.split()[-1] if left.text else "")
    values = np.broadcast_to(run.evaluator().number(expression), (run.data.n_rows,))
    selected, weights = run.weighted_rows(parsed)
    chosen = selected & ~np.isnan(values)
    if not chosen.any():
        raise NoObservations("no observations")
    if parsed.has("cutpoints"):
        points = run.data.column(run.option_variables(parsed, "cutpoints")[0])
        limits = np.unique(points[~np.isnan(points)])
    else:
        groups = int(parsed.number("nquantiles", 2.0))
        if groups < 2:
            raise InvalidSyntax("nquantiles() must be at least 2", span=run.span)
        shares = [100.0 * k / groups for k in range(1, groups)]
        limits = _percentiles(values[chosen], shares, weights.of(chosen) if weights else None)
    return name, np.where(chosen, values, np.nan), limits


def _percentiles(x: FloatArray, shares: Sequence[float], weights: Weights | None) -> FloatArray:
    if weights is not None:
        return np.array([weighted_percentile(x, weights.values, share) for share in shares])
    ordered = np.sort(x)
    return np.array([percentile(ordered, share) for share in shares])


def xtile(run: Run) -> None:
    """``xtile new = exp [, nq(#) cutpoints(v)]``: groups by quantiles, from 1."""
    name, values, limits = _quantiles(run)
    number = np.searchsorted(limits, values, side="left")
    groups = np.asarray(np.where(np.isnan(values), np.nan, 1.0 + number), dtype=np.float64)
    run.data = run.data.with_column(name, groups, storage_type="byte")


def pctile(run: Run) -> None:
    """``pctile new = exp [, nq(#)]``: quantiles in the first rows."""
    name, _, limits = _quantiles(run)
    column: FloatArray = np.full(run.data.n_rows, np.nan)
    column[: len(limits)] = limits[: run.data.n_rows]
    run.data = run.data.with_column(name, column, storage_type="float")
    run.returns({f"r{k}": float(x) for k, x in enumerate(limits, start=1)})


def ttest(run: Run) -> None:
    """``ttest x == #``, ``ttest x == y``, ``ttest x, by(g) [unequal welch]``."""
    parsed = run.parse("by(v) Unequal Welch UNPaired Level(n)")
    parsed.refuse("welch", "unpaired")
    level = run.confidence_level(parsed)
    rows = run.rows(parsed)
    sides = re.split(r"={1,2}", parsed.frame.body.text)
    if parsed.has("by"):
        name = run.variable(whole(sides[0]))
        (by,) = run.option_variables(parsed, "by")
        _two_samples(run, name, by, rows, level, unequal=parsed.has("unequal"))
        return
    if len(sides) != 2:
        raise InvalidSyntax("ttest takes x == #, x == y or by()", span=run.span)
    name = run.variable(whole(sides[0]))
    other = np.broadcast_to(
        run.evaluator().number(parse_expression(sides[1].strip())), (run.data.n_rows,)
    )
    x = run.data.column(name)
    used = rows & ~np.isnan(x) & ~np.isnan(other)
    if used.sum() < 2:
        raise NoObservations("no observations")
    difference = (x - other)[used]
    n = len(difference)
    error = standard_deviation(difference) / math.sqrt(n)
    constant = bool((other[used] == other[used][0]).all())
    shown = {name: x[used]} if constant else {name: x[used], sides[1].strip(): other[used]}
    title = "One-sample t test" if constant else "Paired t test"
    label = f"mean({name})" if constant else f"mean({name} - {sides[1].strip()})"
    _print(run, title, shown, None if constant else ("diff", difference), level)
    null = float(other[used][0]) if constant else 0.0
    _conclude(run, f"mean = {label}", f"{null:g}", float(difference.mean()) / error, n - 1.0)


def _two_samples(run: Run, name: str, by: str, rows: Mask, level: float, *, unequal: bool) -> None:
    x, key = run.data.column(name), run.data.sort_key(by)
    is_text = run.is_text(by)
    used = rows & ~np.isnan(x) & (key != "" if is_text else ~np.isnan(run.data.column(by)))
    levels = np.unique(key[used])
    if len(levels) != 2:
        raise InvalidSyntax(f"{len(levels)} groups found, 2 required", span=run.span)
    a, b = (x[used & (key == level)] for level in levels)
    if min(len(a), len(b)) < 2:
        raise NoObservations("insufficient observations")
    va, vb = standard_deviation(a) ** 2 / len(a), standard_deviation(b) ** 2 / len(b)
    if unequal:
        error = math.sqrt(va + vb)
        df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    else:
        df = len(a) + len(b) - 2.0
        pooled = ((len(a) - 1) * va * len(a) + (len(b) - 1) * vb * len(b)) / df
        error = math.sqrt(pooled * (1 / len(a) + 1 / len(b)))
    names = [run.data.shown(by, int(np.flatnonzero(used & (key == level))[0])) for level in levels]
    kind = "unequal" if unequal else "equal"
    _print(
        run,
        f"Two-sample t test with {kind} variances",
        {names[0]: a, names[1]: b, "combined": np.concatenate([a, b])},
        None,
        level,
    )
    difference = float(a.mean() - b.mean())
    run.print(f"    diff |             {format_g(difference)}   {format_g(error)}", RULE)
    _conclude(run, f"diff = mean({names[0]}) - mean({names[1]})", "0", difference / error, df)


def _print(
    run: Run,
    title: str,
    samples: dict[str, FloatArray],
    last: tuple[str, FloatArray] | None,
    level: float,
) -> None:
    from scipy.special import stdtrit

    run.print("", title, RULE)
    run.print(
        "Variable |     Obs        Mean    Std. Err.   Std. Dev."
        + f"[{level:g}% Conf. Interval]".rjust(23),
        RULE,
    )
    for name, x in [*samples.items(), *([last] if last else [])]:
        sd = standard_deviation(x)
        error = sd / math.sqrt(len(x))
        reach = float(stdtrit(len(x) - 1, 0.5 + level / 200.0)) * error
        mean = float(x.mean())
        run.print(
            f"{abbreviate(name, 8):>8} | {len(x):>7,}   {format_g(mean)}   {format_g(error)}"
            f"   {format_g(sd)}   {format_g(mean - reach)}    {format_g(mean + reach)}"
        )
    run.print(RULE)


def _conclude(run: Run, what: str, null: str, t: float, df: float) -> None:
    from scipy.special import stdtr

    lower = float(stdtr(df, t))
    both = 2.0 * min(lower, 1.0 - lower)
    left = f"    {what}"
    run.print(f"{left:<62}t = {t:8.4f}")
    freedom = f"{df:8.0f}" if df == int(df) else f"{df:8.4f}"
    ho = f"Ho: {what.split(' = ')[0]} = {null}"
    run.print(f"{ho:<46}degrees of freedom = {freedom}", "")
    run.print(
        f"    Pr(T < t) = {lower:.4f}         Pr(|T| > |t|) = {both:.4f}"
        f"          Pr(T > t) = {1.0 - lower:.4f}"
    )
    run.returns({"t": t, "df_t": df, "p": both, "p_l": lower, "p_u": 1.0 - lower})
