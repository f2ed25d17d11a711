"""What statements give, for presenters and callers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import Fit
    from gllamm_cli.model.spec import DisplayOptions


@dataclass(frozen=True, slots=True)
class Noted:
    """Lines that Stata would print."""

    statement: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimated:
    """A gllamm fit, new or shown again, and how the statement wants it shown."""

    statement: str
    fit: Fit
    display: DisplayOptions


Outcome = Noted | Estimated
