"""The parameter vector: names, order, and the map to the kernel's parameters.

The kernel differentiates in phi = (h, alpha, odds): the coefficients h of

    nu_i = offset_i + sum_k u_i[c_k] h_k v[m_k],

where v are standardised latent variables or class indicators (v[0] = 1), the
auxiliary parameters alpha (level-1 log scale, thresholds) and the log odds of
masses. h is a polynomial in the parameters (see ``structure``), kept as a list
of monomials; alpha and odds are parameters themselves. So the chain rule from
phi to theta is the same few lines for every model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.names import ParameterName
from gllamm_cli.model.spec import CONSTANT, LatentVariable, Level, ModelSpec
from gllamm_cli.model.structure import Column, balanced, coefficients, key_of, n_classes

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


@dataclass(frozen=True)
class Parameters:
    """Names of theta (K) and the map theta -> phi (P pairs, A auxiliary, O odds).

    Attributes
    ----------
    names
        Parameters in the order of e(b).
    columns
        Design columns of the linear predictor, products of variables.
    pair_column, pair_latent : (P,)
        Column and latent dimension (0: fixed part) of each coefficient h,
        sorted by column, then dimension.
    term_pair : (T,), term_factors : (T, D), term_number : (T,)
        Monomials: coefficient ``term_pair[t]`` gains ``term_number[t]`` times
        the product of the factors ``term_factors[t]``. Factors are theta, then
        1, then the exponentials of ``exponents``.
    exponents : (E,)
        Parameters whose exponentials are factors.
    auxiliary_index : (A,), odds_index : (O,)
        Parameters that the kernel uses as they are.
    """

    names: tuple[ParameterName, ...]
    columns: tuple[Column, ...]
    pair_column: IndexArray
    pair_latent: IndexArray
    term_pair: IndexArray
    term_factors: IndexArray
    term_number: FloatArray
    exponents: IndexArray
    auxiliary_index: IndexArray
    odds_index: IndexArray

    @property
    def n(self) -> int:
        """Number of parameters K."""
        return len(self.names)

    @property
    def n_pairs(self) -> int:
        """Number of coefficients h."""
        return len(self.pair_column)

    def renumbered(self, number: IndexArray) -> Parameters:
        """Return the same parameters for other numbers of latent variables, (1 + M,)."""
        latent = number[self.pair_latent]
        order = np.lexsort((latent, self.pair_column))
        return replace(self, pair_latent=latent[order], term_pair=np.argsort(order)[self.term_pair])

    @property
    def _n_factors(self) -> int:
        return self.n + 1 + len(self.exponents)

    @cached_property
    def _linear(self) -> bool:
        """Whether h is linear in theta."""
        return self.term_factors.shape[1] == 1 and not len(self.exponents)

    @cached_property
    def _rest(self) -> IndexArray:
        """The other factors of each factor of a term, (T, D, D - 1)."""
        degree = self.term_factors.shape[1]
        others = [[e for e in range(degree) if e != d] for d in range(degree)]
        return self.term_factors[:, np.array(others, dtype=np.int64)]

    @cached_property
    def _rest_of_two(self) -> tuple[IndexArray, IndexArray]:
        """Both factors of each pair of factors as one number, (T, pairs), and the other factors."""
        degree = self.term_factors.shape[1]
        pairs = [(d, e) for d in range(degree) for e in range(degree) if d != e]
        others = [[f for f in range(degree) if f not in pair] for pair in pairs]
        first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        number = self.term_factors[:, first] * self._n_factors + self.term_factors[:, second]
        where = np.array(others, dtype=np.int64).reshape(len(pairs), max(degree - 2, 0))
        return number, self.term_factors[:, where]

    @cached_property
    def _constant_part(self) -> FloatArray:
        """The Jacobian of a linear map; of others the rows that are constant, (P + A + O, K)."""
        direct = np.concatenate([self.auxiliary_index, self.odds_index])
        out = np.zeros((self.n_pairs + len(direct), self.n))
        out[self.n_pairs + np.arange(len(direct)), direct] = 1.0
        if self._linear:
            whole = np.zeros((self.n_pairs, self._n_factors))
            np.add.at(whole, (self.term_pair, self.term_factors[:, 0]), self.term_number)
            out[: self.n_pairs] = whole[:, : self.n]
        return out

    def _factors(self, theta: FloatArray) -> FloatArray:
        # A step may lead so far out that the log likelihood there is no number, and is refused.
        with np.errstate(over="ignore"):
            return np.concatenate([theta, [1.0], np.exp(theta[self.exponents])])

    def coefficients(self, theta: FloatArray) -> FloatArray:
        """Return h(theta), shape (P,)."""
        values = self.term_number * self._factors(theta)[self.term_factors].prod(axis=1)
        totals = np.bincount(self.term_pair, weights=values, minlength=self.n_pairs)
        return np.asarray(totals, dtype=np.float64)

    def _from_factors(self, gradient: FloatArray, theta: FloatArray) -> FloatArray:
        """Chain rule from factors (last axis) to theta."""
        out = gradient[..., : self.n].copy()
        for e, k in enumerate(self.exponents):
            out[..., k] += gradient[..., self.n + 1 + e] * np.exp(theta[k])
        return out

    def jacobian(self, theta: FloatArray) -> FloatArray:
        """Return d phi / d theta, shape (P + A + O, K); not to be written to."""
        if self._linear:
            return self._constant_part
        factors, size = self._factors(theta), self._n_factors
        partial = self.term_number[:, None] * factors[self._rest].prod(axis=2)
        gradient = np.bincount(
            (self.term_pair[:, None] * size + self.term_factors).ravel(),
            weights=partial.ravel(),
            minlength=self.n_pairs * size,
        )
        out = self._constant_part.copy()
        gradient = gradient.reshape(self.n_pairs, size)
        out[: self.n_pairs] = self._from_factors(np.asarray(gradient, dtype=np.float64), theta)
        return out

    def curvature(self, theta: FloatArray, score: FloatArray) -> FloatArray:
        """Return sum_p score_p * d2 h_p / d theta d theta', shape (K, K).

        ``score`` is (P,).
        """
        if self._linear:
            return np.zeros((self.n, self.n))
        factors, size = self._factors(theta), self._n_factors
        weight = (score[self.term_pair] * self.term_number)[:, None]
        number, rest = self._rest_of_two
        partial = weight * factors[rest].prod(axis=2)
        totals = np.bincount(number.ravel(), weights=partial.ravel(), minlength=size * size)
        second = np.asarray(totals, dtype=np.float64).reshape(size, size)
        if not len(self.exponents):
            return second[: self.n, : self.n]
        out = self._from_factors(self._from_factors(second, theta).T, theta)
        partial = weight * factors[self._rest].prod(axis=2)
        first = np.bincount(
            self.term_factors.ravel(), weights=partial.ravel(), minlength=self._n_factors
        )
        for e, k in enumerate(self.exponents):
            out[k, k] += first[self.n + 1 + e] * np.exp(theta[k])
        return out


def _fixed_names(spec: ModelSpec) -> list[ParameterName]:
    return [
        ParameterName(block.equation, variable, "fixed")
        for block in spec.fixed_blocks
        for variable in block.variables
    ]


def _threshold_names(spec: ModelSpec) -> list[ParameterName]:
    return [
        ParameterName(f"_cut{thresholds.response}{s}", variable, "threshold")
        for thresholds in spec.thresholds
        for s in range(1, len(thresholds.categories))
        for variable in (*thresholds.covariates, CONSTANT)
    ]


def _scale_names(spec: ModelSpec) -> list[ParameterName]:
    if not spec.has_scale:
        return []
    equation = "s1" if spec.natural_scale else "lns1"
    return [ParameterName(equation, variable, "scale") for variable in spec.scale_variables]


def _loading_names(effect: LatentVariable) -> list[ParameterName]:
    free = effect.variables if effect.free_first_loading else effect.variables[1:]
    return [ParameterName(f"{effect.stem}l", name, "loading", (effect.number,)) for name in free]


def _normal_names(spec: ModelSpec, level: Level) -> list[ParameterName]:
    names: list[ParameterName] = []
    for effect in level.latent:
        names.extend(_loading_names(effect))
        number = (effect.number,)
        names.append(ParameterName(effect.stem, effect.variables[0], "diagonal", number))
    if spec.correlated:
        names.extend(
            ParameterName(
                f"{row.stem}_{column.index}", CONSTANT, "offdiagonal", (row.number, column.number)
            )
            for row in level.latent
            for column in level.latent[: row.index - 1]
        )
    return names


def _mass_names(spec: ModelSpec, level: Level) -> list[ParameterName]:
    names: list[ParameterName] = []
    K = n_classes(level)
    covariates = (*dict(spec.class_covariates).get(level.number, ()), CONSTANT)
    for k in range(1, K + 1):
        if k < K or not balanced(spec):
            for effect in level.latent:
                if k == 1:
                    names.extend(_loading_names(effect))
                number = effect.number if len(level.latent) > 1 else 1
                names.append(
                    ParameterName(
                        f"z{level.number}_{number}_{k}",
                        effect.variables[0],
                        "location",
                        (effect.number, k),
                    )
                )
        if k < K:
            names.extend(
                ParameterName(f"p{level.number}_{k}", name, "odds", (level.number, k))
                for name in covariates
            )
    return names


def parameter_names(spec: ModelSpec) -> tuple[ParameterName, ...]:
    """Names and order of e(b); the conventions of gllamm 2.3.20."""
    names = [*_fixed_names(spec), *_threshold_names(spec), *_scale_names(spec)]
    for level in spec.levels:
        names.extend(_mass_names(spec, level) if spec.rule.discrete else _normal_names(spec, level))
    names.extend(
        ParameterName(f"b{i}_{j}", CONSTANT, "bmatrix", (i, j)) for i, j in spec.latent_paths
    )
    names.extend(
        ParameterName(regression.equation, variable, "regression", (regression.number,))
        for regression in spec.regressions
        for variable in regression.variables
    )
    return tuple(names)


def _positions(names: tuple[ParameterName, ...], *blocks: str) -> IndexArray:
    return np.array([k for k, name in enumerate(names) if name.block in blocks], dtype=np.int64)


def build_parameters(spec: ModelSpec) -> Parameters:
    """Lay out the parameters of a specification and their map to the kernel."""
    names = parameter_names(spec)
    position = {key_of(name): k for k, name in enumerate(names)}
    exponents = [
        k
        for k, name in enumerate(names)
        if name.block == "odds" and name.name == CONSTANT and balanced(spec)
    ]
    exponential = {k: len(names) + 1 + e for e, k in enumerate(exponents)}
    monomials = coefficients(spec, position, exponential)
    columns = tuple(dict.fromkeys(column for column, _ in monomials))
    number = {column: c for c, column in enumerate(columns)}
    pairs = sorted((number[column], latent) for column, latent in monomials)
    degree = max((len(f) for terms in monomials.values() for f, _ in terms), default=1)
    one = len(names)
    terms = [
        (p, (*factors, *([one] * (degree - len(factors)))), value)
        for p, (c, latent) in enumerate(pairs)
        for factors, value in monomials[columns[c], latent]
    ]
    odds = [
        k
        for level in spec.levels
        for k, name in enumerate(names)
        if name.block == "odds" and name.effects[0] == level.number
    ]
    return Parameters(
        names=names,
        columns=columns,
        pair_column=np.array([c for c, _ in pairs], dtype=np.int64),
        pair_latent=np.array([m for _, m in pairs], dtype=np.int64),
        term_pair=np.array([p for p, _, _ in terms], dtype=np.int64),
        term_factors=np.array([f for _, f, _ in terms], dtype=np.int64).reshape(-1, max(degree, 1)),
        term_number=np.array([value for _, _, value in terms], dtype=np.float64),
        exponents=np.array(exponents, dtype=np.int64),
        auxiliary_index=np.concatenate(
            [_positions(names, "scale"), _positions(names, "threshold")]
        ),
        odds_index=np.array(odds, dtype=np.int64),
    )
