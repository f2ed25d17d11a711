"""Sums over the rows of units behind linear mixed models are what numpy makes of them."""

import numpy as np
import pytest

from gllamm_cli._gaussian import UNITS_TOGETHER, cross_products
from gllamm_cli.model.uniform import ones, zeros

SIZES = np.array([1, 2, 63, 64, 65, 200, 7, 1, 1, 10, 3, 128])
"""Rows of the units: one, and just below and above what is summed together."""


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_variances", [1, 2])
@pytest.mark.parametrize("n_columns", [0, 1, 3, 7, 8, 11])
def test_sums_of_products(n_columns: int, n_variances: int, weighted: bool) -> None:
    """Few columns (all pairs), many (pairs that occur), with and without a stride of zero."""
    random = np.random.default_rng(n_columns)
    n = int(SIZES.sum())
    columns = [ones(n), *random.normal(size=(10, n))][:n_columns]
    if n_columns > 2:
        columns[2] = (random.random(n) < 0.3) * 1.0
    shift = random.normal(size=n_columns)
    y = random.normal(size=n)
    offset = random.normal(size=n) if weighted else zeros(n)
    weight = random.random(n) if weighted else ones(n)
    group = random.integers(0, 2, n).astype(np.int32) if n_variances > 1 else None
    first = np.append(0, np.cumsum(SIZES)).astype(np.int64)
    blocks = np.array([0, 5, len(SIZES)])
    results = [
        cross_products(columns, shift, y, offset, weight, group, n_variances, first, blocks, t)
        for t in (1, 2)
    ]
    pairs, sums = results[0]
    assert (results[1][1] == sums).all()

    rest = y - offset - sum((c * s for c, s in zip(columns, shift, strict=True)), np.zeros(n))
    x = [*columns, rest]
    numbers = np.zeros(n, dtype=int) if group is None else group
    found = {tuple(pair): k for k, pair in enumerate(pairs.tolist())}
    # Blocks start new groups of units.
    slots = [*range(5), *range(UNITS_TOGETHER, UNITS_TOGETHER + len(SIZES) - 5)]
    for u, slot in enumerate(slots):
        of_unit = sums[slot // UNITS_TOGETHER, :, slot % UNITS_TOGETHER]
        rows = slice(first[u], first[u + 1])
        for g in range(n_variances):
            w = weight[rows] * (numbers[rows] == g)
            assert of_unit[len(pairs) + g] == pytest.approx(w.sum(), rel=1e-12)
            for a in range(n_columns + 1):
                for b in range(a + 1):
                    expected = (w * x[a][rows] * x[b][rows]).sum()
                    k = found.get((g, a, b))
                    value = 0.0 if k is None else of_unit[k]
                    assert value == pytest.approx(expected, rel=1e-9, abs=1e-10)
