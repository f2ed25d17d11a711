"""From a specification and data to the arrays the engine reads.

Rows are sorted once by (top-level id, ..., lowest id, original order); a unit
of level k is the combination of its own id and all higher ids, so identifiers
need only be unique within the next level up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from gllamm_cli.errors import BadWeights
from gllamm_cli.model.auxiliary import (
    AuxiliaryPredictor,
    Channel,
    OrdinalRows,
    scale_predictor,
    threshold_predictor,
)
from gllamm_cli.model.families import FAMILIES, LINK_CODES, Domain, kind
from gllamm_cli.model.quadrature import Rule, product_rule
from gllamm_cli.model.sample import check_covariates, check_response, estimation_rows
from gllamm_cli.model.spec import CONSTANT, Level, ModelSpec
from gllamm_cli.model.structure import Column, as_column, n_classes

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

ROWS_PER_BLOCK = 1024
MOST_BLOCKS = 128


@dataclass(frozen=True, slots=True)
class DesignLevel:
    """Units of one level above the rows.

    Attributes
    ----------
    first : (units + 1,)
        Unit j consists of the units ``first[j]:first[j + 1]`` of the level below.
    weight : (units,)
        Frequency weights, exponents of the units' contributions.
    rule
        Standard nodes for the latent variables of the level; for a discrete
        distribution one indicator vector per class.
    parent : (units,)
        Unit of the next level up; empty at the top.
    total_weight : (units,)
        Product of the weights of a unit and of all units it belongs to.
    class_design : (1 or units, G), optional
        Covariates of the log odds of classes of a discrete distribution.
    """

    first: IndexArray
    weight: FloatArray
    rule: Rule
    parent: IndexArray
    total_weight: FloatArray
    class_design: FloatArray | None = None

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.weight)


@dataclass(frozen=True)
class Design:
    """The estimation sample as sorted, contiguous arrays; N rows.

    Attributes
    ----------
    kind : (N,)
        Family and link of each row, see ``families.kind``.
    rows : (N,)
        Positions in the data, in sorted order.
    y, denominator, offset, row_weight : (N,)
    constant : (N,)
        Part of the log density that depends on the response only.
    total_weight : (N,)
        Product of the weights of a row and of all units it belongs to.
    variables : dict
        Every variable of the predictors, each (N,).
    scale_variables
        Columns of the level-1 log scale; empty without a scale parameter.
    levels
        Levels 2 to L, lowest first.
    entry_start : (N + 1,)
        Start of each row's entries, pairs of rows of one choice set; one per row without.
    natural_scale
        Whether the scale equation is for the scale itself, not its logarithm.
    ordinal
        Rows of each ordinal response.
    """

    kind: NDArray[np.int32]
    rows: IndexArray
    y: FloatArray
    denominator: FloatArray
    offset: FloatArray
    row_weight: FloatArray
    total_weight: FloatArray
    variables: dict[str, FloatArray]
    scale_variables: tuple[str, ...]
    levels: tuple[DesignLevel, ...]
    entry_start: IndexArray
    natural_scale: bool = False
    ordinal: tuple[OrdinalRows, ...] = ()

    @cached_property
    def constant(self) -> FloatArray:
        """Part of the log density that depends on the response only."""
        constant = np.zeros_like(self.y)
        for family in FAMILIES:
            here = self.kind // LINK_CODES == family.code
            if not here.any():
                continue
            n, y = self.denominator[here], self.y[here]
            if family.domain is Domain.COUNT:
                constant[here] = -gammaln(y + 1.0)
            elif family.domain is Domain.PROPORTION:
                combinations = gammaln(n + 1.0) - gammaln(y + 1.0) - gammaln(n - y + 1.0)
                constant[here] = np.where(n > 1.0, combinations, 0.0)
        return constant

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @cached_property
    def n_units(self) -> tuple[float, ...]:
        """Units per level as gllamm counts them: sums of products of frequency weights."""
        above = (float(level.total_weight.sum()) for level in self.levels)
        return (float(self.total_weight.sum()), *above)

    def matrix(self, columns: tuple[Column, ...]) -> FloatArray:
        """Products of variables side by side, (N, len(columns))."""
        out = np.ones((self.n_rows, len(columns)))
        for c, column in enumerate(columns):
            for name in column:
                out[:, c] *= self.variables[name]
        return out

    def sparse_rows(
        self, columns: tuple[Column, ...]
    ) -> tuple[IndexArray, NDArray[np.int32], FloatArray]:
        """Columns compressed by rows: starts (N + 1,), column numbers, values."""
        dense = self.matrix(columns)
        filled = dense != 0.0
        start = np.zeros(self.n_rows + 1, dtype=np.int64)
        np.cumsum(filled.sum(axis=1), out=start[1:])
        return start, np.nonzero(filled)[1].astype(np.int32), dense[filled]

    @cached_property
    def auxiliary(self) -> tuple[AuxiliaryPredictor, ...]:
        """Predictors without latent variables that the model has."""
        predictors = []
        if self.scale_variables:
            columns = tuple(as_column(variable) for variable in self.scale_variables)
            predictors.append(scale_predictor(self.matrix(columns), self.natural_scale))
        if self.ordinal:
            predictors.extend(
                threshold_predictor(channel, self.n_rows, list(self.ordinal))
                for channel in (Channel.LOWER, Channel.UPPER)
            )
        return tuple(predictors)

    @cached_property
    def blocks(self) -> IndexArray:
        """Borders of blocks of top-level units with about equal numbers of rows.

        They depend on the data alone, so sums taken block by block do not
        depend on the number of threads.
        """
        first_row = np.arange(self.levels[-1].n_units + 1)
        for level in reversed(self.levels):
            first_row = level.first[first_row]
        n_blocks = min(MOST_BLOCKS, self.levels[-1].n_units)
        targets = np.arange(1, n_blocks) * (self.n_rows / n_blocks)
        inner = np.searchsorted(first_row, targets)
        return np.unique(np.concatenate([[0], inner, [self.levels[-1].n_units]])).astype(np.int64)

    def without_latent_variables(self) -> Design:
        """Return the same rows as a one-level model, each with its total weight.

        Rows are grouped into artificial units without latent variables so that
        the engine runs unchanged.
        """
        first = np.unique(np.append(np.arange(0, self.n_rows, ROWS_PER_BLOCK), self.n_rows))
        level = DesignLevel(
            first.astype(np.int64),
            np.ones(len(first) - 1),
            product_rule(()),
            np.zeros(0, dtype=np.int64),
            np.ones(len(first) - 1),
        )
        # Built afresh: cached blocks belong to the clusters.
        return replace(self, row_weight=self.total_weight, levels=(level,))


def _unit_starts(ids: list[FloatArray]) -> list[IndexArray]:
    """Row at which each unit starts, per level, for ids (lowest level first) of sorted rows."""
    n = len(ids[0])
    changed = np.zeros(n, dtype=bool)
    changed[0] = True
    starts: list[IndexArray] = []
    for id_ in reversed(ids):
        changed = changed.copy()
        changed[1:] |= id_[1:] != id_[:-1]
        starts.append(np.flatnonzero(changed).astype(np.int64))
    return starts[::-1]


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


def _rule(spec: ModelSpec, level: Level) -> Rule:
    """Nodes of a level."""
    if spec.rule.discrete:
        K = n_classes(level)
        return Rule(np.eye(K), np.zeros(K))
    return product_rule(tuple(effect.points for effect in level.latent))


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


def nesting_notes(spec: ModelSpec, dataset: Dataset, rows: IndexArray) -> list[str]:
    """Say where an id occurs in several higher units, which may be a mistake."""
    notes = []
    ids = [dataset.column(level.unit)[rows] for level in spec.levels]
    for k in range(len(ids) - 1):
        pairs = np.unique(np.column_stack(ids[k:]), axis=0)
        distinct = len(np.unique(ids[k]))
        if len(pairs) > distinct:
            unit, higher = spec.levels[k].unit, spec.levels[k + 1].unit
            notes.append(
                f"{unit} is not nested in {higher}: {distinct} values of {unit} form {len(pairs)} "
                f"level {k + 2} units, one for each combination with {higher}"
            )
    return notes


def build_design(spec: ModelSpec, dataset: Dataset) -> tuple[Design, ModelSpec, tuple[str, ...]]:
    """Select, check and sort the rows.

    Returns the design, the specification without collinear covariates, and
    notes on what was left out.

    Raises
    ------
    NoObservations, InsufficientObservations
        Nothing, or one row, is left.
    InvalidResponse
        A response outside the domain of the family.
    BadWeights
        Negative weights, or weights that vary within their unit.
    """
    rows, notes = estimation_rows(spec, dataset)

    def column(name: str) -> FloatArray:
        return dataset.column(name)[rows]

    ids = [column(level.unit) for level in spec.levels]
    notes.extend(nesting_notes(spec, dataset, rows))
    rows = rows[np.lexsort(ids)] if ids else rows
    ids = [column(level.unit) for level in spec.levels]
    starts = _unit_starts(ids) if ids else []

    weights = {level: column(variable) for level, variable in spec.weights}
    for level_number, variable in spec.weights:
        if (weights[level_number] < 0).any():
            raise BadWeights(f"weight variable {variable} has negative values")
    total_weight = np.ones(len(rows))
    for weight in weights.values():
        total_weight = total_weight * weight
    if (np.floor(total_weight) != total_weight).any():
        notes.append("weights are non-integer")

    levels: list[DesignLevel] = []
    for k, level in reversed(list(enumerate(spec.levels))):
        start = starts[k]
        below = starts[k - 1] if k else np.arange(len(rows))
        first = np.append(np.searchsorted(below, start), len(below)).astype(np.int64)
        parent = np.zeros(0, dtype=np.int64)
        higher: FloatArray = np.ones(len(start))
        if levels:
            parent = (np.searchsorted(starts[k + 1], start, side="right") - 1).astype(np.int64)
            higher = levels[0].total_weight[parent]
        name = dict(spec.weights).get(level.number)
        weight = (
            np.ones(len(start))
            if name is None
            else _unit_values("weight variable", name, level.unit, column(name), start)
        )
        levels.insert(
            0,
            DesignLevel(
                first,
                weight,
                _rule(spec, level),
                parent,
                weight * higher,
                _class_design(spec, level, column, start),
            ),
        )

    y = column(spec.depvar)
    response = spec.response
    denominator = column(response.denominator) if response.denominator else np.ones(len(rows))
    notes.extend(check_response(spec, y, denominator))
    spec, dropped = check_covariates(spec, y, denominator, {n: column(n) for n in spec.covariates})
    notes.extend(dropped)

    names = dict.fromkeys([*spec.covariates, *(v for e in spec.latent for v in e.variables)])
    design = Design(
        kind=np.full(len(rows), kind(response.family, response.link), dtype=np.int32),
        rows=rows,
        y=y,
        denominator=denominator,
        offset=column(spec.offset) if spec.offset else np.zeros(len(rows)),
        row_weight=weights.get(1, np.ones(len(rows))),
        total_weight=total_weight,
        variables={name: column(name) for name in names if name != CONSTANT},
        scale_variables=spec.scale_variables if spec.has_scale else (),
        levels=tuple(levels),
        entry_start=np.arange(len(rows) + 1, dtype=np.int64),
        natural_scale=spec.natural_scale,
    )
    return design, spec, tuple(notes)
