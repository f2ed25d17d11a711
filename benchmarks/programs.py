"""How each program is asked for a fit: one process, one fit, one line of JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Timer
from typing import Any

from problems import FOLDER, Problem

OURS = "gllamm-py"
PEERS = {
    "lme4": FOLDER / "peers" / "lme4.R",
    "glmmTMB": FOLDER / "peers" / "glmmTMB.R",
    "ordinal": FOLDER / "peers" / "ordinal.R",
    "lavaan": FOLDER / "peers" / "lavaan.R",
    "gpboost": FOLDER / "peers" / "gpboost_fit.py",
}
BYTES_PER_MB = 1e6


@dataclass(frozen=True, slots=True)
class Timing:
    """A program on a problem: medians over runs in fresh processes.

    ``peak`` is the most memory the process held, in MB.
    """

    problem: str
    program: str
    method: str
    log_likelihood: float | None = None
    fit_seconds: float | None = None
    cpu_seconds: float | None = None
    process_seconds: float | None = None
    peak: float | None = None
    error: str = ""


@cache
def available(program: str) -> bool:
    """Whether a program can be run here."""
    if program == OURS:
        return True
    if PEERS[program].suffix == ".py":
        return any(d.name == program for d in metadata.distributions())
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
    if PEERS[program].suffix == ".py":
        return metadata.version(program)
    show = f'cat(as.character(packageVersion("{program}")))'
    return subprocess.run(["Rscript", "-e", show], capture_output=True, text=True).stdout.strip()


def methods(program: str, problem: Problem) -> tuple[str, ...]:
    """What a program offers for a problem."""
    accurate = (str(problem.accurate),) if problem.accurate else ()
    if program == OURS:
        return ("gllamm", *accurate)
    if program not in problem.peers or not problem.formula:
        return ()
    if program in ("lme4", "ordinal"):
        by_quadrature = any(method.isdigit() for method in problem.methods)
        return (*problem.methods, *(accurate if by_quadrature else ()))
    return problem.methods[:1]


def timings(
    program: str, problem: Problem, *, runs: int, threads: int | None, timeout: float
) -> Iterator[Timing]:
    """Time a program on a problem, once for each of its methods."""
    for method in methods(program, problem):
        ours = problem.with_points(int(method)) if method.isdigit() else problem.command
        command = _command(program, problem, method, threads, ours)
        label = {"ml": "exact", "laplace": "Laplace"}.get(method, method)
        label = f"adaptive, {label} points" if label.isdigit() else label
        yield _timed(Timing(problem.name, program, label), command, runs, timeout)


def converged(problem: Problem) -> float | None:
    """Our log likelihood with so many points that more would change nothing; not timed."""
    if not problem.refined:
        return None
    command = _command(OURS, problem, "gllamm", None, problem.refined)
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(result.stdout)["log_likelihood"])


@cache
def floor_seconds(threads: int) -> float | None:
    """Seconds per row and node of one bare pass (``floor.c``); None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    with TemporaryDirectory() as folder:
        binary = str(Path(folder) / "floor")
        options = ["-O3", "-march=native", "-ffast-math", "-fopenmp"]
        source = str(FOLDER / "floor.c")
        subprocess.run([compiler, *options, source, "-lm", "-o", binary], check=True)
        result = subprocess.run([binary], capture_output=True, text=True, check=True)
    by_threads = dict(line.split() for line in result.stdout.splitlines())
    return 1e-9 * float(by_threads.get(str(threads), by_threads["2"]))


def _command(
    program: str, problem: Problem, method: str, threads: int | None, ours: str
) -> list[str]:
    if program == OURS:
        # -P: the installed package, not a checkout that is the working directory.
        start = [sys.executable, "-P", "-m", "gllamm_cli", "fit"]
        return [
            *start,
            str(problem.table),
            ours,
            "--json",
            "-",
            *(["--threads", str(threads)] if threads else []),
        ]
    arguments = [str(problem.table), problem.formula, problem.family, method]
    script = PEERS[program]
    start = [sys.executable] if script.suffix == ".py" else ["Rscript", "--vanilla"]
    return [*start, str(script), *arguments]


def _timed(timing: Timing, command: list[str], runs: int, timeout: float) -> Timing:
    fits, cpus, processes, peaks = [], [], [], []
    log_likelihood = None
    for _ in range(runs):
        process = _run(command, timeout)
        if process is None:
            return _failed(timing, f"more than {timeout:g} s")
        processes.append(process.seconds)
        peaks.append(process.peak)
        # Some programs talk before they answer.
        answer = process.output.find("{")
        if process.status or answer < 0:
            return _failed(timing, process.errors.strip().rpartition("\n")[2])
        try:
            results = json.loads(process.output[answer:])
        except json.JSONDecodeError:
            # R writes NA, for example, where a fit has no log likelihood.
            return _failed(timing, f"no numbers: {process.output[answer:].strip()}")
        log_likelihood, seconds, cpu = _numbers(timing.program, results)
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
        median(peaks),
    )


@dataclass(frozen=True, slots=True)
class _Process:
    output: str
    errors: str
    status: int
    seconds: float
    peak: float


def _run(command: list[str], timeout: float) -> _Process | None:
    """Run a process to its end and ask how much memory it held; None if it took too long."""
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        began = time.perf_counter()
        child = subprocess.Popen(command, stdout=output, stderr=errors)
        alarm = Timer(timeout, child.kill)
        alarm.start()
        # Not child.wait(), which does not tell the resources of this child alone.
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        alarm.cancel()
        if seconds >= timeout:
            return None
        for file in (output, errors):
            file.seek(0)
        peak = used.ru_maxrss * 1024 / BYTES_PER_MB
        return _Process(output.read(), errors.read(), child.returncode, seconds, peak)


def _failed(timing: Timing, error: str) -> Timing:
    return Timing(timing.problem, timing.program, timing.method, error=error or "no result")


def _numbers(program: str, results: dict[str, Any]) -> tuple[float, float, float]:
    """Log likelihood, and wall and CPU seconds of the fit without reading the data."""
    if program == OURS:
        timing = results["timing"]
        return results["log_likelihood"], timing["setup"] + timing["fit"], timing["cpu"]
    return results["log_likelihood"], results["seconds"], results["cpu"]
