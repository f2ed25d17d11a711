"""The log likelihood at given parameters is that of the definition, summed directly."""

from __future__ import annotations

import bruteforce
import numpy as np
import pandas as pd
import pytest
from bruteforce import Nested, gauss_hermite, product, trapezoid

from gllamm_cli.data import Dataset
from gllamm_cli.session import Session

POINTS = 4
SHAPE = {2: (7, 4), 3: (4, 2, 3), 4: (3, 2, 2, 3)}
"""Units at each level from the top down, the last being rows of a level-2 unit."""
SCALE = 0.6
STANDARD_DEVIATIONS = {2: 0.5, 3: 0.4, 4: 0.3}

PAIRS = [
    *(("gauss", link) for link in ("ident", "log", "recip", "logit", "probit", "cll", "ll")),
    *(("poiss", link) for link in ("log", "ident", "recip")),
    *(("binom", link) for link in ("logit", "probit", "cll", "ll", "log", "ident", "sprobit")),
    *(("gamma", link) for link in ("recip", "log", "ident")),
]
ORDINAL = ["ologit", "oprobit", "ocll", "soprobit"]
CUTS = np.array([-0.7, 0.1, 0.9])

CONSTANT = {
    ("binom", "log"): -1.5,
    ("binom", "ident"): 0.5,
    ("poiss", "ident"): 3.0,
    ("poiss", "recip"): 0.6,
    ("gamma", "ident"): 3.0,
    ("gamma", "recip"): 0.9,
    ("gauss", "recip"): 1.2,
}
"""Constants that keep means possible; with them effects are made small."""
SMALL = 0.06


def nested_data(n_levels, seed=1):
    """Identifiers that are unique only within the next unit up, covariates, weights."""
    random = np.random.default_rng(seed)
    *units, rows = SHAPE[n_levels]
    grid = np.meshgrid(*(np.arange(1, n + 1) for n in (*units, rows)), indexing="ij")
    ids = [axis.ravel() for axis in grid[:-1]][::-1]
    n = grid[0].size
    data = {f"id{level}": unit.astype(float) for level, unit in enumerate(ids, start=2)}
    data |= {"x1": random.normal(size=n), "x2": random.normal(size=n), "one": np.ones(n)}
    data["den"] = random.integers(1, 4, size=n).astype(float)
    data["fw1"] = random.integers(1, 3, size=n).astype(float)
    for level in range(2, n_levels + 1):
        key = [data[f"id{k}"] for k in range(level, n_levels + 1)]
        _, unit = np.unique(np.stack(key), axis=1, return_inverse=True)
        data[f"fw{level}"] = random.integers(1, 4, size=unit.max() + 1)[unit].astype(float)
    return pd.DataFrame(data)


def responses(family, data, seed=2):
    random = np.random.default_rng(seed)
    n = len(data)
    if family == "binom":
        return random.binomial(data["den"].astype(int), 0.5).astype(float)
    if family == "poiss":
        return random.poisson(2.0, size=n).astype(float)
    if family == "gamma":
        return random.gamma(3.0, 0.5, size=n)
    return random.normal(0.5, 0.7, size=n)


def unique_ids(data, n_levels):
    """One identifier per unit of each level, whatever those of other units are."""
    ids = []
    for level in range(2, n_levels + 1):
        key = data[[f"id{k}" for k in range(level, n_levels + 1)]].to_numpy()
        ids.append(np.unique(key, axis=0, return_inverse=True)[1].ravel())
    return ids


def structure_at_level_2(structure, data, size):
    """Equations and options, parameters in the order of e(b), and the matrix A."""
    sd = STANDARD_DEVIATIONS[2] * size
    one, x1, x2 = (data[name].to_numpy() for name in ("one", "x1", "x2"))
    if structure == "slope":
        T = np.array([[sd, 0.0], [0.4 * sd, 0.8 * sd]])
        parameters = [T[0, 0], T[1, 1], T[1, 0]]
        return ["one", "x1"], parameters, np.stack([one, x1], axis=1) @ T
    if structure == "loadings":
        return ["one x1 x2"], [0.7, -0.4, sd], ((one + 0.7 * x1 - 0.4 * x2) * sd)[:, None]
    return ["one"], [sd], (one * sd)[:, None]


def evaluation(data, n_levels, structure, options, parameters, size, *, weights=True, rules=None):
    """Our log likelihood and the parts of the direct one."""
    equations, latent, A = structure_at_level_2(structure, data, size)
    effects = [A]
    for level in range(3, n_levels + 1):
        equations.append("one")
        latent.append(STANDARD_DEVIATIONS[level] * size)
        effects.append(np.full((len(data), 1), STANDARD_DEVIATIONS[level] * size))
    session = Session(Dataset.from_frame(data), threads=1)
    for number, variables in enumerate(equations, start=1):
        session.run(f"eq e{number}: {variables}")
    names = " ".join(f"e{number}" for number in range(1, len(equations) + 1))
    dimensions = [effect.shape[1] for effect in effects]
    units = " ".join(f"id{level}" for level in range(2, n_levels + 1))
    session.run(f"matrix a = ({', '.join(map(repr, map(float, (*parameters, *latent))))})")
    session.run(
        f"gllamm y x1 x2, i({units}) nrf({' '.join(map(str, dimensions))}) eqs({names})"
        f" {options} {'weight(fw)' if weights else ''} from(a) copy eval"
    )
    if rules is None:
        rules = [product(gauss_hermite(POINTS), d) for d in dimensions]
    columns = [
        data[f"fw{level}"].to_numpy() if weights else np.ones(len(data))
        for level in range(1, n_levels + 1)
    ]
    return session.fit, unique_ids(data, n_levels), effects, rules, columns


@pytest.mark.parametrize("structure", ["intercept", "slope", "loadings"])
@pytest.mark.parametrize("n_levels", [2, 3, 4])
@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_ordinary_quadrature_is_the_weighted_nested_sum(family, link, n_levels, structure):
    data = nested_data(n_levels)
    data["y"] = responses(family, data)
    constant = CONSTANT.get((family, link), 0.3)
    size = SMALL if (family, link) in CONSTANT else 1.0
    beta = np.array([0.3 * size, -0.2 * size, constant])
    has_scale = family in ("gauss", "gamma") or link == "sprobit"
    parameters = [*beta, *([np.log(SCALE)] if has_scale else [])]
    options = f"family({family}) link({link}) nip({POINTS})"
    options += " denom(den)" if family == "binom" else ""
    fit, ids, effects, rules, weights = evaluation(
        data, n_levels, structure, options, parameters, size
    )
    predictor = data[["x1", "x2", "one"]].to_numpy() @ beta
    y, den = data["y"].to_numpy(), data["den"].to_numpy()

    def density(rows, nu):
        shape = (-1, *[1] * (nu.ndim - 1))
        return bruteforce.log_density(
            family,
            link,
            y[rows].reshape(shape),
            nu,
            scale=SCALE,
            denominator=den[rows].reshape(shape),
        )

    direct = Nested(predictor, ids, effects, rules, weights).log_likelihood(density)
    assert np.isfinite(direct)
    assert fit.log_likelihood == pytest.approx(direct, rel=1e-10)


@pytest.mark.parametrize("n_levels", [2, 3])
@pytest.mark.parametrize("link", ORDINAL)
def test_ordinal_responses_are_the_weighted_nested_sum(link, n_levels):
    data = nested_data(n_levels)
    category = np.random.default_rng(3).integers(0, 4, size=len(data))
    # Codes are any numbers; only their order counts.
    data["y"] = np.array([1.0, 2.0, 5.0, 7.0])[category]
    beta = np.array([0.4, -0.3])
    scale = [np.log(SCALE)] if link == "soprobit" else []
    options = f"link({link}) nip({POINTS})"
    fit, ids, effects, rules, weights = evaluation(
        data, n_levels, "slope", options, [*beta, *CUTS, *scale], 1.0
    )
    predictor = data[["x1", "x2"]].to_numpy() @ beta

    def density(rows, nu):
        return bruteforce.ordinal_log_density(link, category[rows], nu, CUTS, scale=SCALE)

    direct = Nested(predictor, ids, effects, rules, weights).log_likelihood(density)
    assert fit.log_likelihood == pytest.approx(direct, rel=1e-10)


@pytest.mark.parametrize(
    ("family", "link", "n_levels", "structure"),
    [
        ("binom", "logit", 2, "slope"),
        ("binom", "probit", 3, "intercept"),
        ("poiss", "log", 2, "loadings"),
        ("poiss", "log", 3, "intercept"),
        ("gamma", "log", 2, "slope"),
    ],
)
def test_adaptive_quadrature_converges_to_the_accurate_integral(family, link, n_levels, structure):
    data = nested_data(n_levels)
    data["y"] = responses(family, data)
    beta = np.array([0.3, -0.2, 0.3])
    parameters = [*beta, *([np.log(SCALE)] if family == "gamma" else [])]
    options = f"family({family}) link({link}) nip(15) adapt"
    options += " denom(den)" if family == "binom" else ""
    dimensions = {"slope": 2}.get(structure, 1)
    rules = [product(trapezoid(0.2), dimensions), *[trapezoid(0.2)] * (n_levels - 2)]
    fit, ids, effects, rules, weights = evaluation(
        data, n_levels, structure, options, parameters, 1.0, rules=rules
    )
    predictor = data[["x1", "x2", "one"]].to_numpy() @ beta
    y, den = data["y"].to_numpy(), data["den"].to_numpy()

    def density(rows, nu):
        shape = (-1, *[1] * (nu.ndim - 1))
        return bruteforce.log_density(
            family,
            link,
            y[rows].reshape(shape),
            nu,
            scale=SCALE,
            denominator=den[rows].reshape(shape),
        )

    direct = Nested(predictor, ids, effects, rules, weights).log_likelihood(density)
    assert fit.log_likelihood == pytest.approx(direct, abs=1e-6)


@pytest.mark.parametrize("structure", ["intercept", "slope", "loadings"])
def test_adaptive_quadrature_of_a_linear_model_is_exact(structure):
    # The posterior is normal, so even few points placed by it integrate exactly.
    data = nested_data(2)
    data["y"] = responses("gauss", data)
    beta = np.array([0.3, -0.2, 0.3])
    fit, ids, (A,), _, _ = evaluation(
        data, 2, structure, "nip(5) adapt", [*beta, np.log(SCALE)], 1.0, weights=False
    )
    predictor = data[["x1", "x2", "one"]].to_numpy() @ beta
    exact = bruteforce.gaussian_log_likelihood(data["y"].to_numpy(), predictor, ids[0], A, SCALE)
    assert fit.log_likelihood == pytest.approx(exact, rel=1e-9)


def test_the_reference_agrees_with_itself():
    # Many Gauss-Hermite points and the trapezoid are different sums for one integral.
    data = nested_data(2)
    data["y"] = responses("poiss", data)
    ids = unique_ids(data, 2)
    ones = np.ones(len(data))
    y = data["y"].to_numpy()

    def value(rule):
        nested = Nested(0.3 * ones, ids, [0.5 * ones[:, None]], [rule], [ones, ones])
        return nested.log_likelihood(
            lambda rows, nu: bruteforce.log_density("poiss", "log", y[rows][:, None], nu)
        )

    assert value(gauss_hermite(60)) == pytest.approx(value(trapezoid(0.1)), abs=1e-9)
