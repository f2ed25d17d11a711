"""On a terminal text gets colour but keeps every character where it is."""

import io

import published
import pytest
from rich.console import Console

from gllamm_cli.model.spec import DisplayOptions, Request
from gllamm_cli.report.terminal import Silence, StyledOutput, Watcher, live_text, style_of
from gllamm_cli.report.text import fit_lines


def terminal(width=78, colour=None):
    return Console(
        file=io.StringIO(), force_terminal=True, width=width, color_system=colour, _environ={}
    )


@pytest.mark.parametrize("width", [20, 78, 200])
def test_lines_are_never_laid_out_again(width):
    console = terminal(width)
    lines = fit_lines(published.lsat(), DisplayOptions(all_coefficients=True))
    StyledOutput(console).lines([*lines, "[bold]markup is text[/bold] :smile:"])
    printed = console.file.getvalue().splitlines()
    assert printed == [*lines, "[bold]markup is text[/bold] :smile:"]


def test_colour_is_added():
    console = terminal(colour="standard")
    StyledOutput(console).lines(["note: beware"])
    assert console.file.getvalue() == "\x1b[33mnote: beware\x1b[0m\n"


@pytest.mark.parametrize(
    ("line", "style"),
    [
        ("-" * 78, "dim"),
        ("-------------+-----", "dim"),
        ("note: a note", "yellow"),
        ("convergence not achieved", "bold red"),
        ("gllamm model with constraints", "bold"),
        ("***level 2 (id)", "bold"),
        ("Variance at level 1", "bold"),
        ("       _cons |   30.68167   .2952553", ""),
        ("", ""),
    ],
)
def test_looks(line, style):
    assert style_of(line) == style


class Kept:
    def __init__(self):
        self.text = []

    def lines(self, lines):
        self.text.extend(lines)


def request(**display):
    fit = published.towerl()
    return Request(fit.command, fit.spec, DisplayOptions(**display))


def test_a_watcher_prints_the_log_as_it_comes():
    kept = Kept()
    watcher = Watcher(kept)
    watcher.started(request())
    for record in published.towerl().iterations:
        watcher.iterated(record)
    assert kept.text == [
        "Iteration 0:   log likelihood =     -306.5  (not concave)",
        "Iteration 1:   log likelihood = -305.11873  ",
    ]


def test_trace_comes_first_and_nolog_is_obeyed():
    kept = Kept()
    watcher = Watcher(kept)
    watcher.started(request(trace=True, log=False))
    watcher.iterated(published.towerl().iterations[0])
    assert kept.text[1] == "General model information"
    assert not any(line.startswith("Iteration") for line in kept.text)


def test_the_live_line_disappears():
    console = terminal()
    watcher = Watcher(Silence(), console)
    watcher.started(request())
    watcher.iterated(published.towerl().iterations[1])
    watcher.close()
    shown = console.file.getvalue()
    assert "iteration 1: log likelihood -305.11873" in shown
    assert shown.endswith("\x1b[2K")


def test_the_live_line_names_the_stage():
    record = published.IterationRecord("adaptive", 3, -10.5, 1.0)
    assert live_text(record) == "adaptive quadrature, iteration 3: log likelihood -10.5"
