"""From a parsed ``gllapred`` or ``gllasim`` command to new variables in the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import (
    AlreadyDefined,
    InvalidSyntax,
    NoEstimates,
    VariableNotFound,
)
from gllamm_cli.fit.fit import Fit
from gllamm_cli.predict.predictor import predict
from gllamm_cli.predict.request import (
    Prediction,
    PredictRequest,
    Quantity,
    Rows,
    Simulated,
    SimulateRequest,
    StartingPoint,
)
from gllamm_cli.predict.simulator import simulate
from gllamm_cli.stata.evaluate import absolute_rows
from gllamm_cli.stata.postestimation import PostestimationCommand
from gllamm_cli.stata.varlist import suggestion

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset
    from gllamm_cli.stata.named_matrix import NamedMatrix

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Matrices = Mapping[str, "NamedMatrix"]


@dataclass(frozen=True, slots=True, eq=False)
class CarriedOut:
    """What a command did.

    Attributes
    ----------
    data
        The data with the new variables.
    lines
        What was printed.
    scalars
        r() results.
    scores
        Scores by name; see ``Prediction``.
    """

    data: Dataset
    lines: tuple[str, ...]
    scalars: dict[str, float]
    scores: Mapping[str, FloatArray]


def carry_out(
    command: PostestimationCommand,
    fit: Fit | None,
    dataset: Dataset,
    *,
    matrices: Matrices | None = None,
    random: np.random.Generator | None = None,
    sample: BoolArray | None = None,
    selected: BoolArray | None = None,
    threads: int | None = None,
) -> CarriedOut:
    """Carry out a command.

    Parameters
    ----------
    fit
        The last fit; None if there is none.
    matrices
        Matrices that ``from()`` may name.
    random
        Source of the draws of ``gllasim``, which needs one.
    sample : (rows,), optional
        e(sample); None for the rows that the fitted command would use. All False
        after the data were replaced.
    selected : (rows,), optional
        Rows that ``if`` and ``in`` select, where the caller knows what they refer to;
        None to evaluate them here.

    Raises
    ------
    GllammError
        What gllapred and gllasim refuse, with their messages and return codes.
    """
    if fit is None:
        raise NoEstimates("gllamm was not the last command", hint="fit a model first")
    try:
        prediction = _predicted(
            command, fit, dataset, matrices or {}, random, sample, selected, threads
        )
    except AlreadyDefined as error:
        error.span = error.span or command.stub_span
        raise
    scalars = {}
    if prediction.log_likelihood is not None:
        scalars["ll"] = prediction.log_likelihood
    changed = dataset.with_columns(
        prediction.columns, storage_type="double", labels=prediction.labels
    )
    notes = [*prediction.notes, *_accepted(command)]
    lines = (*prediction.warnings, *prediction.lines, *(f"({note})" for note in notes))
    return CarriedOut(changed, lines, scalars, prediction.scores)


def _accepted(command: PostestimationCommand) -> Iterator[str]:
    """Notes on options that are there for old do-files."""
    if command.has("adoonly"):
        yield "adoonly ignored: there is only one implementation here"
    if command.name == "gllasim" and command.has("adapt"):
        yield "adapt ignored: nothing is integrated in a simulation"


def _predicted(
    command: PostestimationCommand,
    fit: Fit,
    dataset: Dataset,
    matrices: Matrices,
    random: np.random.Generator | None,
    sample: BoolArray | None,
    selected: BoolArray | None,
    threads: int | None,
) -> Prediction:
    if command.name == "gllapred":
        request = predict_request(command, dataset.n_rows, matrices)
        return predict(fit, dataset, request, sample=sample, selected=selected, threads=threads)
    if random is None:
        raise ValueError("gllasim needs a source of random numbers")
    simulation = simulate_request(command, dataset.n_rows, matrices)
    return simulate(
        fit, dataset, simulation, random, sample=sample, selected=selected, threads=threads
    )


def predict_request(
    command: PostestimationCommand, n_rows: int, matrices: Matrices
) -> PredictRequest:
    """Return what a ``gllapred`` command asks for."""
    wanted = [quantity for quantity in Quantity if command.has(quantity)]
    scores = command.option("scorefil")
    if scores is not None and Quantity.COOKSD not in wanted:
        raise InvalidSyntax(
            "scorefil() option only allowed with cooksd",
            span=scores.span,
            hint="it names the file for the scores that Cook's distances are computed from",
        )
    if len(wanted) > 1:
        second = command.option(wanted[1])
        raise InvalidSyntax(
            "only one of these options allowed: "
            "xb, u, fac, linpred, mu, ll, p, s, deviance, pearson, anscombe, dfbeta",
            span=second.span if second else None,
        )
    outcome = command.option("outcome")
    return PredictRequest(
        stub=command.stub,
        quantity=wanted[0] if wanted else Quantity.XB,
        rows=_rows(command, n_rows),
        marginal=command.has("marginal"),
        us=_name(command, "us"),
        outcome=outcome.numbers[0] if outcome else None,
        above=_numbers(command, "above"),
        corr=command.has("corr"),
        nooffset=command.has("nooffset"),
        adapt=command.has("adapt"),
        start=_start(command, matrices),
    )


def simulate_request(
    command: PostestimationCommand, n_rows: int, matrices: Matrices
) -> SimulateRequest:
    """Return what a ``gllasim`` command asks for."""
    wanted = [quantity for quantity in Simulated if command.has(quantity)]
    if len(wanted) > 1:
        second = command.option(wanted[1])
        raise InvalidSyntax(
            "only one of these option allowed: u, fac, linpred or mu",
            span=second.span if second else None,
        )
    outcome = command.option("outcome")
    return SimulateRequest(
        stub=command.stub,
        response=command.has("y") or not wanted,
        quantity=wanted[0] if wanted else None,
        rows=_rows(command, n_rows),
        us=_name(command, "us"),
        outcome=outcome.numbers[0] if outcome else None,
        above=_numbers(command, "above"),
        nooffset=command.has("nooffset"),
        start=_start(command, matrices),
    )


def _rows(command: PostestimationCommand, n_rows: int) -> Rows:
    rows = None
    if command.rows is not None:
        rows = absolute_rows((command.rows.first, command.rows.last), n_rows, command.rows.span)
    return Rows(command.condition, rows, command.has("fsample"))


def _name(command: PostestimationCommand, option_name: str) -> str | None:
    option = command.option(option_name)
    return option.words[0].text if option else None


def _numbers(command: PostestimationCommand, option_name: str) -> tuple[float, ...]:
    option = command.option(option_name)
    return option.numbers if option else ()


def _start(command: PostestimationCommand, matrices: Matrices) -> StartingPoint | None:
    option = command.option("from")
    if option is None:
        return None
    word = option.words[0]
    matrix = matrices.get(word.text)
    if matrix is None:
        raise VariableNotFound(
            f"{word.text} not a matrix",
            span=word.span,
            hint=suggestion(word.text, list(matrices)),
        )
    rows = tuple(tuple(float(x) for x in row) for row in matrix.values)
    return StartingPoint(word.text, rows)
