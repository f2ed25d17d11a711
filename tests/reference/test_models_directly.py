"""Every kind of response and structure: our log likelihood equals a direct sum.

At fixed parameters, with ordinary quadrature of few points, weights at all
levels, at two and three levels. Protects resolution, design and kernel together.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from direct import CUMULATIVE, Level, binary, choice, hermite, log_likelihood, normal, ordinal
from scipy import stats
from scipy.special import expit

from gllamm_cli.data import Dataset
from gllamm_cli.model.spherical import spherical_rule
from gllamm_cli.session import Session

POINTS = 3
LEVELS = [2, 3]


def simulate(seed=3):
    """Two hundred rows: items of persons in groups of unequal size."""
    rng = np.random.default_rng(seed)
    n = 200
    person = np.sort(rng.integers(0, 30, n))
    group = np.minimum(person // 7, 3)
    item = rng.integers(1, 4, n)
    w_person, w_group = rng.integers(1, 3, 30), rng.integers(1, 3, 4)
    covariate = rng.normal(size=30)
    return pd.DataFrame(
        {
            "id": person + 1.0,
            "top": group + 1.0,
            "item": item.astype(float),
            "one": 1.0,
            **{f"d{k}": (item == k).astype(float) for k in (1, 2, 3)},
            "x": rng.normal(size=n),
            "z": rng.normal(size=n),
            "w": covariate[person],
            "b": rng.integers(0, 2, n).astype(float),
            "g": rng.normal(size=n),
            "o": rng.integers(1, 5, n).astype(float),
            "set": np.arange(n) // 4 + 1.0,
            "alt": np.arange(n) % 4 + 1.0,
            "wt1": rng.integers(1, 3, n).astype(float),
            "wt2": w_person[person].astype(float),
            "wt3": w_group[group].astype(float),
            "off": 0.1 * rng.normal(size=n),
        }
    )


FRAME = simulate()


def ours(command, values, before="", frame=FRAME):
    session = Session(Dataset.from_frame(frame))
    if before:
        session.run(before)
    session.run(f"matrix start = ({', '.join(repr(float(value)) for value in values)})")
    session.run(f"gllamm {command} from(start) copy eval")
    return session.fit


def normal_levels(n_levels, effects=("u",), weighted=True):
    """Normal levels: ``effects`` at level 2 and an intercept t above."""
    levels = [Level("id", *hermite(effects, POINTS), "wt2" if weighted else None)]
    if n_levels == 3:
        levels.append(Level("top", *hermite(("t",), POINTS), "wt3" if weighted else None))
    return levels


def ids(n_levels):
    return "i(id)" if n_levels == 2 else "i(id top)"


def check(fit, expected):
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n_levels", LEVELS)
@pytest.mark.parametrize("link", list(CUMULATIVE))
def test_ordinal(link, n_levels):
    values = [0.4, -0.3, -0.8, 0.1, 0.9, 0.7, *([0.5] if n_levels == 3 else [])]

    def density(rows, v):
        nu = 0.4 * rows["x"] - 0.3 * rows["z"] + 0.7 * v["u"] + 0.5 * v.get("t", 0.0)
        kappa = np.tile([-0.8, 0.1, 0.9], (len(rows), 1))
        return rows["wt1"] * ordinal(rows["o"].to_numpy(), nu.to_numpy(), kappa, link)

    command = f"o x z, {ids(n_levels)} link({link}) weight(wt) nip({POINTS})"
    check(ours(command, values), log_likelihood(FRAME, normal_levels(n_levels), density))


@pytest.mark.parametrize("n_levels", LEVELS)
@pytest.mark.parametrize("option", ["thresh", "ethresh"])
def test_thresholds_with_covariates_and_a_scaled_link(option, n_levels):
    gamma = np.array([[0.1, -0.8], [-0.2, 0.1], [0.15, 0.6]])
    values = [0.4, *gamma.ravel(), -0.2, 0.7, *([0.5] if n_levels == 3 else [])]

    def density(rows, v):
        nu = 0.4 * rows["x"] + 0.7 * v["u"] + 0.5 * v.get("t", 0.0)
        form = np.column_stack([c * rows["z"] + k for c, k in gamma])
        if option == "ethresh":
            form[:, 1:] = np.exp(form[:, 1:])
            form = np.cumsum(form, axis=1)
        s = np.exp(-0.2)
        y = rows["o"].to_numpy()
        return rows["wt1"] * ordinal(y, nu.to_numpy() / s, form / s, "oprobit")

    frame = FRAME
    if option == "thresh":
        # Free thresholds must be in order for every row.
        frame = FRAME.assign(z=0.3 * np.tanh(FRAME["z"]))
    command = f"o x, {ids(n_levels)} link(soprobit) {option}(th) weight(wt) nip({POINTS})"
    fit = ours(command, values, "eq th: z", frame)
    check(fit, log_likelihood(frame, normal_levels(n_levels), density))


@pytest.mark.parametrize("n_levels", LEVELS)
def test_several_ordinal_responses_with_loadings(n_levels):
    cuts = {1: [-0.5, 0.2, 1.0], 2: [-1.0, 0.0, 0.5], 3: [-0.2, 0.3, 0.8]}
    values = [0.4, *cuts[1], *cuts[2], *cuts[3], 1.3, 0.6, 0.7, *([0.5] if n_levels == 3 else [])]

    def density(rows, v):
        loading = rows["item"].map({1: 1.0, 2: 1.3, 3: 0.6})
        nu = 0.4 * rows["x"] + loading * 0.7 * v["u"] + 0.5 * v.get("t", 0.0)
        out = np.zeros(len(rows))
        for item, link in ((1, "ologit"), (2, "oprobit"), (3, "ologit")):
            here = (rows["item"] == item).to_numpy()
            kappa = np.tile(cuts[item], (here.sum(), 1))
            out[here] = ordinal(rows["o"].to_numpy()[here], nu.to_numpy()[here], kappa, link)
        return rows["wt1"] * out

    eqs = "eqs(load)" if n_levels == 2 else "eqs(load one)"
    command = f"o x, {ids(n_levels)} link(ologit oprobit ologit) lv(item) {eqs} weight(wt)"
    fit = ours(f"{command} nip({POINTS})", values, "eq load: d1 d2 d3")
    check(fit, log_likelihood(FRAME, normal_levels(n_levels), density))


@pytest.mark.parametrize("n_levels", LEVELS)
@pytest.mark.parametrize("natural", [False, True])
def test_mixed_responses_with_several_scales(natural, n_levels):
    """Two continuous items with scales of their own, a probit item, a factor on a covariate."""
    scale = [-0.3, 0.4]
    typed = list(np.exp(scale)) if natural else scale
    tail = [0.5] if n_levels == 3 else []
    values = [0.2, -0.1, 0.3, *typed, 0.8, 1.2, 0.7, *tail, 0.25]
    data = FRAME.assign(y=np.where(FRAME["item"] == 3, FRAME["b"], FRAME["g"]))
    data["kind"] = np.where(data["item"] == 3, 2.0, 1.0)

    def density(rows, v):
        factor = 0.7 * v["u"] + 0.25 * rows["w"]
        nu = 0.2 * rows["d1"] - 0.1 * rows["d2"] + 0.3 * rows["d3"] + 0.5 * v.get("t", 0.0)
        nu = nu + rows["item"].map({1: 1.0, 2: 0.8, 3: 1.2}) * factor
        sd = np.exp(scale[0] * rows["d1"] + scale[1] * rows["d2"])
        probit = binary(rows["y"], stats.norm.cdf(nu))
        return rows["wt1"] * np.where(rows["kind"] == 2, probit, normal(rows["y"], nu, sd))

    eqs = "eqs(load)" if n_levels == 2 else "eqs(load one)"
    # Under nats the binary rows still need a scale that is not zero.
    het = "d1 d2" if not natural else "d1 d23"
    data["d23"] = data["d2"] + data["d3"]
    command = (
        f"y d1 d2 d3, nocons {ids(n_levels)} family(gauss binom) fv(kind) link(ident probit) "
        f"lv(kind) {eqs} s(het) geqs(f1) weight(wt) nip({POINTS}) {'nats' if natural else ''}"
    )
    fit = ours(command, values, f"eq load: d1 d2 d3; eq het: {het}; eq f1: w", data)
    check(fit, log_likelihood(data, normal_levels(n_levels), density))


@pytest.mark.parametrize("n_levels", LEVELS)
def test_paths_among_latent_variables_within_and_across_levels(n_levels):
    """bmatrix(): u1 on u2, and with three levels u1 on t."""
    tail = [0.5] if n_levels == 3 else []
    paths = [0.4] if n_levels == 2 else [0.4, -0.6]
    values = [0.3, 0.1, 0.7, 0.9, 0.2, *tail, *paths]

    def density(rows, v):
        first, second = 0.7 * v["u"], 0.2 * v["u"] + 0.9 * v["s"]
        top = 0.5 * v.get("t", 0.0)
        first = first + 0.4 * second + (-0.6 * top if n_levels == 3 else 0.0)
        nu = 0.3 * rows["x"] + 0.1 + first + rows["z"] * second + top + rows["off"]
        return rows["wt1"] * binary(rows["b"], expit(nu))

    nrf, eqs = ("nrf(2)", "eqs(one z)") if n_levels == 2 else ("nrf(2 1)", "eqs(one z one)")
    B = "(0, 1 \\ 0, 0)" if n_levels == 2 else "(0, 1, 1 \\ 0, 0, 0 \\ 0, 0, 0)"
    command = (
        f"b x, {ids(n_levels)} family(binom) {nrf} {eqs} bmatrix(B) weight(wt) offset(off) "
        f"nip({POINTS})"
    )
    levels = normal_levels(n_levels, ("u", "s"))
    check(ours(command, values, f"matrix B = {B}"), log_likelihood(FRAME, levels, density))


def test_interaction_of_latent_variables_in_the_design():
    values = [0.3, 0.1, 0.7, 0.9, 0.2]

    def density(rows, v):
        # inter(1 2): the design variable of the first effect is multiplied by that of the second.
        first, second = rows["x"] * rows["z"], rows["z"]
        eta = first * 0.7 * v["u"] + second * (0.2 * v["u"] + 0.9 * v["s"])
        return binary(rows["b"], expit(0.3 * rows["x"] + 0.1 + eta))

    command = f"b x, i(id) family(binom) nrf(2) eqs(x z) inter(1 2) nip({POINTS})"
    levels = normal_levels(2, ("u", "s"), weighted=False)
    check(ours(command, values), log_likelihood(FRAME, levels, density))


@pytest.mark.parametrize("n_levels", LEVELS)
@pytest.mark.parametrize("scaled", [False, True])
def test_choice_sets(scaled, n_levels):
    data = FRAME.assign(id=(FRAME["set"] + 4) // 5, top=(FRAME["set"] + 19) // 20)
    data["wt2"] = data["id"] % 2 + 1
    data["wt3"] = data["top"] % 2 + 1
    rng = np.random.default_rng(1)
    data["chosen"] = 0.0
    for _, rows in data.groupby("set"):
        data.loc[rng.choice(rows.index), "chosen"] = 1.0
    data["wt1"] = data.groupby("set")["wt1"].transform("first")
    tail = [0.5] if n_levels == 3 else []
    values = [0.4, -0.3, *([0.2] if scaled else []), 0.7, *tail]
    factor = np.exp(-0.2) if scaled else 1.0

    def density(rows, v):
        nu = 0.4 * rows["x"] - 0.3 * rows["z"] + rows["x"] * 0.7 * v["u"]
        nu = nu + rows["z"] * 0.5 * v.get("t", 0.0)
        terms = choice(rows["set"].to_numpy(), rows["chosen"].to_numpy(), factor * nu.to_numpy())
        return rows["wt1"] * terms

    eqs = "eqs(x)" if n_levels == 2 else "eqs(x z)"
    link = "smlogit" if scaled else "mlogit"
    command = (
        f"alt x z, nocons {ids(n_levels)} link({link}) expanded(set chosen o) {eqs} weight(wt) "
        f"nip({POINTS})"
    )
    check(ours(command, values, frame=data), log_likelihood(data, normal_levels(n_levels), density))


@pytest.mark.parametrize("expanded", [False, True])
def test_nominal_responses_by_category(expanded):
    """Coefficients by category; unexpanded, the base category has no random part."""
    b = {1: (0.0, 0.0), 2: (0.4, 0.1), 3: (-0.3, 0.2), 4: (0.2, -0.5)}
    values = [*b[2], *b[3], *b[4], 0.7]
    persons = FRAME.groupby("set").first().reset_index()
    long = persons.loc[persons.index.repeat(4)].reset_index(drop=True)
    long["alt"] = np.tile([1.0, 2.0, 3.0, 4.0], len(persons))
    long["chosen"] = (long["alt"] == long["o"]).astype(float)

    def density(rows, v):
        alternative = rows["alt"].astype(int)
        random = rows["z"] if expanded else (alternative != 1).astype(float)
        nu = alternative.map(lambda k: b[k][0]) * rows["x"] + alternative.map(lambda k: b[k][1])
        nu = nu + random * 0.7 * v["u"]
        return choice(rows["set"].to_numpy(), rows["chosen"].to_numpy(), nu.to_numpy())

    long["z"] = long["z"] * long["alt"]
    if expanded:
        command = "alt x, i(id) link(mlogit) expanded(set chosen m) eqs(z)"
        fit = ours(f"{command} nip({POINTS})", values, frame=long)
    else:
        fit = ours(f"o x, i(id) link(mlogit) nip({POINTS})", values, frame=persons)
    check(fit, log_likelihood(long, normal_levels(2, weighted=False), density))


def test_choice_sets_beside_binary_responses():
    """A nominal and a logit response of the same persons."""
    data = FRAME.assign(id=(FRAME["set"] + 4) // 5, kind=np.where(FRAME["set"] % 3 == 0, 1.0, 2.0))
    data["chosen"] = np.where(data["kind"] == 2, (data["alt"] == 2).astype(float), 0.0)
    values = [0.4, -0.3, 0.7]

    def density(rows, v):
        nu = (0.4 * rows["x"] - 0.3 * rows["z"] + rows["x"] * 0.7 * v["u"]).to_numpy()
        nominal = (rows["kind"] == 2).to_numpy()
        out = np.where(nominal, 0.0, binary(rows["b"].to_numpy(), expit(nu)))
        sets = rows["set"].to_numpy()[nominal]
        out[nominal] = choice(sets, rows["chosen"].to_numpy()[nominal], nu[nominal])
        return out

    command = (
        "b x z, nocons i(id) family(binom) link(logit mlogit) lv(kind) "
        f"expanded(set chosen o) eqs(x) nip({POINTS})"
    )
    fit = ours(command, values, frame=data)
    check(fit, log_likelihood(data, normal_levels(2, weighted=False), density))


@pytest.mark.parametrize("n_levels", LEVELS)
@pytest.mark.parametrize("centred", [False, True])
def test_masses_with_covariates_of_their_probabilities(centred, n_levels):
    """Three classes in two dimensions at level 2; at three levels two classes above."""
    locations = [(-0.8, 0.2), (0.5, -0.3), (1.1, 0.6)]
    gamma = [(0.3, -0.4), (-0.2, 0.1)]
    pi = np.exp([gamma[0][1], gamma[1][1], 0.0])
    pi /= pi.sum()
    if centred:
        locations[2] = tuple(-(pi[:2] @ np.array(locations[:2])) / pi[2])
    values = [0.4, 0.1]
    for k in range(3):
        if k < 2 or not centred:
            values += locations[k]
        if k < 2:
            values += gamma[k] if n_levels == 2 else gamma[k][1:]
    above = [-0.6, 0.9]
    top_odds = 0.2
    top_pi = np.array([expit(top_odds), expit(-top_odds)])
    if n_levels == 3:
        if centred:
            above[1] = -top_pi[0] * above[0] / top_pi[1]
        values += [above[0], top_odds, *([] if centred else [above[1]])]

    def log_masses(rows):
        w = rows["w"].iloc[0] if n_levels == 2 else 0.0
        odds = np.array([gamma[0][0] * w + gamma[0][1], gamma[1][0] * w + gamma[1][1], 0.0])
        return odds - np.log(np.exp(odds).sum())

    nodes = tuple({"u": first, "s": second} for first, second in locations)
    levels = [Level("id", nodes, log_masses, "wt2")]
    if n_levels == 3:
        top_nodes = tuple({"t": location} for location in above)
        levels.append(Level("top", top_nodes, tuple(np.log(top_pi)), "wt3"))

    def density(rows, v):
        nu = 0.4 * rows["x"] + 0.1 + v["u"] + rows["z"] * v["s"] + v.get("t", 0.0)
        return rows["wt1"] * binary(rows["b"], expit(nu))

    nrf, eqs = ("nrf(2)", "eqs(one z)") if n_levels == 2 else ("nrf(2 1)", "eqs(one z one)")
    rule = "ip(f)" if centred else "ip(fn)"
    nip = "nip(3)" if n_levels == 2 else "nip(3 2)"
    peqs = "peqs(p)" if n_levels == 2 else ""
    command = f"b x, {ids(n_levels)} family(binom) {nrf} {eqs} {rule} {nip} {peqs} weight(wt)"
    check(ours(command, values, "eq p: w"), log_likelihood(FRAME, levels, density))


@pytest.mark.parametrize("rule", ["l", "m"])
def test_grids_and_spherical_rules(rule):
    values = [0.4, 0.1, 0.7, 0.9, 0.2]
    if rule == "m":
        spherical = spherical_rule(2, 7)
        nodes = tuple({"u": a, "s": b} for a, b in spherical.nodes)
        log_weights = tuple(spherical.log_weights)
    else:
        grid = stats.norm.ppf((2 * np.arange(1, 5) - 1) / 8)
        nodes = tuple({"u": a, "s": b} for a in grid for b in grid)
        log_weights = (-np.log(16),) * 16

    def density(rows, v):
        eta = 0.7 * v["u"] + rows["z"] * (0.2 * v["u"] + 0.9 * v["s"])
        return stats.poisson.logpmf(rows["o"], np.exp(0.4 * rows["x"] + 0.1 + eta))

    nip = "nip(7)" if rule == "m" else "nip(4)"
    command = f"o x, i(id) family(poisson) nrf(2) eqs(one z) ip({rule}) {nip}"
    levels = [Level("id", nodes, log_weights)]
    check(ours(command, values), log_likelihood(FRAME, levels, density))


def test_constraints_fix_and_tie_parameters():
    """A loading tied to another and a slope fixed: the same point as without constraints."""
    free = ours(
        "o x z, i(id) link(ologit) eqs(load) nip(3)",
        [0.4, 0.4, -0.8, 0.1, 0.9, 1.3, 1.3, 0.7],
        "eq load: d1 d2 d3",
    )
    tied = ours(
        "o x z, i(id) link(ologit) eqs(load) nip(3) constraints(1 2)",
        [0.4, -0.8, 0.1, 0.9, 1.3, 0.7],
        "eq load: d1 d2 d3; constraint 1 [o]x = [o]z; constraint 2 [id1_1l]d2 - [id1_1l]d3 = 0",
    )
    assert tied.log_likelihood == pytest.approx(free.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(tied.estimates, free.estimates)


def test_free_first_loading_with_a_fixed_deviation():
    """frload(1) and a standard deviation of 1 is the usual model in other parameters."""
    usual = ours("b x, i(id) family(binom) eqs(load) nip(3)",
                 [0.4, 0.1, 1.3, 0.6, 0.7], "eq load: d1 d2 d3")  # fmt: skip
    other = ours("b x, i(id) family(binom) eqs(load) frload(1) nip(3) constraints(1)",
                 [0.4, 0.1, 0.7, 0.91, 0.42],
                 "eq load: d1 d2 d3; constraint 1 [id1_1]d1 = 1")  # fmt: skip
    assert other.log_likelihood == pytest.approx(usual.log_likelihood, rel=1e-12)
