"""``merge``, ``append``, ``joinby`` and ``cross``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.data import Dataset
from gllamm_cli.errors import AlreadyDefined, InvalidSyntax, NotUnique, StringMismatch
from gllamm_cli.interpret.generators import group_numbers
from gllamm_cli.interpret.macros import unquoted
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.interpret.shape import widest_type
from gllamm_cli.interpret.size import check_size
from gllamm_cli.read import read_dataset
from gllamm_cli.stata.lexer import part
from gllamm_cli.stata.varlist import expand_varlist, parse_varlist

MATCHES = {"master": 1, "mas": 1, "1": 1, "using": 2, "us": 2, "2": 2, "match": 3, "matched": 3}
MATCHES |= {"mat": 3, "3": 3}
OPTIONS = (
    "KEEP(t) KEEPUSing(v) NOGENerate GENerate(w) UPdate replace ASSERT(t) NOREPort NOLabel NONOTEs "
    "force unique uniqmaster uniqusing sort NOKEEP _merge(w)"
)
Codes = NDArray[np.int64]


def merge(run: Run) -> None:
    """``merge 1:1|m:1|1:m key using file``, or in the old form ``merge key using file``."""
    match = re.match(r"([1mn]):([1mn])\s+", run.span.text)
    if match:
        run.span = part(run.span, run.span.start + match.end(), run.span.end)
    parsed = run.parse(OPTIONS)
    if parsed.frame.using is None:
        raise InvalidSyntax("using required", span=run.span)
    other = read_dataset(unquoted(parsed.frame.using.text))
    by_row = parsed.frame.body.text == "_n" or not parsed.frame.body.text
    master = run.data
    if by_row:
        keys: tuple[str, ...] = ()
        left, right = np.arange(master.n_rows), np.arange(other.n_rows)
    else:
        keys = run.variables(parsed.frame.body)
        for name in keys:
            if name not in other.names:
                raise NotUnique(f"variable {name} not found in the using data", span=run.span)
            if master.is_text(name) != other.is_text(name):
                raise StringMismatch(f"key variable {name} is text in one of the data sets only")
        left, right = _common_codes(master, other, keys)
    kinds = match.groups() if match else ("m", "m")
    if kinds[0] == "1" or parsed.has("unique") or parsed.has("uniqmaster"):
        _check_unique(left, keys, "master")
    if kinds[1] == "1" or parsed.has("unique") or parsed.has("uniqusing"):
        _check_unique(right, keys, "using")
    marker = parsed.text("generate", parsed.text("_merge", "_merge"))
    wants_marker = not parsed.has("nogenerate")
    if wants_marker and marker in master.names:
        raise AlreadyDefined(f"{marker} already defined", hint="drop it, or use nogenerate")
    _join(run, parsed, other, keys, (left, right), marker if wants_marker else None)


def _common_codes(master: Dataset, other: Dataset, keys: Sequence[str]) -> tuple[Codes, Codes]:
    both = _stack(master.keep(keys), other.keep(keys))
    codes = group_numbers(both, keys)
    return codes[: master.n_rows], codes[master.n_rows :]


def _check_unique(codes: Codes, keys: Sequence[str], where: str) -> None:
    if len(np.unique(codes)) < len(codes):
        verb = "do" if len(keys) > 1 else "does"
        plural = "s" if len(keys) > 1 else ""
        raise NotUnique(
            f"variable{plural} {' '.join(keys)} {verb} not uniquely identify observations in the "
            f"{where} data"
        )


def _pairs(left: Codes, right: Codes) -> tuple[Codes, Codes]:
    """Positions of matched rows, -1 where one side has none.

    Within a key the rows pair in order; the last row of the shorter side serves for the rest.
    """
    n = int(max(left.max(initial=-1), right.max(initial=-1))) + 1
    a, b = np.argsort(left, kind="stable"), np.argsort(right, kind="stable")
    count_a, count_b = np.bincount(left, minlength=n), np.bincount(right, minlength=n)
    size = np.maximum(count_a, count_b)
    key = np.repeat(np.arange(n), size)
    within = np.arange(len(key)) - np.repeat(np.cumsum(size) - size, size)
    start_a, start_b = np.cumsum(count_a) - count_a, np.cumsum(count_b) - count_b

    def rows(order: Codes, start: Codes, count: Codes) -> Codes:
        if not len(order):
            return np.full(len(key), -1)
        place = start[key] + np.minimum(within, np.maximum(count[key] - 1, 0))
        return np.where(count[key] > 0, order[np.minimum(place, len(order) - 1)], -1)

    return rows(a, start_a, count_a), rows(b, start_b, count_b)


def _join(
    run: Run,
    parsed: Parsed,
    other: Dataset,
    keys: Sequence[str],
    codes: tuple[Codes, Codes],
    marker: str | None,
) -> None:
    master = run.data
    rows_a, rows_b = _pairs(*codes)
    # Stata keeps the rows of the master in their order and puts the others after them.
    order = np.lexsort((np.arange(len(rows_a)), np.where(rows_a < 0, master.n_rows, rows_a)))
    rows_a, rows_b = rows_a[order], rows_b[order]
    status = np.where(rows_b < 0, 1.0, np.where(rows_a < 0, 2.0, 3.0))
    taken = [name for name in other.names if name not in keys]
    if parsed.has("keepusing"):
        items = parsed.options["keepusing"].items
        taken = [name for name in expand_varlist(items, other.names) if name not in keys]
    for option in ("keep", "assert"):
        if not parsed.has(option):
            continue
        words = parsed.text(option).replace(",", " ").split()
        unknown = [word for word in words if word not in MATCHES]
        if unknown:
            raise InvalidSyntax(f"{option}({unknown[0]}) takes master, using and match")
        wanted = np.isin(status, [MATCHES[word] for word in words])
        if option == "assert" and not wanted.all():
            raise InvalidSyntax("merge: after merge, not all observations are as assert() says")
        if option == "keep":
            rows_a, rows_b, status = rows_a[wanted], rows_b[wanted], status[wanted]
    a, b = _indexed(master, rows_a), _indexed(other, rows_b)
    columns = {}
    types = dict(master.storage_types)
    for name in master.names:
        values = a[name]
        from_other = name in keys or (name in taken and name in other.names)
        if from_other:
            replaceable = status == 2.0
            if name in taken and parsed.has("update"):
                empty = values == "" if master.is_text(name) else np.isnan(values)
                replaceable |= empty & (status == 3.0)
                if parsed.has("replace"):
                    given = b[name] != "" if master.is_text(name) else ~np.isnan(b[name])
                    replaceable |= given & (status == 3.0)
            if master.is_text(name) != other.is_text(name):
                raise StringMismatch(f"variable {name} is text in one of the data sets only")
            values = np.where(replaceable, b[name], values)
            if not master.is_text(name):
                types[name] = widest_type([master.storage_types[name], other.storage_types[name]])
        columns[name] = values
    new = [name for name in taken if name not in master.names]
    for name in new:
        columns[name] = b[name]
        types[name] = other.storage_types[name]
    made = replace(
        master.with_table(columns, _merged_ids(master, rows_a)),
        storage_types=types,
        variable_labels=_with_new(other.variable_labels, master.variable_labels, new),
        label_names=_with_new(other.label_names, master.label_names, new),
        label_sets={**other.label_sets, **master.label_sets},
        formats=_with_new(other.formats, master.formats, new),
    )
    if marker is not None:
        sets: dict[float | str, str] = {
            1.0: "master only (1)",
            2.0: "using only (2)",
            3.0: "matched (3)",
        }
        made = made.with_columns({marker: status}, storage_type="byte")
        made = replace(
            made,
            label_sets={**made.label_sets, "_merge": sets},
            label_names={**made.label_names, marker: "_merge"},
        )
    run.data = made
    if not parsed.has("noreport"):
        _report(run, status, marker)


def _with_new(
    other: Mapping[str, str], master: Mapping[str, str], new: Sequence[str]
) -> dict[str, str]:
    """What describes the variables of the master, and the new ones of the other data."""
    return {**{name: text for name, text in other.items() if name in new}, **master}


def _merged_ids(master: Dataset, rows: Codes) -> NDArray[np.int64]:
    """Numbers of merged rows: those of the master, new ones for copies and for rows at the end."""
    matched = master.keep(()).take(rows[rows >= 0], copies=True)
    new = max(master.next_id, matched.next_id) + np.arange(len(rows) - matched.n_rows)
    return np.concatenate([matched.row_ids, new])


def _indexed(data: Dataset, rows: Codes) -> dict[str, NDArray[np.generic]]:
    safe = np.maximum(rows, 0)
    columns = {}
    for name in data.names:
        values = data.values(name)
        filler = "" if data.is_text(name) else np.nan
        if len(values):
            columns[name] = np.where(rows >= 0, values[safe], filler)
        else:
            columns[name] = np.full(len(rows), filler, dtype=values.dtype)
    return columns


def _report(run: Run, status: NDArray[np.float64], marker: str | None) -> None:
    shown = "(_merge=={})" if marker else ""
    counts = [int((status == k).sum()) for k in (1.0, 2.0, 3.0)]
    run.print("", "    Result                           # of obs.", f"    {'-' * 41}")
    run.print(f"    not matched                    {counts[0] + counts[1]:>14,}")
    if counts[0] + counts[1]:
        run.print(
            f"        from master                {counts[0]:>14,}  {shown.format(1)}".rstrip()
        )
        run.print(
            f"        from using                 {counts[1]:>14,}  {shown.format(2)}".rstrip()
        )
    run.print(
        "", f"    matched                        {counts[2]:>14,}  {shown.format(3)}".rstrip()
    )
    run.print(f"    {'-' * 41}")


def _stack(first: Dataset, second: Dataset) -> Dataset:
    """Rows of one data set after those of another; variables of both."""
    columns = {}
    types = dict(first.storage_types)
    n, m = first.n_rows, second.n_rows
    for name in [*first.names, *(x for x in second.names if x not in first.names)]:
        parts = []
        texts = {data.is_text(name) for data in (first, second) if name in data.names}
        if len(texts) > 1:
            raise StringMismatch(
                f"variable {name} is text in one of the data sets only",
                hint="destring or tostring it first",
            )
        is_text = texts.pop()
        for data, size in ((first, n), (second, m)):
            if name in data.names:
                parts.append(data.values(name))
            else:
                parts.append(
                    np.full(size, "" if is_text else np.nan, dtype=object if is_text else float)
                )
        columns[name] = np.concatenate(parts)
        kinds = [data.storage_types[name] for data in (first, second) if name in data.names]
        types[name] = "str" if is_text else widest_type(kinds)
    new = [name for name in second.names if name not in first.names]
    ids = np.concatenate([first.row_ids, first.next_id + np.arange(m)])
    return replace(
        first.with_table(columns, ids),
        storage_types=types,
        variable_labels=_with_new(second.variable_labels, first.variable_labels, new),
        label_names=_with_new(second.label_names, first.label_names, new),
        label_sets={**second.label_sets, **first.label_sets},
        formats=_with_new(second.formats, first.formats, new),
    )


def append(run: Run) -> None:
    """``append using file [file ...]``."""
    parsed = run.parse("KEEP(v) GENerate(w) force NOLabel NONOTEs")
    if parsed.frame.using is None:
        raise InvalidSyntax("using required", span=run.span)
    files = re.findall(r"\"[^\"]*\"|\S+", parsed.frame.using.text)
    data = run.data
    marks = np.zeros(data.n_rows)
    for number, file in enumerate(files, start=1):
        other = read_dataset(unquoted(file))
        if parsed.has("keep"):
            other = other.keep(expand_varlist(parsed.options["keep"].items, other.names))
        data = _stack(data, other) if data.names else run.session.with_new_rows(other)
        marks = np.concatenate([marks, np.full(other.n_rows, float(number))])
    if parsed.has("generate"):
        run.new_name(parsed.text("generate"))
        data = data.with_column(parsed.text("generate"), marks, storage_type="byte")
    run.data = data


def joinby(run: Run) -> None:
    """``joinby key using file``: all pairs of rows with the same key."""
    parsed = run.parse("UNMatched(w)")
    if parsed.frame.using is None:
        raise InvalidSyntax("using required", span=run.span)
    if parsed.has("unmatched") and parsed.text("unmatched") != "none":
        raise InvalidSyntax("not yet supported: unmatched()", span=run.span)
    other = read_dataset(unquoted(parsed.frame.using.text))
    keys = expand_varlist(parse_varlist(parsed.frame.body), run.data.names)
    left, right = _common_codes(run.data, other, keys)
    order = np.argsort(right, kind="stable")
    starts = np.searchsorted(right[order], left, side="left")
    ends = np.searchsorted(right[order], left, side="right")
    count = ends - starts
    check_size(count.sum(), len({*run.data.names, *other.names}), run.span)
    rows_a = np.repeat(np.arange(run.data.n_rows), count)
    shift = np.arange(len(rows_a)) - np.repeat(np.cumsum(count) - count, count)
    _beside(run, other, rows_a, order[np.repeat(starts, count) + shift])


def cross(run: Run) -> None:
    """``cross using file``: all pairs of rows."""
    parsed = run.parse()
    if parsed.frame.using is None:
        raise InvalidSyntax("using required", span=run.span)
    other = read_dataset(unquoted(parsed.frame.using.text))
    total = run.data.n_rows * other.n_rows
    check_size(total, len({*run.data.names, *other.names}), run.span)
    rows_a = np.repeat(np.arange(run.data.n_rows), other.n_rows)
    _beside(run, other, rows_a, np.tile(np.arange(other.n_rows), run.data.n_rows))


def _beside(run: Run, other: Dataset, rows_a: Codes, rows_b: Codes) -> None:
    data = run.data.take(rows_a, copies=True)
    new = [name for name in other.names if name not in data.names]
    for name in new:
        values = other.values(name)[rows_b]
        data = data.with_columns({name: values}, storage_type=other.storage_types[name])
    run.data = replace(
        data,
        variable_labels=_with_new(other.variable_labels, data.variable_labels, new),
        label_names=_with_new(other.label_names, data.label_names, new),
        label_sets={**other.label_sets, **data.label_sets},
    )
