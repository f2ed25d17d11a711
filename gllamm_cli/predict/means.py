"""Conditional means of rows as functions of their linear predictors.

What "mean" means depends on the response: a mean or probability per trial, the
probability of a category above a chosen one, the probability of an alternative
in its choice set, or a composite of the means of several rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from gllamm_cli.model.auxiliary import Channel, OrdinalRows
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.model.spec import Response
from gllamm_cli.predict.design import PredictionDesign

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Rows = slice | NDArray[np.bool_]
Transformation = Callable[[FloatArray], FloatArray]


class InverseLink(NamedTuple):
    """Mean mu of a linear predictor nu, 1 - mu without cancellation, and the slope d mu / d nu.

    The complement means something where mu is a probability.
    """

    mean: Transformation
    complement: Transformation
    slope: Transformation


def _event(nu: FloatArray) -> FloatArray:
    """1 - exp(-exp(nu))."""
    return -np.expm1(-np.exp(nu))


def _no_event(nu: FloatArray) -> FloatArray:
    """exp(-exp(nu))."""
    return np.exp(-np.exp(nu))


def _extreme_density(nu: FloatArray) -> FloatArray:
    """exp(nu - exp(nu))."""
    return np.exp(nu - np.exp(nu))


def _normal_density(nu: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * nu * nu) / np.sqrt(2.0 * np.pi))


LOGISTIC = InverseLink(expit, lambda nu: expit(-nu), lambda nu: expit(nu) * expit(-nu))
NORMAL = InverseLink(ndtr, lambda nu: ndtr(-nu), _normal_density)
EXTREME = InverseLink(_event, _no_event, _extreme_density)

INVERSE_LINKS = {
    "ident": InverseLink(lambda nu: nu, lambda nu: 1.0 - nu, np.ones_like),
    "log": InverseLink(np.exp, lambda nu: -np.expm1(nu), np.exp),
    "recip": InverseLink(
        lambda nu: 1.0 / nu, lambda nu: 1.0 - 1.0 / nu, lambda nu: -1.0 / (nu * nu)
    ),
    "logit": LOGISTIC,
    "probit": NORMAL,
    "cll": EXTREME,
    "ll": InverseLink(_no_event, _event, lambda nu: -_extreme_density(nu)),
    "sprobit": NORMAL,
    "ologit": LOGISTIC,
    "oprobit": NORMAL,
    "soprobit": NORMAL,
    "ocll": EXTREME,
}


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
    cut : (N,), optional
        Threshold above which an ordinal response counts, 0 elsewhere; None if there is none.
    scale : (N,), optional
        Divisor of the linear predictor in scaled links, 1 elsewhere; None if there is none.
    """

    prepared: PredictionDesign
    cut: FloatArray | None
    scale: FloatArray | None

    @property
    def by_rows(self) -> bool:
        """Whether the mean of a row depends on the linear predictor of no other row."""
        prepared = self.prepared
        return prepared.design.composite is None and not any(
            LINK_BY_NAME[response.link].nominal for response in prepared.spec.responses
        )

    @property
    def is_linear(self) -> bool:
        """Whether the mean is a linear function of the linear predictor."""
        prepared = self.prepared
        return prepared.design.composite is None and all(
            response.link == "ident" for response in prepared.spec.responses
        )

    def __call__(self, nu: FloatArray, begin: int, end: int) -> tuple[FloatArray, FloatArray]:
        """Return mu and 1 - mu of rows ``begin:end``, each (end - begin, nodes).

        ``nu`` has that shape. The rows are whole choice sets and composites.
        The complement means something for probabilities only.
        """
        complement = np.empty_like(nu)
        mean = self._means(nu, begin, end, complement)
        if self.prepared.design.composite is not None:
            complement = 1.0 - mean
        return mean, complement

    def mean(self, nu: FloatArray, begin: int, end: int) -> FloatArray:
        """Return mu alone."""
        return self._means(nu, begin, end, None)

    def slope(self, nu: FloatArray, begin: int, end: int) -> FloatArray:
        """Return d mu / d nu, for means that are ``by_rows``."""
        slope = np.empty_like(nu)
        with np.errstate(all="ignore"):
            nu = self._standardised(nu, begin, end)
            for response, rows in self._responses(begin, end):
                slope[rows] = INVERSE_LINKS[response.link].slope(nu[rows])
            if self.scale is not None:
                slope /= self.scale[begin:end, None]
        slope[~self.prepared.known[begin:end]] = np.nan
        return slope

    def _means(
        self, nu: FloatArray, begin: int, end: int, complement: FloatArray | None
    ) -> FloatArray:
        """Return mu, and write 1 - mu where it is wanted."""
        prepared = self.prepared
        mean = np.empty_like(nu)
        with np.errstate(all="ignore"):
            nu = self._standardised(nu, begin, end)
            for response, rows in self._responses(begin, end):
                if LINK_BY_NAME[response.link].nominal:
                    self._choose(nu, rows, begin, mean, complement)
                    continue
                inverse = INVERSE_LINKS[response.link]
                mean[rows] = inverse.mean(nu[rows])
                if complement is not None:
                    complement[rows] = inverse.complement(nu[rows])
            if prepared.design.composite is not None:
                mean = self._compose(mean, begin, end)
        mean[~prepared.known[begin:end]] = np.nan
        return mean

    def _standardised(self, nu: FloatArray, begin: int, end: int) -> FloatArray:
        if self.cut is not None:
            nu = nu - self.cut[begin:end, None]
        if self.scale is not None:
            nu = nu / self.scale[begin:end, None]
        return nu

    def _responses(self, begin: int, end: int) -> Iterator[tuple[Response, Rows]]:
        """Responses and which of the rows ``begin:end`` are theirs."""
        number = self.prepared.number[begin:end]
        for position, response in enumerate(self.prepared.spec.responses):
            here = number == position
            if here.all():
                yield response, slice(None)
            elif here.any():
                yield response, here

    def _groups(self, begin: int, end: int) -> IndexArray:
        """First rows of the groups among rows ``begin:end``, counted from ``begin``."""
        start = self.prepared.group_start
        first, last = np.searchsorted(start, [begin, end])
        return np.asarray(start[first:last] - begin)

    def _choose(
        self,
        nu: FloatArray,
        rows: Rows,
        begin: int,
        mean: FloatArray,
        complement: FloatArray | None,
    ) -> None:
        """Probabilities of the alternatives within their choice sets."""
        start = self._groups(begin, begin + len(nu))
        size = np.diff(np.append(start, len(nu)))
        largest = np.repeat(np.maximum.reduceat(nu, start, axis=0), size, axis=0)
        ratio = np.exp(nu - largest)
        total = np.repeat(np.add.reduceat(ratio, start, axis=0), size, axis=0)
        mean[rows] = (ratio / total)[rows]
        if complement is not None:
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


def cuts(
    prepared: PredictionDesign, alpha: FloatArray, above: tuple[float, ...]
) -> FloatArray | None:
    """Thresholds at auxiliary parameters ``alpha`` (A,), (N,); None without ordinal responses.

    ``above`` has one category for each ordinal response; see ``checks``.
    """
    if not prepared.raw.ordinal:
        return None
    cut = np.zeros(prepared.n_rows)
    for rows, given, category in zip(
        prepared.raw.ordinal, prepared.spec.thresholds, above, strict=True
    ):
        position = given.categories.index(category)
        cut[rows.rows] = thresholds(rows, alpha)[:, position]
    return cut


def conditional_mean(
    prepared: PredictionDesign, alpha: FloatArray, above: tuple[float, ...]
) -> ConditionalMean:
    """Build the function for auxiliary parameters and categories as in ``cuts``."""
    scale = None
    scaled = np.array([LINK_BY_NAME[r.link].has_scale for r in prepared.spec.responses])
    found = scales(prepared, alpha) if scaled.any() else None
    if found is not None:
        scale = np.where(scaled[prepared.number], found, 1.0)
    return ConditionalMean(prepared, cuts(prepared, alpha, above), scale)


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
