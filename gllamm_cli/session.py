"""The one place with state: data, definitions, matrices and the last fit.

A session takes statements as text and returns values; printing is left to
whoever asked.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gllamm_cli.errors import InvalidSyntax, NoEstimates, UnknownCommand, VariableNotFound
from gllamm_cli.estimate.records import Monitor, Unwatched
from gllamm_cli.model.resolve import Definitions, ReplayRequest, resolve, resolve_replay
from gllamm_cli.model.spec import DisplayOptions, Request
from gllamm_cli.report.text import nothing_estimated
from gllamm_cli.stata.command import GllammCommand, ReplayCommand, parse_gllamm
from gllamm_cli.stata.definitions import (
    ConstraintDefinition,
    Equation,
    Generate,
    Statement,
    XiExpand,
    parse_statement,
)
from gllamm_cli.stata.generate import generate
from gllamm_cli.stata.matrices import NamedMatrix, evaluate_matrix
from gllamm_cli.stata.matrix import MatrixDefinition
from gllamm_cli.stata.source import split_statements
from gllamm_cli.stata.varlist import expand_varlist
from gllamm_cli.stata.xi import expand_command, expand_xi

if TYPE_CHECKING:
    import pandas as pd

    from gllamm_cli.data import Dataset
    from gllamm_cli.fit.fit import Fit

SEED = 123456789
"""Stata's own seed at start, so that a session gives the same draws each time."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A statement that was carried out, and the lines Stata would print."""

    statement: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimated:
    """A fit, new or shown again, and how the statement wants it shown."""

    statement: str
    fit: Fit
    display: DisplayOptions


Outcome = Noted | Estimated


class Listener(Monitor, Protocol):
    """Hears about an estimation while it runs."""

    def started(self, request: Request) -> None:
        """Estimation begins."""

    def finished(self) -> None:
        """Estimation has ended."""


class _Deaf(Unwatched):
    def started(self, request: Request) -> None:
        pass

    def finished(self) -> None:
        pass


def parse(text: str, variables: Sequence[str] = ()) -> Statement:
    """Parse a statement; a model may stand without the word gllamm.

    Parameters
    ----------
    variables
        Names of the data: one of them starts a model even if it resembles a command.
    """
    try:
        return parse_statement(text)
    except UnknownCommand as error:
        word = error.span.text if error.span else ""
        is_variable = bool(word) and any(name.startswith(word) for name in variables)
        if error.hint and not is_variable:
            raise
        return parse_gllamm(text)


def is_model(text: str) -> bool:
    """Whether a statement asks for an estimation or its results, or is no definition at least."""
    try:
        return isinstance(parse_statement(text), GllammCommand | ReplayCommand)
    except UnknownCommand:
        return True


def gllamm(
    command: str,
    data: Dataset | pd.DataFrame | str | os.PathLike[str],
    *,
    threads: int | None = None,
) -> Fit:
    """Fit a model and return the fit; definitions may precede it in ``command``.

    Parameters
    ----------
    data
        A pandas table, a data set, or the name of a file.

    Raises
    ------
    GllammError
        What the command line would print in red.
    NoEstimates
        The command holds no model.
    """
    from gllamm_cli.data import Dataset

    session = Session(threads=threads)
    if isinstance(data, Dataset):
        session.dataset = data
    elif isinstance(data, str | os.PathLike):
        session.use(data)
    else:
        session.dataset = Dataset.from_frame(data)
    fits = [outcome.fit for outcome in session.run(command) if isinstance(outcome, Estimated)]
    if not fits:
        raise NoEstimates("nothing to fit: the command holds no model")
    return fits[-1]


class Session:
    """Data in memory and everything earlier statements left behind.

    Parameters
    ----------
    dataset
        The data; ``use`` reads them from a file.
    fit
        A fit to replay or to take ``e(b)`` from, such as one read from a file.
    threads
        Number of threads for estimation; None for as many as there are cores.
    listener
        Told when an estimation starts and after each iteration.
    """

    def __init__(
        self,
        dataset: Dataset | None = None,
        *,
        fit: Fit | None = None,
        threads: int | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.dataset = dataset
        self.fit = fit
        self.threads = threads
        self.listener: Listener = listener or _Deaf()
        self.equations: dict[str, tuple[str, ...]] = {}
        self.constraints: dict[int, ConstraintDefinition] = {}
        self.matrices: dict[str, NamedMatrix] = {}
        self._read_seconds: float | None = None
        self._random = np.random.default_rng(SEED)

    def use(self, source: str | os.PathLike[str]) -> None:
        """Read data from a file; earlier definitions stay."""
        from gllamm_cli.data import read_dataset

        began = time.perf_counter()
        self.dataset = read_dataset(source)
        self._read_seconds = time.perf_counter() - began

    def run(self, text: str) -> list[Outcome]:
        """Carry out statements separated by newlines or semicolons.

        Raises
        ------
        GllammError
            At the first statement that fails; what came before it stays, and so
            does the last fit.
        """
        return list(self.execute(text))

    def execute(self, text: str) -> Iterator[Outcome]:
        """Like ``run``, but hand out each outcome as soon as it is there."""
        for statement in split_statements(text):
            variables = self.dataset.names if self.dataset is not None else ()
            yield from self._carry_out(statement, parse(statement, variables))

    def _carry_out(self, text: str, statement: Statement) -> Iterator[Outcome]:
        match statement:
            case GllammCommand():
                yield from self._estimate(text, statement)
                return
            case ReplayCommand():
                yield from self._replay(text, statement)
                return
            case Equation():
                names = self.data.names
                self.equations[statement.name] = expand_varlist(statement.items, names)
            case ConstraintDefinition():
                self.constraints[statement.number] = statement
            case MatrixDefinition():
                self.matrices[statement.name] = evaluate_matrix(
                    statement.value, self.matrices, self._stored_matrices()
                )
            case Generate():
                self.dataset, notes = generate(statement, self.data, random=self._random)
                yield Noted(text, notes)
                return
            case XiExpand():
                expansion = expand_xi(statement.terms, self.data)
                self.dataset = expansion.dataset
                yield Noted(text, expansion.notes)
                return
        yield Noted(text)

    @property
    def data(self) -> Dataset:
        """The data in memory; r(111) if there are none."""
        if self.dataset is None:
            raise VariableNotFound("no variables defined", hint="read data first")
        return self.dataset

    def _stored_matrices(self) -> Mapping[str, NamedMatrix]:
        """Matrices ``e()`` of the last fit."""
        if self.fit is None:
            return {}
        names = tuple((name.equation, name.name) for name in self.fit.names)
        return {
            "b": NamedMatrix.row(self.fit.estimates, names),
            "V": NamedMatrix(self.fit.covariance, names, names),
        }

    def _estimate(self, text: str, command: GllammCommand) -> Iterator[Outcome]:
        # Imported late: showing a saved fit needs no engine.
        from gllamm_cli.fit.estimator import fit_model

        command, dataset, notes = expand_command(command, self.data)
        self.dataset = dataset
        if notes:
            yield Noted(text, notes)
        definitions = Definitions(self.equations, self.constraints, self.matrices)
        request = resolve(command, dataset, definitions)
        self.listener.started(request)
        fit = fit_model(request, dataset, threads=self.threads, monitor=self.listener)
        self.listener.finished()
        if self._read_seconds is not None:
            total = fit.timing.get("total", 0.0) + self._read_seconds
            timing = {"read": self._read_seconds, **fit.timing, "total": total}
            fit = replace(fit, timing=timing)
        self._keep(fit)
        yield Estimated(text, fit, request.display)

    def _keep(self, fit: Fit) -> None:
        """Make a fit the last one; a model that was only set up leaves its starting values."""
        if not nothing_estimated(fit):
            self.fit = fit
            return
        names = tuple((name.equation, name.name) for name in fit.names)
        n_fixed = len(fit.extra.get("M_initf", ()))
        for matrix, of_part in (("M_initf", names[:n_fixed]), ("M_initr", names[n_fixed:])):
            if matrix in fit.extra:
                self.matrices[matrix] = NamedMatrix.row(fit.extra[matrix], of_part)

    def _replay(self, text: str, command: ReplayCommand) -> Iterator[Outcome]:
        if self.fit is None:
            raise NoEstimates("last estimates not found", hint="fit a model first")
        request = resolve_replay(command)
        before = self.fit.std_err_type
        self.fit = self._with_standard_errors(self.fit, request)
        if self.fit.std_err_type == "model" != before:
            yield Noted(text, ("(model-based standard errors; add robust for robust ones)",))
        yield Estimated(text, self.fit, request.display)

    def _with_standard_errors(self, fit: Fit, request: ReplayRequest) -> Fit:
        """Switch between robust and model-based standard errors as gllamm does on replay."""
        if not request.robust and fit.model_covariance is None:
            return fit
        # Imported late: showing a saved fit needs no engine.
        from gllamm_cli.fit.estimator import model_based, robust_fit

        if not request.robust:
            # Sampling weights make model-based standard errors meaningless.
            return fit if fit.spec.sampling_weights else model_based(fit)
        if self.dataset is None:
            if fit.model_covariance is not None and not request.cluster:
                return fit
            raise NoEstimates(
                "robust standard errors need the data",
                hint="ask for them in the command that fits the model",
            )
        cluster = expand_varlist(request.cluster, self.dataset.names)
        if len(cluster) > 1:
            raise InvalidSyntax("option cluster() takes one variable")
        name = cluster[0] if cluster else None
        fit = robust_fit(fit, self.dataset, cluster=name, threads=self.threads)
        return replace(fit, spec=replace(fit.spec, robust=True, cluster=name))
