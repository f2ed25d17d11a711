"""Values of expressions over the rows of the data.

Missing numbers are NaN in the columns, the letters of extended missing values
in its payload; here they compare as Stata has it, larger than every number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
from gllamm_cli.stata.environment import NO_RESULTS, Environment, Groups
from gllamm_cli.stata.expression import (
    Binary,
    Call,
    Coefficient,
    Element,
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
    missing_value,
    ordered,
    truth,
)
from gllamm_cli.stata.matches import Matches
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
    environment
        Results, scalars and matrices.
    groups
        By-groups, within which ``_n``, ``_N``, subscripts and ``sum()`` count.
    replaced
        A variable that is being replaced from the first row to the last, and its new
        values: subscripts see them in the rows above.
    matches
        What ``regexm()`` found last.
    """

    dataset: Dataset | None = None
    random: np.random.Generator | None = None
    estimation_sample: NDArray[np.bool_] | None = None
    environment: Environment = NO_RESULTS
    groups: Groups | None = None
    replaced: tuple[str, Value] | None = None
    matches: Matches = field(default_factory=Matches)

    @property
    def n_rows(self) -> int:
        """Number of rows; 1 without data."""
        return 1 if self.dataset is None else self.dataset.n_rows

    def value(self, node: Expression) -> Value:
        """Return the value of a node, of shape () or (rows,)."""
        match node:
            case Number(value=number):
                return np.asarray(number, dtype=np.float64)
            case Missing(letter=letter):
                return np.asarray(missing_value(letter))
            case Text(value=text):
                return np.array(text, dtype=object)
            case Name(name=name, span=span):
                return self._named(name, span)
            case Subscript(name=name, index=index, span=span):
                return self._subscript(name, self._named(name, span), self.number(index))
            case Coefficient(equation=equation, name=name, standard_error=is_error):
                return np.asarray(self.environment.coefficient(equation, name, is_error))
            case Element():
                return np.asarray(self._element(node))
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
        rows, groups = self.n_rows, self.groups
        if name == "_n":
            number = np.arange(1.0, rows + 1.0)
            return number if groups is None else number - groups.first
        if name == "_N":
            return np.asarray(float(rows) if groups is None else groups.size.astype(np.float64))
        if name in CONSTANTS:
            return np.asarray(CONSTANTS[name])
        if name == "_rc":
            return np.asarray(float(self.environment.return_code))
        scalars = self.environment.scalars
        names = self.dataset.names if self.dataset is not None else ()
        # A variable, even abbreviated, hides a scalar of the same name.
        if name in scalars and not any(other.startswith(name) for other in names):
            return _constant(scalars[name])
        if self.dataset is None:
            raise VariableNotFound(f"{name} not found", span=span)
        full = find_variable(name, names, span, in_expression=True)
        return self.dataset.text(full) if self.dataset.is_text(full) else self.dataset.column(full)

    def _subscript(self, name: str, values: Value, index: FloatArray) -> Value:
        values = np.broadcast_to(values, (self.n_rows,))
        row = np.trunc(index) - 1.0
        last: Any = self.n_rows
        if self.groups is not None:
            row, last = row + self.groups.first, self.groups.first + self.groups.size
            exists = (row >= self.groups.first) & (row < last)
        else:
            exists = (row >= 0) & (row < last)
        source = np.where(exists, row, 0).astype(np.int64)
        picked = values[source] if len(values) else values
        if self.replaced is not None and self.dataset is not None:
            full = find_variable(name, self.dataset.names)
            if full == self.replaced[0]:
                above = source < np.arange(self.n_rows)
                picked = np.where(above, self.replaced[1][source], picked)
        return np.where(exists, picked, "" if is_text(values) else np.nan)

    def _element(self, node: Element) -> float:
        matrix = self.environment.matrices.get(node.name)
        if matrix is None:
            raise VariableNotFound(f"matrix {node.name} not found", span=node.span)
        places = []
        axes = ((node.row, matrix.row_names), (node.column, matrix.column_names))
        for index, names in axes:
            value = self.value(index)
            if is_text(value):
                wanted = "".join(np.ravel(value)[:1])
                labels = [f"{equation}:{name}" if equation else name for equation, name in names]
                bare = [name for _, name in names]
                place = next(
                    (known.index(wanted) for known in (labels, bare) if wanted in known), -1
                )
            else:
                first = _first(value)
                place = int(first) - 1 if np.isfinite(first) else -1
            if not 0 <= place < len(names):
                return float("nan")
            places.append(place)
        return float(matrix.values[places[0], places[1]])

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
        if name in ("e", "r", "c", "scalar"):
            return self._stored(node)
        if name in RANDOM:
            return self._drawn(node)
        if name in MATRIX_FUNCTIONS or name == "el":
            return self._of_matrix(node)
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
            return self._running_sum(np.broadcast_to(values[0], (self.n_rows,)))
        if name in ("regexm", "regexs"):
            return self._matched(name, *values)
        return function.apply(*values)

    def _matched(self, name: str, *values: Value) -> Value:
        if name == "regexm":
            return self.matches.search(*values)
        return self.matches.group(values[0], self.n_rows)

    def _running_sum(self, values: FloatArray) -> FloatArray:
        total = np.asarray(np.cumsum(np.where(np.isnan(values), 0.0, values)), dtype=np.float64)
        if self.groups is None:
            return total
        if not len(total):
            return total
        starts = self.groups.starts
        before = np.where(starts > 0, total[starts - 1], 0.0)
        return np.asarray(total - np.repeat(before, np.diff(np.append(starts, len(total)))))

    def _stored(self, node: Call) -> Value:
        if len(node.arguments) != 1 or not isinstance(node.arguments[0], Name):
            raise InvalidSyntax(f"invalid syntax: {node.function}(name)", span=node.span)
        name = node.arguments[0].name
        if node.function == "scalar":
            if name not in self.environment.scalars:
                raise VariableNotFound(f"scalar {name} not found", span=node.span)
            return _constant(self.environment.scalars[name])
        if (node.function, name) != ("e", "sample"):
            return _constant(self.environment.stored(node.function, name))
        if self.estimation_sample is None:
            raise NoEstimates("last estimates not found", span=node.span)
        return logical(self.estimation_sample)

    def _of_matrix(self, node: Call) -> FloatArray:
        """``rowsof(A)``, ``colsof(A)``, ``trace(A)``, ``det(A)`` and ``el(A, i, j)``."""
        first = node.arguments[0] if node.arguments else None
        if not isinstance(first, Name):
            raise InvalidSyntax(f"invalid syntax: {node.function}(matrix)", span=node.span)
        if node.function == "el" and len(node.arguments) == 3:
            return np.asarray(self._element(Element(first.name, *node.arguments[1:])))
        matrix = self.environment.matrices.get(first.name)
        if matrix is None:
            raise VariableNotFound(f"matrix {first.name} not found", span=first.span)
        if len(node.arguments) != 1:
            raise InvalidSyntax(f"invalid syntax: {node.function}(matrix)", span=node.span)
        return np.asarray(MATRIX_FUNCTIONS[node.function](matrix.values), dtype=np.float64)

    def _drawn(self, node: Call) -> FloatArray:
        random = self.random if self.random is not None else np.random.default_rng()
        least, most, draw = RANDOM[node.function]
        if not least <= len(node.arguments) <= most:
            what = "too many" if len(node.arguments) > most else "too few"
            raise InvalidSyntax(f"{node.function}() has {what} arguments", span=node.span)
        arguments = [self.number(argument) for argument in node.arguments]
        legal = np.ones(self.n_rows, dtype=bool)
        for argument in arguments:
            legal &= np.isfinite(argument)
        if node.function in POSITIVE_ONLY:
            for argument in arguments:
                legal &= np.asarray(argument >= 0.0)
        if node.function == "rbinomial":
            legal &= np.asarray(arguments[1] <= 1.0)
        safe = [np.where(legal, argument, 0.5) for argument in arguments]
        return np.where(legal, draw(random, self.n_rows, *safe), np.nan)


CONSTANTS = {"_pi": float(np.pi)}
MATRIX_FUNCTIONS: dict[str, Callable[[FloatArray], float]] = {
    "rowsof": lambda a: a.shape[0],
    "colsof": lambda a: a.shape[1],
    "trace": lambda a: float(np.trace(a)),
    "det": lambda a: float(np.linalg.det(a)),
}
RANDOM: dict[str, tuple[int, int, Callable[..., FloatArray]]] = {
    "uniform": (0, 0, lambda random, n: random.random(n)),
    "runiform": (0, 2, lambda random, n, a=0.0, b=1.0: a + (b - a) * random.random(n)),
    "rnormal": (0, 2, lambda random, n, m=0.0, s=1.0: m + s * random.standard_normal(n)),
    "rbinomial": (2, 2, lambda random, n, k, p: random.binomial(k.astype(np.int64), p, n)),
    "rpoisson": (1, 1, lambda random, n, m: random.poisson(m, n)),
    "rgamma": (2, 2, lambda random, n, a, b: random.gamma(a, b, n)),
    "rchi2": (1, 1, lambda random, n, df: random.chisquare(df, n)),
    "rexponential": (1, 1, lambda random, n, b: random.exponential(b, n)),
}
"""Random numbers: least and largest number of arguments, and the draw for n rows."""
POSITIVE_ONLY = ("rbinomial", "rpoisson", "rgamma", "rchi2", "rexponential")


def _first(value: FloatArray) -> float:
    row = np.ravel(value)[:1]
    return float(row[0]) if len(row) else float("nan")


def _constant(value: float | str) -> Value:
    return np.array(value, dtype=object) if isinstance(value, str) else np.asarray(value)


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


def constant_value(expression: Expression, evaluator: Evaluator | None = None) -> float:
    """Return the number an expression stands for, that of the first row if it has variables.

    Without rows it is missing.
    """
    return _first((evaluator or Evaluator()).number(expression))


def refers_to_results(expression: Expression, variables: Sequence[str]) -> bool:
    """Whether an expression needs more than the data: scalars, results, random numbers."""
    match expression:
        case Coefficient() | Element():
            return True
        case Name(name=name):
            known = name in ("_n", "_N", *CONSTANTS) or any(v.startswith(name) for v in variables)
            return not known
        case Subscript(index=index):
            return refers_to_results(index, variables)
        case Prefix(operand=operand):
            return refers_to_results(operand, variables)
        case Binary(left=left, right=right):
            return refers_to_results(left, variables) or refers_to_results(right, variables)
        case Call(function=function, arguments=arguments):
            if function in ("e", "r", "c", "scalar") or function in RANDOM:
                return True
            return any(refers_to_results(argument, variables) for argument in arguments)
        case _:
            return False


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
    if sample.selected is not None:
        chosen = np.zeros(dataset.n_rows, dtype=bool)
        chosen[np.array(sample.selected, dtype=np.int64)] = True
        selected &= chosen
    if sample.rows is not None:
        first, last = absolute_rows(sample.rows, dataset.n_rows)
        selected[: first - 1] = False
        selected[last:] = False
    return selected
