"""Factor variables in lists of covariates: ``i.g``, ``ib2.g``, ``c.x``, ``a#b`` and ``a##b``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

import numpy as np

from gllamm_cli.data import Dataset
from gllamm_cli.errors import BadFactor, InvalidSyntax, Span
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.lexer import TIME_SERIES, no_time_series, whole
from gllamm_cli.stata.numlist import parse_numlist
from gllamm_cli.stata.varlist import expand_varlist, find_variable, parse_varlist

WORD = re.compile(r"(?:[^\s()]|\([^()]*\))+")


@dataclass(frozen=True, slots=True, eq=False)
class Expanded:
    """Names of the columns, and the data that hold them."""

    names: tuple[str, ...]
    dataset: Dataset


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    name: str
    values: FloatArray
    continuous: bool


def expand_factors(span: Span, dataset: Dataset) -> Expanded:
    """Replace factor variables by columns named ``2.g``, ``2.g#c.x`` and so on.

    Indicators of the base level are left out.

    Raises
    ------
    BadFactor
        r(452) for values that are no nonnegative whole numbers.
    """
    if not re.search(r"[.#]", span.text):
        return Expanded(expand_varlist(parse_varlist(span), dataset.names), dataset)
    names: list[str] = []
    columns: dict[str, FloatArray] = {}
    for word in WORD.findall(span.text):
        if "#" not in word and "." not in word:
            names.extend(expand_varlist(parse_varlist(whole(word)), dataset.names))
            continue
        for column in _term(word, dataset):
            names.append(column.name)
            if column.name not in dataset.names:
                columns[column.name] = column.values
    made = dataset.with_columns(columns, storage_type="double") if columns else dataset
    return Expanded(tuple(dict.fromkeys(names)), made)


def _term(word: str, dataset: Dataset) -> list[_Column]:
    if "##" in word:
        parts = word.split("##")
        found: list[_Column] = []
        for subset in range(1, 2 ** len(parts)):
            chosen = [part for k, part in enumerate(parts) if subset >> k & 1]
            found += _product(chosen, dataset)
        return found
    if "#" in word:
        return _product(word.split("#"), dataset)
    return _single(word, dataset, in_product=False)


def _product(parts: list[str], dataset: Dataset) -> list[_Column]:
    if len(parts) == 1:
        return _single(parts[0], dataset, in_product=False)
    sides = [_single(part, dataset, in_product=True) for part in parts]
    made = []
    for chosen in product(*sides):
        values = np.prod([column.values for column in chosen], axis=0)
        name = "#".join(
            f"c.{column.name}" if column.continuous else column.name for column in chosen
        )
        made.append(_Column(name, values, False))
    return made


def _single(word: str, dataset: Dataset, *, in_product: bool) -> list[_Column]:
    if TIME_SERIES.fullmatch(word):
        raise no_time_series(whole(word))
    kind, dot, name = word.rpartition(".")
    if not dot:
        kind = "i" if in_product else "c"
    if name.startswith("("):
        inner = expand_varlist(parse_varlist(whole(name.strip("()"))), dataset.names)
        return [
            c for each in inner for c in _single(f"{kind}.{each}", dataset, in_product=in_product)
        ]
    if "*" in name or "?" in name:
        inner = expand_varlist(parse_varlist(whole(name)), dataset.names)
        return [
            c for each in inner for c in _single(f"{kind}.{each}", dataset, in_product=in_product)
        ]
    full = find_variable(name, dataset.names)
    values = dataset.column(full)
    if kind == "c":
        return [_Column(full, values, True)]
    return _levels(kind, full, values)


def _levels(kind: str, name: str, values: FloatArray) -> list[_Column]:
    known = np.unique(values[~np.isnan(values)])
    if len(known) and ((known < 0).any() or (known != np.trunc(known)).any()):
        raise BadFactor(f"{name}: factor variables may not contain noninteger values")
    base: float | None = float(known[0]) if len(known) else None
    wanted = known
    rest = kind.removeprefix("i")
    if match := re.fullmatch(r"b(n|\(?(last|first|freq|\d+)\)?)", rest):
        if match[1] == "n":
            base = None
        elif match[2] == "last":
            base = float(known[-1])
        elif match[2] == "freq":
            counts = [(values == level).sum() for level in known]
            base = float(known[int(np.argmax(counts))])
        elif match[2] != "first":
            base = float(match[2])
    elif re.fullmatch(r"\d+", rest):
        wanted, base = np.array([float(rest)]), None
    elif match := re.fullmatch(r"\((.*)\)", rest):
        wanted, base = np.array(parse_numlist(whole(match[1]))), None
    elif rest:
        raise InvalidSyntax(f"{kind}. is no operator of factor variables")
    return [
        _Column(
            f"{level:g}.{name}",
            np.where(np.isnan(values), np.nan, (values == level).astype(np.float64)),
            False,
        )
        for level in wanted
        if level != base
    ]
