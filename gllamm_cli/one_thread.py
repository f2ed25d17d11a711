"""Linear algebra of a process that only fits models keeps to one thread.

OpenBLAS and MKL read their number of threads when they are loaded; to change it later takes a
search for the libraries. It is set where the process is ours: at the command line.
"""

from __future__ import annotations

import os
import sys

VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def keep_libraries_to_one_thread() -> None:
    """Say so before numpy is loaded; afterwards it has no effect, and none is claimed."""
    if "numpy" not in sys.modules:
        for variable in VARIABLES:
            os.environ.setdefault(variable, "1")


def libraries_have_one_thread() -> bool:
    """Whether that was said, here or by the user."""
    return all(os.environ.get(variable) == "1" for variable in VARIABLES)
