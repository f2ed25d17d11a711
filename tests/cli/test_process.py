"""The command line sets up its process: linear algebra, waiting threads, freed memory."""

import os
import subprocess
import sys

import pytest

VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PROGRAM = """
import sys
from threadpoolctl import threadpool_info
from gllamm_cli.process import keep_libraries_to_one_thread, libraries_have_one_thread
{before}
keep_libraries_to_one_thread()
import numpy
blas = [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]
print(libraries_have_one_thread(), *blas)
"""


def threads_after(before, **environment):
    clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM.format(before=before)],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    said, *threads = done.stdout.split()
    return said == "True", {int(number) for number in threads}


def test_before_numpy_it_is_kept():
    said, threads = threads_after("")
    assert said
    assert threads <= {1}


def test_after_numpy_nothing_is_claimed():
    said, _ = threads_after("import numpy")
    assert not said


def test_the_users_own_wish_stands():
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one processor")
    said, threads = threads_after("", OPENBLAS_NUM_THREADS="2", MKL_NUM_THREADS="2")
    assert not said
    assert threads <= {2}


OWN = """
import os
from gllamm_cli.process import own_process
own_process()
print(os.environ.get("GOMP_SPINCOUNT"))
"""


def spins(**environment):
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", OWN],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_threads_wait_asleep_unless_the_user_says_otherwise():
    assert spins() == "1000"
    assert spins(GOMP_SPINCOUNT="7") == "7"
    assert spins(OMP_WAIT_POLICY="active") == "None"


FAULTS = """
import resource
from gllamm_cli._memory import keep_freed_memory
kept = {set_up}
import numpy as np
def touch():
    [np.ones(300_000) for _ in range(4)]
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    touch()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_touched_anew(set_up):
    done = subprocess.run(
        [sys.executable, "-P", "-c", FAULTS.format(set_up=set_up)],
        capture_output=True,
        text=True,
        check=True,
    )
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


def test_memory_of_arrays_is_used_again():
    """Of several given up at once, which glibc by default returns to the system."""
    kept, faults = pages_touched_anew("keep_freed_memory()")
    if not kept:
        pytest.skip("the C library cannot be told")
    assert faults < 100
