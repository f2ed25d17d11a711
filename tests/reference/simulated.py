"""Small simulated designs with every structural element, for checks against other computations."""

from __future__ import annotations

import numpy as np

from gllamm_cli.model.design import Design, DesignLevel
from gllamm_cli.model.families import FAMILY_BY_NAME, LINK_BY_NAME, kind
from gllamm_cli.model.quadrature import ProductRule, Rule
from gllamm_cli.model.spec import LatentVariable, Level, ModelSpec, Response

CHILDREN = {2: (9,), 3: (4, 3), 4: (3, 2, 2)}
"""Units of the level below in each unit, from the top down, the last being rows in level 2."""


def make_spec(family: str, link: str, n_levels: int, *, structure: str) -> ModelSpec:
    """A specification whose lowest level has what ``structure`` names.

    ``intercept``; ``slope`` (two correlated effects); ``loadings`` (a factor
    measured by three indicators). Higher levels have a random intercept.
    """
    effects = {
        "intercept": [("_cons",)],
        "slope": [("_cons",), ("x1",)],
        "loadings": [("d1", "d2", "x2")],
    }[structure]
    levels = []
    number = 0
    for level in range(2, n_levels + 1):
        latent = []
        for index, variables in enumerate(effects if level == 2 else [("_cons",)], start=1):
            number += 1
            stem = f"lev{level}_{index}"
            latent.append(LatentVariable(number, level, index, variables, stem, 4))
        levels.append(Level(level, f"unit{level}", tuple(latent)))
    return ModelSpec(
        depvar="y",
        covariates=("x1", "x2"),
        constant=True,
        response=Response(family, link),
        has_scale=FAMILY_BY_NAME[family].has_scale,
        levels=tuple(levels),
        named_effects=True,
    )


def _mean_scale(family: str, link: str) -> tuple[float, float]:
    """Constant and spread of predictors that give possible means for a pair."""
    low, high = LINK_BY_NAME[link].means
    needs_probability = family == "binom"
    if link == "ident":
        return (0.5, 0.02) if needs_probability else (4.0, 0.1)
    if link == "recip":
        return (2.5, 0.05) if needs_probability else (0.8, 0.02)
    if link == "log" and needs_probability:
        return -1.5, 0.1
    return (0.2, 0.5) if np.isfinite(high) or low == -np.inf else (0.3, 0.4)


def make_design(
    spec: ModelSpec, *, weighted: bool, seed: int = 1, n_top: int = 3
) -> tuple[Design, float, float]:
    """Data for a specification; also a constant and a spread for sensible parameters."""
    rng = np.random.default_rng(seed)
    n_levels = len(spec.levels) + 1
    counts = [n_top]
    for n in CHILDREN[n_levels][:-1]:
        counts.append(counts[-1] * n)
    n_rows = counts[-1] * CHILDREN[n_levels][-1]
    # Unequal units: rows are dealt at random, every unit keeping at least one.
    sizes_above = [*counts[::-1]]
    levels = []
    below = n_rows
    for k, n_units in enumerate(sizes_above):
        cuts = np.sort(rng.choice(np.arange(1, below), n_units - 1, replace=False))
        first = np.concatenate([[0], cuts, [below]]).astype(np.int64)
        weight = rng.integers(1, 4, n_units).astype(float) if weighted else np.ones(n_units)
        rule = ProductRule(tuple(effect.points for effect in spec.levels[k].latent))
        if spec.rule.discrete:
            rule = Rule(np.eye(4), np.zeros(4))
        levels.append([first, weight, rule, np.zeros(0, dtype=np.int64)])
        below = n_units
    for k in range(len(levels) - 1):
        upper = levels[k + 1][0]
        levels[k][3] = np.repeat(np.arange(len(upper) - 1), np.diff(upper))
    for k in reversed(range(len(levels))):
        higher = levels[k + 1][4][levels[k][3]] if k + 1 < len(levels) else 1.0
        levels[k].append(levels[k][1] * higher)
        levels[k].append(np.ones(len(levels[k][1])))
        if spec.rule.discrete:
            covariates = len(dict(spec.class_covariates).get(k + 2, ()))
            units = len(levels[k][1])
            design = np.column_stack([rng.normal(size=(units, covariates)), np.ones(units)])
            levels[k].append(design if covariates else np.ones((1, 1)))
    constant, spread = _mean_scale(spec.response.family, spec.response.link)
    x1 = rng.normal(size=n_rows)
    x2 = rng.uniform(-1, 1, size=n_rows)
    item = rng.integers(0, 3, n_rows)
    denominator = rng.integers(1, 5, n_rows).astype(float)
    family = spec.response.family
    if family == "binom":
        y = rng.binomial(denominator.astype(int), 0.4).astype(float)
    else:
        denominator = np.ones(n_rows)
        if family == "poiss":
            y = rng.poisson(2.0, n_rows).astype(float)
        elif family == "gamma":
            y = rng.gamma(2.0, 0.7, n_rows)
        else:
            y = rng.normal(0.5, 1.0, n_rows)
    design = Design(
        kind=np.full(n_rows, kind(family, spec.response.link), dtype=np.int32),
        positions=None,
        n_units=(0.0,),
        y=y,
        denominator=denominator,
        offset=rng.normal(size=n_rows) * 0.1 * spread,
        row_weight=rng.integers(1, 3, n_rows).astype(float) if weighted else np.ones(n_rows),
        total_weight=np.ones(n_rows),
        frequency=np.ones(n_rows),
        scale_variables=spec.scale_variables if spec.has_scale else (),
        variables={
            "x1": x1,
            "x2": x2,
            "d1": (item == 0).astype(float),
            "d2": (item == 1).astype(float),
        },
        levels=tuple(DesignLevel(*level) for level in levels),
        entry_start=None,
    )
    return design, constant, spread


def make_theta(names, constant: float, spread: float, seed: int = 2) -> np.ndarray:
    """Parameter values with plausible means, away from symmetry."""
    rng = np.random.default_rng(seed)
    theta = np.empty(len(names))
    for k, name in enumerate(names):
        draw = rng.uniform(0.3, 1.0)
        if name.block == "fixed":
            theta[k] = constant if name.name == "_cons" else spread * (draw - 0.6)
        elif name.block == "scale":
            theta[k] = -0.3 * draw
        elif name.block == "threshold":
            number = float(name.equation[-1])
            theta[k] = number - 2.0 + 0.2 * draw if name.name == "_cons" else 0.05 * draw
        elif name.block in ("odds", "location"):
            theta[k] = (draw - 0.65) * (2 if name.block == "odds" else 3 * spread)
        elif name.block == "loading":
            theta[k] = 0.5 + draw
        else:
            theta[k] = spread * draw * (1 if name.block == "diagonal" else -0.5)
    return theta
