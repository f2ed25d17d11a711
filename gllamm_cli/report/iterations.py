"""The iteration log, one record at a time, so that it can appear while a model is fitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gllamm_cli.stata.format import format_g

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import IterationRecord

ADAPTIVE = "adaptive"


def iteration_lines(
    record: IterationRecord, previous: IterationRecord | None = None
) -> Iterator[str]:
    """Lines that one record adds to the log, made when they are wanted.

    Parameters
    ----------
    previous
        The record before it, None for the first: a change of stage prints a heading.
    """
    value = format_g(record.log_likelihood, 10)
    if record.stage == ADAPTIVE:
        if previous is None:
            yield from ("", "Running adaptive quadrature")
        yield f"Iteration {record.number}:    log likelihood = {value}"
        return
    if previous is not None and previous.stage == ADAPTIVE:
        yield from ("", "", "Adaptive quadrature has converged, running Newton-Raphson")
    remark = f"({record.remark})" if record.remark else ""
    yield f"Iteration {record.number}:   log likelihood = {value}  {remark}"


def log_lines(records: Iterable[IterationRecord]) -> list[str]:
    """The whole log."""
    lines: list[str] = []
    previous: IterationRecord | None = None
    for record in records:
        lines.extend(iteration_lines(record, previous))
        previous = record
    return lines
