"""The arrays the engine reads: an immutable value, built by ``assemble``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._columns import compress
from gllamm_cli.model.auxiliary import (
    AuxiliaryPredictor,
    Channel,
    OrdinalRows,
    scale_predictor,
    threshold_predictor,
)
from gllamm_cli.model.distinct import distinct
from gllamm_cli.model.families import COMPOSITE_CODE, FAMILIES, LINK_CODES, Domain
from gllamm_cli.model.quadrature import ProductRule, Rule
from gllamm_cli.model.special import log_gamma
from gllamm_cli.model.structure import Column, as_column
from gllamm_cli.model.uniform import occurring, ones, take, zeros

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
CompressedRows = tuple[IndexArray | None, NDArray[np.int32], FloatArray]

ROWS_PER_BLOCK = 1024
MOST_BLOCKS = 128
TERMS_PER_BLOCK = 8192
"""Densities (rows times nodes) in a block of top-level units, at least."""


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
    frequency : (units,)
        Frequency weights without sampling weights.
    class_design : (1 or units, G), optional
        Covariates of the log odds of classes of a discrete distribution.
    """

    first: IndexArray
    weight: FloatArray
    rule: Rule | ProductRule
    parent: IndexArray
    total_weight: FloatArray
    frequency: FloatArray
    class_design: FloatArray | None = None

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.weight)


@dataclass(frozen=True, slots=True)
class CompositeRows:
    """Composite links of N rows.

    ``part`` (N,) is the composite whose likelihood a row has, from 1 (0: none);
    ``portion`` (N, parts) are the weights of its mean in each composite, ``weight``
    (N,) and ``total_weight`` (N,) the frequency weights of the likelihoods.
    """

    part: NDArray[np.int32]
    portion: FloatArray
    weight: FloatArray
    total_weight: FloatArray


@dataclass(frozen=True)
class Design:
    """The estimation sample as sorted arrays; N rows.

    Arrays of kinds, denominators, offsets, weights, frequencies and constants may be ``uniform``,
    those of units likewise; all others are contiguous.

    Attributes
    ----------
    kind : (N,)
        Family and link of each row, see ``families.kind``.
    positions : (N,), optional
        Positions in the data, in sorted order; a row of a nominal response
        appears once for each alternative. None: all rows of the data as they are.
    n_units
        Units per level as gllamm counts them: sums of products of frequency weights.
    y, denominator, offset, row_weight : (N,)
    constant : (N,)
        Part of the log density that depends on the response only.
    total_weight : (N,)
        Product of the weights of a row and of all units it belongs to.
    frequency : (N,)
        Product of the frequency weights alone.
    cluster : (top-level units,), optional
        Larger clusters for robust standard errors.
    composite
        Composite links; the weights of their rows are in it, not in ``row_weight``.
    variables : dict
        Every variable of the predictors, each (N,).
    scale_variables
        Columns of the level-1 log scale; empty without a scale parameter.
    levels
        Levels 2 to L, lowest first.
    entry_start : (N + 1,), optional
        Start of each row's entries, pairs of rows of one choice set or composite. None: each
        row stands alone and is one entry.
    natural_scale
        Whether the scale equation is for the scale itself, not its logarithm.
    ordinal
        Rows of each ordinal response.
    """

    kind: NDArray[np.int32]
    positions: IndexArray | None
    n_units: tuple[float, ...]
    y: FloatArray
    denominator: FloatArray
    offset: FloatArray
    row_weight: FloatArray
    total_weight: FloatArray
    frequency: FloatArray
    variables: dict[str, FloatArray]
    scale_variables: tuple[str, ...]
    levels: tuple[DesignLevel, ...]
    entry_start: IndexArray | None
    natural_scale: bool = False
    ordinal: tuple[OrdinalRows, ...] = ()
    cluster: FloatArray | None = None
    composite: CompositeRows | None = None

    @cached_property
    def kinds(self) -> tuple[int, ...]:
        """Kinds of rows that occur, ascending."""
        kind = occurring(self.kind)
        first, last = int(kind.min()), int(kind.max())
        return (first,) if first == last else tuple(distinct(self.kind.astype(np.int64)).tolist())

    @cached_property
    def constant(self) -> FloatArray:
        """Part of the log density that depends on the response only."""
        constant: FloatArray | None = None
        codes = {kind // LINK_CODES % COMPOSITE_CODE for kind in self.kinds}
        for family in FAMILIES:
            if family.code not in codes:
                continue
            here: NDArray[np.bool_] | slice = slice(None)
            if len(codes) > 1:
                here = self.kind // LINK_CODES % COMPOSITE_CODE == family.code
            n, y = self.denominator[here], self.y[here]
            if family.domain is Domain.COUNT:
                values = -log_gamma(y + 1.0)
            elif family.domain is Domain.PROPORTION and (occurring(n) > 1.0).any():
                ways = log_gamma(n + 1.0) - log_gamma(y + 1.0) - log_gamma(n - y + 1.0)
                values = np.where(n > 1.0, ways, 0.0)
            else:
                continue
            if len(codes) == 1:
                return values
            constant = np.zeros_like(self.y) if constant is None else constant
            constant[here] = values
        return zeros(self.n_rows) if constant is None else constant

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @cached_property
    def rows(self) -> IndexArray:
        """Positions in the data, (N,)."""
        return np.arange(self.n_rows) if self.positions is None else self.positions

    @cached_property
    def group_starts(self) -> IndexArray | None:
        """First rows of choice sets and composites, (groups,); None if every row stands alone."""
        if self.entry_start is None:
            return None
        starts = np.flatnonzero(np.diff(self.entry_start) == 1)
        return None if len(starts) == self.n_rows else starts

    def entries_of(self, rows: IndexArray) -> IndexArray | None:
        """``entry_start`` of a design of some rows, in which groups stay whole."""
        if self.entry_start is None:
            return None
        places = self.entry_start[rows + 1] - self.entry_start[rows]
        return np.append(0, np.cumsum(places)).astype(np.int64)

    def matrix(self, columns: tuple[Column, ...]) -> FloatArray:
        """Products of variables side by side, (N, len(columns))."""
        out = np.empty((self.n_rows, len(columns)))
        for c, column in enumerate(columns):
            out[:, c] = self.product(column)
        return out

    def product(self, column: Column, rows: IndexArray | slice = slice(None)) -> FloatArray:
        """Product of the variables of a column in all rows or in some; not to be written to."""
        if not column:
            return ones(len(self.y[rows]))
        x = self.variables[column[0]][rows]
        for name in column[1:]:
            x = x * self.variables[name][rows]
        return x

    def sparse_rows(self, columns: tuple[Column, ...], threads: int = 1) -> CompressedRows:
        """Columns compressed by rows: starts (N + 1,), column numbers, values.

        Zeros are left out unless they are few: then starts are None, there are no column
        numbers, and the values are (N, columns). The arrays do not depend on ``threads``.
        """
        if columns not in self._compressed:
            products = [
                np.ascontiguousarray(self.product(column)) if column else None for column in columns
            ]
            self._compressed[columns] = compress(products, self.n_rows, threads)
        return self._compressed[columns]

    @cached_property
    def _compressed(self) -> dict[tuple[Column, ...], CompressedRows]:
        return {}

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

    @property
    def n_terms(self) -> int:
        """Number of densities in one evaluation: rows times nodes."""
        return self.n_rows * math.prod(level.rule.n_nodes for level in self.levels)

    @cached_property
    def blocks(self) -> IndexArray:
        """Borders of blocks of top-level units with about equal numbers of rows.

        They depend on the data and nodes alone, so sums taken block by block do not depend on the
        number of threads. Each needs memory for its sums: none is for too few rows.
        """
        first_row = np.arange(self.levels[-1].n_units + 1)
        for level in reversed(self.levels):
            first_row = level.first[first_row]
        n_blocks = min(MOST_BLOCKS, self.levels[-1].n_units, 1 + self.n_terms // TERMS_PER_BLOCK)
        targets = np.arange(1, n_blocks) * (self.n_rows / n_blocks)
        inner = np.searchsorted(first_row, targets)
        return distinct(np.concatenate([[0], inner, [self.levels[-1].n_units]]).astype(np.int64))

    def without_latent_variables(self, rows_per_unit: int = ROWS_PER_BLOCK) -> Design:
        """Return the same rows as a one-level model, each with its total weight.

        Rows are grouped into artificial units without latent variables so that
        the engine runs unchanged; with ``rows_per_unit`` 1 a unit is a row or a
        choice set.
        """
        first = np.arange(0, self.n_rows, rows_per_unit)
        starts = self.group_starts
        if starts is not None:
            # A block starts where a choice set starts.
            at = np.minimum(np.searchsorted(starts, first), len(starts) - 1)
            first = distinct(starts[at])
        first = np.append(first, self.n_rows).astype(np.int64)
        level = DesignLevel(
            first,
            ones(len(first) - 1),
            ProductRule(()),
            np.zeros(0, dtype=np.int64),
            ones(len(first) - 1),
            take(self.frequency, first[:-1]),
        )
        # Built afresh: cached blocks belong to the clusters.
        composite = self.composite
        if composite is not None:
            composite = replace(composite, weight=composite.total_weight)
        return self._with_same_rows(
            row_weight=self.total_weight,
            levels=(level,),
            composite=composite,
            cluster=self._cluster_of_rows(level.first[:-1]),
        )

    def _cluster_of_rows(self, rows: IndexArray) -> FloatArray | None:
        """Values of the variable of ``cluster()`` in some rows."""
        if self.cluster is None:
            return None
        unit = rows
        for level in self.levels:
            unit = np.searchsorted(level.first, unit, side="right") - 1
        return self.cluster[unit]

    def with_levels(
        self, levels: tuple[DesignLevel, ...], order: IndexArray | None = None
    ) -> Design:
        """Return the same rows with other levels, ``order`` (N,) being those that come first.

        An order must keep the rows of choice sets and composites together, and all rows
        inside their top-level units.
        """
        if order is None or (np.diff(order) == 1).all():
            return self._with_same_rows(levels=levels)
        return self.with_rows(order, levels)

    def with_rows(
        self,
        rows: IndexArray,
        levels: tuple[DesignLevel, ...],
        units: IndexArray | slice = slice(None),
    ) -> Design:
        """Return some rows, in the order of ``rows``, with other levels.

        ``units`` are the top-level units that they belong to. Rows of choice sets and composites
        must stay together.
        """
        composite = self.composite
        if composite is not None:
            composite = CompositeRows(
                composite.part[rows],
                composite.portion[rows],
                take(composite.weight, rows),
                take(composite.total_weight, rows),
            )
        return replace(
            self,
            kind=take(self.kind, rows),
            positions=rows if self.positions is None else self.positions[rows],
            y=self.y[rows],
            denominator=take(self.denominator, rows),
            offset=take(self.offset, rows),
            row_weight=take(self.row_weight, rows),
            total_weight=take(self.total_weight, rows),
            frequency=take(self.frequency, rows),
            variables={name: values[rows] for name, values in self.variables.items()},
            entry_start=self.entries_of(rows),
            ordinal=tuple(response.in_rows(rows, self.n_rows) for response in self.ordinal),
            cluster=None if self.cluster is None else self.cluster[units],
            composite=composite,
            levels=levels,
        )

    def _with_same_rows(self, **changes: Any) -> Design:
        """Change what the cached arrays of rows do not depend on, and keep these."""
        other = replace(self, **changes)
        for name in ("constant", "kinds", "auxiliary", "_compressed"):
            other.__dict__[name] = getattr(self, name)
        return other
