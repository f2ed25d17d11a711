"""Shows results again."""

from __future__ import annotations

from dataclasses import replace

from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret.multilevel import multilevel_lines
from gllamm_cli.interpret.outcomes import Estimated
from gllamm_cli.interpret.run import Run
from gllamm_cli.model.spec import DisplayOptions
from gllamm_cli.report.regression import regression_lines


def show_estimates(run: Run, estimates: Estimates, *, level: float, eform: bool = False) -> None:
    """Print the table of an estimation."""
    exponentiate = True if eform else None
    if estimates.fit is not None:
        display = replace(DisplayOptions(), eform=eform, level=level)
        run.interpreter.emit(Estimated(run.span.source, estimates.fit, display))
    elif estimates.latent is not None:
        run.print(*multilevel_lines(estimates, level=level, exponentiate=exponentiate))
    else:
        run.print(*regression_lines(estimates, level=level, exponentiate=exponentiate))
