"""Design columns: compressed rows hold what the dense matrix holds; cross products tell the truth.

Protects the paths by which covariates reach the kernel and are judged collinear.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gllamm_cli._columns import compress, cross_products
from gllamm_cli.data import Dataset
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.gram import (
    clearly_independent,
    gram,
    rough_least_squares,
    solve_semidefinite,
)
from gllamm_cli.model.resolve import Definitions, resolve
from gllamm_cli.stata.command import parse_gllamm


def design_of(frame):
    text = "gllamm y x z, i(id) adapt"
    data = Dataset.from_frame(frame)
    request = resolve(parse_gllamm(text), data, Definitions({}, {}, {}))
    return build_design(request.spec, data)[0]


def frame(random, zeros):
    import pandas as pd

    n = 40
    x, z = random.normal(size=n), random.normal(size=n)
    if zeros:
        x[random.random(n) < 0.5] = 0.0
        z[random.random(n) < 0.9] = 0.0
    return pd.DataFrame({"y": random.normal(size=n), "x": x, "z": z, "id": np.arange(n) // 4})


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("columns", [(), (("x",),), (("x",), ("z",), ()), (("x", "z"), ())])
def test_compressed_rows_are_the_matrix_without_its_zeros(zeros, columns):
    design = design_of(frame(np.random.default_rng(1), zeros))
    dense = design.matrix(columns)
    start, number, value = design.sparse_rows(columns)
    if start is None:
        # Few zeros, or none: the matrix itself.
        assert 2 * np.count_nonzero(dense) >= dense.size and not len(number)
        np.testing.assert_array_equal(value, dense.ravel())
        return
    assert zeros and len(start) == design.n_rows + 1 and start[-1] == len(value) == len(number)
    again = np.zeros_like(dense)
    for row in range(design.n_rows):
        here = slice(start[row], start[row + 1])
        assert (np.diff(number[here]) > 0).all()
        again[row, number[here]] = value[here]
    np.testing.assert_array_equal(again, dense)


def test_other_rows_do_not_inherit_compressed_rows():
    from dataclasses import replace

    design = design_of(frame(np.random.default_rng(1), False))
    columns = (("x",),)
    design.sparse_rows(columns)
    twice = {name: 2.0 * value for name, value in design.variables.items()}
    other = replace(design, variables=twice)
    np.testing.assert_array_equal(
        other.sparse_rows(columns)[2], 2.0 * design.sparse_rows(columns)[2]
    )


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_cross_products_of_many_rows_are_sums_over_all_of_them(share):
    """In pieces, row by row where most values are zero, the same for any number of threads."""
    random = np.random.default_rng(2)
    X = random.normal(size=(3, 20_005)) * (random.random((3, 20_005)) < share)
    columns, weight = list(X), random.random(X.shape[1])
    np.testing.assert_allclose(gram(columns), X @ X.T, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(gram(columns, weight), (X * weight) @ X.T, rtol=1e-10, atol=1e-9)
    for threads in (2, 5):
        assert (cross_products(columns, weight, threads) == gram(columns, weight)).all()


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_columns_of_many_rows_are_compressed_alike_by_any_number_of_threads(share):
    random = np.random.default_rng(4)
    X = random.normal(size=(4, 20_005)) * (random.random((4, 20_005)) < share)
    X[2] = 1.0
    columns = [*X[:2], None, X[3]]
    start, number, value = compress(columns, X.shape[1], 1)
    # Zeros are kept only where they are few: then rows are as long as there are columns.
    assert (start is None) == (share > 0.5)
    if start is None:
        assert (value.reshape(X.T.shape) == X.T).all() and not len(number)
    else:
        rows = np.repeat(np.arange(X.shape[1]), np.diff(start))
        again = np.zeros_like(X)
        again[number, rows] = value
        assert (again == X).all() and len(value) == np.count_nonzero(X)
    for threads in (2, 5):
        for one, other in zip(
            (start, number, value), compress(columns, X.shape[1], threads), strict=True
        ):
            assert np.array_equal(one, other) or one is other is None


def test_rough_least_squares_is_least_squares():
    random = np.random.default_rng(3)
    X = random.normal(size=(200, 3)) * [1.0, 1e4, 1e-3]
    y, weight = random.normal(size=200), random.random(200)
    root = np.sqrt(weight)
    wanted = np.linalg.lstsq(X * root[:, None], y * root, rcond=None)[0]
    np.testing.assert_allclose(rough_least_squares(list(X.T), y, weight), wanted, rtol=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-12, 1e-9, 1e-6]), st.floats(-6, 6))
def test_near_collinear_columns_are_never_called_independent(seed, noise, exponent):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, 50))
    c = 10.0**exponent * (a - 2.0 * b + noise * random.normal(size=50))
    assert not clearly_independent([a, b, c])
    assert clearly_independent([a, b]) or abs(np.corrcoef(a, b)[0, 1]) > 0.99


@pytest.mark.parametrize("rank", [0, 1, 3, 5])
def test_semidefinite_equations_have_the_shortest_solution(rank: int) -> None:
    """Also where unknowns have very different scales, and where there are none."""
    random = np.random.default_rng(rank)
    root = random.normal(size=(rank, 5))
    scale = np.array([1.0, 1e-4, 1e3, 1.0, 1e5])
    A = root.T @ root
    b = A @ random.normal(size=5)
    x = solve_semidefinite(A * np.outer(scale, scale), b * scale)
    np.testing.assert_allclose(A @ (x * scale), b, atol=1e-7)
    if rank == 5:
        np.testing.assert_allclose(x * scale, np.linalg.solve(A, b), rtol=1e-6)
    assert solve_semidefinite(np.zeros((0, 0)), np.zeros(0)).shape == (0,)
