"""How a process that is ours, and only fits models, uses the machine.

Linear algebra keeps to one thread: OpenBLAS and MKL read their number of threads when they are
loaded, and to change it later takes a search for the libraries.

Threads that wait for each other sleep soon. GNU's OpenMP lets them turn in circles for
milliseconds, which they take from the very thread they wait for where another program keeps a
processor busy: a fit took ten times as long.

Memory that arrays give up is kept for later ones. By default glibc returns every larger array to
the system, which hands its pages out afresh, cleared, one by one: an evaluation of the log
likelihood may take as long.
"""

from __future__ import annotations

import os
import sys

from gllamm_cli._memory import keep_freed_memory

VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

SPINS = "1000"
"""Turns before a waiting thread sleeps: some microseconds, as long as it takes to wake it."""


def own_process() -> None:
    """Set all this up; to be called before numpy is loaded."""
    keep_freed_memory()
    keep_libraries_to_one_thread()
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def keep_libraries_to_one_thread() -> None:
    """Say so before numpy is loaded; afterwards it has no effect, and none is claimed."""
    if "numpy" not in sys.modules:
        for variable in VARIABLES:
            os.environ.setdefault(variable, "1")


def libraries_have_one_thread() -> bool:
    """Whether that was said, here or by the user."""
    return all(os.environ.get(variable) == "1" for variable in VARIABLES)
