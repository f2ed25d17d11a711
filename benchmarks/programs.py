"""How each program is asked for a fit: one process, one fit, one line of JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

from problems import FOLDER, Problem

OURS = "gllamm-py"
PEERS = {
    "lme4": FOLDER / "peers" / "lme4.R",
    "glmmTMB": FOLDER / "peers" / "glmmTMB.R",
    "ordinal": FOLDER / "peers" / "ordinal.R",
}


@dataclass(frozen=True, slots=True)
class Timing:
    """A program on a problem: medians of wall seconds over runs in fresh processes."""

    problem: str
    program: str
    method: str
    log_likelihood: float | None = None
    fit_seconds: float | None = None
    cpu_seconds: float | None = None
    process_seconds: float | None = None
    error: str = ""


@cache
def available(program: str) -> bool:
    """Whether a program can be run here."""
    if program == OURS:
        return True
    if shutil.which("Rscript") is None:
        return False
    check = f'quit(status = !requireNamespace("{program}", quietly = TRUE))'
    return subprocess.run(["Rscript", "-e", check], capture_output=True).returncode == 0


@cache
def version(program: str) -> str:
    """The version of an available program."""
    if program == OURS:
        from gllamm_cli import __version__

        return __version__
    show = f'cat(as.character(packageVersion("{program}")))'
    return subprocess.run(["Rscript", "-e", show], capture_output=True, text=True).stdout.strip()


def methods(program: str, problem: Problem) -> tuple[str, ...]:
    """What a program offers for a problem."""
    if program != OURS and (program not in problem.peers or not problem.formula):
        return ()
    if program in ("lme4", "ordinal"):
        return problem.methods
    if program == "glmmTMB":
        return problem.methods[:1]
    return ("gllamm",)


def timings(
    program: str, problem: Problem, *, runs: int, threads: int | None, timeout: float
) -> Iterator[Timing]:
    """Time a program on a problem, once for each of its methods."""
    for method in methods(program, problem):
        command = _command(program, problem, method, threads)
        label = {"ml": "exact", "laplace": "Laplace"}.get(method, method)
        label = f"adaptive, {label} points" if label.isdigit() else label
        yield _timed(Timing(problem.name, program, label), command, runs, timeout)


def _command(program: str, problem: Problem, method: str, threads: int | None) -> list[str]:
    if program == OURS:
        # -P: the installed package, not a checkout that is the working directory.
        ours = [sys.executable, "-P", "-m", "gllamm_cli", "fit"]
        return [
            *ours,
            str(problem.table),
            problem.command,
            "--json",
            "-",
            *(["--threads", str(threads)] if threads else []),
        ]
    arguments = [str(problem.table), problem.formula, problem.family, method]
    return ["Rscript", "--vanilla", str(PEERS[program]), *arguments]


def _timed(timing: Timing, command: list[str], runs: int, timeout: float) -> Timing:
    fits, cpus, processes = [], [], []
    log_likelihood = None
    for _ in range(runs):
        began = time.perf_counter()
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return _failed(timing, f"more than {timeout:g} s")
        processes.append(time.perf_counter() - began)
        if result.returncode:
            return _failed(timing, result.stderr.strip().rpartition("\n")[2])
        log_likelihood, seconds, cpu = _numbers(timing.program, json.loads(result.stdout))
        fits.append(seconds)
        cpus.append(cpu)
    return Timing(
        timing.problem,
        timing.program,
        timing.method,
        log_likelihood,
        median(fits),
        median(cpus),
        median(processes),
    )


def _failed(timing: Timing, error: str) -> Timing:
    return Timing(timing.problem, timing.program, timing.method, error=error)


def _numbers(program: str, results: dict[str, Any]) -> tuple[float, float, float]:
    """Log likelihood, and wall and CPU seconds of the fit without reading the data."""
    if program == OURS:
        timing = results["timing"]
        return results["log_likelihood"], timing["setup"] + timing["fit"], timing["cpu"]
    return results["log_likelihood"], results["seconds"], results["cpu"]
