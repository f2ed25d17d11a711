"""Which rows a prediction uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import (
    InsufficientObservations,
    InvalidSyntax,
    NoObservations,
    VariableNotFound,
)
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.sample import estimation_rows
from gllamm_cli.model.spec import Sample
from gllamm_cli.predict.request import Rows
from gllamm_cli.stata.evaluate import sample_mask

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.int64]


def estimation_sample(fit: Fit, dataset: Dataset) -> BoolArray:
    """Rows that the fitted command would use in these data, (rows,).

    They are e(sample) as long as the data are those of the fit.
    """
    selected = np.zeros(dataset.n_rows, dtype=bool)
    try:
        rows, _ = estimation_rows(fit.spec, dataset)
    except (NoObservations, InsufficientObservations, InvalidSyntax):
        # An in range beyond the last row selects nothing either.
        return selected
    selected[rows] = True
    return selected


def rows_to_use(
    fit: Fit,
    dataset: Dataset,
    rows: Rows,
    sample: BoolArray | None,
    selected: BoolArray | None = None,
    *,
    least: int = 1,
) -> IndexArray:
    """Positions of the rows that ``if``, ``in`` and e(sample) leave; r(2001) if too few.

    ``sample`` is e(sample); None for ``estimation_sample``. ``selected`` are the
    rows that ``if`` and ``in`` select; None to find them here.
    """
    if sample is None and not rows.beyond_sample:
        sample = estimation_sample(fit, dataset)
    elif sample is None and selected is None and rows.condition is not None:
        # The condition may mention e(sample), which is 0 in data of another kind.
        try:
            sample = estimation_sample(fit, dataset)
        except VariableNotFound:
            sample = np.zeros(dataset.n_rows, dtype=bool)
    if selected is None:
        wanted = Sample(rows.condition, rows.rows)
        selected = sample_mask(dataset, wanted, estimation_sample=sample)
    if not rows.beyond_sample and sample is not None:
        selected = selected & sample
    if int(selected.sum()) < least:
        raise InsufficientObservations(
            "insufficient observations",
            hint="fsample goes beyond the rows of the estimation"
            if not rows.beyond_sample
            else "if and in leave too few rows",
        )
    return np.flatnonzero(selected).astype(np.int64)
