"""How time and memory grow: rows, clusters, points, latent variables, items and threads.

    python benchmarks/scaling.py

Simulates data, fits in a process of its own each time, and writes ``benchmarks/SCALING.md``:
seconds of the fit from the data in memory to the covariance matrix, seconds of one pass over the
data, peak memory of the process, and exponents: the slope of log time on log size between
neighbours. Those of fits are small while fixed costs, a few milliseconds, are a large part of the
time, and vary with the number of iterations; a pass is the arithmetic alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import Process
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gllamm_cli.process import VARIABLES, own_process

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset
    from gllamm_cli.fit.fit import Fit

FOLDER = Path(__file__).resolve().parent
BYTES_PER_MB = 1e6
BYTES_PER_ROW = 150
"""Data and design of a random-intercept model with two covariates, for each of ten million rows."""
MOST_BYTES = 12 * 10**9
PASSES = 5
"""Of which the median is taken."""


@dataclass(frozen=True, slots=True)
class Size:
    """A simulated problem: random intercepts and slopes, or a two-parameter logistic test."""

    rows_per_cluster: int = 10
    clusters: int = 10_000
    points: int = 8
    latent: int = 1
    items: int = 0
    family: str = "binom"
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Series:
    """Problems of growing size, and what grows."""

    title: str
    variable: str
    sizes: tuple[tuple[float, Size], ...]


def series(largest: int) -> Iterator[Series]:
    """All of them, with up to ``largest`` rows.

    Linear models, whose fixed costs are as high as that of a million rows, go ten times as far.
    """
    for family, title, most in (("binom", "Logit", largest), ("gauss", "Linear", 10 * largest)):
        rows = [10**k for k in range(4, 9) if 10**k <= most]
        yield Series(
            f"{title}, random intercept, 10 rows in each cluster",
            "clusters",
            tuple((n // 10, Size(clusters=n // 10, family=family)) for n in rows),
        )
        yield Series(
            f"{title}, random intercept, 1,000 clusters",
            "rows",
            tuple((n, Size(n // 1_000, clusters=1_000, family=family)) for n in rows),
        )
    yield Series(
        "Logit, random intercept, 100,000 rows",
        "points",
        tuple((q, Size(points=q)) for q in (8, 16, 32, 64)),
    )
    yield Series(
        "Logit, correlated random effects, 40,000 rows, 5 points for each",
        "latent variables",
        tuple(
            (d, Size(rows_per_cluster=20, clusters=2_000, latent=d, points=5)) for d in (1, 2, 3, 4)
        ),
    )
    yield Series(
        "Two-parameter logistic test, 2,000 persons",
        "items",
        tuple((k, Size(clusters=2_000, items=k)) for k in (5, 10, 20, 40)),
    )
    for family, title in (("binom", "Logit"), ("gauss", "Linear")):
        yield Series(
            f"{title}, random intercept, {largest:,} rows",
            "threads",
            tuple((t, Size(clusters=largest // 10, family=family, threads=t)) for t in (1, 2)),
        )
    yield Series(
        "Logit, four correlated random effects, 40,000 rows, 5 points for each",
        "threads",
        tuple(
            (t, Size(rows_per_cluster=20, clusters=2_000, latent=4, points=5, threads=t))
            for t in (1, 2)
        ),
    )
    yield Series(
        "Two-parameter logistic test, 5,000 persons, 20 items",
        "threads",
        tuple((t, Size(clusters=5_000, items=20, threads=t)) for t in (1, 2)),
    )


def simulated(size: Size) -> tuple[pd.DataFrame, list[str]]:
    """Data, and the commands that fit them."""
    random = np.random.default_rng(1)
    if size.items:
        return _test(size, random)
    n = size.rows_per_cluster * size.clusters
    cluster = np.repeat(np.arange(size.clusters), size.rows_per_cluster)
    data = {"id": cluster + 1.0, "x1": random.normal(size=n), "x2": (random.random(n) < 0.4) * 1.0}
    eta = -0.5 + 0.8 * data["x1"] - 0.6 * data["x2"] + random.normal(size=size.clusters)[cluster]
    commands = ["eq int: one"] if size.latent > 1 else []
    data["one"] = np.ones(n)
    for d in range(1, size.latent):
        data[f"z{d}"] = random.normal(size=n)
        eta += data[f"z{d}"] * random.normal(scale=0.5, size=size.clusters)[cluster]
        commands.append(f"eq s{d}: z{d}")
    if size.family == "gauss":
        data["y"] = eta + random.normal(size=n)
        likelihood = ""
    else:
        data["y"] = (random.random(n) < 1.0 / (1.0 + np.exp(-eta))) * 1.0
        likelihood = "family(binom) link(logit)"
    slopes = [f"s{d}" for d in range(1, size.latent)]
    effects = f"nrf({size.latent}) eqs(int {' '.join(slopes)})" if slopes else ""
    fixed = " ".join(["x1", "x2", *(f"z{d}" for d in range(1, size.latent))])
    commands.append(
        f"gllamm y {fixed}, i(id) {effects} {likelihood} nip({size.points}) adapt nolog"
    )
    return pd.DataFrame(data), commands


def _test(size: Size, random: np.random.Generator) -> tuple[pd.DataFrame, list[str]]:
    person = np.repeat(np.arange(size.clusters), size.items)
    item = np.tile(np.arange(size.items), size.clusters)
    discrimination, difficulty = np.linspace(0.6, 1.8, size.items), np.linspace(-2, 2, size.items)
    ability = random.normal(size=size.clusters)[person]
    eta = discrimination[item] * ability - difficulty[item]
    data = {
        "id": person + 1.0,
        "y": (random.random(len(person)) < 1.0 / (1.0 + np.exp(-eta))) * 1.0,
    } | {f"d{k + 1}": (item == k) * 1.0 for k in range(size.items)}
    names = " ".join(f"d{k + 1}" for k in range(size.items))
    return pd.DataFrame(data), [
        f"eq load: {names}",
        f"gllamm y {names}, nocons i(id) eqs(load) family(binom) link(logit)"
        f" nip({size.points}) adapt nolog",
    ]


def fit_one(size: Size) -> dict[str, float]:
    """Fit, in this process: seconds, peak memory in MB, and seconds of a pass."""
    from gllamm_cli.data import Dataset
    from gllamm_cli.session import Session

    frame, commands = simulated(size)
    session = Session(Dataset.from_frame(frame), threads=size.threads)
    before = _peak()
    session.run("\n".join(commands))
    fit = session.fit
    assert fit is not None
    return {
        "seconds": fit.timing["setup"] + fit.timing["fit"],
        "before": before,
        "peak": _peak(),
        "pass": seconds_of_pass(fit, session.data, size.threads),
    }


def seconds_of_pass(fit: Fit, data: Dataset, threads: int) -> float:
    """Seconds from the rows to log likelihood, score and Hessian at the estimates.

    Linear models, which pass over the rows only once, to add up products, do it anew.
    """
    from gllamm_cli.estimate import gaussian
    from gllamm_cli.estimate.engine import Engine
    from gllamm_cli.estimate.objective import LatentObjective
    from gllamm_cli.model.assemble import build_design
    from gllamm_cli.model.collapse import collapsed
    from gllamm_cli.model.constraints import build_reduction
    from gllamm_cli.model.parameters import build_parameters

    design, spec, _ = build_design(fit.spec, data, threads=threads)
    parameters = build_parameters(spec)
    reduction = build_reduction(spec.constraints, parameters.names)
    point = reduction.reduce(fit.estimates)
    linear = gaussian.applies(spec, design)
    seconds = []
    if not linear:
        engine = Engine(collapsed(design, parameters.columns), parameters, threads)
        by_quadrature = LatentObjective(engine, reduction, spec.adaptive)
        by_quadrature.begin(point)
    for k in range(PASSES):
        near = point * (1.0 + k * 1e-9)
        began = time.perf_counter()
        if linear:
            objective = gaussian.GaussianObjective(design, parameters, reduction, threads=threads)
            objective.derivatives(near)
        else:
            by_quadrature.derivatives(near)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / BYTES_PER_MB


def warm_memory(rows: int) -> None:
    """Hold as much memory as a fit will need for a moment.

    A virtual machine gets memory from its host when it is first used, which may take far longer
    than using it: about as long as the fit.
    """
    np.ones(min(rows * BYTES_PER_ROW, MOST_BYTES) // 8)


def measured(size: Size, runs: int) -> dict[str, float]:
    """Medians of runs in processes of their own."""
    found = []
    rows = size.clusters * (size.items or size.rows_per_cluster)
    for _ in range(runs):
        # In another process, so that it does not count as the fit's.
        holder = Process(target=warm_memory, args=(rows,))
        holder.start()
        holder.join()
        command = [sys.executable, __file__, "--one", json.dumps(asdict(size))]
        # As at the command line: linear algebra keeps to one thread.
        environment = os.environ | dict.fromkeys(VARIABLES, "1")
        result = subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment
        )
        found.append(json.loads(result.stdout))
    return {key: float(np.median([one[key] for one in found])) for key in found[0]}


def exponents(x: Sequence[float], y: Sequence[float]) -> str:
    """Slopes of log y on log x from each size to the next."""
    return ", ".join(f"{slope:.2f}" for slope in np.diff(np.log(y)) / np.diff(np.log(x)))


def report(largest: int, runs: int) -> Iterator[str]:
    """Lines of the document, each series as soon as it is measured."""
    yield "# Scaling\n"
    yield (
        f"Medians of {runs} fits, each in a process of its own. *Pass* is the time from the rows"
        " to log likelihood, score and Hessian at one point. *MB* is the peak memory of the"
        " process, *before* the same before the command, with the data in memory. As much memory"
        " was held by another process before, so that the machine has it at hand.\n"
    )
    for one in series(largest):
        yield f"## {one.title}\n"
        yield f"| {one.variable} | fit s | pass s | MB before | MB |"
        yield "|--:|--:|--:|--:|--:|"
        x, fits, passes = [], [], []
        for value, size in one.sizes:
            found = measured(size, runs)
            x.append(value)
            fits.append(found["seconds"])
            passes.append(found["pass"])
            yield (
                f"| {value:,} | {fits[-1]:.4f} | {passes[-1]:.3g}"
                f" | {found['before']:,.0f} | {found['peak']:,.0f} |"
            )
        if one.variable == "threads":
            yield f"\nOne thread takes {fits[0] / fits[-1]:.2f} times as long as two.\n"
        elif one.variable == "latent variables":
            times = np.exp(np.diff(np.log(passes)).mean())
            yield f"\nA pass takes {times:.1f} times as long with each further latent variable.\n"
        else:
            yield (
                f"\nExponents from each size to the next, of fits: {exponents(x, fits)};"
                f" of passes: {exponents(x, passes)}.\n"
            )


def main() -> None:
    """Measure and write, or fit one problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--largest",
        type=int,
        default=10**7,
        help="most rows (default 10 million; linear models ten times as many, which takes 11 GB)",
    )
    parser.add_argument("--runs", type=int, default=3, help="processes per fit (default 3)")
    parser.add_argument("--output", type=Path, default=FOLDER / "SCALING.md")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        own_process()
        print(json.dumps(fit_one(Size(**json.loads(options.one)))))
        return
    lines = []
    for line in report(options.largest, options.runs):
        lines.append(line)
        print(line, flush=True)
    options.output.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
