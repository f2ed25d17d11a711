"""Conditional means of rows as functions of their linear predictors.

What "mean" means depends on the response: a mean or probability per trial, the
probability of a category above a chosen one, the probability of an alternative
in its choice set, or a composite of the means of several rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from gllamm_cli.model.auxiliary import Channel, OrdinalRows
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.predict.design import PredictionDesign

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


def _event(nu: FloatArray) -> FloatArray:
    """1 - exp(-exp(nu))."""
    return -np.expm1(-np.exp(nu))


def _no_event(nu: FloatArray) -> FloatArray:
    """exp(-exp(nu))."""
    return np.exp(-np.exp(nu))


MEANS: dict[str, tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]] = {
    "ident": (lambda nu: nu, lambda nu: 1.0 - nu),
    "log": (np.exp, lambda nu: -np.expm1(nu)),
    "recip": (lambda nu: 1.0 / nu, lambda nu: 1.0 - 1.0 / nu),
    "logit": (expit, lambda nu: expit(-nu)),
    "probit": (ndtr, lambda nu: ndtr(-nu)),
    "cll": (_event, _no_event),
    "ll": (_no_event, _event),
    "sprobit": (ndtr, lambda nu: ndtr(-nu)),
    "ologit": (expit, lambda nu: expit(-nu)),
    "oprobit": (ndtr, lambda nu: ndtr(-nu)),
    "soprobit": (ndtr, lambda nu: ndtr(-nu)),
    "ocll": (_event, _no_event),
}
"""Inverse links mu(nu), and 1 - mu(nu) without cancellation where mu is a probability."""


def thresholds(rows: OrdinalRows, alpha: FloatArray) -> FloatArray:
    """All thresholds kappa_1 < ... < kappa_(S-1) of ordinal rows, (n, S - 1).

    ``alpha`` are the auxiliary parameters. Under increments kappa_s is the first
    linear form plus the exponentials of those up to s.
    """
    G = rows.design.shape[1]
    S = rows.n_categories
    parameters = alpha[rows.first_parameter : rows.first_parameter + (S - 1) * G]
    forms = np.asarray(rows.design @ parameters.reshape(S - 1, G).T)
    if rows.increments:
        forms[:, 1:] = np.exp(forms[:, 1:])
        forms = np.cumsum(forms, axis=1)
    return forms


def scales(prepared: PredictionDesign, alpha: FloatArray) -> FloatArray | None:
    """Level-1 scale s1 of each row, (N,); None for a model without one."""
    for predictor in prepared.raw.auxiliary:
        if predictor.channel is Channel.LOG_SCALE:
            return np.exp(predictor.evaluate(alpha)[0])
    return None


@dataclass(frozen=True, slots=True, eq=False)
class ConditionalMean:
    """Mean of each row given its linear predictor.

    Attributes
    ----------
    cut : (N,)
        Threshold above which an ordinal response counts; NaN elsewhere.
    scale : (N,)
        Divisor of the linear predictor in scaled links, 1 elsewhere.
    """

    prepared: PredictionDesign
    cut: FloatArray
    scale: FloatArray

    def __call__(self, nu: FloatArray, begin: int, end: int) -> tuple[FloatArray, FloatArray]:
        """Return mu and 1 - mu of rows ``begin:end``, each (end - begin, nodes).

        ``nu`` has that shape. The rows are whole choice sets and composites.
        The complement means something for probabilities only.
        """
        prepared = self.prepared
        nu = (nu - self.cut[begin:end, None]) / self.scale[begin:end, None]
        number = prepared.number[begin:end]
        mean, complement = np.empty_like(nu), np.empty_like(nu)
        with np.errstate(all="ignore"):
            for position, response in enumerate(prepared.spec.responses):
                here = number == position
                if not here.any():
                    continue
                link = LINK_BY_NAME[response.link]
                rows = slice(None) if here.all() else here
                if link.nominal:
                    self._choose(nu, rows, begin, mean, complement)
                    continue
                of, other = MEANS[response.link]
                mean[rows] = of(nu[rows])
                complement[rows] = other(nu[rows])
            if prepared.design.composite is not None:
                mean = self._compose(mean, begin, end)
                complement = 1.0 - mean
        mean[~prepared.known[begin:end]] = np.nan
        return mean, complement

    def _groups(self, begin: int, end: int) -> IndexArray:
        """First rows of the groups among rows ``begin:end``, counted from ``begin``."""
        start = self.prepared.group_start
        first, last = np.searchsorted(start, [begin, end])
        return np.asarray(start[first:last] - begin)

    def _choose(
        self,
        nu: FloatArray,
        rows: slice | NDArray[np.bool_],
        begin: int,
        mean: FloatArray,
        complement: FloatArray,
    ) -> None:
        """Probabilities of the alternatives within their choice sets."""
        start = self._groups(begin, begin + len(nu))
        size = np.diff(np.append(start, len(nu)))
        largest = np.repeat(np.maximum.reduceat(nu, start, axis=0), size, axis=0)
        ratio = np.exp(nu - largest)
        total = np.repeat(np.add.reduceat(ratio, start, axis=0), size, axis=0)
        mean[rows] = (ratio / total)[rows]
        complement[rows] = ((total - ratio) / total)[rows]

    def _compose(self, mean: FloatArray, begin: int, end: int) -> FloatArray:
        """Composite means: of rows that belong to no composite NaN."""
        composite = self.prepared.design.composite
        assert composite is not None
        start = self._groups(begin, end)
        size = np.diff(np.append(start, len(mean)))
        part, portion = composite.part[begin:end], composite.portion[begin:end]
        out = np.full_like(mean, np.nan)
        for k in range(portion.shape[1]):
            # A row without a portion does not count, whatever it lacks.
            weight = portion[:, k, None]
            sums = np.add.reduceat(np.where(weight == 0.0, 0.0, weight * mean), start, axis=0)
            here = part == k + 1
            out[here] = np.repeat(sums, size, axis=0)[here]
        return out


def conditional_mean(
    prepared: PredictionDesign, alpha: FloatArray, above: tuple[float, ...]
) -> ConditionalMean:
    """Build the function for auxiliary parameters ``alpha`` (A,).

    ``above`` has one category for each ordinal response; see ``checks``.
    """
    n = prepared.n_rows
    cut = np.zeros(n)
    for rows, given, category in zip(
        prepared.raw.ordinal, prepared.spec.thresholds, above, strict=True
    ):
        position = given.categories.index(category)
        cut[rows.rows] = thresholds(rows, alpha)[:, position]
    scale = np.ones(n)
    found = scales(prepared, alpha)
    if found is not None:
        scaled = np.array([LINK_BY_NAME[r.link].has_scale for r in prepared.spec.responses])
        scale = np.where(scaled[prepared.number], found, 1.0)
    return ConditionalMean(prepared, cut, scale)


def chunks(
    prepared: PredictionDesign, width: int, begin: int, end: int, most: int
) -> list[tuple[int, int]]:
    """Cut rows ``begin:end`` where groups begin, into parts of about ``most`` elements."""
    step = max(1, most // max(width, 1))
    start = prepared.group_start
    wanted = np.arange(begin, end, step)
    at = np.searchsorted(start, wanted)
    borders = np.unique(np.append(start[at[at < len(start)]], [begin, end]))
    borders = borders[(borders >= begin) & (borders <= end)]
    return [(int(a), int(b)) for a, b in pairwise(borders)]
