"""``xtset`` and descriptions of panels."""

from __future__ import annotations

import numpy as np

from gllamm_cli.errors import InvalidSyntax, NoObservations, RepeatedTime
from gllamm_cli.interpret.run import Run
from gllamm_cli.interpret.statistics import percentile, standard_deviation
from gllamm_cli.report.table import abbreviate
from gllamm_cli.stata.format import format_g


def xtset(run: Run) -> None:
    """``xtset panel [time]``: remembers and describes; ``xtset, clear`` forgets."""
    parsed = run.parse("clear Delta(t) Yearly Daily Monthly Quarterly Weekly GENeric")
    if parsed.has("clear"):
        run.session.panel = None
        return
    names = run.variables(parsed.frame.body, required=False)
    if not names:
        if run.session.panel is None:
            raise InvalidSyntax("panel variable not set", hint="use xtset panelvar")
        names = tuple(name for name in run.session.panel if name is not None)
    if not run.data.n_rows:
        raise NoObservations("no observations")
    panel, time = names[0], names[1] if len(names) > 1 else None
    run.session.panel = (panel, time)
    order = run.data.sort_order(names)
    if order is not None:
        run.data = run.data.take(order)
    starts = run.data.group_starts([panel])
    sizes = np.diff(np.append(starts, run.data.n_rows))
    equal = len(set(sizes.tolist())) <= 1
    if time is None:
        run.print(f"       panel variable:  {panel} ({'balanced' if equal else 'unbalanced'})")
        return
    t = run.data.column(time)
    balanced = "unbalanced"
    if equal:
        periods = t.reshape(len(sizes), -1)
        same = np.array_equal(periods, np.broadcast_to(periods[:1], periods.shape), equal_nan=True)
        balanced = "strongly balanced" if same else "weakly balanced"
    run.print(f"       panel variable:  {panel} ({balanced})")
    same_panel = np.ones(run.data.n_rows, dtype=bool)
    same_panel[starts] = False
    steps = np.diff(t)[same_panel[1:]] if len(t) > 1 else np.zeros(0)
    if (steps == 0).any():
        raise RepeatedTime("repeated time values within panel")
    gaps = ", but with gaps" if len(steps) and (steps > 1).any() else ""
    run.print(
        f"        time variable:  {time}, {t.min():g} to {t.max():g}{gaps}",
        "                delta:  1 unit",
    )


def xtdescribe(run: Run) -> None:
    """Sizes of the panels."""
    parsed = run.parse("Patterns(n) i(v) t(v)")
    panel = run.option_variables(parsed, "i")
    if not panel and run.session.panel is None:
        raise InvalidSyntax("panel variable not set", hint="use xtset panelvar")
    name = panel[0] if panel else (run.session.panel or ("", None))[0]
    data = run.data
    order = data.sort_order([name])
    data = data if order is None else data.take(order)
    sizes = np.sort(np.diff(np.append(data.group_starts([name]), data.n_rows))).astype(np.float64)
    run.print("", f"{name:>8}:  {len(sizes):,} panels")
    shares = (0, 5, 25, 50, 75, 95, 100)
    run.print("Distribution of T_i:   min      5%     25%       50%       75%     95%     max")
    run.print(" " * 18 + "".join(f"{percentile(sizes, p):8g}" for p in shares))


def xtsum(run: Run) -> None:
    """Variation between and within panels."""
    parsed = run.parse("i(v)")
    panel = run.option_variables(parsed, "i")
    if not panel and run.session.panel is None:
        raise InvalidSyntax("panel variable not set", hint="use xtset panelvar")
    name = panel[0] if panel else (run.session.panel or ("", None))[0]
    run.print("", "Variable         |      Mean   Std. Dev.       Min        Max |    Observations")
    run.print("-" * 17 + "+" + "-" * 44 + "+" + "-" * 16)
    for variable in run.variables(parsed.frame.body):
        x = run.data.column(variable)
        known = ~np.isnan(x)
        ids = np.unique(run.data.sort_key(name)[known], return_inverse=True)[1]
        values = x[known]
        counts = np.bincount(ids)
        means = np.bincount(ids, weights=values) / counts
        within = values - means[ids] + values.mean()
        rows = (
            ("overall", values, f"N = {len(values):>7,}"),
            ("between", means, f"n = {len(means):>7,}"),
            ("within", within, f"T = {len(values) / len(means):>7g}"),
        )
        for kind, part, size in rows:
            head = abbreviate(variable, 8) if kind == "overall" else ""
            mean = format_g(values.mean()) if kind == "overall" else " " * 9
            run.print(
                f"{head:<8} {kind:<7} | {mean}  {format_g(standard_deviation(part))}"
                f"  {format_g(part.min())}  {format_g(part.max())} |  {size}"
            )
