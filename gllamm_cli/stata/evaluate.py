"""Values of expressions over the rows of the data.

Missing numbers are NaN in the columns; here they compare as Stata has it,
larger than every number and equal to each other. The letters of extended
missing values are not kept: ``.a`` equals ``.``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import (
    InvalidSyntax,
    NoEstimates,
    Span,
    TypeMismatch,
    UnknownFunction,
    VariableNotFound,
)
from gllamm_cli.stata.expression import (
    Binary,
    Call,
    Expression,
    Missing,
    Name,
    Number,
    Prefix,
    Subscript,
    Text,
)
from gllamm_cli.stata.functions import (
    FUNCTIONS,
    FloatArray,
    TextArray,
    Value,
    finite,
    is_text,
    logical,
    ordered,
    truth,
)
from gllamm_cli.stata.varlist import find_variable, suggestion

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset
    from gllamm_cli.model.spec import Sample

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
}


@dataclass(frozen=True, slots=True)
class Evaluator:
    """What an expression can refer to.

    Attributes
    ----------
    dataset
        None for expressions without variables.
    random
        Source of ``runiform()`` and its relatives; a fresh one if None.
    estimation_sample
        ``e(sample)`` by row, if there is a fit.
    """

    dataset: Dataset | None = None
    random: np.random.Generator | None = None
    estimation_sample: NDArray[np.bool_] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows; 1 without data."""
        return 1 if self.dataset is None else self.dataset.n_rows

    def value(self, node: Expression) -> Value:
        """Return the value of a node, of shape () or (rows,)."""
        match node:
            case Number(value=number):
                return np.asarray(number, dtype=np.float64)
            case Missing():
                return np.asarray(np.nan)
            case Text(value=text):
                return np.array(text, dtype=object)
            case Name(name=name, span=span):
                return self._named(name, span)
            case Subscript(name=name, index=index, span=span):
                return self._subscript(self._named(name, span), self.number(index))
            case Prefix(operator=operator, operand=operand):
                operand_value = self.number(operand)
                if operator == "!":
                    return logical(~truth(operand_value))
                return -operand_value if operator == "-" else operand_value
            case Binary():
                return self._binary(node)
            case Call():
                return self._call(node)
            case _:
                raise TypeError(f"not an expression: {node!r}")

    def number(self, node: Expression) -> FloatArray:
        """Return the value of a node that must be a number."""
        value = self.value(node)
        if is_text(value):
            raise TypeMismatch(
                "type mismatch", span=node.span, hint="a text stands where a number is needed"
            )
        return value

    def _named(self, name: str, span: Span | None) -> Value:
        rows = self.n_rows
        if name == "_n":
            return np.arange(1.0, rows + 1.0)
        if name == "_N":
            return np.asarray(float(rows))
        if name == "_pi":
            return np.asarray(np.pi)
        if self.dataset is None:
            raise VariableNotFound(f"{name} not found", span=span)
        full = find_variable(name, self.dataset.names, span, in_expression=True)
        return self.dataset.text(full) if self.dataset.is_text(full) else self.dataset.column(full)

    def _subscript(self, values: Value, index: FloatArray) -> Value:
        values = np.broadcast_to(values, (self.n_rows,))
        row = np.trunc(index) - 1.0
        exists = (row >= 0) & (row < self.n_rows)
        picked = values[np.where(exists, row, 0).astype(np.int64)]
        return np.where(exists, picked, "" if is_text(values) else np.nan)

    def _binary(self, node: Binary) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        operator = node.operator
        texts = is_text(left), is_text(right)
        if texts == (True, True) and (operator == "+" or operator in COMPARISONS):
            if operator == "+":
                return _text_array(left + right)
            return logical(COMPARISONS[operator](left, right))
        if any(texts):
            return self._repeated(node, left, right)
        if operator in COMPARISONS:
            return logical(COMPARISONS[operator](ordered(left), ordered(right)))
        if operator == "&":
            return logical(truth(left) & truth(right))
        if operator == "|":
            return logical(truth(left) | truth(right))
        with np.errstate(all="ignore"):
            result = ARITHMETIC[operator](left, right)
        # 1 ^ . and . ^ 0 are numbers to IEEE arithmetic, missing to Stata.
        return np.where(np.isnan(left) | np.isnan(right), np.nan, finite(result))

    def _repeated(self, node: Binary, left: Value, right: Value) -> Value:
        """``"x" * 3``, the only operation on a text and a number."""
        if node.operator != "*" or is_text(left) == is_text(right):
            raise TypeMismatch(
                "type mismatch",
                span=node.span,
                hint=f"{node.operator} cannot join a text and a number",
            )
        text, number = (left, right) if is_text(left) else (right, left)
        times = np.where(np.isnan(number), 0.0, np.clip(number, 0, 1e4)).astype(int).astype(object)
        return _text_array(text * times)

    def _call(self, node: Call) -> Value:
        name = node.function
        if name == "e":
            return self._stored(node)
        if name in ("uniform", "runiform", "rnormal"):
            return self._drawn(node)
        function = FUNCTIONS.get(name) if not name.startswith("_") else None
        if function is None:
            public = [known for known in FUNCTIONS if not known.startswith("_")]
            raise UnknownFunction(
                f"unknown function {name}()", span=node.span, hint=suggestion(name, public)
            )
        count = len(node.arguments)
        if not function.least <= count <= function.most:
            wanted = f"{function.least}" if function.least == function.most else "other numbers of"
            raise InvalidSyntax(
                f"invalid syntax: {name}() takes {wanted} arguments, not {count}", span=node.span
            )
        values = []
        for position, argument in enumerate(node.arguments):
            kind = function.signature[min(position, len(function.signature) - 1)]
            value = self.value(argument)
            if kind != "a" and is_text(value) != (kind == "t"):
                raise TypeMismatch(
                    "type mismatch",
                    span=argument.span,
                    hint=f"{name}() needs a {'text' if kind == 't' else 'number'} here",
                )
            values.append(value)
        texts = {is_text(value) for value in values[1 if name == "cond" else 0 :]}
        if name in ("cond", "inlist") and len(texts) > 1:
            raise TypeMismatch(
                "type mismatch", span=node.span, hint=f"{name}() cannot mix texts and numbers"
            )
        if name == "sum":
            values = [np.broadcast_to(value, (self.n_rows,)) for value in values]
        return function.apply(*values)

    def _stored(self, node: Call) -> FloatArray:
        if node.arguments != (Name("sample"),):
            raise InvalidSyntax(
                "only e(sample) can stand in an expression over the data", span=node.span
            )
        if self.estimation_sample is None:
            raise NoEstimates("last estimates not found", span=node.span)
        return logical(self.estimation_sample)

    def _drawn(self, node: Call) -> FloatArray:
        random = self.random if self.random is not None else np.random.default_rng()
        arguments = [self.number(argument) for argument in node.arguments]
        if node.function == "rnormal" and len(arguments) <= 2:
            mean = arguments[0] if arguments else np.zeros(())
            sd = arguments[1] if len(arguments) == 2 else np.ones(())
            return np.asarray(mean + sd * random.standard_normal(self.n_rows))
        if arguments:
            raise InvalidSyntax(f"{node.function}() has too many arguments", span=node.span)
        return random.random(self.n_rows)


def _text_array(value: Any) -> TextArray:
    return np.asarray(value, dtype=object)


def evaluate(
    expression: Expression,
    dataset: Dataset,
    *,
    random: np.random.Generator | None = None,
    estimation_sample: NDArray[np.bool_] | None = None,
) -> Value:
    """Return the value in every row, float64 with NaN for missing or an object array of text.

    Raises
    ------
    VariableNotFound, TypeMismatch, UnknownFunction, InvalidSyntax
        With the place in the expression.
    """
    value = Evaluator(dataset, random, estimation_sample).value(expression)
    return np.broadcast_to(value, (dataset.n_rows,)).copy()


def constant_value(expression: Expression) -> float:
    """Return the number an expression without variables stands for."""
    return float(np.ravel(Evaluator().number(expression))[0])


def absolute_rows(rows: tuple[int, int], n_rows: int, span: Span | None = None) -> tuple[int, int]:
    """Return an ``in`` range with negative numbers counted from the end; r(198) if outside."""
    first, last = (row if row > 0 else n_rows + 1 + row for row in rows)
    if not 1 <= first <= last <= n_rows:
        raise InvalidSyntax(
            "observation numbers out of range", span=span, hint=f"the data have {n_rows} rows"
        )
    return first, last


def sample_mask(
    dataset: Dataset, sample: Sample, *, estimation_sample: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Return which rows ``if`` and ``in`` select."""
    selected = np.ones(dataset.n_rows, dtype=bool)
    if sample.condition is not None:
        evaluator = Evaluator(dataset, None, estimation_sample)
        selected &= truth(evaluator.number(sample.condition))
    if sample.rows is not None:
        first, last = absolute_rows(sample.rows, dataset.n_rows)
        selected[: first - 1] = False
        selected[last:] = False
    return selected
