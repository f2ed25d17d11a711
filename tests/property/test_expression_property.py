"""Random expressions: the evaluator agrees with plain Python, the printer with the parser."""

import math

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from gllamm_cli.data import Dataset
from gllamm_cli.stata.evaluate import evaluate
from gllamm_cli.stata.expression import (
    Binary,
    Call,
    Missing,
    Name,
    Number,
    Prefix,
    Subscript,
    Text,
    format_expression,
    parse_expression,
)

ROWS = ({"x": 1.5, "y": -2.0}, {"x": math.nan, "y": 0.0}, {"x": 0.0, "y": 3.0})
DATA = Dataset.from_frame(pd.DataFrame(ROWS))

numbers = st.integers(0, 5) | st.sampled_from([0.5, 2.25, 1e-5, 1e20])
leaves = (
    numbers.map(lambda value: Number(float(value)))
    | st.sampled_from(["x", "y"]).map(Name)
    | st.just(Missing())
)
OPERATORS = ["+", "-", "*", "/", "^", "<", "<=", ">", ">=", "==", "!=", "&", "|"]


def grow(children):
    return st.builds(Binary, st.sampled_from(OPERATORS), children, children) | st.builds(
        Prefix, st.sampled_from(["-", "!", "+"]), children
    )


numeric = st.recursive(leaves, grow, max_leaves=12)


def grow_further(children):
    return (
        grow(children)
        | st.builds(Subscript, st.sampled_from(["x", "y"]), children)
        | st.builds(Call, st.sampled_from(["cond", "ln"]), st.tuples(children, children))
    )


texts = st.text(alphabet="ab '`.é", max_size=5).map(Text)
anything = st.recursive(
    leaves | texts | st.sampled_from(["", "a", "z"]).map(Missing), grow_further, max_leaves=12
)


def finite(value):
    return value if not isinstance(value, complex) and math.isfinite(value) else math.nan


def order(value):
    """Missing is larger than every number."""
    return math.inf if math.isnan(value) else value


def arithmetic(operator, a, b):
    if math.isnan(a) or math.isnan(b):
        return math.nan
    try:
        match operator:
            case "+":
                return finite(a + b)
            case "-":
                return finite(a - b)
            case "*":
                return finite(a * b)
            case "/":
                return finite(a / b)
            case _:
                return finite(a**b)
    except (ZeroDivisionError, OverflowError):
        return math.nan


def python_value(node, row):
    """Stata's rules once more, one row at a time."""
    match node:
        case Number(value=value):
            return value
        case Missing():
            return math.nan
        case Name(name=name):
            return row[name]
        case Prefix(operator=operator, operand=operand):
            value = python_value(operand, row)
            if operator == "!":
                return float(value == 0)
            return -value if operator == "-" else value
        case Binary(operator=operator, left=left, right=right):
            a, b = python_value(left, row), python_value(right, row)
            comparisons = {
                "<": order(a) < order(b),
                "<=": order(a) <= order(b),
                ">": order(a) > order(b),
                ">=": order(a) >= order(b),
                "==": order(a) == order(b),
                "!=": order(a) != order(b),
                "&": a != 0 and b != 0,
                "|": a != 0 or b != 0,
            }
            if operator in comparisons:
                return float(comparisons[operator])
            return arithmetic(operator, a, b)


@given(numeric)
@settings(max_examples=300, deadline=None)
def test_values_are_those_of_plain_python(tree):
    found = evaluate(parse_expression(format_expression(tree)), DATA)
    expected = [python_value(tree, row) for row in ROWS]
    np.testing.assert_allclose(found, expected, rtol=1e-12, equal_nan=True)


@given(anything)
@settings(max_examples=300, deadline=None)
def test_printing_is_undone_by_reading(tree):
    assert parse_expression(format_expression(tree)) == tree
