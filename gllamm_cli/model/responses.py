"""Which rows belong to which response, and what their values become in the design.

Ordinal responses are turned into category numbers with thresholds, nominal
ones into choice sets with one row per alternative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._scanning import zeros_and_ones
from gllamm_cli.errors import InvalidResponse, InvalidSyntax
from gllamm_cli.model.auxiliary import OrdinalRows
from gllamm_cli.model.design import CompositeRows
from gllamm_cli.model.distinct import distinct
from gllamm_cli.model.families import (
    COMPOSITE_CODE,
    FAMILY_BY_NAME,
    LINK_BY_NAME,
    LINK_CODES,
    Domain,
    kind,
)
from gllamm_cli.model.spec import CONSTANT, FixedBlock, ModelSpec, Response, Thresholds
from gllamm_cli.model.uniform import occurring, ones, uniform

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Column = Callable[[str], FloatArray]

MOST_CATEGORIES = 200
NOT_BASE = "alternative not the base"
"""Column that is 1 for every alternative but the base."""


def response_number(spec: ModelSpec, column: Column, n_rows: int) -> IndexArray:
    """Position in ``spec.responses`` of each row's response, (N,).

    Raises
    ------
    InvalidResponse
        A selector has a value that selects no response.
    """
    if len(spec.responses) == 1 and spec.link_selector is None and spec.family_selector is None:
        return uniform(np.int64(0), n_rows)
    number = np.full(n_rows, -1, dtype=np.int64)
    for position, response in enumerate(spec.responses):
        here = np.ones(n_rows, dtype=bool)
        if response.link_value is not None and spec.link_selector is not None:
            here &= column(spec.link_selector) == response.link_value
        if response.family_value is not None and spec.family_selector is not None:
            here &= column(spec.family_selector) == response.family_value
        number[here & (number < 0)] = position
    if (number < 0).any():
        selectors = " and ".join(
            f"{option}({name})"
            for option, name in (("lv", spec.link_selector), ("fv", spec.family_selector))
            if name
        )
        raise InvalidResponse(
            f"{int((number < 0).sum())} rows belong to no response",
            hint=f"{selectors} must count the names in link() and family() from 1",
        )
    return number


def check_domain(
    name: str, response: Response, y: FloatArray, denominator: FloatArray, threads: int = 1
) -> list[str]:
    """Raise InvalidResponse for values outside the family's domain; note odd but legal ones."""
    domain = FAMILY_BY_NAME[response.family].domain
    if domain is Domain.COUNT:
        if (y < 0).any():
            raise InvalidResponse(
                f"{name} must be {domain.value} with family(poisson)",
                hint=f"{int((y < 0).sum())} rows are negative",
            )
        if (y != np.floor(y)).any():
            return [f"{name} has noninteger values"]
    elif domain is Domain.POSITIVE and (y <= 0).any():
        raise InvalidResponse(
            f"{name} must be {domain.value} with family(gamma)",
            hint=f"{int((y <= 0).sum())} rows are zero or negative",
        )
    elif domain is Domain.PROPORTION:
        if response.denominator is None and zeros_and_ones(np.ascontiguousarray(y), threads):
            return []
        if (occurring(denominator) <= 0).any():
            raise InvalidResponse(f"denominator {response.denominator} must be greater than 0")
        outside = int(((y < 0) | (y > denominator)).sum())
        if outside:
            limit = response.denominator or "1"
            raise InvalidResponse(
                f"{name} must be between 0 and {limit} with family(binomial)",
                hint=f"{outside} rows are outside; denom() names the number of trials",
            )
        if (y != np.floor(y)).any():
            return [f"{name} has noninteger values"]
    return []


def categories_of(name: str, y: FloatArray) -> tuple[float, ...]:
    """Return the distinct values of an ordinal or nominal response, ascending."""
    found = distinct(y)
    if len(found) < 2:
        raise InvalidResponse(f"{name} has one category only", hint="there is nothing to model")
    if len(found) > MOST_CATEGORIES:
        raise InvalidResponse(
            f"{name} has {len(found)} categories", hint=f"at most {MOST_CATEGORIES} are possible"
        )
    return tuple(float(value) for value in found)


@dataclass(frozen=True, slots=True)
class ResponseRows:
    """The rows of all responses, ready for the kernel.

    Attributes
    ----------
    spec
        With the categories and coefficient blocks that the data determine.
    kind, y, denominator : (N,)
    entry_start : (N + 1,), optional
        None if each row stands alone.
    ordinal
        Rows of ordinal responses.
    indicators
        Columns that select the coefficients of nominal categories.
    composite
        Parts and portions of composite links; their weights are still one.
    notes
        Odd values.
    """

    spec: ModelSpec
    kind: NDArray[np.int32]
    y: FloatArray
    denominator: FloatArray
    entry_start: IndexArray | None
    ordinal: tuple[OrdinalRows, ...]
    indicators: dict[str, FloatArray]
    composite: CompositeRows | None
    notes: tuple[str, ...]


def _ordinal(
    spec: ModelSpec, y: FloatArray, number: IndexArray, column: Column
) -> tuple[ModelSpec, tuple[OrdinalRows, ...]]:
    """Categories and thresholds of the ordinal responses."""
    given = {thresholds.response: thresholds for thresholds in spec.thresholds}
    found: list[Thresholds] = []
    rows: list[OrdinalRows] = []
    first = len(spec.scale_variables) if spec.has_scale else 0
    ordinal = [
        position
        for position, response in enumerate(spec.responses)
        if LINK_BY_NAME[response.link].ordinal
    ]
    for r, position in enumerate(ordinal, start=1):
        here = np.flatnonzero(number == position)
        if not len(here):
            raise InvalidResponse(f"no row has the ordinal response {r}")
        categories = categories_of(spec.depvar, y[here])
        thresholds = replace(given.get(r, Thresholds(r)), categories=categories)
        design = np.column_stack(
            [*(column(name)[here] for name in thresholds.covariates), np.ones(len(here))]
        )
        category = np.searchsorted(np.array(categories), y[here])
        n = len(categories)
        rows.append(OrdinalRows(here, category, n, design, first, thresholds.increments))
        first += (n - 1) * design.shape[1]
        found.append(thresholds)
    return replace(spec, thresholds=tuple(found)), tuple(rows)


def _nominal_blocks(spec: ModelSpec, categories: tuple[float, ...]) -> ModelSpec:
    """One block of fixed effects for each category but the base."""
    base = categories[0] if spec.base_category is None else spec.base_category
    if base not in categories:
        raise InvalidSyntax(
            f"basecategory = {base:g} not one of the categories",
            hint="categories: " + " ".join(f"{value:g}" for value in categories),
        )
    constant = (CONSTANT,) if spec.constant else ()
    blocks = tuple(
        FixedBlock(f"c{value:g}", f"alternative {value:g}", (*spec.covariates, *constant))
        for value in categories
        if value != base
    )
    return replace(spec, base_category=base, blocks=blocks)


def _alternative_indicators(spec: ModelSpec, alternative: FloatArray) -> dict[str, FloatArray]:
    return {
        block.indicator: (alternative == float(block.indicator.split()[1])).astype(np.float64)
        for block in spec.blocks
        if block.indicator is not None
    }


def _choices(
    spec: ModelSpec, nominal: NDArray[np.bool_], column: Column, unit_start: IndexArray
) -> tuple[FloatArray, IndexArray]:
    """Choice indicator (N,) and place in its choice set (N,) of rows in expanded form."""
    sets = spec.choice_sets
    assert sets is not None
    chosen = (column(sets.chosen) != 0) & nominal
    id_ = column(sets.unit)
    new = np.ones(len(id_), dtype=bool)
    new[1:] = (id_[1:] != id_[:-1]) | ~nominal[1:] | ~nominal[:-1]
    new[unit_start] = True
    start = np.flatnonzero(new)
    size = np.diff(np.append(start, len(id_)))
    count = np.add.reduceat(chosen.astype(np.int64), start)
    wrong = np.flatnonzero((count != 1) & nominal[start])
    if len(wrong):
        what = "no row" if count[wrong[0]] == 0 else "several rows"
        raise InvalidSyntax(
            f"{sets.unit} = {id_[start[wrong[0]]]:g} has {what} with {sets.chosen} = 1",
            hint=f"each unit of {sets.unit} chooses exactly one alternative "
            f"({len(wrong)} of them do not)",
        )
    return chosen.astype(np.float64), np.arange(len(id_)) - np.repeat(start, size) + 1


def _composite(
    spec: ModelSpec, column: Column, unit_start: IndexArray, n: int
) -> tuple[CompositeRows | None, IndexArray | None]:
    """Composite links, and the place of each row in its group (N,); None without."""
    option = spec.composite
    if option is None:
        return None, None
    id_ = column(option.unit)
    new = np.ones(n, dtype=bool)
    new[1:] = id_[1:] != id_[:-1]
    new[unit_start] = True
    start = np.flatnonzero(new)
    place = np.arange(n) - np.repeat(start, np.diff(np.append(start, n))) + 1
    part = column(option.indicator)
    known = np.isin(part, np.arange(len(option.portions) + 1))
    if not known.all():
        raise InvalidSyntax(
            f"composite(): {option.indicator} has the value {part[~known][0]:g}",
            hint=f"it must be 0, or the number of a composite, 1 to {len(option.portions)}",
        )
    if spec.has_scale:
        for name in spec.scale_variables:
            values = ones(n) if name == CONSTANT else column(name)
            if (values != values[start][np.cumsum(new) - 1]).any():
                raise InvalidSyntax(
                    f"s(): {name} varies within {option.unit}",
                    hint="with composite() the level-1 scale must be the same in a group",
                )
    portion = np.column_stack([column(name) for name in option.portions])
    return CompositeRows(part.astype(np.int32), portion, ones(n), ones(n)), place


def build_responses(
    spec: ModelSpec,
    number: IndexArray,
    y: FloatArray,
    column: Column,
    unit_start: IndexArray,
    alternative: FloatArray | None,
    threads: int,
) -> ResponseRows:
    """Turn the responses of sorted rows into the kernel's terms.

    Parameters
    ----------
    number, y : (N,)
        Position in ``spec.responses``, and the response variable.
    column
        Returns a variable of the sorted rows.
    unit_start : (units,)
        First row of each level-2 unit.
    alternative : (N,), optional
        Category of each row where rows were repeated for every category of a
        nominal response.
    threads : int
        For looking at the responses.

    Raises
    ------
    InvalidResponse
        A value outside the domain of its family, or rows without a response.
    InvalidSyntax
        Choice sets without exactly one choice; an unknown base category.
    """
    n = len(y)
    kinds = np.array([kind(response.family, response.link) for response in spec.responses])
    denominator_name = spec.denominator
    denominator = column(denominator_name) if denominator_name else ones(n)
    notes: list[str] = []
    nominal: NDArray[np.bool_] | None = None
    composite, place = _composite(spec, column, unit_start, n)
    part = None if composite is None else composite.part
    alone = len(kinds) == 1
    for position, response in enumerate(spec.responses):
        here = slice(None) if alone else number == position
        link = LINK_BY_NAME[response.link]
        if link.nominal:
            nominal = np.zeros(n, dtype=bool) if nominal is None else nominal
            nominal[here] = True
        elif not link.ordinal:
            seen = here if part is None else (number == position) & (part > 0)
            notes.extend(check_domain(spec.depvar, response, y[seen], denominator[seen], threads))
    spec, ordinal = _ordinal(spec, y, number, column)
    indicators: dict[str, FloatArray] = {}
    if alternative is not None:
        categories = distinct(alternative)
        spec = _nominal_blocks(spec, tuple(categories.tolist()))
        spec = replace(spec, latent_indicator=NOT_BASE)
        indicators = _alternative_indicators(spec, alternative)
        indicators[NOT_BASE] = (alternative != spec.base_category).astype(np.float64)
        y = (y == alternative).astype(np.float64)
        place = np.tile(np.arange(1, len(categories) + 1), n // len(categories))
    elif nominal is not None and nominal.any():
        sets = spec.choice_sets
        if sets is not None and sets.by_alternative:
            spec = _nominal_blocks(spec, categories_of(spec.depvar, y[nominal]))
            indicators = _alternative_indicators(spec, y)
        choice, place = _choices(spec, nominal, column, unit_start)
        y = np.where(nominal, choice, y)
    if composite is not None:
        kinds = kinds + COMPOSITE_CODE * LINK_CODES
        # Rows without a likelihood of their own may have any response.
        y = np.where(composite.part > 0, y, 0.0)
    return ResponseRows(
        spec,
        uniform(np.int32(kinds[0]), n) if alone else kinds.astype(np.int32)[number],
        y,
        denominator,
        None if place is None else np.append(0, np.cumsum(place)),
        ordinal,
        indicators,
        composite,
        tuple(notes),
    )
