"""Questions about columns get the answers that numpy gives the long way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gllamm_cli._scanning import (
    all_finite,
    in_order,
    largest_size,
    outcome_varies,
    outcomes_by_value,
    unit_starts,
    zeros_and_ones,
)

LENGTHS = [1, 5, 1024, 200_000]
FEW = st.integers(0, 3).map(float)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_seen_wherever_it_is(n, bad):
    values = np.full(n, 1e308)
    assert all_finite(values, 2)
    for at in {0, n // 2, n - 1}:
        other = values.copy()
        other[at] = bad
        assert not all_finite(other, 1) and not all_finite(other, 2)
    assert all_finite(np.zeros(0), 1)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("bad", [2.0, -1.0, 0.5, np.nan])
def test_anything_but_zero_and_one_is_seen_wherever_it_is(n, bad):
    values = (np.arange(n) % 3 == 0) * 1.0
    assert zeros_and_ones(values, 2)
    for at in {0, n // 2, n - 1}:
        other = values.copy()
        other[at] = bad
        assert not zeros_and_ones(other, 1) and not zeros_and_ones(other, 2)


@given(st.lists(st.tuples(FEW, FEW, FEW), max_size=12), st.booleans())
def test_rows_are_in_order_if_python_sorts_them_so(rows, ascending):
    rows = sorted(rows) if ascending else rows
    keys = [np.array(key) for key in zip(*rows, strict=True)]
    assert in_order(keys, 1) == (rows == sorted(rows))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("n", [1, 65_536, 200_000])
def test_rows_in_pieces(n, threads):
    """Borders of pieces are rows like others."""
    high = np.arange(n) // 1000.0
    low = np.arange(n) % 1000 // 2.0
    assert in_order([high, low], threads)
    for at in {n // 2, n - 1, min(65_536, n - 1)} - {0}:
        wrong = low.copy()
        wrong[at] = -1.0
        assert in_order([high, wrong], threads) == (high[at] > high[at - 1])
    starts = unit_starts([low, high], threads)
    new_high = np.append(True, high[1:] != high[:-1])
    new_low = new_high | np.append(True, low[1:] != low[:-1])
    assert np.array_equal(starts[0], np.flatnonzero(new_low))
    assert np.array_equal(starts[1], np.flatnonzero(new_high))


@given(st.lists(st.tuples(FEW, st.integers(0, 2), st.integers(1, 2)), max_size=10))
def test_outcomes_at_two_values(rows):
    x, y, n = (np.array([row[k] for row in rows], dtype=np.float64) for k in range(3))
    found = outcomes_by_value(x, y, n)
    values = sorted(set(x.tolist()))
    seen = tuple(((y[x == v] != 0.0).any(), (y[x == v] != n[x == v]).any()) for v in values)
    if len(values) != 2 or all(all(pair) for pair in seen):
        assert found is None
    else:
        assert found == (tuple(values), seen)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 2)), max_size=6))
def test_outcomes_vary_if_there_are_successes_and_failures(rows):
    y, n = (np.array([row[k] for row in rows], dtype=np.float64) for k in range(2))
    assert outcome_varies(y, n) == ((y != 0.0).any() and (y != n).any())


@pytest.mark.parametrize("n", LENGTHS)
def test_the_largest_size_is_found_wherever_it_is(n):
    values = np.sin(np.arange(n))
    for at, size in ((0, -3.0), (n // 2, 4.0), (n - 1, -5.0)):
        values[at] = size
        assert largest_size(values, 1) == largest_size(values, 3) == abs(size)
    assert largest_size(np.zeros(0), 1) == 0.0
