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
    """How the latent variables are integrated out.

    The last two make locations and masses of a discrete distribution
    parameters; ``FREE_CENTRED`` keeps its mean at zero.
    """

    GAUSS_HERMITE = "gauss-hermite"
    EQUAL_PROBABILITY = "equal-probability grid"
    SPHERICAL = "spherical"
    FREE_CENTRED = "free masses, mean zero"
    FREE = "free masses"

    @property
    def discrete(self) -> bool:
        """Whether locations and masses are parameters."""
        return self in (IntegrationRule.FREE_CENTRED, IntegrationRule.FREE)


class Purpose(StrEnum):
    """What is to be done with the model."""

    FIT = "fit"
    EVALUATE = "eval"
    FIXED_ONLY = "init"
    SET_UP = "noest"


@dataclass(frozen=True, slots=True)
class Response:
    """A block of rows with one family and link (short names of ``families``).

    In a mixed response the rows are those where the selectors of the model
    have these values; None does not select.
    """

    family: str
    link: str
    denominator: str | None = None
    link_value: int | None = None
    family_value: int | None = None


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
class Thresholds:
    """Thresholds of one ordinal response: the r-th among the ordinal ones.

    ``categories`` are the observed codes in ascending order, known once there
    are data. Under ``increments`` (``ethresh()``) the parameters after the
    first threshold are logarithms of differences.
    """

    response: int
    covariates: tuple[str, ...] = ()
    increments: bool = False
    categories: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FixedBlock:
    """Fixed effects that apply where ``indicator`` is 1 (None: everywhere).

    A nominal response has one block for each category but the base.
    """

    equation: str
    indicator: str | None
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChoiceSets:
    """Nominal responses in expanded form: one row for each alternative of a unit.

    ``chosen`` is 1 in the selected row. With ``by_alternative`` the response is
    the code of the alternative and each has its own coefficients; otherwise
    one coefficient vector serves all.
    """

    unit: str
    chosen: str
    by_alternative: bool


@dataclass(frozen=True, slots=True)
class Composite:
    """``composite()``: rows of a group whose means add up, with weights, to composite means.

    Row r of group ``unit`` has the likelihood of composite ``indicator`` (0:
    none); composite k is the sum of ``portions[k - 1]`` times the rows' means.
    """

    unit: str
    indicator: str
    portions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LatentRegression:
    """``geqs()``: regression of latent variable ``number`` on observed variables."""

    equation: str
    number: int
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """``if`` and ``in`` of the command; ``rows`` is 1-based and inclusive.

    ``selected`` holds positions of rows, from 0, in place of a condition that
    refers to more than the data.
    """

    condition: Expression | None = None
    rows: tuple[int, int] | None = None
    selected: tuple[int, ...] | None = None


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
    other_responses, link_selector, family_selector
        Further blocks of a mixed response and the variables that select them.
    base_category, choice_sets
        Of a nominal response.
    composite
        Composite links.
    sampling_weights, robust, cluster
        ``pweight()`` by level; sandwich standard errors, perhaps for clusters
        of another variable.
    search, gateaux
        Number of random starting values; range and number of trial locations
        of a new mass.
    thresholds
        One for each ordinal response; complete once there are data.
    scale_variables, natural_scale
        The level-1 scale equation, on the log scale unless ``nats`` was given.
    single_scale_varies
        Whether the only scale variable has other values than 1; known once there are data.
    blocks, latent_indicator
        Fixed effects by category of a nominal response, and a column that
        says to which alternatives the latent variables apply (None: to all).
    regressions, latent_paths, interaction
        ``geqs()``; pairs (i, j) of ``bmatrix()`` by which latent variable i
        depends on j; ``inter()``.
    class_covariates
        Per level the variables of ``peqs()``.
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
    other_responses: tuple[Response, ...] = ()
    link_selector: str | None = None
    family_selector: str | None = None
    base_category: float | None = None
    choice_sets: ChoiceSets | None = None
    composite: Composite | None = None
    sampling_weights: tuple[tuple[int, str], ...] = ()
    robust: bool = False
    cluster: str | None = None
    search: int | None = None
    gateaux: tuple[float, float, int] | None = None
    thresholds: tuple[Thresholds, ...] = ()
    scale_variables: tuple[str, ...] = (CONSTANT,)
    natural_scale: bool = False
    single_scale_varies: bool = False
    blocks: tuple[FixedBlock, ...] = ()
    latent_indicator: str | None = None
    regressions: tuple[LatentRegression, ...] = ()
    latent_paths: tuple[tuple[int, int], ...] = ()
    interaction: tuple[int, int] | None = None
    class_covariates: tuple[tuple[int, tuple[str, ...]], ...] = ()
    purpose: Purpose = Purpose.FIT
    iterate: int | None = None
    difficult: bool = True
    reference: tuple[int, float] | None = None
    """``lf0(k ll)``: parameters and log likelihood of a nested model."""

    @property
    def responses(self) -> tuple[Response, ...]:
        """All blocks of responses."""
        return (self.response, *self.other_responses)

    @property
    def fixed_blocks(self) -> tuple[FixedBlock, ...]:
        """Blocks of fixed effects in the order of e(b)."""
        if self.blocks:
            return self.blocks
        constant = (CONSTANT,) if self.constant else ()
        return (FixedBlock(self.depvar, None, (*self.covariates, *constant)),)

    @property
    def denominator(self) -> str | None:
        """Variable with the number of trials of binomial rows."""
        return next((r.denominator for r in self.responses if r.denominator is not None), None)

    @property
    def constant_scale(self) -> bool:
        """Whether all rows have the same level-1 scale, if they have one."""
        return len(self.scale_variables) == 1 and not self.single_scale_varies

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
