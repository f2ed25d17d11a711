"""A fit brought to the data of a prediction, with its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import AlreadyDefined, VariableNotFound
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.parameters import Parameters, build_parameters
from gllamm_cli.predict.assemble import build_prediction_design
from gllamm_cli.predict.design import PredictionDesign
from gllamm_cli.predict.expectation import linear_coefficients
from gllamm_cli.predict.latent import LatentStructure, latent_structure, loadings
from gllamm_cli.predict.means import scales
from gllamm_cli.predict.request import StartingPoint

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


def parameters_at(fit: Fit, start: StartingPoint | None) -> FloatArray:
    """Return the estimates, or the vector of ``from()`` taken by position, (K,)."""
    if start is None:
        return fit.estimates
    wanted = len(fit.estimates)
    found = len(start.rows[0])
    if found != wanted:
        raise VariableNotFound(f"from matrix has {found} columns but should have {wanted}")
    if len(start.rows) != 1:
        raise VariableNotFound("from matrix has more than one row")
    return np.array(start.rows[0])


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """Everything a prediction is computed from; what is costly is made when asked for.

    ``theta`` (K,) are the parameters.
    """

    fit: Fit
    theta: FloatArray
    prepared: PredictionDesign
    parameters: Parameters
    threads: int | None

    @cached_property
    def engine(self) -> Engine:
        """Likelihood of the prediction's rows."""
        return Engine(self.prepared.design, self.parameters, self.threads)

    @cached_property
    def structure(self) -> LatentStructure:
        """Matrices of the latent variables."""
        return latent_structure(self.fit, self.theta)

    @cached_property
    def coefficients(self) -> FloatArray:
        """Coefficients of the linear predictor in 1 and the latent dimensions, (N, 1 + D)."""
        n_latent = 0 if self.is_one_level else int(self.structure.dimensions[-1])
        return linear_coefficients(self.prepared, self.parameters, self.theta, n_latent)

    @cached_property
    def loadings(self) -> FloatArray:
        """Design variables of the latent variables before B and ``inter()``, (N, M)."""
        return loadings(self.fit, self.theta, self.prepared.raw)

    @property
    def alpha(self) -> FloatArray:
        """Auxiliary parameters."""
        return np.asarray(self.theta[self.parameters.auxiliary_index])

    @cached_property
    def scales(self) -> FloatArray | None:
        """Level-1 scale of each row; None without one."""
        return scales(self.prepared, self.alpha)

    @property
    def is_one_level(self) -> bool:
        """Whether the model has no latent variables."""
        return not self.fit.spec.levels

    def fixed_part(self) -> FloatArray:
        """X'b and offset without geqs() regressions, (N,)."""
        structure = self.structure
        out = self.coefficients[:, 0].copy()
        if structure.regressions:
            zeros = np.zeros((self.prepared.n_rows, structure.n))
            eta = structure.finished(zeros, self.prepared.raw.variables)
            out -= np.einsum("im,im->i", eta, self.loadings)
        return out

    def predictor_given(self, eta: FloatArray) -> FloatArray:
        """Linear predictor at values ``eta`` (N, M) of the latent variables, (N,).

        As ``us()`` has it: nothing but their loadings is applied.
        """
        if self.is_one_level:
            return np.asarray(self.coefficients[:, 0])
        return np.asarray(self.fixed_part() + np.einsum("im,im->i", eta, self.loadings))

    def to_data(
        self, values: FloatArray, n_rows: int, *, category: float | None = None
    ) -> FloatArray:
        """Put values of design rows (N,) where they belong in the data, (n_rows,).

        Of a nominal response in the ordinary form those of ``category`` are taken;
        without one those of the first linear predictor, of the first category but the base.
        """
        prepared = self.prepared
        out = np.full(n_rows, np.nan)
        if prepared.alternative is None:
            out[prepared.design.rows] = values
            return out
        if category is None:
            category = float((prepared.spec.blocks[0].indicator or "").split()[1])
        shown = prepared.alternative == category
        out[prepared.design.rows[shown]] = values[shown]
        return out


def check_new(names: list[str], stub: str, dataset: Dataset) -> None:
    """Raise AlreadyDefined if a variable of one of the names, or of the stub, exists."""
    for name in (stub, *names):
        if name in dataset.names:
            raise AlreadyDefined(f"{name} already defined", hint="choose another name, or drop it")


def check_given(fit: Fit, dataset: Dataset, prefix: str) -> None:
    """Raise VariableNotFound unless prefix1, prefix2, ... exist for all latent variables."""
    for r in range(1, len(fit.spec.latent) + 1):
        if f"{prefix}{r}" not in dataset.names:
            raise VariableNotFound(f"variable {prefix}{r} not found", hint=f"us({prefix}) needs it")


def given_latent(fit: Fit, dataset: Dataset, prefix: str, rows: NDArray[np.int64]) -> FloatArray:
    """Values of the latent variables from variables prefix1, prefix2, ..., (rows, M)."""
    names = [f"{prefix}{r}" for r in range(1, len(fit.spec.latent) + 1)]
    columns = [dataset.column(name)[rows] for name in names]
    return np.column_stack(columns) if columns else np.zeros((len(rows), 0))


def prepare(
    fit: Fit,
    dataset: Dataset,
    rows: IndexArray,
    theta: FloatArray,
    *,
    needs_response: bool,
    threads: int | None,
) -> PreparedModel:
    """Bring a fit to some rows of the data at parameters ``theta`` (K,)."""
    prepared = build_prediction_design(fit.spec, dataset, rows, needs_response=needs_response)
    return PreparedModel(fit, theta, prepared, build_parameters(fit.spec), threads)
