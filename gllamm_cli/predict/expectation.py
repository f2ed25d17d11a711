"""Expectations of functions of the linear predictor over the latent variables.

The posterior, or the prior, is that of the quadrature of the fit: a function g
of row i has the expectation sum_r p_r g(nu_i(v_r)), with p_r the weights of the
combinations r of nodes of all levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.threads import available_threads
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.predict.design import PredictionDesign
from gllamm_cli.predict.means import chunks
from gllamm_cli.predict.posterior import Posterior

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

RowFunction = Callable[[FloatArray, int, int], FloatArray]
"""Maps linear predictors (rows, nodes) of rows ``begin:end`` to values of the same shape."""

ELEMENTS = 100_000
"""Rows times nodes that are worked on at a time, so that they stay in the cache."""
POSTERIOR_ELEMENTS = 4_000_000
"""Units times nodes times latent variables that are held at a time."""


def linear_coefficients(
    prepared: PredictionDesign, parameters: Parameters, theta: FloatArray, n_latent: int
) -> FloatArray:
    """Coefficients of 1 and of each latent dimension in the linear predictor, (N, 1 + D).

    The first column is the fixed part with the offset. A coefficient is NaN
    where something it needs is missing.
    """
    raw = prepared.raw
    matrix = raw.matrix(parameters.columns)
    out = np.zeros((raw.n_rows, n_latent + 1))
    out[:, 0] = raw.offset
    for column, latent, h in zip(
        parameters.pair_column, parameters.pair_latent, parameters.coefficients(theta), strict=True
    ):
        out[:, latent] += h * matrix[:, column]
    return out


class NodeWeights:
    """Weights (units or 1, R) and latent values (units or 1, R, D) of some level-2 units.

    ``unit`` (rows,) tells the unit of each of the rows ``begin:end``.
    """

    def __init__(
        self, begin: int, end: int, unit: IndexArray, weights: FloatArray, values: FloatArray
    ) -> None:
        self.begin, self.end = begin, end
        self._unit, self._weights, self._values = unit, weights, values

    @property
    def n_nodes(self) -> int:
        """Number of combinations R."""
        return int(self._weights.shape[1])

    def average(self, g: RowFunction, coefficients: FloatArray, begin: int, end: int) -> FloatArray:
        """Expectation of ``g`` in rows ``begin:end``, given their ``coefficients`` (N, 1 + D)."""
        return np.asarray(self._terms(g, coefficients, begin, end).sum(axis=1))

    def average_products(
        self, g: RowFunction, coefficients: FloatArray, begin: int, end: int
    ) -> FloatArray:
        """Expectations of ``g`` times 1 and each latent dimension, (end - begin, 1 + D)."""
        terms = self._terms(g, coefficients, begin, end)
        values = self._values
        if len(values) == 1:
            products = terms @ values[0]
        else:
            products = np.einsum("nr,nrd->nd", terms, values[self._unit_of(begin, end)])
        return np.column_stack([terms.sum(axis=1), products])

    def mean(self) -> NodeWeights:
        """Return a single node at the means, which is as good for linear functions."""
        means = np.einsum("ur,urd->ud", self._weights, self._values)
        ones = np.ones((len(means), 1))
        return NodeWeights(self.begin, self.end, self._unit, ones, means[:, None, :])

    def _unit_of(self, begin: int, end: int) -> IndexArray:
        return self._unit[begin - self.begin : end - self.begin]

    def _terms(self, g: RowFunction, coefficients: FloatArray, begin: int, end: int) -> FloatArray:
        """Weights of the nodes times ``g``, (end - begin, R)."""
        unit = self._unit_of(begin, end)
        rows = coefficients[begin:end]
        nu = np.repeat(rows[:, :1], self.n_nodes, axis=1)
        for m in range(self._values.shape[2]):
            values = self._values[:, :, m]
            # Where all units share the nodes, each dimension is one outer product.
            nu += rows[:, m + 1, None] * (values if len(values) == 1 else values[unit])
        weights = self._weights if len(self._weights) == 1 else self._weights[unit]
        with np.errstate(invalid="ignore"):
            terms = weights * g(nu, begin, end)
        # A node without weight does not count even where g is infinite.
        without = ~(weights > 0.0)
        if without.any():
            terms[np.broadcast_to(without, terms.shape)] = 0.0
        return terms


def _standard_nodes(engine: Engine) -> FloatArray:
    """Latent values at all combinations of the rules' nodes, top level slowest, (R, D)."""
    values = np.zeros((1, 0))
    for level in engine.design.levels:
        nodes = level.rule.nodes
        values = np.hstack(
            [np.tile(values, (len(nodes), 1)), np.repeat(nodes, len(values), axis=0)]
        )
    return values


def prior_nodes(
    engine: Engine, prepared: PredictionDesign, theta: FloatArray
) -> Iterator[NodeWeights]:
    """Prior weights of the nodes of ordinary quadrature for all rows."""
    values = _standard_nodes(engine)[None]
    log_masses = engine.log_masses(theta)
    n = prepared.n_rows
    if all(len(log_mass) == 1 for log_mass in log_masses):
        weights = np.zeros((1, 1))
        for log_mass in log_masses:
            weights = (log_mass[:, :, None] + weights[:, None, :]).reshape(1, -1)
        yield NodeWeights(0, n, np.zeros(n, dtype=np.int64), np.exp(weights), values)
        return
    # Class probabilities differ between units: combine them row by row of level-2 units.
    first = engine.design.levels[0].first
    of_level = [np.arange(len(first) - 1)]
    for level in engine.design.levels[:-1]:
        of_level.append(level.parent[of_level[-1]])
    width = values.shape[1]
    step = max(1, POSTERIOR_ELEMENTS // width)
    for begin in range(0, len(first) - 1, step):
        end = min(begin + step, len(first) - 1)
        weights = np.zeros((end - begin, 1))
        for log_mass, unit in zip(log_masses, of_level, strict=True):
            own = log_mass[unit[begin:end]] if len(log_mass) > 1 else log_mass
            weights = (own[:, :, None] + weights[:, None, :]).reshape(end - begin, -1)
        rows = prepared.unit_of_row[0][first[begin] : first[end]] - begin
        yield NodeWeights(int(first[begin]), int(first[end]), rows, np.exp(weights), values)


def posterior_nodes(
    engine: Engine, prepared: PredictionDesign, posterior: Posterior
) -> Iterator[NodeWeights]:
    """Posterior weights of the nodes, some top-level clusters at a time."""
    levels = engine.design.levels
    shared = _standard_nodes(engine)[None]
    width = shared.shape[1] * (1 + shared.shape[2])
    # First level-2 unit and first row of each top-level cluster.
    unit = np.arange(levels[-1].n_units + 1)
    for level in reversed(levels[1:]):
        unit = level.first[unit]
    row = levels[0].first[unit]
    begin = 0
    while begin < levels[-1].n_units:
        most = unit[begin] + max(1, POSTERIOR_ELEMENTS // width)
        end = max(begin + 1, int(np.searchsorted(unit, most, side="right")) - 1)
        weights, values = engine.posterior_nodes(posterior.theta, posterior.placement, begin, end)
        rows = prepared.unit_of_row[0][row[begin] : row[end]] - unit[begin]
        placed = shared if values is None else values
        yield NodeWeights(int(row[begin]), int(row[end]), rows, weights, placed)
        begin = end


def expectation(
    g: RowFunction,
    prepared: PredictionDesign,
    coefficients: FloatArray,
    nodes: Iterator[NodeWeights],
    threads: int | None,
) -> FloatArray:
    """Expectation of ``g`` in every row, (N,)."""

    def average(weights: NodeWeights, begin: int, end: int) -> FloatArray:
        return weights.average(g, coefficients, begin, end)

    return _in_pieces(average, np.empty(prepared.n_rows), prepared, nodes, threads)


def expected_products(
    g: RowFunction,
    prepared: PredictionDesign,
    coefficients: FloatArray,
    nodes: Iterator[NodeWeights],
    threads: int | None,
) -> FloatArray:
    """Expectations of ``g`` times 1 and each latent dimension in every row, (N, 1 + D)."""

    def average(weights: NodeWeights, begin: int, end: int) -> FloatArray:
        return weights.average_products(g, coefficients, begin, end)

    return _in_pieces(average, np.empty_like(coefficients), prepared, nodes, threads)


def _in_pieces(
    average: Callable[[NodeWeights, int, int], FloatArray],
    out: FloatArray,
    prepared: PredictionDesign,
    nodes: Iterator[NodeWeights],
    threads: int | None,
) -> FloatArray:
    """Fill the rows of ``out``, some at a time; which thread does is all the same."""

    def fill(weights: NodeWeights, begin: int, end: int) -> None:
        out[begin:end] = average(weights, begin, end)

    workers = threads or available_threads()
    for weights in nodes:
        pieces = chunks(prepared, weights.n_nodes, weights.begin, weights.end, ELEMENTS)
        if workers == 1 or len(pieces) == 1:
            for begin, end in pieces:
                fill(weights, begin, end)
            continue
        with ThreadPoolExecutor(workers) as pool:
            # Raises what a thread raised.
            list(pool.map(partial(fill, weights), *zip(*pieces, strict=True)))
    return out
