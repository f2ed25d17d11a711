"""Time gllamm-py beside its peers and write a table: ``python benchmarks/run.py [PROBLEM ...]``."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterable
from pathlib import Path

from problems import FOLDER, PROBLEMS, Problem, write_data
from programs import OURS, PEERS, Timing, available, timings, version

HEADINGS = (
    "problem",
    "program",
    "method",
    "log likelihood",
    "fit s",
    "fit CPU s",
    "process s",
    "fit / ours",
    "CPU / ours",
    "process / ours",
)


def table(results: Iterable[Timing]) -> list[str]:
    """Markdown rows; ratios are to gllamm-py on the same problem, above 1 where it is faster."""
    lines = [
        f"| {' | '.join(HEADINGS)} |",
        f"|{'|'.join(['---'] * 3 + ['--:'] * (len(HEADINGS) - 3))}|",
    ]
    ours: dict[str, Timing] = {}
    for timing in results:
        if timing.program == OURS:
            ours[timing.problem] = timing
        lines.append(f"| {' | '.join(_cells(timing, ours.get(timing.problem)))} |")
    return lines


def _cells(timing: Timing, ours: Timing | None) -> list[str]:
    cells = [timing.problem, timing.program, timing.method]
    if timing.error:
        return [*cells, timing.error.replace("|", "/"), "", "", "", "", "", ""]
    ratios = [
        _ratio(timing.fit_seconds, ours.fit_seconds if ours else None),
        _ratio(timing.cpu_seconds, ours.cpu_seconds if ours else None),
        _ratio(timing.process_seconds, ours.process_seconds if ours else None),
    ]
    seconds = [
        f"{timing.fit_seconds:.3f}",
        f"{timing.cpu_seconds:.3f}",
        f"{timing.process_seconds:.2f}",
    ]
    return [*cells, f"{timing.log_likelihood:.4f}", *seconds, *ratios]


def _ratio(theirs: float | None, ours: float | None) -> str:
    return f"{theirs / ours:.2f}" if theirs is not None and ours else ""


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()},"
        f" load {load:.1f} at the end."
    )


def _report(results: list[Timing], programs: list[str], problems: list[Problem], runs: int) -> str:
    versions = ", ".join(f"{program} {version(program)}" for program in programs)
    lines = [
        "# Benchmarks",
        "",
        f"{versions}. {_machine()} Medians of {runs} runs, each in a process of its own.",
        "",
        *table(results),
        "",
        *(f"- {problem.name}: {problem.title}" for problem in problems),
        "",
        "Laplace's approximation has another log likelihood than quadrature; ratios beside it"
        " compare different computations.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, time, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [problem.name for problem in PROBLEMS]
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=", ".join(names))
    parser.add_argument("--runs", type=int, default=5, help="processes per fit (default 5)")
    parser.add_argument("--threads", type=int, help="threads of gllamm-py (default: all cores)")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds per process")
    parser.add_argument("--only", choices=[OURS, *PEERS], action="append", help="programs to run")
    parser.add_argument("--output", type=Path, default=FOLDER / "RESULTS.md")
    options = parser.parse_args()
    if unknown := set(options.problems) - set(names):
        parser.error(f"no such problem: {', '.join(sorted(unknown))}")
    problems = [p for p in PROBLEMS if not options.problems or p.name in options.problems]
    programs = [p for p in options.only or [OURS, *PEERS] if available(p)]
    write_data(tuple(problems))
    results = [
        timing
        for problem in problems
        for program in programs
        for timing in timings(
            program,
            problem,
            runs=options.runs,
            threads=options.threads,
            timeout=options.timeout,
        )
    ]
    report = _report(results, programs, problems, options.runs)
    options.output.write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
