"""``treatreg`` (``etregress``): a regression with an endogenous binary treatment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import InvalidSyntax, NoObservations, NotConverged
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret.run import Run
from gllamm_cli.report.coefficients import critical_value
from gllamm_cli.report.regression import Regression, count, regression_lines
from gllamm_cli.stata.format import display, format_f, format_g
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.lexer import whole

MOST_ITERATIONS = 200
STARTS = (0.0, 1.0, -1.0)
"""Starting values of atanh(rho)."""
LARGEST_ATHRHO = 8.0
"""Beyond it the correlation is on the boundary: there is no maximum."""
LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def _terms(
    theta: NDArray[Any], y: FloatArray, X: FloatArray, d: FloatArray, W: FloatArray
) -> NDArray[Any]:
    """Log likelihood of each row (Maddala 1983, section 5.7).

    ``theta`` holds the coefficients of y (the treatment among them), those of
    the treatment, atanh(rho) and ln(sigma); complex values differentiate it.
    """
    from scipy.special import log_ndtr

    k, q = X.shape[1], W.shape[1]
    rho, sigma = np.tanh(theta[k + q]), np.exp(theta[k + q + 1])
    z = (y - X @ theta[:k]) / sigma
    sign = 2.0 * d - 1.0
    index = sign * (W @ theta[k : k + q] + rho * z) / np.sqrt(1.0 - rho * rho)
    return np.asarray(log_ndtr(index) - 0.5 * z * z - LOG_SQRT_2PI - theta[k + q + 1])


def _derivatives(
    theta: FloatArray, y: FloatArray, X: FloatArray, d: FloatArray, W: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Log likelihood, score and Hessian: complex steps and differences of the score."""

    def score(point: FloatArray) -> FloatArray:
        step = 1e-20
        found = np.empty(len(point))
        for k in range(len(point)):
            moved = point.astype(np.complex128)
            moved[k] += 1j * step
            found[k] = float(_terms(moved, y, X, d, W).sum().imag) / step
        return found

    value = float(_terms(theta, y, X, d, W).sum().real)
    gradient = score(theta)
    n = len(theta)
    hessian = np.empty((n, n))
    for k in range(n):
        step = 1e-5 * max(abs(theta[k]), 1.0)
        up, down = theta.copy(), theta.copy()
        up[k] += step
        down[k] -= step
        hessian[k] = (score(up) - score(down)) / (2.0 * step)
    return value, gradient, 0.5 * (hessian + hessian.T)


def treatreg(run: Run) -> None:
    """``treatreg y x, treat(d = w)``: maximum likelihood."""
    parsed = run.parse(
        "TREat(t) Level(n) NOLOg Robust twostep ITERate(n) FIRst HAZard(w)",
        weights_hint="the same model in gllamm takes weight() and pweight()",
    )
    parsed.refuse("iterate()", "first")
    if parsed.has("twostep") or parsed.has("robust") or parsed.has("hazard"):
        raise InvalidSyntax("twostep, robust and hazard() are not supported", span=run.span)
    treatment, equals, instruments = parsed.text("treat").partition("=")
    if not equals:
        raise InvalidSyntax("option treat(d = w) required", span=run.span)
    depvar, *covariates = run.variables(parsed.frame.body)
    d_name = run.variable(whole(treatment))
    w_names = run.variables(whole(instruments))
    data, selected = run.data, run.rows(parsed)
    columns = [data.column(name) for name in (depvar, d_name, *covariates, *w_names)]
    used = selected & ~np.isnan(np.column_stack(columns)).any(axis=1)
    if not used.any():
        raise NoObservations("no observations")
    y, d = data.column(depvar)[used], data.column(d_name)[used]
    if not np.isin(d, (0.0, 1.0)).all():
        raise InvalidSyntax(f"{d_name} is not a 0/1 variable", span=run.span)
    ones = np.ones(len(y))
    # The treatment enters the regression after the covariates, unless it is one of them.
    x_names = [name for name in covariates if name != d_name] + [d_name]
    X = np.column_stack([*(data.column(name)[used] for name in x_names), ones])
    W = np.column_stack([*(data.column(name)[used] for name in w_names), ones])
    maximum, *higher = _maxima(y, X, d, W)
    theta, value, hessian = maximum.theta, maximum.value, maximum.hessian
    if not parsed.has("nolog"):
        run.print("", *_log_lines(maximum))
    for other in higher:
        run.print(
            f"note: the log likelihood has a higher maximum, {display(other.value)}, "
            f"at rho = {math.tanh(other.theta[-2]):.4f}"
        )
    V = np.asarray(np.linalg.inv(-hessian), dtype=np.float64)
    k, q = X.shape[1], W.shape[1]
    names = (
        *((depvar, name) for name in [*x_names, "_cons"]),
        *((d_name, name) for name in [*w_names, "_cons"]),
        ("athrho", "_cons"),
        ("lnsigma", "_cons"),
    )
    slopes = list(range(k - 1))
    chi2 = float(theta[slopes] @ np.linalg.solve(V[np.ix_(slopes, slopes)], theta[slopes]))
    from scipy.special import chdtrc

    separate = _without_correlation(y, X, d, W)
    level = run.confidence_level(parsed)
    below = _derived(theta, V, k + q, level)
    lr = 2.0 * (value - separate)
    p = float(chdtrc(1, max(lr, 0.0)))
    below += [f"LR test of indep. eqns. (rho = 0):   chi2(1) = {lr:9.2f}   Prob > chi2 = {p:.4f}"]
    below += ["-" * 78]
    shown = Regression(
        left=("Treatment-effects model -- MLE", "", f"Log likelihood = {display(value)}"),
        right=(
            ("Number of obs", count(float(len(y)))),
            (f"Wald chi2({len(slopes)})", format_f(chi2, 10, 2).strip()),
            ("Prob > chi2", f"{float(chdtrc(len(slopes), chi2)):.4f}"),
        ),
        several=True,
        auxiliary=("athrho", "lnsigma"),
        below=tuple(below),
    )
    estimates = Estimates(
        command="treatreg",
        line=f"treatreg {run.span.text}",
        depvar=depvar,
        names=names,
        b=theta,
        V=V,
        log_likelihood=value,
        n=float(len(y)),
        rank=len(theta),
        sample=data.row_ids[used],
        scalars={
            "rho": math.tanh(theta[k + q]),
            "sigma": math.exp(theta[k + q + 1]),
            "chi2_c": lr,
            "chi2": chi2,
        },
        regression=shown,
    )
    run.session.results = estimates
    run.print(*regression_lines(estimates, level=level))


def _start(y: FloatArray, X: FloatArray, d: FloatArray, W: FloatArray, athrho: float) -> FloatArray:
    b = np.linalg.lstsq(X, y, rcond=None)[0]
    sigma = max(float(np.std(y - X @ b)), 1e-8)
    g = np.linalg.lstsq(W, 2.0 * d - 1.0, rcond=None)[0]
    return np.concatenate([b, g, [athrho, math.log(sigma)]])


@dataclass(frozen=True, slots=True, eq=False)
class _Maximum:
    """Where Newton's method has come to, and the log likelihoods on its way."""

    theta: FloatArray
    value: float
    hessian: FloatArray
    log: tuple[float, ...]


def _log_lines(maximum: _Maximum) -> list[str]:
    return [
        f"Iteration {number}:   log likelihood = {display(value)}  "
        for number, value in enumerate(maximum.log)
    ]


def _maxima(y: FloatArray, X: FloatArray, d: FloatArray, W: FloatArray) -> list[_Maximum]:
    """Maxima of the likelihood: there may be one on either side of a correlation of zero.

    The first is that from a correlation of zero, where Stata starts; if another one
    is higher, it comes next.
    """
    found = [_maximum(y, X, d, W, _start(y, X, d, W, athrho)) for athrho in STARTS]
    reached = [each for each in found if each is not None]
    if not reached:
        raise NotConverged("convergence not achieved")
    first, *others = reached
    higher = [o for o in others if o.value > first.value + 1e-6 * (1.0 + abs(first.value))]
    return [first, *sorted(higher, key=lambda o: -o.value)[:1]]


def _maximum(
    y: FloatArray, X: FloatArray, d: FloatArray, W: FloatArray, theta: FloatArray
) -> _Maximum | None:
    """Newton steps, shortened until they gain; a ridge where the Hessian is not negative."""
    value, gradient, hessian = _derivatives(theta, y, X, d, W)
    log = []
    for _ in range(MOST_ITERATIONS):
        log.append(value)
        values, vectors = np.linalg.eigh(-hessian)
        safe = np.maximum(np.abs(values), 1e-8 * np.abs(values).max())
        step = vectors @ ((vectors.T @ gradient) / safe)
        if float(gradient @ step) < 1e-12 * (1.0 + abs(value)) and values[0] > 0:
            return _Maximum(theta, value, hessian, tuple(log))
        scale = 1.0
        while scale > 1e-10:
            trial = theta + scale * step
            with np.errstate(all="ignore"):
                at_trial = float(np.sum(_terms(trial, y, X, d, W)).real)
            if at_trial > value:
                break
            scale /= 2.0
        else:
            return _Maximum(theta, value, hessian, tuple(log)) if values[0] > 0 else None
        if abs(float(trial[-2])) > LARGEST_ATHRHO:
            return None
        theta = trial
        value, gradient, hessian = _derivatives(theta, y, X, d, W)
    return None


def _without_correlation(y: FloatArray, X: FloatArray, d: FloatArray, W: FloatArray) -> float:
    """Log likelihood of the two equations on their own."""
    from scipy.special import log_ndtr

    b = np.linalg.lstsq(X, y, rcond=None)[0]
    sigma2 = float(np.mean((y - X @ b) ** 2))
    gaussian = -0.5 * len(y) * (math.log(2 * math.pi * sigma2) + 1.0)
    g = np.zeros(W.shape[1])
    sign = 2.0 * d - 1.0
    for _ in range(100):
        index = sign * (W @ g)
        ratio = np.exp(-0.5 * index**2 - LOG_SQRT_2PI - log_ndtr(index))
        score = W.T @ (sign * ratio)
        information = (W * (ratio * (ratio + index))[:, None]).T @ W
        step = np.linalg.solve(information, score)
        g = g + step
        if np.abs(step).max() < 1e-12:
            break
    return gaussian + float(log_ndtr(sign * (W @ g)).sum())


def _derived(theta: FloatArray, V: FloatArray, place: int, level: float) -> list[str]:
    """rho, sigma and lambda = rho sigma with delta-method standard errors."""
    rho, sigma = math.tanh(theta[place]), math.exp(theta[place + 1])
    block = V[place : place + 2, place : place + 2]
    z = critical_value(level)
    lines = []
    for name, value, gradient in (
        ("rho", rho, (1 - rho**2, 0.0)),
        ("sigma", sigma, (0.0, sigma)),
        ("lambda", rho * sigma, ((1 - rho**2) * sigma, rho * sigma)),
    ):
        g = np.array(gradient)
        se = math.sqrt(float(g @ block @ g))
        if name == "lambda":
            low, high = value - z * se, value + z * se
        else:
            k = place if name == "rho" else place + 1
            reach = z * math.sqrt(V[k, k])
            change = math.tanh if name == "rho" else math.exp
            low, high = change(theta[k] - reach), change(theta[k] + reach)
        limits = f"{format_g(low)}   {format_g(high)}"
        lines.append(f"{name:>12} |  {format_g(value)}  {format_g(se)}{' ' * 22}{limits}")
    return [*lines, "-" * 78]
