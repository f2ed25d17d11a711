"""From a specification and data to a design.

Rows are sorted once by (top-level id, ..., lowest id, response, choice set,
original order); a unit of level k is the combination of its own id and all
higher ids, so identifiers need only be unique within the next level up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._scanning import in_order, unit_starts
from gllamm_cli.errors import BadWeights, InvalidSyntax
from gllamm_cli.model.design import Design, DesignLevel
from gllamm_cli.model.distinct import n_combinations
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.model.quadrature import ProductRule, Rule, equal_probability_rule
from gllamm_cli.model.responses import build_responses, categories_of, response_number
from gllamm_cli.model.sample import check_covariates, sample_positions
from gllamm_cli.model.spec import CONSTANT, IntegrationRule, Level, ModelSpec
from gllamm_cli.model.spherical import spherical_rule
from gllamm_cli.model.structure import n_classes
from gllamm_cli.model.uniform import is_uniform, ones, product, take, total, zeros

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


def _unit_values(
    what: str, variable: str, unit: str, values: FloatArray, start: IndexArray
) -> FloatArray:
    """Values of a variable that must be constant within units, one per unit."""
    low = np.minimum.reduceat(values, start)
    high = np.maximum.reduceat(values, start)
    if (low != high).any():
        raise BadWeights(
            f"{what} {variable} varies within {unit}",
            hint=f"it must be the same in all rows of a unit of {unit}",
        )
    return low


def make_rule(spec: ModelSpec, level: Level) -> Rule | ProductRule:
    """Nodes of a level."""
    points = tuple(effect.points for effect in level.latent)
    match spec.rule:
        case IntegrationRule.GAUSS_HERMITE:
            return ProductRule(points)
        case IntegrationRule.EQUAL_PROBABILITY:
            return equal_probability_rule(points)
        case IntegrationRule.SPHERICAL:
            return spherical_rule(len(points), points[0])
    K = n_classes(level)
    return Rule(np.eye(K), np.zeros(K))


def _class_design(
    spec: ModelSpec, level: Level, column: Callable[[str], FloatArray], start: IndexArray
) -> FloatArray | None:
    """Covariates of class probabilities and a constant, one row per unit (one row if only that)."""
    if not spec.rule.discrete:
        return None
    names = dict(spec.class_covariates).get(level.number, ())
    if not names:
        return np.ones((1, 1))
    values = [
        _unit_values("class covariate", name, level.unit, column(name), start) for name in names
    ]
    return np.column_stack([*values, np.ones(len(start))])


def nesting_notes(spec: ModelSpec, column: Callable[[str], FloatArray]) -> list[str]:
    """Say where an id occurs in several higher units, which may be a mistake."""
    notes = []
    ids = [column(level.unit) for level in spec.levels]
    for k in range(len(ids) - 1):
        pairs, alone = n_combinations(ids[k:]), n_combinations(ids[k : k + 1])
        if pairs > alone:
            unit, higher = spec.levels[k].unit, spec.levels[k + 1].unit
            notes.append(
                f"{unit} is not nested in {higher}: {alone} values of {unit} form {pairs} "
                f"level {k + 2} units, one for each combination with {higher}"
            )
    return notes


class Weights:
    """Frequency and sampling weights of sorted rows, by level.

    Parameters
    ----------
    spec
        Names of the weight variables.
    column
        Returns a variable of the sorted rows.
    """

    def __init__(self, spec: ModelSpec, column: Callable[[str], FloatArray]) -> None:
        self._names = (dict(spec.weights), dict(spec.sampling_weights))
        self._columns: tuple[dict[int, FloatArray], ...] = ({}, {})
        for names, columns in zip(self._names, self._columns, strict=True):
            for level, name in names.items():
                columns[level] = column(name)
                if (columns[level] < 0).any():
                    raise BadWeights(f"weight variable {name} has negative values")

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return any(self._names)

    def frequency_product(self, n: int) -> FloatArray:
        """Product of the frequency weights of each of ``n`` rows at all levels, (n,)."""
        return reduce(product, self._columns[0].values(), ones(n))

    def of_rows(self, n: int, levels: tuple[int, ...]) -> FloatArray:
        """Product of their frequency and sampling weights at some levels, (n,)."""
        own = [x[level] for x in self._columns for level in levels if level in x]
        return reduce(product, own, ones(n))

    def of_units(self, level: Level, start: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Frequency and sampling weights of a level's units."""
        found = []
        for names, columns in zip(self._names, self._columns, strict=True):
            name = names.get(level.number)
            if name is None:
                found.append(ones(len(start)))
                continue
            values = columns[level.number]
            found.append(_unit_values("weight variable", name, level.unit, values, start))
        return found[0], found[1]


class _Rows:
    """Variables of some rows of a data set, each gathered once; not to be written to.

    ``positions`` None stands for all rows as they are, which need no copies.
    """

    def __init__(self, dataset: Dataset, positions: IndexArray | None) -> None:
        self._dataset = dataset
        self._gathered: dict[str, FloatArray] = {}
        self.positions = positions
        self.n = dataset.n_rows if positions is None else len(positions)

    def at(self, rows: IndexArray) -> _Rows:
        """Return some of these rows, in their order."""
        return _Rows(self._dataset, rows if self.positions is None else self.positions[rows])

    def __call__(self, name: str) -> FloatArray:
        if name not in self._gathered:
            values = self._dataset.column(name)
            if self.positions is not None:
                values = values[self.positions]
            self._gathered[name] = np.ascontiguousarray(values)
        return self._gathered[name]


def _sort(spec: ModelSpec, column: _Rows, number: IndexArray, threads: int) -> IndexArray | None:
    """Order of the rows: by units from the top, response, choice set; None if they have it."""
    keys: list[NDArray[np.float64] | IndexArray] = []
    if spec.choice_sets is not None:
        keys.append(column(spec.choice_sets.unit))
    # The rows of a composite stay together even if they are of several kinds.
    keys.append(number if spec.composite is None else column(spec.composite.unit))
    keys.extend(column(level.unit) for level in spec.levels)
    # A number that all rows share says nothing of their order.
    told = [key.astype(np.float64, copy=False) for key in keys[::-1] if not is_uniform(key)]
    if in_order(told, threads):
        return None
    return np.lexsort([np.arange(column.n), *keys])


def nested_levels(
    spec: ModelSpec,
    column: Callable[[str], FloatArray],
    weights: Weights,
    starts: list[IndexArray],
    n_rows: int,
) -> tuple[DesignLevel, ...]:
    """Levels 2 and higher of sorted rows; ``starts`` are the first rows of their units."""
    levels: list[DesignLevel] = []
    for k, level in reversed(list(enumerate(spec.levels))):
        start = starts[k]
        below = np.searchsorted(starts[k - 1], start) if k else start
        first = np.append(below, len(starts[k - 1]) if k else n_rows).astype(np.int64)
        parent = np.zeros(0, dtype=np.int64)
        frequency, sampling = weights.of_units(level, start)
        weight = total_weight = product(frequency, sampling)
        if levels:
            parent = (np.searchsorted(starts[k + 1], start, side="right") - 1).astype(np.int64)
            total_weight = product(weight, take(levels[0].total_weight, parent))
        rule = make_rule(spec, level)
        class_design = _class_design(spec, level, column, start)
        levels.insert(
            0,
            DesignLevel(first, weight, rule, parent, total_weight, frequency, class_design),
        )
    return tuple(levels)


def _check_regressions(
    spec: ModelSpec, column: Callable[[str], FloatArray], starts: list[IndexArray]
) -> None:
    """Raise where a covariate of a latent variable varies within its units."""
    for regression in spec.regressions:
        level = spec.levels[spec.latent[regression.number - 1].level - 2]
        start = starts[level.number - 2]
        for name in regression.variables:
            values = column(name)
            if (np.minimum.reduceat(values, start) != np.maximum.reduceat(values, start)).any():
                raise InvalidSyntax(
                    f"geqs(): {name} varies within {level.unit}",
                    hint=f"random effect {regression.number} varies over {level.unit} only; put "
                    f"{name} among the covariates of the response",
                )


def predictor_variables(spec: ModelSpec) -> set[str]:
    """Names of all variables in design columns."""
    names = {*spec.covariates, *(spec.scale_variables if spec.has_scale else ())}
    names.update(name for effect in spec.latent for name in effect.variables)
    names.update(name for regression in spec.regressions for name in regression.variables)
    return names - {CONSTANT}


def build_design(
    spec: ModelSpec, dataset: Dataset, *, threads: int = 1
) -> tuple[Design, ModelSpec, tuple[str, ...]]:
    """Select, check and sort the rows; the result does not depend on ``threads``.

    Returns the design, the specification completed by the data (without
    collinear covariates, with categories), and notes on what was left out.

    Raises
    ------
    NoObservations, InsufficientObservations
        Nothing, or one row, is left.
    InvalidResponse
        A response outside the domain of the family.
    BadWeights
        Negative weights, or weights that vary within their unit.
    InvalidSyntax
        Choice sets, categories or regressions that do not fit the data.
    """
    positions, notes = sample_positions(spec, dataset, threads)
    column = _Rows(dataset, positions)
    notes.extend(nesting_notes(spec, column))
    number = response_number(spec, column, column.n)
    order = _sort(spec, column, number, threads)
    if order is not None:
        column, number = column.at(order), take(number, order)
    alternative = None
    repeats = 1
    if spec.choice_sets is None and LINK_BY_NAME[spec.response.link].nominal:
        categories = np.array(categories_of(spec.depvar, column(spec.depvar)))
        repeats = len(categories)
        alternative = np.tile(categories, column.n)
        repeated = np.repeat(np.arange(column.n), repeats)
        column, number = column.at(repeated), take(number, repeated)

    ids = [column(level.unit) for level in spec.levels]
    starts = unit_starts(ids, threads) if ids else []
    weights = Weights(spec, column)
    frequency = weights.frequency_product(column.n)
    if weights.given and (np.floor(frequency) != frequency).any():
        notes.append("weights are non-integer")
    levels = nested_levels(spec, column, weights, starts, column.n)
    _check_regressions(spec, column, starts)
    y = column(spec.depvar)
    unit_start = starts[0] if starts else np.zeros(1, dtype=np.int64)
    responses = build_responses(spec, number, y, column, unit_start, alternative, threads)
    notes.extend(responses.notes)
    covariates = {name: column(name) for name in spec.covariates}
    reduced, dropped = check_covariates(spec, responses.y, responses.denominator, covariates)
    notes.extend(dropped)
    if dropped:
        spec = reduced
        responses = build_responses(spec, number, y, column, unit_start, alternative, threads)
    spec = replace(responses.spec, single_scale_varies=_single_scale_varies(spec, column))
    # Without latent variables every weight is a weight of rows.
    own_levels = (
        (1,) if levels else tuple(level for level, _ in (*spec.weights, *spec.sampling_weights))
    )
    row_weight = row_total = weights.of_rows(column.n, tuple(dict.fromkeys(own_levels)))
    if weights.given:
        if levels:
            row_total = row_total * np.repeat(levels[0].total_weight, np.diff(levels[0].first))
        row_weight = weight_of_choice(row_weight, responses.y, responses.entry_start, spec)
        row_total = weight_of_choice(row_total, responses.y, responses.entry_start, spec)
    frequency_of_units = _frequency_totals(levels)
    offset = column(spec.offset) if spec.offset else zeros(column.n)
    if responses.indicators and spec.offset:
        # gllamm adds the offset to the first linear predictor only.
        offset = offset * responses.indicators[spec.blocks[0].indicator or ""]
    composite = responses.composite
    if composite is not None:
        # Weights belong to the likelihoods inside a group, not to its rows.
        composite = replace(composite, weight=row_weight, total_weight=row_total)
        row_weight = row_total = ones(column.n)
    design = Design(
        kind=responses.kind,
        positions=column.positions,
        n_units=(total(frequency) / repeats, *frequency_of_units),
        y=responses.y,
        denominator=responses.denominator,
        offset=offset,
        row_weight=row_weight,
        total_weight=row_total,
        frequency=frequency,
        variables={
            **{name: column(name) for name in predictor_variables(spec)},
            **responses.indicators,
        },
        scale_variables=spec.scale_variables if spec.has_scale else (),
        levels=levels,
        entry_start=responses.entry_start,
        natural_scale=spec.natural_scale,
        ordinal=responses.ordinal,
        cluster=_clusters(spec, column, starts),
        composite=composite,
    )
    return design, spec, tuple(notes)


def _single_scale_varies(spec: ModelSpec, column: Callable[[str], FloatArray]) -> bool:
    """Whether the only variable of the level-1 scale is another one than a constant 1."""
    if not spec.has_scale or len(spec.scale_variables) > 1:
        return False
    (name,) = spec.scale_variables
    return name != CONSTANT and bool((column(name) != 1.0).any())


def _clusters(
    spec: ModelSpec, column: Callable[[str], FloatArray], starts: list[IndexArray]
) -> FloatArray | None:
    """Values of the variable of ``cluster()``, one per top-level unit."""
    if spec.cluster is None or not spec.levels:
        return None
    values = column(spec.cluster)
    low = np.minimum.reduceat(values, starts[-1])
    if (low != np.maximum.reduceat(values, starts[-1])).any():
        raise InvalidSyntax(
            f"{spec.cluster} varies within {spec.levels[-1].unit}",
            hint=f"cluster() takes a variable whose groups consist of whole units of "
            f"{spec.levels[-1].unit}",
        )
    return low


def _frequency_totals(levels: tuple[DesignLevel, ...]) -> tuple[float, ...]:
    """Sums over units of the products of frequency weights, per level."""
    totals: list[float] = []
    above: FloatArray | None = None
    for level in reversed(levels):
        own = level.frequency
        above = own if above is None else product(own, take(above, level.parent))
        totals.insert(0, total(above))
    return tuple(totals)


def weight_of_choice(
    weight: FloatArray, y: FloatArray, entry_start: IndexArray | None, spec: ModelSpec
) -> FloatArray:
    """Give every row of a choice set the weight of its chosen row."""
    if spec.composite is not None or entry_start is None:
        return weight
    start = np.flatnonzero(np.diff(entry_start) == 1)
    if len(start) == len(weight):
        return weight
    size = np.diff(np.append(start, len(weight)))
    single = size == 1
    of_set = np.add.reduceat(np.where(y > 0.0, weight, 0.0), start)
    return np.repeat(np.where(single, weight[start], of_set), size)
