"""pandas tables as columns of numbers and text."""

from __future__ import annotations

from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.columns import FloatArray, Values, smallest_whole_type

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = (Real, Decimal, np.bool_)
LARGEST_EXACT = 2.0**53
"""Size beyond which not all whole numbers have a place in float64."""


def columns_of_frame(frame: pd.DataFrame) -> tuple[list[str], list[Values], list[str]]:
    """Return names, values as float64 or text, and Stata's storage types.

    Categories that are numbers become numbers, others text. Dates become days since
    1 January 1960, infinite numbers missing. Whole numbers that have no place in float64,
    such as long identifiers, become text.
    """
    columns: list[Values] = []
    kinds: list[str] = []
    for position in range(frame.shape[1]):
        values, kind = _converted(frame.iloc[:, position])
        columns.append(values)
        kinds.append(kind)
    return [str(name) for name in frame.columns], columns, kinds


def _as_text(series: pd.Series[Any]) -> NDArray[np.object_]:
    values = series.to_numpy(dtype=object)
    missing = series.isna().to_numpy()
    return np.array(
        ["" if gone else str(value) for value, gone in zip(values, missing, strict=True)],
        dtype=object,
    )


def _converted(series: pd.Series[Any]) -> tuple[FloatArray | NDArray[np.object_], str]:
    """Return the values as float64 or text, and Stata's storage type."""
    from pandas.api import types

    if isinstance(series.dtype, types.CategoricalDtype):
        if not types.is_numeric_dtype(series.cat.categories.dtype):
            return _as_text(series), "str"
        series = series.astype(object)
    if types.is_bool_dtype(series.dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan), "byte"
    if types.is_datetime64_any_dtype(series.dtype):
        naive = series.dt.tz_localize(None)
        return _days(naive - np.datetime64("1960-01-01")), "double"
    if types.is_timedelta64_dtype(series.dtype):
        return _days(series), "double"
    if types.is_numeric_dtype(series.dtype) and not types.is_complex_dtype(series.dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        if types.is_integer_dtype(series.dtype) and not _is_exact(series, values):
            return _as_text(series), "str"
        kind = _smallest_type(series, values)
        return np.where(np.isinf(values), np.nan, values) if kind == "double" else values, kind
    if types.infer_dtype(series, skipna=True) == "string":
        return series.fillna("").to_numpy(dtype=object, copy=True), "str"
    present = series[series.notna()]
    if len(present) == 0 or present.map(lambda value: isinstance(value, NUMBERS)).all():
        values = series.where(series.notna(), np.nan).to_numpy(dtype=np.float64)
        whole = present[present.map(lambda value: isinstance(value, Integral))]
        if _is_exact(whole, whole.to_numpy(dtype=np.float64)):
            return np.where(np.isfinite(values), values, np.nan), "double"
    return _as_text(series), "str"


def _is_exact(series: pd.Series[Any], values: FloatArray) -> bool:
    """Whether whole numbers are what they have become as float64."""
    large = np.abs(values) >= LARGEST_EXACT
    return not large.any() or all(
        int(value) == int(number)
        for value, number in zip(series.to_numpy(dtype=object)[large], values[large], strict=True)
    )


def _days(duration: pd.Series[Any]) -> FloatArray:
    return np.asarray(duration.dt.total_seconds().to_numpy(dtype=np.float64) / 86400.0)


def _smallest_type(series: pd.Series[Any], values: FloatArray) -> str:
    from pandas.api import types

    return smallest_whole_type(values) if types.is_integer_dtype(series.dtype) else "double"
