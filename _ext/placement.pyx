# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""Nodes of the units of one level from their posterior moments; see ``estimate/adapt.py``.

Units do not depend on each other, so they are shared among threads in pieces.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, fabs, log, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

import numpy as np

ctypedef Py_ssize_t Index

cdef enum:
    PIECE = 512             # units that a thread takes at a time
    APART = 16              # doubles between what two threads write


cdef struct Task:
    Index own               # latent variables of the level
    Index below             # of lower levels
    Index total
    Index size              # moments of a unit
    bint cautious
    double least_scale
    double largest_shrinkage
    double longest_stride
    const double *moments   # (units, size), in the order of moments.pxd
    const long long *parent     # (units,) or NULL at the top
    # Of the level above: mean, its change, shift and d of each variable (4, total), and U.
    const double *above
    const double *above_mix
    const double *old_shift     # (units, own)
    const double *old_scale
    const double *old_mix       # (units, own, total)
    const double *old_mean
    # OUT
    double *shift
    double *scale
    double *mix
    double *mean
    double *state           # as ``above``, for the level below; NULL at the lowest
    double *state_mix


cdef inline double place_alone(const Task *t, Index begin, Index end) noexcept nogil:
    """``place`` for units whose only latent variable is the model's only one."""
    cdef Index j
    cdef double mean, least, scale, ratio, moved, furthest = 0.0, largest = 1.0
    cdef bint finite = True
    for j in range(begin, end):
        mean = t.moments[2 * j]
        least = t.least_scale
        if t.cautious:
            least = max(least, t.old_scale[j] / t.largest_shrinkage)
            least = max(least, fabs(mean - t.old_mean[j]) / t.longest_stride)
        scale = sqrt(max(t.moments[2 * j + 1] - mean * mean, least * least))
        t.shift[j] = mean
        t.scale[j] = scale
        t.mean[j] = mean
        t.mix[j] = 1.0
        ratio = scale / t.old_scale[j]
        largest = max(largest, ratio if ratio > 1.0 else 1.0 / ratio)
        moved = fabs(mean - t.old_shift[j]) / scale
        furthest = max(furthest, moved)
        finite = finite and moved < INFINITY and ratio < INFINITY
    return max(furthest, log(largest)) if finite else INFINITY


cdef inline double place(const Task *t, Index unit, double *scratch) noexcept nogil:
    """Place the nodes of a unit; return how far they moved.

    ``scratch`` holds (4 + total) * total numbers.
    """
    cdef Index own = t.own, total = t.total, below = t.below, i, j, h, column
    cdef double *mean = scratch
    cdef double *change = scratch + total
    cdef double *shift = scratch + 2 * total
    cdef double *variance = scratch + 3 * total
    cdef double *mix = scratch + 4 * total
    cdef const double *first = t.moments + unit * t.size
    cdef const double *second = first + own
    cdef const double *cross = second + own * (own + 1) // 2
    cdef double *row
    cdef double value, d, rest, least, travelled, furthest = 0.0, ratio, largest = 1.0
    if t.parent == NULL:
        memset(scratch, 0, (4 + total) * total * sizeof(double))
    else:
        memcpy(scratch, t.above + t.parent[unit] * 4 * total, 4 * total * sizeof(double))
        memcpy(
            mix, t.above_mix + t.parent[unit] * total * total, total * total * sizeof(double)
        )
    for i in range(own):
        mean[below + i] = first[i]
        change[below + i] = first[i] - t.old_mean[unit * own + i]
    for i in range(own - 1, -1, -1):
        column = below + i
        row = mix + column * total
        memset(row, 0, total * sizeof(double))
        for j in range(total - 1, column, -1):
            # Covariance with a later variable of the level, or with one of a level above.
            if j < below + own:
                value = second[(j - below) * (j - below + 1) // 2 + i]
            else:
                value = cross[(j - below - own) * own + i]
            value -= first[i] * mean[j]
            for h in range(j + 1, total):
                value -= row[h] * mix[j * total + h] * variance[h]
            row[j] = value / variance[j]
        d = second[i * (i + 1) // 2 + i] - first[i] * first[i]
        for j in range(column + 1, total):
            rest = d - row[j] * row[j] * variance[j]
            if rest > 0.0:
                d = rest
            else:
                row[j] = 0.0
        row[column] = 1.0
        shift[column] = mean[column]
        travelled = change[column]
        for j in range(column + 1, total):
            shift[column] -= row[j] * shift[j]
            # How far the variable moved, given the variables that come before it.
            travelled -= row[j] * change[j]
        least = t.least_scale
        if t.cautious:
            least = max(least, t.old_scale[unit * own + i] / t.largest_shrinkage)
            least = max(least, fabs(travelled) / t.longest_stride)
        variance[column] = max(d, least * least)
        value = sqrt(variance[column])
        t.shift[unit * own + i] = shift[column]
        t.scale[unit * own + i] = value
        t.mean[unit * own + i] = first[i]
        memcpy(t.mix + (unit * own + i) * total, row, total * sizeof(double))
        ratio = value / t.old_scale[unit * own + i]
        largest = max(largest, ratio if ratio > 1.0 else 1.0 / ratio)
        furthest = max(furthest, fabs(shift[column] - t.old_shift[unit * own + i]) / value)
        for j in range(total):
            furthest = max(furthest, fabs(row[j] - t.old_mix[(unit * own + i) * total + j]))
        if not (furthest < INFINITY and largest < INFINITY):
            furthest = INFINITY
            largest = 1.0
    if t.state != NULL:
        memcpy(t.state + unit * 4 * total, scratch, 4 * total * sizeof(double))
        memcpy(t.state_mix + unit * total * total, mix, total * total * sizeof(double))
    return max(furthest, log(largest))


def place_level(
    const double[:, ::1] moments, const long long[::1] parent, above, Index below, Index total,
    bint lowest, old, bint cautious, double least_scale, double largest_shrinkage,
    double longest_stride, int threads,
):
    """Place the nodes of the units of a level.

    Parameters
    ----------
    moments : (units, size)
    parent : (units,), empty at the top
        Unit of the level above.
    above : (state, mix) of the level above, or None at the top
    below, total : int
        Latent variables of lower levels, and of all.
    lowest : bool
        Whether there is no level below, which would need the state.
    old : (shift, scale, mix, mean)
        The present nodes.
    cautious, least_scale, largest_shrinkage, longest_stride
        Bounds; see ``adapt.refresh``.
    threads : int

    Returns
    -------
    (shift, scale, mix, mean), (state, mix) or None, and the furthest movement
    """
    cdef Task task
    cdef Index units = moments.shape[0], own, j, p, pieces = (units + PIECE - 1) // PIECE
    cdef const double[:, ::1] above_state
    cdef const double[:, :, ::1] above_mix
    cdef const double[:, ::1] old_shift, old_scale, old_mean
    cdef const double[:, :, ::1] old_mix
    old_shift, old_scale, old_mix, old_mean = old
    own = old_shift.shape[1]
    if own == 0:
        # Nothing to place: what the level below needs is that of the level above.
        none = np.zeros((units, 0))
        passed = None
        if not lowest:
            passed = (
                (np.zeros((units, 4 * total)), np.zeros((units, total, total)))
                if above is None
                else tuple(np.ascontiguousarray(x[np.asarray(parent)]) for x in above)
            )
        return (none, none, np.zeros((units, 0, total)), none), passed, 0.0
    shift_, scale_, mean_ = (np.empty((units, own)) for _ in range(3))
    mix_ = np.empty((units, own, total))
    cdef double[:, ::1] shift = shift_
    cdef double[:, ::1] scale = scale_
    cdef double[:, ::1] mean = mean_
    cdef double[:, :, ::1] mix = mix_
    cdef double[:, ::1] state
    cdef double[:, :, ::1] state_mix
    task.own, task.below, task.total, task.size = own, below, total, moments.shape[1]
    task.cautious = cautious
    task.least_scale = least_scale
    task.largest_shrinkage = largest_shrinkage
    task.longest_stride = longest_stride
    task.moments = &moments[0, 0]
    task.parent = NULL
    task.above = NULL
    task.above_mix = NULL
    if above is not None:
        above_state, above_mix = above
        task.parent = &parent[0]
        task.above = &above_state[0, 0]
        task.above_mix = &above_mix[0, 0, 0]
    task.old_shift = &old_shift[0, 0]
    task.old_scale = &old_scale[0, 0]
    task.old_mix = &old_mix[0, 0, 0]
    task.old_mean = &old_mean[0, 0]
    task.shift = &shift[0, 0]
    task.scale = &scale[0, 0]
    task.mix = &mix[0, 0, 0]
    task.mean = &mean[0, 0]
    task.state = NULL
    task.state_mix = NULL
    kept = None
    if not lowest:
        kept = np.empty((units, 4 * total)), np.empty((units, total, total))
        state, state_mix = kept
        task.state = &state[0, 0]
        task.state_mix = &state_mix[0, 0, 0]
    furthest_ = np.zeros(pieces)
    cdef double[::1] furthest = furthest_
    cdef bint alone = total == 1 and above is None and lowest
    # Alone they take so little time that threads are worth it for many only.
    cdef Index n_threads = max(1, min(<Index>threads, pieces // 32 if alone else pieces))
    cdef Index each = (4 + total) * total + APART
    cdef double *memory = <double *>malloc(n_threads * each * sizeof(double))
    cdef double *scratch
    if memory == NULL:
        raise MemoryError
    with nogil:
        for p in prange(pieces, num_threads=n_threads, schedule="static"):
            scratch = memory + threadid() * each
            if alone:
                furthest[p] = place_alone(&task, p * PIECE, min(units, (p + 1) * PIECE))
                continue
            for j in range(p * PIECE, min(units, (p + 1) * PIECE)):
                furthest[p] = max(furthest[p], place(&task, j, scratch))
    free(memory)
    return (shift_, scale_, mix_, mean_), kept, float(furthest_.max())
