# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Fields of a text table as numbers.

One pass over the text, field by field, into columns. Only what has one meaning
is accepted: empty fields, signs of missing values and decimal numbers. At
anything else (quotes, text, lines of other lengths) the reader gives up, so that
the caller can turn to a reader that knows all dialects.

A decimal number of digits d with exponent e is d * 10**e. If d is at most 2**53 and
|e| at most 22, both are exact in double precision, and one multiplication or
division rounds correctly (Clinger 1990, How to read floating point numbers
accurately); otherwise Python's own conversion does.
"""

from libc.math cimport isfinite, NAN
from libc.stdint cimport uint64_t

cdef extern from "Python.h":
    double PyOS_string_to_double(const char*, char**, void*) except? -1.0

cdef enum:
    HAS_MISSING = 1
    HAS_FRACTION = 2
    MOST_DIGITS = 19  # of any 64-bit number
    LONGEST_WHOLE = 18
    LARGEST_POWER = 22

cdef uint64_t LARGEST_EXACT = <uint64_t> 1 << 53

cdef double[23] POWERS
POWERS[:] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
]


cdef inline bint is_digit(char c) noexcept nogil:
    return c"0" <= c <= c"9"


cdef inline bint ends(char c, char separator) noexcept nogil:
    """Whether a field ends before this character."""
    return c == separator or c == c"\n" or c == c"\r"


cdef inline const char* skip_missing(const char* at, char separator) noexcept nogil:
    """End of a sign of a missing value; NULL if the field is something else."""
    if ends(at[0], separator):
        return at
    if at[0] == c".":
        if ends(at[1], separator):
            return at + 1
        if c"a" <= at[1] <= c"z" and ends(at[2], separator):
            return at + 2
    elif at[0] == c"N" and at[1] == c"A" and ends(at[2], separator):
        return at + 2
    elif at[0] == c"N" and at[1] == c"a" and at[2] == c"N" and ends(at[3], separator):
        return at + 3
    elif at[0] == c"n" and at[1] == c"a" and at[2] == c"n" and ends(at[3], separator):
        return at + 3
    return NULL


cdef const char* read_number(
    const char* at, char separator, double* value, unsigned char* kind
) except? NULL:
    """Read a decimal number; returns its end, or NULL if the field is something else."""
    cdef const char* start = at
    cdef bint negative = at[0] == c"-"
    cdef bint fraction = False
    cdef int n_digits = 0
    cdef int power = 0
    cdef int exponent = 0
    cdef bint small
    cdef uint64_t digits = 0
    cdef char* end = NULL
    if negative or at[0] == c"+":
        at += 1
    cdef const char* first = at
    while is_digit(at[0]):
        if n_digits < MOST_DIGITS:
            digits = 10 * digits + <uint64_t> (at[0] - c"0")
        n_digits += digits > 0
        at += 1
    cdef Py_ssize_t n_characters = at - first
    if at[0] == c".":
        fraction = True
        at += 1
        first = at
        while is_digit(at[0]):
            if n_digits < MOST_DIGITS:
                digits = 10 * digits + <uint64_t> (at[0] - c"0")
                power -= 1
            n_digits += digits > 0
            at += 1
        n_characters += at - first
    if n_characters == 0:
        return NULL
    if at[0] == c"e" or at[0] == c"E":
        fraction = True
        at += 1
        small = at[0] == c"-"
        if small or at[0] == c"+":
            at += 1
        if not is_digit(at[0]):
            return NULL
        while is_digit(at[0]):
            if exponent < 10000:
                exponent = 10 * exponent + (at[0] - c"0")
            at += 1
        power += -exponent if small else exponent
    if not ends(at[0], separator):
        return NULL
    if fraction:
        kind[0] |= HAS_FRACTION
    elif n_characters > LONGEST_WHOLE or digits > LARGEST_EXACT:
        # Identifiers may be longer than float64 is precise.
        return NULL
    if (
        n_digits <= MOST_DIGITS
        and digits <= LARGEST_EXACT
        and -LARGEST_POWER <= power <= LARGEST_POWER
    ):
        value[0] = <double> digits
        value[0] = value[0] * POWERS[power] if power >= 0 else value[0] / POWERS[-power]
        if negative:
            value[0] = -value[0]
        return at
    value[0] = PyOS_string_to_double(start, &end, NULL)
    return at if end == at and isfinite(value[0]) else NULL


def read_rows(
    bytes text, str separator, double[:, ::1] columns, Py_ssize_t row, unsigned char[::1] kinds
):
    """Read whole lines into ``columns[:, row:]``; see the stub."""
    cdef const char* at = text
    cdef const char* stop = at + len(text)
    cdef const char* end
    cdef char mark = <char> ord(separator)
    cdef Py_ssize_t n_columns = columns.shape[0]
    cdef Py_ssize_t c
    if columns.shape[1] < row + text.count(b"\n") or kinds.shape[0] != n_columns:
        raise ValueError("columns are too short")
    if not text.endswith(b"\n"):
        raise ValueError("the last line has no end")
    while at < stop:
        if at[0] == c"\n" or (at[0] == c"\r" and at[1] == c"\n"):
            at += 1 + (at[0] == c"\r")
            continue
        if at[0] == c" ":
            return -1
        for c in range(n_columns):
            while at[0] == c" ":
                at += 1
            end = skip_missing(at, mark)
            if end != NULL:
                columns[c, row] = NAN
                kinds[c] |= HAS_MISSING
            else:
                end = read_number(at, mark, &columns[c, row], &kinds[c])
                if end == NULL:
                    return -1
            at = end
            if c + 1 < n_columns:
                if at[0] != mark:
                    return -1
                at += 1
        if at[0] == c"\r":
            at += 1
        if at[0] != c"\n":
            return -1
        at += 1
        row += 1
    return row
