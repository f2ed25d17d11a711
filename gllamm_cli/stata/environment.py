"""What expressions can refer to besides the data: results, scalars, matrices, by-groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import NoEstimates
from gllamm_cli.stata.named_matrix import NamedMatrix

Scalar = float | str


def _no_estimates(equation: str | None, name: str, standard_error: bool) -> float:
    raise NoEstimates("last estimates not found", hint="fit a model first")


@dataclass(frozen=True, slots=True)
class Environment:
    """Results and definitions by name.

    Attributes
    ----------
    returned, estimated, system
        ``r()``, ``e()`` and ``c()``.
    coefficient
        Value of ``_b[equation:name]``, or its standard error.
    return_code
        ``_rc``.
    """

    scalars: Mapping[str, Scalar] = field(default_factory=dict)
    matrices: Mapping[str, NamedMatrix] = field(default_factory=dict)
    returned: Mapping[str, Scalar] = field(default_factory=dict)
    returned_matrices: Mapping[str, NamedMatrix] = field(default_factory=dict)
    estimated: Mapping[str, Scalar] = field(default_factory=dict)
    estimated_matrices: Mapping[str, NamedMatrix] = field(default_factory=dict)
    system: Mapping[str, Scalar] = field(default_factory=dict)
    coefficient: Callable[[str | None, str, bool], float] = _no_estimates
    return_code: int = 0

    def named(self, function: str) -> Mapping[str, Scalar]:
        """Return what ``r()``, ``e()`` or ``c()`` holds by name; ``s()`` holds nothing."""
        known = {"r": self.returned, "e": self.estimated, "c": self.system}
        return known.get(function, {})

    def stored(self, function: str, name: str) -> Scalar:
        """Return ``r(name)``, ``e(name)`` or ``c(name)``; missing if there is none."""
        return self.named(function).get(name, float("nan"))


NO_RESULTS = Environment()


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """By-groups: consecutive rows.

    Attributes
    ----------
    first, size : (rows,) int
        Position of the first row of a row's group, from 0, and the group's number of rows.
    starts : (groups,) int
        Position of each group's first row.
    """

    first: NDArray[np.int64]
    size: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def from_starts(cls, starts: NDArray[np.int64], n_rows: int) -> Groups:
        """Build groups that begin at ``starts``."""
        sizes = np.diff(np.append(starts, n_rows))
        return cls(np.repeat(starts, sizes), np.repeat(sizes, sizes), starts)
