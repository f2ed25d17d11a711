# cython: language_level=3
"""Log densities of rows and their derivatives in the linear predictor and log scale.

Header only: inlined functions shared by the compiled modules.

Design
------
A row's log density f(y | nu, zeta) depends on its linear predictor nu and, for
families with a scale parameter, on zeta = ln(s1), the level-1 log scale. One
call of ``density_block`` fills a block of ``n_rows x n_nodes`` values (nodes
contiguous) of f and, for ``derivatives`` true, of

    f1 = df/dnu, f2 = d2f/dnu2, and with a scale
    fz = df/dzeta, fnz = d2f/dnu dzeta, fzz = d2f/dzeta2.

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

Codes of families and links are those of ``gllamm_cli.model.families``.
"""

from libc.math cimport M_SQRT1_2, erfc, exp, expm1, fabs, log, log1p

cdef enum:
    GAUSSIAN = 0
    BINOMIAL = 1
    POISSON = 2
    GAMMA = 3

cdef enum:
    IDENTITY = 0
    LOG = 1
    RECIPROCAL = 2
    LOGIT = 3
    PROBIT = 4
    COMPLEMENTARY_LOG_LOG = 5
    LOG_LOG = 6

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
    const double *log_scale     # zeta, NULL without a scale parameter
    const double *gamma_terms   # (n_rows, 3): lnGamma(k), psi(k), psi'(k); k = exp(-2 zeta)
    const double *nu            # (n_rows, n_nodes)
    # OUT: (n_rows, n_nodes)
    double *f
    double *f1
    double *f2
    double *fz
    double *fnz
    double *fzz


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
        zeta = b.log_scale[i]
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
                b.fz[t + q] = precision * r * r - 1.0
                b.fnz[t + q] = -2.0 * precision * r
                b.fzz[t + q] = -2.0 * precision * r * r


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
        zeta = b.log_scale[i]
        precision = exp(-2.0 * zeta)
        for q in range(b.n_nodes):
            t = i * b.n_nodes + q
            m = mean(link, b.nu[t])
            r = b.y[i] - m.value
            b.f[t] = -HALF_LOG_2PI - zeta - 0.5 * precision * r * r
            if derivatives:
                b.f1[t] = precision * r * m.first
                b.f2[t] = precision * (r * m.second - m.first * m.first)
                b.fz[t] = precision * r * r - 1.0
                b.fnz[t] = -2.0 * b.f1[t]
                b.fzz[t] = -2.0 * precision * r * r


cdef inline void gamma_any(Block *b, int link, bint derivatives) noexcept nogil:
    # Shape k = exp(-2 zeta); dk/dzeta = -2k.
    cdef Py_ssize_t i, q, t
    cdef double k, y, lny, fk, fkk, ratio
    cdef const double *g
    cdef Triple m, lnm
    for i in range(b.n_rows):
        k = exp(-2.0 * b.log_scale[i])
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
                b.fz[t] = -2.0 * k * fk
                b.fnz[t] = -2.0 * b.f1[t]
                b.fzz[t] = 4.0 * k * (fk + k * fkk)


cdef inline void density_block(int family, int link, Block *b, bint derivatives) noexcept nogil:
    """Fill a block; dispatch happens here, outside the loops."""
    if family == BINOMIAL:
        if link == LOGIT:
            binomial_logit(b, derivatives)
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
    else:
        gamma_any(b, link, derivatives)
