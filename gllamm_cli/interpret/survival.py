"""Survival data: ``stset`` and ``stsplit`` at failure times, which prepare Poisson models."""

from __future__ import annotations

import re

import numpy as np

from gllamm_cli.errors import InvalidSyntax, VariableNotFound
from gllamm_cli.interpret.run import Run, plural
from gllamm_cli.stata.functions import missing
from gllamm_cli.stata.lexer import whole

MADE = ("_st", "_d", "_t", "_t0")


def stset(run: Run) -> None:
    """``stset time [, failure(v) id(v)]``: makes _st, _d, _t and _t0."""
    parsed = run.parse("Failure(t) id(v) Origin(t) ENter(t) EXit(t) SCale(n) clear Noshow")
    parsed.refuse("origin()", "enter()", "exit()", "scale()")
    if parsed.has("clear"):
        run.data = run.data.keep([name for name in run.data.names if name not in MADE])
        return
    time = run.variable(parsed.frame.body)
    t = run.data.column(time)
    failed = np.ones(len(t))
    text = parsed.text("failure")
    if text:
        match = re.fullmatch(r"\s*(\w+)\s*(?:==?\s*(-?[\d.]+))?\s*", text)
        if match is None:
            raise InvalidSyntax("failure() takes a variable, or variable == number", span=run.span)
        event = run.variable(whole(match[1]))
        values = run.data.column(event)
        wanted = values == float(match[2]) if match[2] else (values != 0) & ~np.isnan(values)
        failed = wanted.astype(np.float64)
    used = run.rows(parsed) & ~np.isnan(t) & (t > 0)
    start = np.zeros(len(t))
    if parsed.has("id"):
        (unit,) = run.option_variables(parsed, "id")
        order = run.data.sort_order([unit, time])
        if order is not None:
            run.data = run.data.take(order)
            t, failed, used = t[order], failed[order], used[order]
        same = np.zeros(len(t), dtype=bool)
        starts = run.data.group_starts([unit])
        same[1:] = True
        same[starts] = False
        start[1:][same[1:]] = t[:-1][same[1:]]
    keep = [name for name in run.data.names if name not in MADE]
    columns = {
        "_st": used.astype(np.float64),
        "_d": np.where(used, failed, np.nan),
        "_t": np.where(used, t, np.nan),
        "_t0": np.where(used, start, np.nan),
    }
    run.data = run.data.keep(keep).with_columns(columns, storage_type="double")
    run.session.survival_time = time
    run.print(
        "",
        f"     failure event:  {text or '(assumed at all times)'}",
        f"obs. time interval:  (0, {time}]",
        "",
        f"{len(t):>12,}  total observations",
        f"{int((~used).sum()):>12,}  exclusions",
        f"{int(used.sum()):>12,}  observations remaining, representing",
        f"{int(failed[used].sum()):>12,}  failures in single-record/single-failure data",
    )


def stsplit(run: Run) -> None:
    """``stsplit [new], at(failures) [riskset(new)]``: a row for each risk set of a record."""
    parsed = run.parse("at(t) Riskset(w) Strata(v)")
    data = run.data
    if any(name not in data.names for name in MADE):
        raise VariableNotFound("data not st", hint="stset comes first")
    if parsed.text("at") not in ("failures", "failure"):
        raise InvalidSyntax("stsplit takes at(failures) only", span=run.span)
    if parsed.has("strata"):
        raise InvalidSyntax("not yet supported: strata()", span=run.span)
    t, t0, d = data.column("_t"), data.column("_t0"), data.column("_d")
    used = data.column("_st") == 1.0
    times = np.unique(t[used & (d == 1.0)])
    # Intervals of a record end at each failure time inside it and at its own end.
    first = np.searchsorted(times, np.where(used, t0, np.inf), side="right")
    last = np.searchsorted(times, np.where(used, t, -np.inf), side="left")
    pieces = np.where(used, np.maximum(last - first, 0) + 1, 1)
    rows = np.repeat(np.arange(data.n_rows), pieces)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    is_last = number == pieces[rows] - 1
    inner = np.minimum(first[rows] + number, max(len(times) - 1, 0))
    end = np.where(is_last, t[rows], times[inner] if len(times) else t[rows])
    begin = np.where(number == 0, t0[rows], np.roll(end, 1))
    split = data.take(rows, copies=True)
    columns = {"_t": end, "_t0": begin, "_d": np.where(is_last, d[rows], 0.0)}
    time = run.session.survival_time
    if time in split.names:
        columns[time] = np.where(missing(end), split.column(time), end)
    split = split.with_columns(columns, storage_type="double")
    name = parsed.text("riskset")
    if name:
        run.new_name(name)
        at_failure = np.isin(end, times)
        place = np.searchsorted(times, end) + 1.0
        split = split.with_column(name, np.where(at_failure, place, np.nan), storage_type="long")
    run.data = split
    run.print(
        f"({plural(len(times), 'failure time')})",
        f"({plural(len(rows) - data.n_rows, 'observation')} (episodes) created)",
    )
