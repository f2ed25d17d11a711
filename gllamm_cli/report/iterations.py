"""The iteration log, one record at a time, so that it can appear while a model is fitted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gllamm_cli.stata.format import format_g

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import IterationRecord

ADAPTIVE = "adaptive"


def iteration_lines(record: IterationRecord, previous: IterationRecord | None = None) -> list[str]:
    """Lines that one record adds to the log.

    Parameters
    ----------
    previous
        The record before it, None for the first: a change of stage prints a heading.
    """
    value = format_g(record.log_likelihood, 10)
    if record.stage == ADAPTIVE:
        heading = ["", "Running adaptive quadrature"] if previous is None else []
        return [*heading, f"Iteration {record.number}:    log likelihood = {value}"]
    heading = []
    if previous is not None and previous.stage == ADAPTIVE:
        heading = ["", "", "Adaptive quadrature has converged, running Newton-Raphson"]
    remark = f"({record.remark})" if record.remark else ""
    return [*heading, f"Iteration {record.number}:   log likelihood = {value}  {remark}"]


def log_lines(records: Iterable[IterationRecord]) -> list[str]:
    """The whole log."""
    lines: list[str] = []
    previous: IterationRecord | None = None
    for record in records:
        lines.extend(iteration_lines(record, previous))
        previous = record
    return lines
