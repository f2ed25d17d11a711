"""What a fit works on: a model with its arrays, and how to work on it."""

from __future__ import annotations

from dataclasses import dataclass

from gllamm_cli.estimate.records import Monitor
from gllamm_cli.model.constraints import Reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.spec import ModelSpec

ADAPTIVE_ITERATIONS = 150
ORDINARY_ITERATIONS = 300


@dataclass(frozen=True, slots=True)
class Job:
    """A model with its arrays, and how to work on it.

    ``design`` has all rows; the log likelihood is computed from ``collapsed``.
    """

    command: str
    spec: ModelSpec
    design: Design
    collapsed: Design
    parameters: Parameters
    reduction: Reduction
    threads: int | None
    monitor: Monitor
    shortcuts: bool = True

    @property
    def most_iterations(self) -> int:
        """Iterations after which the maximiser gives up."""
        if self.spec.iterate is not None:
            return self.spec.iterate
        return ADAPTIVE_ITERATIONS if self.spec.adaptive else ORDINARY_ITERATIONS
