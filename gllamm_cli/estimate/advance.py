"""Starting values from a part of the data.

The estimates of a sixteenth of the clusters are about four standard errors away from those of
all. Newton's method covers that distance in two steps, so that few evaluations see all data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.maximise import maximise
from gllamm_cli.estimate.objective import LatentObjective
from gllamm_cli.estimate.spread import spread_out
from gllamm_cli.estimate.start import default_start, fit_fixed_part
from gllamm_cli.model.constraints import Reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.factorise import factorise
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.spec import ModelSpec
from gllamm_cli.model.thin import thinned

FloatArray = NDArray[np.float64]

LARGEST_STEP = 16
FEWEST_CLUSTERS = 400
CLUSTERS_PER_PARAMETER = 10
FEWEST_ROWS = 5_000
SMALLEST_STEP = 4
"""A part that is not much smaller than the whole saves nothing."""
CLOSE_ENOUGH = 0.1
"""g'H^-1 g of the estimates of a part: their sampling error is far larger."""
MOST_ITERATIONS = 25
DEGENERATE = 0.1
"""Standard deviation of a latent variable from which the way back up is long."""
PERFECT = 1e-3
"""Loss of log likelihood per row that suggests that the part is fitted perfectly."""


def advanced_start(
    spec: ModelSpec,
    design: Design,
    parameters: Parameters,
    reduction: Reduction,
    threads: int | None,
) -> FloatArray | None:
    """Estimates (K,) of a part of the clusters, found in turn from a part of them.

    None if there are too few, if there may be several maxima (with the masses of a discrete
    distribution, or where ordinary quadrature is coarse), or if the part does not determine all
    parameters well: then the whole has to start as gllamm does.
    """
    step = min(
        LARGEST_STEP,
        design.levels[-1].n_units // max(FEWEST_CLUSTERS, CLUSTERS_PER_PARAMETER * parameters.n),
        design.n_rows // FEWEST_ROWS,
    )
    if step < SMALLEST_STEP or spec.rule.discrete or not spec.adaptive:
        return None
    part = thinned(design, step)
    start = advanced_start(spec, part, parameters, reduction, threads)
    fresh = start is None
    if start is None:
        fixed = fit_fixed_part(spec, part, threads, tolerance=CLOSE_ENOUGH)
        if fixed is None or not (fixed.converged and fixed.concave):
            return None
        if fixed.log_likelihood > -PERFECT * part.n_rows:
            return None
        start = default_start(parameters, fixed.point)
    engine = Engine(*factorise(part, parameters, adaptive=spec.adaptive), threads)
    objective = LatentObjective(engine, reduction, spec.adaptive)
    if fresh:
        start = spread_out(objective, parameters, start)
    maximum = maximise(
        objective,
        reduction.reduce(start),
        adaptive=spec.adaptive,
        most_iterations=MOST_ITERATIONS,
        tolerance=CLOSE_ENOUGH,
    )
    if maximum is None or not (maximum.converged and maximum.concave):
        return None
    found = reduction.full(maximum.point)
    for k, name in enumerate(parameters.names):
        if name.block == "diagonal" and abs(found[k]) < DEGENERATE:
            return None
    return found
