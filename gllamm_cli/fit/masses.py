"""Discrete latent variables: locations and probabilities of the classes, and their moments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.fit.natural_estimate import NaturalEstimate, NaturalKind
from gllamm_cli.model.spec import CONSTANT
from gllamm_cli.model.structure import balanced, n_classes

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import Fit
    from gllamm_cli.model.spec import Level

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Masses:
    """A discrete distribution: probabilities (K,) and locations (effects, K)."""

    probabilities: FloatArray
    locations: FloatArray

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the effects about the mean of the distribution."""
        present = self.probabilities > 0.0
        locations, weights = self.locations[:, present], self.probabilities[present]
        deviations = locations - (locations @ weights)[:, None]
        return np.asarray((deviations * weights) @ deviations.T)


def level_masses(fit: Fit, level: Level) -> Masses:
    """Classes of a level; with covariates of the classes, where those are zero."""
    K = n_classes(level)
    numbers = [effect.number for effect in level.latent]
    log_odds = np.zeros(K)
    locations = np.zeros((len(numbers), K))
    for position in fit.block("odds", "location"):
        name, value = fit.names[position], fit.estimates[position]
        first, k = name.effects
        if name.block == "location" and first in numbers:
            locations[numbers.index(first), k - 1] = value
        elif name.block == "odds" and first == level.number and name.name == CONSTANT:
            log_odds[k - 1] = value
    weights = np.exp(log_odds - log_odds.max())
    probabilities = weights / weights.sum()
    if balanced(fit.spec):
        # The last location makes the mean zero; a class without mass has none.
        moment = locations[:, :-1] @ probabilities[:-1]
        locations[:, -1] = -moment / probabilities[-1] if probabilities[-1] > 0.0 else np.nan
    return Masses(probabilities, locations)


def effect_estimates(level: Level, masses: Masses, row: int) -> Iterator[NaturalEstimate]:
    """Locations of the effect in a row, its covariances with those before it, its variance."""
    effect = level.latent[row]
    for k, location in enumerate(masses.locations[row], start=1):
        yield NaturalEstimate(
            level=level.number,
            unit=level.unit,
            kind=NaturalKind.LOCATION,
            label=f"loc{effect.index}",
            effects=(effect.number,),
            estimate=float(location),
            mass=k,
        )
    for column, other in enumerate(level.latent[: row + 1]):
        same = column == row
        yield NaturalEstimate(
            level=level.number,
            unit=level.unit,
            kind=NaturalKind.VARIANCE if same else NaturalKind.COVARIANCE,
            label=f"var({effect.index})" if same else f"cov({effect.index},{other.index})",
            effects=(effect.number,) if same else (effect.number, other.number),
            estimate=float(masses.covariance[row, column]),
        )


def probability_estimates(level: Level, masses: Masses) -> Iterator[NaturalEstimate]:
    """Probabilities of the classes of a level."""
    for k, probability in enumerate(masses.probabilities, start=1):
        yield NaturalEstimate(
            level=level.number,
            unit=level.unit,
            kind=NaturalKind.PROBABILITY,
            label="prob",
            effects=tuple(effect.number for effect in level.latent),
            estimate=float(probability),
            mass=k,
        )
