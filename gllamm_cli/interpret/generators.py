"""``egen``: variables from functions of several rows or variables."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.data import Dataset
from gllamm_cli.errors import InvalidSyntax, TypeMismatch, UnknownFunction
from gllamm_cli.interpret.group_functions import BY_GROUP, PER_ROW, VARIANTS
from gllamm_cli.interpret.run import Mask, Parsed, Run
from gllamm_cli.interpret.statistics import percentile
from gllamm_cli.stata.definitions import STORAGE_TYPES
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.functions import FloatArray, Value, is_text, missing, ordered
from gllamm_cli.stata.generate import stored
from gllamm_cli.stata.lexer import part, stripped, whole
from gllamm_cli.stata.varlist import suggestion

OPTIONS = (
    "BY(v) Label Missing P(n) Values(n) AT(n) Group(n) ICodes Punct(t) From(n) To(n) Block(n) "
    "FIeld TRack Unique MINMode MAXMode MEan(n) STd(n)"
)
OWN_OPTIONS = {
    "anycount": ("values",),
    "anymatch": ("values",),
    "concat": ("punct",),
    "cut": ("at", "group", "icodes"),
    "group": ("label", "missing"),
    "mode": ("minmode", "maxmode"),
    "pctile": ("p",),
    "rank": ("field", "track", "unique"),
    "rowtotal": ("missing",),
    "rsum": ("missing",),
    "seq": ("from", "to", "block"),
    "std": ("mean", "std"),
    "sum": ("missing",),
    "tag": ("missing",),
    "total": ("missing",),
}
"""Options of the functions besides ``by()``."""
CALL = re.compile(r"(?:(\w+)\s+)?([^\W\d]\w*)\s*=\s*([^\W\d]\w*)\s*\((.*)\)\s*", re.DOTALL)


def egen(run: Run) -> None:
    """``egen [type] name = function(arguments) [if] [in] [, by(g) ...]``."""
    parsed = run.parse(OPTIONS)
    body = parsed.frame.body
    match = CALL.fullmatch(body.text)
    if match is None:
        raise InvalidSyntax("invalid syntax: egen name = function(arguments)", span=body)
    kind, name, function, _ = match.groups()
    if kind and kind not in STORAGE_TYPES:
        raise InvalidSyntax(f"{kind} is no storage type", span=body)
    run.new_name(name)
    _check_options(parsed, function)
    argument = stripped(part(body, body.start + match.start(4), body.start + match.end(4)))
    selected = run.rows(parsed)
    groups = _groups(run, parsed)
    numbers: Value
    if function in BY_GROUP:
        values = run.evaluator().value(parse_expression(argument))
        values = np.broadcast_to(values, (run.data.n_rows,))
        numbers = _by_group(run, parsed, function, values, selected, groups)
    elif function in ACROSS:
        names = run.variables(argument)
        columns = np.column_stack([run.data.column(variable) for variable in names])
        numbers = np.where(selected, ACROSS[function](columns), np.nan)
        if parsed.has("missing"):
            numbers = np.where(np.isnan(columns).all(axis=1), np.nan, numbers)
    elif function in SPECIAL:
        numbers = SPECIAL[function](run, parsed, argument.text, selected, groups)
    else:
        raise UnknownFunction(
            f"unknown egen function {function}()",
            span=argument,
            hint=suggestion(function, [*BY_GROUP, *ACROSS, *SPECIAL]),
        )
    if is_text(numbers):
        run.data = run.data.with_column(name, numbers)
        return
    kind = kind or run.session.settings.get("type", "float")
    result = stored(numbers, kind)
    lost = int(np.isnan(result).sum())
    run.data = run.data.with_column(name, result, storage_type=kind)
    if parsed.has("label") and function == "group":
        _label_groups(run, name, argument.text)
    if lost:
        run.print(f"({lost:,} missing value{'' if lost == 1 else 's'} generated)")


def _check_options(parsed: Parsed, function: str) -> None:
    for name, option in parsed.options.items():
        if name != "by" and name not in OWN_OPTIONS.get(function, ()):
            raise InvalidSyntax(f"option {name} not allowed with {function}()", span=option.span)
    variants = [name for name in parsed.options if (function, name) in VARIANTS]
    if len(variants) > 1:
        raise InvalidSyntax(
            f"options {' and '.join(variants)} exclude each other",
            span=parsed.options[variants[1]].span,
        )


def _groups(run: Run, parsed: Parsed) -> NDArray[np.int64]:
    """Number of the by-group of each row, from 0."""
    if parsed.has("by"):
        return group_numbers(run.data, run.option_variables(parsed, "by"))
    if run.groups is None:
        return np.zeros(run.data.n_rows, dtype=np.int64)
    return np.searchsorted(run.groups.starts, np.arange(run.data.n_rows), side="right") - 1


def group_numbers(data: Dataset, names: Sequence[str]) -> NDArray[np.int64]:
    """Number combinations of values from 0, in order of the values."""
    import pandas as pd

    number = np.zeros(data.n_rows, dtype=np.int64)
    for name in names:
        key = data.text(name) if data.is_text(name) else ordered(data.column(name))
        codes, levels = pd.factorize(key, sort=True, use_na_sentinel=False)
        number = number * max(len(levels), 1) + codes
        # Numbers stay small whatever the number of variables.
        number = pd.factorize(number, sort=True)[0].astype(np.int64)
    return number


def _by_group(
    run: Run,
    parsed: Parsed,
    function: str,
    values: Value,
    selected: Mask,
    groups: NDArray[np.int64],
) -> Value:
    used = selected & ~missing(values)
    n_groups = int(groups.max()) + 1 if len(groups) else 0
    if is_text(values):
        if function != "count":
            raise TypeMismatch("type mismatch", span=run.span)
        values = np.where(used, 1.0, np.nan)
    reach = parsed.number("p", 50.0)
    compute = BY_GROUP[function]
    for option in parsed.options:
        compute = VARIANTS.get((function, option), compute)
    result = compute(values, groups, used, n_groups, reach)
    if function == "std":
        result = parsed.number("mean", 0.0) + parsed.number("std", 1.0) * result
    if parsed.has("missing"):
        known = BY_GROUP["count"](values, groups, used, n_groups, reach)
        result = np.where(known > 0, result, np.nan)
    return np.where(used if function in PER_ROW else selected, result, np.nan)


def _row_sd(x: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        counts = (~np.isnan(x)).sum(axis=1)
        mean = np.nansum(x, axis=1) / counts
        squares = np.nansum((x - mean[:, None]) ** 2, axis=1)
        return np.where(counts > 1, np.sqrt(squares / (counts - 1)), np.nan)


def _row_mean(x: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return np.asarray(np.nansum(x, axis=1) / (~np.isnan(x)).sum(axis=1))


def _first(x: FloatArray) -> FloatArray:
    known = ~np.isnan(x)
    return np.where(known.any(axis=1), x[np.arange(len(x)), known.argmax(axis=1)], np.nan)


ACROSS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "rmax": lambda x: np.fmax.reduce(x, axis=1),
    "rmean": _row_mean,
    "rmin": lambda x: np.fmin.reduce(x, axis=1),
    "rmiss": lambda x: np.isnan(x).sum(axis=1).astype(np.float64),
    "robs": lambda x: (~np.isnan(x)).sum(axis=1).astype(np.float64),
    "rowfirst": _first,
    "rowlast": lambda x: _first(x[:, ::-1]),
    "rowmax": lambda x: np.fmax.reduce(x, axis=1),
    "rowmean": _row_mean,
    "rowmin": lambda x: np.fmin.reduce(x, axis=1),
    "rowmiss": lambda x: np.isnan(x).sum(axis=1).astype(np.float64),
    "rownonmiss": lambda x: (~np.isnan(x)).sum(axis=1).astype(np.float64),
    "rowsd": _row_sd,
    "rowtotal": lambda x: np.nansum(x, axis=1),
    "rsd": _row_sd,
    "rsum": lambda x: np.nansum(x, axis=1),
}


def _group(
    run: Run, parsed: Parsed, text: str, selected: Mask, groups: NDArray[np.int64]
) -> FloatArray:
    """Combinations of values numbered from 1; missing where any is, unless ``missing``."""
    names = run.variables(whole(text))
    used = selected.copy()
    if not parsed.has("missing"):
        for name in names:
            values = run.data.text(name) if run.data.is_text(name) else run.data.column(name)
            used &= ~missing(values)
    result = np.full(run.data.n_rows, np.nan)
    if used.any():
        result[used] = group_numbers(run.data.take(used), names) + 1.0
    return result


def _tag(
    run: Run, parsed: Parsed, text: str, selected: Mask, groups: NDArray[np.int64]
) -> FloatArray:
    """1 in the first row of each combination of values, 0 elsewhere."""
    numbers = _group(run, parsed, text, selected, groups)
    result = np.zeros(run.data.n_rows)
    rows = np.flatnonzero(~np.isnan(numbers))
    _, first = np.unique(numbers[rows], return_index=True)
    result[rows[first]] = 1.0
    return result


def _sequence(
    run: Run, parsed: Parsed, text: str, selected: Mask, groups: NDArray[np.int64]
) -> FloatArray:
    """Numbers from ``from()`` to ``to()``, each ``block()`` times, again and again."""
    result = np.full(run.data.n_rows, np.nan)
    rows = np.flatnonzero(selected)
    order = rows[np.argsort(groups[rows], kind="stable")]
    place = np.arange(len(order)) - np.searchsorted(groups[order], groups[order])
    first, block = parsed.number("from", 1.0), parsed.number("block", 1.0)
    last = parsed.number("to", math.inf)
    if not (block >= 1.0 and first == np.trunc(first) and block == np.trunc(block)):
        raise InvalidSyntax("from(), to() and block() take whole numbers", span=run.span)
    step = np.floor(place / block)
    if math.isfinite(last):
        step = np.fmod(step, abs(last - first) + 1.0)
    result[order] = first - step if last < first else first + step
    return result


def _any_match(
    run: Run, parsed: Parsed, text: str, selected: Mask, groups: NDArray[np.int64]
) -> FloatArray:
    wanted = parsed.options["values"].numbers if parsed.has("values") else ()
    if not wanted:
        raise InvalidSyntax("option values() required", span=run.span)
    found = np.zeros(run.data.n_rows, dtype=bool)
    for name in run.variables(whole(text)):
        found |= np.isin(run.data.column(name), wanted)
    return np.where(selected, found.astype(np.float64), np.nan)


def _any_count(
    run: Run, parsed: Parsed, text: str, selected: Mask, groups: NDArray[np.int64]
) -> FloatArray:
    wanted = parsed.options["values"].numbers if parsed.has("values") else ()
    count = np.zeros(run.data.n_rows)
    for name in run.variables(whole(text)):
        count += np.isin(run.data.column(name), wanted)
    return np.where(selected, count, np.nan)


def _different(
    run: Run, parsed: Parsed, text: str, selected: Mask, groups: NDArray[np.int64]
) -> FloatArray:
    names = run.variables(whole(text))
    keys = [ordered(run.data.column(name)) for name in names]
    differs = np.zeros(run.data.n_rows, dtype=bool)
    for key in keys[1:]:
        differs |= key != keys[0]
    return np.where(selected, differs.astype(np.float64), np.nan)


def _cut(
    run: Run, parsed: Parsed, text: str, selected: Mask, groups: NDArray[np.int64]
) -> FloatArray:
    (name,) = run.variables(whole(text))
    x = run.data.column(name)
    if parsed.has("at"):
        limits = np.array(parsed.options["at"].numbers)
    else:
        number = int(parsed.number("group", float("nan")))
        known = np.sort(x[selected & ~np.isnan(x)])
        points = [percentile(known, 100.0 * k / number) for k in range(1, number)]
        limits = np.array([known[0], *points, np.inf])
    codes = np.searchsorted(limits, x, side="right") - 1
    inside = selected & (x >= limits[0]) & (x < limits[-1])
    as_codes = parsed.has("icodes") or parsed.has("group")
    chosen = np.clip(codes, 0, len(limits) - 1)
    return np.where(inside, chosen if as_codes else limits[chosen], np.nan)


def _concatenated(
    run: Run, parsed: Parsed, text: str, selected: Mask, groups: NDArray[np.int64]
) -> Value:
    between = parsed.text("punct")
    columns = []
    for name in run.variables(whole(text)):
        if run.data.is_text(name):
            columns.append(run.data.text(name).tolist())
        else:
            columns.append(["." if x != x else f"{x:g}" for x in run.data.column(name)])
    rows = [between.join(row) for row in zip(*columns, strict=True)]
    return np.where(selected, np.array(rows, dtype=object), "").astype(object)


SPECIAL: dict[str, Callable[..., Value]] = {
    "anycount": _any_count,
    "anymatch": _any_match,
    "concat": _concatenated,
    "cut": _cut,
    "diff": _different,
    "group": _group,
    "seq": _sequence,
    "tag": _tag,
}


def _label_groups(run: Run, name: str, text: str) -> None:
    """Label the numbers of ``group()`` with the values they stand for."""
    names = run.variables(whole(text))
    numbers = run.data.column(name)
    rows = np.flatnonzero(~np.isnan(numbers))
    _, first = np.unique(numbers[rows], return_index=True)
    labels: dict[float | str, str] = {
        float(numbers[row]): " ".join(run.data.shown(variable, int(row)) for variable in names)
        for row in rows[first]
    }
    data = run.data
    run.data = replace(
        data,
        label_sets={**data.label_sets, name: labels},
        label_names={**data.label_names, name: name},
    )
