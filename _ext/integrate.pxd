# cython: language_level=3, cdivision=True
"""One unit of any level, integrated over its latent variables.

What is computed
----------------
The linear predictor of row i is affine in the standardised latent variables,

    nu_i(v) = offset_i + sum_k u_i[c_k] h_k v[m_k],      v[0] = 1,

where u_i is a sparse row of design columns and pair k joins column c_k with
latent variable m_k (0 for the fixed part). The coefficients h are functions of
the model's parameters, but the kernel does not know that: it differentiates in
phi = (h, alpha), alpha being the coefficients of the level-1 log scale. The
caller applies the chain rule.

Recursion
---------
``integrate`` handles one unit of level l, given the values of all latent
variables above it:

    l_unit = ln sum_q exp( ln w_q + sum_{subunits} weight * l_subunit(v_q) ),

and the subunits of level 2 are rows. With p_q the posterior weights of the
nodes it returns

    score    s = sum_q p_q s_q,     s_q = sum over subunits of weight * s_subunit,
    spread   S = sum_q p_q ( S_q + (s_q - s)(s_q - s)' ),

the second being the part of the Hessian that comes from not observing the
latent variables (Louis 1982), nested: covariance within, covariance of
conditional means between. The remaining part, sum_i E[f''_i d nu d nu'],
factorises by row into u_i u_i' times E[f''_i v_m v_m'], so only the small
packed matrices E[f''_i v v'] travel up through the levels ("row moments") and
are expanded once per row at the top. Posterior moments of the latent variables
travel in the same way. At level l they only involve latent variables up to
level l; the collapse over the nodes of level l + 1 appends those above, which
are constant within a node.
"""

from libc.math cimport INFINITY, exp, isfinite, log, sqrt
from libc.string cimport memcpy, memset

from lanes cimport (
    WHOLE, In, Out, add_scaled, dot, exponentials, largest, multiply, scale,
)
from model cimport Index, Level, Model, Work, entry_size, first_below, first_entry, moment_size
from bernoulli cimport ALL_ALIKE, fill_row_odds
from fixed cimport evaluate_fixed
from moments cimport (
    collapse_entries, collapse_moments, expand_entries, moments_of_columns, moments_of_entries,
    own_moments,
)
from predictor cimport constant_parts, latent_coefficients
from rows cimport evaluate_rows
from strided cimport element


cdef inline double log_scales(const Level *lev, Index unit) noexcept nogil:
    """Log of the factor by which a unit's placed nodes lie further apart than the rule's."""
    cdef Index i
    cdef double total = 0.0
    if lev.shift != NULL:
        for i in range(lev.n_latent):
            total += log(lev.scale[unit * lev.n_latent + i])
    return total


cdef inline double place_node(
    const Model *g, Work *w, Index level, Index unit, Index q
) noexcept nogil:
    """Set v_path and e_path for node q of a level above 2.

    Returns the log weight with the adaptive factor but for ``log_scales``.
    """
    cdef const Level *lev = &g.level[level]
    cdef Index n = lev.n_latent, i, j, m
    cdef double lw = lev.log_weight[unit * lev.log_weight_stride + q], x, value
    cdef const double *mix
    i = n
    while i > 0:
        i -= 1
        m = lev.below + i + 1
        x = lev.node[q * n + i]
        if lev.shift == NULL:
            w.v_path[m] = x
            w.e_path[m] = x
            continue
        w.e_path[m] = lev.shift[unit * n + i] + lev.scale[unit * n + i] * x
        value = w.e_path[m]
        mix = lev.mix + (unit * n + i) * g.n_latent
        for j in range(m, g.n_latent):
            value += mix[j] * w.e_path[j + 1]
        w.v_path[m] = value
        lw += 0.5 * (x * x - value * value)
    return lw


cdef inline void place_nodes(
    const Model *g, Work *w, Index unit, double *log_weight
) noexcept nogil:
    """All nodes of a level-2 unit: ``w.v`` and the log weights with the adaptive factor."""
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.places, n = lev.n_latent, i, j, q
    cdef double base, factor
    cdef const double *weight = lev.log_weight + unit * lev.log_weight_stride
    cdef const double *mix
    cdef double *v
    cdef double *e
    for q in range(lev.n_nodes):
        log_weight[q] = weight[q]
    for q in range(lev.n_nodes, R):
        log_weight[q] = weight[lev.n_nodes - 1]
    if lev.shift == NULL:
        if n:
            memcpy(w.v[2], lev.place, n * R * sizeof(double))
        return
    add_constant(log_weight, log_scales(lev, unit), lev.half_square, R)
    i = n
    while i > 0:
        i -= 1
        v = w.v[2] + i * R
        e = w.e + i * R
        mix = lev.mix + (unit * n + i) * g.n_latent
        base = 0.0
        for j in range(n, g.n_latent):
            base += mix[j] * w.e_path[j + 1]
        move(e, v, lev.shift[unit * n + i], lev.scale[unit * n + i], base, lev.place + i * R, R)
        for j in range(i + 1, n):
            factor = mix[j]
            if factor != 0.0:
                add_scaled(v, factor, w.e + j * R, R)
        subtract_half_square(log_weight, v, R)


cdef inline void add_constant(Out out, double x, In f, Index n) noexcept nogil:
    cdef Index q
    for q in range(WHOLE(n)):
        out[q] += x + f[q]


cdef inline void move(
    Out e, Out v, double shift, double spread, double base, In x, Index n
) noexcept nogil:
    """Placed innovations e of standard nodes x, and what they contribute to v."""
    cdef Index q
    for q in range(WHOLE(n)):
        e[q] = shift + spread * x[q]
        v[q] = e[q] + base


cdef inline void subtract_half_square(Out out, In v, Index n) noexcept nogil:
    cdef Index q
    for q in range(WHOLE(n)):
        out[q] -= 0.5 * v[q] * v[q]


cdef inline double normalise(double *log_posterior, Index n) noexcept nogil:
    """Log-sum-exp; the entries become posterior weights."""
    cdef double most = -INFINITY, total = 0.0
    cdef Index q
    for q in range(n):
        if log_posterior[q] > most:
            most = log_posterior[q]
    if not isfinite(most):
        for q in range(n):
            log_posterior[q] = 0.0
        return -INFINITY
    for q in range(n):
        log_posterior[q] = exp(log_posterior[q] - most)
        total += log_posterior[q]
    for q in range(n):
        log_posterior[q] /= total
    return most + log(total)


cdef inline double normalise_places(double *log_posterior, Index n, Index places) noexcept nogil:
    """The same for n nodes in whole vectors; what repeats the last node gets no weight."""
    cdef double most = largest(log_posterior, places), total = 0.0, x
    cdef Index q
    if not isfinite(most):
        for q in range(places):
            log_posterior[q] = 0.0
        return -INFINITY
    subtract_constant(log_posterior, most, places)
    exponentials(log_posterior, places)
    for q in range(n, places):
        log_posterior[q] = 0.0
    for q in range(WHOLE(places)):
        total += log_posterior[q]
    x = 1.0 / total
    for q in range(WHOLE(places)):
        log_posterior[q] *= x
    return most + log(total)


cdef inline void subtract_constant(Out out, double x, Index n) noexcept nogil:
    cdef Index q
    for q in range(WHOLE(n)):
        out[q] -= x


cdef inline void node_scores(const Model *g, Work *w, Index unit) noexcept nogil:
    """Scores at each node of a level-2 unit, (parameters, nodes), from the column scores.

    Units whose cross products are taken together stand side by side.
    """
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.places, n2 = lev.n_latent, width = g.n_gathered * R
    cdef Index c, k, m, d, q
    cdef double *rows = w.score[2] + w.gathered * R
    cdef double *out
    cdef const double *column_score
    for c in range(g.n_columns):
        column_score = w.column_score + c * R
        for k in range(g.pair_start[c], g.pair_start[c + 1]):
            m = g.pair_latent[k]
            out = rows + k * width
            if 1 <= m <= n2:
                multiply(out, column_score, w.v[2] + (m - 1) * R, R)
            else:
                scale(out, w.v_path[m], column_score, R)
    for d in range(g.n_aux):
        memcpy(
            rows + (g.n_pairs + d) * width, w.column_score + (g.n_columns + d) * R,
            R * sizeof(double),
        )
    for d in range(g.n_pairs + g.n_aux, g.n_parameters):
        memset(rows + d * width, 0, R * sizeof(double))
    for d in range(lev.n_odds):
        out = rows + (lev.odds + d) * width
        for q in range(lev.n_nodes):
            out[q] = lev.odds_score[unit * lev.odds_stride + q * lev.n_odds + d]


cdef inline void centre(Out row, double mean, In root, Index n) noexcept nogil:
    """Deviations from the mean, times square roots of weights."""
    cdef Index q
    for q in range(WHOLE(n)):
        row[q] = (row[q] - mean) * root[q]


cdef inline void square_roots(Out out, double weight, In p, Index n) noexcept nogil:
    cdef Index q
    for q in range(WHOLE(n)):
        out[q] = sqrt(weight * p[q])


cdef inline void add_cross_products(
    Out out, In rows, Index K, Index n, Index width
) noexcept nogil:
    """Add the products of rows with each other to the lower triangle of ``out`` (K, K).

    The rows have n numbers and lie ``width`` apart. Four by two at a time: each number that
    is fetched serves several products.
    """
    cdef Index k = 0, h, q, R = WHOLE(n)
    cdef const double *a
    cdef const double *b
    cdef double t0, t1, t2, t3, u0, u1, u2, u3
    while k < K:
        # Rows k and k + 1, or the last row with itself.
        a = rows + k * width
        b = a + (width if k + 1 < K else 0)
        h = 0
        while h + 4 <= k:
            t0 = t1 = t2 = t3 = u0 = u1 = u2 = u3 = 0.0
            for q in range(R):
                t0 += a[q] * rows[h * width + q]
                t1 += a[q] * rows[(h + 1) * width + q]
                t2 += a[q] * rows[(h + 2) * width + q]
                t3 += a[q] * rows[(h + 3) * width + q]
                u0 += b[q] * rows[h * width + q]
                u1 += b[q] * rows[(h + 1) * width + q]
                u2 += b[q] * rows[(h + 2) * width + q]
                u3 += b[q] * rows[(h + 3) * width + q]
            out[k * K + h] += t0
            out[k * K + h + 1] += t1
            out[k * K + h + 2] += t2
            out[k * K + h + 3] += t3
            if k + 1 < K:
                out[(k + 1) * K + h] += u0
                out[(k + 1) * K + h + 1] += u1
                out[(k + 1) * K + h + 2] += u2
                out[(k + 1) * K + h + 3] += u3
            h += 4
        while h <= k + 1 and h < K:
            t0 = u0 = 0.0
            for q in range(R):
                t0 += a[q] * rows[h * width + q]
                u0 += b[q] * rows[h * width + q]
            if h <= k:
                out[k * K + h] += t0
            if k + 1 < K:
                out[(k + 1) * K + h] += u0
            h += 1
        k += 2


cdef inline void add_gathered(const Model *g, Work *w, double *spread) noexcept nogil:
    """Add the cross products of the units whose scores were gathered, and forget them."""
    cdef Index R = g.level[2].places
    if w.gathered:
        add_cross_products(spread, w.score[2], g.n_parameters, w.gathered * R, g.n_gathered * R)
    w.gathered = 0


cdef inline double integrate_rows(
    const Model *g, Work *w, Index unit, Index top_row, double *score, double *spread
) noexcept nogil:
    """Level-2 unit given the latent variables above: log likelihood; see the module's note.

    ``score`` (parameters) and ``spread`` (parameters, parameters; lower
    triangle) are added to, times the unit's weight; to the spread only when
    ``add_gathered`` is called for it, because sums over several units are quicker.
    """
    cdef const Level *lev = &g.level[2]
    cdef Index R = lev.places, K = g.n_parameters, k
    cdef double value, mean, weight = element(lev.weight, unit)
    cdef double *p = w.log_posterior[2]
    cdef double *row
    place_nodes(g, w, unit, p)
    if g.derivatives:
        memset(w.column_score, 0, (g.n_columns + g.n_aux) * R * sizeof(double))
        if g.by_columns:
            memset(w.column_second, 0, g.n_column_pairs * R * sizeof(double))
    evaluate_rows(g, w, unit, top_row)
    value = normalise_places(p, lev.n_nodes, R)
    if g.moments:
        own_moments(g, w, 2, p, w.v[2], R, 1, R)
    if not g.derivatives:
        return value
    node_scores(g, w, unit)
    square_roots(w.weighted, weight, p, R)
    for k in range(K):
        row = w.score[2] + (k * g.n_gathered + w.gathered) * R
        mean = dot(p, row, R)
        score[k] += weight * mean
        centre(row, mean, w.weighted, R)
    if lev.n_nodes > 1:
        w.gathered += 1
        if w.gathered == g.n_gathered:
            add_gathered(g, w, spread)
    if g.by_columns:
        moments_of_columns(g, w, p, weight)
    moments_of_entries(g, w, unit, p, weight)
    return value


cdef inline double integrate(
    const Model *g, Work *w, Index level, Index unit, Index top_row, double *score, double *spread
) noexcept nogil:
    """A unit of any level above the rows; same contract as ``integrate_rows``."""
    cdef const Level *lev = &g.level[level]
    cdef Index R = lev.n_nodes, n = lev.n_latent, K = g.n_parameters
    cdef Index q, c, i, k, h, t, n_entries, entry, n_target
    cdef double value, mean, factor, weight = element(lev.weight, unit), widening
    cdef double *p
    cdef double *v
    cdef double *row_score
    cdef double *means
    cdef double *total
    if level == 2:
        return integrate_rows(g, w, unit, top_row, score, spread)
    p = w.log_posterior[level]
    v = w.v[level]
    n_entries = first_entry(g, level, unit + 1) - first_entry(g, level, unit)
    if g.derivatives:
        memset(w.score[level], 0, R * K * sizeof(double))
        memset(w.spread[level], 0, R * K * K * sizeof(double))
    widening = log_scales(lev, unit)
    for q in range(R):
        p[q] = place_node(g, w, level, unit, q) + widening
        for i in range(n):
            v[q * n + i] = w.v_path[lev.below + 1 + i]
        for c in range(lev.first[unit], lev.first[unit + 1]):
            if g.derivatives:
                entry = first_entry(g, level - 1, c) - first_entry(g, level, unit)
                w.row_out[level - 1] = (
                    w.row_moments[level] + (q * n_entries + entry) * entry_size(g, level - 1)
                )
            if g.moments:
                for t in range(2, level):
                    n_target = (
                        first_below(g, level, unit + 1, t) - first_below(g, level, unit, t)
                    )
                    w.unit_out[level - 1][t] = w.unit_moments[level][t] + (
                        q * n_target + first_below(g, level - 1, c, t)
                        - first_below(g, level, unit, t)
                    ) * moment_size(g, t, level - 1)
            value = integrate(
                g, w, level - 1, c, top_row, w.score[level] + q * K, w.spread[level] + q * K * K
            )
            p[q] += element(g.level[level - 1].weight, c) * value
        if g.derivatives:
            if level == 3:
                add_gathered(g, w, w.spread[3] + q * K * K)
            for k in range(lev.n_odds):
                w.score[level][q * K + lev.odds + k] += lev.odds_score[
                    unit * lev.odds_stride + q * lev.n_odds + k
                ]
    value = normalise(p, R)
    if g.moments:
        own_moments(g, w, level, p, v, R, n, 1)
        collapse_moments(g, w, level, unit, p, v)
    if not g.derivatives:
        return value
    means = w.mean_score[level]
    memset(means, 0, K * sizeof(double))
    for q in range(R):
        for k in range(K):
            means[k] += p[q] * w.score[level][q * K + k]
    for k in range(K):
        score[k] += weight * means[k]
    for q in range(R):
        row_score = w.score[level] + q * K
        total = w.spread[level] + q * K * K
        factor = weight * p[q]
        for k in range(K):
            row_score[k] -= means[k]
        for k in range(K):
            mean = row_score[k]
            for h in range(k + 1):
                spread[k * K + h] += factor * (total[k * K + h] + mean * row_score[h])
    collapse_entries(g, w, level, n_entries, p, v, weight)
    return value


cdef inline void prepare_rows(
    const Model *g, Work *w, Index first_cluster, Index last_cluster
) noexcept nogil:
    """What rows of some top-level clusters contribute whatever the latent variables."""
    cdef const Level *lev = &g.level[2]
    cdef Index begin = first_below(g, g.n_levels, first_cluster, 1)
    cdef Index end = first_below(g, g.n_levels, last_cluster, 1), unit, row
    constant_parts(g, w, begin, end)
    if g.bernoulli == NULL:
        latent_coefficients(g, w, begin, end, begin)
        return
    fill_row_odds(g, w, begin, end)
    for unit in range(
        first_below(g, g.n_levels, first_cluster, 2), first_below(g, g.n_levels, last_cluster, 2)
    ):
        row = lev.first[unit]
        # Where rows are alike the first tells all.
        latent_coefficients(
            g, w, row, row + 1 if g.bernoulli[unit] == ALL_ALIKE else lev.first[unit + 1], begin
        )


cdef inline void evaluate_cluster(
    const Model *g, Work *w, Index cluster, Index block_row, double *log_likelihood,
    double *score, double *hessian
) noexcept nogil:
    """One top-level cluster: its weighted log likelihood; adds to score and Hessian.

    ``block_row`` is the first row of its block, which ``prepare_rows`` has prepared.
    """
    cdef Index top = g.n_levels, t
    cdef Index begin = first_below(g, top, cluster, 1)
    cdef Index end = first_below(g, top, cluster + 1, 1)
    if g.derivatives:
        w.row_out[top] = w.row_moments[top + 1]
    if g.moments:
        for t in range(2, top + 1):
            w.unit_out[top][t] = (
                g.level[t].moments + first_below(g, top, cluster, t) * moment_size(g, t, top)
            )
    log_likelihood[cluster] = element(g.level[top].weight, cluster) * integrate(
        g, w, top, cluster, block_row, score, hessian
    )
    if g.derivatives and not (g.by_columns and g.n_channels == 0):
        expand_entries(g, w, w.row_moments[top + 1], begin, end, hessian)


cdef inline void evaluate_fixed_unit(
    const Model *g, Work *w, Index unit, double *log_likelihood, double *score, double *hessian
) noexcept nogil:
    """The same for a unit of rows without latent variables."""
    cdef const Level *lev = &g.level[2]
    cdef double weight = element(lev.weight, unit)
    log_likelihood[unit] = weight * evaluate_fixed(
        g, w, lev.first[unit], lev.first[unit + 1], weight, score, hessian
    )
