"""Refuses data that would not fit in memory, before anything is allocated."""

from __future__ import annotations

import os

from gllamm_cli.errors import Span, TooManyRows

MOST_ROWS = 2_147_483_619
"""As in Stata."""
BYTES = 8
"""Of a value."""


def physical_memory() -> float:
    """Bytes of memory of the machine; infinity if it does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * float(os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return float("inf")


def check_size(n_rows: float, n_variables: int, span: Span | None = None) -> None:
    """Refuse ``n_rows`` rows of ``n_variables`` variables if they cannot be held.

    Raises
    ------
    TooManyRows
        r(901).
    """
    # New data are made while the old are there.
    if n_rows > MOST_ROWS or 2.0 * BYTES * n_rows * max(n_variables, 1) > physical_memory():
        raise TooManyRows(
            f"no room to add more observations: {n_rows:,.0f} wanted",
            span=span,
            hint="the data would not fit in memory",
        )
