"""Order and number of rows."""

from __future__ import annotations

import math
import re

import numpy as np

from gllamm_cli.data import Dataset
from gllamm_cli.errors import AssertionFailed, InvalidSyntax
from gllamm_cli.interpret.generators import group_numbers
from gllamm_cli.interpret.run import Run, plural
from gllamm_cli.interpret.size import check_size
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.functions import missing, ordered
from gllamm_cli.stata.lexer import part, whole
from gllamm_cli.stata.varlist import find_variable


def sort(run: Run) -> None:
    """``sort varlist``: stable, missing values last."""
    parsed = run.parse("stable")
    names = run.variables(parsed.frame.body)
    order = run.data.sort_order(names)
    if order is not None:
        run.data = run.data.take(order)


def gsort(run: Run) -> None:
    """``gsort -a b``: descending where a minus stands."""
    parsed = run.parse("Generate(w) mfirst")
    keys = []
    for sign, word in re.findall(r"([-+]?)\s*(\w+)", parsed.frame.body.text):
        name = find_variable(word, run.data.names)
        if run.data.is_text(name):
            key = np.unique(run.data.text(name), return_inverse=True)[1].astype(np.float64)
        else:
            key = ordered(run.data.column(name))
            if sign == "-" and not parsed.has("mfirst"):
                # Missing values stay last.
                key = np.where(np.isnan(run.data.column(name)), -key, key)
        keys.append(-key if sign == "-" else key)
    if not keys:
        raise InvalidSyntax("varlist required", span=run.span)
    run.data = run.data.take(np.lexsort(keys[::-1]))


def expand(run: Run) -> None:
    """``expand exp [if] [, generate(name)]``: copies go to the end."""
    parsed = run.parse("Generate(w)")
    data = run.data
    body = parsed.frame.body
    times = run.evaluator().number(parse_expression(body))
    times = np.broadcast_to(times, (data.n_rows,))
    if parsed.has("generate"):
        run.new_name(parsed.text("generate"))
    wanted = np.where(np.isnan(times) | (times < 1), 1, np.trunc(times))
    wanted = np.where(run.rows(parsed), wanted, 1.0)
    check_size(wanted.sum(), len(data.names), body)
    copies = np.repeat(np.arange(data.n_rows), wanted.astype(np.int64) - 1)
    data = data.take(np.concatenate([np.arange(data.n_rows), copies]), copies=True)
    if parsed.has("generate"):
        made = np.arange(data.n_rows) >= data.n_rows - len(copies)
        data = data.with_column(
            parsed.text("generate"), made.astype(np.float64), storage_type="byte"
        )
    run.data = data
    run.print(f"({plural(len(copies), 'observation')} created)")


def with_rows(data: Dataset, n_rows: int) -> Dataset:
    """Return the data with empty rows added at the end."""
    extra = n_rows - data.n_rows
    if not data.names:
        return data.with_table({}, np.arange(n_rows, dtype=np.int64))
    ids = np.concatenate([data.row_ids, data.next_id + np.arange(extra)])
    columns = {}
    for name in data.names:
        if data.is_text(name):
            columns[name] = np.concatenate([data.text(name), np.full(extra, "", dtype=object)])
        else:
            columns[name] = np.concatenate([data.column(name), np.full(extra, np.nan)])
    return data.with_table(columns, ids)


def set_observations(run: Run, number: float) -> None:
    """``set obs #``: rows may only be added."""
    data = run.data
    if not (number >= 0 and number == np.trunc(number)):
        raise InvalidSyntax(f"'{number:g}' invalid number of observations", span=run.span)
    check_size(number, len(data.names), run.span)
    if number < data.n_rows:
        raise InvalidSyntax(
            "obs must be at least as many as there are", span=run.span, hint=f"now {data.n_rows}"
        )
    before = data.n_rows
    made = with_rows(data, int(number))
    run.data = made if data.n_rows else run.session.with_new_rows(made)
    run.print(f"number of observations (_N) was {before:,}, now {int(number):,}")


def duplicates(run: Run) -> None:
    """``duplicates report|drop|tag|list [varlist]``."""
    match = re.match(r"(\w+)\s*", run.span.text)
    word = match[1] if match else ""
    run.span = part(run.span, run.span.start + (match.end() if match else 0), run.span.end)
    parsed = run.parse("force Generate(w)")
    names = run.variables(parsed.frame.body, required=False)
    groups = group_numbers(run.data, names or run.data.names)
    counts = np.bincount(groups) if len(groups) else np.zeros(0, dtype=np.int64)
    if word in ("report", "rep"):
        run.print(
            "", "--------------------------------------", "   copies | observations       surplus"
        )
        run.print("----------+---------------------------")
        for size in sorted(set(counts.tolist())):
            n = int((counts == size).sum())
            run.print(f"{size:9d} | {n * size:12d}  {n * (size - 1):12d}")
        run.print("--------------------------------------")
        run.returns({"unique_value": float(len(counts)), "N": float(run.data.n_rows)})
    elif word == "drop":
        if names and not parsed.has("force"):
            raise InvalidSyntax("force is needed with a varlist: rows may differ", span=run.span)
        _, first = np.unique(groups, return_index=True)
        kept = np.zeros(run.data.n_rows, dtype=bool)
        kept[first] = True
        run.data = run.data.take(kept)
        run.print(f"({plural(int((~kept).sum()), 'observation')} deleted)")
    elif word == "tag":
        name = run.new_name(parsed.text("generate"))
        run.data = run.data.with_column(
            name, (counts[groups] - 1).astype(np.float64), storage_type="byte"
        )
    else:
        raise InvalidSyntax("duplicates takes report, drop or tag", span=run.span)


def isid(run: Run) -> None:
    """``isid varlist``: whether the variables identify the rows."""
    parsed = run.parse("Sort missok")
    names = run.variables(parsed.frame.body)
    groups = group_numbers(run.data, names)
    if len(set(groups.tolist())) < run.data.n_rows:
        several = "variables" if len(names) > 1 else "variable"
        verb = "do" if len(names) > 1 else "does"
        raise AssertionFailed(
            f"{several} {' '.join(names)} {verb} not uniquely identify the observations"
        )
    for name in names:
        values = run.data.text(name) if run.is_text(name) else run.data.column(name)
        if missing(values).any() and not parsed.has("missok"):
            raise AssertionFailed(f"variable {name} should never be missing")


def sample(run: Run) -> None:
    """``sample # [, count]``: keep a random share of the rows."""
    parsed = run.parse("count")
    n_rows = run.data.n_rows
    chosen = np.flatnonzero(run.rows(parsed))
    share = whole(parsed.frame.body.text)
    wanted = run.number(share)
    if not (wanted >= 0 and (parsed.has("count") or wanted <= 100)):
        raise InvalidSyntax(
            f"'{share.text.strip()}' is no share of the rows",
            span=parsed.frame.body,
            hint="a number from 0 to 100, or with count a number of rows",
        )
    size = (
        int(min(wanted, len(chosen)))
        if parsed.has("count")
        else round(len(chosen) * wanted / 100.0)
    )
    drawn = run.session.random.permutation(chosen)[: max(size, 0)]
    kept = np.ones(n_rows, dtype=bool)
    kept[chosen] = False
    kept[drawn] = True
    run.data = run.data.take(kept)
    run.print(f"({plural(int((~kept).sum()), 'observation')} deleted)")


def fillin(run: Run) -> None:
    """``fillin varlist``: a row for every combination of values; ``_fillin`` marks new ones."""
    import pandas as pd

    names = run.variables(run.span)
    run.new_name("_fillin")
    data = run.data
    frame = data.frame
    levels = [np.unique(frame[name].dropna()) for name in names]
    # Combinations are matched by their keys, several tables of them.
    check_size(math.prod(map(len, levels)), len(data.names) + 4 * len(names), run.span)
    wanted = pd.MultiIndex.from_product(levels, names=list(names)).to_frame(index=False)
    merged = wanted.merge(frame.reset_index(names="__id"), on=list(names), how="outer")
    made = merged["__id"].isna().to_numpy()
    ids = merged["__id"].to_numpy(dtype=np.float64, copy=True)
    ids[made] = data.next_id + np.arange(int(made.sum()))
    columns = {
        name: (merged[name].fillna("") if data.is_text(name) else merged[name]).to_numpy(
            dtype=data.values(name).dtype
        )
        for name in data.names
    }
    filled = data.with_table(columns, ids.astype(np.int64))
    filled = filled.with_column("_fillin", made.astype(np.float64), storage_type="byte")
    order = filled.sort_order(names)
    run.data = filled if order is None else filled.take(order)
