"""Where quadrature is so coarse that parameters and nodes chase each other, nodes are held.

The answer is a maximum for the nodes that are reported, and the user is told.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from gllamm_cli.data import Dataset
from gllamm_cli.session import Session

NOTE = "adaptive quadrature has not settled: try with more quadrature points"


def simulate():
    """A standard deviation of 3 with four points each, and nothing at the top level."""
    random = np.random.default_rng(1)
    person = np.arange(320) // 8
    x = random.normal(size=320)
    predictor = 0.3 + 0.5 * x + 3.0 * random.normal(size=40)[person]
    y = (predictor + random.logistic(size=320) > 0) * 1.0
    return pd.DataFrame({"y": y, "x": x, "id": person + 1.0, "top": person // 10 + 1.0})


def test_coarse_quadrature_ends_at_a_maximum_and_says_so():
    session = Session(Dataset.from_frame(simulate()))
    session.run("gllamm y x, i(id top) family(binom) link(logit) adapt nip(4)")
    coarse = session.fit
    assert coarse.converged
    assert len(coarse.iterations) < 100
    assert NOTE in coarse.notes
    assert coarse.iterations[-1].scaled_gradient < 1e-9
    session.run("gllamm y x, i(id top) family(binom) link(logit) adapt nip(21)")
    assert session.fit.converged
    assert NOTE not in session.fit.notes
