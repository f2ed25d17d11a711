"""Posterior expectations by direct recursion, for models given as functions as in ``direct``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from direct import Level, Rows, Values
from scipy.special import logsumexp, softmax

RowFunction = Callable[[Rows, Values], np.ndarray]


def expectations(
    frame: Rows,
    levels: list[Level],
    log_density: RowFunction,
    functions: Mapping[str, RowFunction],
    *,
    prior: bool = False,
) -> pd.DataFrame:
    """Posterior (or prior) means of functions of rows and latent values; and ``ll``.

    ``ll`` is the log likelihood of the row's top-level unit without the unit's weight.
    """

    def unit(rows: Rows, number: int, values: Values) -> tuple[float, np.ndarray]:
        level = levels[number]
        log_weights = level.log_weights
        if callable(log_weights):
            log_weights = log_weights(rows)
        terms, means = [], []
        for node, log_weight in zip(level.nodes, log_weights, strict=True):
            here = {**values, **node}
            if number == 0:
                inner = 0.0 if prior else float(np.sum(log_density(rows, here)))
                columns = [
                    np.broadcast_to(np.asarray(f(rows, here), dtype=float), (len(rows),))
                    for f in functions.values()
                ]
                mean = np.column_stack(columns)
            else:
                inner, mean = 0.0, np.empty((len(rows), len(functions)))
                for positions in rows.groupby(levels[number - 1].unit).indices.values():
                    part = rows.iloc[positions]
                    value, below = unit(part, number - 1, here)
                    name = levels[number - 1].weight
                    inner += value * (1.0 if name is None else float(part[name].iloc[0]))
                    mean[positions] = below
            terms.append(log_weight + inner)
            means.append(mean)
        p = softmax(terms)
        return float(logsumexp(terms)), np.einsum("q,qnk->nk", p, np.array(means))

    out = np.empty((len(frame), len(functions) + 1))
    top = len(levels) - 1
    for positions in frame.groupby(levels[top].unit).indices.values():
        value, mean = unit(frame.iloc[positions], top, {})
        out[positions, :-1] = mean
        out[positions, -1] = value
    return pd.DataFrame(out, columns=[*functions, "ll"], index=frame.index)
