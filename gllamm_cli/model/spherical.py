"""Spherical rules for N(0, I_n): fewer nodes than a product rule of the same degree.

A rule of degree d integrates every polynomial of degree d exactly. Each is a
union of fully symmetric sets of points: all sign changes and permutations of a
generating point, with one weight. (Stroud 1971, Approximate Calculation of
Multiple Integrals, the rules for E_n^{r^2}; Naylor and Smith 1988; McNamee and
Stenger 1967.)
"""

from __future__ import annotations

from itertools import permutations, product
from math import gamma, pi, sqrt

import numpy as np

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.model.quadrature import ProductRule, Rule

DEGREES_IN_TWO_DIMENSIONS = (5, 7, 9, 11, 15)
DEGREES = (5, 7)
LARGEST_DIMENSION = 7

# Stroud's planar rules for the weight exp(-x^2 - y^2): generating point, weight.
_PLANAR: dict[int, tuple[tuple[float, float, float], ...]] = {
    9: (
        (2.607349811958554, 0.9663217712794149, 0.001349017971918148),
        (1.224744871391589, 1.224744871391589, 0.06544984694978697),
        (1.538189001320852, 0.0, 0.1237222328857347),
        (0.4817165220011443, 0.4817165220011443, 0.5935280476180875),
    ),
    11: (
        (2.757816396257008, 0.0, 0.0008176645817675417),
        (1.224744871391589, 2.121320343559643, 0.003636102608321520),
        (1.732050807568877, 0.0, 0.04363323129985824),
        (0.7071067811865475, 1.224744871391589, 0.09817477042468103),
        (0.6280515301597559, 0.0, 0.5373255214498174),
    ),
    15: (
        (3.538388728121807, 0.0, 0.000008006483569659628),
        (2.300279949805658, 2.300279949805658, 0.00003671735075832989),
        (2.685533581755341, 1.112384431771456, 0.0002735449647853290),
        (2.359676416877929, 0.0, 0.003604577420838264),
        (1.581138830084189, 1.581138830084189, 0.005654866776461627),
        (1.740847514397403, 0.7210826504868960, 0.02087984556938594),
        (1.312801844620926, 0.0, 0.1187609330759137),
        (0.8418504335819279, 0.8418504335819279, 0.1777774268424240),
        (0.5389559482114205, 0.0, 0.4372488543791402),
    ),
}

Orbit = tuple[tuple[float, ...], float]


def _points(generator: tuple[float, ...]) -> list[tuple[float, ...]]:
    """All distinct sign changes and permutations of a point."""
    found: dict[tuple[float, ...], None] = {}
    for arrangement in dict.fromkeys(permutations(generator)):
        signs = [(x, -x) if x else (0.0,) for x in arrangement]
        found.update(dict.fromkeys(product(*signs)))
    return list(found)


def _first(n: int, *values: float) -> tuple[float, ...]:
    """``values`` followed by zeros, n coordinates in all."""
    return (*values, *([0.0] * (n - len(values))))


def _degree_five(n: int) -> list[Orbit]:
    r, s = sqrt(n + 2.0), sqrt((n + 2.0) / 2.0)
    return [
        (_first(n), 2.0 / (n + 2.0)),
        (_first(n, r), (4.0 - n) / (2.0 * (n + 2.0) ** 2)),
        (_first(n, s, s), 1.0 / (n + 2.0) ** 2),
    ]


def _degree_seven(n: int) -> list[Orbit]:
    if n == 2:
        q = sqrt(5.0)
        s, t = sqrt((9.0 - 3.0 * q) / 4.0), sqrt((9.0 + 3.0 * q) / 4.0)
        return [
            ((sqrt(6.0), 0.0), 1.0 / 36.0),
            ((s, s), (5.0 + 2.0 * q) / 45.0),
            ((t, t), (5.0 - 2.0 * q) / 45.0),
        ]
    if n == 3:
        q = sqrt(15.0)
        r, s, t = sqrt((15.0 + q) / 2.0), sqrt(6.0 - q), sqrt(9.0 + 2.0 * q)
        return [
            ((0.0, 0.0, 0.0), (720.0 + 8.0 * q) / 2205.0),
            ((r, 0.0, 0.0), (270.0 - 46.0 * q) / 15435.0),
            ((s, s, 0.0), (162.0 + 41.0 * q) / 6174.0),
            ((t, t, t), (783.0 - 202.0 * q) / 24696.0),
        ]
    if n == 6:
        g = sqrt(3.0 * (8.0 - n))
        rr = (3.0 * (8.0 - n) - (n - 2.0) * g) / (5.0 - n)
        ss = (3.0 * n - 2.0 * g) / (3.0 * n - 8.0)
        tt = 6.0 + g
        scale = 2.0 / gamma(n / 2.0)
        outer = [
            (_first(n, sqrt(rr)), scale * (8.0 - n) / (8.0 * (rr / 2.0) ** 3)),
            ((sqrt(ss),) * n, scale / (2.0 ** (n + 3) * (ss / 2.0) ** 3)),
            (_first(n, sqrt(tt), sqrt(tt)), scale / (16.0 * (tt / 2.0) ** 3)),
        ]
        rest = 1.0 - sum(len(_points(point)) * weight for point, weight in outer)
        return [(_first(n), rest), *outer]
    root = sqrt(2.0 * (n + 2.0))
    orbits: list[Orbit] = []
    d = n * (n + 2.0) * (n + 4.0)
    for sign in (1.0, -1.0):
        rho = sqrt((n + 2.0 + sign * root) / 2.0)
        radial = (n + 2.0 - sign * root) / (2.0 * (n + 2.0))
        orbits += [
            (_first(n, rho * sqrt(2.0)), radial * (8.0 - n) / d),
            (_first(n, rho, rho), radial * 4.0 / d),
            ((rho * sqrt(2.0 / n),) * n, radial * n**3 / (2.0**n * d)),
        ]
    return orbits


def spherical_rule(n: int, degree: int) -> Rule | ProductRule:
    """Rule of a degree in n dimensions.

    In one dimension it is the Gauss-Hermite rule of that degree.

    Raises
    ------
    InvalidSyntax
        There is no such rule with positive weights.
    """
    if n == 1:
        if degree % 2 == 0:
            raise InvalidSyntax("arguments in nip() option must be odd with ip(m)")
        return ProductRule(((degree + 1) // 2,))
    if degree not in (DEGREES_IN_TWO_DIMENSIONS if n == 2 else DEGREES):
        raise InvalidSyntax("nip must be 5 or 7 if dim >2 and 5, 7, 9, 11 or 15 if dim=2")
    if n > LARGEST_DIMENSION or (degree == 5 and n > 3):
        raise InvalidSyntax(
            f"no spherical rule of degree {degree} in {n} dimensions has positive weights",
            hint="nip(7) serves up to 7 random effects at a level; ip(g) any number",
        )
    orbits: list[Orbit]
    if degree in _PLANAR:
        # From the weight exp(-x'x) to the density of N(0, I).
        orbits = [((sqrt(2.0) * a, sqrt(2.0) * b), w / pi) for a, b, w in _PLANAR[degree]]
    else:
        orbits = _degree_five(n) if degree == 5 else _degree_seven(n)
    nodes, weights = [], []
    for point, weight in orbits:
        points = _points(point)
        nodes.extend(points)
        weights.extend([weight] * len(points))
    return Rule(np.array(nodes), np.log(np.array(weights)))
