"""Linear regression by least squares."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import InsufficientObservations
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret.regression_setup import TEMPORARY, Setup, read_setup
from gllamm_cli.interpret.regressions import WEIGHTS, macros_of, replayed
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.report.regression import Regression, count, header_lines, regression_lines
from gllamm_cli.stata.format import format_f, format_g
from gllamm_cli.stata.functions import FloatArray

OPTIONS = "NOCONstant Hascons TSSCONS Robust CLuster(v) VCE(t) Level(n) BEta EForm NOHeader NOTABle"


def regress(run: Run) -> None:
    """Least squares, with Stata's analysis of variance above the table."""
    parsed = run.parse(OPTIONS, weights=("aweight", *WEIGHTS))
    parsed.refuse("beta", "hascons", "tsscons")
    if replayed(run, parsed):
        return
    setup = read_setup(run, parsed)
    data = setup.data
    rows = np.array(setup.sample.selected, dtype=np.int64)
    columns = [data.column(name)[rows] for name in (setup.depvar, *setup.covariates)]
    w = data.column(TEMPORARY)[rows] if TEMPORARY in data.names else np.ones(len(rows))
    known = ~np.isnan(np.column_stack([*columns, w])).any(axis=1)
    rows = rows[known]
    if len(rows) < 2:
        raise InsufficientObservations(
            "insufficient observations" if len(rows) else "no observations"
        )
    y, w = columns[0][known], w[known]
    frequency = setup.weight_kind in ("fweight", "iweight")
    n = float(w.sum()) if frequency else float(len(rows))
    if not frequency:
        w = w * len(rows) / w.sum()
    names = [*setup.covariates, *(["_cons"] if setup.constant else [])]
    X = np.column_stack(
        [
            *(column[known] for column in columns[1:]),
            *([np.ones(len(rows))] if setup.constant else []),
        ]
    )
    kept = _independent(X * np.sqrt(w)[:, None], names)
    omitted = [name for k, name in enumerate(names) if k not in kept]
    run.print(*(f"note: {name} omitted because of collinearity" for name in omitted))
    X, names = X[:, kept], [names[k] for k in kept]
    XtX = np.asarray(np.linalg.inv((X * w[:, None]).T @ X), dtype=np.float64)
    b = XtX @ ((X * w[:, None]).T @ y)
    residual = y - X @ b
    k = X.shape[1]
    rss = float((w * residual**2).sum())
    df = n - k
    mean = float((w * y).sum() / w.sum()) if setup.constant else 0.0
    tss = float((w * (y - mean) ** 2).sum())
    model_df = k - int(setup.constant)
    s2 = rss / df if df > 0 else math.nan
    V = s2 * XtX
    residual_df = df
    clusters = None
    if setup.robust or setup.cluster is not None:
        scores = X * (w * residual)[:, None]
        if setup.cluster is not None:
            groups = np.unique(data.column(setup.cluster)[rows], return_inverse=True)[1]
            clusters = int(groups.max()) + 1
            sums = np.zeros((clusters, k))
            np.add.at(sums, groups, scores)
            factor = clusters / (clusters - 1.0) * (n - 1.0) / (n - k)
            V = factor * XtX @ (sums.T @ sums) @ XtX
            residual_df = clusters - 1.0
        else:
            # A row of frequency w has w scores of its own.
            squares = scores.T @ (scores / w[:, None] if frequency else scores)
            V = n / (n - k) * XtX @ squares @ XtX
    _regress_results(
        run, parsed, setup, names, b, V, rows,
        n=n, rss=rss, mss=tss - rss, model_df=model_df, df=df, residual_df=residual_df,
        clusters=clusters,
    )  # fmt: skip


def _independent(X: FloatArray, names: list[str]) -> list[int]:
    """Columns that are no combination of the constant and the columns before them."""
    order = [*([len(names) - 1] if names[-1:] == ["_cons"] else []), *range(len(names))]
    basis: list[NDArray[np.float64]] = []
    kept = []
    for k in dict.fromkeys(order):
        column = X[:, k].copy()
        length = float(np.linalg.norm(column))
        for _ in range(2):
            for vector in basis:
                column -= (vector @ column) * vector
        rest = float(np.linalg.norm(column))
        if rest > 1e-9 * length and length > 0:
            basis.append(column / rest)
            kept.append(k)
    return sorted(kept)


def _regress_results(
    run: Run,
    parsed: Parsed,
    setup: Setup,
    names: list[str],
    b: FloatArray,
    V: FloatArray,
    rows: NDArray[np.int64],
    *,
    n: float,
    rss: float,
    mss: float,
    model_df: int,
    df: float,
    residual_df: float,
    clusters: int | None,
) -> None:
    from scipy.special import fdtrc

    robust = setup.robust or setup.cluster is not None
    slopes = [k for k, name in enumerate(names) if name != "_cons"]
    s2 = rss / df if df > 0 else math.nan
    F = math.nan
    if slopes:
        bs, Vs = b[slopes], V[np.ix_(slopes, slopes)]
        F = float(bs @ np.linalg.pinv(Vs) @ bs) / len(slopes)
    p = float(fdtrc(len(slopes), residual_df, F)) if slopes and F >= 0 else math.nan
    r2 = mss / (mss + rss) if mss + rss > 0 else math.nan
    adjusted = 1.0 - (1.0 - r2) * (n - int(setup.constant)) / df if df > 0 else math.nan
    label = f"F({len(slopes)}, {residual_df:.0f})"
    right = [
        ("Number of obs", count(n)),
        (label, format_f(F, 10, 2).strip()),
        ("Prob > F", f"{p:.4f}" if not math.isnan(p) else "."),
        ("R-squared", f"{r2:.4f}"),
    ]
    if robust:
        left: tuple[str, ...] = ("Linear regression",)
        right.append(("Root MSE", format_g5(math.sqrt(s2))))
    else:
        right += [("Adj R-squared", f"{adjusted:.4f}"), ("Root MSE", format_g5(math.sqrt(s2)))]
        left = _anova(mss, model_df, rss, df, n)
    scalars = {"ll_0": _log_likelihood(mss + rss, n)} if setup.constant else {}
    scalars |= {
        "df_m": float(model_df), "df_r": residual_df, "F": F, "r2": r2, "r2_a": adjusted,
        "rmse": math.sqrt(s2), "mss": mss, "rss": rss,
    }  # fmt: skip
    if clusters is not None:
        scalars["N_clust"] = float(clusters)
    estimates = Estimates(
        command="regress",
        line=f"regress {run.span.text}",
        depvar=setup.depvar,
        names=tuple(("", name) for name in names),
        b=b,
        V=V,
        log_likelihood=_log_likelihood(rss, n),
        n=n,
        rank=len(b),
        sample=run.data.row_ids[rows],
        residual_df=residual_df,
        scalars=scalars,
        macros=macros_of(setup, robust),
        regression=Regression(
            left=left,
            right=tuple(right),
            clusters=clusters,
            widths=(48, 17, 10) if robust else (51, 15, 9),
        ),
    )
    run.session.results = estimates
    header = not parsed.has("noheader")
    if not parsed.has("notable"):
        run.print(
            *regression_lines(
                estimates, level=setup.level, exponentiate=setup.exponentiate, header=header
            )
        )
    elif header and estimates.regression is not None:
        run.print("", *header_lines(estimates.regression))


def _log_likelihood(rss: float, n: float) -> float:
    """Of normal errors with the variance ``rss / n``."""
    return -0.5 * n * (math.log(2 * math.pi) + math.log(rss / n) + 1.0) if rss > 0 else math.nan


def format_g5(x: float) -> str:
    """A number with five digits, as the root mean squared error is shown."""
    return f"{x:.5g}".removeprefix("0") if abs(x) < 1e5 else format_g(x).strip()


def _anova(mss: float, model_df: int, rss: float, df: float, n: float) -> tuple[str, ...]:
    def line(name: str, ss: float, degrees: float) -> str:
        ms = ss / degrees if degrees > 0 else math.nan
        return f"{name:>12} | {format_g(ss, 11)} {degrees:>9,.0f} {format_g(ms, 11)}"

    return (
        "      Source |       SS           df       MS",
        "-------------+----------------------------------",
        line("Model", mss, model_df),
        line("Residual", rss, df),
        "-------------+----------------------------------",
        line("Total", mss + rss, model_df + df),
    )
