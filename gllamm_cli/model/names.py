"""Names of parameters as they stand in e(b)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParameterName:
    """``[equation]name`` and the block of e(b) it belongs to.

    ``block`` is one of ``fixed``, ``scale``, ``loading``, ``diagonal`` (standard
    deviation or diagonal Cholesky element) and ``offdiagonal``. ``effects`` are
    the numbers of the latent variables concerned (counted over all levels, for
    an off-diagonal element row first), ``variable`` the loading's variable.
    """

    equation: str
    name: str
    block: str
    effects: tuple[int, ...] = ()
