"""Covariates that are made from others: indicators of factor levels and their products.

``xi: gllamm y i.g*x`` puts ``_Ig_2`` and ``_IgXx_2`` into the data; ``melogit y i.g##c.x``
has columns named ``2.g`` and ``2.g#c.x``. To set g to another value means to set these as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import General
from gllamm_cli.model.assemble import predictor_variables
from gllamm_cli.model.spec import CONSTANT, ModelSpec

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]

LABEL = re.compile(r"(\w+)==(\d+)")
"""Label that ``xi`` gives the indicator of a level."""
NOTATION = re.compile(r"(?:\d+|c)\.\w+(?:#(?:\d+|c)\.\w+)*")
"""Name of a column made from factor variables."""

Part = tuple[str, float | None]
"""A variable, or the indicator that it has a value."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A variable whose indicators are covariates: their names by level, and all levels."""

    name: str
    indicators: Mapping[float, str]
    levels: tuple[float, ...]

    @property
    def base(self) -> float:
        """The first level without an indicator."""
        return next((x for x in self.levels if x not in self.indicators), self.levels[0])


@dataclass(frozen=True, slots=True)
class Terms:
    """Variables of a model, and how the columns made from others follow from them.

    Attributes
    ----------
    variables
        What the model depends on; in place of columns that are made, what they are made from.
    covariates
        Those of the fixed part, of thresholds and of regressions of latent variables.
    factors
        Variables with indicators among the covariates.
    formulas
        Parts of which each column that is made is the product.
    """

    variables: frozenset[str]
    covariates: frozenset[str]
    factors: Mapping[str, Factor]
    formulas: Mapping[str, tuple[Part, ...]]

    @property
    def indicators(self) -> Mapping[Part, str]:
        """Columns that are indicators of levels."""
        return {parts[0]: name for name, parts in self.formulas.items() if len(parts) == 1}

    def changed(self, dataset: Dataset, values: Mapping[str, FloatArray]) -> Dataset:
        """Return the data with columns set to ``values`` (rows,) and what follows from them.

        The values may be those of indicators themselves, such as their means.
        """
        columns = dict(values)
        indicators = self.indicators

        def part_values(part: Part) -> FloatArray:
            variable, level = part
            indicator = indicators.get(part)
            if indicator in columns:
                return columns[indicator]
            of = columns[variable] if variable in columns else dataset.column(variable)
            return of if level is None else indicator_of(of, level)

        # Indicators first: products take them from there.
        for name, parts in sorted(self.formulas.items(), key=lambda item: len(item[1])):
            touched = any(v in columns or indicators.get((v, x)) in columns for v, x in parts)
            if touched and name not in values:
                columns[name] = np.prod([part_values(part) for part in parts], axis=0)
        return dataset.with_columns(columns, storage_type="double")


def indicator_of(values: FloatArray, level: float) -> FloatArray:
    """1 where a variable has a value, missing where it is."""
    return np.where(np.isnan(values), np.nan, (values == level).astype(np.float64))


def notation_parts(name: str) -> tuple[Part, ...] | None:
    """Parts of a column named like ``2.g#c.x``; None for other names."""
    if NOTATION.fullmatch(name) is None:
        return None
    pieces = [piece.partition(".") for piece in name.split("#")]
    return tuple((of, None if level == "c" else float(level)) for level, _, of in pieces)


def model_variables(spec: ModelSpec) -> set[str]:
    """Names of all columns on which the distribution of a response depends."""
    names = predictor_variables(spec)
    names.update(name for thresholds in spec.thresholds for name in thresholds.covariates)
    names.update(name for _, of_level in spec.class_covariates for name in of_level)
    if spec.offset is not None:
        names.add(spec.offset)
    return names - {CONSTANT}


def model_terms(spec: ModelSpec, dataset: Dataset) -> Terms:
    """Find the columns made from factors among those of a model.

    Raises
    ------
    General
        A column looks like a product made by ``xi`` and is none.
    """
    names = model_variables(spec)
    formulas: dict[str, tuple[Part, ...]] = {}
    unknown = []
    for name in sorted(names):
        parts = notation_parts(name)
        if parts is not None:
            formulas[name] = parts
        elif name.startswith("_I"):
            match = LABEL.fullmatch(dataset.variable_labels.get(name, ""))
            source = match[1] if match and match[1] in dataset.names else None
            if match is None or source is None or dataset.is_text(source):
                unknown.append(name)
            else:
                formulas[name] = ((source, float(match[2])),)
    made = dict(formulas)
    plain = [name for name in dataset.names if name in names - set(unknown) - set(made)]
    if any(name.startswith("_I") for name in made):
        formulas |= {name: _product_parts(name, made, plain, dataset) for name in unknown}

    def sources(columns: set[str]) -> frozenset[str]:
        made_from = {v for name in columns & set(formulas) for v, _ in formulas[name]}
        return frozenset((columns - set(formulas)) | made_from)

    fixed = {*spec.covariates, *(name for of in spec.thresholds for name in of.covariates)}
    fixed.update(name for regression in spec.regressions for name in regression.variables)
    return Terms(
        sources(names),
        sources(fixed),
        _factors(formulas, dataset),
        formulas,
    )


def _factors(formulas: Mapping[str, tuple[Part, ...]], dataset: Dataset) -> dict[str, Factor]:
    """Factors by name; indicators that occur in products only have no column."""
    found: dict[str, dict[float, str]] = {}
    for name, parts in formulas.items():
        for variable, level in parts:
            if level is not None:
                indicators = found.setdefault(variable, {})
                if len(parts) == 1:
                    indicators[level] = name
    factors = {}
    for variable, indicators in found.items():
        values = dataset.column(variable)
        levels = tuple(np.unique(values[~np.isnan(values)]).tolist())
        factors[variable] = Factor(variable, indicators, levels)
    return factors


def _product_parts(
    name: str, made: Mapping[str, tuple[Part, ...]], plain: list[str], dataset: Dataset
) -> tuple[Part, ...]:
    """Find an indicator and a covariate of which a column is the product."""
    values = dataset.column(name)
    for indicator, parts in made.items():
        for other in [*plain, *made]:
            product = dataset.column(indicator) * dataset.column(other)
            if other != indicator and np.array_equal(product, values, equal_nan=True):
                return (*parts, *made.get(other, ((other, None),)))
    raise General(
        f"cannot tell what {name} is made from",
        hint="name the products of covariates without _I at the start, or let xi make them",
    )
