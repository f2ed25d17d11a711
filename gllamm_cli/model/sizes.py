"""How much random effects matter: standard deviations against the scale of the response."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.design import Design
from gllamm_cli.model.families import kind
from gllamm_cli.model.spec import ModelSpec
from gllamm_cli.model.structure import Column, as_column

FloatArray = NDArray[np.float64]

SAMPLED_ROWS = 1_000
"""Rows that tell how large a variable is."""


def effect_sizes(spec: ModelSpec, design: Design, alpha: FloatArray) -> FloatArray:
    """Typical change of the response, in its scales, by one unit of each random effect, (M,).

    That of the first variable of an effect.
    """
    first = [as_column(effect.variables[0]) for effect in spec.latent]
    return column_sizes(design, first, alpha)


def column_sizes(design: Design, columns: Sequence[Column], alpha: FloatArray) -> FloatArray:
    """Typical change of the response, in its scales, by one unit of each coefficient.

    The root mean square of a column where it is not zero, over the scale of the response at
    auxiliary parameters ``alpha`` (A,): the residual standard deviation of a linear model, one
    elsewhere.
    """
    sizes = np.ones(len(columns))
    for position, column in enumerate(columns):
        x = design.product(column, _some_rows(design))
        x = x[x != 0.0]
        if len(x):
            sizes[position] = np.sqrt(np.mean(x * x))
    return sizes / _response_scale(design, alpha)


def _some_rows(design: Design) -> slice:
    return slice(None, None, 1 + design.n_rows // SAMPLED_ROWS)


def _response_scale(design: Design, alpha: FloatArray) -> float:
    if design.kinds != (kind("gauss", "ident"),):
        return 1.0
    # The parameters of the scale come before those of thresholds.
    forms = sum(
        a * design.product(as_column(name), _some_rows(design))
        for a, name in zip(alpha, design.scale_variables, strict=False)
    )
    with np.errstate(over="ignore"):
        scale = float(np.mean(np.abs(forms) if design.natural_scale else np.exp(forms)))
    return scale if scale > 0.0 and np.isfinite(scale) else 1.0
