"""What can be asked of a fit, and what comes back: immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gllamm_cli.stata.expression import Expression

FloatArray = NDArray[np.float64]


class Quantity(StrEnum):
    """What ``gllapred`` predicts, by the names of its options."""

    XB = "xb"
    U = "u"
    USTD = "ustd"
    P = "p"
    S = "s"
    LINPRED = "linpred"
    MU = "mu"
    LL = "ll"
    FAC = "fac"
    DEVIANCE = "deviance"
    PEARSON = "pearson"
    ANSCOMBE = "anscombe"
    COOKSD = "cooksd"

    @property
    def is_residual(self) -> bool:
        """Whether it is a residual."""
        return self in (Quantity.DEVIANCE, Quantity.PEARSON, Quantity.ANSCOMBE)

    @property
    def is_function_of_mean(self) -> bool:
        """Whether it is ``mu`` or a residual."""
        return self is Quantity.MU or self.is_residual


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """The matrix given in ``from()``: its name and its rows."""

    name: str
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to use: ``if``, ``in`` (1-based, inclusive), and whether beyond e(sample)."""

    condition: Expression | None = None
    rows: tuple[int, int] | None = None
    beyond_sample: bool = False


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """One ``gllapred`` command.

    Attributes
    ----------
    stub
        Name, or beginning of the names, of the new variables.
    quantity
        What is predicted.
    rows
        ``if``, ``in`` and ``fsample``.
    marginal
        Expectations over the prior instead of the posterior distribution.
    us
        Prefix of variables that hold values of the latent variables.
    outcome
        Category of a nominal response.
    above
        Categories of the ordinal responses, one for all or one for each.
    corr, nooffset, adapt
        Posterior correlations; leave the offset out; adaptive quadrature.
    start
        Parameters other than the estimates.
    """

    stub: str
    quantity: Quantity = Quantity.XB
    rows: Rows = Rows()
    marginal: bool = False
    us: str | None = None
    outcome: float | None = None
    above: tuple[float, ...] = ()
    corr: bool = False
    nooffset: bool = False
    adapt: bool = False
    start: StartingPoint | None = None


class Simulated(StrEnum):
    """What ``gllasim`` stores beside, or instead of, responses."""

    U = "u"
    FAC = "fac"
    LINPRED = "linpred"
    MU = "mu"


@dataclass(frozen=True, slots=True)
class SimulateRequest:
    """One ``gllasim`` command; the attributes are those of ``PredictRequest``.

    ``response`` asks for simulated responses, ``quantity`` for what the same
    draws of the latent variables imply; one of them must be given.
    """

    stub: str
    response: bool = True
    quantity: Simulated | None = None
    rows: Rows = Rows()
    us: str | None = None
    outcome: float | None = None
    above: tuple[float, ...] = ()
    nooffset: bool = False
    start: StartingPoint | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """New variables and what was printed.

    Attributes
    ----------
    columns
        By name, each (rows of the data,), NaN where nothing is predicted.
    labels
        Variable labels, by name.
    lines
        The lines gllapred or gllasim prints.
    warnings
        Lines to be shown in red.
    notes
        On options without effect; gllapred and gllasim do not print these.
    log_likelihood
        Log likelihood of the rows used, if it was computed.
    scores
        After Cook's distances the scores of the top-level units by name, each
        (units,): the unit (or row) and d1, d2, ... in the free parameters.
    """

    columns: Mapping[str, FloatArray]
    labels: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    log_likelihood: float | None = None
    scores: Mapping[str, FloatArray] = field(default_factory=dict)
