# cython: language_level=3, cdivision=True
"""Joint posterior weights of the nodes that the units of level 2 see.

A unit of level 2 is integrated at every combination of nodes of the levels
above. Combinations are numbered with the top level slowest: with R_l nodes at
level l, combination (q_L, ..., q_2) stands in column

    (...(q_L R_{L-1} + q_{L-1}) ... ) R_2 + q_2,

and its posterior weight is the product of the conditional weights of its nodes.
"""

from integrate cimport (
    log_scales, normalise, normalise_places, place_node, place_nodes, prepare_rows,
)
from model cimport Index, Level, Model, Work, first_below
from rows cimport evaluate_rows
from strided cimport element


cdef inline Index n_combinations(const Model *g, Index level) noexcept nogil:
    """Combinations of nodes of the levels from 2 to ``level``."""
    cdef Index t, n = 1
    for t in range(2, level + 1):
        n *= g.level[t].n_nodes
    return n


cdef inline double weigh_nodes(
    const Model *g, Work *w, Index level, Index unit, Index top_row, Index first_unit,
    Index column, double *weights, double *values
) noexcept nogil:
    """Fill the weights of a unit's combinations given the nodes above; return its log likelihood.

    ``weights`` is (level-2 units from ``first_unit`` on, combinations), ``values``
    (units, combinations, latent variables) or NULL; ``column`` is the first of
    the combinations with the present nodes of the levels above.
    """
    cdef const Level *lev = &g.level[level]
    cdef Index R = lev.n_nodes, places = lev.places, all = n_combinations(g, g.n_levels)
    cdef Index inner = n_combinations(g, level - 1), q, c, m, u, s, at
    cdef double *p = w.log_posterior[level]
    cdef double value, widening = log_scales(lev, unit)
    if level == 2:
        place_nodes(g, w, unit, p)
        if values != NULL:
            for q in range(R):
                at = (unit - first_unit) * all + column + q
                for m in range(g.n_latent):
                    values[at * g.n_latent + m] = (
                        w.v[2][m * places + q] if m < lev.n_latent else w.v_path[m + 1]
                    )
        evaluate_rows(g, w, unit, top_row)
        value = normalise_places(p, R, places)
        for q in range(R):
            weights[(unit - first_unit) * all + column + q] = p[q]
        return value
    for q in range(R):
        p[q] = place_node(g, w, level, unit, q) + widening
        for c in range(lev.first[unit], lev.first[unit + 1]):
            value = weigh_nodes(
                g, w, level - 1, c, top_row, first_unit, column + q * inner, weights, values
            )
            p[q] += element(g.level[level - 1].weight, c) * value
    value = normalise(p, R)
    for u in range(first_below(g, level, unit, 2), first_below(g, level, unit + 1, 2)):
        at = (u - first_unit) * all + column
        for q in range(R):
            for s in range(q * inner, (q + 1) * inner):
                weights[at + s] *= p[q]
    return value


cdef inline void weigh_cluster(
    const Model *g, Work *w, Index cluster, Index first_unit, double *weights, double *values
) noexcept nogil:
    """All level-2 units of one top-level cluster."""
    cdef Index top = g.n_levels
    cdef Index begin = first_below(g, top, cluster, 1)
    prepare_rows(g, w, cluster, cluster + 1)
    weigh_nodes(g, w, top, cluster, begin, first_unit, 0, weights, values)
