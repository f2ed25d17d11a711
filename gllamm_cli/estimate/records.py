"""The iteration log as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IterationRecord:
    """One line of the iteration log.

    ``stage`` is ``adaptive`` (nodes are refreshed between steps) or ``newton``;
    ``scaled_gradient`` is g'H^-1 g, ``remark`` "not concave", "backed up" or "".
    """

    stage: str
    number: int
    log_likelihood: float
    scaled_gradient: float
    remark: str = ""
