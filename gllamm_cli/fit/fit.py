"""The fitted model: an immutable value that presenters read and files keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.records import IterationRecord as IterationRecord
from gllamm_cli.model.names import ParameterName as ParameterName

if TYPE_CHECKING:
    from gllamm_cli.model.spec import ModelSpec

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """Estimates of one model and everything needed to show them again.

    Attributes
    ----------
    command
        The command as typed.
    title
        ``gllamm model`` or ``fixed effects model`` (after ``init``).
    names
        The parameters in the order of e(b); K of them.
    estimates : (K,) raw parameters
    covariance : (K, K), zero rows for constrained parameters
        The one in force: robust if ``std_err_type`` says so.
    model_covariance : (K, K), optional
        Inverse of the information, where ``covariance`` is robust.
    free : (K,) bool, False where a constraint fixes the parameter
    n_units
        Units per level as gllamm counts them (sums of frequency weights), level 1 first.
    n_rows
        Rows of the estimation sample.
    condition_number
        sqrt(largest / smallest eigenvalue) of the information; None if it cannot be computed.
    n_free
        Number of freely estimated parameters, e(k).
    constraint_text
        Lines ``[lns1]_cons = 0`` as displayed.
    notes
        What the user must be told: boundary variances, omitted rows, dropped variables.
    """

    command: str
    title: str
    spec: ModelSpec
    names: tuple[ParameterName, ...]
    estimates: FloatArray
    covariance: FloatArray
    free: NDArray[np.bool_]
    log_likelihood: float
    n_units: tuple[float, ...]
    n_rows: int
    condition_number: float | None
    converged: bool
    n_free: int
    constraint_text: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    iterations: tuple[IterationRecord, ...] = ()
    std_err_type: str = "model"
    model_covariance: FloatArray | None = None
    timing: dict[str, float] = field(default_factory=dict)
    version: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def index(self, equation: str, name: str) -> int:
        """Position of ``[equation]name`` in e(b); ValueError if absent."""
        for position, parameter in enumerate(self.names):
            if (parameter.equation, parameter.name) == (equation, name):
                return position
        raise ValueError(f"[{equation}]{name} not found")

    def block(self, *blocks: str) -> list[int]:
        """Positions of the parameters of the given blocks."""
        return [i for i, name in enumerate(self.names) if name.block in blocks]
