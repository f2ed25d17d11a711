"""Latent variables that share no rows, integrated one after another instead of jointly.

If the rows of a level-2 unit depend on (G, S_1), or (G, S_2), ..., its likelihood is

    int phi(G) prod_k [ int phi(S_k) prod_{rows i of k} f_i(G, S_k) dS_k ] dG

(a bifactor or testlet model; Gibbons and Hedeker 1992, Psychometrika 57; for any such graph Rijmen
2009, Psychometrika 74). That is the recursion over nested levels: a *split* makes every unit
consist of subunits, one for each *group* S_k of latent variables, and one for rows without any.
The subunits form a new lowest level, whose latent variables stand for S_1 in a subunit of the
first group, for S_2 in one of the second, and so on. The *common* latent variables G, if there
are any, remain at the level above.

A design column with a coefficient for a latent variable of a group has zeros in all rows of other
groups, or they would be the same group. So the coefficients stay what they are: only the latent
variables that they belong to are numbered anew.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
from operator import or_

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.design import Design, DesignLevel
from gllamm_cli.model.distinct import distinct
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.quadrature import ProductRule
from gllamm_cli.model.uniform import ones, take

IndexArray = NDArray[np.int64]

MOST_LEVELS = 8
"""Levels that the kernel can have."""
MOST_LATENT = 62
"""Latent variables of which a set fits into an integer."""
LEAST_GAIN = 2.0
"""Factor by which a split must reduce the work."""
AFFORDABLE_NODES = 1000
"""Nodes of the product rule up to which adaptive nodes are placed jointly."""
DENSITY = 75
"""Multiplications that take as long as one density with its derivatives."""


@dataclass(frozen=True, slots=True)
class _Interactions:
    """Which latent variables of level 2 meet in rows; sets of them are bits, the first being 1.

    ``of_row`` (N,) are those of each row, or of its choice set; ``sets`` the different ones.
    """

    points: tuple[int, ...]
    of_row: IndexArray
    sets: tuple[int, ...]

    def groups(self, common: int) -> tuple[int, ...]:
        """Sets of latent variables that share rows given the common ones, by their first."""
        groups: list[int] = []
        for members in (*(1 << m for m in range(len(self.points))), *self.sets):
            own = members & ~common
            if own:
                met = [group for group in groups if group & own]
                groups = [group for group in groups if not group & own]
                groups.append(reduce(or_, met, own))
        return tuple(sorted(groups, key=lambda group: group & -group))

    def points_of(self, members: int) -> tuple[int, ...]:
        """Quadrature points of a set's latent variables."""
        return tuple(n for m, n in enumerate(self.points) if members >> m & 1)


@dataclass(frozen=True, slots=True)
class _Split:
    """Common latent variables and groups (sets as bits), and points of the subunits' rule."""

    common: int
    groups: tuple[int, ...]
    points: tuple[int, ...]


def factorise(
    design: Design, parameters: Parameters, *, adaptive: bool
) -> tuple[Design, Parameters]:
    """Split level-2 units where that saves most of the work.

    With the nodes of product Gauss-Hermite rules as they are, the log likelihood is the same number
    up to rounding; so it is with adaptive nodes, if nothing is common to the groups and no
    level above has latent variables: their posterior factorises, too. Otherwise adaptive nodes of a
    group follow those of the common latent variables, which differs from the joint
    placement by about the error of quadrature; that is done only if the joint product rule has more
    than ``AFFORDABLE_NODES`` nodes.

    Returns
    -------
    The arguments, or a design with its rows in another order and one more level, and the parameters
    that belong to it: the same theta, with latent variables numbered anew.
    """
    while True:
        split = _find_split(design, parameters, adaptive)
        if split is None:
            return design, parameters
        interactions, found = split
        design, parameters = _apply(found, interactions, design, parameters)


def _interactions(design: Design, parameters: Parameters, points: tuple[int, ...]) -> _Interactions:
    own = (parameters.pair_latent >= 1) & (parameters.pair_latent <= len(points))
    of_column = np.zeros(len(parameters.columns), dtype=np.int64)
    np.bitwise_or.at(of_column, parameters.pair_column[own], 1 << (parameters.pair_latent[own] - 1))
    start, column, value = design.sparse_rows(parameters.columns)
    if start is None:
        sets = np.where(value.reshape(design.n_rows, len(of_column)) != 0.0, of_column, 0)
        of_row = np.bitwise_or.reduce(sets, axis=1)
    else:
        sets = np.where(value != 0.0, of_column[column], 0)
        of_row = _unions(sets, start[:-1], np.diff(start))
    group_start = design.group_starts
    if group_start is not None:
        size = np.diff(np.append(group_start, design.n_rows))
        of_row = np.repeat(_unions(of_row, group_start, size), size)
    return _Interactions(points, of_row, tuple(distinct(of_row).tolist()))


def _unions(sets: IndexArray, start: IndexArray, size: IndexArray) -> IndexArray:
    """Union of ``size[i]`` sets from ``start[i]`` on, for each i."""
    if not len(sets):
        return np.zeros(len(start), dtype=np.int64)
    unions = np.bitwise_or.reduceat(np.append(sets, 0), start)
    return np.where(size > 0, unions, 0)


def _find_split(
    design: Design, parameters: Parameters, adaptive: bool
) -> tuple[_Interactions, _Split] | None:
    """The split with the least work, if it is worth its while."""
    rule = design.levels[0].rule
    if not isinstance(rule, ProductRule) or not 2 <= rule.n_latent <= MOST_LATENT:
        return None
    if len(design.levels) + 1 >= MOST_LEVELS:
        return None
    jointly = adaptive and math.prod(level.rule.n_nodes for level in design.levels) <= (
        AFFORDABLE_NODES
    )
    if jointly and any(level.rule.n_latent for level in design.levels[1:]):
        return None
    interactions = _interactions(design, parameters, rule.points)
    n_parameters = parameters.n_pairs + len(parameters.auxiliary_index)

    def work(nodes: int, units: int) -> float:
        return nodes * (DENSITY * design.n_rows + 0.5 * units * n_parameters**2)

    n_units = design.levels[0].n_units
    least = work(rule.n_nodes, n_units) / LEAST_GAIN
    best = None
    for split in _splits(interactions, 0 if jointly else rule.n_latent - 2):
        nodes = math.prod(split.points) * math.prod(interactions.points_of(split.common))
        rest = any(not members & ~split.common for members in interactions.sets)
        expected = work(nodes, n_units * (len(split.groups) + rest))
        if expected < least:
            least, best = expected, split
    return None if best is None else (interactions, best)


def _splits(interactions: _Interactions, most_common: int) -> list[_Split]:
    """Splits into two or more groups, with up to ``most_common`` common latent variables.

    Those that would have as many nodes as one with fewer common latent variables are left out.
    """
    n = len(interactions.points)
    meets = [
        reduce(or_, (members for members in interactions.sets if members >> m & 1), 1 << m)
        for m in range(n)
    ]
    # What meets all others would hold them together.
    needed = [m for m in range(n) if meets[m] == (1 << n) - 1]
    others = [m for m in range(n) if m not in needed]
    splits: list[_Split] = []
    fewest = math.inf
    for size in range(min(most_common - len(needed), len(others) - 2) + 1):
        for chosen in combinations(others, size):
            common = sum(1 << m for m in (*needed, *chosen))
            above = math.prod(interactions.points_of(common))
            if above * min(interactions.points) >= fewest:
                continue
            groups = interactions.groups(common)
            if len(groups) < 2:
                continue
            # Every group finds its points among those of the rule.
            together: Counter[int] = Counter()
            for group in groups:
                together |= Counter(interactions.points_of(group))
            points = tuple(sorted(together.elements()))
            splits.append(_Split(common, groups, points))
            fewest = min(fewest, above * math.prod(points))
    return splits


def _apply(
    split: _Split, interactions: _Interactions, design: Design, parameters: Parameters
) -> tuple[Design, Parameters]:
    whole = design.levels[0]
    # Number of each row's group; rows without any come last.
    group = np.full(design.n_rows, len(split.groups), dtype=np.int64)
    for k, members in enumerate(split.groups):
        group[interactions.of_row & members != 0] = k
    unit = np.repeat(np.arange(whole.n_units), np.diff(whole.first))
    subunit = unit * (len(split.groups) + 1) + group
    order = np.argsort(subunit, kind="stable")
    first = np.flatnonzero(np.diff(subunit[order], prepend=-1)).astype(np.int64)
    parent = unit[order][first]
    part = DesignLevel(
        first=np.append(first, design.n_rows),
        weight=ones(len(first)),
        rule=ProductRule(split.points),
        parent=parent,
        total_weight=take(whole.total_weight, parent),
        frequency=ones(len(first)),
    )
    rest = replace(
        whole,
        first=np.searchsorted(parent, np.arange(whole.n_units + 1)).astype(np.int64),
        rule=ProductRule(interactions.points_of(split.common)),
    )
    n_latent = sum(level.rule.n_latent for level in design.levels)
    number = _numbers(split, interactions, n_latent)
    levels = (part, rest, *design.levels[1:])
    return design.with_levels(levels, order), parameters.renumbered(number)


def _numbers(split: _Split, interactions: _Interactions, n_latent: int) -> IndexArray:
    """New number of each latent variable, (1 + M,): subunits', then common, then higher ones."""
    points = interactions.points
    number = np.zeros(n_latent + 1, dtype=np.int64)
    for members in split.groups:
        free = list(enumerate(split.points, start=1))
        for m in range(len(points)):
            if members >> m & 1:
                place = next(place for place in free if place[1] == points[m])
                free.remove(place)
                number[m + 1] = place[0]
    common = [m for m in range(len(points)) if split.common >> m & 1]
    others = [*common, *range(len(points), n_latent)]
    number[np.array(others, dtype=np.int64) + 1] = len(split.points) + 1 + np.arange(len(others))
    return number
