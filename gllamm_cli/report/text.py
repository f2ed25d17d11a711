"""A fit as Stata text: gllamm's own output, character by character.

Some lines hold a single blank and titles end in one, as gllamm prints them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gllamm_cli.model.spec import DisplayOptions, Purpose
from gllamm_cli.report.blocks import BLANK, level1_lines, random_effect_lines
from gllamm_cli.report.coefficients import all_parameters, fixed_part
from gllamm_cli.report.lrtest import reference_test
from gllamm_cli.report.table import table_lines
from gllamm_cli.stata.format import display, format_count, format_f

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import Fit

NOT_CONVERGED = "convergence not achieved"
HEADER_WIDTH = 48
GATEAUX = "gateaux"
"""Extra result of ``gateaux()`` with ``lf0()``: gain in log likelihood from a new mass."""


def render_fit(fit: Fit, options: DisplayOptions | None = None) -> str:
    """Print a fit as gllamm does after estimation and on replay, without a final newline."""
    return "\n".join(fit_lines(fit, options or DisplayOptions()))


def fit_lines(fit: Fit, options: DisplayOptions) -> list[str]:
    """Lines of ``render_fit``."""
    if nothing_estimated(fit) or not options.display:
        return list(note_lines(fit.notes))
    lines = list(_preamble(fit))
    lines += _units(fit)
    lines += [BLANK, *_header(fit)]
    lines += _above_table(fit)
    lines += _fixed_effects(fit, options)
    lines += level1_lines(fit)
    lines += random_effect_lines(fit)
    if options.all_coefficients:
        lines += _all_coefficients(fit, options)
    lines += note_lines(note for note in fit.notes if note != NOT_CONVERGED)
    return lines


def note_lines(notes: Iterable[str]) -> Iterator[str]:
    """What the user must be told, a line each."""
    return (f"note: {note}" for note in notes)


def nothing_estimated(fit: Fit) -> bool:
    """Whether the model was only set up: after ``noest``, or if ``gateaux()`` found no new mass."""
    no_new_mass = fit.spec.gateaux is not None and not fit.iterations
    return fit.spec.purpose is Purpose.SET_UP or (fit.spec.purpose is Purpose.FIT and no_new_mass)


def lacks_convergence(fit: Fit) -> bool:
    """Whether a maximisation was asked for and did not arrive."""
    maximised = fit.spec.purpose in (Purpose.FIT, Purpose.FIXED_ONLY)
    return maximised and not fit.converged and not nothing_estimated(fit)


def _preamble(fit: Fit) -> Iterator[str]:
    if GATEAUX in fit.extra:
        yield f"maximum gateaux derivative is {display(fit.extra[GATEAUX])}"
    if fit.spec.purpose is Purpose.EVALUATE:
        word = "log likelihood" if fit.spec.adaptive else "log-likelihood"
        yield f"{word} = {display(fit.log_likelihood)}"
    elif lacks_convergence(fit):
        yield NOT_CONVERGED


def _units(fit: Fit) -> Iterator[str]:
    yield BLANK
    for level, count in enumerate(fit.n_units, start=1):
        yield f"number of level {level} units = {format_count(count)}"
    yield BLANK
    if fit.condition_number is None:
        yield "Condition Number could not be computed"
    else:
        yield f"Condition Number = {display(fit.condition_number)}"


def _header(fit: Fit) -> Iterator[str]:
    constrained = "with constraints" if fit.constraint_text else ""
    test = reference_test(fit)
    if test is None:
        yield f"{fit.title} {constrained}"
        yield BLANK
        yield f"log likelihood = {display(fit.log_likelihood)}"
    else:
        left = (f"{fit.title} {constrained}", "", f"Log likelihood = {display(fit.log_likelihood)}")
        right = (
            ("Number of obs", format_count(fit.n_units[0])),
            (f"LR chi2({test.df})", format_f(test.chi2, 10, 2)),
            ("Prob > chi2", format_f(test.p, 10, 4)),
        )
        for beginning, (label, value) in zip(left, right, strict=True):
            yield f"{beginning:<{HEADER_WIDTH}}{label:<15} = {value:>10}"
    yield BLANK


def _above_table(fit: Fit) -> Iterator[str]:
    for number, text in enumerate(fit.constraint_text, start=1):
        yield f" ({number:2d})  {text}"
    if fit.std_err_type == "robust":
        yield "Robust standard errors"
    elif fit.std_err_type == "cluster":
        yield f"Robust standard errors for clustered data: cluster({fit.spec.cluster})"


def _fixed_effects(fit: Fit, options: DisplayOptions) -> list[str]:
    blocks = fixed_part(fit, level=options.level, eform=options.eform)
    if not blocks:
        return ["No fixed effects", BLANK]
    several = [block.equation for block in blocks] != [fit.spec.depvar]
    table = table_lines(
        fit.spec.depvar,
        blocks,
        level=options.level,
        heading="exp(b)" if options.eform else "Coef.",
        equations=several,
    )
    return [*table, BLANK]


def _all_coefficients(fit: Fit, options: DisplayOptions) -> list[str]:
    blocks = all_parameters(fit, level=options.level)
    return [*table_lines(fit.spec.depvar, blocks, level=options.level, equations=True), BLANK]
