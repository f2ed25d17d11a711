"""How the compiled modules were built."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "_ext"
STARTS_THREADS = (b"GOMP_parallel", b"__kmpc_fork_call")
"""What loops call that are shared among threads, as GCC and as Clang compile them."""


def parallel_modules():
    """Names of modules with loops for several threads, their own or the kernel's."""
    for path in sorted(SOURCES.glob("*.pyx")):
        text = path.read_text(encoding="utf-8")
        if "prange(" in text or "kernel.pxi" in text:
            yield f"gllamm_cli._{path.stem}"


def test_modules_with_such_loops_are_found():
    assert {"gllamm_cli._kernel_portable", "gllamm_cli._scanning"} <= set(parallel_modules())


@pytest.mark.parametrize("name", list(parallel_modules()))
def test_loops_for_several_threads_are_compiled_as_such(name):
    """Without the compiler's option they run, in one."""
    spec = find_spec(name)
    if spec is None and "_avx" in name:
        pytest.skip("not built for this kind of processor")
    compiled = Path(spec.origin).read_bytes()
    assert any(call in compiled for call in STARTS_THREADS)
