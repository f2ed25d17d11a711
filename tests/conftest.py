"""What all tests share: helpers, the option ``--slow`` and the published data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Test modules import the helpers beside this file and in these folders by name.
for folder in ("fixtures", "reference", "reference/r"):
    sys.path.insert(0, str(Path(__file__).parent / folder))


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config, items):
    # -m slow asks for them by name.
    if config.getoption("--slow") or "slow" in (config.getoption("-m") or ""):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_folder():
    """Return the folder of published data; tests that need it are skipped without."""
    import golden_data

    folder = golden_data.shared_folder()
    if folder is None:
        pytest.skip(f"no published data: set {golden_data.SHARED_VARIABLE} to their folder")
    return folder
