"""The value one natural-scale number is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NaturalKind(StrEnum):
    """What a natural-scale number is."""

    LEVEL1_VARIANCE = "level1_variance"
    LEVEL1_LOG_SD = "level1_log_sd"
    VARIANCE = "variance"
    COVARIANCE = "covariance"
    CORRELATION = "correlation"
    LOADING = "loading"
    REGRESSION = "regression"
    BMATRIX = "bmatrix"
    PROBABILITY = "probability"
    LOCATION = "location"
    LOG_ODDS = "log_odds"


@dataclass(frozen=True, slots=True)
class NaturalEstimate:
    """One number of the blocks below the coefficient table.

    Attributes
    ----------
    level, unit
        Level and its cluster variable; level 1 has the unit "".
    label
        As printed; random effects count from 1 within each level here.
    effects
        Numbers of the latent variables concerned, counted over all levels.
    std_err
        None where there is none: correlations, moments of masses, fixed values.
    variable
        Of a loading, a regression, log odds or an equation for the level-1 scale.
    mass
        Class of a location, a probability or log odds, from 1.
    fixed
        Set by the model, not estimated: a first loading, a covariance under ``nocorrel``.
    """

    level: int
    unit: str
    kind: NaturalKind
    label: str
    effects: tuple[int, ...]
    estimate: float
    std_err: float | None = None
    variable: str | None = None
    mass: int | None = None
    fixed: bool = False
