"""The structural part of a model as polynomials in the parameters.

The linear predictor is nu = sum_columns u * h, with each coefficient h a sum
of products of *factors*. Columns are products of variables, named by the
sorted tuple of their names. Factors are the parameters and, for masses, the
exponentials of some of them. The design variables z_m of the latent variables
are built step by step as gllamm does (its reduced form):

(a) z_m = variables times loadings;
(b) z_m gains B[j, m] z_j for j < m, z_j already updated;
(c) the fixed part gains (w' gamma_m) z_m;
(d) ``inter``: z_l becomes z_l z_r;
(e) z_m becomes sum_j L[j, m] z_j, L the block-diagonal Cholesky factor; with a
    discrete distribution, class k has the coefficient sum_m location_mk z_m.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from gllamm_cli.model.names import ParameterName
from gllamm_cli.model.spec import CONSTANT, IntegrationRule, Level, ModelSpec

Column = tuple[str, ...]
"""Product of variables; empty for the constant."""
Monomial = tuple[tuple[int, ...], float]
"""Factors and a number."""
Polynomial = dict[Column, list[Monomial]]
Key = tuple[str, tuple[int, ...], str]
Coefficients = dict[tuple[Column, int], list[Monomial]]
"""By column and latent dimension of the kernel (0: fixed part)."""


def as_column(*variables: str) -> Column:
    """Column of a product of variables."""
    return tuple(sorted(name for name in variables if name != CONSTANT))


def _times(polynomial: Polynomial, factors: tuple[int, ...], number: float = 1.0) -> Polynomial:
    return {
        column: [((*f, *factors), number * c) for f, c in terms]
        for column, terms in polynomial.items()
    }


def _add(to: Polynomial, other: Polynomial) -> None:
    for column, terms in other.items():
        to.setdefault(column, []).extend(terms)


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    out: Polynomial = {}
    for column, terms in a.items():
        for other, more in b.items():
            out.setdefault(as_column(*column, *other), []).extend(
                ((*f, *g), c * d) for f, c in terms for g, d in more
            )
    return out


def key_of(name: ParameterName) -> Key:
    """What identifies a parameter by its meaning; gllamm's names need not be unique."""
    named = name.block in ("fixed", "scale", "threshold", "loading", "odds", "regression")
    equation = name.equation if name.block in ("fixed", "threshold") else ""
    return (
        name.block + (f":{equation}" if equation else ""),
        name.effects,
        name.name if named else "",
    )


def _design_polynomials(spec: ModelSpec, position: Mapping[Key, int]) -> dict[int, Polynomial]:
    """Steps (a) and (b): design variables by number of latent variable."""
    designs: dict[int, Polynomial] = {}
    for effect in spec.latent:
        design: Polynomial = {}
        for variable in effect.variables:
            loading = position.get(("loading", (effect.number,), variable))
            factors = () if loading is None else (loading,)
            where = (spec.latent_indicator,) if spec.latent_indicator else ()
            _add(design, {as_column(variable, *where): [(factors, 1.0)]})
        designs[effect.number] = design
    for m in sorted(designs):
        for j in range(1, m):
            path = position.get(("bmatrix", (j, m), ""))
            if path is not None:
                _add(designs[m], _times(designs[j], (path,)))
    return designs


def _continuous(
    spec: ModelSpec, level: Level, designs: dict[int, Polynomial], position: Mapping[Key, int]
) -> dict[int, Polynomial]:
    """Step (e) for normal latent variables: coefficients by number of latent variable."""
    out: dict[int, Polynomial] = {}
    for latent in level.latent:
        total: Polynomial = {}
        for row in level.latent[latent.index - 1 :]:
            if row is latent:
                cholesky = position["diagonal", (row.number,), ""]
            elif spec.correlated:
                cholesky = position["offdiagonal", (row.number, latent.number), ""]
            else:
                continue
            _add(total, _times(designs[row.number], (cholesky,)))
        out[latent.number] = total
    return out


def n_classes(level: Level) -> int:
    """Number of masses of a discrete level."""
    return level.latent[0].points


def _discrete(
    spec: ModelSpec,
    level: Level,
    designs: dict[int, Polynomial],
    position: Mapping[Key, int],
    exponential: Mapping[int, int],
    first: int,
) -> dict[int, Polynomial]:
    """Step (e) for masses: coefficients by class, numbered from ``first``."""
    out: dict[int, Polynomial] = {}
    K = n_classes(level)
    for k in range(1, K + 1):
        total: Polynomial = {}
        for effect in level.latent:
            location = position.get(("location", (effect.number, k), ""))
            if location is not None:
                _add(total, _times(designs[effect.number], (location,)))
                continue
            # The last location balances the others: mean zero, and p_k/p_K = exp(odds_k).
            for other in range(1, K):
                factors = (
                    position["location", (effect.number, other), ""],
                    exponential[position["odds", (level.number, other), CONSTANT]],
                )
                _add(total, _times(designs[effect.number], factors, -1.0))
        out[first + k - 1] = total
    return out


def coefficients(
    spec: ModelSpec, position: Mapping[Key, int], exponential: Mapping[int, int]
) -> Coefficients:
    """All coefficients of the linear predictor as polynomials.

    Parameters
    ----------
    position
        Factor (parameter) of each parameter by meaning.
    exponential
        Factor that is the exponential of a parameter, by its position.
    """
    out: Coefficients = defaultdict(list)
    for block in spec.fixed_blocks:
        indicator = (block.indicator,) if block.indicator else ()
        for variable in block.variables:
            factor = position[f"fixed:{block.equation}", (), variable]
            out[as_column(variable, *indicator), 0].append(((factor,), 1.0))
    designs = _design_polynomials(spec, position)
    for regression in spec.regressions:
        for variable in regression.variables:
            factor = position["regression", (regression.number,), variable]
            term = _product(designs[regression.number], {as_column(variable): [((factor,), 1.0)]})
            for column, terms in term.items():
                out[column, 0].extend(terms)
    if spec.interaction is not None:
        left, right = spec.interaction
        designs[left] = _product(designs[left], designs[right])
    dimension = 1
    for level in spec.levels:
        if spec.rule.discrete:
            blocks = _discrete(spec, level, designs, position, exponential, dimension)
            dimension += n_classes(level)
        else:
            blocks = _continuous(spec, level, designs, position)
        for latent, polynomial in blocks.items():
            for column, terms in polynomial.items():
                out[column, latent].extend(terms)
    return dict(out)


def balanced(spec: ModelSpec) -> bool:
    """Whether the last location of each discrete effect is determined by the others."""
    return spec.rule is IntegrationRule.FREE_CENTRED
