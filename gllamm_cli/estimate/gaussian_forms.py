"""The quadratics of a linear mixed model as linear forms of its sums, and their derivatives.

With S_g the cross products of a unit's rows with residual variance exp(2 zeta_g), its design
columns and its response, n_g the sum of their weights, and eta = (h - shift, -1) the
coefficients of columns and response,

    Q = sum_g exp(-2 zeta_g) H'S_g H + n_g (log(2 pi) + 2 zeta_g) e e',

H (columns and response, 1 + latent variables) filled with eta, e the first unit vector. So each
element of Q is a sum of monomials c exp(-2 zeta_g) eta_i eta_j S_g,ab. They are listed once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.model.distinct import numbered

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class Layout:
    """Entries of the kernel's forms as compressed rows of cells; see ``NestedQuadratics``."""

    form: IndexArray
    cell: IndexArray
    place: NDArray[np.int32]
    entry: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Forms:
    """Forms of P coefficients h and G log standard deviations zeta.

    Attributes
    ----------
    shift : (P,)
        Taken off the coefficients.
    group, first, second, number, term : (monomials,)
        g, i, j, c of each monomial, and the entry of Q it belongs to.
    size_term : (G,)
        Entries of Q whose sums are the n_g.
    slope_parameter, slope_term : (slopes,)
        Parameter and entry of Q of each entry of the derivatives, ascending.
    of_first, of_second, of_scale : (monomials,), of_size : (G,)
        Where the derivatives of a monomial and of log 2 pi + 2 zeta_g go among the slopes; those
        in the coefficient of the response, which has none, go past the end.
    value, derivatives
        Layout of Q alone, and of Q with its derivatives.
    """

    shift: FloatArray
    group: IndexArray
    first: IndexArray
    second: IndexArray
    number: FloatArray
    term: IndexArray
    size_term: IndexArray
    slope_parameter: IndexArray
    slope_term: IndexArray
    of_first: IndexArray
    of_second: IndexArray
    of_scale: IndexArray
    of_size: IndexArray
    value: Layout
    derivatives: Layout

    @property
    def n_parameters(self) -> int:
        """P + G."""
        return len(self.shift) + len(self.size_term)

    def at(self, h: FloatArray, zeta: FloatArray) -> FormsAt:
        """Numbers of the entries at ``h`` (P,) and ``zeta`` (G,)."""
        eta = np.append(h - self.shift, -1.0)
        scaled = self.number * np.exp(-2.0 * zeta)[self.group]
        one, other = eta[self.first], eta[self.second]
        monomial = scaled * one * other
        n_terms = int(self.value.cell[-1])
        terms = _totals(self.term, monomial, n_terms)
        terms[self.size_term] = LOG_2PI + 2.0 * zeta
        return FormsAt(self, scaled, one, other, monomial, terms)


@dataclass(frozen=True, slots=True)
class FormsAt:
    """Entries of the forms at some parameters.

    ``scaled``, ``one``, ``other`` and ``monomial`` (monomials,) are c exp(-2 zeta_g), eta_i,
    eta_j and their product; ``terms`` are the entries of Q.
    """

    forms: Forms
    scaled: FloatArray
    one: FloatArray
    other: FloatArray
    monomial: FloatArray
    terms: FloatArray

    def slopes(self) -> FloatArray:
        """Entries of the derivatives of Q."""
        forms = self.forms
        at = (forms.of_first, forms.of_second, forms.of_scale, forms.of_size)
        values = (
            self.scaled * self.other,
            self.scaled * self.one,
            -2.0 * self.monomial,
            np.full(len(forms.of_size), 2.0),
        )
        n = len(forms.slope_term)
        return _totals(np.concatenate(at), np.concatenate(values), n + 1)[:n]

    def score(self, slopes: FloatArray, expected: FloatArray) -> FloatArray:
        """Score (P + G,) from sums times posterior moments in the entries of Q."""
        forms = self.forms
        products = slopes * expected[forms.slope_term]
        return -0.5 * _totals(forms.slope_parameter, products, forms.n_parameters)

    def curvature(self, expected: FloatArray) -> FloatArray:
        """What the second derivatives of Q contribute to the Hessian, (P + G, P + G)."""
        forms = self.forms
        # The coefficient of the response gets a row and a column that are left out at the end.
        n = forms.n_parameters + 1
        response = len(forms.shift)
        scale = response + 1 + forms.group
        moment = expected[forms.term]
        pure = self.scaled * moment
        with_first, with_second = -2.0 * pure * self.other, -2.0 * pure * self.one
        at = (
            forms.first * n + forms.second,
            forms.second * n + forms.first,
            forms.first * n + scale,
            scale * n + forms.first,
            forms.second * n + scale,
            scale * n + forms.second,
            scale * n + scale,
        )
        values = (
            pure,
            pure,
            with_first,
            with_first,
            with_second,
            with_second,
            4.0 * self.monomial * moment,
        )
        total = _totals(np.concatenate(at), np.concatenate(values), n * n).reshape(n, n)
        kept = np.delete(np.arange(n), response)
        return np.asarray(-0.5 * total[np.ix_(kept, kept)])


def build_forms(
    products: IndexArray,
    n_variances: int,
    pair_column: IndexArray,
    pair_position: IndexArray,
    shift: FloatArray,
) -> Forms:
    """List the monomials.

    Parameters
    ----------
    products : (products, 3)
        Residual variance and columns a >= b of each sum; the last column is the response.
    n_variances : int
        G; the sums of weights follow the products.
    pair_column, pair_position : (P,)
        Column, ascending, and place in z of each coefficient h.
    shift : (P,)
    """
    P, G = len(pair_column), n_variances
    response = int(products[:, 1].max())
    column, position = np.append(pair_column, response), np.append(pair_position, 0)
    start = np.searchsorted(column, np.arange(response + 2))
    n_pairs = np.diff(start)
    a, b = products[:, 1], products[:, 2]
    # All pairs of a coefficient of a and one of b; of one column each pair once.
    length = n_pairs[a] * n_pairs[b]
    product = np.repeat(np.arange(len(products)), length)
    within = np.arange(len(product)) - np.repeat(np.cumsum(length) - length, length)
    first = start[a][product] + within // n_pairs[b][product]
    second = start[b][product] + within % n_pairs[b][product]
    kept = (a != b)[product] | (second <= first)
    product, first, second = product[kept], first[kept], second[kept]
    group = products[product, 0]
    number = np.where((a != b)[product] & (position[first] == position[second]), 2.0, 1.0)
    high = np.maximum(position[first], position[second])
    low = np.minimum(position[first], position[second])
    # Entries of Q, by place and sum.
    n_sums = len(products) + G
    key = (high * (high + 1) // 2 + low) * n_sums + product
    size_key = len(products) + np.arange(G)
    keys, number_of_key = numbered(np.concatenate([key, size_key]))
    term, size_term = number_of_key[: len(key)], number_of_key[len(key) :]
    n_terms = len(keys)
    # Entries of the derivatives, by parameter, place and sum; the response comes last.
    parameter_first = np.where(first == P, P + G, first)
    parameter_second = np.where(second == P, P + G, second)
    parts = (
        parameter_first * n_terms + term,
        parameter_second * n_terms + term,
        (P + group) * n_terms + term,
        (P + np.arange(G)) * n_terms + size_term,
    )
    slope_keys, at = numbered(np.concatenate(parts))
    n_slopes = int(np.searchsorted(slope_keys, (P + G) * n_terms))
    slope_parameter, slope_term = np.divmod(slope_keys[:n_slopes], n_terms)
    of_first, of_second, of_scale, of_size = np.split(
        np.minimum(at, n_slopes), np.cumsum([len(part) for part in parts[:-1]])
    )
    place, entry = np.divmod(keys, n_sums)
    zeros = np.zeros(n_terms, dtype=np.int64)
    return Forms(
        shift=shift,
        group=group,
        first=first,
        second=second,
        number=number,
        term=term,
        size_term=size_term,
        slope_parameter=slope_parameter,
        slope_term=slope_term,
        of_first=of_first,
        of_second=of_second,
        of_scale=of_scale,
        of_size=of_size,
        value=_layout(zeros, place, entry, 1),
        derivatives=_layout(
            np.concatenate([zeros, 1 + slope_parameter]),
            np.concatenate([place, place[slope_term]]),
            np.concatenate([entry, entry[slope_term]]),
            1 + P + G,
        ),
    )


def _totals(number: IndexArray, values: FloatArray, n: int) -> FloatArray:
    """Sums of the values with each number below ``n``."""
    return np.asarray(np.bincount(number, values, n), dtype=np.float64)


def _layout(form: IndexArray, place: IndexArray, entry: IndexArray, n_forms: int) -> Layout:
    """Compress entries that are sorted by form and place."""
    new = np.ones(len(form), dtype=bool)
    new[1:] = (form[1:] != form[:-1]) | (place[1:] != place[:-1])
    starts = np.flatnonzero(new)
    return Layout(
        np.searchsorted(form[starts], np.arange(n_forms + 1)).astype(np.int64),
        np.append(starts, len(form)).astype(np.int64),
        place[starts].astype(np.int32),
        entry.astype(np.int32),
    )
