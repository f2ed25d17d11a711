"""Shows results again."""

from __future__ import annotations

from dataclasses import replace

from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret.outcomes import Estimated
from gllamm_cli.interpret.run import Run
from gllamm_cli.model.spec import DisplayOptions
from gllamm_cli.report.regression import regression_lines


def show_estimates(run: Run, estimates: Estimates, options: str = "") -> None:
    """Print the table of an estimation; ``options`` may say ``eform``."""
    if estimates.fit is not None:
        display = replace(DisplayOptions(), eform="eform" in options)
        run.interpreter.emit(Estimated(run.span.source, estimates.fit, display))
    else:
        exponentiate = True if "eform" in options else None
        run.print(*regression_lines(estimates, exponentiate=exponentiate))
