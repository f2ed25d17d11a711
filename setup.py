"""The compiled modules; everything else is in ``pyproject.toml``.

The kernel is compiled once for each instruction set that it gains from; ``estimate/kernel.py``
takes the best one that the processor has.
"""

import os
import platform
from pathlib import Path

from setuptools import Extension, setup

X86 = platform.machine().lower() in ("x86_64", "amd64")
AVX2 = ["-mavx2", "-mfma", "-mbmi", "-mbmi2"]
INSTRUCTIONS = {
    "portable": [],
    **(
        {
            "avx2": AVX2,
            "avx512": [
                *AVX2,
                *(f"-mavx512{part}" for part in ("f", "cd", "bw", "dq", "vl")),
                "-mprefer-vector-width=512",
            ],
        }
        if X86
        else {}
    ),
}
# Vector exp and log come from libmvec, which GCC calls only under relaxed math. These flags give
# it that much and no more: NaN and infinities keep their meaning, and nothing is set at link time.
RELAXED = [
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-fassociative-math",
    "-D__FAST_MATH__",
]
HEADERS = sorted(
    path.as_posix() for path in Path("_ext").iterdir() if path.suffix in (".h", ".pxd", ".pxi")
)


def parallel(name: str, source: str, flags: list[str]) -> Extension:
    """Return a module whose loops are shared among threads."""
    return Extension(
        f"gllamm_cli.{name}",
        [f"_ext/{source}.pyx"],
        depends=HEADERS,
        include_dirs=["_ext"],
        libraries=["m"],
        extra_compile_args=["-O3", "-fopenmp", *flags],
        extra_link_args=["-fopenmp"],
    )


setup(
    ext_modules=[
        # The kernel for each instruction set.
        *(
            parallel(f"_kernel_{name}", f"kernel_{name}", [*RELAXED, *flags])
            for name, flags in INSTRUCTIONS.items()
        ),
        Extension(
            "gllamm_cli._auxiliary",
            ["_ext/auxiliary.pyx"],
            libraries=["m"],
            extra_compile_args=["-O3"],
        ),
        parallel("_columns", "columns", RELAXED),
        parallel("_gaussian", "gaussian", RELAXED),
        Extension(
            "gllamm_cli._hermite", ["_ext/hermite.pyx"], libraries=["m"], extra_compile_args=["-O2"]
        ),
        Extension("gllamm_cli._hashing", ["_ext/hashing.pyx"], extra_compile_args=["-O3"]),
        Extension("gllamm_cli._memory", ["_ext/memory.pyx"]),
        Extension("gllamm_cli._numbers", ["_ext/numbers.pyx"], extra_compile_args=["-O3"]),
        parallel("_placement", "placement", []),
        Extension("gllamm_cli._processor", ["_ext/processor.pyx"]),
        parallel("_scanning", "scanning", RELAXED),
    ],
    options={"build_ext": {"parallel": os.cpu_count()}},
)
