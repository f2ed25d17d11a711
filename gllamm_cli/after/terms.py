"""Covariates that are made from others: indicators of ``xi`` and their products.

``xi: gllamm y i.g*x`` puts ``_Ig_2`` and ``_IgXx_2`` into the data. To set g to another value
means to set these as well.
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

LABEL = re.compile(r"(\w+)==(\S+)")
"""Label that ``xi`` gives the indicator of a level."""


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
    """Variables of a model, and how those that ``xi`` has made follow from others.

    Attributes
    ----------
    variables
        What the linear predictor, thresholds, scales and class probabilities refer to.
    products
        Two factors of each product.
    """

    variables: frozenset[str]
    factors: Mapping[str, Factor]
    products: Mapping[str, tuple[str, str]]

    def changed(self, dataset: Dataset, values: Mapping[str, FloatArray]) -> Dataset:
        """Return the data with variables set to ``values`` (rows,) and what follows from them."""
        columns = dict(values)
        for name, values_of in values.items():
            if name in self.factors:
                for level, indicator in self.factors[name].indicators.items():
                    columns[indicator] = (values_of == level).astype(np.float64)
        for product, parts in self.products.items():
            if any(part in columns for part in parts):
                left, right = (
                    columns[part] if part in columns else dataset.column(part) for part in parts
                )
                columns[product] = left * right
        return dataset.with_columns(columns, storage_type="double")

    def made_by_xi(self) -> set[str]:
        """Names of indicators and products."""
        made = {name for factor in self.factors.values() for name in factor.indicators.values()}
        return made | set(self.products)


def model_variables(spec: ModelSpec) -> set[str]:
    """Names of all variables on which the distribution of a response depends."""
    names = predictor_variables(spec)
    names.update(name for thresholds in spec.thresholds for name in thresholds.covariates)
    names.update(name for _, of_level in spec.class_covariates for name in of_level)
    if spec.offset is not None:
        names.add(spec.offset)
    return names - {CONSTANT}


def model_terms(spec: ModelSpec, dataset: Dataset) -> Terms:
    """Find the indicators and products of ``xi`` among the variables of a model.

    Raises
    ------
    General
        A variable looks like a product made by ``xi`` and is none.
    """
    variables = model_variables(spec)
    indicators: dict[str, dict[float, str]] = {}
    rest = []
    for name in sorted(variables):
        if not name.startswith("_I"):
            continue
        match = LABEL.fullmatch(dataset.variable_labels.get(name, ""))
        source = match[1] if match and match[1] in dataset.names else None
        if match is None or source is None or dataset.is_text(source):
            rest.append(name)
        else:
            indicators.setdefault(source, {})[float(match[2])] = name
    factors = {
        name: Factor(name, of, tuple(np.unique(_known(dataset.column(name))).tolist()))
        for name, of in indicators.items()
    }
    made = [name for of in indicators.values() for name in of.values()]
    plain = [name for name in dataset.names if name in variables and name not in rest]
    products = {name: _parts(name, made, plain, dataset) for name in rest if made}
    return Terms(frozenset(variables | set(factors)), factors, products)


def _known(values: FloatArray) -> FloatArray:
    return np.asarray(values[~np.isnan(values)])


def _parts(name: str, made: list[str], plain: list[str], dataset: Dataset) -> tuple[str, str]:
    values = dataset.column(name)
    for indicator in made:
        for other in plain:
            product = dataset.column(indicator) * dataset.column(other)
            if other != indicator and np.array_equal(product, values, equal_nan=True):
                return indicator, other
    raise General(
        f"cannot tell what {name} is made from",
        hint="name the products of covariates without _I at the start, or let xi make them",
    )
