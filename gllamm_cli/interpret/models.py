"""gllamm itself and its definitions: equations and constraints."""

from __future__ import annotations

import re
from dataclasses import replace

from gllamm_cli.errors import GllammError, InvalidSyntax, NotSupported, VariableNotFound
from gllamm_cli.interpret.outcomes import Estimated
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.command import GllammCommand, ReplayCommand, parse_gllamm
from gllamm_cli.stata.constraint import format_terms, listed_number, parse_constraint
from gllamm_cli.stata.definitions import parse_equation
from gllamm_cli.stata.lexer import part, stripped
from gllamm_cli.stata.numlist import parse_numlist
from gllamm_cli.stata.postestimation import parse_postestimation
from gllamm_cli.stata.varlist import expand_varlist


def gllamm(run: Run) -> None:
    """Fit a model, or show the last one again."""
    definitions, run.session.before_first_model = run.session.before_first_model, []
    for definition in definitions:
        run.interpreter.run_statement(definition)
    command = parse_gllamm(run.span.source)
    if isinstance(command, GllammCommand):
        outcomes = run.session.estimate(run.span.source, command)
    else:
        _check_replay(run, command)
        outcomes = run.session.replay(run.span.source, command)
    for outcome in outcomes:
        if isinstance(outcome, Estimated) and command.option("level") is None:
            display = replace(outcome.display, level=run.default_level)
            outcome = replace(outcome, display=display)
        run.interpreter.emit(outcome)


def _check_replay(run: Run, command: ReplayCommand) -> None:
    """Refuse what a replay would ignore."""
    without, fit = command.option("norob"), run.session.fit
    if without is not None and fit is not None and fit.spec.sampling_weights:
        raise NotSupported(
            "norob is not for models with pweight()",
            span=without.span,
            hint="their standard errors are always robust",
        )


def equation(run: Run) -> None:
    """``eq name: varlist``, ``eq list`` and ``eq drop``."""
    equations = run.session.equations
    words = run.span.text.split()
    if words and words[0] in ("list", "dir", "drop") and ":" not in run.span.text:
        chosen = words[1:] if words[1:] not in ([], ["_all"]) else list(equations)
        for name in chosen:
            if name not in equations:
                raise VariableNotFound(f"equation {name} not found", span=run.span)
            if words[0] == "drop":
                del equations[name]
            else:
                run.print(f"{name:>12}:  {' '.join(equations[name])}")
        return
    definition = parse_equation(run.span)
    equations[definition.name] = expand_varlist(definition.items, run.session.data.names)


def constraint(run: Run) -> None:
    """``constraint # spec``, ``constraint list``, ``dir`` and ``drop``."""
    constraints = run.session.constraints
    match = re.match(r"(list|dir|drop|get|free)\b\s*", run.span.text)
    if match is None:
        defined = parse_constraint(run.span)
        constraints[defined.number] = defined
        return
    rest = stripped(part(run.span, run.span.start + match.end(), run.span.end))
    if match[1] == "free":
        number = next(k for k in range(1, 2000) if k not in constraints)
        run.returns({"free": float(number)})
        return
    everything = rest.text in ("", "_all")
    numbers = sorted(constraints) if everything else [int(x) for x in parse_numlist(rest)]
    if match[1] == "drop":
        if everything and not rest.text:
            raise InvalidSyntax("invalid syntax: constraint drop takes numbers or _all")
        for number in numbers:
            constraints.pop(number, None)
        return
    for number in numbers:
        if number in constraints:
            found = constraints[number]
            first = run.session.results.depvar if run.session.results is not None else "#1"
            run.print(
                f"{number:6d}:  {format_terms(found.terms, first)} = {listed_number(found.value)}"
            )


def postestimation(run: Run) -> None:
    """``gllapred`` and ``gllasim``."""
    from gllamm_cli.data import build_dataset
    from gllamm_cli.dta import write_dta
    from gllamm_cli.predict import carry_out

    command = parse_postestimation(run.span.source)
    session, data = run.session, run.data
    results = session.results
    selected = run.chosen_rows(command.condition, command.rows)
    sample = session.estimation_sample(data)
    scores = command.option("scorefil")
    path = None
    if scores is not None:
        # As in Stata a file of this name is replaced.
        path = session.permissions.check_write(run.file(scores.words[0].text))
    try:
        done = carry_out(
            command,
            results.fit if results is not None else None,
            data,
            matrices=session.matrices,
            random=session.random,
            sample=sample,
            selected=selected,
            threads=session.threads,
        )
    except GllammError as error:
        run.print(*error.printed)
        raise
    if path is not None:
        names, columns = list(done.scores), list(done.scores.values())
        write_dta(build_dataset(names, columns, ["double"] * len(names)), path)
    run.data = done.data
    run.print(*done.lines)
    run.returns(done.scalars)
