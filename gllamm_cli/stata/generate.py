"""``generate``: a new variable from an expression, stored as Stata stores it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gllamm_cli.errors import AlreadyDefined, TypeMismatch
from gllamm_cli.stata.evaluate import Evaluator, absolute_rows
from gllamm_cli.stata.functions import FloatArray, is_text, truth

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset
    from gllamm_cli.stata.definitions import Generate

INTEGER_LIMITS = {
    "byte": (-127, 100),
    "int": (-32767, 32740),
    "long": (-2147483647, 2147483620),
}


def stored(values: FloatArray, storage_type: str) -> FloatArray:
    """Return numbers as a variable of the type keeps them.

    ``float`` rounds to single precision; integer types cut off fractions and
    hold missing where the number is out of range.
    """
    if storage_type == "double":
        return values
    if storage_type == "float":
        with np.errstate(over="ignore"):
            single = values.astype(np.float32).astype(np.float64)
        overflow = np.isinf(single)
        single = np.where(np.isnan(values), values, single)
        return np.where(overflow, np.nan, single) if overflow.any() else single
    low, high = INTEGER_LIMITS[storage_type]
    whole = np.trunc(values)
    legal = ((whole >= low) & (whole <= high)) | np.isnan(values)
    return np.where(legal, whole, np.nan)


def generate(
    statement: Generate, dataset: Dataset, evaluator: Evaluator
) -> tuple[Dataset, tuple[str, ...]]:
    """Return the data with the new variable, and notes to print.

    Raises
    ------
    AlreadyDefined
        The variable exists.
    TypeMismatch
        Text into a numeric type or the reverse.
    """
    name = statement.name
    if name in dataset.names:
        raise AlreadyDefined(
            f"variable {name} already defined", span=statement.span, hint="choose another name"
        )
    selected = np.ones(dataset.n_rows, dtype=bool)
    if statement.condition is not None:
        selected &= truth(evaluator.number(statement.condition))
    if statement.rows is not None:
        rows = (statement.rows.first, statement.rows.last)
        first, last = absolute_rows(rows, dataset.n_rows, statement.rows.span)
        selected[: first - 1] = False
        selected[last:] = False
    value = np.broadcast_to(evaluator.value(statement.expression), (dataset.n_rows,))
    kind = statement.storage_type
    if is_text(value):
        if not kind.startswith("str") and kind:
            raise TypeMismatch("type mismatch", span=statement.expression.span)
        text = np.where(selected, value, "").astype(object)
        return dataset.with_column(name, text, storage_type="str"), ()
    if kind.startswith("str"):
        raise TypeMismatch("type mismatch", span=statement.expression.span)
    kind = kind or statement.default_type
    numbers = stored(np.where(selected, value, np.nan), kind)
    missing = int(np.isnan(numbers).sum())
    plural = "s" if missing != 1 else ""
    notes = (f"({missing:,} missing value{plural} generated)",) if missing else ()
    return dataset.with_column(name, numbers, storage_type=kind), notes
