# cython: language_level=3
"""Log densities of rows and their derivatives in the predictors.

Header only: inlined functions shared by the compiled modules.

Design
------
A row's log density depends on its linear predictor nu and on auxiliary
predictors: zeta = ln(s1), the level-1 log scale, and for an ordinal response
the thresholds below and above the observed category. One call of
``density_block`` fills a block of ``n_rows x n_nodes`` values (nodes
contiguous) of the log density f and, for ``derivatives`` true, of its first
and second derivatives.

The families and links in daily use have loops of their own, written so that
the compiler calls vector exp and log; every other pair goes through the
scalar functions ``mean`` and ``log_probability``, where a new link is added.

Numerics
--------
Probabilities are handled as ln(mu) and ln(1 - mu), safe in both tails. A
linear predictor that implies an impossible mean (a probability outside (0, 1),
a negative Poisson mean) gives f = IMPOSSIBLE with zero derivatives, so that a
remote quadrature node cannot make the integral undefined. Predictors are
clipped to +-CLIP before exponentiating: beyond it every density is zero for
all purposes, and products of derivatives stay finite.

Codes of families and links are those of ``gllamm_cli.model.families``; the
kind of a row is family * LINKS + link.
"""

from libc.math cimport INFINITY, M_SQRT1_2, erfc, exp, expm1, fabs, isfinite, log, log1p

from model cimport LOG_SCALE, LOWER, UPPER

cdef enum:
    GAUSSIAN = 0
    BINOMIAL = 1
    POISSON = 2
    GAMMA = 3
    ORDINAL = 4
    NOMINAL = 5
    # A row whose mean enters composite means; its own family is the rest of the code.
    COMPOSITE = 8

cdef enum:
    IDENTITY = 0
    LOG = 1
    RECIPROCAL = 2
    LOGIT = 3
    PROBIT = 4
    COMPLEMENTARY_LOG_LOG = 5
    LOG_LOG = 6
    SCALED_PROBIT = 7
    SCALED_LOGIT = 8
    LINKS = 16

cdef extern from *:
    """
    #define HALF_LOG_2PI 0.91893853320467274178
    #define IMPOSSIBLE (-100.0)
    #define CLIP 300.0
    #define LEAST_GAMMA_MEAN 1e-4
    """
    double HALF_LOG_2PI
    double IMPOSSIBLE
    double CLIP
    double LEAST_GAMMA_MEAN


cdef struct Block:
    # Rows of one kind and where the results go. IN: per row, except nu.
    Py_ssize_t n_rows
    Py_ssize_t n_nodes
    const double *y
    const double *denominator
    const double *constant      # normalising constant that depends on y only
    const double *aux[3]        # log scale, lower and upper threshold; NULL if unused
    const double *gamma_terms   # (n_rows, 3): lnGamma(k), psi(k), psi'(k); k = exp(-2 zeta)
    const long long *entry_start    # (n_rows + 1), absolute; nominal rows form groups
    const double *nu            # (n_rows, n_nodes)
    # Composite links: rows form groups; row r has the likelihood of composite
    # part[r] (0: none), whose mean is the sum of portion[s, part - 1] * mean of row s.
    const int *kind             # (n_rows)
    Py_ssize_t n_parts
    const int *part             # (n_rows)
    const double *portion       # (n_rows, n_parts)
    const double *part_weight   # (n_rows): weights of the likelihoods
    # OUT: (n_rows, n_nodes)
    double *f
    double *f1                  # df/dnu
    double *f2                  # (entries, n_nodes): d2f/dnu_i dnu_j
    double *fa[3]               # df/da
    double *fna[3]              # d2f/dnu da
    double *faa[6]              # d2f/da da', packed


cdef struct Triple:
    # A function of nu with its first and second derivative.
    double value
    double first
    double second


cdef inline double clipped(double nu) noexcept nogil:
    return CLIP if nu > CLIP else (-CLIP if nu < -CLIP else nu)


cdef inline Triple log_normal_cdf(double x) noexcept nogil:
    """ln Phi(x); the first derivative is the inverse Mills ratio phi/Phi."""
    cdef Triple out
    cdef double u, tail
    if x > -37.0:
        if x > 0.0:
            out.value = log1p(-0.5 * erfc(x * M_SQRT1_2))
        else:
            out.value = log(0.5 * erfc(-x * M_SQRT1_2))
        out.first = exp(-0.5 * x * x - HALF_LOG_2PI - out.value)
    else:
        # Asymptotic expansion of the Mills ratio (Abramowitz and Stegun 26.2.12).
        u = 1.0 / (x * x)
        tail = 1.0 - u * (1.0 - 3.0 * u * (1.0 - 5.0 * u * (1.0 - 7.0 * u)))
        out.value = -0.5 * x * x - HALF_LOG_2PI - log(-x) + log(tail)
        out.first = -x / tail
    out.second = -out.first * (out.first + x)
    return out


cdef inline Triple log_event_cloglog(double nu) noexcept nogil:
    """ln(1 - exp(-t)), t = exp(nu)."""
    cdef Triple out
    cdef double t = exp(clipped(nu))
    cdef double p = -expm1(-t)
    cdef double ratio = t / p if p > 0.0 else 1.0
    cdef double g = ratio * exp(-t)
    out.value = log(p) if p > 0.0 else clipped(nu)
    out.first = g
    out.second = g * (1.0 - ratio)
    return out


cdef inline Triple minus_exp(double nu) noexcept nogil:
    cdef Triple out
    out.value = -exp(clipped(nu))
    out.first = out.value
    out.second = out.value
    return out


cdef inline Triple mean(int link, double nu) noexcept nogil:
    """Conditional mean as a function of the linear predictor."""
    cdef Triple out
    cdef Triple tail
    cdef double e
    if link == IDENTITY:
        out.value = nu
        out.first = 1.0
        out.second = 0.0
    elif link == LOG:
        out.value = exp(clipped(nu))
        out.first = out.value
        out.second = out.value
    elif link == RECIPROCAL:
        out.value = 1.0 / nu
        out.first = -out.value * out.value
        out.second = -2.0 * out.value * out.first
    elif link == LOGIT:
        e = exp(-fabs(nu))
        out.value = (1.0 if nu >= 0.0 else e) / (1.0 + e)
        out.first = e / ((1.0 + e) * (1.0 + e))
        out.second = out.first * (1.0 - 2.0 * out.value)
    elif link == PROBIT:
        out.value = 0.5 * erfc(-nu * M_SQRT1_2)
        out.first = exp(-0.5 * nu * nu - HALF_LOG_2PI)
        out.second = -nu * out.first
    else:
        # Both log-log links have mean 1 - exp(-t) or its complement.
        tail = minus_exp(nu)
        e = exp(tail.value)
        out.value = e
        out.first = e * tail.value
        out.second = out.first * (1.0 + tail.value)
        if link == COMPLEMENTARY_LOG_LOG:
            out.value = -expm1(tail.value)
            out.first = -out.first
            out.second = -out.second
    return out


cdef inline Triple log_of(double value, double first, double second) noexcept nogil:
    """ln of a function given with its derivatives; IMPOSSIBLE where it is not positive."""
    cdef Triple out
    if value > 0.0:
        out.value = log(value)
        out.first = first / value
        out.second = second / value - out.first * out.first
    else:
        out.value = IMPOSSIBLE
        out.first = 0.0
        out.second = 0.0
    return out


cdef inline Triple log_probability(int link, bint event, double nu) noexcept nogil:
    """ln(mu) for ``event`` and ln(1 - mu) otherwise, safe in the tails."""
    cdef Triple out
    cdef Triple m
    cdef double e
    if link == LOGIT:
        if not event:
            nu = -nu
        e = exp(-fabs(nu))
        out.value = (nu if nu < 0.0 else 0.0) - log1p(e)
        out.first = (e if nu >= 0.0 else 1.0) / (1.0 + e)
        out.second = -e / ((1.0 + e) * (1.0 + e))
        if not event:
            out.first = -out.first
    elif link == PROBIT:
        out = log_normal_cdf(nu if event else -nu)
        if not event:
            out.first = -out.first
    elif link == COMPLEMENTARY_LOG_LOG:
        out = log_event_cloglog(nu) if event else minus_exp(nu)
    elif link == LOG_LOG:
        out = minus_exp(nu) if event else log_event_cloglog(nu)
    else:
        m = mean(link, nu)
        if event:
            out = log_of(m.value, m.first, m.second)
        else:
            out = log_of(1.0 - m.value, -m.first, -m.second)
    return out


cdef inline void gaussian_identity(Block *b, bint derivatives) noexcept nogil:
    cdef Py_ssize_t i, q, t, R = b.n_nodes
    cdef double y, zeta, precision, r
    for i in range(b.n_rows):
        y = b.y[i]
        zeta = b.aux[LOG_SCALE][i]
        precision = exp(-2.0 * zeta)
        t = i * R
        for q in range(R):
            r = y - b.nu[t + q]
            b.f[t + q] = -HALF_LOG_2PI - zeta - 0.5 * precision * r * r
        if derivatives:
            for q in range(R):
                r = y - b.nu[t + q]
                b.f1[t + q] = precision * r
                b.f2[t + q] = -precision
                b.fa[LOG_SCALE][t + q] = precision * r * r - 1.0
                b.fna[LOG_SCALE][t + q] = -2.0 * precision * r
                b.faa[0][t + q] = -2.0 * precision * r * r


cdef inline void binomial_logit(Block *b, bint derivatives) noexcept nogil:
    # f1 holds exp(-|nu|) between the loops: the exponentials are taken in one
    # flat loop over the block so that they vectorise whatever the node count.
    cdef Py_ssize_t i, q, t, R = b.n_nodes, n = b.n_rows * b.n_nodes
    cdef double y, d, c, nu, e, o, p
    cdef double *scratch = b.f1
    for t in range(n):
        scratch[t] = exp(-fabs(b.nu[t]))
    for t in range(n):
        b.f[t] = log(1.0 + scratch[t])
    for i in range(b.n_rows):
        y = b.y[i]
        d = b.denominator[i]
        c = b.constant[i]
        t = i * R
        for q in range(R):
            nu = b.nu[t + q]
            b.f[t + q] = c + y * nu - d * ((nu if nu > 0.0 else 0.0) + b.f[t + q])
        if derivatives:
            for q in range(R):
                e = scratch[t + q]
                o = 1.0 / (1.0 + e)
                p = (1.0 if b.nu[t + q] >= 0.0 else e) * o
                b.f1[t + q] = y - d * p
                b.f2[t + q] = -d * e * o * o


cdef inline void poisson_log(Block *b, bint derivatives) noexcept nogil:
    cdef Py_ssize_t i, q, t, R = b.n_nodes, n = b.n_rows * b.n_nodes
    cdef double y, c, nu
    cdef double *scratch = b.f1
    for t in range(n):
        nu = b.nu[t]
        scratch[t] = exp(CLIP if nu > CLIP else nu)
    for i in range(b.n_rows):
        y = b.y[i]
        c = b.constant[i]
        t = i * R
        for q in range(R):
            b.f[t + q] = c + y * b.nu[t + q] - scratch[t + q]
        if derivatives:
            for q in range(R):
                b.f2[t + q] = -scratch[t + q]
                b.f1[t + q] = y - scratch[t + q]


cdef inline void binomial_any(Block *b, int link, bint derivatives) noexcept nogil:
    cdef Py_ssize_t i, q, t
    cdef double successes, failures
    cdef Triple p, f
    for i in range(b.n_rows):
        successes = b.y[i]
        failures = b.denominator[i] - b.y[i]
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            f.value = b.constant[i]
            f.first = 0.0
            f.second = 0.0
            if successes > 0.0:
                p = log_probability(link, True, b.nu[t])
                f.value += successes * p.value
                f.first += successes * p.first
                f.second += successes * p.second
            if failures > 0.0:
                p = log_probability(link, False, b.nu[t])
                f.value += failures * p.value
                f.first += failures * p.first
                f.second += failures * p.second
            b.f[t] = f.value
            if derivatives:
                b.f1[t] = f.first
                b.f2[t] = f.second


cdef inline void poisson_any(Block *b, int link, bint derivatives) noexcept nogil:
    cdef Py_ssize_t i, q, t
    cdef double y
    cdef Triple m, lnm
    for i in range(b.n_rows):
        y = b.y[i]
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            m = mean(link, b.nu[t])
            lnm = log_of(m.value, m.first, m.second)
            if m.value <= 0.0:
                b.f[t] = IMPOSSIBLE
                m.first = 0.0
                m.second = 0.0
            else:
                b.f[t] = b.constant[i] + y * lnm.value - m.value
            if derivatives:
                b.f1[t] = y * lnm.first - m.first
                b.f2[t] = y * lnm.second - m.second


cdef inline void gaussian_any(Block *b, int link, bint derivatives) noexcept nogil:
    cdef Py_ssize_t i, q, t
    cdef double zeta, precision, r
    cdef Triple m
    for i in range(b.n_rows):
        zeta = b.aux[LOG_SCALE][i]
        precision = exp(-2.0 * zeta)
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            m = mean(link, b.nu[t])
            r = b.y[i] - m.value
            b.f[t] = -HALF_LOG_2PI - zeta - 0.5 * precision * r * r
            if derivatives:
                b.f1[t] = precision * r * m.first
                b.f2[t] = precision * (r * m.second - m.first * m.first)
                b.fa[LOG_SCALE][t] = precision * r * r - 1.0
                b.fna[LOG_SCALE][t] = -2.0 * b.f1[t]
                b.faa[0][t] = -2.0 * precision * r * r


cdef inline void gamma_any(Block *b, int link, bint derivatives) noexcept nogil:
    # Shape k = exp(-2 zeta); dk/dzeta = -2k.
    cdef Py_ssize_t i, q, t
    cdef double k, y, lny, fk, fkk, ratio
    cdef const double *g
    cdef Triple m, lnm
    for i in range(b.n_rows):
        k = exp(-2.0 * b.aux[LOG_SCALE][i])
        g = b.gamma_terms + 3 * i
        y = b.y[i]
        lny = log(y)
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            m = mean(link, b.nu[t])
            if m.value <= 0.0:
                m.value = LEAST_GAMMA_MEAN
                m.first = 0.0
                m.second = 0.0
            lnm = log_of(m.value, m.first, m.second)
            ratio = y / m.value
            b.f[t] = k * (log(k) - lnm.value) - g[0] + (k - 1.0) * lny - k * ratio
            if derivatives:
                # d(y/mu)/dnu = -ratio * (ln mu)'
                b.f1[t] = k * lnm.first * (ratio - 1.0)
                b.f2[t] = k * (lnm.second * (ratio - 1.0) - ratio * lnm.first * lnm.first)
                fk = log(k) + 1.0 - lnm.value - g[1] + lny - ratio
                fkk = 1.0 / k - g[2]
                b.fa[LOG_SCALE][t] = -2.0 * k * fk
                b.fna[LOG_SCALE][t] = -2.0 * b.f1[t]
                b.faa[0][t] = 4.0 * k * (fk + k * fkk)


cdef inline void binomial_scaled_probit(Block *b, bint derivatives) noexcept nogil:
    # Mean Phi(nu / s1): with u = nu exp(-zeta), du/dnu = s, du/dzeta = -u.
    cdef Py_ssize_t i, q, t
    cdef double s, u, successes, failures
    cdef Triple p, f
    for i in range(b.n_rows):
        s = exp(-b.aux[LOG_SCALE][i])
        successes = b.y[i]
        failures = b.denominator[i] - b.y[i]
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            u = s * b.nu[t]
            f.value = b.constant[i]
            f.first = 0.0
            f.second = 0.0
            if successes > 0.0:
                p = log_probability(PROBIT, True, u)
                f.value += successes * p.value
                f.first += successes * p.first
                f.second += successes * p.second
            if failures > 0.0:
                p = log_probability(PROBIT, False, u)
                f.value += failures * p.value
                f.first += failures * p.first
                f.second += failures * p.second
            b.f[t] = f.value
            if derivatives:
                b.f1[t] = s * f.first
                b.f2[t] = s * s * f.second
                b.fa[LOG_SCALE][t] = -u * f.first
                b.fna[LOG_SCALE][t] = -s * (f.first + u * f.second)
                b.faa[0][t] = u * (f.first + u * f.second)


cdef struct Interval:
    # ln(F(u) - F(w)) and its derivatives.
    double value
    double u
    double w
    double uu
    double uw
    double ww


cdef inline double log_one_minus_exp(double x) noexcept nogil:
    """ln(1 - exp(-x)) for x > 0 (Maechler 2012)."""
    return log(-expm1(-x)) if x < 0.6931471805599453 else log1p(-exp(-x))


cdef inline double log_slope(int link, double x) noexcept nogil:
    """ln F'(x) for probit and complementary log-log."""
    if link == PROBIT:
        return -0.5 * x * x - HALF_LOG_2PI
    return x - exp(clipped(x))


cdef inline double slope_of_log_slope(int link, double x) noexcept nogil:
    return -x if link == PROBIT else 1.0 - exp(clipped(x))


cdef inline Interval log_interval(int link, double u, double w) noexcept nogil:
    """ln(F(u) - F(w)), u > w; u may be +infinity and w -infinity."""
    cdef Interval out
    cdef Triple one
    cdef double upper, lower, h, hh, total
    out.u = 0.0
    out.w = 0.0
    out.uu = 0.0
    out.uw = 0.0
    out.ww = 0.0
    if w == -INFINITY and u == INFINITY:
        out.value = 0.0
    elif w == -INFINITY:
        one = log_probability(link, True, u)
        out.value = one.value
        out.u = one.first
        out.uu = one.second
    elif u == INFINITY:
        one = log_probability(link, False, w)
        out.value = one.value
        out.w = one.first
        out.ww = one.second
    elif u <= w:
        # Thresholds in the wrong order: no probability is left for the category.
        out.value = IMPOSSIBLE
    elif link == LOGIT:
        # F(u) - F(w) = F(u) (1 - F(w)) (1 - exp(w - u))
        one = log_probability(LOGIT, True, u)
        out.value = one.value + log_one_minus_exp(u - w)
        h = 1.0 / expm1(u - w) if u - w < CLIP else 0.0
        hh = h * (1.0 + h)
        out.u = one.first + h
        out.uu = one.second - hh
        one = log_probability(LOGIT, False, w)
        out.value += one.value
        out.w = one.first - h
        out.ww = one.second - hh
        out.uw = hh
    else:
        # The difference of the two smaller tails.
        upper = log_probability(link, True, u).value
        lower = log_probability(link, True, w).value
        if lower > -0.6931471805599453:
            upper = log_probability(link, False, w).value
            lower = log_probability(link, False, u).value
        total = upper + log_one_minus_exp(upper - lower) if upper > lower else -INFINITY
        if not isfinite(total):
            out.value = IMPOSSIBLE
            return out
        out.value = total
        out.u = exp(log_slope(link, u) - total)
        out.w = -exp(log_slope(link, w) - total)
        out.uu = out.u * (slope_of_log_slope(link, u) - out.u)
        out.ww = out.w * (slope_of_log_slope(link, w) - out.w)
        out.uw = -out.u * out.w
    return out


cdef inline void ordinal(Block *b, int link, bint derivatives) noexcept nogil:
    # P(category) = F(u) - F(w), u = (nu - lower) s, w = (nu - upper) s, s = exp(-zeta).
    cdef Py_ssize_t i, q, t
    cdef double s, u, w, du, dw, lower, upper
    cdef Interval p
    for i in range(b.n_rows):
        s = exp(-b.aux[LOG_SCALE][i]) if b.aux[LOG_SCALE] != NULL else 1.0
        lower = b.aux[LOWER][i]
        upper = b.aux[UPPER][i]
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            u = (b.nu[t] - lower) * s
            w = (b.nu[t] - upper) * s
            p = log_interval(link, u, w)
            b.f[t] = p.value
            if not derivatives:
                continue
            if lower == -INFINITY:
                u = 0.0
            if upper == INFINITY:
                w = 0.0
            b.f1[t] = s * (p.u + p.w)
            b.f2[t] = s * s * (p.uu + 2.0 * p.uw + p.ww)
            b.fa[LOWER][t] = -s * p.u
            b.fa[UPPER][t] = -s * p.w
            b.fna[LOWER][t] = -s * s * (p.uu + p.uw)
            b.fna[UPPER][t] = -s * s * (p.uw + p.ww)
            b.faa[2][t] = s * s * p.uu
            b.faa[4][t] = s * s * p.uw
            b.faa[5][t] = s * s * p.ww
            if b.aux[LOG_SCALE] != NULL:
                du = p.u + u * p.uu + w * p.uw
                dw = p.w + w * p.ww + u * p.uw
                b.fa[LOG_SCALE][t] = -(u * p.u + w * p.w)
                b.fna[LOG_SCALE][t] = -s * (du + dw)
                b.faa[0][t] = u * du + w * dw
                b.faa[1][t] = s * du
                b.faa[3][t] = s * dw


cdef inline void nominal(Block *b, bint scaled, bint derivatives) noexcept nogil:
    # Choice sets: y is 1 in the chosen row, 0 in the others. The log density of
    # the set stands in its last row; scaled predictors are nu exp(-zeta).
    cdef Py_ssize_t first = 0, end, i, j, q, chosen, t, e, R = b.n_nodes
    cdef double s, largest, total, p, u, mean_u, mean_uu, x
    while first < b.n_rows:
        end = first + 1
        while end < b.n_rows and b.entry_start[end + 1] - b.entry_start[end] > 1:
            end += 1
        chosen = first
        for i in range(first, end):
            if b.y[i] > 0.0:
                chosen = i
        s = exp(-b.aux[LOG_SCALE][first]) if scaled else 1.0
        for q in range(R):
            largest = -INFINITY
            for i in range(first, end):
                u = s * b.nu[i * R + q]
                if u > largest:
                    largest = u
            total = 0.0
            for i in range(first, end):
                total += exp(s * b.nu[i * R + q] - largest)
            for i in range(first, end):
                b.f[i * R + q] = 0.0
            b.f[(end - 1) * R + q] = s * b.nu[chosen * R + q] - largest - log(total)
            if not derivatives:
                continue
            mean_u = 0.0
            mean_uu = 0.0
            for i in range(first, end):
                u = s * b.nu[i * R + q]
                p = exp(u - largest) / total
                b.f1[i * R + q] = p
                mean_u += p * u
                mean_uu += p * u * u
            for i in range(first, end):
                t = i * R + q
                p = b.f1[t]
                u = s * b.nu[t]
                for j in range(first, i + 1):
                    e = b.entry_start[i] - b.entry_start[0] + j - first
                    x = p * b.f1[j * R + q]
                    b.f2[e * R + q] = s * s * (x - p if j == i else x)
                if scaled:
                    b.fna[LOG_SCALE][t] = -s * ((1.0 if i == chosen else 0.0) - p)
                    b.fna[LOG_SCALE][t] += s * p * (u - mean_u)
                    b.fa[LOG_SCALE][t] = 0.0
                    b.faa[0][t] = 0.0
            if scaled:
                t = (end - 1) * R + q
                b.fa[LOG_SCALE][t] = mean_u - s * b.nu[chosen * R + q]
                b.faa[0][t] = -b.fa[LOG_SCALE][t] - (mean_uu - mean_u * mean_u)
            for i in range(first, end):
                t = i * R + q
                b.f1[t] = s * ((1.0 if i == chosen else 0.0) - b.f1[t])
        first = end


cdef struct MeanDensity:
    # Log density as a function of its mean m and the log scale.
    double value
    double m
    double mm
    double a
    double ma
    double aa


cdef inline MeanDensity density_of_mean(
    int family, double y, double denominator, double constant, double zeta,
    const double *gamma_terms, double m
) noexcept nogil:
    cdef MeanDensity out
    cdef double k, r, ratio, fk
    out.value = IMPOSSIBLE
    out.m = 0.0
    out.mm = 0.0
    out.a = 0.0
    out.ma = 0.0
    out.aa = 0.0
    if family == GAUSSIAN:
        k = exp(-2.0 * zeta)
        r = y - m
        out.value = -HALF_LOG_2PI - zeta - 0.5 * k * r * r
        out.m = k * r
        out.mm = -k
        out.a = k * r * r - 1.0
        out.ma = -2.0 * k * r
        out.aa = -2.0 * k * r * r
    elif family == BINOMIAL:
        if (y > 0.0 and m <= 0.0) or (y < denominator and m >= 1.0):
            return out
        out.value = constant
        if y > 0.0:
            out.value += y * log(m)
            out.m += y / m
            out.mm -= y / (m * m)
        if y < denominator:
            r = denominator - y
            out.value += r * log1p(-m)
            out.m -= r / (1.0 - m)
            out.mm -= r / ((1.0 - m) * (1.0 - m))
    elif m > 0.0 and family == POISSON:
        out.value = constant + y * log(m) - m
        out.m = y / m - 1.0
        out.mm = -y / (m * m)
    elif m > 0.0:
        k = exp(-2.0 * zeta)
        ratio = y / m
        fk = log(k) + 1.0 - log(m) - gamma_terms[1] + log(y) - ratio
        out.value = k * log(k / m) - gamma_terms[0] + (k - 1.0) * log(y) - k * ratio
        out.m = k * (ratio - 1.0) / m
        out.mm = k * (1.0 - 2.0 * ratio) / (m * m)
        out.a = -2.0 * k * fk
        out.ma = -2.0 * out.m
        out.aa = 4.0 * k * (fk + k * (1.0 / k - gamma_terms[2]))
    return out


cdef inline void composite(Block *b, bint derivatives) noexcept nogil:
    # f = sum_k w_k ln f(y_k | m_k), m_k = sum_r c_kr h_r(nu_r): the chain rule gives
    # df/dnu_r = sum_k f'_k c_kr h'_r, and a dense second derivative in each group.
    cdef Py_ssize_t first = 0, end, i, j, k, q, t, e, R = b.n_nodes
    cdef double m, w, zeta
    cdef const double *terms
    cdef bint scaled = b.aux[LOG_SCALE] != NULL
    cdef Triple hi, hj
    cdef MeanDensity d
    while first < b.n_rows:
        end = first + 1
        while end < b.n_rows and b.entry_start[end + 1] - b.entry_start[end] > 1:
            end += 1
        for q in range(R):
            for i in range(first, end):
                t = i * R + q
                b.f[t] = 0.0
                if not derivatives:
                    continue
                b.f1[t] = 0.0
                for j in range(first, i + 1):
                    e = b.entry_start[i] - b.entry_start[0] + j - first
                    b.f2[e * R + q] = 0.0
                if scaled:
                    b.fa[LOG_SCALE][t] = 0.0
                    b.fna[LOG_SCALE][t] = 0.0
                    b.faa[0][t] = 0.0
            for k in range(first, end):
                if b.part[k] == 0:
                    continue
                w = b.part_weight[k]
                m = 0.0
                for i in range(first, end):
                    if b.portion[i * b.n_parts + b.part[k] - 1] != 0.0:
                        m += b.portion[i * b.n_parts + b.part[k] - 1] * mean(
                            b.kind[i] % LINKS, b.nu[i * R + q]
                        ).value
                zeta = b.aux[LOG_SCALE][k] if scaled else 0.0
                terms = b.gamma_terms + 3 * k if b.gamma_terms != NULL else NULL
                d = density_of_mean(
                    b.kind[k] // LINKS - COMPOSITE, b.y[k], b.denominator[k], b.constant[k],
                    zeta, terms, m,
                )
                b.f[k * R + q] += w * d.value
                if not derivatives:
                    continue
                if scaled:
                    b.fa[LOG_SCALE][k * R + q] += w * d.a
                    b.faa[0][k * R + q] += w * d.aa
                for i in range(first, end):
                    hi = mean(b.kind[i] % LINKS, b.nu[i * R + q])
                    m = b.portion[i * b.n_parts + b.part[k] - 1]
                    b.f1[i * R + q] += w * d.m * m * hi.first
                    if scaled:
                        # A single scale: the derivative belongs to row i and its group's scale.
                        b.fna[LOG_SCALE][i * R + q] += w * d.ma * m * hi.first
                    for j in range(first, i + 1):
                        e = b.entry_start[i] - b.entry_start[0] + j - first
                        hj = mean(b.kind[j] % LINKS, b.nu[j * R + q])
                        b.f2[e * R + q] += (
                            w * d.mm * m * b.portion[j * b.n_parts + b.part[k] - 1]
                            * hi.first * hj.first
                        )
                        if i == j:
                            b.f2[e * R + q] += w * d.m * m * hi.second
        first = end


cdef inline void density_block(int kind, Block *b, bint derivatives) noexcept nogil:
    """Fill a block of rows of one kind; dispatch happens here, outside the loops."""
    cdef int family = kind // LINKS, link = kind % LINKS
    if family >= COMPOSITE:
        composite(b, derivatives)
    elif family == BINOMIAL:
        if link == LOGIT:
            binomial_logit(b, derivatives)
        elif link == SCALED_PROBIT:
            binomial_scaled_probit(b, derivatives)
        else:
            binomial_any(b, link, derivatives)
    elif family == POISSON:
        if link == LOG:
            poisson_log(b, derivatives)
        else:
            poisson_any(b, link, derivatives)
    elif family == GAUSSIAN:
        if link == IDENTITY:
            gaussian_identity(b, derivatives)
        else:
            gaussian_any(b, link, derivatives)
    elif family == GAMMA:
        gamma_any(b, link, derivatives)
    elif family == ORDINAL:
        ordinal(b, link, derivatives)
    else:
        nominal(b, link == SCALED_LOGIT, derivatives)
