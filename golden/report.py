"""Print how closely the published runs are reproduced: ``python golden/report.py [CASE ...]``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import golden_compare
import golden_support
from golden_data import DataUnavailable

HEADINGS = ("case", "run", "log likelihood", "printed", "worst", "quantity", "bounds")


def rows(wanted: set[str]) -> Iterator[tuple[str, ...]]:
    """One row per run: log likelihoods, and the worst relative difference with its quantity."""
    for case in golden_support.cases():
        if wanted and case.id not in wanted:
            continue
        for source in case.data:
            name = f"{case.id} ({source.title})"
            try:
                outcomes = golden_support.play(case, source)
            except DataUnavailable as reason:
                yield (name, "skipped", "", "", "", str(reason), "")
                continue
            for run, outcome in zip(case.runs, outcomes, strict=True):
                yield (name, run.title, *_numbers(run, outcome))


def _numbers(run: golden_support.Run, outcome: golden_support.Played) -> tuple[str, ...]:
    if outcome.results is None:
        return "", "", "", str(outcome.error).splitlines()[0], "failed"
    checks = golden_compare.compare(run, outcome.results)
    compared = [
        check for check in checks if check.block in {"table", "table se", "random", "random se"}
    ]
    worst = max(compared, key=lambda check: check.relative, default=None)
    failed = sum(not check.passed for check in checks)
    return (
        f"{outcome.results['log_likelihood']:.6f}",
        run.expected.get("log_likelihood", ""),
        f"{worst.relative:.1e}" if worst else "",
        worst.quantity if worst else "",
        f"{failed} of {len(checks)} outside" if failed else f"all {len(checks)} within",
    )


def main() -> int:
    """Print the table; the exit status is 1 if a number is outside its bound."""
    table = [HEADINGS, *rows(set(sys.argv[1:]))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    return int(any(row[-1] == "failed" or row[-1].endswith("outside") for row in table))


if __name__ == "__main__":
    sys.exit(main())
