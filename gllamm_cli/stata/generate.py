"""``generate``: a new variable from an expression, stored as Stata stores it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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
        return np.where(np.isfinite(single), single, np.nan)
    low, high = INTEGER_LIMITS[storage_type]
    whole = np.trunc(values)
    return np.where((whole >= low) & (whole <= high), whole, np.nan)


def generate(
    statement: Generate,
    dataset: Dataset,
    *,
    random: np.random.Generator | None = None,
    estimation_sample: NDArray[np.bool_] | None = None,
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
    evaluator = Evaluator(dataset, random, estimation_sample)
    selected = np.ones(dataset.n_rows, dtype=bool)
    if statement.condition is not None:
        selected &= truth(evaluator.number(statement.condition))
    if statement.rows is not None:
        rows = (statement.rows.first, statement.rows.last)
        first, last = absolute_rows(rows, dataset.n_rows, statement.rows.span)
        selected[: first - 1] = False
        selected[last:] = False
    value = np.broadcast_to(evaluator.value(statement.expression), (dataset.n_rows,))
    wants_text = statement.storage_type.startswith("str")
    if is_text(value):
        if not wants_text and statement.storage_type != "float":
            raise TypeMismatch("type mismatch", span=statement.expression.span)
        text = np.where(selected, value, "").astype(object)
        return dataset.with_column(name, text, storage_type="str"), ()
    if wants_text:
        raise TypeMismatch("type mismatch", span=statement.expression.span)
    numbers = stored(np.where(selected, value, np.nan), statement.storage_type)
    missing = int(np.isnan(numbers).sum())
    plural = "s" if missing != 1 else ""
    notes = (f"({missing:,} missing value{plural} generated)",) if missing else ()
    return dataset.with_column(name, numbers, storage_type=statement.storage_type), notes
