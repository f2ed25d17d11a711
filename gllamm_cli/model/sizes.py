"""How much random effects matter: standard deviations against the scale of the response."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.auxiliary import Channel
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
    some = slice(None, None, 1 + design.n_rows // SAMPLED_ROWS)
    sizes = np.ones(len(columns))
    for position, column in enumerate(columns):
        x = design.product(column, some)
        x = x[x != 0.0]
        if len(x):
            sizes[position] = np.sqrt(np.mean(x * x))
    return sizes / _response_scale(design, alpha)


def _response_scale(design: Design, alpha: FloatArray) -> float:
    if design.kinds != (kind("gauss", "ident"),):
        return 1.0
    for predictor in design.auxiliary:
        if predictor.channel is Channel.LOG_SCALE:
            scale = float(np.exp(np.mean(predictor.evaluate(alpha)[0])))
            return scale if scale > 0.0 and np.isfinite(scale) else 1.0
    return 1.0
