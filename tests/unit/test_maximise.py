"""The maximiser on log likelihoods made up to be awkward."""

from __future__ import annotations

import numpy as np
import pytest

from gllamm_cli.estimate.maximise import maximise


class Cliff:
    """A concave log likelihood whose derivatives cannot be computed beyond a point.

    Its nodes drift, so that they go ahead of the derivatives and the value is known before them.
    """

    at_rest = True

    def __init__(self, edge: float, drift: float) -> None:
        self._edge = edge
        self.drift = drift

    def value(self, point):
        return -np.logaddexp(0.0, -4.0 * point[0]) - 0.01 * point[0] ** 2

    def settled_value(self, point, tolerance=0.0):
        return self.value(point)

    def begin(self, point):
        pass

    def follow(self, point, near=0.5):
        return 0.0

    def restore(self):
        pass

    def hold(self):
        pass

    def derivatives(self, point):
        x = point[0]
        if x > self._edge:
            return -np.inf, np.zeros(1), np.zeros((1, 1))
        p = 1.0 / (1.0 + np.exp(4.0 * x))
        score = np.array([4.0 * p - 0.02 * x])
        return self.value(point), score, np.array([[-16.0 * p * (1.0 - p) - 0.02]])


@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_derivatives_that_cannot_be_computed_are_no_step(drift):
    """Whatever the value there, which may be higher."""
    found = maximise(
        Cliff(edge=6.0, drift=drift), np.array([-0.9]), adaptive=True, most_iterations=100
    )
    assert found is not None and found.concave
    assert found.point[0] == pytest.approx(1.2643536, abs=1e-5)
    assert found.converged


def test_it_reaches_the_same_maximum_with_and_without_drift():
    points = [
        maximise(Cliff(np.inf, drift), np.array([-0.9]), adaptive=True, most_iterations=100).point
        for drift in (0.0, 1.0)
    ]
    np.testing.assert_allclose(points[0], points[1], atol=1e-6)


class Saddle(Cliff):
    """A double hill: the gradient vanishes exactly in the middle, and at the two tops."""

    def __init__(self) -> None:
        super().__init__(np.inf, 0.0)

    def value(self, point):
        return 2.0 * point[0] ** 2 - point[0] ** 4

    def derivatives(self, point):
        x = point[0]
        return self.value(point), np.array([4.0 * x - 4.0 * x**3]), np.array([[4.0 - 12.0 * x**2]])


def test_a_start_at_a_saddle_point_is_left():
    found = maximise(Saddle(), np.zeros(1), adaptive=False, most_iterations=100)
    assert found is not None and found.converged
    assert abs(found.point[0]) == pytest.approx(1.0, abs=1e-4)
