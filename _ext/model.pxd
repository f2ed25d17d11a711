# cython: language_level=3
"""The arrays of a model, the scratch space of a thread, and how both are indexed."""

ctypedef Py_ssize_t Index

cdef enum:
    MAX_LEVELS = 9          # level numbers 1..8
    CHUNK = 4096            # doubles per density block


cdef struct Level:
    Index n_units
    Index n_nodes
    Index n_latent
    Index below             # latent variables of lower levels
    const long long *first  # (n_units + 1): subunits of unit j are first[j]..first[j+1]
    const double *weight    # (n_units)
    const double *node      # (n_nodes, n_latent) standard nodes
    const double *log_weight
    # Placement of the nodes, NULL for ordinary quadrature.
    const double *shift     # (n_units, n_latent)
    const double *scale     # (n_units, n_latent)
    const double *mix       # (n_units, n_latent, n_latent_total), unit upper triangular
    double *moments         # (n_units, moment_size of this level at the top), or NULL


cdef struct Model:
    Index n_rows
    Index n_levels
    Index n_latent
    Index n_columns
    Index n_pairs
    Index n_scale
    Index n_parameters      # pairs + scale coefficients
    int family
    int link
    const double *y
    const double *denominator
    const double *constant
    const double *row_weight
    const double *offset
    const double *log_scale
    const double *gamma_terms
    const double *scale_design    # (n_rows, n_scale)
    const long long *row_start    # CSR of the design columns
    const int *column
    const double *value
    const long long *pair_start   # pairs of column c: pair_start[c]..pair_start[c+1]
    const int *pair_latent
    const double *coefficient     # h
    bint derivatives
    bint moments
    Level level[MAX_LEVELS]


cdef struct Work:
    # Scratch of one thread. Arrays indexed by level where each level needs its own.
    double *linear          # (rows of a top cluster, 1 + n_latent)
    double *v[MAX_LEVELS]   # level 2: (n_latent, nodes); above: unused
    double *v_path          # (1 + n_latent) current values, v[0] = 1
    double *e_path          # (1 + n_latent) their placed innovations
    double *log_posterior[MAX_LEVELS]
    double *score[MAX_LEVELS]    # level 2: (parameters, nodes); above: (nodes, parameters)
    double *mean_score[MAX_LEVELS]
    double *spread[MAX_LEVELS]   # above level 2: (nodes, parameters, parameters)
    double *column_score    # (columns + scale, nodes)
    double *nu
    double *f
    double *f1
    double *f2              # kept for a whole level-2 unit: (rows, nodes)
    double *fz
    double *fnz
    double *fzz
    double *weighted        # (nodes)
    double *row_moments[MAX_LEVELS]      # collapsed over nodes of the level below
    double *row_out[MAX_LEVELS]          # where a unit of this level writes
    double *unit_moments[MAX_LEVELS][MAX_LEVELS]
    double *unit_out[MAX_LEVELS][MAX_LEVELS]


cdef inline Index packed(Index n) noexcept nogil:
    return n * (n + 1) // 2


cdef inline Index dims(const Model *g, Index level) noexcept nogil:
    """Latent variables up to and including a level."""
    return g.level[level].below + g.level[level].n_latent


cdef inline Index row_size(const Model *g, Index level) noexcept nogil:
    """Row moments: E[f2 v v'] packed, then E[fnz v], E[fzz] with a scale."""
    cdef Index d = dims(g, level)
    return packed(d + 1) + (d + 2 if g.n_scale else 0)


cdef inline Index moment_size(const Model *g, Index level, Index at) noexcept nogil:
    """Moments of a unit's own latent variables, cross moments up to level ``at``."""
    cdef Index n = g.level[level].n_latent
    return n + packed(n) + n * (dims(g, at) - dims(g, level))


cdef inline Index first_below(const Model *g, Index level, Index unit, Index target) noexcept nogil:
    """First unit of level ``target`` (1 for rows) inside a unit of ``level``."""
    while level > target:
        unit = g.level[level].first[unit]
        level -= 1
    return unit


cdef inline Index largest_unit(const Model *g, Index level, Index target) noexcept nogil:
    cdef Index j, n, largest = 0
    for j in range(g.level[level].n_units):
        n = first_below(g, level, j + 1, target) - first_below(g, level, j, target)
        if n > largest:
            largest = n
    return largest


cdef inline Index lay_out(const Model *g, Work *w, double *memory) noexcept nogil:
    """Assign the scratch arrays inside ``memory`` (NULL to only count); return doubles needed."""
    cdef Index used = 0, R, n, level, t, K = g.n_parameters, top = g.n_levels
    cdef Index R2 = g.level[2].n_nodes
    cdef Index chunk = CHUNK if R2 < CHUNK else R2
    cdef Index rows_top = largest_unit(g, top, 1), rows_two = largest_unit(g, 2, 1)
    cdef Index d = 1 if g.derivatives else 0
    cdef Index s = 1 if g.n_scale and g.derivatives else 0

    w.linear = memory + used
    used += rows_top * (g.n_latent + 1)
    w.v_path = memory + used
    used += g.n_latent + 1
    w.e_path = memory + used
    used += g.n_latent + 1
    w.nu = memory + used
    used += chunk
    w.f = memory + used
    used += chunk
    w.f1 = memory + used
    used += chunk
    w.fz = memory + used
    used += chunk * s
    w.f2 = memory + used
    used += rows_two * R2 * d
    w.fnz = memory + used
    used += rows_two * R2 * s
    w.fzz = memory + used
    used += rows_two * R2 * s
    w.weighted = memory + used
    used += R2
    w.column_score = memory + used
    used += (g.n_columns + g.n_scale) * R2 * d
    for level in range(2, top + 1):
        R = g.level[level].n_nodes
        w.v[level] = memory + used
        used += R * g.level[level].n_latent
        w.log_posterior[level] = memory + used
        used += R
        w.score[level] = memory + used
        used += R * K * d
        w.mean_score[level] = memory + used
        used += K * d
        w.spread[level] = memory + used
        if level == 2:
            continue
        used += R * K * K * d
        n = largest_unit(g, level, 1)
        w.row_moments[level] = memory + used
        used += R * n * row_size(g, level - 1) * d
        for t in range(2, level):
            w.unit_moments[level][t] = memory + used
            if g.moments:
                used += R * largest_unit(g, level, t) * moment_size(g, t, level - 1)
    w.row_moments[top + 1] = memory + used
    used += rows_top * row_size(g, top) * d
    return used
