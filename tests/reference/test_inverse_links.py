"""Means of predictions: every link of the table has one, with its complement and its slope."""

import numpy as np
import pytest

from gllamm_cli.model.families import LINKS
from gllamm_cli.predict.means import INVERSE_LINKS

NU = {"recip": np.array([0.3, 1.0, 4.0]), "log": np.array([-2.0, 0.4, 1.5])}
USUAL = np.array([-3.0, -0.7, 0.0, 0.6, 1.2])
PLAIN = [link for link in LINKS if not link.nominal]


def test_there_are_no_others():
    assert set(INVERSE_LINKS) == {link.name for link in PLAIN}


@pytest.mark.parametrize("link", PLAIN, ids=lambda link: link.name)
def test_inverse_links_are_those_of_the_table(link):
    nu = NU.get(link.name, USUAL)
    inverse = INVERSE_LINKS[link.name]
    np.testing.assert_allclose(link.predictor(inverse.mean(nu)), nu, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(inverse.complement(nu), 1.0 - inverse.mean(nu), atol=1e-14)
    h = 1e-3
    near = inverse.mean(nu + h) - inverse.mean(nu - h)
    far = inverse.mean(nu + 2 * h) - inverse.mean(nu - 2 * h)
    np.testing.assert_allclose(
        inverse.slope(nu), (8 * near - far) / (12 * h), rtol=1e-8, atol=1e-11
    )
