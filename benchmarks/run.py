"""Time gllamm-py beside its peers and write a table: ``python benchmarks/run.py [PROBLEM ...]``."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterable
from multiprocessing import Process
from pathlib import Path

from problems import FOLDER, PROBLEMS, RECORDED, Problem, write_data
from programs import OURS, PEERS, Timing, available, converged, floor_seconds, timings, version

DEFAULT = "gllamm"
"""Our method: the command as it is."""
HEADINGS = (
    "problem",
    "program",
    "method",
    "log likelihood",
    "off by",
    "fit s",
    "fit CPU s",
    "process s",
    "peak MB",
    "fit / ours",
    "CPU / ours",
    "process / ours",
    "passes",
)


def table(
    results: Iterable[Timing], exact: dict[str, float | None], passes: dict[str, float]
) -> list[str]:
    """Markdown rows; ratios are to gllamm-py on the same problem, above 1 where it is faster.

    ``exact`` has the log likelihoods to compare with, ``passes`` our fits in passes.
    """
    lines = [
        f"| {' | '.join(HEADINGS)} |",
        f"|{'|'.join(['---'] * 3 + ['--:'] * (len(HEADINGS) - 3))}|",
    ]
    ours: dict[tuple[str, str], Timing] = {}
    for timing in results:
        if timing.program == OURS:
            ours[timing.problem, timing.method] = timing
        # At as many points where both were asked for them.
        same = ours.get((timing.problem, timing.method)) or ours.get((timing.problem, DEFAULT))
        cells = _cells(timing, same, exact.get(timing.problem))
        plain = timing.program == OURS and timing.method == DEFAULT
        counted = passes.get(timing.problem) if plain else None
        lines.append(f"| {' | '.join([*cells, f'{counted:.0f}' if counted else ''])} |")
    return lines


def _cells(timing: Timing, ours: Timing | None, exact: float | None) -> list[str]:
    cells = [timing.problem, timing.program, timing.method]
    if timing.error:
        return [*cells, timing.error.replace("|", "/"), *[""] * 8]
    if exact is None and ours is not None:
        exact = ours.log_likelihood
    ratios = [
        _ratio(timing.fit_seconds, ours.fit_seconds if ours else None),
        _ratio(timing.cpu_seconds, ours.cpu_seconds if ours else None),
        _ratio(timing.process_seconds, ours.process_seconds if ours else None),
    ]
    seconds = [
        f"{timing.fit_seconds:.3f}",
        f"{timing.cpu_seconds:.3f}",
        f"{timing.process_seconds:.2f}",
        f"{timing.peak:.0f}",
    ]
    off = f"{timing.log_likelihood - exact:+.6f}" if exact is not None else ""
    return [*cells, f"{timing.log_likelihood:.4f}", off, *seconds, *ratios]


def _ratio(theirs: float | None, ours: float | None) -> str:
    return f"{theirs / ours:.2f}" if theirs is not None and ours else ""


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()},"
        f" load {load:.1f} at the end."
    )


def _passes(results: list[Timing], problems: list[Problem], threads: int) -> dict[str, float]:
    """Our fits in bare passes over all rows and nodes."""
    each = floor_seconds(threads)
    if each is None:
        return {}
    terms = {p.name: p.nodes * _n_rows(p) for p in problems}
    return {
        timing.problem: timing.fit_seconds / (terms[timing.problem] * each)
        for timing in results
        if timing.method == DEFAULT and timing.fit_seconds and terms[timing.problem]
    }


def _n_rows(problem: Problem) -> int:
    with problem.table.open() as lines:
        return sum(1 for _ in lines) - 1


def _recorded(problems: list[Problem]) -> list[str]:
    lines = [
        "| problem | program | method | log likelihood | fit CPU s |",
        "|---|---|---|--:|--:|",
    ]
    for problem in problems:
        for program, method, value, seconds in RECORDED.get(problem.name, ()):
            lines.append(f"| {problem.name} | {program} | {method} | {value:.4f} | {seconds:.3f} |")
    return lines


def _report(
    results: list[Timing],
    programs: list[str],
    problems: list[Problem],
    runs: int,
    rows: list[str],
) -> str:
    versions = ", ".join(f"{program} {version(program)}" for program in programs)
    lines = [
        "# Benchmarks",
        "",
        f"{versions}. {_machine()} Medians of {runs} runs, each in a process of its own.",
        "",
        *rows,
        "",
        *(f"- {problem.name}: {problem.title}" for problem in problems),
        "",
        "*gllamm* is the command as it is, with 8 points for each latent variable unless the title"
        " says otherwise; where that is less accurate, as many points follow as bring the log"
        " likelihood within 1e-5. Laplace's approximation has another log likelihood than"
        " quadrature; ratios beside it compare different computations. *off by*: from the log"
        " likelihood with so many points that more would change nothing (or ours, where it has a"
        " closed form or the classes are the model). *passes*: the fit in units of one bare pass"
        " over all rows and nodes, with gradient (`floor.c`).",
        "",
        "Recorded on real data, not run here:",
        "",
        *_recorded(problems),
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
    # In a process of its own: what this one holds would count as memory of those it starts.
    writer = Process(target=write_data, args=(tuple(problems),))
    writer.start()
    writer.join()
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
    exact = {problem.name: converged(problem) for problem in problems}
    threads = options.threads or len(os.sched_getaffinity(0))
    rows = table(results, exact, _passes(results, problems, threads))
    report = _report(results, programs, problems, options.runs, rows)
    options.output.write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
