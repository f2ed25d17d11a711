"""From a fit's specification and any data to the design of a prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._scanning import unit_starts
from gllamm_cli.errors import InvalidResponse, InvalidSyntax, VariableNotFound
from gllamm_cli.model.assemble import (
    Weights,
    nested_levels,
    predictor_variables,
    weight_of_choice,
)
from gllamm_cli.model.auxiliary import OrdinalRows
from gllamm_cli.model.design import CompositeRows, Design, DesignLevel
from gllamm_cli.model.families import COMPOSITE_CODE, LINK_BY_NAME, LINK_CODES, kind
from gllamm_cli.model.responses import NOT_BASE, check_domain
from gllamm_cli.model.spec import ModelSpec
from gllamm_cli.model.uniform import ones, zeros
from gllamm_cli.predict.design import PredictionDesign, nominal_categories
from gllamm_cli.predict.gather import (
    Source,
    complete_rows,
    filled_within_units,
    select_responses,
    sorted_order,
)

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.int64]


def _present_weights(spec: ModelSpec, dataset: Dataset) -> ModelSpec:
    """Leave out weight variables that the data do not have; they count as 1."""
    return replace(
        spec,
        weights=tuple(entry for entry in spec.weights if entry[1] in dataset.names),
        sampling_weights=tuple(
            entry for entry in spec.sampling_weights if entry[1] in dataset.names
        ),
    )


def build_prediction_design(
    spec: ModelSpec, dataset: Dataset, rows: IndexArray, *, needs_response: bool = True
) -> PredictionDesign:
    """Arrays for the given positions of rows in the data.

    ``spec`` is that of a fit, with its categories. Without ``needs_response``
    the response variable may be absent.

    Raises
    ------
    VariableNotFound
        A variable of the model is not in the data.
    InvalidResponse, InvalidSyntax, BadWeights
        Values that the fit could not have been given.
    """
    if spec.depvar not in dataset.names and (
        needs_response or (spec.choice_sets is not None and spec.choice_sets.by_alternative)
    ):
        raise VariableNotFound(
            f"{spec.depvar} not found", hint="the response may be missing (.) but must exist"
        )
    for name in sorted(predictor_variables(spec)):
        if name not in dataset.names:
            raise VariableNotFound(f"{name} not found", hint=f"the fit has used {name}")
    spec = _present_weights(spec, dataset)
    source = Source(dataset, rows)
    number, known = select_responses(spec, source)
    known &= complete_rows(spec, source) | (spec.choice_sets is None and spec.composite is None)
    order = sorted_order(spec, source, number, known)
    rows, number, known = rows[order], number[order], known[order]
    alternative = None
    if LINK_BY_NAME[spec.response.link].nominal and spec.choice_sets is None:
        categories = nominal_categories(spec)
        repeats = len(categories)
        alternative = np.tile(np.array(categories), len(rows))
        rows, number = np.repeat(rows, repeats), np.repeat(number, repeats)
        known = np.repeat(known, repeats)
    return _Assembler(spec, dataset, rows, number, known, alternative).build()


class _Assembler:
    """Builds the design of sorted rows."""

    def __init__(
        self,
        spec: ModelSpec,
        dataset: Dataset,
        rows: IndexArray,
        number: IndexArray,
        known: BoolArray,
        alternative: FloatArray | None,
    ) -> None:
        self.spec = spec
        self.source = Source(dataset, rows)
        self.number = number
        self.known = known
        self.alternative = alternative
        n = len(rows)
        ids = [self.source.column(level.unit) for level in spec.levels]
        self.placed: BoolArray = np.ones(n, dtype=bool)
        for id_ in ids:
            self.placed &= ~np.isnan(id_)
        if spec.choice_sets is not None or spec.composite is not None:
            # Groups lie within clusters.
            self.known = known & self.placed
        # A row with a missing id is a unit of its own, since NaN differs from NaN.
        self.starts = unit_starts(ids, 1) if ids else []
        self.y = (
            self.source.column(spec.depvar) if spec.depvar in dataset.names else np.full(n, np.nan)
        )

    def build(self) -> PredictionDesign:
        spec, source = self.spec, self.source
        n = len(self.number)
        weights = Weights(spec, self.weight_column)
        levels = nested_levels(spec, self.weight_column, weights, self.starts, n)
        variables = {name: source.filled(name) for name in predictor_variables(spec)}
        raw = {name: source.column(name) for name in variables}
        offset = source.column(spec.offset) if spec.offset else zeros(n)
        if spec.offset:
            source.filled(spec.offset)
        denominator = raw_denominator = ones(n)
        if spec.denominator:
            denominator = source.filled(spec.denominator, 1.0)
            raw_denominator = source.column(spec.denominator)
        ordinal, raw_ordinal = self.ordinal()
        composite, place = self.composite()
        usable = source.complete & np.isfinite(self.y) & self.known & self.placed
        indicators = self.indicators()
        if indicators and spec.offset:
            # As at estimation: the offset belongs to the first linear predictor only.
            offset = offset * indicators[spec.blocks[0].indicator or ""]
        y, place, usable = self.kernel_response(usable, place)
        self.check(usable, y, denominator, composite)
        entry_start = np.append(0, np.cumsum(place)).astype(np.int64)
        own = (
            (1,)
            if levels
            else tuple(dict.fromkeys(k for k, _ in (*spec.weights, *spec.sampling_weights)))
        )
        weight = weight_of_choice(weights.of_rows(n, own), y, entry_start, spec)
        row_weight = np.where(usable, weight, 0.0)
        group_start = np.flatnonzero(np.diff(entry_start) == 1)
        if composite is not None:
            # Without latent variables the group is the unit; it has no weight of its own.
            composite = replace(composite, weight=row_weight, total_weight=row_weight)
            row_weight = ones(n)
        design = Design(
            kind=self.kinds(composite is not None),
            positions=source.rows,
            n_units=(float(n),),
            y=y,
            denominator=denominator,
            offset=np.where(np.isnan(offset), 0.0, offset) if spec.offset else offset,
            row_weight=row_weight,
            total_weight=row_weight if composite is not None else usable.astype(np.float64),
            frequency=ones(n),
            variables={**variables, **indicators},
            scale_variables=spec.scale_variables if spec.has_scale else (),
            levels=levels,
            entry_start=entry_start,
            natural_scale=spec.natural_scale,
            ordinal=ordinal,
            composite=composite,
        )
        if levels:
            unit_weight = levels[-1].weight
            design = design.with_levels((*levels[:-1], _unweighted(levels[-1])))
        else:
            grouped = composite is not None
            unit_weight = ones(len(group_start)) if grouped else weight[group_start]
            design = design.without_latent_variables(rows_per_unit=1)
        return PredictionDesign(
            spec=spec,
            design=design,
            raw=replace(
                design,
                variables={**raw, **indicators},
                offset=offset,
                denominator=raw_denominator,
                ordinal=raw_ordinal,
            ),
            unit_weight=unit_weight,
            unit_of_row=_unit_of_row(design),
            response=self.y,
            number=self.number,
            alternative=self.alternative,
            known=self.known,
            placed=self.placed,
            contributes=usable,
            group_start=group_start,
        )

    def weight_column(self, name: str) -> FloatArray:
        """A weight or class covariate without gaps: those of units are filled within the unit."""
        values = self.source.column(name)
        spec = self.spec
        for level in spec.levels:
            of_level = (
                dict(spec.weights).get(level.number),
                dict(spec.sampling_weights).get(level.number),
                *dict(spec.class_covariates).get(level.number, ()),
            )
            if name in of_level:
                values = filled_within_units(values, self.starts[level.number - 2])
        missing = np.isnan(values)
        levels_weighted = {
            k for k, weight in (*spec.weights, *spec.sampling_weights) if weight == name
        }
        if missing.any() and not levels_weighted:
            # Without the covariates of its class a unit has no prior distribution.
            self.placed &= ~missing
        above_rows = bool(levels_weighted) and bool(spec.levels) and 1 not in levels_weighted
        return np.where(missing, 1.0 if above_rows else 0.0, values)

    def kinds(self, composite: bool) -> NDArray[np.int32]:
        codes = np.array([kind(r.family, r.link) for r in self.spec.responses])
        shift = COMPOSITE_CODE * LINK_CODES if composite else 0
        return (codes[self.number] + shift).astype(np.int32)

    def ordinal(self) -> tuple[tuple[OrdinalRows, ...], tuple[OrdinalRows, ...]]:
        """Rows of the ordinal responses, complete and with NaN."""
        spec, source = self.spec, self.source
        first = len(spec.scale_variables) if spec.has_scale else 0
        positions = [p for p, r in enumerate(spec.responses) if LINK_BY_NAME[r.link].ordinal]
        filled, raw = [], []
        for position, thresholds in zip(positions, spec.thresholds, strict=True):
            rows = np.flatnonzero(self.number == position)
            codes = np.array(thresholds.categories)
            y = self.y[rows]
            present = np.isfinite(y)
            self.check_categories(y[present], thresholds.categories)
            category = np.where(present, np.searchsorted(codes, np.where(present, y, codes[0])), 0)
            sides = []
            for column in (source.filled, source.column):
                parts = [column(name)[rows] for name in thresholds.covariates]
                design = np.column_stack([*parts, np.ones(len(rows))])
                sides.append(
                    OrdinalRows(rows, category, len(codes), design, first, thresholds.increments)
                )
            filled.append(sides[0])
            raw.append(sides[1])
            first += (len(codes) - 1) * (len(thresholds.covariates) + 1)
        return tuple(filled), tuple(raw)

    def composite(self) -> tuple[CompositeRows | None, IndexArray]:
        """Composite links, and the place of each row in its group (N,)."""
        n = len(self.number)
        option, source = self.spec.composite, self.source
        if option is None:
            return None, np.ones(n, dtype=np.int64)
        part = np.where(self.known, source.filled(option.indicator), 0.0)
        if not np.isin(part, np.arange(len(option.portions) + 1)).all():
            raise InvalidSyntax(
                f"composite(): {option.indicator} is not always the number of a composite"
            )
        portion = np.column_stack(
            [np.where(self.known, source.filled(name), 0.0) for name in option.portions]
        )
        rows = CompositeRows(part.astype(np.int32), portion, ones(n), ones(n))
        return rows, self.places(source.column(option.unit))

    def places(self, id_: FloatArray) -> IndexArray:
        """Place of each row in its group, from 1; unknown rows are groups of their own."""
        new = np.ones(len(id_), dtype=bool)
        new[1:] = (id_[1:] != id_[:-1]) | ~self.known[1:] | ~self.known[:-1]
        if self.spec.choice_sets is not None:
            nominal = self.nominal()
            new[1:] |= ~nominal[1:] | ~nominal[:-1]
        if self.starts:
            new[self.starts[0]] = True
        start = np.flatnonzero(new)
        size = np.diff(np.append(start, len(id_)))
        return np.asarray(np.arange(len(id_)) - np.repeat(start, size) + 1)

    def nominal(self) -> BoolArray:
        """Rows of nominal responses."""
        links = [LINK_BY_NAME[response.link].nominal for response in self.spec.responses]
        return np.asarray(np.array(links)[self.number])

    def indicators(self) -> dict[str, FloatArray]:
        """Columns that select the coefficients of nominal categories."""
        spec = self.spec
        codes = self.y if self.alternative is None else self.alternative
        found = {
            block.indicator: (codes == float(block.indicator.split()[1])).astype(np.float64)
            for block in spec.blocks
            if block.indicator is not None
        }
        if self.alternative is not None:
            found[NOT_BASE] = (self.alternative != spec.base_category).astype(np.float64)
        return found

    def kernel_response(
        self, usable: BoolArray, place: IndexArray
    ) -> tuple[FloatArray, IndexArray, BoolArray]:
        """Response in the kernel's terms, places in groups, and rows that contribute."""
        spec, source = self.spec, self.source
        y = np.where(usable, self.y, 1.0)
        if self.alternative is not None:
            categories = nominal_categories(spec)
            self.check_categories(self.y[usable], categories)
            n = len(y)
            K = len(categories)
            place = np.asarray(np.tile(np.arange(1, K + 1), n // K), dtype=np.int64)
            return (self.y == self.alternative).astype(np.float64), place, usable
        if spec.choice_sets is None:
            return y, place, usable
        nominal = self.nominal()
        if spec.choice_sets.by_alternative:
            self.check_categories(self.y[nominal & self.known], nominal_categories(spec))
        chosen = source.column(spec.choice_sets.chosen)
        place = self.places(source.column(spec.choice_sets.unit))
        start = np.flatnonzero(place == 1)
        size = np.diff(np.append(start, len(y)))
        picked = (np.nan_to_num(chosen) != 0) & nominal & self.known
        count = np.add.reduceat(picked.astype(np.int64), start)
        if (count > 1).any():
            id_ = source.column(spec.choice_sets.unit)[start[count > 1]][0]
            raise InvalidSyntax(
                f"{spec.choice_sets.unit} = {id_:g} has several rows with "
                f"{spec.choice_sets.chosen} = 1",
                hint="each unit chooses one alternative",
            )
        # A set in which something is missing, or no choice is made, says nothing.
        fine = (usable & ~np.isnan(chosen)) | ~nominal
        whole = np.logical_and.reduceat(fine, start) & (count == 1)
        usable = np.where(nominal, np.repeat(whole, size), usable)
        return np.where(nominal, picked.astype(np.float64), y), place, usable

    def check_categories(self, y: FloatArray, categories: tuple[float, ...]) -> None:
        """Raise InvalidResponse for values that are no categories of the fit."""
        wrong = ~np.isin(y, categories)
        if wrong.any():
            raise InvalidResponse(
                f"{self.spec.depvar} = {y[wrong][0]:g} is not a category of the fit",
                hint="categories: " + " ".join(f"{code:g}" for code in categories),
            )

    def check(
        self,
        usable: BoolArray,
        y: FloatArray,
        denominator: FloatArray,
        composite: CompositeRows | None,
    ) -> None:
        """Raise InvalidResponse for responses outside the domain of their family."""
        for position, response in enumerate(self.spec.responses):
            link = LINK_BY_NAME[response.link]
            here = usable & (self.number == position)
            if composite is not None:
                here &= composite.part > 0
            if not (link.ordinal or link.nominal):
                check_domain(self.spec.depvar, response, y[here], denominator[here])


def _unweighted(level: DesignLevel) -> DesignLevel:
    one = ones(level.n_units)
    return replace(level, weight=one, total_weight=one, frequency=one)


def _unit_of_row(design: Design) -> tuple[IndexArray, ...]:
    """Unit of each row at each level, lowest first."""
    units: list[IndexArray] = []
    for level in design.levels:
        of_below = np.repeat(np.arange(level.n_units), np.diff(level.first))
        units.append(of_below if not units else of_below[units[-1]])
    return tuple(units)
