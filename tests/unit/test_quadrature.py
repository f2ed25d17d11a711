"""Quadrature rules integrate polynomials of their degree exactly under N(0, I)."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.model.quadrature import ProductRule, equal_probability_rule, gauss_hermite
from gllamm_cli.model.spherical import spherical_rule

POINTS = {(5, 2): 9, (5, 3): 19, (7, 2): 12, (7, 3): 27, (7, 4): 2 * (2**4 + 2 * 16),
          (7, 5): 2 * (2**5 + 2 * 25), (7, 6): 137, (7, 7): 2 * (2**7 + 2 * 49),
          (9, 2): 20, (11, 2): 28, (15, 2): 44}  # fmt: skip


def normal_moment(power):
    return 0.0 if power % 2 else float(np.prod(np.arange(power - 1, 0, -2)))


def check_moments(rule, degree):
    n = rule.nodes.shape[1]
    weights = np.exp(rule.log_weights)
    for powers in product(range(degree + 1), repeat=n):
        if sum(powers) > degree:
            continue
        value = np.sum(weights * np.prod(rule.nodes ** np.array(powers), axis=1))
        expected = np.prod([normal_moment(p) for p in powers])
        size = np.sum(weights * np.prod(np.abs(rule.nodes) ** np.array(powers), axis=1))
        assert abs(value - expected) < 1e-10 * size + 1e-12, powers


@pytest.mark.parametrize(("degree", "n"), POINTS)
def test_spherical_rules_have_their_degree_and_size(degree, n):
    rule = spherical_rule(n, degree)
    assert len(rule.nodes) == POINTS[degree, n]
    check_moments(rule, degree)


@pytest.mark.parametrize("points", [(1,), (8,), (20,), (400,), (3, 4)])
def test_product_rules_are_exact_up_to_their_degree(points):
    check_moments(ProductRule(points), min(2 * min(points) - 1, 21))


@pytest.mark.parametrize("points", [1, 2, 3, 8, 15, 16, 31, 64, 150])
def test_nodes_and_weights_are_those_of_numpy(points):
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    found, log_weights = (np.array(x) for x in gauss_hermite(points))
    np.testing.assert_allclose(found, nodes, rtol=1e-12, atol=1e-13)
    wanted = np.log(weights) - np.log(weights.sum())
    # Rounding of outer nodes moves the logarithm of their tiny weights.
    np.testing.assert_allclose(log_weights, wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("points", [200, 499, 500, 501, 700])
def test_many_points_integrate_even_powers(points):
    """E x^(2k) = (2k - 1)!! under N(0, 1), by nodes far out as well."""
    nodes, log_weights = (np.array(x) for x in gauss_hermite(points))
    for k, moment in ((0, 1.0), (1, 1.0), (2, 3.0), (5, 945.0), (10, 654729075.0)):
        assert np.exp(log_weights) @ nodes ** (2 * k) == pytest.approx(moment, rel=1e-10)


def test_a_level_without_latent_variables_has_one_node():
    rule = ProductRule(())
    assert rule.nodes.shape == (1, 0)
    assert rule.log_weights.tolist() == [0.0]


def test_equal_probability_grid_is_symmetric_and_sums_to_one():
    rule = equal_probability_rule((4, 3))
    assert np.exp(rule.log_weights).sum() == pytest.approx(1.0)
    for column in rule.nodes.T:
        assert np.allclose(np.sort(column), -np.sort(column)[::-1])


@pytest.mark.parametrize(
    ("n", "degree", "text"),
    [(1, 4, "odd"), (2, 6, "nip must be 5 or 7"), (3, 9, "nip must be"), (4, 5, "no spherical"),
     (8, 7, "no spherical")],
)  # fmt: skip
def test_rules_that_do_not_exist_are_refused(n, degree, text):
    with pytest.raises(InvalidSyntax, match=text):
        spherical_rule(n, degree)
