"""Covariances where the log likelihood is flat."""

import numpy as np

from gllamm_cli.fit.covariance import invert_information


def test_a_parameter_without_curvature_gets_no_variance():
    """Nor a warning of arithmetic: the location of a class may go off to infinity."""
    for least in (0.0, 1e-300, 1e-310):
        found = invert_information(np.diag([-4.0, -least]))
        np.testing.assert_array_equal(found, [[0.25, 0.0], [0.0, 0.0]])


def test_scales_of_parameters_may_differ_by_many_orders():
    found = invert_information(np.diag([-1e-120, -1e120]))
    np.testing.assert_allclose(found, np.diag([1e120, 1e-120]))
