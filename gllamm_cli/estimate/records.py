"""What there is to hear about an estimation while it runs, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gllamm_cli.model.names import ParameterName


@dataclass(frozen=True, slots=True)
class IterationRecord:
    """One line of the iteration log.

    ``stage`` is ``adaptive`` (nodes are refreshed between steps) or ``newton``;
    ``scaled_gradient`` is g'H^-1 g, ``remark`` "not concave", "backed up" or "",
    ``point`` the free parameters.
    """

    stage: str
    number: int
    log_likelihood: float
    scaled_gradient: float
    remark: str = ""
    point: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Preparation:
    """What estimation starts from.

    ``start`` are the values of the parameters ``names``, of which the first
    ``n_fixed`` do not concern latent variables; ``free_names`` are those of the
    free parameters.
    """

    names: tuple[ParameterName, ...]
    start: tuple[float, ...]
    n_fixed: int
    free_names: tuple[ParameterName, ...]
    n_units: tuple[float, ...]
    constraint_text: tuple[str, ...]


class Monitor(Protocol):
    """Hears about an estimation."""

    def prepared(self, preparation: Preparation) -> None:
        """Starting values are known."""

    def evaluated(self) -> None:
        """The log likelihood has been evaluated once more."""

    def iterated(self, record: IterationRecord) -> None:
        """A step has been taken."""


class Unwatched:
    """A monitor that takes no notice."""

    def prepared(self, preparation: Preparation) -> None:
        """Take no notice."""

    def evaluated(self) -> None:
        """Take no notice."""

    def iterated(self, record: IterationRecord) -> None:
        """Take no notice."""
