"""Linear combinations of coefficients."""

from __future__ import annotations

import numpy as np

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.evaluate import constant_value
from gllamm_cli.stata.expression import Binary, Coefficient, Expression, Name, Number, Prefix
from gllamm_cli.stata.functions import FloatArray


class Linear:
    """Reads linear combinations of coefficients: a vector over e(b) and a constant."""

    def __init__(self, run: Run, found: Estimates) -> None:
        self.run = run
        self.found = found

    def of(self, node: Expression) -> tuple[FloatArray, float]:
        """Weights of the coefficients (K,) and the constant of an expression."""
        zero = np.zeros(len(self.found.b))
        match node:
            case Number(value=value):
                return zero, value
            case Name(name=name):
                if name in self.run.session.scalars:
                    return zero, float(self.run.session.scalars[name])
                return self._unit(None, name), 0.0
            case Coefficient(equation=equation, name=name, standard_error=False):
                return self._unit(equation, name), 0.0
            case Prefix(operator="-", operand=operand):
                vector, constant = self.of(operand)
                return -vector, -constant
            case Prefix(operator="+", operand=operand):
                return self.of(operand)
            case Binary(operator="+" | "-" as sign, left=left, right=right):
                a, c = self.of(left)
                b, d = self.of(right)
                return (a + b, c + d) if sign == "+" else (a - b, c - d)
            case Binary(operator="*", left=left, right=right):
                a, c = self.of(left)
                b, d = self.of(right)
                if a.any() and b.any():
                    raise InvalidSyntax("not a linear combination", span=node.span, hint="nlcom")
                return (a * d, c * d) if a.any() else (b * c, c * d)
            case Binary(operator="/", left=left, right=right):
                a, c = self.of(left)
                b, d = self.of(right)
                if b.any() or d == 0.0:
                    raise InvalidSyntax("not a linear combination", span=node.span, hint="nlcom")
                return a / d, c / d
            case _:
                return zero, constant_value(node, self.run.evaluator())

    def _unit(self, equation: str | None, name: str) -> FloatArray:
        vector = np.zeros(len(self.found.b))
        vector[self.found.position(equation, _full_name(self.run, self.found, name))] = 1.0
        return vector

    def text(self, vector: FloatArray, value: float) -> str:
        """Print a restriction, terms in the order of e(b)."""
        pieces: list[str] = []
        for k, weight in enumerate(vector.tolist()):
            if weight == 0.0:
                continue
            equation, name = self.found.names[k]
            shown = f"[{equation}]{name}" if equation else name
            size = "" if abs(weight) == 1.0 else f"{abs(weight):g}*".removeprefix("0")
            sign = "-" if weight < 0 else "+"
            pieces.append(f"{sign} {size}{shown}" if pieces or weight < 0 else f"{size}{shown}")
        shown = f"{value + 0.0:g}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:g}"
        return f"{' '.join(pieces)} = {shown}"


def _full_name(run: Run, found: Estimates, name: str) -> str:
    """An abbreviated variable's full name, if e(b) has no column of that name."""
    if any(own == name for _, own in found.names):
        return name
    candidates = {own for _, own in found.names if own.startswith(name)}
    return candidates.pop() if len(candidates) == 1 else name
