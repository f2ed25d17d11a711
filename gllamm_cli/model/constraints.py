"""Linear constraints on parameters: b = T s + a with free parameters s."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import InvalidConstraint, VariableNotFound
from gllamm_cli.model.names import ParameterName
from gllamm_cli.model.spec import Constraint, ConstraintTerm

FloatArray = NDArray[np.float64]

PIVOT = 1e-10


@dataclass(frozen=True)
class Reduction:
    """The affine map from free to all parameters.

    Attributes
    ----------
    T : (K, S)
    a : (K,)
    free_index : (S,)
        Parameters that serve as the free ones, in the order of e(b).
    """

    T: FloatArray
    a: FloatArray
    free_index: NDArray[np.int64]

    @property
    def n_free(self) -> int:
        """Number of free parameters S."""
        return int(self.T.shape[1])

    @cached_property
    def trivial(self) -> bool:
        """Whether there are no constraints: b = s."""
        n = len(self.a)
        return self.T.shape == (n, n) and not self.a.any() and bool((np.eye(n) == self.T).all())

    @property
    def is_free(self) -> NDArray[np.bool_]:
        """Whether each parameter varies at all, (K,)."""
        return np.asarray(np.any(self.T != 0.0, axis=1))

    def full(self, s: FloatArray) -> FloatArray:
        """Return b = T s + a."""
        if self.trivial:
            return s
        return np.asarray(self.T @ s + self.a)

    def reduce(self, b: FloatArray) -> FloatArray:
        """Free parameters of the feasible point that keeps the free entries of ``b``."""
        return np.asarray(b[self.free_index])

    def free_names(self, names: tuple[ParameterName, ...]) -> list[str]:
        """Names of the free parameters."""
        return [f"[{names[k].equation}]{names[k].name}" for k in self.free_index]


def _position(
    term: ConstraintTerm, constraint: Constraint, names: tuple[ParameterName, ...]
) -> int:
    equation = term.equation if term.equation is not None else names[0].equation
    if equation.startswith("#") and equation[1:].isdigit():
        equations = list(dict.fromkeys(name.equation for name in names))
        number = int(equation[1:])
        equation = equations[number - 1] if 0 < number <= len(equations) else equation
    wanted = {term.name, f"_{term.name}" if term.name == "cons" else term.name}
    for k, name in enumerate(names):
        if name.equation == equation and name.name in wanted:
            return k
    raise VariableNotFound(
        f"constraint {constraint.number}: [{equation}]{term.name} not found",
        hint="parameters: " + " ".join(f"[{n.equation}]{n.name}" for n in names),
    )


def build_reduction(
    constraints: tuple[Constraint, ...], names: tuple[ParameterName, ...]
) -> Reduction:
    """Solve the constraints for as many parameters as they determine.

    Gauss-Jordan elimination, so that the free parameters are parameters of the
    model and ``from(, copy)`` can be understood by position.

    Raises
    ------
    VariableNotFound
        A constraint names a parameter the model does not have.
    InvalidConstraint
        The constraints contradict each other.
    """
    K = len(names)
    system = np.zeros((len(constraints), K + 1))
    for row, constraint in enumerate(constraints):
        for term in constraint.terms:
            system[row, _position(term, constraint, names)] += term.coefficient
        system[row, K] = constraint.value
    pivots: list[tuple[int, int]] = []
    row = 0
    for column in range(K):
        if row == len(system):
            break
        best = row + int(np.argmax(np.abs(system[row:, column])))
        if abs(system[best, column]) < PIVOT:
            continue
        system[[row, best]] = system[[best, row]]
        system[row] /= system[row, column]
        others = np.arange(len(system)) != row
        system[others] -= np.outer(system[others, column], system[row])
        pivots.append((row, column))
        row += 1
    if np.any(np.abs(system[row:, K]) > PIVOT):
        raise InvalidConstraint("constraints contradict each other")
    dependent = {column for _, column in pivots}
    free = np.array([k for k in range(K) if k not in dependent], dtype=np.int64)
    T = np.zeros((K, len(free)))
    a = np.zeros(K)
    T[free, np.arange(len(free))] = 1.0
    for row, column in pivots:
        T[column] = -system[row, free]
        a[column] = system[row, K]
    return Reduction(T, a, free)
