"""The compiled kernel, in the version for this processor."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from gllamm_cli._processor import vector_units
from gllamm_cli.errors import NoSuchKernel

if TYPE_CHECKING:
    from gllamm_cli._kernel_portable import Kernel

CHOICE = "GLLAMM_PY_KERNEL"
"""Environment variable that asks for a version by name."""


@cache
def kernel_class(name: str = "") -> type[Kernel]:
    """Return the class ``Kernel`` compiled for the best instruction set that the processor has.

    Parameters
    ----------
    name
        ``avx512``, ``avx2`` or ``portable``; by default what the environment variable
        GLLAMM_PY_KERNEL says, else the best. Results differ by rounding only.

    Raises
    ------
    NoSuchKernel
        The processor cannot run it.
    """
    runnable = vector_units()
    name = name or os.environ.get(CHOICE, "") or runnable[0]
    if name not in runnable:
        raise NoSuchKernel(
            f"{CHOICE}: {name} does not run here", hint=f"choose among {', '.join(runnable)}"
        )
    module = import_module(f"gllamm_cli._kernel_{name}")
    kernel: type[Kernel] = module.Kernel
    return kernel
