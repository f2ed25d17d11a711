"""``list``, ``describe``, ``ds`` and ``codebook``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.data import Dataset
from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.report.table import abbreviate
from gllamm_cli.stata.format import format_g, shown_in_format
from gllamm_cli.stata.functions import missing, missing_text

LINE_WIDTH = 79
MARGIN = 2
Rows = NDArray[np.int64]


def list_(run: Run) -> None:
    """``list [varlist] [if] [in] [, clean noobs nolabel sep() sepby() abbreviate()]``."""
    parsed = run.parse(
        "Clean NOObs NOLabel SEParator(n) SEPBY(v) ABbreviate(n) NOHeader Header DIvider Compress "
        "NOCompress Table Display fast string(n) Mean sum Constant LABVar(v) linesize(n)"
    )
    parsed.refuse("mean", "sum", "constant", "labvar")
    names = run.variables(parsed.frame.body, required=False) or run.data.names
    rows = np.flatnonzero(run.rows(parsed))
    if not len(rows):
        return
    longest = max(int(parsed.number("abbreviate", 8.0)), 5)
    grid = _Grid(run, names, rows, longest, labels=not parsed.has("nolabel"))
    numbers = not parsed.has("noobs")
    header = not parsed.has("noheader")
    if parsed.has("clean"):
        run.print("", *grid.clean(numbers=numbers, header=header))
        return
    if grid.width(numbers=numbers) > LINE_WIDTH and not parsed.has("table"):
        run.print(*grid.records())
        return
    breaks = _breaks(run, parsed, rows)
    run.print("", *grid.boxed(breaks, numbers=numbers, header=header))


class _Grid:
    """Cells of a listing."""

    def __init__(
        self, run: Run, names: Sequence[str], rows: Rows, longest: int, *, labels: bool
    ) -> None:
        data = run.data
        # Under by, rows are numbered within their group.
        before = np.arange(data.n_rows) if run.within is None else np.cumsum(run.within) - 1
        self.numbers = (before[rows] + 1).tolist()
        self.heads = [abbreviate(name, longest) for name in names]
        self.cells = [_cells(run, name, rows, labels=labels) for name in names]
        self.widths = [
            max([len(head), *map(len, column)])
            for head, column in zip(self.heads, self.cells, strict=True)
        ]
        self.left = [data.is_text(name) and data.format(name).startswith("%-") for name in names]
        self.margin = len(str(self.numbers[-1])) + MARGIN

    def width(self, *, numbers: bool) -> int:
        """Width of a box."""
        return (self.margin if numbers else 0) + sum(width + 3 for width in self.widths) + 3

    def _row(self, values: Sequence[str]) -> str:
        pieces = [
            text.ljust(size) if aligned else text.rjust(size)
            for text, size, aligned in zip(values, self.widths, self.left, strict=True)
        ]
        return "   ".join(pieces)

    def _of(self, k: int) -> str:
        return self._row([column[k] for column in self.cells])

    def clean(self, *, numbers: bool, header: bool) -> list[str]:
        """Lines without a box."""
        pad = " " * (self.margin + 3 if numbers else 4)
        lines = [f"{pad}{self._row(self.heads)}".rstrip()] if header else []
        for k, number in enumerate(self.numbers):
            label = f"{number:>{self.margin}d}.  " if numbers else pad
            lines.append(f"{label}{self._of(k)}".rstrip())
        return lines

    def boxed(self, breaks: set[int], *, numbers: bool, header: bool) -> list[str]:
        """Lines with a box, and a rule before the rows in ``breaks``."""
        indent = " " * (self.margin + 2 if numbers else 2)
        inner = sum(self.widths) + 3 * (len(self.widths) - 1) + 2
        lines = [f"{indent}+{'-' * inner}+"]
        if header:
            lines += [f"{indent}| {self._row(self.heads)} |", f"{indent}|{'-' * inner}|"]
        for k, number in enumerate(self.numbers):
            if k in breaks:
                lines.append(f"{indent}|{'-' * inner}|")
            label = f"{number:>{self.margin}d}. " if numbers else "  "
            lines.append(f"{label}| {self._of(k)} |")
        return [*lines, f"{indent}+{'-' * inner}+"]

    def records(self) -> list[str]:
        """Each row as a record of several lines."""
        lines: list[str] = []
        for k, number in enumerate(self.numbers):
            lines += ["", f"{number:>{self.margin}d}."]
            line = ""
            for head, column in zip(self.heads, self.cells, strict=True):
                piece = f"{head} = {column[k]}   "
                if line and len(line) + len(piece) > LINE_WIDTH - 6:
                    lines.append(f"      {line}".rstrip())
                    line = ""
                line += piece
            lines.append(f"      {line}".rstrip())
        return lines


def _cells(run: Run, name: str, rows: Rows, *, labels: bool) -> list[str]:
    data = run.data
    if data.is_text(name):
        return [str(text) for text in data.text(name)[rows]]
    values = data.column(name)[rows]
    if labels and data.labels_of(name):
        return [data.shown_number(name, float(x)) for x in values]
    specification = data.format(name)
    return [
        missing_text(x) if np.isnan(x) else shown_in_format(specification, x).strip()
        for x in values.tolist()
    ]


def _breaks(run: Run, parsed: Parsed, rows: Rows) -> set[int]:
    """Rows before which a rule stands."""
    if parsed.has("sepby"):
        chosen = run.data.take(rows)
        starts = chosen.group_starts(run.option_variables(parsed, "sepby"))
        return {int(start) for start in starts if start}
    every = int(parsed.number("separator", 5.0))
    return set(range(every, len(rows), every)) if every > 0 else set()


def describe(run: Run) -> None:
    """``describe [varlist]``."""
    parsed = run.parse("Short Simple Fullnames Numbers replace clear Varlist")
    data = run.data
    names = run.variables(parsed.frame.body, required=False) or data.names
    if parsed.has("simple"):
        run.print("  ".join(names))
        return
    run.print(
        "",
        f"Contains data{' from ' + run.session.file if run.session.file else ''}",
        f"  obs: {data.n_rows:>13,}{'':26}{data.label}".rstrip(),
        f" vars: {len(data.names):>13,}",
    )
    run.returns({"N": float(data.n_rows), "k": float(len(data.names))})
    if parsed.has("short"):
        return
    rule = "-" * LINE_WIDTH
    run.print(
        rule,
        "              storage   display    value",
        "variable name   type    format     label      variable label",
        rule,
    )
    for name in names:
        run.print(
            f"{abbreviate(name, 15):<16}{data.storage_type(name):<8}{data.format(name):<11}"
            f"{data.label_names.get(name, ''):<11}{data.variable_labels.get(name, '')}".rstrip()
        )
    run.print(rule)


def ds(run: Run) -> None:
    """``ds [varlist] [, has(type ...)]``: names of variables."""
    parsed = run.parse("Alpha Detail has(t) not(t)")
    names = [*(run.variables(parsed.frame.body, required=False) or run.data.names)]
    for option, wanted in (("has", True), ("not", False)):
        if parsed.has(option):
            kind = parsed.text(option).split()[-1] if parsed.text(option) else ""
            if kind not in ("numeric", "string"):
                raise InvalidSyntax(f"{option}() takes type numeric or type string", span=run.span)
            names = [n for n in names if (run.is_text(n) == (kind == "string")) == wanted]
    run.print("  ".join(names))
    run.returns({"varlist": " ".join(names)})


def codebook(run: Run) -> None:
    """``codebook [varlist]``: range, missing values, mean or a table of values."""
    parsed = run.parse("Compact")
    data = run.data
    if parsed.has("compact"):
        run.print(*_compact(data, run.variables(parsed.frame.body, required=False) or data.names))
        return
    for name in run.variables(parsed.frame.body, required=False) or data.names:
        values = data.text(name) if data.is_text(name) else data.column(name)
        unknown = missing(values)
        distinct = len(set(values[~unknown].tolist()))
        run.print("", "-" * LINE_WIDTH, f"{name:<30}{data.variable_labels.get(name, ''):>49}")
        run.print("-" * LINE_WIDTH, "", f"{'type:':>18}  {data.storage_type(name)}")
        run.print(
            f"{'unique values:':>18}  {distinct:<20,}"
            f"missing .: {int(unknown.sum()):,}/{data.n_rows:,}"
        )
        if not data.is_text(name) and distinct:
            known = values[~unknown]
            low, high = format_g(known.min()).strip(), format_g(known.max()).strip()
            run.print(
                f"{'range:':>18}  [{low},{high}]",
                f"{'mean:':>18}  {format_g(known.mean()).strip()}",
            )


def _compact(data: Dataset, names: Sequence[str]) -> list[str]:
    """A line for each variable: numbers of values, mean, range and label."""
    heads = ("Variable", "Obs", "Unique", "Mean", "Min", "Max", "Label")
    rows = []
    for name in names:
        values = data.text(name) if data.is_text(name) else data.column(name)
        known = values[~missing(values)]
        moments = ["."] * 3
        if not data.is_text(name) and len(known):
            moments = [format_g(x).strip() for x in (known.mean(), known.min(), known.max())]
        numbers = (f"{len(known):,}", f"{len(set(known.tolist())):,}")
        rows.append((name, *numbers, *moments, data.variable_labels.get(name, "")))
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    shown = []
    for first, *middle, last in (heads, *rows):
        cells = [text.rjust(width) for text, width in zip(middle, widths[1:-1], strict=True)]
        shown.append("  ".join([first.ljust(widths[0]), *cells, last]).rstrip())
    rule = "-" * LINE_WIDTH
    return ["", shown[0], rule, *shown[1:], rule]
