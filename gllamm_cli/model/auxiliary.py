"""Predictors without latent variables: the level-1 log scale and ordinal thresholds.

The predictor of a row is a sum over *groups* of T(w'alpha), with w the group's
variables, alpha auxiliary parameters and T one of three functions: the
identity (log scale, thresholds), exp (increments of thresholds under
``ethresh()``) and ln|.| (a scale equation on the natural scale under ``nats``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._auxiliary import evaluate_predictor

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


class Channel(IntEnum):
    """Numbers of the predictors in the kernel."""

    LOG_SCALE = 0
    LOWER = 1
    UPPER = 2


class Transform(IntEnum):
    """T of a group."""

    IDENTITY = 0
    EXP = 1
    LOG_ABS = 2


ABSENT = {Channel.LOG_SCALE: 0.0, Channel.LOWER: -np.inf, Channel.UPPER: np.inf}
"""Predictor of a row without groups: there is no threshold on that side."""


@dataclass(frozen=True)
class AuxiliaryPredictor:
    """One predictor of all rows.

    Attributes
    ----------
    channel
        Its number in the kernel.
    row_group : (N + 1,)
        Groups of row i are ``row_group[i]:row_group[i + 1]``.
    group_start : (groups + 1,)
        Terms of each group.
    column, weight : (terms,)
        Auxiliary parameter and variable of each term.
    transform : (groups,)
    """

    channel: Channel
    row_group: IndexArray
    group_start: IndexArray
    column: NDArray[np.int32]
    weight: FloatArray
    transform: NDArray[np.int8]

    @property
    def start(self) -> IndexArray:
        """Terms of row i are ``start[i]:start[i + 1]``, (N + 1,)."""
        return np.asarray(self.group_start[self.row_group])

    @cached_property
    def linear(self) -> bool:
        """Whether every T is the identity."""
        return not self.transform.any()

    def evaluate(self, alpha: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the predictor (N,) and its derivative in the parameter of each term (terms,)."""
        predictor, slope = evaluate_predictor(
            self.row_group,
            self.group_start,
            self.column,
            self.weight,
            self.transform,
            alpha,
            ABSENT[self.channel],
            self.linear,
        )
        return predictor, self.weight if slope is None else slope

    def curvature(self, alpha: FloatArray, first: FloatArray) -> FloatArray:
        """Return sum_i first_i * (second derivatives of predictor i), (A, A).

        ``first`` (N,) are expected derivatives of the log likelihood in the predictor.
        """
        forms = _sums(self.weight * alpha[self.column], self.group_start)
        bend = np.zeros_like(forms)
        exp, log = self.transform == Transform.EXP, self.transform == Transform.LOG_ABS
        bend[exp] = np.exp(np.minimum(forms[exp], 700.0))
        bend[log] = -1.0 / np.where(forms[log] == 0.0, 1e-300, forms[log]) ** 2
        bend *= np.repeat(first, np.diff(self.row_group))
        group = np.repeat(np.arange(len(forms)), np.diff(self.group_start))
        design = np.zeros((len(forms), len(alpha)))
        np.add.at(design, (group, self.column), self.weight)
        return np.asarray(design.T @ (design * bend[:, None]))


def _sums(values: FloatArray, start: IndexArray) -> FloatArray:
    """Sum of ``values[start[i]:start[i + 1]]`` for each i; empty sums are 0."""
    length = np.diff(start)
    if len(length) == len(values) and (length == 1).all():
        return values.copy()
    padded = np.append(values, 0.0)
    return np.where(length > 0, np.add.reduceat(padded, start[:-1]), 0.0)


def scale_predictor(design: FloatArray, natural: bool) -> AuxiliaryPredictor:
    """Level-1 log scale from its design (N, S): one group per row."""
    n, s = design.shape
    transform = Transform.LOG_ABS if natural else Transform.IDENTITY
    return AuxiliaryPredictor(
        Channel.LOG_SCALE,
        np.arange(n + 1, dtype=np.int64),
        np.arange(0, n * s + 1, s, dtype=np.int64),
        np.tile(np.arange(s, dtype=np.int32), n),
        np.ascontiguousarray(design).ravel(),
        np.full(n, transform, dtype=np.int8),
    )


@dataclass(frozen=True, slots=True)
class OrdinalRows:
    """Rows of one ordinal response.

    ``rows`` (n,) with ``category`` (n,) from 0, ``n_categories``, the threshold
    covariates ``design`` (n, G) with the constant last, the number
    ``first_parameter`` of the response's first auxiliary parameter, and
    whether its thresholds are given by increments.
    """

    rows: IndexArray
    category: IndexArray
    n_categories: int
    design: FloatArray
    first_parameter: int
    increments: bool


def threshold_predictor(
    channel: Channel, n_rows: int, responses: list[OrdinalRows]
) -> AuxiliaryPredictor:
    """Thresholds below or above the observed category of each ordinal row."""
    groups_of_row = np.zeros(n_rows, dtype=np.int64)
    parts = []
    for response in responses:
        # Threshold s (from 1) lies between categories s - 1 and s.
        threshold = response.category + (0 if channel is Channel.LOWER else 1)
        present = (threshold >= 1) & (threshold < response.n_categories)
        n_groups = np.where(present, threshold if response.increments else 1, 0)
        groups_of_row[response.rows] = n_groups
        parts.append((response, threshold, n_groups))
    row_group = np.append(0, np.cumsum(groups_of_row)).astype(np.int64)
    n_all = int(row_group[-1])
    width = np.zeros(n_all, dtype=np.int64)
    first = np.zeros(n_all, dtype=np.int64)
    source = np.zeros(n_all, dtype=np.int64)
    owner = np.zeros(n_all, dtype=np.int64)
    transform = np.zeros(n_all, dtype=np.int8)
    for number, (response, threshold, n_groups) in enumerate(parts):
        G = response.design.shape[1]
        member = np.repeat(np.arange(len(response.rows)), n_groups)
        within = np.arange(len(member)) - np.repeat(np.cumsum(n_groups) - n_groups, n_groups)
        at = row_group[response.rows[member]] + within
        which = within if response.increments else threshold[member] - 1
        width[at] = G
        first[at] = response.first_parameter + which * G
        source[at] = member
        owner[at] = number
        if response.increments:
            transform[at] = np.where(within > 0, Transform.EXP, Transform.IDENTITY)
    group_start = np.append(0, np.cumsum(width)).astype(np.int64)
    group = np.repeat(np.arange(n_all), width)
    offset = np.arange(len(group)) - group_start[group]
    weight = np.empty(len(group))
    for number, (response, _, _) in enumerate(parts):
        here = owner[group] == number
        weight[here] = response.design[source[group[here]], offset[here]]
    return AuxiliaryPredictor(
        channel, row_group, group_start, (first[group] + offset).astype(np.int32), weight, transform
    )
