"""``reshape``, ``collapse`` and ``contract``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.data import Dataset
from gllamm_cli.errors import AlreadyDefined, AssertionFailed, InvalidSyntax, VariableNotFound
from gllamm_cli.interpret.generators import group_numbers
from gllamm_cli.interpret.run import Mask, Run
from gllamm_cli.interpret.statistics import statistic, weighted_percentile
from gllamm_cli.interpret.variables import grown_type
from gllamm_cli.stata.functions import FloatArray, missing, ordered
from gllamm_cli.stata.lexer import is_name, part, whole
from gllamm_cli.stata.numlist import parse_numlist
from gllamm_cli.stata.varlist import expand_varlist, find_variable, parse_varlist

REPORT_RULE = "-" * 77


def reshape(run: Run) -> None:
    """``reshape long stubs, i(id) j(t)`` and ``reshape wide names, i(id) j(t)``."""
    match = re.match(r"(long|wide)\b\s*", run.span.text)
    if match is None:
        raise InvalidSyntax("invalid syntax: reshape long or reshape wide", span=run.span)
    run.span = part(run.span, run.span.start + match.end(), run.span.end)
    parsed = run.parse("i(v) j(t) String")
    if not parsed.has("i"):
        raise InvalidSyntax("option i() required", span=run.span)
    ids = run.option_variables(parsed, "i")
    words = parsed.text("j").split()
    if not words and match[1] == "wide":
        raise InvalidSyntax("option j() required", span=run.span)
    j = words[0] if words else "_j"
    text = parsed.has("string")
    if match[1] == "long":
        stubs = parsed.frame.body.text.split()
        _long(run, stubs, ids, j, words[1:], text)
    else:
        names = run.variables(parsed.frame.body)
        _wide(run, names, ids, find_variable(j, run.data.names))


def _check_identified(run: Run, names: Sequence[str]) -> None:
    groups = group_numbers(run.data, names)
    if len(np.unique(groups)) < run.data.n_rows:
        listed = " ".join(names)
        verb = "does" if len(names) == 1 else "do"
        raise AssertionFailed(
            f"variable{'s' if len(names) > 1 else ''} {listed} {verb} not uniquely identify the "
            "observations",
            hint="i() must tell the rows apart",
        )


def _suffixes(data: Dataset, stubs: Sequence[str], given: Sequence[str], text: bool) -> list[str]:
    """Values of j that occur in names of variables, in order."""
    found: set[str] = set()
    for stub in stubs:
        before, _, after = stub.partition("@")
        inner = r"(.+)" if text else r"(\d+)"
        pattern = re.compile(f"{re.escape(before)}{inner}{re.escape(after)}")
        found |= {match[1] for name in data.names if (match := pattern.fullmatch(name))}
    if given:
        return list(given) if text else _numbers(given)
    return sorted(found) if text else [*sorted(found, key=lambda word: (int(word), word))]


def _numbers(words: Sequence[str]) -> list[str]:
    return [f"{number:g}" for number in parse_numlist(whole(" ".join(words)))]


def _long(
    run: Run, stubs: list[str], ids: Sequence[str], j: str, given: Sequence[str], text: bool
) -> None:
    data = run.data
    if not stubs:
        raise InvalidSyntax("invalid syntax: reshape long needs the stubs of names", span=run.span)
    if j in data.names:
        raise AlreadyDefined(f"variable {j} already defined", hint="j() names a new variable")
    _check_identified(run, ids)
    suffixes = _suffixes(data, stubs, given, text)
    if not suffixes:
        raise VariableNotFound(f"no xij variables found: {' '.join(stubs)}", span=run.span)
    wide = {stub: [_wide_name(stub, suffix) for suffix in suffixes] for stub in stubs}
    used = {name for names in wide.values() for name in names}
    others = [name for name in data.names if name not in used]
    order = data.sort_order(ids)
    if order is not None:
        data = data.take(order)
    n, m = data.n_rows, len(suffixes)
    columns: dict[str, Any] = {}
    types, labels, formats = dict(data.storage_types), {}, {}
    for name in ids:
        columns[name] = np.repeat(data.values(name), m)
    values: NDArray[Any] = (
        np.array(suffixes, dtype=object) if text else np.array([float(s) for s in suffixes])
    )
    columns[j] = np.tile(values, n)
    types[j] = "str" if text else grown_type("byte", values)
    for stub, names in wide.items():
        target = stub.replace("@", "")
        present = [name for name in names if name in data.names]
        if not is_name(target) or target in (*others, j):
            raise AlreadyDefined(f"variable {target} already defined", span=run.span)
        is_text = bool(present) and data.is_text(present[0])
        empty: NDArray[Any] = np.full(n, "", dtype=object) if is_text else np.full(n, np.nan)
        block = [data.values(name) if name in data.names else empty for name in names]
        columns[target] = np.stack(block, axis=1).reshape(-1)
        kinds = [data.storage_types.get(name, "double") for name in present]
        types[target] = "str" if is_text else widest_type(kinds)
        if present:
            labels[target] = data.label_names.get(present[0], "")
            formats[target] = data.formats.get(present[0], "")
    for name in others:
        if name not in columns:
            columns[name] = np.repeat(data.values(name), m)
    made = replace(
        data.with_table(columns),
        storage_types=types,
        label_names={**data.label_names, **{k: v for k, v in labels.items() if v}},
        formats={**data.formats, **{k: v for k, v in formats.items() if v}},
    )
    before, run.data = run.data, run.session.with_new_rows(made)
    _report(run, before, j, suffixes, wide, "long")


def widest_type(kinds: Sequence[str]) -> str:
    """Storage type that holds the values of all these."""
    order = ["byte", "int", "long", "float", "double"]
    widest = max((order.index(kind) for kind in kinds), default=3)
    # A float does not hold every long.
    return "double" if "long" in kinds and widest == order.index("float") else order[widest]


def _wide_name(stub: str, suffix: str) -> str:
    return stub.replace("@", suffix) if "@" in stub else stub + suffix


def _wide(run: Run, names: Sequence[str], ids: Sequence[str], j: str) -> None:
    data = run.data
    _check_identified(run, [*ids, j])
    groups = group_numbers(data, ids)
    n_groups = int(groups.max()) + 1 if len(groups) else 0
    key = data.text(j) if data.is_text(j) else data.column(j)
    if missing(key).any():
        raise AssertionFailed(f"variable {j} contains missing values")
    levels, codes = np.unique(key, return_inverse=True)
    suffixes = [str(x) if data.is_text(j) else f"{x:g}" for x in levels.tolist()]
    others = [name for name in data.names if name not in (*names, *ids, j)]
    _, first = np.unique(groups, return_index=True)
    for name in others:
        values = data.sort_key(name)
        if (values != values[first][groups]).any():
            raise AssertionFailed(
                f"variable {name} not constant within {' '.join(ids)}",
                hint="name it among the variables to be made wide, or drop it",
            )
    columns: dict[str, Any] = {name: data.values(name)[first] for name in ids}
    types, made_names, labels, formats = dict(data.storage_types), {}, {}, {}
    wide: dict[str, list[str]] = {name: [] for name in names}
    for k, suffix in enumerate(suffixes):
        rows = codes == k
        for name in names:
            target = _wide_name(name, suffix)
            if not is_name(target) or target in (*others, *ids):
                raise AlreadyDefined(f"variable {target} already defined", span=run.span)
            is_text = data.is_text(name)
            column: NDArray[Any] = (
                np.full(n_groups, "", dtype=object) if is_text else np.full(n_groups, np.nan)
            )
            column[groups[rows]] = data.values(name)[rows]
            columns[target] = column
            types[target] = data.storage_types.get(name, "double")
            made_names[target] = f"{suffix} {data.variable_labels.get(name, name)}"
            labels[target] = data.label_names.get(name, "")
            formats[target] = data.formats.get(name, "")
            wide[name].append(target)
    for name in others:
        columns[name] = data.values(name)[first]
    made = replace(
        data.with_table(columns),
        storage_types=types,
        variable_labels={**data.variable_labels, **made_names},
        label_names={**data.label_names, **{k: v for k, v in labels.items() if v}},
        formats={**data.formats, **{k: v for k, v in formats.items() if v}},
    )
    before, run.data = run.data, run.session.with_new_rows(made)
    _report(run, before, j, suffixes, wide, "wide")


def _report(
    run: Run,
    before: Dataset,
    j: str,
    suffixes: Sequence[str],
    wide: Mapping[str, Sequence[str]],
    to: str,
) -> None:
    after = run.data
    first, second = ("wide", "long") if to == "long" else ("long", "wide")
    run.print(
        f"(note: j = {' '.join(suffixes)})",
        "",
        f"Data                               {first}   ->   {second}",
        REPORT_RULE,
        f"Number of obs.                 {before.n_rows:8d}   ->{after.n_rows:8d}",
        f"Number of variables            {len(before.names):8d}   ->{len(after.names):8d}",
    )
    values = f"j variable ({len(suffixes)} values)"
    if to == "long":
        run.print(f"{values:<43}->   {j}")
    else:
        run.print(f"{values:<29}{j:>10}   ->   (dropped)")
    run.print("xij variables:")
    for stub, names in wide.items():
        listed = " ".join(names) if len(names) <= 3 else f"{names[0]} {names[1]} ... {names[-1]}"
        target = stub.replace("@", "")
        left, right = (listed, target) if to == "long" else (target, listed)
        run.print(f"{left:>39}   ->   {right}")
    run.print(REPORT_RULE)


TARGET = re.compile(r"\(\s*(\w+)\s*\)|([^\W\d]\w*)\s*=\s*([^\W\d]\w*)|([^\s()=]+)")


def collapse(run: Run) -> None:
    """``collapse (stat) new=old ... [if] [in] [weight], by(g)``."""
    parsed = run.parse("by(v) cw FAST")
    frame = parsed.frame
    data = run.data
    wanted = _targets(run, frame.body.text)
    weights, kind = run.weights(frame.weight, ("aweight", "fweight", "pweight", "iweight"))
    used = run.rows(parsed)
    if weights is not None:
        used = used & ~np.isnan(weights) & (weights > 0)
    if parsed.has("cw"):
        for _, old, _ in wanted:
            used &= ~np.isnan(data.column(old))
    by = run.option_variables(parsed, "by")
    chosen = data.take(used)
    w = weights[used] if weights is not None else None
    groups = group_numbers(chosen, by)
    n_groups = int(groups.max()) + 1 if len(groups) else 0
    _, first = np.unique(groups, return_index=True)
    made = chosen.take(first).keep(by)
    labels = {}
    for target, old, function in wanted:
        if target in by:
            raise AlreadyDefined(f"variable {target} already defined", span=run.span)
        x = chosen.column(old)
        values = _collapsed(function, x, w, kind, groups, n_groups, run)
        same = function in ("first", "last", "max", "min") or function.startswith("p")
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
            if function not in ("rawsum", "sebinomial") and statistic(function) is None:
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


def _collapsed(
    function: str,
    x: FloatArray,
    w: FloatArray | None,
    kind: str,
    groups: NDArray[np.int64],
    n: int,
    run: Run,
) -> FloatArray:
    """A statistic of each group; missing values are left out."""
    ends = function in ("first", "last", "firstnm", "lastnm")
    known: Mask = np.ones(len(x), dtype=bool) if ends else ~np.isnan(x)
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
    parsed = run.parse("Freq(w) Zero NOMISS CFreq(w) Percent(w)")
    parsed.refuse("cfreq()", "percent()")
    names = run.variables(parsed.frame.body)
    frequency = parsed.text("freq", "_freq")
    weights, _ = run.weights(parsed.frame.weight, ("fweight",))
    used = run.rows(parsed)
    if parsed.has("nomiss"):
        for name in names:
            used &= ~missing(
                run.data.sort_key(name) if run.is_text(name) else run.data.column(name)
            )
    chosen = run.data.take(used).keep(names)
    groups = group_numbers(chosen, names)
    _, first = np.unique(groups, return_index=True)
    counts = np.bincount(groups, weights=weights[used] if weights is not None else None)
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
