"""The parameter vector: names, order, and the map to the kernel's coefficients.

The kernel differentiates in phi = (h, alpha): the coefficients h of

    nu_i = offset_i + sum_k u_i[c_k] h_k v[m_k],

where v are standardised latent variables (v[0] = 1), and auxiliary parameters
alpha (of the level-1 log scale). Every structural element
of the model enters h as a sum of products of parameters: a fixed effect is a
product of one, the coefficient of a loading's variable on a latent variable is
loading times Cholesky element. So h is a polynomial in theta, kept as a list
of monomials, and the chain rule from phi to theta is the same few lines for
every model.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.names import ParameterName
from gllamm_cli.model.spec import CONSTANT, LatentVariable, ModelSpec

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Names of theta (K) and the polynomial map theta -> phi (P pairs + A auxiliary parameters).

    Attributes
    ----------
    names
        Parameters in the order of e(b).
    columns
        Names of the design columns of the linear predictor.
    scale_columns
        Names of the design columns of the level-1 log scale; their
        coefficients come first among the auxiliary parameters.
    pair_column, pair_latent : (P,)
        Column and latent variable (0: fixed part) of each coefficient h,
        sorted by column, then latent variable.
    term_pair : (T,), term_factors : (T, D)
        Monomials: coefficient ``term_pair[t]`` gains the product of the
        parameters ``term_factors[t]``; index K stands for 1.
    auxiliary_index : (A,)
        Parameters that are the auxiliary parameters alpha.
    """

    names: tuple[ParameterName, ...]
    columns: tuple[str, ...]
    scale_columns: tuple[str, ...]
    pair_column: IndexArray
    pair_latent: IndexArray
    term_pair: IndexArray
    term_factors: IndexArray
    auxiliary_index: IndexArray

    @property
    def n(self) -> int:
        """Number of parameters K."""
        return len(self.names)

    @property
    def n_pairs(self) -> int:
        """Number of coefficients h."""
        return len(self.pair_column)

    def coefficients(self, theta: FloatArray) -> FloatArray:
        """Return h(theta), shape (P,)."""
        values = np.append(theta, 1.0)[self.term_factors].prod(axis=1)
        return np.bincount(self.term_pair, weights=values, minlength=self.n_pairs)

    def jacobian(self, theta: FloatArray) -> FloatArray:
        """Return d phi / d theta, shape (P + A, K)."""
        factors = np.append(theta, 1.0)[self.term_factors]
        jacobian = np.zeros((self.n_pairs + len(self.auxiliary_index), self.n + 1))
        for d in range(factors.shape[1]):
            partial = np.delete(factors, d, axis=1).prod(axis=1)
            np.add.at(jacobian, (self.term_pair, self.term_factors[:, d]), partial)
        jacobian[self.n_pairs + np.arange(len(self.auxiliary_index)), self.auxiliary_index] = 1.0
        return jacobian[:, : self.n]

    def curvature(self, theta: FloatArray, score: FloatArray) -> FloatArray:
        """Return sum_p score_p * d2 phi_p / d theta d theta', shape (K, K)."""
        factors = np.append(theta, 1.0)[self.term_factors]
        weight = score[self.term_pair]
        curvature = np.zeros((self.n + 1, self.n + 1))
        degree = factors.shape[1]
        for d in range(degree):
            for e in range(degree):
                if d != e:
                    partial = weight * np.delete(factors, (d, e), axis=1).prod(axis=1)
                    index = (self.term_factors[:, d], self.term_factors[:, e])
                    np.add.at(curvature, index, partial)
        return curvature[: self.n, : self.n]


def _loading_variables(effect: LatentVariable) -> tuple[str, ...]:
    """Variables of an effect whose loadings are parameters."""
    return effect.variables if effect.free_first_loading else effect.variables[1:]


def parameter_names(spec: ModelSpec) -> tuple[ParameterName, ...]:
    """Names and order of e(b); Rabe-Hesketh's gllamm 2.3.20 conventions."""
    fixed = (*spec.covariates, *((CONSTANT,) if spec.constant else ()))
    names = [ParameterName(spec.depvar, name, "fixed") for name in fixed]
    if spec.has_scale:
        names.append(ParameterName("lns1", CONSTANT, "scale"))
    for level in spec.levels:
        for effect in level.latent:
            number = (effect.number,)
            names.extend(
                ParameterName(f"{effect.stem}l", variable, "loading", number)
                for variable in _loading_variables(effect)
            )
            names.append(ParameterName(effect.stem, effect.variables[0], "diagonal", number))
        if spec.correlated:
            names.extend(
                ParameterName(
                    f"{row.stem}_{column.index}",
                    CONSTANT,
                    "offdiagonal",
                    (row.number, column.number),
                )
                for row in level.latent
                for column in level.latent[: row.index - 1]
            )
    return tuple(names)


def build_parameters(spec: ModelSpec) -> Parameters:
    """Lay out the parameters of a specification and their map to the kernel."""
    names = parameter_names(spec)
    # Keyed by meaning, not by equation name: gllamm's names need not be unique.
    position = {
        (name.block, name.effects, "" if name.effects and name.block != "loading" else name.name): k
        for k, name in enumerate(names)
    }
    columns: dict[str, int] = {}
    monomials: dict[tuple[int, int], list[tuple[int, ...]]] = defaultdict(list)

    def column(variable: str) -> int:
        return columns.setdefault(variable, len(columns))

    for k, name in enumerate(names):
        if name.block == "fixed":
            monomials[column(name.name), 0].append((k,))
    for level in spec.levels:
        for row in level.latent:
            for variable in row.variables:
                loading = position.get(("loading", (row.number,), variable))
                for latent in level.latent[: row.index]:
                    if latent is row:
                        cholesky = position["diagonal", (row.number,), ""]
                    elif spec.correlated:
                        cholesky = position["offdiagonal", (row.number, latent.number), ""]
                    else:
                        continue
                    factors = (cholesky,) if loading is None else (cholesky, loading)
                    monomials[column(variable), latent.number].append(factors)

    pairs = sorted(monomials)
    degree = max((len(term) for terms in monomials.values() for term in terms), default=1)
    padded = [
        (p, (*term, *([len(names)] * (degree - len(term)))))
        for p, pair in enumerate(pairs)
        for term in monomials[pair]
    ]
    return Parameters(
        names=names,
        columns=tuple(columns),
        scale_columns=(CONSTANT,) if spec.has_scale else (),
        pair_column=np.array([c for c, _ in pairs], dtype=np.int64),
        pair_latent=np.array([m for _, m in pairs], dtype=np.int64),
        term_pair=np.array([p for p, _ in padded], dtype=np.int64),
        term_factors=np.array([f for _, f in padded], dtype=np.int64).reshape(-1, degree),
        auxiliary_index=np.array(
            [k for k, name in enumerate(names) if name.block == "scale"], dtype=np.int64
        ),
    )
