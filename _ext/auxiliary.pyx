# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""Auxiliary predictors of all rows, and the functions of the shape of gamma responses."""

from libc.math cimport exp, fabs, fmax, fmin, lgamma, log

import numpy as np

cdef enum:
    # Codes of ``gllamm_cli.model.auxiliary.Transform``.
    IDENTITY = 0
    EXPONENTIAL = 1
    LOG_ABSOLUTE = 2

cdef extern from *:
    """
    #define MOST_EXPONENT 700.0
    #define LEAST_SIZE 1e-300
    #define ASYMPTOTIC 10.0
    """
    double MOST_EXPONENT
    double LEAST_SIZE
    double ASYMPTOTIC


def evaluate_predictor(
    const long long[::1] row_group, const long long[::1] group_start, const int[::1] column,
    const double[::1] weight, const signed char[::1] transform, const double[::1] alpha,
    double absent, bint linear,
):
    """Sums over the groups of each row of T(w'alpha).

    Parameters
    ----------
    row_group : (N + 1,), group_start : (groups + 1,), column, weight : (terms,)
    transform : (groups,)
        See ``gllamm_cli.model.auxiliary.AuxiliaryPredictor``.
    alpha : (A,)
    absent : float
        Predictor of a row without groups.
    linear : bool
        Whether every T is the identity.

    Returns
    -------
    predictor : (N,)
    slope : (terms,)
        Derivatives in the parameter of each term; None if linear: then they are the weights.
    """
    cdef Py_ssize_t n = row_group.shape[0] - 1, i, k, t
    cdef double total, form, slope
    predictor_ = np.empty(n)
    slope_ = None if linear else np.empty(weight.shape[0])
    cdef double[::1] predictor = predictor_
    cdef double[::1] slopes = slope_
    if row_group[n] != group_start.shape[0] - 1 or group_start[row_group[n]] != weight.shape[0]:
        raise ValueError("groups do not fit the terms")
    for t in range(column.shape[0]):
        if not 0 <= column[t] < alpha.shape[0]:
            raise ValueError("terms do not fit the parameters")
    with nogil:
        for i in range(n):
            total = 0.0
            for k in range(row_group[i], row_group[i + 1]):
                form = 0.0
                for t in range(group_start[k], group_start[k + 1]):
                    form += weight[t] * alpha[column[t]]
                if linear or transform[k] == IDENTITY:
                    total += form
                    slope = 1.0
                elif transform[k] == EXPONENTIAL:
                    slope = exp(fmin(form, MOST_EXPONENT))
                    total += slope
                else:
                    total += log(fmax(fabs(form), LEAST_SIZE))
                    slope = 1.0 / (LEAST_SIZE if form == 0.0 else form)
                if not linear:
                    for t in range(group_start[k], group_start[k + 1]):
                        slopes[t] = weight[t] * slope
            predictor[i] = total if row_group[i + 1] > row_group[i] else absent
    return predictor_, slope_


def log_gammas(const double[::1] x):
    """Log of the gamma function of nonnegative numbers, (N,)."""
    cdef Py_ssize_t n = x.shape[0], i
    out_ = np.empty(n)
    cdef double[::1] out = out_
    with nogil:
        for i in range(n):
            out[i] = lgamma(x[i])
    return out_


def gamma_terms(const double[::1] log_scale):
    """The shape exp(-2 zeta) of each row, its log gamma, digamma and trigamma.

    Parameters
    ----------
    log_scale : (N,)
        zeta, the log of the coefficient of variation.

    Returns
    -------
    (N, 4), or (1, 4) if all rows have the same.
    """
    cdef Py_ssize_t n = log_scale.shape[0], i, last = 0
    cdef double shape
    for i in range(1, n):
        if log_scale[i] != log_scale[0]:
            last = n - 1
            break
    out_ = np.empty((last + 1 if n else 0, 4))
    cdef double[:, ::1] out = out_
    with nogil:
        for i in range(out.shape[0]):
            if i and log_scale[i] == log_scale[i - 1]:
                out[i, :] = out[i - 1, :]
                continue
            shape = exp(-2.0 * log_scale[i])
            out[i, 0] = shape
            out[i, 1] = lgamma(shape)
            out[i, 2] = digamma(shape)
            out[i, 3] = trigamma(shape)
    return out_


cdef inline double digamma(double x) noexcept nogil:
    """Derivative of the log of the gamma function, of a nonnegative number.

    By recurrence and the asymptotic series, Abramowitz and Stegun (1964), 6.3.5 and 6.3.18.
    """
    cdef double before = 0.0, square
    while x < ASYMPTOTIC:
        before += 1.0 / x
        x += 1.0
    square = 1.0 / (x * x)
    return log(x) - 0.5 / x - before - square * (
        1.0 / 12 - square * (
            1.0 / 120 - square * (
                1.0 / 252 - square * (
                    1.0 / 240 - square * (1.0 / 132 - square * (691.0 / 32760 - square / 12))
                )
            )
        )
    )


cdef inline double trigamma(double x) noexcept nogil:
    """Second derivative of the log of the gamma function, of a nonnegative number.

    By recurrence and the asymptotic series, Abramowitz and Stegun (1964), 6.4.6 and 6.4.12.
    """
    cdef double before = 0.0, square
    while x < ASYMPTOTIC:
        before += 1.0 / (x * x)
        x += 1.0
    square = 1.0 / (x * x)
    return before + 1.0 / x + 0.5 * square + square / x * (
        1.0 / 6 - square * (
            1.0 / 30 - square * (
                1.0 / 42 - square * (
                    1.0 / 30 - square * (5.0 / 66 - square * (691.0 / 2730 - square * 7.0 / 6))
                )
            )
        )
    )


def threshold_terms(Py_ssize_t n_rows, bint upper, responses):
    """Groups and terms of the thresholds below or above the categories of ordinal rows.

    Variables that are zero in a row make no terms: as a rule a row is of one item.

    Parameters
    ----------
    n_rows : int
    upper : bool
        The threshold above the category, not that below.
    responses : sequence of (rows, category, n_categories, design, first_parameter, increments)
        See ``gllamm_cli.model.auxiliary.OrdinalRows``.

    Returns
    -------
    row_group : (N + 1,) int64
    group_start : (groups + 1,) int64
    column : (terms,) int32
    weight : (terms,)
    transform : (groups,) int8
    """
    cdef Py_ssize_t i, g, k, groups, width, first_parameter, n_categories, threshold, which, term
    cdef Py_ssize_t present
    cdef const long long[::1] rows, category
    cdef const double[:, :] design
    cdef bint increments
    row_group_ = np.zeros(n_rows + 1, dtype=np.int64)
    row_term_ = np.zeros(n_rows + 1, dtype=np.int64)
    cdef long long[::1] row_group = row_group_, row_term = row_term_
    for rows, category, n_categories, design, _, increments in responses:
        width = design.shape[1]
        for i in range(rows.shape[0]):
            threshold = category[i] + upper
            if 1 <= threshold < n_categories:
                groups = threshold if increments else 1
                present = 0
                for k in range(width):
                    present += design[i, k] != 0.0
                row_group[rows[i] + 1] = groups
                row_term[rows[i] + 1] = groups * present
    for i in range(n_rows):
        row_group[i + 1] += row_group[i]
        row_term[i + 1] += row_term[i]
    group_start_ = np.zeros(row_group[n_rows] + 1, dtype=np.int64)
    column_ = np.zeros(row_term[n_rows], dtype=np.int32)
    weight_ = np.zeros(row_term[n_rows])
    transform_ = np.zeros(row_group[n_rows], dtype=np.int8)
    cdef long long[::1] group_start = group_start_
    cdef int[::1] column = column_
    cdef double[::1] weight = weight_
    cdef signed char[::1] transform = transform_
    group_start[row_group[n_rows]] = row_term[n_rows]
    for rows, category, _, design, first_parameter, increments in responses:
        width = design.shape[1]
        for i in range(rows.shape[0]):
            threshold = category[i] + upper
            groups = row_group[rows[i] + 1] - row_group[rows[i]]
            term = row_term[rows[i]]
            for g in range(groups):
                which = g if increments else threshold - 1
                group_start[row_group[rows[i]] + g] = term
                transform[row_group[rows[i]] + g] = EXPONENTIAL if increments and g else IDENTITY
                for k in range(width):
                    if design[i, k] != 0.0:
                        column[term] = <int>(first_parameter + which * width + k)
                        weight[term] = design[i, k]
                        term += 1
    return row_group_, group_start_, column_, weight_, transform_
