"""Arrays that are the same everywhere stay so, and answer like the arrays they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from gllamm_cli.model.uniform import (
    is_uniform,
    occurring,
    ones,
    product,
    take,
    total,
    uniform,
    zeros,
)

VARYING = np.arange(5.0)


def test_one_element_stands_for_all():
    values = uniform(np.int32(7), 5)
    assert is_uniform(values) and values.dtype == np.int32 and values.tolist() == [7] * 5
    assert ones(3).tolist() == [1.0] * 3 and zeros(2).tolist() == [0.0] * 2
    assert not is_uniform(np.ones(3)) and not is_uniform(VARYING) and not is_uniform(ones(0))
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1


@pytest.mark.parametrize(
    "rows",
    [
        np.array([4, 0, 0]),
        np.array([], dtype=np.int64),
        np.array([True, False, True, True, False]),
        slice(None),
        slice(1, None, 2),
    ],
)
def test_some_elements(rows):
    for values in (uniform(np.float64(2.5), 5), VARYING):
        found = take(values, rows)
        np.testing.assert_array_equal(found, np.array(values)[rows])
        assert is_uniform(found) == (is_uniform(values) and len(found) > 0)


@pytest.mark.parametrize("values", [uniform(np.float64(2.5), 5), VARYING, np.zeros(0), ones(0)])
def test_sums_and_what_occurs(values):
    assert total(values) == np.array(values).sum()
    assert set(occurring(values)) == set(values)
    assert len(occurring(values)) == (1 if is_uniform(values) else len(values))


def test_products_are_uniform_if_both_factors_are():
    two, three = uniform(np.float64(2.0), 5), uniform(np.float64(3.0), 5)
    assert is_uniform(product(two, three)) and product(two, three)[4] == 6.0
    for x, y in ((two, VARYING), (VARYING, two), (VARYING, VARYING)):
        np.testing.assert_array_equal(product(x, y), np.array(x) * np.array(y))
