"""``xi``: indicator variables for the values of categorical variables.

``i.group`` becomes ``_Igroup_2``, ``_Igroup_3`` and so on, one for each value but
the smallest, or the one that ``char group[omit]`` names; ``i.a*i.b``, ``i.a*x`` and
``i.a|x`` add products. The variables stay in the data, as in Stata, and can be used by
name afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gllamm_cli.errors import InvalidSyntax, OtherCategories
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.lexer import LONGEST_NAME
from gllamm_cli.stata.varlist import (
    NamePattern,
    VarlistItem,
    XiTerm,
    find_variable,
    format_item,
)

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset
    from gllamm_cli.stata.command import GllammCommand

Categories = Mapping[str, Sequence[float | str]]
NONE_KNOWN: Categories = {}
MOST_VALUES = 500
LETTERS_IN_PRODUCTS = 3
"""Stata cuts the names of variables in a product to this length."""


@dataclass(frozen=True, slots=True)
class XiExpansion:
    """Variables that replace the terms, the data that hold them, and notes to print."""

    items: tuple[VarlistItem, ...]
    dataset: Dataset
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Factor:
    """A categorical variable: a code and an indicator for each value but the omitted one."""

    name: str
    codes: tuple[int, ...]
    indicators: tuple[FloatArray, ...]
    note: str


def _note(term: str, variables: str, remark: str) -> str:
    return f"{term:<18}{variables:<20}{remark}"


def _dummy_name(name: str, code: int) -> str:
    suffix = f"_{code}"
    return f"_I{name}"[: LONGEST_NAME - len(suffix)] + suffix


class _Expander:
    """Collects new variables over the terms of one list."""

    def __init__(self, dataset: Dataset, categories: Categories) -> None:
        self.dataset = dataset
        self.categories = categories
        self.coded: dict[str, tuple[float | str, ...]] = {}
        self.columns: dict[str, FloatArray] = {}
        self.labels: dict[str, str] = {}
        self.notes: list[str] = []
        self.factors: dict[str, _Factor] = {}

    def factor(self, term: XiTerm, abbreviated: str) -> _Factor:
        """Return the coding of a variable, made once for all terms."""
        name = find_variable(abbreviated, self.dataset.names, term.span)
        if name not in self.factors:
            self.factors[name] = self._coded(term, name)
        return self.factors[name]

    def _coded(self, term: XiTerm, name: str) -> _Factor:
        is_text = self.dataset.is_text(name)
        values = self.dataset.text(name) if is_text else self.dataset.column(name)
        is_missing = values == "" if is_text else np.isnan(values)
        occurring = set(values[~is_missing].tolist())
        distinct = sorted(self.categories.get(name, occurring))
        if others := sorted(occurring.difference(distinct)):
            shown = others[0] if is_text else f"{others[0]:g}"
            raise OtherCategories(
                f"{name} == {shown} not found: the data have other categories",
                span=term.span,
                hint=f"categories of {name} in the data of the fit: "
                + ", ".join(value if is_text else f"{value:g}" for value in distinct),
            )
        self.coded[name] = tuple(distinct)
        if not 2 <= len(distinct) <= MOST_VALUES:
            raise InvalidSyntax(
                f"i.{name}: {name} has {len(distinct)} distinct values",
                span=term.span,
                hint=f"xi makes indicators for variables with 2 to {MOST_VALUES} values",
            )
        natural = not is_text and all(value >= 0 and value == int(value) for value in distinct)
        codes = [int(value) if natural else k + 1 for k, value in enumerate(distinct)]
        texts = [value if is_text else f"{value:g}" for value in distinct]
        omitted = self._omitted(term, name, texts)
        first, base = _dummy_name(name, codes[0]), _dummy_name(name, codes[omitted])
        shown = texts[omitted]
        remark = (
            f"(naturally coded; {base} omitted)"
            if natural
            else f"({base} for {name}=={shown} omitted)"
        )
        kept = [k for k in range(len(distinct)) if k != omitted]
        indicators = tuple(
            np.where(is_missing, np.nan, (values == distinct[k]).astype(np.float64)) for k in kept
        )
        for k in kept:
            self.labels[_dummy_name(name, codes[k])] = f"{name}=={texts[k]}"
        return _Factor(
            name,
            tuple(codes[k] for k in kept),
            indicators,
            _note(f"i.{name}", f"{first}-{codes[-1]}", remark),
        )

    def _omitted(self, term: XiTerm, name: str, texts: list[str]) -> int:
        """Position of the category without an indicator."""
        chosen = self.dataset.omitted.get(name)
        if chosen is None:
            return 0
        if chosen not in texts:
            raise InvalidSyntax(
                f"{chosen} is no value of {name}",
                span=term.span,
                hint=f"char {name}[omit] says which category xi omits",
            )
        return texts.index(chosen)

    def main_effects(self, factor: _Factor) -> list[str]:
        """Add the indicators of a variable."""
        names = [_dummy_name(factor.name, code) for code in factor.codes]
        if factor.note not in self.notes:
            self.notes.append(factor.note)
        self.columns.update(zip(names, factor.indicators, strict=True))
        return names

    def product_stem(self, first: str, second: str) -> str:
        """Return the start of the names of products, distinct from those made before."""
        short = f"_I{first[:LETTERS_IN_PRODUCTS]}X{second[:LETTERS_IN_PRODUCTS]}_"
        if any(name.startswith(short) for name in self.columns):
            return f"_I{first[:10]}X{second[:10]}_"
        return short

    def term(self, term: XiTerm) -> list[str]:
        """Add the variables of a term and return their names in order."""
        first = self.factor(term, term.first)
        if not term.operator:
            return self.main_effects(first)
        typed = format_item(term)
        if term.second_is_factor:
            second = self.factor(term, term.second)
            names = self.main_effects(first) + self.main_effects(second)
            stem = self.product_stem(first.name, second.name)
            products = {
                f"{stem}{a}_{b}": x * z
                for a, x in zip(first.codes, first.indicators, strict=True)
                for b, z in zip(second.codes, second.indicators, strict=True)
            }
            self.notes.append(_note(typed, f"{stem}#_#", "(coded as above)"))
        else:
            slope = find_variable(term.second, self.dataset.names, term.span)
            names = [*(self.main_effects(first) if term.operator == "*" else []), slope]
            stem = self.product_stem(first.name, slope)
            values = self.dataset.column(slope)
            products = {
                f"{stem}{a}": x * values for a, x in zip(first.codes, first.indicators, strict=True)
            }
            if term.operator == "|" and first.note not in self.notes:
                self.notes.append(first.note)
            self.notes.append(_note(typed, f"{stem}#", "(coded as above)"))
        self.columns.update(products)
        return [*names, *products]


def expand_xi(
    items: Sequence[VarlistItem], dataset: Dataset, categories: Categories = NONE_KNOWN
) -> XiExpansion:
    """Replace the ``i.`` terms of a list by the names of indicator variables.

    Parameters
    ----------
    categories
        Of variables that need not show all of them in these data.

    Raises
    ------
    VariableNotFound
        An unknown or ambiguous variable.
    OtherCategories
        A value that is not among the ``categories``.
    InvalidSyntax
        A variable with one value only, or with too many.
    TypeMismatch
        A product with a text variable.
    """
    if not any(isinstance(item, XiTerm) for item in items):
        return XiExpansion(tuple(items), dataset, ())
    expander = _Expander(dataset, categories)
    expanded: list[VarlistItem] = []
    seen: set[str] = set()
    for item in items:
        if not isinstance(item, XiTerm):
            expanded.append(item)
            continue
        for name in expander.term(item):
            if name not in seen:
                seen.add(name)
                expanded.append(NamePattern(name, span=item.span))
    extended = dataset.with_columns(expander.columns, storage_type="byte", labels=expander.labels)
    extended = replace(extended, coded={**dataset.coded, **expander.coded})
    return XiExpansion(tuple(expanded), extended, tuple(expander.notes))


def expand_command(
    command: GllammCommand, dataset: Dataset, categories: Categories = NONE_KNOWN
) -> tuple[GllammCommand, Dataset, tuple[str, ...]]:
    """Expand the covariates of a command, with or without the prefix ``xi:``."""
    expansion = expand_xi(command.items, dataset, categories)
    return replace(command, items=expansion.items), expansion.dataset, expansion.notes
