"""Models with more than an intercept: factors, slopes, choice sets, composites, classes."""

from __future__ import annotations

import numpy as np
from direct import Level, Rows, binary, choice, normal
from predict_base import FRAME, POINTS, Model, ids, intercepts, normal_levels, tail
from scipy import stats
from scipy.special import expit, logsumexp

from gllamm_cli.model.spherical import spherical_rule


def mixed(n_levels: int) -> Model:
    """Continuous and probit items, a factor with loadings regressed on a covariate."""
    data = FRAME.assign(y=np.where(FRAME["item"] == 3, FRAME["b"], FRAME["g"]))
    data["kind"] = np.where(data["item"] == 3, 2.0, 1.0)

    def nu(rows, v):
        factor = 0.7 * v["u"] + 0.25 * rows["w"]
        fixed = 0.2 * rows["d1"] - 0.1 * rows["d2"] + 0.3 * rows["d3"] + 0.5 * v.get("t", 0.0)
        return fixed + rows["item"].map({1: 1.0, 2: 0.8, 3: 1.2}) * factor

    def density(rows, v):
        sd = np.exp(-0.3 * rows["d1"] + 0.4 * rows["d2"])
        probit = binary(rows["y"], stats.norm.cdf(nu(rows, v)))
        log_p = np.where(rows["kind"] == 2, probit, normal(rows["y"], nu(rows, v), sd))
        return rows["wt1"] * rows["seen"] * log_p

    def mean(rows, v):
        return np.where(rows["kind"] == 2, stats.norm.cdf(nu(rows, v)), nu(rows, v))

    eqs = "eqs(load)" if n_levels == 2 else "eqs(load one)"
    return Model(
        f"y d1 d2 d3, nocons {ids(n_levels)} family(gauss binom) fv(kind) link(ident probit) "
        f"lv(kind) {eqs} s(het) geqs(f1) weight(wt) nip({POINTS})",
        [0.2, -0.1, 0.3, -0.3, 0.4, 0.8, 1.2, 0.7, *tail(n_levels), 0.25],
        normal_levels(n_levels),
        density,
        intercepts(n_levels),
        nu,
        mean,
        before="eq load: d1 d2 d3; eq het: d1 d2; eq f1: w",
        frame=data,
        blank=("y",),
        fixed=lambda rows, v: nu(rows, {"u": 0.0, "t": 0.0}),
    )


def paths(n_levels: int) -> Model:
    """Correlated intercept and slope with bmatrix(), within and across levels."""
    coefficients = [0.4] if n_levels == 2 else [0.4, -0.6]

    def nu(rows, v):
        second, top = 0.2 * v["u"] + 0.9 * v["s"], 0.5 * v.get("t", 0.0)
        first = 0.7 * v["u"] + 0.4 * second + (-0.6 * top if n_levels == 3 else 0.0)
        return 0.3 * rows["x"] + 0.1 + first + rows["z"] * second + top + rows["off"]

    nrf, eqs = ("nrf(2)", "eqs(one z)") if n_levels == 2 else ("nrf(2 1)", "eqs(one z one)")
    B = "(0, 1 \\ 0, 0)" if n_levels == 2 else "(0, 1, 1 \\ 0, 0, 0 \\ 0, 0, 0)"
    zeta = [lambda rows, v: 0.7 * v["u"], lambda rows, v: 0.2 * v["u"] + 0.9 * v["s"]]
    if n_levels == 3:
        zeta.append(lambda rows, v: 0.5 * v["t"])
    return Model(
        f"b x, {ids(n_levels)} family(binom) {nrf} {eqs} bmatrix(B) weight(wt) offset(off) "
        f"nip({POINTS})",
        [0.3, 0.1, 0.7, 0.9, 0.2, *tail(n_levels), *coefficients],
        normal_levels(n_levels, ("u", "s")),
        lambda rows, v: rows["wt1"] * rows["seen"] * binary(rows["b"], expit(nu(rows, v))),
        zeta,
        nu,
        lambda rows, v: expit(nu(rows, v)),
        before=f"matrix B = {B}",
    )


def interaction() -> Model:
    def nu(rows, v):
        zeta = (0.7 * v["u"], 0.2 * v["u"] + 0.9 * v["s"])
        return 0.3 * rows["x"] + 0.1 + rows["x"] * rows["z"] * zeta[0] + rows["z"] * zeta[1]

    return Model(
        f"b x, i(id) family(binom) nrf(2) eqs(x z) inter(1 2) weight(wt) nip({POINTS})",
        [0.3, 0.1, 0.7, 0.9, 0.2],
        normal_levels(2, ("u", "s")),
        lambda rows, v: rows["wt1"] * rows["seen"] * binary(rows["b"], expit(nu(rows, v))),
        [lambda rows, v: 0.7 * v["u"], lambda rows, v: 0.2 * v["u"] + 0.9 * v["s"]],
        nu,
        lambda rows, v: expit(nu(rows, v)),
    )


def three_slopes(rule: str) -> Model:
    """Three uncorrelated effects at level 2, by a product or a spherical rule."""
    zeta = [
        lambda rows, v: 0.7 * v["u"],
        lambda rows, v: 0.4 * v["s"],
        lambda rows, v: 0.3 * v["r"],
    ]

    def nu(rows, v):
        effects = [f(rows, v) for f in zeta]
        return 0.3 * rows["x"] + 0.1 + effects[0] + rows["x"] * effects[1] + rows["z"] * effects[2]

    levels, options = normal_levels(2, ("u", "s", "r")), f"nip({POINTS})"
    if rule == "spherical":
        spherical = spherical_rule(3, 7)
        nodes = tuple(dict(zip("usr", node, strict=True)) for node in spherical.nodes)
        levels, options = [Level("id", nodes, tuple(spherical.log_weights), "wt2")], "ip(m) nip(7)"
    return Model(
        f"o x, i(id) family(poisson) nrf(3) eqs(one x z) nocorrel weight(wt) {options}",
        [0.3, 0.1, 0.7, 0.4, 0.3],
        levels,
        lambda rows, v: (
            rows["wt1"] * rows["seen"] * stats.poisson.logpmf(rows["o"], np.exp(nu(rows, v)))
        ),
        zeta,
        nu,
        lambda rows, v: np.exp(nu(rows, v)),
        blank=("o",),
    )


def _softmax_in_sets(rows: Rows, nu: np.ndarray) -> np.ndarray:
    out = np.empty(len(rows))
    for positions in rows.groupby("set").indices.values():
        out[positions] = np.exp(nu[positions] - logsumexp(nu[positions]))
    return out


def choice_sets(scaled: bool, n_levels: int) -> Model:
    factor = np.exp(-0.2) if scaled else 1.0

    def nu(rows, v):
        random = rows["x"] * 0.7 * v["u"] + rows["z"] * 0.5 * v.get("t", 0.0)
        return 0.4 * rows["x"] - 0.3 * rows["z"] + random

    def density(rows, v):
        utility = factor * nu(rows, v).to_numpy()
        terms = choice(rows["set"].to_numpy(), rows["chosen"].to_numpy(), utility)
        return rows["wt1"] * rows["seen"] * terms

    eqs = "eqs(x)" if n_levels == 2 else "eqs(x z)"
    return Model(
        f"alt x z, nocons {ids(n_levels)} link({'s' if scaled else ''}mlogit) "
        f"expanded(set chosen o) {eqs} weight(wt) nip({POINTS})",
        [0.4, -0.3, *([0.2] if scaled else []), 0.7, *tail(n_levels)],
        normal_levels(n_levels),
        density,
        intercepts(n_levels),
        nu,
        lambda rows, v: _softmax_in_sets(rows, factor * nu(rows, v).to_numpy()),
        blank=("chosen",),
    )


def choice_by_alternative() -> Model:
    b = {1: (0.0, 0.0), 2: (0.4, 0.1), 3: (-0.3, 0.2), 4: (0.2, -0.5)}

    def nu(rows, v):
        alternative = rows["alt"].astype(int)
        fixed = alternative.map(lambda k: b[k][0]) * rows["x"]
        return fixed + alternative.map(lambda k: b[k][1]) + rows["z"] * 0.7 * v["u"]

    def density(rows, v):
        sets, chosen = rows["set"].to_numpy(), rows["chosen"].to_numpy()
        return rows["wt1"] * rows["seen"] * choice(sets, chosen, nu(rows, v).to_numpy())

    return Model(
        f"alt x, i(id) link(mlogit) expanded(set chosen m) eqs(z) weight(wt) nip({POINTS})",
        [*b[2], *b[3], *b[4], 0.7],
        normal_levels(2),
        density,
        intercepts(2),
        nu,
        lambda rows, v: _softmax_in_sets(rows, nu(rows, v).to_numpy()),
        blank=("chosen",),
    )


def nominal() -> Model:
    """One row for each unit; the first category has neither coefficients nor random part."""
    b = {2: (0.4, 0.1), 3: (-0.3, 0.2), 4: (0.2, -0.5)}
    persons = FRAME.groupby("set").first().reset_index()

    def utilities(rows, v):
        others = [c * rows["x"] + k + 0.7 * v["u"] for c, k in b.values()]
        return np.column_stack([np.zeros(len(rows)), *others])

    def probabilities(rows, v):
        u = utilities(rows, v)
        return np.exp(u - logsumexp(u, axis=1)[:, None])

    def density(rows, v):
        p = probabilities(rows, v)[np.arange(len(rows)), rows["o"].astype(int) - 1]
        return rows["wt1"] * rows["seen"] * np.log(p)

    return Model(
        f"o x, i(id) link(mlogit) weight(wt) nip({POINTS})",
        [*b[2], *b[3], *b[4], 0.7],
        normal_levels(2),
        density,
        intercepts(2),
        # The linear predictor is that of the first category with one.
        lambda rows, v: utilities(rows, v)[:, 1],
        lambda rows, v: probabilities(rows, v)[:, 2],
        frame=persons,
        blank=("o",),
        outcome=3.0,
    )


def composite() -> Model:
    """Groups of four rows: two composite proportions and two rows that only lend their means."""
    data = FRAME.assign(part=np.where(FRAME["alt"] <= 2, FRAME["alt"], 0.0))
    rng = np.random.default_rng(8)
    data["c1"], data["c2"] = rng.uniform(0.1, 0.25, (2, len(data)))

    def nu(rows, v):
        return 0.3 * rows["x"] + 0.1 + 0.7 * v["u"]

    def mean(rows, v):
        p = expit(nu(rows, v))
        first = (rows["c1"] * p).groupby(rows["set"]).transform("sum")
        second = (rows["c2"] * p).groupby(rows["set"]).transform("sum")
        return np.select([rows["part"] == 1, rows["part"] == 2], [first, second], np.nan)

    def density(rows, v):
        p = np.nan_to_num(mean(rows, v), nan=0.5)
        return np.where(rows["part"] > 0, rows["wt1"] * rows["seen"] * binary(rows["b"], p), 0.0)

    return Model(
        f"b x, i(id) family(binom) composite(set part c1 c2) weight(wt) nip({POINTS})",
        [0.3, 0.1, 0.7],
        normal_levels(2),
        density,
        intercepts(2),
        nu,
        mean,
        frame=data,
    )


def masses(centred: bool, n_levels: int) -> Model:
    """Three classes in two dimensions at level 2; at three levels two classes above."""
    locations = [(-0.8, 0.2), (0.5, -0.3), (1.1, 0.6)]
    gamma_ = [(0.3, -0.4), (-0.2, 0.1)]
    pi = np.exp([gamma_[0][1], gamma_[1][1], 0.0])
    pi /= pi.sum()
    if centred:
        locations[2] = tuple(-(pi[:2] @ np.array(locations[:2])) / pi[2])
    values = [0.4, 0.1]
    for k in range(3):
        if k < 2 or not centred:
            values += locations[k]
        if k < 2:
            values += gamma_[k] if n_levels == 2 else gamma_[k][1:]
    above = [-0.6, 0.9]
    top_odds = 0.2
    top_pi = np.array([expit(top_odds), expit(-top_odds)])
    if n_levels == 3:
        if centred:
            above[1] = -top_pi[0] * above[0] / top_pi[1]
        values += [above[0], top_odds, *([] if centred else [above[1]])]

    def log_masses(rows):
        w = rows["w"].iloc[0] if n_levels == 2 else 0.0
        odds = np.array([gamma_[0][0] * w + gamma_[0][1], gamma_[1][0] * w + gamma_[1][1], 0.0])
        return odds - np.log(np.exp(odds).sum())

    nodes = tuple({"u": u, "s": s, "class": float(k)} for k, (u, s) in enumerate(locations))
    levels = [Level("id", nodes, log_masses, "wt2")]
    if n_levels == 3:
        top_nodes = tuple({"t": location} for location in above)
        levels.append(Level("top", top_nodes, tuple(np.log(top_pi)), "wt3"))

    def nu(rows, v):
        return 0.4 * rows["x"] + 0.1 + v["u"] + rows["z"] * v["s"] + v.get("t", 0.0)

    zeta = [lambda rows, v: v["u"], lambda rows, v: v["s"]]
    if n_levels == 3:
        zeta.append(lambda rows, v: v["t"])
    nrf, eqs = ("nrf(2)", "eqs(one z)") if n_levels == 2 else ("nrf(2 1)", "eqs(one z one)")
    nip, peqs = ("nip(3)", "peqs(p)") if n_levels == 2 else ("nip(3 2)", "")
    return Model(
        f"b x, {ids(n_levels)} family(binom) {nrf} {eqs} ip({'f' if centred else 'fn'}) {nip} "
        f"{peqs} weight(wt)",
        values,
        levels,
        lambda rows, v: rows["wt1"] * rows["seen"] * binary(rows["b"], expit(nu(rows, v))),
        zeta,
        nu,
        lambda rows, v: expit(nu(rows, v)),
        before="eq p: w",
        # No value of the latent variables is the same as no latent variables here.
        fixed=lambda rows, v: 0.4 * rows["x"] + 0.1,
    )


def class_covariates() -> Model:
    """Two classes at each of two levels, their odds depending on covariates of the units."""
    frame = FRAME.assign(w3=0.5 * FRAME["top"] - 0.8)

    def log_masses(variable, slope, constant):
        def masses(rows):
            odds = np.array([slope * rows[variable].iloc[0] + constant, 0.0])
            return odds - np.log(np.exp(odds).sum())

        return masses

    levels = [
        Level("id", ({"u": -0.8}, {"u": 0.9}), log_masses("w", 0.6, 0.2), "wt2"),
        Level("top", ({"t": -0.5}, {"t": 0.7}), log_masses("w3", -0.7, 0.1), "wt3"),
    ]

    def nu(rows, v):
        return 0.4 * rows["x"] + 0.1 + v["u"] + v["t"]

    return Model(
        "b x, i(id top) family(binom) ip(fn) nip(2 2) peqs(p2 p3) weight(wt)",
        [0.4, 0.1, -0.8, 0.6, 0.2, 0.9, -0.5, -0.7, 0.1, 0.7],
        levels,
        lambda rows, v: rows["wt1"] * rows["seen"] * binary(rows["b"], expit(nu(rows, v))),
        [lambda rows, v: v["u"], lambda rows, v: v["t"]],
        nu,
        lambda rows, v: expit(nu(rows, v)),
        before="eq p2: w; eq p3: w3",
        frame=frame,
    )
