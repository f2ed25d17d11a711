"""Special functions without scipy, held against scipy's."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from gllamm_cli._auxiliary import gamma_terms
from gllamm_cli.model import special

SHAPES = st.floats(-8.0, 12.0).map(lambda power: 10.0**power)


@given(st.lists(SHAPES, min_size=1))
def test_gamma_function_and_derivatives(shapes):
    x = np.array(shapes)
    # Near a zero nothing can be relatively accurate that adds numbers of size 1.
    terms = gamma_terms(-0.5 * np.log(x))
    k = terms[:, 0]
    np.testing.assert_allclose(k, x if len(terms) == len(x) else x[:1], rtol=1e-14)
    np.testing.assert_allclose(terms[:, 1], scipy.special.gammaln(k), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(terms[:, 2], scipy.special.psi(k), rtol=1e-13, atol=2e-15)
    np.testing.assert_allclose(terms[:, 3], scipy.special.polygamma(1, k), rtol=1e-13)
    np.testing.assert_allclose(
        special.log_gamma(x), scipy.special.gammaln(x), rtol=1e-13, atol=1e-15
    )


@pytest.mark.parametrize("n", [1, 100, 60_000])
def test_log_gamma_of_many(n):
    random = np.random.default_rng(n)
    for x in (
        random.poisson(4.0, n) + 1.0,
        10.0 ** random.uniform(0.0, 15.0, n).round(1),
        random.gamma(2.0, size=n),
    ):
        np.testing.assert_allclose(
            special.log_gamma(x), scipy.special.gammaln(x), rtol=1e-13, atol=1e-15
        )


def test_where_the_gamma_function_ends():
    ends = np.array([0.0, np.inf])
    assert special.log_gamma(np.zeros(0)).shape == (0,)
    assert special.log_gamma(np.array([0.0, 1e308, np.inf])).tolist() == [np.inf] * 3
    with np.errstate(divide="ignore"):
        terms = gamma_terms(-0.5 * np.log(ends))
    assert terms[:, 2].tolist() == [-np.inf, np.inf]
    assert terms[:, 3].tolist() == [np.inf, 0.0]


@given(st.floats(-300.0, 0.0).map(lambda power: 10.0**power))
def test_normal_quantiles(p):
    both = np.array([p, 1.0 - p])
    np.testing.assert_allclose(special.normal_quantile(both), scipy.special.ndtri(both), rtol=3e-15)


def test_normal_quantiles_of_all_else():
    p = np.array([0.0, 1.0, 0.5, -0.1, 1.1, np.nan])
    np.testing.assert_array_equal(
        special.normal_quantile(p), [-np.inf, np.inf, 0.0, np.nan, np.nan, np.nan]
    )
    borders = np.array([0.075, 0.925, np.exp(-25.0), np.nextafter(np.exp(-25.0), 1.0)])
    np.testing.assert_allclose(
        special.normal_quantile(borders), scipy.special.ndtri(borders), rtol=3e-15
    )
