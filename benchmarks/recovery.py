"""Simulation study of the recovery of parameters and the coverage of intervals.

For each model gllasim draws responses at known parameters, gllamm fits them from its own
starting values, and ``benchmarks/RECOVERY.md`` is written.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from gllamm_cli import __version__, gllamm
from gllamm_cli.data import Dataset
from gllamm_cli.errors import GllammError
from gllamm_cli.fit.fit import Fit
from gllamm_cli.predict import Rows, SimulateRequest, simulate

RESULTS = Path(__file__).parent / "RECOVERY.md"
SEED = 20240611
Z = 1.959963984540054


@dataclass(frozen=True)
class Model:
    """A model, its data without responses, and the parameters in the order of e(b)."""

    title: str
    command: str
    data: Callable[[np.random.Generator], pd.DataFrame]
    truth: tuple[float, ...]


def _clusters(n: int, size: int, categories: int) -> Callable[[np.random.Generator], pd.DataFrame]:
    """``n`` clusters of ``size`` rows, x that varies within them and z that does not.

    The response holds each category, so that the model can be set up.
    """

    def data(random: np.random.Generator) -> pd.DataFrame:
        rows = n * size
        return pd.DataFrame(
            {
                "id": np.repeat(np.arange(n), size),
                "x": random.normal(size=rows),
                "z": np.repeat(random.integers(0, 2, n), size),
                "one": 1.0,
                "y": random.integers(0, categories, rows).astype(float),
            }
        )

    return data


def _items(persons: int, items: int) -> Callable[[np.random.Generator], pd.DataFrame]:
    """Every person answers every item."""

    def data(random: np.random.Generator) -> pd.DataFrame:
        item = np.tile(np.arange(items), persons)
        columns = {f"i{k + 1}": (item == k).astype(float) for k in range(items)}
        y = random.integers(0, 2, persons * items).astype(float)
        return pd.DataFrame({"id": np.repeat(np.arange(persons), items), "y": y, **columns})

    return data


MODELS = (
    Model(
        "Gaussian response, random intercept: 60 clusters of 6",
        "gllamm y x z, i(id) adapt",
        _clusters(60, 6, 5),
        (0.5, -0.3, 1.0, np.log(1.0), 0.8),
    ),
    Model(
        "Binary response, logit link, random intercept: 100 clusters of 8",
        "gllamm y x z, i(id) family(binom) link(logit) adapt",
        _clusters(100, 8, 2),
        (0.7, 0.5, -0.4, 1.0),
    ),
    Model(
        "Ordinal response with four categories, random intercept: 100 clusters of 6",
        "gllamm y x z, i(id) link(ologit) adapt",
        _clusters(100, 6, 4),
        (0.7, -0.5, -1.2, 0.2, 1.5, 1.0),
    ),
    Model(
        "Counts, log link, random intercept and slope: 80 clusters of 8",
        "eq int: one\neq slope: x\n"
        "gllamm y x z, i(id) nrf(2) eqs(int slope) family(poisson) link(log) nip(5) adapt",
        _clusters(80, 8, 4),
        (0.3, 0.2, 0.5, 0.6, 0.3, 0.2),
    ),
    Model(
        "Item response, two parameters for each item: 400 persons, 6 items",
        "eq load: i1-i6\n"
        "gllamm y i1-i6, nocons i(id) eqs(load) family(binom) link(logit) nip(8) adapt",
        _items(400, 6),
        (-1.0, -0.5, 0.0, 0.3, 0.6, 1.0, 0.8, 1.2, 1.0, 0.7, 1.4, 1.1),
    ),
)


@cache
def prepared(number: int) -> tuple[Fit, Dataset]:
    """Return the model at its true parameters, and its data; the same in every process."""
    model = MODELS[number]
    frame = model.data(np.random.default_rng([SEED, number]))
    fit = gllamm(f"{model.command} iterate(1)", frame, threads=1)
    if len(fit.names) != len(model.truth):
        raise ValueError(f"{model.title}: {[f'[{n.equation}]{n.name}' for n in fit.names]}")
    return replace(fit, estimates=np.array(model.truth)), Dataset.from_frame(frame)


def replication(task: tuple[int, int]) -> tuple[np.ndarray, np.ndarray] | str:
    """Estimates and standard errors of one replication, or why there are none."""
    number, repeat = task
    fit, data = prepared(number)
    random = np.random.default_rng([SEED, number, repeat])
    request = SimulateRequest("drawn", rows=Rows(beyond_sample=True))
    drawn = simulate(fit, data, request, random, threads=1).columns["drawn"]
    try:
        found = gllamm(MODELS[number].command, data.with_column("y", drawn), threads=1)
    except GllammError as error:
        return error.message
    if not found.converged:
        return "convergence not achieved"
    return found.estimates, np.sqrt(np.diag(found.covariance))


def section(number: int, results: list[tuple[np.ndarray, np.ndarray] | str]) -> list[str]:
    """Table of a model."""
    model, (fit, _) = MODELS[number], prepared(number)
    used = [result for result in results if not isinstance(result, str)]
    failed = sorted({result for result in results if isinstance(result, str)})
    b, se = (np.array([result[k] for result in used]) for k in (0, 1))
    truth, R = fit.estimates, len(used)
    bias = b.mean(axis=0) - truth
    spread = b.std(axis=0, ddof=1)
    error = spread / np.sqrt(R)
    covered = (np.abs(b - truth) <= Z * se).mean(axis=0)
    command = model.command.replace("\n", "\n    ")
    note = f"; {len(results) - R} failed ({', '.join(failed)})" if failed else ""
    lines = [
        f"## {model.title}",
        "",
        f"    {command}",
        "",
        f"{R} replications{note}.",
        "",
        "| parameter | true | bias | error of bias | sd | mean se / sd | coverage of 95% |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for k, name in enumerate(fit.names):
        lines.append(
            f"| `[{name.equation}]{name.name}` | {truth[k]:.3g} | {bias[k]:.4f} | {error[k]:.4f} "
            f"| {spread[k]:.4f} | {se[:, k].mean() / spread[k]:.3f} | {100 * covered[k]:.1f} |"
        )
    return [*lines, ""]


def main() -> None:
    """Run the study and write its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    began = time.perf_counter()
    R = given.replications
    lines = []
    with ProcessPoolExecutor(given.processes) as pool:
        for number, model in enumerate(MODELS):
            tasks = [(number, repeat) for repeat in range(R)]
            results = list(pool.map(replication, tasks, chunksize=5))
            lines += section(number, results)
            print(f"{model.title}: {time.perf_counter() - began:.0f} s", flush=True)
    seconds = time.perf_counter() - began
    percent = 100.0 * np.sqrt(0.95 * 0.05 / R)
    head = [
        "# Recovery of parameters",
        "",
        f"`python benchmarks/recovery.py`, gllamm-py {__version__}, Python "
        f"{platform.python_version()}, {R} replications of each model, seed {SEED}: "
        f"{seconds:.0f} s in {given.processes} processes.",
        "",
        "Clusters and covariates are drawn once for each model; responses are drawn by gllasim at "
        "the parameters under *true* and fitted from gllamm's own starting values. *bias* is the "
        "mean of the estimates less the true value, and *error of bias* its Monte Carlo standard "
        "error; *sd* is the standard deviation of the estimates; coverage is that of estimates "
        f"plus or minus 1.96 standard errors, with a Monte Carlo error of {percent:.1f} points at "
        "95%. Maximum likelihood underestimates the variance between few clusters, so that the "
        "standard deviation of the Gaussian model is expected to be biased downwards.",
        "",
    ]
    given.output.write_text("\n".join([*head, *lines]).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
