"""``correlate`` and ``pwcorr``."""

from __future__ import annotations

import math

import numpy as np

from gllamm_cli.errors import NoObservations, VarlistRequired
from gllamm_cli.interpret.run import Run
from gllamm_cli.interpret.statistics import Weights
from gllamm_cli.report.table import abbreviate
from gllamm_cli.stata.format import format_f, format_g
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.named_matrix import NamedMatrix


def correlate(run: Run) -> None:
    """``correlate`` uses rows without missing values, ``pwcorr`` those of each pair."""
    parsed = run.parse(
        "COVariance Means obs sig star(n) Listwise wrap", weights=("aweight", "fweight")
    )
    parsed.refuse("means", "star()")
    names = [
        n
        for n in run.variables(parsed.frame.body, required=False) or run.data.names
        if not run.is_text(n)
    ]
    pairwise = run.name == "pwcorr"
    selected, given = run.weighted_rows(parsed)
    if not names:
        raise VarlistRequired("numeric variables required", span=run.span)
    x = np.column_stack([run.data.column(name) for name in names])
    if not pairwise or parsed.has("listwise"):
        selected = selected & ~np.isnan(x).any(axis=1)
    x = x[selected]
    if len(x) < 2:
        raise NoObservations("no observations")
    weights = Weights(np.ones(len(x)), "fweight") if given is None else given.of(selected)
    matrix, counts = _moments(x, weights, correlations=not parsed.has("covariance"))
    k = len(names)
    n = weights.number()
    if not pairwise:
        run.print(f"(obs={n:,.0f})")
    run.print("", " " * 12 + " |" + "".join(f"{abbreviate(name, 8):>9}" for name in names))
    run.print("-------------+" + "-" * (9 * k))
    for i, name in enumerate(names):
        cells = matrix[i, : i + 1]
        shown = [format_g(v, 9) if parsed.has("covariance") else format_f(v, 9, 4) for v in cells]
        run.print(f"{abbreviate(name):>12} |{''.join(shown)}")
        if pairwise and parsed.has("sig"):
            run.print(
                " " * 12
                + " |"
                + "".join(
                    format_f(_p_of(v, of_pair), 9, 4)
                    for v, of_pair in zip(cells[:i], counts[i], strict=False)
                )
            )
        if pairwise and parsed.has("obs"):
            run.print(" " * 12 + " |" + "".join(f"{m:9,.0f}" for m in counts[i, : i + 1]))
    labels = tuple(("", name) for name in names)
    results: dict[str, float | str] = {"N": n}
    if k > 1:
        results["rho"] = float(matrix[1, 0])
    run.returns(results, {"C": NamedMatrix(matrix, labels, labels)})


def _moments(
    x: FloatArray, weights: Weights, *, correlations: bool
) -> tuple[FloatArray, FloatArray]:
    """Covariances or correlations of columns, and the numbers of rows with both of a pair."""
    k = x.shape[1]
    matrix, counts = np.full((k, k), np.nan), np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            known = ~np.isnan(x[:, i]) & ~np.isnan(x[:, j])
            of_pair = weights.of(known)
            counts[i, j] = n = of_pair.number()
            if n <= 1.0:
                continue
            w, pair = of_pair.scaled(), x[known][:, [i, j]]
            centred = pair - np.average(pair, axis=0, weights=w)
            covariance = (centred * w[:, None]).T @ centred / (n - 1.0)
            with np.errstate(all="ignore"):
                scale = np.sqrt(covariance[0, 0] * covariance[1, 1]) if correlations else 1.0
                matrix[i, j] = covariance[0, 1] / scale
    return matrix, counts


def _p_of(r: float, n: float) -> float:
    from scipy.special import stdtr

    if n < 3 or abs(r) >= 1:
        return 0.0 if abs(r) >= 1 else math.nan
    t = r * math.sqrt((n - 2) / (1 - r * r))
    return float(2 * stdtr(n - 2, -abs(t)))
