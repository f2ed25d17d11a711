"""What a gllamm command means: an immutable specification without data.

Only names stand here; ``model.design`` turns them into arrays. Levels count
from 1 (rows) upwards; latent variables (random effects) count from 1 over all
levels, the lowest level first, as gllamm does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gllamm_cli.stata.expression import Expression

CONSTANT = "_cons"
"""Name of the variable that is 1 in every row."""


class IntegrationRule(StrEnum):
    """How the latent variables are integrated out."""

    GAUSS_HERMITE = "gauss-hermite"


class Purpose(StrEnum):
    """What is to be done with the model."""

    FIT = "fit"
    EVALUATE = "eval"
    FIXED_ONLY = "init"
    SET_UP = "noest"


@dataclass(frozen=True, slots=True)
class Response:
    """A block of rows with one family and link (short names of ``families``)."""

    family: str
    link: str
    denominator: str | None = None


@dataclass(frozen=True, slots=True)
class LatentVariable:
    """One random effect or factor.

    Attributes
    ----------
    number
        Position over all levels, from 1.
    level
        Level at which it varies, from 2.
    index
        Position within its level, from 1.
    variables
        Its loadings' variables; ``("_cons",)`` for a random intercept without
        an equation. The first loading is 1 unless ``free_first_loading``.
    stem
        Equation name of its standard deviation (diagonal Cholesky element):
        ``scho1`` without ``eqs()``, ``sch1_1`` with.
    points
        Number of quadrature points.
    """

    number: int
    level: int
    index: int
    variables: tuple[str, ...]
    stem: str
    points: int
    free_first_loading: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A level above the rows: its cluster variable and latent variables."""

    number: int
    unit: str
    latent: tuple[LatentVariable, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """``if`` and ``in`` of the command; ``rows`` is 1-based and inclusive."""

    condition: Expression | None = None
    rows: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ConstraintTerm:
    """``coefficient * [equation]name``; ``equation`` None means the first one."""

    coefficient: float
    equation: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Constraint:
    """A linear restriction ``sum(terms) = value`` on raw parameters."""

    number: int
    terms: tuple[ConstraintTerm, ...]
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class StartVector:
    """The matrix given in ``from()`` and how it is to be matched.

    ``names`` holds ``(equation, name)`` per column; a matrix typed in without
    names has ``("", "c1")`` and so on.
    """

    matrix: str
    values: tuple[float, ...]
    names: tuple[tuple[str, str], ...]
    copy: bool = False
    skip: bool = False
    long: bool = False


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A gllamm model with continuous latent variables.

    Attributes
    ----------
    depvar, covariates, constant, offset
        The fixed part of the linear predictor.
    response
        Family and link of the rows.
    has_scale
        Whether a level-1 scale parameter (``lns1``) exists.
    levels
        Levels 2 to L, lowest first.
    correlated
        False under ``nocorrel``.
    named_effects
        True when ``eqs()`` was given (it decides names of parameters).
    rule, adaptive
        The integration rule.
    weights
        ``(level, variable)`` pairs of frequency weights that exist.
    """

    depvar: str
    covariates: tuple[str, ...]
    constant: bool
    response: Response
    has_scale: bool
    levels: tuple[Level, ...]
    offset: str | None = None
    correlated: bool = True
    named_effects: bool = False
    rule: IntegrationRule = IntegrationRule.GAUSS_HERMITE
    adaptive: bool = False
    weights: tuple[tuple[int, str], ...] = ()
    constraints: tuple[Constraint, ...] = ()
    sample: Sample = Sample()
    start: StartVector | None = None
    purpose: Purpose = Purpose.FIT
    iterate: int | None = None
    difficult: bool = True
    reference: tuple[int, float] | None = None
    """``lf0(k ll)``: parameters and log likelihood of a nested model."""

    @property
    def latent(self) -> tuple[LatentVariable, ...]:
        """All latent variables in order of their numbers."""
        return tuple(effect for level in self.levels for effect in level.latent)


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """How a fit is shown; also the options of a replay."""

    level: float = 95.0
    eform: bool = False
    all_coefficients: bool = False
    trace: bool = False
    log: bool = True
    display: bool = True
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One resolved gllamm command: the model, how to show it, and notes to print first."""

    command: str
    spec: ModelSpec
    display: DisplayOptions
    notes: tuple[str, ...] = ()
