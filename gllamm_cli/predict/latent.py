"""Parameters of the latent variables as matrices, and empirical Bayes moments.

With v the kernel's latent dimensions (standard normal, or indicators of
classes), the disturbances are zeta = Lambda v, Lambda being the Cholesky factor
or the locations of the classes, and the latent variables

    eta = B eta + Gamma w + zeta

(Rabe-Hesketh, Skrondal and Pickles 2004, Psychometrika 69, equations 1 to 3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.masses import level_masses
from gllamm_cli.model.design import Design
from gllamm_cli.model.spec import CONSTANT
from gllamm_cli.model.structure import n_classes

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LatentStructure:
    """Matrices of M latent variables and D latent dimensions of the kernel.

    Attributes
    ----------
    factor : (M, D)
        Lambda: zeta = Lambda v.
    paths : (M, M)
        B, strictly upper triangular.
    regressions : (latent variable, variable, coefficient)
        The nonzero elements of Gamma.
    effect_level : (M,)
        Position of each latent variable's level, from 0.
    dimensions : (levels + 1,)
        Dimensions of level k are ``dimensions[k]:dimensions[k + 1]``.
    """

    factor: FloatArray
    paths: FloatArray
    regressions: tuple[tuple[int, str, float], ...]
    effect_level: IndexArray
    dimensions: IndexArray

    @property
    def n(self) -> int:
        """Number of latent variables M."""
        return len(self.effect_level)

    def finished(self, zeta: FloatArray, variables: dict[str, FloatArray]) -> FloatArray:
        """Return eta = (I - B)^-1 (Gamma w + zeta) for rows, (N, M)."""
        eta = zeta.copy()
        for effect, variable, coefficient in self.regressions:
            eta[:, effect] += coefficient * variables[variable]
        for r in range(self.n - 2, -1, -1):
            eta[:, r] += eta[:, r + 1 :] @ self.paths[r, r + 1 :]
        return eta


def latent_structure(fit: Fit, theta: FloatArray) -> LatentStructure:
    """Matrices of a fit's latent variables at parameters ``theta`` (K,)."""
    spec = fit.spec
    fit = replace(fit, estimates=theta)
    effects = spec.latent
    M = len(effects)
    sizes = [n_classes(level) if spec.rule.discrete else len(level.latent) for level in spec.levels]
    dimensions = np.append(0, np.cumsum(sizes)).astype(np.int64)
    factor = np.zeros((M, int(dimensions[-1])))
    if spec.rule.discrete:
        for k, level in enumerate(spec.levels):
            own = [effect.number - 1 for effect in level.latent]
            factor[own, dimensions[k] : dimensions[k + 1]] = level_masses(fit, level).locations
    paths = np.zeros((M, M))
    regressions: list[tuple[int, str, float]] = []
    for name, value in zip(fit.names, theta, strict=True):
        if name.block == "diagonal":
            factor[name.effects[0] - 1, name.effects[0] - 1] = value
        elif name.block == "offdiagonal":
            factor[name.effects[0] - 1, name.effects[1] - 1] = value
        elif name.block == "bmatrix":
            paths[name.effects[0] - 1, name.effects[1] - 1] = value
        elif name.block == "regression":
            regressions.append((name.effects[0] - 1, name.name, float(value)))
    effect_level = np.array([effect.level - 2 for effect in effects], dtype=np.int64)
    return LatentStructure(factor, paths, tuple(regressions), effect_level, dimensions)


def loadings(fit: Fit, theta: FloatArray, raw: Design) -> FloatArray:
    """Design variables z of the latent variables, before B and ``inter()``, (N, M)."""
    spec = fit.spec
    values = {
        (name.effects[0], name.name): value
        for name, value in zip(fit.names, theta, strict=True)
        if name.block == "loading"
    }
    z = np.zeros((raw.n_rows, len(spec.latent)))
    for effect in spec.latent:
        for variable in effect.variables:
            x = np.ones(raw.n_rows) if variable == CONSTANT else raw.variables[variable]
            z[:, effect.number - 1] += values.get((effect.number, variable), 1.0) * x
    if spec.latent_indicator is not None:
        z *= raw.variables[spec.latent_indicator][:, None]
    return z


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Posterior moments of v by units: per level means (units, own) and covariances.

    ``covariances`` are (units, own, D): with the level's own and all higher dimensions.
    """

    means: tuple[FloatArray, ...]
    covariances: tuple[FloatArray, ...]


def unpack_moments(
    moments: FloatArray, own: int, below: int, total: int
) -> tuple[FloatArray, FloatArray]:
    """First moments (units, own) and raw second moments (units, own, total) of a level's units.

    Only columns from ``below`` on are filled.
    """
    first = moments[:, :own]
    second = np.zeros((len(moments), own, total))
    packed = own
    for i in range(own):
        for j in range(i + 1):
            second[:, i, below + j] = moments[:, packed]
            second[:, j, below + i] = moments[:, packed]
            packed += 1
    for m in range(below + own, total):
        second[:, :, m] = moments[:, packed : packed + own]
        packed += own
    return first, second


def posterior_moments(
    structure: LatentStructure, design: Design, raw_moments: tuple[FloatArray, ...]
) -> Moments:
    """Means and covariances from the kernel's raw moments."""
    total = int(structure.dimensions[-1])
    means: list[FloatArray] = []
    covariances: list[FloatArray] = []
    above = np.zeros((1, total))
    for k in reversed(range(len(design.levels))):
        below, end = int(structure.dimensions[k]), int(structure.dimensions[k + 1])
        level = design.levels[k]
        if len(level.parent):
            above = above[level.parent]
        else:
            above = np.repeat(above, level.n_units, axis=0)
        first, second = unpack_moments(raw_moments[k], end - below, below, total)
        above[:, below:end] = first
        covariance = second - first[:, :, None] * above[:, None, :]
        covariance[:, :, :below] = 0.0
        means.insert(0, first)
        covariances.insert(0, covariance)
    return Moments(tuple(means), tuple(covariances))


def means_of_rows(moments: Moments, unit_of_row: tuple[IndexArray, ...]) -> FloatArray:
    """Posterior means of v at the units of each row, (N, D)."""
    return np.hstack([mean[units] for mean, units in zip(moments.means, unit_of_row, strict=True)])


def effect_covariances(
    structure: LatentStructure, moments: Moments, r: int, c: int
) -> tuple[int, FloatArray]:
    """Posterior covariance of zeta_r and zeta_c by unit, and the position of the units' level.

    The units are those of the lower of the two levels.
    """
    if structure.effect_level[r] < structure.effect_level[c]:
        r, c = c, r
    k = int(structure.effect_level[c])
    own = slice(int(structure.dimensions[k]), int(structure.dimensions[k + 1]))
    covariance = moments.covariances[k]
    return k, np.asarray(
        np.einsum("i,uij,j->u", structure.factor[c, own], covariance, structure.factor[r])
    )


def prior_variances(structure: LatentStructure, log_masses: list[FloatArray]) -> list[FloatArray]:
    """Prior variance of each zeta_r, (1 or units,), from log probabilities of discrete levels.

    ``log_masses`` is empty for normal latent variables.
    """
    found = []
    for r in range(structure.n):
        k = int(structure.effect_level[r])
        own = slice(int(structure.dimensions[k]), int(structure.dimensions[k + 1]))
        location = structure.factor[r, own]
        if not log_masses:
            found.append(np.array([location @ location]))
            continue
        p = np.exp(log_masses[k])
        found.append(p @ location**2 - (p @ location) ** 2)
    return found
