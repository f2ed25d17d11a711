"""Predictors without latent variables: the level-1 log scale and ordinal thresholds.

The predictor of a row is a sum over *groups* of T(w'alpha), with w the group's
variables, alpha auxiliary parameters and T one of three functions: the
identity (log scale, thresholds), exp (increments of thresholds under
``ethresh()``) and ln|.| (a scale equation on the natural scale under ``nats``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._auxiliary import evaluate_predictor, threshold_terms

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
        # Of rows without a scale nothing depends on it.
        bend[log] = -1.0 / np.where(forms[log] == 0.0, np.inf, forms[log]) ** 2
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
    """Level-1 log scale from its design (N, S): one group per row, of what is not zero."""
    n, s = design.shape
    transform = Transform.LOG_ABS if natural else Transform.IDENTITY
    start = np.arange(0, n * s + 1, s, dtype=np.int64)
    column = np.tile(np.arange(s, dtype=np.int32), n)
    weight = np.ascontiguousarray(design).ravel()
    present = weight != 0.0
    if not present.all():
        start = np.append(0, np.cumsum(present))[start].astype(np.int64)
        column, weight = column[present], weight[present]
    return AuxiliaryPredictor(
        Channel.LOG_SCALE,
        np.arange(n + 1, dtype=np.int64),
        start,
        column,
        weight,
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

    def in_rows(self, kept: IndexArray, n_rows: int) -> OrdinalRows:
        """Those of the rows ``kept`` of all ``n_rows``, numbered by their places there."""
        place = np.full(n_rows, -1)
        place[kept] = np.arange(len(kept))
        rows = place[self.rows]
        here = rows >= 0
        return replace(
            self, rows=rows[here], category=self.category[here], design=self.design[here]
        )


def threshold_predictor(
    channel: Channel, n_rows: int, responses: list[OrdinalRows]
) -> AuxiliaryPredictor:
    """Thresholds below or above the observed category of each ordinal row."""
    of_responses = [
        (
            response.rows,
            np.ascontiguousarray(response.category, dtype=np.int64),
            response.n_categories,
            response.design,
            response.first_parameter,
            response.increments,
        )
        for response in responses
    ]
    return AuxiliaryPredictor(
        channel, *threshold_terms(n_rows, channel is Channel.UPPER, of_responses)
    )
