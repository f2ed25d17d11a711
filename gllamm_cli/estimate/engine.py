"""The likelihood of a design as a function of the parameters; sole importer of the kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._auxiliary import gamma_terms
from gllamm_cli.estimate.adapt import Placement
from gllamm_cli.estimate.kernel import kernel_class
from gllamm_cli.estimate.masses import Masses, evaluate_masses
from gllamm_cli.estimate.threads import available_threads
from gllamm_cli.model.constraints import Reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.families import COMPOSITE_CODE, FAMILY_BY_NAME, LINK_CODES
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.quadrature import ProductRule, Rule

if TYPE_CHECKING:
    from gllamm_cli._kernel_portable import Kernel as CompiledKernel

FloatArray = NDArray[np.float64]

Kernel = kernel_class()

TERMS_PER_THREAD = 50_000
"""Densities (rows times nodes) in one evaluation that keep a thread busy for about 0.3 ms."""
_NO_TERMS = np.zeros((0, 4))
_NO_FIRST = np.zeros((0, 0))


def _useful_threads(design: Design, threads: int) -> int:
    """Number of threads that is worth the cost of starting and waiting for them."""
    return max(1, min(threads, design.n_terms // TERMS_PER_THREAD))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The log likelihood at one parameter vector of length K.

    ``score`` (K,), ``hessian`` (K, K) and ``moments`` (per level: units x
    size) are None unless asked for. For fixed nodes score and Hessian are the
    exact derivatives of the approximated log likelihood.
    """

    log_likelihood: float
    score: FloatArray | None = None
    hessian: FloatArray | None = None
    moments: tuple[FloatArray, ...] | None = None

    def derivatives(self) -> tuple[FloatArray, FloatArray]:
        """Score and Hessian of an evaluation that was asked for them."""
        assert self.score is not None and self.hessian is not None
        return self.score, self.hessian

    def reduced(self, reduction: Reduction) -> tuple[float, FloatArray, FloatArray]:
        """Log likelihood, score and Hessian in the free parameters; -inf and zeros if undefined."""
        n = reduction.n_free
        if self.score is None or self.hessian is None:
            return -np.inf, np.zeros(n), np.zeros((n, n))
        if reduction.trivial:
            return self.log_likelihood, self.score, self.hessian
        T = reduction.T
        return self.log_likelihood, T.T @ self.score, T.T @ self.hessian @ T


class Engine:
    """Log likelihood, score, Hessian and posterior moments of one model.

    Parameters
    ----------
    design
        Sorted data.
    parameters
        Names and the map to the kernel's coefficients.
    threads
        Number of threads; results do not depend on it.
    on_evaluation
        Called after each evaluation.
    shortcuts
        Whether binary responses are computed in product form.

    Attributes
    ----------
    blocks : (blocks + 1,)
        Borders of blocks of top-level clusters, those of the design; other rules keep them.
    """

    def __init__(
        self,
        design: Design,
        parameters: Parameters,
        threads: int | None = None,
        on_evaluation: Callable[[], None] = lambda: None,
        *,
        shortcuts: bool = True,
    ) -> None:
        self._on_evaluation = on_evaluation
        self._fixed_masses: list[Masses] | None = None
        self._gamma: tuple[FloatArray, FloatArray] | None = None
        self._evaluated: tuple[bytes, list[tuple[FloatArray, FloatArray]]] | None = None
        self.design = design
        self.parameters = parameters
        self.blocks = design.blocks
        self.threads = _useful_threads(design, threads or available_threads())
        gamma = FAMILY_BY_NAME["gamma"].code
        self._has_gamma = any(kind // LINK_CODES % COMPOSITE_CODE == gamma for kind in design.kinds)
        start, column, value = design.sparse_rows(parameters.columns, self.threads)
        pairs_per_column = np.bincount(parameters.pair_column, minlength=len(parameters.columns))
        self._n_odds = [
            0
            if level.class_design is None
            else (level.rule.n_nodes - 1) * level.class_design.shape[1]
            for level in design.levels
        ]
        self._kernel: CompiledKernel = Kernel(
            design.kind,
            design.y,
            design.denominator,
            design.constant,
            design.row_weight,
            design.offset,
            design.kinds,
            start,
            column,
            value,
            design.entry_start,
            np.append(0, np.cumsum(pairs_per_column)).astype(np.int64),
            parameters.pair_latent.astype(np.int32),
            [
                (predictor.channel, predictor.start, predictor.column)
                for predictor in design.auxiliary
            ],
            len(parameters.auxiliary_index),
            [
                (level.first, level.weight, level.rule.nodes, n_odds)
                for level, n_odds in zip(design.levels, self._n_odds, strict=True)
            ],
            self.blocks,
            None
            if design.composite is None
            else (design.composite.part, design.composite.portion, design.composite.weight),
            shortcuts,
            [c for c, column in enumerate(parameters.columns) if not column],
            self.threads,
        )

    def with_rules(self, rules: Sequence[Rule | ProductRule]) -> Engine:
        """Return an engine with other nodes for the latent variables of each level."""
        other = copy(self)
        levels = zip(self.design.levels, rules, strict=True)
        other.design = self.design.with_levels(
            tuple(replace(level, rule=rule) for level, rule in levels)
        )
        other._fixed_masses = None
        other._kernel = self._kernel.with_nodes([rule.nodes for rule in rules])
        return other

    def _call(
        self,
        theta: FloatArray,
        placement: Placement | None,
        predictors: list[tuple[FloatArray, FloatArray]],
        masses: list[Masses],
        *,
        derivatives: bool,
        moments: bool = False,
        cluster_scores: bool = False,
        first: FloatArray = _NO_FIRST,
        chosen: NDArray[np.int64] | None = None,
    ) -> tuple[FloatArray, FloatArray | None, FloatArray | None, list[FloatArray] | None]:
        """Call the kernel at ``theta``."""
        return self._kernel.evaluate(
            self.parameters.coefficients(theta),
            predictors,
            self._gamma_terms(predictors),
            [(mass.log_weight, mass.odds_score) for mass in masses],
            None if placement is None else placement.arrays(),
            derivatives,
            moments,
            cluster_scores,
            first,
            self.threads,
            chosen,
        )

    def _gamma_terms(self, predictors: list[tuple[FloatArray, FloatArray]]) -> FloatArray:
        """Functions of the shape of gamma rows, (N or 1, 4); empty without any."""
        if not self._has_gamma:
            return _NO_TERMS
        scale = predictors[0][0]
        # While nodes move, the parameters stay.
        if self._gamma is None or self._gamma[0] is not scale:
            self._gamma = scale, gamma_terms(scale)
        return self._gamma[1]

    def _predictors(self, theta: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        alpha = theta[self.parameters.auxiliary_index]
        # While nodes move, the parameters stay.
        key = alpha.tobytes()
        if self._evaluated is None or self._evaluated[0] != key:
            predictors = [predictor.evaluate(alpha) for predictor in self.design.auxiliary]
            self._evaluated = key, predictors
        return self._evaluated[1]

    def _masses(self, theta: FloatArray) -> list[Masses]:
        if self._fixed_masses is not None:
            return self._fixed_masses
        odds = np.split(theta[self.parameters.odds_index], np.cumsum(self._n_odds)[:-1])
        masses = [
            evaluate_masses(level, part)
            for level, part in zip(self.design.levels, odds, strict=True)
        ]
        if not any(self._n_odds):
            self._fixed_masses = masses
        return masses

    def cluster_scores(self, theta: FloatArray, placement: Placement | None = None) -> FloatArray:
        """Score of each top-level cluster, its weight included, (clusters, K).

        With the nodes of ``placement`` held, as for the standard errors.
        """
        _, scores, _, _ = self._call(
            theta,
            placement,
            self._predictors(theta),
            self._masses(theta),
            derivatives=True,
            cluster_scores=True,
        )
        assert scores is not None
        return np.asarray(scores @ self.parameters.jacobian(theta))

    def contributions(
        self, theta: FloatArray, placement: Placement | None = None
    ) -> tuple[FloatArray, tuple[FloatArray, ...]]:
        """Log likelihood of each top-level cluster, its weight included, and posterior moments.

        The moments are (units, size) per level, in the order of ``moments.pxd``.
        """
        values, _, _, moments = self._call(
            theta,
            placement,
            self._predictors(theta),
            self._masses(theta),
            derivatives=False,
            moments=True,
        )
        assert moments is not None
        return values, tuple(moments)

    def of_blocks(
        self, theta: FloatArray, placement: Placement | None, chosen: NDArray[np.int64]
    ) -> FloatArray:
        """Log likelihoods of some of the ``blocks`` of top-level clusters."""
        values = self._call(
            theta,
            placement,
            self._predictors(theta),
            self._masses(theta),
            derivatives=False,
            chosen=chosen,
        )[0]
        return np.asarray(np.add.reduceat(values, self.blocks[:-1])[chosen])

    def posterior_nodes(
        self, theta: FloatArray, placement: Placement | None, begin: int, end: int
    ) -> tuple[FloatArray, FloatArray | None]:
        """Posterior weights of nodes in the level-2 units of top-level clusters ``begin:end``.

        Returns weights (units, combinations of nodes, top level slowest) and the
        latent variables at them (units, combinations, M), None if all units have
        the nodes of the rules.
        """
        predictors = self._predictors(theta)
        return self._kernel.posterior_nodes(
            self.parameters.coefficients(theta),
            predictors,
            self._gamma_terms(predictors),
            [(mass.log_weight, mass.odds_score) for mass in self._masses(theta)],
            None if placement is None else placement.arrays(),
            begin,
            end,
            self.threads,
        )

    def log_masses(self, theta: FloatArray) -> list[FloatArray]:
        """Log prior weights of the nodes of each level, (1 or units, nodes), lowest first."""
        return [mass.log_weight for mass in self._masses(theta)]

    def evaluate(
        self,
        theta: FloatArray,
        placement: Placement | None = None,
        *,
        derivatives: bool = False,
        moments: bool = False,
    ) -> Evaluation:
        """Evaluate at ``theta`` (K,) with the nodes of ``placement`` (None: ordinary quadrature).

        A log likelihood that cannot be computed comes back as -inf without
        derivatives; nothing is raised.
        """
        parameters = self.parameters
        auxiliary = self.design.auxiliary
        predictors, masses = self._predictors(theta), self._masses(theta)
        bent = derivatives and not all(predictor.linear for predictor in auxiliary)
        first = np.zeros((self.design.n_rows, len(auxiliary))) if bent else _NO_FIRST
        values, score, hessian, unit_moments = self._call(
            theta,
            placement,
            predictors,
            masses,
            derivatives=derivatives,
            moments=moments,
            first=first,
        )
        self._on_evaluation()
        log_likelihood = float(values.sum())
        kept = None if unit_moments is None else tuple(unit_moments)
        if not np.isfinite(log_likelihood):
            return Evaluation(-np.inf)
        if score is None or hessian is None:
            return Evaluation(log_likelihood, moments=kept)
        if not (np.isfinite(score).all() and np.isfinite(hessian).all()):
            return Evaluation(-np.inf)
        if bent:
            alpha = theta[parameters.auxiliary_index]
            block = slice(parameters.n_pairs, parameters.n_pairs + len(alpha))
            for c, predictor in enumerate(auxiliary):
                hessian[block, block] += predictor.curvature(alpha, first[:, c])
        position = len(hessian) - sum(self._n_odds)
        for mass in masses:
            block = slice(position, position + len(mass.hessian))
            hessian[block, block] += mass.hessian
            position = block.stop
        jacobian = parameters.jacobian(theta)
        chained = jacobian.T @ hessian @ jacobian
        chained += parameters.curvature(theta, score[: parameters.n_pairs])
        return Evaluation(log_likelihood, jacobian.T @ score, 0.5 * (chained + chained.T), kept)
