"""Starting values of linear mixed models from the sums that their likelihood needs anyway.

With the coefficients of latent variables at zero the derivatives of the log likelihood are
moments of the residuals r: the Hessian of the fixed part holds X'X, its score X'r.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.gaussian import GaussianObjective
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.structure import as_column

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

LEAST_VARIANCE = 1e-300


def least_squares(objective: GaussianObjective) -> FloatArray:
    """Estimates without latent variables: the fixed part, then the level-1 log scale.

    Least squares, and residual variances from their residuals. Of collinear columns any solution.
    """
    parameters = objective.parameters
    P = parameters.n_pairs
    fixed, pairs = _fixed_part(parameters)
    estimates = np.zeros(len(fixed) + len(parameters.auxiliary_index))
    h = np.zeros(P)
    h[pairs] = objective.shift[pairs]
    found = objective.differentiate(h, np.zeros(len(objective.scale_design)))
    if found is None:
        return estimates
    score, X = found.score[pairs], -found.expectation[np.ix_(pairs, pairs)]
    size = np.sqrt(np.diag(X))
    size[~(size > 0.0)] = 1.0
    step = np.linalg.lstsq(X / np.outer(size, size), score / size, rcond=1e-10)[0] / size
    estimates[fixed] = h[pairs] + step
    squares = -0.5 * np.diag(found.expectation)[P:]
    weight = squares - found.score[P:]
    # Least squares take as much off the sum of squares; h is close enough to share it out.
    total = float(squares.sum())
    left = (total - float(score @ step)) / total if total > 0.0 else 0.0
    log_scale = 0.5 * np.log(np.maximum(left * squares / weight, LEAST_VARIANCE))
    root = np.sqrt(weight)[:, None]
    design = objective.scale_design
    estimates[parameters.auxiliary_index] = np.linalg.lstsq(
        root * design, root[:, 0] * log_scale, rcond=None
    )[0]
    return estimates


def _fixed_part(parameters: Parameters) -> tuple[IndexArray, IndexArray]:
    """Parameters of the fixed part, and the coefficients of their columns."""
    fixed = [k for k, name in enumerate(parameters.names) if name.block == "fixed"]
    pair = {
        int(c): p
        for p, (c, m) in enumerate(
            zip(parameters.pair_column, parameters.pair_latent, strict=True)
        )
        if m == 0
    }
    columns = [parameters.columns.index(as_column(parameters.names[k].name)) for k in fixed]
    return np.array(fixed, dtype=np.int64), np.array([pair[c] for c in columns], dtype=np.int64)


def improved(objective: GaussianObjective, start: FloatArray) -> FloatArray:
    return start
