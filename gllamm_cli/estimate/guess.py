"""A first guess of the parameters of a model without latent variables, from the data alone.

Least squares on transformed responses for the fixed effects, marginal
proportions for thresholds, residuals for the level-1 scale. The maximiser
does the rest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.auxiliary import OrdinalRows
from gllamm_cli.model.design import Design
from gllamm_cli.model.families import (
    FAMILIES,
    FAMILY_BY_NAME,
    LINK_BY_NAME,
    LINK_CODES,
    LINKS,
    Domain,
    Link,
)
from gllamm_cli.model.gram import rough_least_squares
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.spec import ModelSpec
from gllamm_cli.model.structure import as_column
from gllamm_cli.model.thin import without_period
from gllamm_cli.model.uniform import take

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

MEAN_LOG_NORMAL = -0.6351814227307391
"""E ln|Z| for standard normal Z."""
MEAN_ABS_NORMAL = 0.7978845608028654
"""E |Z|."""
MOST_ROWS = 3_000
"""Rows that a guess is made from."""


def _average(y: FloatArray, weight: FloatArray) -> float:
    return float(np.average(y, weights=weight)) if weight.sum() > 0 else float(y.mean())


def _transformed(link: Link, y: FloatArray, weight: FloatArray) -> FloatArray:
    """Responses on the scale of the linear predictor, pulled half way to their mean."""
    if link.name == "ident":
        return y
    average = _average(y, weight)
    mean = 0.5 * (y + average)
    low, high = link.means
    if np.isfinite(high):
        mean = np.clip(mean, low + 0.01 * (high - low), high - 0.01 * (high - low))
    elif np.isfinite(low):
        mean = np.maximum(mean, low + max(1e-3, 0.01 * abs(average)))
    return link.predictor(mean)


def _sampled(n: int) -> IndexArray | slice:
    """Some of many rows."""
    return slice(None) if n <= MOST_ROWS else without_period(n, -(-n // MOST_ROWS))


def _working_responses(
    design: Design, some: IndexArray | slice
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Linear predictors suggested by some responses, and which of the rows have one."""
    y, kinds, weight = design.y[some], take(design.kind, some), take(design.total_weight, some)
    z, usable = np.zeros(len(y)), np.zeros(len(y), dtype=bool)
    for family in FAMILIES:
        for link in LINKS:
            # Parts of composites have no response of their own: they start at zero.
            code = family.code * LINK_CODES + link.code
            if link.ordinal or link.nominal or code not in design.kinds:
                continue
            here = (kinds == code) & (weight > 0)
            if not here.any():
                continue
            own = y[here]
            if family.domain is Domain.PROPORTION:
                own = own / take(take(design.denominator, some), here)
            z[here] = _transformed(link, own, take(weight, here))
            usable |= here
    return z, usable


def _thresholds(rows: OrdinalRows, weight: FloatArray, link: Link) -> FloatArray:
    """Thresholds that reproduce the marginal proportions, in the response's own parameters."""
    counts = np.bincount(
        rows.category, weights=take(weight, rows.rows), minlength=rows.n_categories
    )
    above = 1.0 - np.cumsum(counts)[:-1] / max(counts.sum(), 1e-300)
    kappa = -link.predictor(np.clip(above, 1e-4, 1.0 - 1e-4))
    kappa = np.maximum.accumulate(kappa + 1e-3 * np.arange(len(kappa)))
    if rows.increments:
        kappa = np.append(kappa[0], np.log(np.maximum(np.diff(kappa), 1e-3)))
    width = rows.design.shape[1]
    out = np.zeros(len(kappa) * width)
    out[width - 1 :: width] = kappa
    return out


def _scale(design: Design, some: IndexArray | slice, residual: FloatArray) -> FloatArray:
    """Coefficients of the scale equation from residuals; 1 where a scale cannot be seen."""
    family = take(design.kind, some) // LINK_CODES
    seen = (family == FAMILY_BY_NAME["gauss"].code) | (family == FAMILY_BY_NAME["gamma"].code)
    size = np.abs(residual)
    floor = 1e-3 * (float(size[seen].mean()) if seen.any() else 1.0) + 1e-12
    columns = [design.product(as_column(variable), some) for variable in design.scale_variables]
    if design.natural_scale:
        target = np.where(seen, size / MEAN_ABS_NORMAL, 1.0)
    else:
        target = np.where(seen, np.log(np.maximum(size, floor)) - MEAN_LOG_NORMAL, 0.0)
    return rough_least_squares(columns, target, take(design.total_weight, some))


def first_guess(spec: ModelSpec, design: Design, parameters: Parameters) -> FloatArray:
    """Return starting values of a model without latent variables, (K,)."""
    guess = np.zeros(parameters.n)
    some = _sampled(design.n_rows)
    z, usable = _working_responses(design, some)
    fixed = [k for k, name in enumerate(parameters.names) if name.block == "fixed"]
    residual = z - take(design.offset, some)
    if fixed and usable.any() and not spec.blocks:
        columns = [design.product(as_column(parameters.names[k].name), some) for k in fixed]
        weight = take(design.total_weight, some) * usable
        guess[fixed] = rough_least_squares(columns, residual, weight)
        for k, x in zip(fixed, columns, strict=True):
            residual = residual - guess[k] * x
    auxiliary = parameters.auxiliary_index
    if design.scale_variables:
        plain = take(design.kind, some) % LINK_CODES == LINK_BY_NAME["ident"].code
        spread = np.where(plain, residual, _relative_spread(design, some))
        guess[auxiliary[: len(design.scale_variables)]] = _scale(design, some, spread)
    ordinal = [r for r in spec.responses if LINK_BY_NAME[r.link].ordinal]
    for rows, response in zip(design.ordinal, ordinal, strict=True):
        values = _thresholds(rows, design.total_weight, LINK_BY_NAME[response.link])
        at = auxiliary[rows.first_parameter : rows.first_parameter + len(values)]
        guess[at] = values
    return guess


def _relative_spread(design: Design, some: IndexArray | slice) -> FloatArray:
    """Deviations from the mean, relative to it for gamma responses."""
    y = design.y[some]
    average = _average(y, take(design.total_weight, some))
    deviation = y - average
    gamma = take(design.kind, some) // LINK_CODES == FAMILY_BY_NAME["gamma"].code
    return np.where(gamma, deviation / average if average else deviation, deviation)
