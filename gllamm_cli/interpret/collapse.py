"""``collapse`` and ``contract``: data of groups of rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.data import Dataset
from gllamm_cli.errors import AlreadyDefined, InvalidSyntax
from gllamm_cli.interpret.generators import group_numbers
from gllamm_cli.interpret.run import Mask, Run
from gllamm_cli.interpret.statistics import statistic, weighted_percentile
from gllamm_cli.interpret.tabulations import missing_in
from gllamm_cli.interpret.variables import grown_type
from gllamm_cli.stata.functions import FloatArray, TextArray, is_text, missing, ordered
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.varlist import expand_varlist, find_variable, parse_varlist

ENDS = ("first", "last", "firstnm", "lastnm")
TARGET = re.compile(r"\(\s*(\w+)\s*\)|([^\W\d]\w*)\s*=\s*([^\W\d]\w*)|([^\s()=]+)")


def collapse(run: Run) -> None:
    """``collapse (stat) new=old ... [if] [in] [weight], by(g)``."""
    parsed = run.parse("by(v) cw FAST", weights=("aweight", "fweight", "pweight", "iweight"))
    frame = parsed.frame
    data = run.data
    wanted = _targets(run, frame.body.text)
    used, weights = run.weighted_rows(parsed)
    if parsed.has("cw"):
        for _, old, _ in wanted:
            used &= ~missing_in(run, old)
    by = run.option_variables(parsed, "by")
    chosen = data.take(used)
    w, kind = (weights.values[used], weights.kind) if weights is not None else (None, "")
    groups = group_numbers(chosen, by)
    n_groups = int(groups.max()) + 1 if len(groups) else 0
    _, first = np.unique(groups, return_index=True)
    made = chosen.take(first).keep(by)
    labels = {}
    for target, old, function in wanted:
        if target in by:
            raise AlreadyDefined(f"variable {target} already defined", span=run.span)
        of_rows = chosen.text(old) if chosen.is_text(old) else chosen.column(old)
        if function in ENDS:
            values: FloatArray | TextArray = _end(function, of_rows, groups, n_groups)
        elif function == "count" and is_text(of_rows):
            known = np.where(missing(of_rows), np.nan, 1.0)
            values = _collapsed(function, known, w, kind, groups, n_groups)
        else:
            values = _collapsed(function, chosen.column(old), w, kind, groups, n_groups)
        same = function in (*ENDS, "max", "min") or function.startswith("p")
        storage = data.storage_types.get(old, "double") if same else "double"
        storage = "long" if function == "count" else storage
        storage = "float" if storage in ("byte", "int") and function.startswith("p") else storage
        labels[target] = f"({function}) {old}" if function != "mean" else f"(mean) {old}"
        made = made.with_columns({target: values}, storage_type=storage)
        if same and old in data.label_names:
            made = replace(made, label_names={**made.label_names, target: data.label_names[old]})
    kept = {name: text for name, text in data.variable_labels.items() if name in by}
    made = replace(made, variable_labels={**kept, **labels})
    run.data = run.session.with_new_rows(made)


def _targets(run: Run, text: str) -> list[tuple[str, str, str]]:
    """New name, old name and statistic of every column."""
    function = "mean"
    found: list[tuple[str, str, str]] = []
    for match in TARGET.finditer(text):
        stat, new, old, plain = match.groups()
        if stat:
            function = stat
            if function not in ("rawsum", *ENDS) and statistic(function) is None:
                raise InvalidSyntax(f"({stat}) is no statistic of collapse", span=run.span)
        elif new:
            found.append((new, find_variable(old, run.data.names), function))
        else:
            names = expand_varlist(parse_varlist(whole(plain)), run.data.names)
            found += [(name, name, function) for name in names]
    if not found:
        raise InvalidSyntax("invalid syntax: collapse (stat) variables", span=run.span)
    new_names = [new for new, _, _ in found]
    if len(set(new_names)) < len(new_names):
        raise AlreadyDefined("error: name of a new variable given twice", span=run.span)
    return found


def _end(
    function: str, x: FloatArray | TextArray, groups: NDArray[np.int64], n: int
) -> FloatArray | TextArray:
    """First or last value of each group, or the first or last that is not missing."""
    used = ~missing(x) if function.endswith("nm") else np.ones(len(x), dtype=bool)
    rows = np.flatnonzero(used)
    if function.startswith("first"):
        rows = rows[::-1]
    # Of several rows of a group the one that comes last here stays.
    position = np.full(n, -1)
    position[groups[rows]] = rows
    values = x[position].copy() if len(x) else x
    values[position < 0] = "" if is_text(x) else np.nan
    return values


def _collapsed(
    function: str,
    x: FloatArray,
    w: FloatArray | None,
    kind: str,
    groups: NDArray[np.int64],
    n: int,
) -> FloatArray:
    """A statistic of each group; missing values are left out."""
    known: Mask = ~np.isnan(x)
    g, values = groups[known], x[known]
    weight = np.ones(len(values)) if w is None else w[known]
    if kind == "aweight":
        # Analytic weights are scaled to sum to the number of rows of the group.
        sums = np.bincount(g, weights=weight, minlength=n)
        counts = np.bincount(g, minlength=n)
        weight = weight * (counts / np.where(sums > 0, sums, 1.0))[g]
    total = np.bincount(g, weights=weight, minlength=n)
    with np.errstate(all="ignore"):
        if function == "count":
            return _float(total if kind in ("fweight", "iweight") else np.bincount(g, minlength=n))
        if function == "rawsum":
            return _float(np.bincount(g, weights=values, minlength=n))
        if function == "sum":
            return _float(np.bincount(g, weights=values * weight, minlength=n))
        mean = np.bincount(g, weights=values * weight, minlength=n) / total
        if function == "mean":
            return mean
        if function == "sd":
            squares = np.bincount(g, weights=weight * (values - mean[g]) ** 2, minlength=n)
            return np.sqrt(np.where(total > 1, squares / (total - 1.0), np.nan))
        if function in ("max", "min"):
            best = np.full(n, -np.inf if function == "max" else np.inf)
            (np.maximum if function == "max" else np.minimum).at(best, g, values)
            return np.where(np.isinf(best), np.nan, best)
    result = np.full(n, np.nan)
    order = np.argsort(g, kind="stable")
    starts = np.searchsorted(g[order], np.arange(n + 1))
    share = {"median": 50.0}.get(function, float(function[1:]) if function[1:].isdigit() else -1.0)
    compute = statistic(function)
    for k in range(n):
        rows = order[starts[k] : starts[k + 1]]
        if not len(rows):
            continue
        if w is not None and share > 0:
            result[k] = weighted_percentile(values[rows], weight[rows], share)
        elif compute is not None:
            result[k] = compute(values[rows])
    return result


def _float(values: NDArray[Any]) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def contract(run: Run) -> None:
    """``contract varlist [if] [weight] [, freq(name) zero nomiss]``."""
    parsed = run.parse("Freq(w) Zero NOMISS CFreq(w) Percent(w)", weights=("fweight",))
    parsed.refuse("cfreq()", "percent()")
    names = run.variables(parsed.frame.body)
    frequency = parsed.text("freq", "_freq")
    used, weights = run.weighted_rows(parsed)
    if parsed.has("nomiss"):
        for name in names:
            used &= ~missing(
                run.data.sort_key(name) if run.is_text(name) else run.data.column(name)
            )
    chosen = run.data.take(used).keep(names)
    groups = group_numbers(chosen, names)
    _, first = np.unique(groups, return_index=True)
    counts = np.bincount(groups, weights=weights.values[used] if weights is not None else None)
    made = chosen.take(first)
    kind = grown_type("int", counts.astype(np.float64))
    made = made.with_columns(
        {frequency: counts.astype(np.float64)},
        storage_type=kind,
        labels={frequency: "Frequency"},
    )
    if parsed.has("zero"):
        made = _with_zeros(made, names, frequency)
    run.data = run.session.with_new_rows(made)


def _with_zeros(made: Dataset, names: Sequence[str], frequency: str) -> Dataset:
    import pandas as pd

    levels = [
        np.unique(ordered(made.column(n)) if not made.is_text(n) else made.text(n)) for n in names
    ]
    everything = pd.MultiIndex.from_product(levels, names=list(names)).to_frame(index=False)
    merged = everything.merge(made.frame, on=list(names), how="left")
    merged[frequency] = merged[frequency].fillna(0.0)
    return made.with_table({name: merged[name].to_numpy() for name in made.names})
