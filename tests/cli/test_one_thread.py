"""The command line tells linear algebra to keep to one thread before it is loaded."""

import os
import subprocess
import sys

import pytest

VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PROGRAM = """
import sys
from threadpoolctl import threadpool_info
from gllamm_cli.one_thread import keep_libraries_to_one_thread, libraries_have_one_thread
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
