"""Starting values from a part of the data.

The estimates of a sixteenth of the clusters are about four standard errors away from those of
all. Newton's method covers that distance in two steps, so that few evaluations see all data, and
as many of large data as of very large ones. Where clusters are few but large a part of the rows
of each will do: it tells as much of the spread of clusters as all rows do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.gaussian import GaussianObjective
from gllamm_cli.estimate.gaussian_start import least_squares, moment_estimates
from gllamm_cli.estimate.maximise import Objective, maximise
from gllamm_cli.estimate.objective import LatentObjective
from gllamm_cli.estimate.spread import spread_out
from gllamm_cli.estimate.start import ROUGH_START, default_start, fit_fixed_part
from gllamm_cli.model.constraints import Reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.factorise import factorise
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.sizes import effect_sizes
from gllamm_cli.model.spec import ModelSpec
from gllamm_cli.model.thin import some_rows, some_units
from gllamm_cli.model.uniform import total

FloatArray = NDArray[np.float64]

LARGEST_STEP, LARGEST_LINEAR_STEP = 16, 64
"""The log likelihood of a linear model is so nearly quadratic that twice as far is as near."""
FEWEST_CLUSTERS = 400
CLUSTERS_PER_PARAMETER = 10
FEWEST_ROWS = 5_000
ROWS_PER_PARAMETER = 100
ROWS_PER_UNIT = 25
"""Rows that a part of the rows leaves of a lowest unit, on average, at least."""
MOST_FREQUENT = 2.0
"""Mean frequency weight of rows up to which some of them tell as much as their number says."""
FEWEST_LOWEST_UNITS = 2_500
"""Of a linear model: sums over their rows are all that an evaluation sees."""
SMALLEST_STEP, SMALLEST_LINEAR_STEP = 4, 16
"""A part that is not much smaller than the whole saves nothing."""
CLOSE_ENOUGH = 0.01
"""g'H^-1 g of the estimates of a part: their sampling error is far larger."""
MOST_ITERATIONS = 25
DEGENERATE = 0.1
"""Standard deviation of a latent variable, in scales of the response, with a long way back up."""
PERFECT = 1e-3
"""Loss of log likelihood per row that suggests that the part is fitted perfectly."""


@dataclass(frozen=True, slots=True)
class Part:
    """The log likelihood of a part of the data, and where to begin.

    ``scale`` is the standard deviation of responses at estimates (K,) with which that of a latent
    variable compares.
    """

    objective: Objective
    start: FloatArray
    scale: Callable[[FloatArray], float]


@dataclass(frozen=True, slots=True)
class Method(ABC):
    """How a model is fitted to parts of the data."""

    spec: ModelSpec
    parameters: Parameters
    reduction: Reduction
    threads: int | None

    def part_of(self, design: Design) -> Design | None:
        """Return a part of the data, None if they are too few."""
        fewest = max(FEWEST_CLUSTERS, CLUSTERS_PER_PARAMETER * self.parameters.n)
        step = min(design.levels[-1].n_units // fewest, self.largest_step(design))
        return some_units(design, step) if step >= SMALLEST_STEP else None

    @abstractmethod
    def largest_step(self, design: Design) -> int:
        """Every so manieth unit may be kept for a part; otherwise the part would be too small."""

    @abstractmethod
    def prepare(self, design: Design, start: FloatArray | None) -> Part | None:
        """Prepare a part of the data, to begin at ``start`` (K,) if there is one.

        None if the part does not tell where to begin.
        """


class ByQuadrature(Method):
    """Integrals are taken by adaptive quadrature."""

    def part_of(self, design: Design) -> Design | None:
        """Some top-level units or, if these are few, some rows of all."""
        found = super().part_of(design)
        if found is not None or design.entry_start is not None:
            return found
        if total(design.frequency) > MOST_FREQUENT * design.n_rows:
            return None
        fewest = max(
            ROWS_PER_PARAMETER * self.parameters.n, ROWS_PER_UNIT * design.levels[0].n_units
        )
        step = min(design.n_rows // fewest, self.largest_step(design))
        return some_rows(design, step) if step >= SMALLEST_STEP else None

    def largest_step(self, design: Design) -> int:
        """By the number of rows."""
        return min(LARGEST_STEP, design.n_rows // FEWEST_ROWS)

    def prepare(self, design: Design, start: FloatArray | None) -> Part | None:
        """Begin with the model without latent variables."""
        fresh = start is None
        if start is None:
            fixed = fit_fixed_part(self.spec, design, self.threads, tolerance=ROUGH_START)
            if fixed is None or not (fixed.converged and fixed.concave):
                return None
            if fixed.log_likelihood > -PERFECT * design.n_rows:
                return None
            alpha = fixed.point[self.parameters.auxiliary_index]
            sizes = effect_sizes(self.spec, design, alpha)
            start = default_start(self.parameters, fixed.point, sizes)
        adaptive = self.spec.adaptive
        engine = Engine(*factorise(design, self.parameters, adaptive=adaptive), self.threads)
        objective = LatentObjective(engine, self.reduction, adaptive)
        if fresh:
            start = spread_out(objective, self.parameters, start)
        # Links have scales of about one.
        return Part(objective, start, lambda found: 1.0)


class InClosedForm(Method):
    """Linear models."""

    def largest_step(self, design: Design) -> int:
        """By the number of units whose rows are summed."""
        step = min(LARGEST_LINEAR_STEP, design.levels[0].n_units // FEWEST_LOWEST_UNITS)
        return step if step >= SMALLEST_LINEAR_STEP else 0

    def prepare(self, design: Design, start: FloatArray | None) -> Part | None:
        """Begin with moments."""
        objective = GaussianObjective(design, self.parameters, self.reduction, threads=self.threads)
        alpha = self.parameters.auxiliary_index
        if start is None:
            start = default_start(self.parameters, least_squares(objective))
            start = moment_estimates(self.spec, design, objective, start)
        return Part(
            objective,
            start,
            lambda found: float(np.exp(objective.scale_design @ found[alpha]).min()),
        )


def advanced_start(method: Method, design: Design) -> FloatArray | None:
    """Estimates (K,) of a part of the data, found in turn from a part of them.

    None if they are too few, if there may be several maxima (with the masses of a discrete
    distribution, or where ordinary quadrature is coarse), or if the part does not determine all
    parameters well: then the whole has to start as gllamm does.
    """
    spec, parameters, reduction = method.spec, method.parameters, method.reduction
    thin = None if spec.rule.discrete or not spec.adaptive else method.part_of(design)
    if thin is None:
        return None
    part = method.prepare(thin, advanced_start(method, thin))
    if part is None:
        return None
    maximum = maximise(
        part.objective,
        reduction.reduce(part.start),
        adaptive=spec.adaptive,
        most_iterations=MOST_ITERATIONS,
        tolerance=CLOSE_ENOUGH,
    )
    if maximum is None or not (maximum.converged and maximum.concave):
        return None
    found = reduction.full(maximum.point)
    least = DEGENERATE * part.scale(found)
    for k, name in enumerate(parameters.names):
        if name.block == "diagonal" and abs(found[k]) < least:
            return None
    return found
