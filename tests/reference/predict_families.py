"""Models with random intercepts, one for each kind of response."""

from __future__ import annotations

import numpy as np
from direct import CUMULATIVE, binary, normal, ordinal
from predict_base import FRAME, POINTS, Model, ids, intercepts, normal_levels, tail
from scipy import stats
from scipy.special import expit


def _single(n_levels, options, parameters, log_density, mean, response, **more) -> Model:
    """A random intercept at every level; ``nu`` has x, a constant and the offset."""

    def nu(rows, v):
        return 0.4 * rows["x"] + 0.1 + rows["off"] + 0.7 * v["u"] + 0.5 * v.get("t", 0.0)

    return Model(
        f"{response} x, {ids(n_levels)} offset(off) weight(wt) nip({POINTS}) {options}",
        [0.4, 0.1, *parameters, 0.7, *tail(n_levels)],
        normal_levels(n_levels),
        lambda rows, v: rows["wt1"] * rows["seen"] * log_density(rows, nu(rows, v)),
        intercepts(n_levels),
        nu,
        lambda rows, v: mean(nu(rows, v)),
        blank=(response,),
        **more,
    )


def gaussian(n_levels: int) -> Model:
    return _single(
        n_levels,
        "",
        [-0.2],
        lambda rows, nu: normal(rows["g"], nu, np.exp(-0.2)),
        lambda nu: nu,
        "g",
    )


def binomial(n_levels: int) -> Model:
    return _single(
        n_levels,
        "family(binom) link(logit) denom(n)",
        [],
        lambda rows, nu: stats.binom.logpmf(rows["k"], rows["n"], expit(nu)),
        expit,
        "k",
    )


def cloglog(n_levels: int) -> Model:
    def mean(nu):
        return 1.0 - np.exp(-np.exp(nu))

    return _single(
        n_levels,
        "family(binom) link(cll)",
        [],
        lambda rows, nu: binary(rows["b"], mean(nu)),
        mean,
        "b",
    )


def scaled_probit(n_levels: int) -> Model:
    def mean(nu):
        return stats.norm.cdf(nu / np.exp(0.3))

    return _single(
        n_levels,
        "family(binom) link(sprobit)",
        [0.3],
        lambda rows, nu: binary(rows["b"], mean(nu)),
        mean,
        "b",
    )


def poisson(n_levels: int) -> Model:
    return _single(
        n_levels,
        "family(poisson)",
        [],
        lambda rows, nu: stats.poisson.logpmf(rows["o"], np.exp(nu)),
        np.exp,
        "o",
    )


def gamma(n_levels: int) -> Model:
    shape = np.exp(0.6)
    return _single(
        n_levels,
        "family(gamma) link(log)",
        [-0.3],
        lambda rows, nu: stats.gamma.logpdf(rows["pos"], shape, scale=np.exp(nu) / shape),
        np.exp,
        "pos",
    )


def cumulative(link: str, n_levels: int) -> Model:
    cuts = np.array([-0.8, 0.1, 0.9])

    def nu(rows, v):
        return 0.4 * rows["x"] - 0.3 * rows["z"] + 0.7 * v["u"] + 0.5 * v.get("t", 0.0)

    def density(rows, v):
        kappa = np.tile(cuts, (len(rows), 1))
        log_p = ordinal(rows["o"].to_numpy(), nu(rows, v).to_numpy(), kappa, link)
        return rows["wt1"] * rows["seen"] * log_p

    return Model(
        f"o x z, {ids(n_levels)} link({link}) weight(wt) nip({POINTS})",
        [0.4, -0.3, *cuts, 0.7, *tail(n_levels)],
        normal_levels(n_levels),
        density,
        intercepts(n_levels),
        nu,
        lambda rows, v: CUMULATIVE[link](nu(rows, v) - cuts[1]),
        blank=("o",),
        above=(2.0,),
    )


def thresholds(option: str, n_levels: int) -> Model:
    """Covariates of the thresholds of a scaled probit model."""
    cuts = np.array([[0.1, -0.8], [-0.2, 0.1], [0.15, 0.6]])
    frame = FRAME.assign(z=0.3 * np.tanh(FRAME["z"]))

    def nu(rows, v):
        return 0.4 * rows["x"] + 0.7 * v["u"] + 0.5 * v.get("t", 0.0)

    def kappa(rows):
        form = np.column_stack([c * rows["z"] + k for c, k in cuts])
        if option == "ethresh":
            form[:, 1:] = np.exp(form[:, 1:])
            form = np.cumsum(form, axis=1)
        return form

    def density(rows, v):
        s = np.exp(-0.2)
        y = rows["o"].to_numpy()
        log_p = ordinal(y, nu(rows, v).to_numpy() / s, kappa(rows) / s, "oprobit")
        return rows["wt1"] * rows["seen"] * log_p

    return Model(
        f"o x, {ids(n_levels)} link(soprobit) {option}(th) weight(wt) nip({POINTS})",
        [0.4, *cuts.ravel(), -0.2, 0.7, *tail(n_levels)],
        normal_levels(n_levels),
        density,
        intercepts(n_levels),
        nu,
        lambda rows, v: stats.norm.cdf((nu(rows, v) - kappa(rows)[:, 2]) / np.exp(-0.2)),
        before="eq th: z",
        frame=frame,
        blank=("o",),
        above=(3.0,),
    )
