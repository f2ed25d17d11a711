"""The likelihood of a design as a function of the parameters; sole importer of the kernel."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, polygamma, psi

from gllamm_cli._cluster import Kernel
from gllamm_cli.estimate.adapt import Placement
from gllamm_cli.model.design import Design
from gllamm_cli.model.families import FAMILY_BY_NAME
from gllamm_cli.model.parameters import Parameters

FloatArray = NDArray[np.float64]

_NONE = np.zeros(0)
_NO_TERMS = np.zeros((0, 3))


def available_threads() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    """

    def __init__(self, design: Design, parameters: Parameters, threads: int | None = None) -> None:
        self.design = design
        self.parameters = parameters
        self.threads = threads or available_threads()
        self._scale_design = np.ones((design.n_rows, len(parameters.scale_columns)))
        self._is_gamma = design.family == FAMILY_BY_NAME["gamma"].code
        start, column, value = design.sparse_rows(parameters.columns)
        pairs_per_column = np.bincount(parameters.pair_column, minlength=len(parameters.columns))
        self._kernel = Kernel(
            design.family,
            design.link,
            design.y,
            design.denominator,
            design.constant,
            design.row_weight,
            design.offset,
            self._scale_design,
            start,
            column,
            value,
            np.append(0, np.cumsum(pairs_per_column)).astype(np.int64),
            parameters.pair_latent.astype(np.int32),
            [
                (level.first, level.weight, level.rule.nodes, level.rule.log_weights)
                for level in design.levels
            ],
            design.blocks,
        )

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
        coefficients = parameters.coefficients(theta)
        log_scale, gamma_terms = _NONE, _NO_TERMS
        if len(parameters.scale_index):
            alpha = theta[parameters.scale_index]
            log_scale = self._scale_design @ alpha
            if self._is_gamma:
                shape = np.exp(-2.0 * log_scale)
                gamma_terms = np.column_stack([gammaln(shape), psi(shape), polygamma(1, shape)])
        with np.errstate(all="ignore"):
            values, score, hessian, unit_moments = self._kernel.evaluate(
                coefficients,
                log_scale,
                gamma_terms,
                None if placement is None else placement.arrays(),
                derivatives,
                moments,
                self.threads,
            )
        log_likelihood = float(values.sum())
        kept = None if unit_moments is None else tuple(unit_moments)
        if not np.isfinite(log_likelihood):
            return Evaluation(-np.inf)
        if score is None or hessian is None:
            return Evaluation(log_likelihood, moments=kept)
        if not (np.isfinite(score).all() and np.isfinite(hessian).all()):
            return Evaluation(-np.inf)
        jacobian = parameters.jacobian(theta)
        chained = jacobian.T @ hessian @ jacobian
        chained += parameters.curvature(theta, score[: parameters.n_pairs])
        return Evaluation(log_likelihood, jacobian.T @ score, 0.5 * (chained + chained.T), kept)
