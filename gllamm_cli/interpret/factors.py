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
class _Variable:
    """A variable of a term: the indicators of a factor, or itself.

    ``base`` is the name of the indicator that is left out where the others determine it.
    """

    name: str
    columns: dict[str, FloatArray]
    base: str | None = None
    continuous: bool = False

    def without_base(self) -> dict[str, FloatArray]:
        return {name: values for name, values in self.columns.items() if name != self.base}


@dataclass(frozen=True, slots=True, eq=False)
class _Term:
    """A product of variables; of a single one the variable itself."""

    variables: tuple[_Variable, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(variable.name for variable in self.variables))

    def columns(self, others: set[tuple[str, ...]]) -> dict[str, FloatArray]:
        """Products of the columns that the model does not determine by ``others`` of its terms.

        The base of a factor goes if the rest of the product is a term, too (of a factor alone
        the constant); else, of a product of factors, the cell of all bases.
        """
        sides = []
        for variable in self.variables:
            rest = list(self.names)
            rest.remove(variable.name)
            determined = not rest or tuple(rest) in others
            sides.append(variable.without_base() if determined else variable.columns)
        columns = {}
        for cell in product(*(side.items() for side in sides)):
            name = "#".join(
                f"c.{column}" if variable.continuous and len(cell) > 1 else column
                for variable, (column, _) in zip(self.variables, cell, strict=True)
            )
            columns[name] = np.prod([values for _, values in cell], axis=0)
        whole_table = all(
            variable.base is not None and len(side) == len(variable.columns)
            for variable, side in zip(self.variables, sides, strict=True)
        )
        if whole_table:
            columns.pop("#".join(variable.base or "" for variable in self.variables), None)
        return columns


def expand_factors(span: Span, dataset: Dataset) -> Expanded:
    """Replace factor variables by columns named ``2.g``, ``2.g#c.x`` and so on.

    Indicators that the others determine are left out.

    Raises
    ------
    BadFactor
        r(452) for values that are no nonnegative whole numbers.
    """
    if not re.search(r"[.#]", span.text):
        return Expanded(expand_varlist(parse_varlist(span), dataset.names), dataset)
    terms = [term for word in WORD.findall(span.text) for term in _terms(word, dataset)]
    present = {term.names for term in terms}
    names: list[str] = []
    columns: dict[str, FloatArray] = {}
    for term in terms:
        for name, values in term.columns(present - {term.names}).items():
            names.append(name)
            if name not in dataset.names:
                columns[name] = values
    made = dataset.with_columns(columns, storage_type="double") if columns else dataset
    return Expanded(tuple(dict.fromkeys(names)), made)


def _terms(word: str, dataset: Dataset) -> list[_Term]:
    """Terms of a word; ``a##b`` is ``a b a#b``."""
    if "##" in word:
        parts = word.split("##")
        subsets = (
            [part for k, part in enumerate(parts) if subset >> k & 1]
            for subset in range(1, 2 ** len(parts))
        )
        return [term for chosen in subsets for term in _products(chosen, dataset)]
    return _products(word.split("#"), dataset)


def _products(parts: list[str], dataset: Dataset) -> list[_Term]:
    """Terms with one variable of each part; factors come before other variables."""
    in_product = len(parts) > 1
    sides = [_variables(part, dataset, in_product=in_product) for part in parts]
    return [_Term(tuple(sorted(cell, key=lambda v: v.continuous))) for cell in product(*sides)]


def _variables(word: str, dataset: Dataset, *, in_product: bool) -> list[_Variable]:
    """Variables of ``i.a``, ``c.x``, ``i.(a b)`` or ``c.x*``; without an operator ``x*``."""
    if TIME_SERIES.fullmatch(word):
        raise no_time_series(whole(word))
    kind, dot, name = word.rpartition(".")
    if not dot:
        kind = "i" if in_product else "c"
    if name.startswith("(") or "*" in name or "?" in name or (not dot and not in_product):
        names = expand_varlist(parse_varlist(whole(name.strip("()"))), dataset.names)
    else:
        names = (find_variable(name, dataset.names),)
    return [_variable(kind, each, dataset.column(each)) for each in names]


def _variable(kind: str, name: str, values: FloatArray) -> _Variable:
    if kind == "c":
        return _Variable(name, {name: values}, continuous=True)
    return _factor(kind, name, values)


def _factor(kind: str, name: str, values: FloatArray) -> _Variable:
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
    return _Variable(
        name,
        {
            f"{level:g}.{name}": np.where(np.isnan(values), np.nan, 1.0 * (values == level))
            for level in wanted
        },
        None if base is None else f"{base:g}.{name}",
    )
