"""How many threads compute, and who may start them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from gllamm_cli.process import libraries_have_one_thread

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


FEWEST_FOR_BLAS_THREADS = 10
"""Rows of a matrix from which BLAS shares many products among threads."""
FEWEST_ROWS = 200_000
"""Rows of a design that takes so long to evaluate that a few such products matter."""


def available_threads() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _libraries() -> ThreadpoolController:
    # Looked up once; numpy has loaded its linear algebra by now.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread_in_libraries(n_parameters: int, n_rows: int) -> Iterator[None]:
    """Keep linear algebra to one thread while the kernel's threads are at work.

    Threads of BLAS spin for a while after each product, on processors that the
    kernel wants. For matrices of few parameters and rows that takes no longer than to look
    for the libraries.
    """
    small = n_parameters < FEWEST_FOR_BLAS_THREADS and n_rows < FEWEST_ROWS
    if small or libraries_have_one_thread():
        yield
        return
    with _libraries().limit(limits=1, user_api="blas"):
        yield
