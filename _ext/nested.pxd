# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The recursion over nested units behind the likelihood of a linear mixed model.

The quadratic of a lowest unit is a linear form in its sums, Q = sum_x value_x sums[entry_x] in
place t(x). Going up, the units of each level integrate their own latent variables out and add
what is left to the unit above (``lanes.pxd``). Going down, each unit gets its matrix B from the
unit above. Going up again, derivatives A_k of Q in parameter k, likewise linear forms, become
B'A_kB, quadratics in uncorrelated e. By the law of total covariance a unit contributes

    cov(e'A_ke/2, e'A_le/2 | e above) = sum_i ( A_k,ii A_l,ii / 2 + sum_{j < i} A_k,ij A_l,ij )

over its own e_i to the Hessian; the leading block plus the sum of own A_ii in its corner is the
expectation, which is added to the unit above.
"""

from libc.math cimport fabs, sqrt
from libc.string cimport memset

from quadratics cimport (
    LANES, Index, factor_moments, in_uncorrelated, integrate_out, packed, second_moments,
)
from strided cimport Strided, element

cdef enum:
    MOST_LEVELS = 8
    PRODUCTS_AT_A_TIME = 256        # columns of features before their products are summed
    APART = 16                      # doubles between what two threads write


cdef struct Forms:
    # Form 0 is Q, forms 1 to P its derivatives, as compressed rows of cells.
    Index n_parameters              # P
    Index n_terms                   # entries of form 0
    const long long *form           # (P + 2,) cells of each form
    const long long *cell           # (cells + 1,) entries of each cell
    const int *place                # (cells,) packed element
    const int *entry                # (entries,) sum
    const double *value             # (entries,)


cdef struct NestedLevel:
    Index size                      # of z: 1, variables above, own variables
    Index rest                      # of z above
    const long long *first          # (blocks + 1,) first unit of each block
    const long long *parent         # (units,)
    Strided weight                  # (units,)
    Strided total_weight            # (units,)


cdef struct Nested:
    Index n_levels
    NestedLevel level[MOST_LEVELS]
    Index n_sums
    const double *sums              # (groups of lanes, n_sums, LANES), blocks padded
    const long long *first_group    # (blocks + 1,)


cdef struct Scratch:
    double *matrix[MOST_LEVELS]     # Q, then B, of the units of a block: (groups, packed, LANES)
    double *moved[MOST_LEVELS]      # derivatives of Q above the lowest level: (groups, P, packed,
    #                                 LANES)
    double *form                    # one derivative of Q
    double *turned                  # the same in uncorrelated variables
    double *half
    double *moments
    double *terms                   # (terms, LANES)
    double *features                # (P, room)
    Index room
    Index used
    double apart[APART]             # keeps the threads' scratch from sharing cache lines


cdef inline Index n_groups(const NestedLevel *v, Index b) noexcept nogil:
    """Groups of lanes in block ``b``."""
    return (v.first[b + 1] - v.first[b] + LANES - 1) // LANES


cdef inline void evaluate_form(
    const Forms *f, Index k, const double *sums, Index size, double *out
) noexcept nogil:
    """Form ``k`` of the sums of one group of units, (packed, LANES)."""
    cdef Index c, x, u
    cdef double total[LANES]
    cdef const double *s
    memset(out, 0, packed(size) * LANES * sizeof(double))
    for c in range(f.form[k], f.form[k + 1]):
        for u in range(LANES):
            total[u] = 0.0
        for x in range(f.cell[c], f.cell[c + 1]):
            s = sums + f.entry[x] * LANES
            for u in range(LANES):
                total[u] += f.value[x] * s[u]
        for u in range(LANES):
            out[f.place[c] * LANES + u] = total[u]


cdef inline void add_terms(
    const Forms *f, const double *sums, const double *moments, double *terms
) noexcept nogil:
    """Add moments times sums for each entry of form 0."""
    cdef Index c, x, u
    cdef const double *s
    cdef const double *moment
    cdef double *term
    for c in range(f.form[0], f.form[1]):
        moment = moments + f.place[c] * LANES
        for x in range(f.cell[c], f.cell[c + 1]):
            s = sums + f.entry[x] * LANES
            term = terms + x * LANES
            for u in range(LANES):
                term[u] += s[u] * moment[u]


cdef inline void flush_features(Scratch *w, Index n, double *hessian) noexcept nogil:
    """Add the products of the features of all pairs of parameters, lower triangle."""
    cdef Index k, m, c
    cdef double total
    cdef const double *one
    cdef const double *other
    for k in range(n):
        one = w.features + k * w.room
        for m in range(k + 1):
            other = w.features + m * w.room
            total = 0.0
            for c in range(w.used):
                total += one[c] * other[c]
            hessian[k * n + m] += total
    w.used = 0


cdef inline void add_features(
    Scratch *w, Index k, const double *turned, Index size, Index rest, const double *root
) noexcept nogil:
    """Features of parameter ``k``: their products are the covariances; ``root`` of the weights."""
    cdef Index i, j, u
    cdef double *out = w.features + k * w.room + w.used
    cdef const double *row
    for i in range(rest, size):
        row = turned + packed(i) * LANES
        for j in range(i):
            for u in range(LANES):
                out[u] = root[u] * row[j * LANES + u]
            out += LANES
        for u in range(LANES):
            out[u] = root[u] * row[i * LANES + u] * 0.70710678118654752440
        out += LANES


cdef inline void expect(double *turned, Index size, Index rest) noexcept nogil:
    """Expectation over the own variables: their diagonal elements join the corner."""
    cdef Index i, u
    for i in range(rest, size):
        for u in range(LANES):
            turned[u] += turned[(packed(i) + i) * LANES + u]


cdef inline void add_to_parents(
    const NestedLevel *v, const NestedLevel *above, Index b, Index begin, const double *own,
    double *out, Index stride
) noexcept nogil:
    """Add leading blocks, times the weights of units, to the matrices of units above.

    ``own`` is the group of units from ``begin``; groups of ``out`` are ``stride`` elements apart.
    """
    cdef Index n = min(LANES, v.first[b + 1] - begin), lane, t, p
    cdef double weight
    cdef double *target
    for lane in range(n):
        p = v.parent[begin + lane] - above.first[b]
        weight = element(v.weight, begin + lane)
        target = out + (p // LANES) * stride * LANES + p % LANES
        for t in range(packed(v.rest)):
            target[t * LANES] += weight * own[t * LANES + lane]


cdef inline void take_from_parents(
    const NestedLevel *v, const NestedLevel *above, Index b, Index begin, const double *of_above,
    double *out
) noexcept nogil:
    """Copy the matrices of units above into the leading blocks of a group of units."""
    cdef Index n = min(LANES, v.first[b + 1] - begin), lane, t, p
    cdef Index size = packed(v.rest)
    cdef const double *source
    memset(out, 0, size * LANES * sizeof(double))
    for lane in range(n):
        p = v.parent[begin + lane] - above.first[b]
        source = of_above + (p // LANES) * size * LANES + p % LANES
        for t in range(size):
            out[t * LANES + lane] = source[t * LANES]


cdef inline void weights_of_group(
    Strided weight, Index begin, Index end, bint root, double *out
) noexcept nogil:
    """Weights of a group of units, or their roots; 0 beyond the last unit."""
    cdef Index u
    for u in range(LANES):
        out[u] = element(weight, begin + u) if begin + u < end else 0.0
        if root:
            out[u] = sqrt(out[u])


cdef inline void collect(
    const Nested *g, const Forms *f, Scratch *w, Index b, Index t, Index group, double *hessian,
    double *scores
) noexcept nogil:
    """Features of a group of units of level ``t``, and expectations for the units above.

    ``scores`` (top-level units, P), if wanted, get the derivatives of the log likelihood.
    """
    cdef const NestedLevel *v = &g.level[t]
    cdef Index k, u, begin = v.first[b] + group * LANES, size = packed(v.size)
    cdef Index needed = (size - packed(v.rest)) * LANES, P = f.n_parameters
    cdef double root[LANES]
    cdef double *turned
    cdef const double *sums = NULL
    if w.used + needed > w.room:
        flush_features(w, P, hessian)
    if t == 0:
        sums = g.sums + (g.first_group[b] + group) * g.n_sums * LANES
    weights_of_group(v.total_weight, begin, v.first[b + 1], True, root)
    for k in range(P):
        if t == 0:
            evaluate_form(f, k + 1, sums, v.size, w.form)
            turned = w.turned
            in_uncorrelated(
                w.form, w.matrix[0] + group * size * LANES, v.size, w.half, turned
            )
        else:
            turned = w.moved[t] + (group * P + k) * size * LANES
        add_features(w, k, turned, v.size, v.rest, root)
        expect(turned, v.size, v.rest)
        if t + 1 < g.n_levels:
            add_to_parents(
                v, &g.level[t + 1], b, begin, turned,
                w.moved[t + 1] + k * packed(v.rest) * LANES, P * packed(v.rest),
            )
        elif scores != NULL:
            for u in range(min(LANES, v.first[b + 1] - begin)):
                scores[(begin + u) * P + k] = -0.5 * element(v.weight, begin + u) * turned[u]
    w.used += needed


cdef inline void expected_sums(
    const Nested *g, const Forms *f, Scratch *w, Index b, Index group
) noexcept nogil:
    """Add the terms of a group of lowest units: sums times posterior moments."""
    cdef const NestedLevel *v = &g.level[0]
    cdef double weight[LANES]
    weights_of_group(
        v.total_weight, v.first[b] + group * LANES, v.first[b + 1], False, weight
    )
    second_moments(w.matrix[0] + group * packed(v.size) * LANES, v.size, weight, w.moments)
    add_terms(
        f, g.sums + (g.first_group[b] + group) * g.n_sums * LANES, w.moments, w.terms
    )


cdef inline void evaluate_block(
    const Nested *g, const Forms *f, Scratch *w, Index b, bint derivatives, double *value,
    double *terms, double *hessian, double *scores
) noexcept nogil:
    """Log likelihood of the top-level units of block ``b``, ``value[0]``.

    ``value[1]`` is the size of the corners that it is the difference of. With ``derivatives`` also
    ``terms`` (terms,) and, for P > 0, ``hessian`` (P, P), lower triangle, and ``scores``.
    """
    cdef Index t, group, begin, u, x, size, top = g.n_levels - 1, P = f.n_parameters
    # Summed here: other threads write close to where the sums go.
    cdef double log_likelihood = 0.0, corners = 0.0
    cdef double weight[LANES]
    cdef double *q
    cdef const NestedLevel *v
    for t in range(1, g.n_levels):
        size = n_groups(&g.level[t], b) * packed(g.level[t].size) * LANES
        memset(w.matrix[t], 0, size * sizeof(double))
        if derivatives:
            memset(w.moved[t], 0, P * size * sizeof(double))
    if derivatives:
        memset(w.terms, 0, f.n_terms * LANES * sizeof(double))
        w.used = 0
    for t in range(g.n_levels):
        v = &g.level[t]
        for group in range(n_groups(v, b)):
            begin = v.first[b] + group * LANES
            q = w.matrix[t] + group * packed(v.size) * LANES
            if t == 0:
                evaluate_form(
                    f, 0, g.sums + (g.first_group[b] + group) * g.n_sums * LANES, v.size, q
                )
                weights_of_group(v.total_weight, begin, v.first[b + 1], False, weight)
                for u in range(LANES):
                    corners += 0.5 * weight[u] * fabs(q[u])
            integrate_out(q, v.size, v.rest)
            if t < top:
                add_to_parents(
                    v, &g.level[t + 1], b, begin, q, w.matrix[t + 1], packed(v.rest)
                )
                continue
            weights_of_group(v.weight, begin, v.first[b + 1], False, weight)
            for u in range(LANES):
                log_likelihood -= 0.5 * weight[u] * q[u]
                q[u] = 1.0
            if derivatives:
                factor_moments(q, v.size, v.rest)
                if top == 0:
                    expected_sums(g, f, w, b, group)
                    collect(g, f, w, b, 0, group, hessian, scores)
    value[0] = log_likelihood
    value[1] = corners
    if not derivatives:
        return
    for t in range(top - 1, -1, -1):
        v = &g.level[t]
        for group in range(n_groups(v, b)):
            q = w.matrix[t] + group * packed(v.size) * LANES
            take_from_parents(
                v, &g.level[t + 1], b, v.first[b] + group * LANES, w.matrix[t + 1], q
            )
            factor_moments(q, v.size, v.rest)
            if t == 0:
                expected_sums(g, f, w, b, group)
                collect(g, f, w, b, 0, group, hessian, scores)
    for t in range(1, g.n_levels):
        for group in range(n_groups(&g.level[t], b)):
            collect(g, f, w, b, t, group, hessian, scores)
    flush_features(w, P, hessian)
    for x in range(f.n_terms):
        for u in range(LANES):
            terms[x] += w.terms[x * LANES + u]
