"""The arrays of a prediction: an immutable value, built by ``assemble``.

The rows need not be complete. A row that lacks its response, or anything of
its linear predictor, scale or weight, gets weight zero, so that it contributes
the factor 1 to the likelihood of its cluster; predictions for it come from
arrays that keep missing values as NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.design import Design
from gllamm_cli.model.spec import ModelSpec

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PredictionDesign:
    """Sorted rows of the data to predict for; N design rows.

    Attributes
    ----------
    design
        Complete arrays for the kernel; missing values are replaced and their
        rows have weight zero. Top-level units have weight 1.
    raw
        The same design with NaN where variables are missing.
    unit_weight : (top-level units,)
    unit_of_row : per level, (N,)
    response : (N,)
        Values of the response variable, NaN where missing.
    number : (N,)
        Position of each row's response in ``spec.responses``.
    alternative : (N,), optional
        Category of each row of a nominal response in the ordinary form.
    known : (N,) bool
        Rows whose family, link and group are known.
    placed : (N,) bool
        Rows whose clusters are known.
    contributes : (N,) bool
        Rows that contribute to the likelihood.
    group_start : (groups,)
        First row of each choice set or composite; of each row elsewhere.
    """

    spec: ModelSpec
    design: Design
    raw: Design
    unit_weight: FloatArray
    unit_of_row: tuple[IndexArray, ...]
    response: FloatArray
    number: IndexArray
    alternative: FloatArray | None
    known: BoolArray
    placed: BoolArray
    contributes: BoolArray
    group_start: IndexArray

    @property
    def n_rows(self) -> int:
        """Number of design rows."""
        return self.design.n_rows


def nominal_categories(spec: ModelSpec) -> tuple[float, ...]:
    """Codes of the alternatives of a nominal response, ascending."""
    others = [float(block.indicator.split()[1]) for block in spec.blocks if block.indicator]
    assert spec.base_category is not None
    return tuple(sorted([*others, spec.base_category]))
