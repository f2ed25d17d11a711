# cython: language_level=3, cdivision=True
"""The arrays of a model, the scratch space of a thread, and how both are indexed.

A row's density depends on its linear predictor and on up to three *auxiliary
predictors* without latent variables: the level-1 log scale and the two
thresholds around an ordinal response. Auxiliary predictors are linear in
auxiliary parameters; ``channel`` numbers those that the model uses.

Rows whose density depends on each other's predictors (choice sets) form a
group. An *entry* is a pair of rows of one group, (i, j) with j <= i; a row
outside groups has the single entry (i, i). Second derivatives live on entries.
"""

from lanes cimport LANES
from strided cimport Strided

ctypedef Py_ssize_t Index

cdef enum:
    MAX_LEVELS = 9          # level numbers 1..8
    CHUNK = 4096            # doubles per density block
    CHANNELS = 3
    APART = 32              # doubles between what two threads write
    LONG = 128              # numbers that make the end of a sum of products negligible

cdef enum:
    # Auxiliary predictors.
    LOG_SCALE = 0
    LOWER = 1
    UPPER = 2


cdef struct Level:
    Index n_units
    Index n_nodes
    Index n_latent
    Index below             # latent variables of lower levels
    const long long *first  # (n_units + 1): subunits of unit j are first[j]..first[j+1]
    Strided weight          # (n_units)
    const double *node      # (n_nodes, n_latent) standard nodes or locations
    # Level 2 only: nodes in vectors. Places beyond n_nodes repeat the last node and get no weight.
    Index places            # n_nodes rounded up to whole vectors
    const double *place     # (n_latent, places) standard nodes
    const double *half_square       # (places): sum of squares / 2
    Index period            # the last latent variable's nodes repeat after so many
    const double *log_weight        # (n_nodes), or (n_units, n_nodes)
    Index log_weight_stride         # 0, or n_nodes
    # Placement of the nodes, NULL for ordinary quadrature.
    const double *shift     # (n_units, n_latent)
    const double *scale     # (n_units, n_latent)
    const double *mix       # (n_units, n_latent, n_latent_total), unit upper triangular
    # Masses of a discrete distribution as parameters.
    Index n_odds
    Index odds              # number of the first one in the parameter vector
    const double *odds_score        # d ln(mass) / d odds: (units or 1, n_nodes, n_odds)
    Index odds_stride               # 0, or n_nodes * n_odds
    double *moments         # (n_units, moment_size of this level at the top), or NULL


cdef struct Model:
    Index n_rows
    Index n_levels
    Index n_latent
    Index n_columns
    Index n_pairs
    Index n_aux             # auxiliary parameters
    Index n_parameters      # pairs, auxiliary parameters, odds
    Index largest_group
    const int *kind         # family and link of each row, see ``kind_of``
    Index kind_stride       # 0 if one stands for all rows
    bint mixed              # rows of several kinds
    const double *y
    Strided denominator
    Strided constant
    Strided row_weight
    Strided offset
    const double *gamma_terms   # as in ``Block``
    Index gamma_stride
    bint fixed              # no latent variables and one level: see fixed.pxd
    # Design columns, compressed by rows. NULL without: every row has all columns.
    const long long *row_start    # (n_rows + 1)
    const int *column
    const double *value
    const int *every_column       # 0, 1, ..., n_columns - 1
    const long long *entry_start  # (n_rows + 1); NULL if each row is one entry
    # Composite links, see composite.pxd; NULL without.
    Index n_parts
    const int *part
    const double *portion
    Strided part_weight
    const unsigned char *bernoulli  # (level-2 units): see bernoulli.pxd; NULL if not used
    Index largest_block             # rows
    const long long *pair_start   # pairs of column c: pair_start[c]..pair_start[c+1]
    const int *pair_latent
    const double *coefficient     # h
    # The pair with latent variable 0, if any, comes first in a column: its coefficient (0
    # without), and the pair after it.
    const double *fixed_coefficient
    const long long *latent_start
    # Second derivatives summed over rows by pairs of columns, see moments.pxd; else by rows.
    bint by_columns
    bint dense_columns      # by columns, and every row has them all
    Index n_column_pairs    # pairs of columns that are nonzero in the same row
    const int *column_pair  # number of such a pair, packed by columns
    # Auxiliary predictors in use: n_channels of them.
    Index n_channels
    int channel[CHANNELS]               # LOG_SCALE, LOWER or UPPER
    const double *aux[CHANNELS]         # values, by LOG_SCALE, LOWER, UPPER; NULL if unused
    const long long *aux_start[CHANNELS]
    const int *aux_column[CHANNELS]
    const double *aux_value[CHANNELS]
    Index n_gathered        # level-2 units whose scores are multiplied together
    bint derivatives
    bint moments
    double *first_derivatives   # (n_rows, n_channels): expected, or NULL
    Level level[MAX_LEVELS]
    # Most units of a level (1: rows, 0: entries) inside a unit of a level above it.
    Index largest[MAX_LEVELS][MAX_LEVELS]


cdef struct Work:
    # Scratch of one thread. Arrays indexed by level where each level needs its own.
    # At level 2 "nodes" means its places.
    double *base            # (rows of a block) linear predictor, constant part
    double *linear          # (rows of a block, n_latent) coefficients of latent variables
    double *odds            # (rows of a block), with most: see bernoulli.pxd
    double most
    double *column_moments  # (pairs of columns; pairs of latent variables, packed[; LANES])
    # With by_columns: (pairs of columns, nodes), and (pairs of latent variables, packed, nodes).
    double *column_second
    double *latent_products
    double *e               # level 2: (n_latent, nodes) placed innovations
    double *row_factor      # (rows of a level-2 unit)
    double *v[MAX_LEVELS]   # level 2: (n_latent, nodes); above: (nodes, n_latent)
    double *v_path          # (1 + n_latent) current values, v[0] = 1
    double *e_path          # (1 + n_latent) their placed innovations
    double *log_posterior[MAX_LEVELS]
    # Level 2: (parameters, units gathered, nodes); above: (nodes, parameters).
    double *score[MAX_LEVELS]
    Index gathered
    double *mean_score[MAX_LEVELS]
    double *spread[MAX_LEVELS]   # above level 2: (nodes, parameters, parameters)
    double *column_score    # (columns + auxiliary parameters, nodes)
    double *nu
    double *f
    double *f1
    double *f2              # kept for a whole level-2 unit: (entries, nodes)
    double *fa[CHANNELS]    # (rows, nodes); kept for the unit: needed for their means
    double *fna[CHANNELS]   # kept
    double *faa[6]          # kept; pairs of auxiliary predictors, packed
    double *weighted        # (nodes)
    double *row_moments[MAX_LEVELS]      # collapsed over nodes of the level below
    double *row_out[MAX_LEVELS]          # where a unit of this level writes
    double *unit_moments[MAX_LEVELS][MAX_LEVELS]
    double *unit_out[MAX_LEVELS][MAX_LEVELS]
    double apart[APART]     # keeps the threads' scratch from sharing cache lines


cdef inline Index packed(Index n) noexcept nogil:
    # Not a division, which Python's rules would burden with checks.
    return (n * (n + 1)) >> 1


cdef inline Index dims(const Model *g, Index level) noexcept nogil:
    """Latent variables up to and including a level."""
    return g.level[level].below + g.level[level].n_latent


cdef inline Index entry_size(const Model *g, Index level) noexcept nogil:
    """Moments of an entry; see ``moments.pxd`` for their order."""
    cdef Index d = dims(g, level)
    return packed(d + 1) + g.n_channels * (d + 2) + packed(g.n_channels)


cdef inline Index moment_size(const Model *g, Index level, Index at) noexcept nogil:
    """Moments of a unit's own latent variables, cross moments up to level ``at``."""
    cdef Index n = g.level[level].n_latent
    return n + packed(n) + n * (dims(g, at) - dims(g, level))


cdef inline Index column_moments_size(const Model *g) noexcept nogil:
    cdef Index size = packed(g.n_latent + 1)
    return g.n_column_pairs * size * LANES if g.by_columns else packed(g.n_columns) * size


cdef inline int kind_of(const Model *g, Index i) noexcept nogil:
    return g.kind[i * g.kind_stride]


cdef struct Row:
    # What design columns a row has, ascending, and their values.
    Index n
    const int *column
    const double *value


cdef inline bint is_dense(const Model *g) noexcept nogil:
    """Whether every row has all columns, so that values are (n_rows, n_columns)."""
    return g.row_start == NULL


cdef inline Row row_of(const Model *g, Index i) noexcept nogil:
    cdef Row row
    if is_dense(g):
        row.n = g.n_columns
        row.column = g.every_column
        row.value = g.value + i * g.n_columns
    else:
        row.n = g.row_start[i + 1] - g.row_start[i]
        row.column = g.column + g.row_start[i]
        row.value = g.value + g.row_start[i]
    return row


cdef inline Index entry_of(const Model *g, Index i) noexcept nogil:
    """First entry of a row, or the number of entries of all rows before it."""
    return i if g.entry_start == NULL else g.entry_start[i]


cdef inline Index first_below(const Model *g, Index level, Index unit, Index target) noexcept nogil:
    """First unit of level ``target`` (1 for rows) inside a unit of ``level``."""
    while level > target:
        unit = g.level[level].first[unit]
        level -= 1
    return unit


cdef inline Index first_entry(const Model *g, Index level, Index unit) noexcept nogil:
    """First entry inside a unit of ``level``."""
    return entry_of(g, first_below(g, level, unit, 1))


cdef inline Index largest_unit(const Model *g, Index level, Index target) noexcept nogil:
    """Most units of level ``target`` (1: rows, 0: entries) inside a unit of ``level``."""
    cdef Index j, n, largest = 0
    for j in range(g.level[level].n_units):
        if target == 0:
            n = first_entry(g, level, j + 1) - first_entry(g, level, j)
        else:
            n = first_below(g, level, j + 1, target) - first_below(g, level, j, target)
        if n > largest:
            largest = n
    return largest


cdef inline double *take(double *memory, Index *used, Index n) noexcept nogil:
    used[0] += n
    return memory + used[0] - n


cdef inline Index lay_out(const Model *g, Work *w, double *memory) noexcept nogil:
    """Assign the scratch arrays inside ``memory`` (NULL to only count); return doubles needed."""
    cdef Index used = 0, R, level, t, c, K = g.n_parameters, top = g.n_levels
    cdef Index R2 = g.level[2].places
    # A block holds at least one row, and never part of a group.
    cdef Index chunk = CHUNK + R2 * g.largest_group
    cdef Index rows_two = g.largest[2][1]
    cdef Index d = 1 if g.derivatives else 0

    w.base = take(memory, &used, g.largest_block)
    w.linear = take(memory, &used, g.largest_block * g.n_latent)
    w.odds = take(memory, &used, g.largest_block if g.bernoulli != NULL else 0)
    w.column_moments = take(memory, &used, column_moments_size(g) * d)
    if g.by_columns:
        w.column_second = take(memory, &used, g.n_column_pairs * R2 * d)
        w.latent_products = take(memory, &used, packed(g.n_latent + 1) * R2 * d)
    w.e = take(memory, &used, R2 * g.level[2].n_latent)
    w.row_factor = take(memory, &used, rows_two)
    w.v_path = take(memory, &used, g.n_latent + 1)
    w.e_path = take(memory, &used, g.n_latent + 1)
    w.nu = take(memory, &used, chunk)
    w.f = take(memory, &used, chunk)
    w.f1 = take(memory, &used, chunk)
    w.f2 = take(memory, &used, g.largest[2][0] * R2 * d)
    for t in range(g.n_channels):
        c = g.channel[t]
        w.fa[c] = take(memory, &used, rows_two * R2 * d)
        w.fna[c] = take(memory, &used, rows_two * R2 * d)
        for level in range(t + 1):
            w.faa[packed(c) + g.channel[level]] = take(memory, &used, rows_two * R2 * d)
    w.weighted = take(memory, &used, R2)
    w.column_score = take(memory, &used, (g.n_columns + g.n_aux) * R2 * d)
    for level in range(2, top + 1):
        R = R2 if level == 2 else g.level[level].n_nodes
        w.v[level] = take(memory, &used, R * g.level[level].n_latent)
        w.log_posterior[level] = take(memory, &used, R)
        w.score[level] = take(
            memory, &used, R * K * d * (g.n_gathered if level == 2 else 1)
        )
        w.mean_score[level] = take(memory, &used, K * d)
        if level == 2:
            continue
        w.spread[level] = take(memory, &used, R * K * K * d)
        w.row_moments[level] = take(
            memory, &used, R * g.largest[level][0] * entry_size(g, level - 1) * d
        )
        if g.moments:
            for t in range(2, level):
                w.unit_moments[level][t] = take(
                    memory, &used, R * g.largest[level][t] * moment_size(g, t, level - 1)
                )
    w.row_moments[top + 1] = take(memory, &used, g.largest[top][0] * entry_size(g, top) * d)
    return used + APART
