"""One-way and two-way tables: tabulate, tab1 and tab2."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import InvalidSyntax, TooManyValues
from gllamm_cli.interpret.generators import group_numbers
from gllamm_cli.interpret.run import Mask, Parsed, Run
from gllamm_cli.interpret.statistics import Weights, weighted_deviation
from gllamm_cli.report.table import abbreviate
from gllamm_cli.stata.format import format_g
from gllamm_cli.stata.functions import FloatArray, missing

WEIGHTS = ("fweight", "aweight", "iweight")
MOST_VALUES = 12_000
MOST_ROWS, MOST_COLUMNS = 1_200, 80
"""Of one-way and two-way tables, as in Stata/SE."""


def tabulate(run: Run) -> None:
    """``tabulate v [w] [if] [in] [weight] [, gen() missing row col cell chi2 nolabel]``."""
    parsed = run.parse(
        "Generate(w) Missing ROW COLumn CELL NOFreq CHi2 NOLabel plot sort SUmmarize(v) nokey all "
        "EXact LRchi2 V NOMEANS NOSTandard",
        weights=WEIGHTS,
    )
    parsed.refuse("plot", "exact", "all", "v", "nomeans", "nostandard")
    names = run.variables(parsed.frame.body)
    if len(names) > 2:
        raise InvalidSyntax("too many variables specified", span=run.span)
    used, weights = run.weighted_rows(parsed)
    if not parsed.has("missing"):
        for name in names:
            used = used & ~missing_in(run, name)
    if parsed.has("summarize"):
        _means_by(run, names, run.option_variables(parsed, "summarize")[0], used, weights)
    elif len(names) == 1:
        _one_way(run, parsed, names[0], used, weights)
    else:
        _two_way(run, parsed, names[0], names[1], used, weights)


def tab1(run: Run) -> None:
    """One-way tables of several variables."""
    parsed = run.parse("Missing NOLabel sort", weights=WEIGHTS)
    selected, weights = run.weighted_rows(parsed)
    for name in run.variables(parsed.frame.body):
        used = selected
        if not parsed.has("missing"):
            used = used & ~missing_in(run, name)
        run.print("", f"-> tabulation of {name}")
        _one_way(run, parsed, name, used, weights)


def tab2(run: Run) -> None:
    """Two-way tables of all pairs of variables."""
    parsed = run.parse("Missing ROW COLumn CELL NOFreq CHi2 NOLabel nokey LRchi2", weights=WEIGHTS)
    selected, weights = run.weighted_rows(parsed)
    names = run.variables(parsed.frame.body)
    for k, first in enumerate(names):
        for second in names[k + 1 :]:
            used = selected
            if not parsed.has("missing"):
                used = used & ~missing_in(run, first) & ~missing_in(run, second)
            run.print("", f"-> tabulation of {first} by {second}")
            _two_way(run, parsed, first, second, used, weights)


def missing_in(run: Run, name: str) -> Mask:
    """Rows in which a variable is missing."""
    return missing(run.data.text(name) if run.is_text(name) else run.data.column(name))


def levels_of(
    run: Run, name: str, used: Mask, labels: bool = True, most: int | None = None
) -> tuple[list[str], NDArray[np.int64], list[float]]:
    """Shown values in order, code of each used row, and the values as numbers.

    Raises
    ------
    TooManyValues
        More than ``most``.
    """
    chosen = run.data.take(used)
    codes = group_numbers(chosen, [name])
    if most is not None and codes.max(initial=-1) >= most:
        raise TooManyValues(
            "too many values", hint=f"{name} has {codes.max() + 1:,}; a table has room for {most:,}"
        )
    _, first = np.unique(codes, return_index=True)
    if chosen.is_text(name):
        return [str(text) for text in chosen.text(name)[first]], codes, [math.nan] * len(first)
    values = chosen.column(name)[first].tolist()
    shown = [chosen.shown_number(name, x) if labels else f"{x:g}" for x in values]
    return shown, codes, values


def _one_way(run: Run, parsed: Parsed, name: str, used: Mask, weights: Weights | None) -> None:
    if not used.any():
        run.print("no observations")
        run.returns({"N": 0.0, "r": 0.0})
        return
    shown, codes, values = levels_of(run, name, used, not parsed.has("nolabel"), MOST_VALUES)
    of_rows = weights.of(used).scaled() if weights is not None else None
    counts = np.bincount(codes, weights=of_rows, minlength=len(shown)).astype(np.float64)
    order = np.argsort(-counts, kind="stable") if parsed.has("sort") else np.arange(len(shown))
    total = float(counts.sum())
    width = max(11, min(max(map(len, shown)), 22))
    title = run.data.variable_labels.get(name, name)
    lines = _wrapped(title, width)
    run.print("", *(f"{line:>{width}} |" for line in lines[:-1]))
    run.print(f"{lines[-1]:>{width}} |      Freq.     Percent        Cum.")
    rule = f"{'-' * (width + 1)}+-----------------------------------"
    run.print(rule)
    so_far = 0.0
    for k in order:
        so_far += float(counts[k])
        percent, reached = 100 * counts[k] / total, 100 * so_far / total
        number = (
            format_g(counts[k], 11, commas=True)
            if counts[k] != int(counts[k])
            else f"{counts[k]:>11,.0f}"
        )
        run.print(f"{shown[k][:width]:>{width}} |{number}{percent:12.2f}{reached:12.2f}")
    run.print(rule)
    number = format_g(total, 11, commas=True) if total != int(total) else f"{total:>11,.0f}"
    run.print(f"{'Total':>{width}} |{number}{100:12.2f}")
    if parsed.has("generate"):
        _dummies(run, parsed.text("generate"), name, shown, values)
    run.returns({"N": total, "r": float(len(shown))})


def _dummies(run: Run, stub: str, name: str, shown: Sequence[str], values: Sequence[float]) -> None:
    """An indicator for each value in all rows, missing where the variable is."""
    data = run.data
    unknown = missing_in(run, name)
    columns, labels = {}, {}
    for k, (text, value) in enumerate(zip(shown, values, strict=True), start=1):
        target = run.new_name(f"{stub}{k}")
        equal = data.text(name) == text if data.is_text(name) else data.column(name) == value
        columns[target] = np.where(unknown, np.nan, equal.astype(np.float64))
        labels[target] = f"{name}=={text}"
    run.data = data.with_columns(columns, storage_type="byte", labels=labels)


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [line[:width] for line in lines[:4]]


def _two_way(
    run: Run, parsed: Parsed, first: str, second: str, used: Mask, weights: Weights | None
) -> None:
    if not used.any():
        run.print("no observations")
        run.returns({"N": 0.0})
        return
    labels = not parsed.has("nolabel")
    rows, row_codes, _ = levels_of(run, first, used, labels, MOST_ROWS)
    columns, column_codes, _ = levels_of(run, second, used, labels, MOST_COLUMNS)
    table = np.zeros((len(rows), len(columns)))
    of_rows = weights.of(used).scaled() if weights is not None else 1.0
    np.add.at(table, (row_codes, column_codes), of_rows)
    total = float(table.sum())
    by_row, by_column = table.sum(axis=1), table.sum(axis=0)
    wants = [option for option in ("row", "column", "cell") if parsed.has(option)]
    if wants and not parsed.has("nokey"):
        run.print("", *_key(wants, frequency=not parsed.has("nofreq")))
    width = 10
    title = run.data.variable_labels.get(second, second)
    *above, last_line = ["", *_wrapped(run.data.variable_labels.get(first, first), width)][-3:]
    inner = 11 * len(columns)
    run.print("", *(f"{line:>{width}} |" for line in above[:-1] if line))
    run.print(f"{above[-1]:>{width}} |{title:^{inner}}".rstrip())
    run.print(f"{last_line:>{width}} |{_cells([text[:10] for text in columns])} |{'Total':>10}")
    rule = f"{'-' * (width + 1)}+{'-' * inner}+----------"
    run.print(rule)

    def body(name: str, counts: FloatArray, row_total: float) -> None:
        lines_of_row = []
        if not parsed.has("nofreq"):
            lines_of_row.append(f"{_cells([f'{x:,.0f}' for x in counts])} |{row_total:>10,.0f}")
        for want in wants:
            if want == "row":
                share, last = counts / row_total, 1.0
            elif want == "column":
                share = counts / by_column
                last = row_total / total
            else:
                share, last = counts / total, row_total / total
            lines_of_row.append(f"{_cells([f'{100 * x:.2f}' for x in share])} |{100 * last:10.2f}")
        for k, line in enumerate(lines_of_row):
            run.print(f"{name[:width] if k == 0 else '':>{width}} |{line}")
        if len(lines_of_row) > 1:
            run.print(rule)

    for k, name in enumerate(rows):
        body(name, table[k], float(by_row[k]))
    if not wants:
        run.print(rule)
    body("Total", by_column, total)
    results: dict[str, float | str] = {
        "N": total,
        "r": float(len(rows)),
        "c": float(len(columns)),
    }
    expected = np.outer(by_row, by_column) / total
    df = (len(rows) - 1) * (len(columns) - 1)
    for option, label in (("chi2", "Pearson chi2"), ("lrchi2", "likelihood-ratio chi2")):
        if not parsed.has(option) or not df:
            continue
        from scipy.special import chdtrc

        if option == "chi2":
            value = float(((table - expected) ** 2 / expected).sum())
        else:
            positive = table > 0
            value = 2.0 * float(
                (table[positive] * np.log(table[positive] / expected[positive])).sum()
            )
        p = float(chdtrc(df, value))
        run.print("", f"{label + f'({df})':>24} = {value:8.4f}   Pr = {p:.3f}")
        results |= {option: value, "p" if option == "chi2" else "p_lr": p}
    run.returns(results)


def _cells(texts: Sequence[str]) -> str:
    """Cells of a two-way table: 10 places for the first, 11 for each other."""
    return "".join(f"{text:>{11 if k else 10}}" for k, text in enumerate(texts))


def _key(wants: Sequence[str], *, frequency: bool) -> list[str]:
    """The box that says what stands in a cell."""
    names = {"row": "row percentage", "column": "column percentage", "cell": "cell percentage"}
    lines = [*(["frequency"] if frequency else []), *(names[want] for want in wants)]
    width = max(map(len, lines))
    rows = [f"| {line:^{width}} |" for line in lines]
    rule = "-" * (width + 2)
    return [f"+{rule}+", f"| {'Key':<{width}} |", f"|{rule}|", *rows, f"+{rule}+"]


def _means_by(run: Run, names: Sequence[str], of: str, used: Mask, weights: Weights | None) -> None:
    if len(names) > 1:
        raise InvalidSyntax("not yet supported: summarize() with two variables", span=run.span)
    x = run.data.column(of)
    used = used & ~np.isnan(x)
    shown, codes, _ = levels_of(run, names[0], used, most=MOST_VALUES)
    run.print("", f"            |{'Summary of ' + of:^40}".rstrip())
    run.print(f"{abbreviate(names[0], 11):>11} |        Mean   Std. Dev.       Freq.")
    run.print("------------+------------------------------------")
    values = x[used]
    equal = Weights(np.ones(len(values)), "fweight")
    of_values = equal if weights is None else weights.of(used)

    def row(title: str, x: FloatArray, w: Weights) -> str:
        mean, sd, n = np.average(x, weights=w.values), weighted_deviation(x, w), w.number()
        return f"{title[:11]:>11} | {_number(mean)} {_number(sd if n > 1 else 0.0)} {n:>11,.0f}"

    for k, text in enumerate(shown):
        run.print(row(text, values[codes == k], of_values.of(codes == k)))
    run.print("------------+------------------------------------")
    run.print(row("Total", values, of_values))


def _number(value: float) -> str:
    """A mean in a table of means: seven digits, thousands grouped."""
    return f"{format_g(value, 9, commas=True):>11}"
