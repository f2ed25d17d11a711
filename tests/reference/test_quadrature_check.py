"""Whether more points would change the log likelihood is seen from a part or from all clusters."""

from __future__ import annotations

import numpy as np
import pytest
from test_collapse import FRAME, resolved

from gllamm_cli.estimate.adapt import standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.fit import diagnose
from gllamm_cli.fit.estimator import fit_model
from gllamm_cli.model import design as design_module
from gllamm_cli.model.assemble import build_design
from gllamm_cli.model.parameters import build_parameters

DATA = FRAME.assign(u=np.random.default_rng(5).normal(size=len(FRAME)))
LOGIT = "b x u, i(id) family(binom) link(logit) adapt"


@pytest.fixture
def many_blocks(monkeypatch):
    """Small data have as many blocks as large ones."""
    monkeypatch.setattr(design_module, "TERMS_PER_BLOCK", 64)
    monkeypatch.setattr(diagnose, "MANY_CLUSTERS", 100)
    monkeypatch.setattr(diagnose, "FEWEST_BLOCKS", 8)


@pytest.mark.parametrize("text", [LOGIT, "n x u, i(id top) family(poisson) link(log) adapt nip(3)"])
def test_some_blocks_have_their_share(text, many_blocks):
    """The same numbers as when all are evaluated, for other nodes, too."""
    asked, data = resolved(text, DATA)
    design = build_design(asked.spec, data)[0]
    parameters = build_parameters(asked.spec)
    engine = Engine(design, parameters, 2)
    theta = np.random.default_rng(1).normal(size=parameters.n) * 0.2
    placement = standard_placement(design)
    for one in (engine, engine.with_rules([level.rule for level in design.levels])):
        values = one.contributions(theta, placement)[0]
        wanted = np.add.reduceat(values, one.blocks[:-1])
        chosen = np.array([0, 3, len(wanted) - 1])
        np.testing.assert_array_equal(one.of_blocks(theta, placement, chosen), wanted[chosen])
    with pytest.raises(IndexError):
        engine.of_blocks(theta, placement, np.array([len(wanted)]))


@pytest.mark.parametrize(("points", "clear"), [(15, True), (2, False)])
def test_notes_are_those_of_all_clusters(points, clear, many_blocks, monkeypatch):
    """A part decides where there is no doubt, and notes come from all."""
    judged = []

    def watched(*arguments):
        judged.append(judge(*arguments))
        return judged[-1]

    judge = diagnose._is_clearly_accurate
    monkeypatch.setattr(diagnose, "_is_clearly_accurate", watched)
    found = fit_model(*resolved(f"{LOGIT} nip({points})", DATA))
    assert judged == [clear]
    monkeypatch.setattr(diagnose, "_is_clearly_accurate", lambda *arguments: False)
    plain = fit_model(*resolved(f"{LOGIT} nip({points})", DATA))
    assert found.notes == plain.notes
    assert any("twice the quadrature points" in note for note in found.notes) is not clear
