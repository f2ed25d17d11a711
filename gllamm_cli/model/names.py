"""Names of parameters as they stand in e(b)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParameterName:
    """``[equation]name`` and the block of e(b) it belongs to.

    ``block`` is one of ``fixed``, ``threshold``, ``scale``, ``loading``, ``diagonal``
    (standard deviation or diagonal Cholesky element), ``offdiagonal``, ``location``, ``odds``,
    ``bmatrix`` and ``regression``. ``effects`` are the numbers of the latent variables concerned,
    counted over all levels: for an off-diagonal element and ``bmatrix`` row first, for a location
    the latent variable and the class; for ``odds`` the level and the class.
    """

    equation: str
    name: str
    block: str
    effects: tuple[int, ...] = ()
