"""Typed values to plain JSON values and back, by the types of their fields.

Only dataclasses, enumerations, tuples, optional values, dictionaries by name,
arrays and plain values are understood, so reading a file can build nothing
but these.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from gllamm_cli.stata.expression import Expression, format_expression, parse_expression

ARRAY = "array"
NOT_A_NUMBER = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Malformed(ValueError):
    """Plain data that do not fit the type they are read as."""


def encode(value: Any) -> Any:
    """Return ``value`` as JSON values; numbers that JSON lacks become words."""
    match value:
        case Expression():
            return format_expression(value)
        case Enum():
            return value.value
        case np.ndarray():
            return {ARRAY: encode(value.tolist())}
        case np.generic():
            return encode(value.item())
        case float() if not math.isfinite(value):
            return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
        case None | bool() | int() | float() | str():
            return value
        case tuple() | list():
            return [encode(item) for item in value]
        case dict():
            return {str(key): encode(item) for key, item in value.items()}
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"cannot be stored: {type(value).__name__}")


def decode(kind: Any, data: Any, names: Mapping[str, Any]) -> Any:
    """Read a value of type ``kind``; ``names`` are types known by name only.

    Raises
    ------
    Malformed
        The data do not have that type.
    """
    if kind is Any:
        return _plain(data)
    if isinstance(kind, type) and issubclass(kind, Expression):
        return parse_expression(_expect(str, data))
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _union(typing.get_args(kind), data, names)
    if origin is tuple:
        return _tuple(typing.get_args(kind), data, names)
    if origin is dict:
        _, item = typing.get_args(kind)
        return {key: decode(item, value, names) for key, value in _expect(dict, data).items()}
    if origin is np.ndarray:
        return _array(data)
    if kind is float:
        return _float(data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if is_dataclass(kind):
        return _dataclass(typing.cast(type, kind), data, names)
    return _expect(kind, data)


def _expect(kind: Any, data: Any) -> Any:
    # bool is an int to Python, not to a reader of files.
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise Malformed(f"{data!r} is not of type {kind.__name__}")
    return data


def _float(data: Any) -> float:
    if isinstance(data, str) and data in NOT_A_NUMBER:
        return NOT_A_NUMBER[data]
    if isinstance(data, bool) or not isinstance(data, (int, float)):
        raise Malformed(f"{data!r} is not a number")
    return float(data)


def _union(kinds: tuple[Any, ...], data: Any, names: Mapping[str, Any]) -> Any:
    """Read an optional value: our unions are ``X | None``."""
    if data is None and type(None) in kinds:
        return None
    (kind,) = (kind for kind in kinds if kind is not type(None))
    return decode(kind, data, names)


def _tuple(kinds: tuple[Any, ...], data: Any, names: Mapping[str, Any]) -> tuple[Any, ...]:
    items = _expect(list, data)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(decode(kinds[0], item, names) for item in items)
    if len(items) != len(kinds):
        raise Malformed(f"{len(items)} values where {len(kinds)} belong")
    return tuple(decode(kind, item, names) for kind, item in zip(kinds, items, strict=True))


def _dataclass(kind: type, data: Any, names: Mapping[str, Any]) -> Any:
    content = _expect(dict, data)
    hints = typing.get_type_hints(kind, localns=dict(names))
    known = {field.name: field for field in fields(kind)}
    unknown = set(content) - set(known)
    if unknown:
        raise Malformed(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
    for name, field in known.items():
        optional = field.default is not MISSING or field.default_factory is not MISSING
        if name not in content and not optional:
            raise Malformed(f"{kind.__name__} lacks {name}")
    return kind(**{name: decode(hints[name], value, names) for name, value in content.items()})


def _array(data: Any) -> Any:
    values = _expect(dict, data).get(ARRAY)
    rows = _expect(list, values)
    if rows and all(isinstance(value, bool) for value in rows):
        return np.array(rows, dtype=np.bool_)
    return np.array(_nested_floats(rows), dtype=np.float64)


def _nested_floats(data: Any) -> Any:
    return [_nested_floats(item) for item in data] if isinstance(data, list) else _float(data)


def _plain(data: Any) -> Any:
    """Read a value of no declared type: arrays are marked, the rest is taken as it is."""
    if isinstance(data, dict):
        if set(data) == {ARRAY}:
            return _array(data)
        return {key: _plain(item) for key, item in data.items()}
    return [_plain(item) for item in data] if isinstance(data, list) else data
