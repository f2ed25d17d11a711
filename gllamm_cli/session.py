"""The one place with state: data, definitions, matrices and the last fit.

A session takes statements as text and returns values; printing is left to
whoever asked.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import AlreadyDefined, InvalidSyntax, NoEstimates, VariableNotFound
from gllamm_cli.estimate.records import Monitor, Unwatched
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret.blocks import Node, parse_blocks
from gllamm_cli.interpret.interpreter import MOST_PASSES, Interpreter, Stop
from gllamm_cli.interpret.outcomes import Estimated as Estimated
from gllamm_cli.interpret.outcomes import Noted as Noted
from gllamm_cli.interpret.outcomes import Outcome as Outcome
from gllamm_cli.interpret.permissions import Permissions
from gllamm_cli.interpret.preparation import Preparation, prepare_again
from gllamm_cli.model.resolve import Definitions, ReplayRequest, resolve, resolve_replay
from gllamm_cli.model.spec import Request, Sample
from gllamm_cli.report.text import nothing_estimated
from gllamm_cli.stata.command import GllammCommand, ReplayCommand
from gllamm_cli.stata.constraint import ConstraintDefinition
from gllamm_cli.stata.environment import Environment, Groups, Scalar
from gllamm_cli.stata.evaluate import Evaluator, refers_to_results
from gllamm_cli.stata.functions import truth
from gllamm_cli.stata.lexer import is_name, whole
from gllamm_cli.stata.matches import Matches
from gllamm_cli.stata.named_matrix import NamedMatrix
from gllamm_cli.stata.source import read_statements
from gllamm_cli.stata.varlist import XiTerm, expand_varlist, format_item, parse_varlist
from gllamm_cli.stata.xi import expand_command, expand_xi

if TYPE_CHECKING:
    import pandas as pd

    from gllamm_cli.data import Dataset
    from gllamm_cli.fit.fit import Fit
    from gllamm_cli.report.terminal import Transcript

XI_WORD = re.compile(r"(?<![\w.])[iI]\.\w+(?:[*|](?:[iI]\.)?\w+)?")

SEED = 123456789
"""Stata's own seed at start, so that a session gives the same draws each time."""


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
    permissions
        What statements may do outside the session.
    """

    def __init__(
        self,
        dataset: Dataset | None = None,
        *,
        fit: Fit | None = None,
        threads: int | None = None,
        listener: Listener | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        self.dataset = dataset
        self.file = ""
        self.changed = False
        self.results = Estimates.of_fit(fit) if fit is not None else None
        self.stored: dict[str, Estimates] = {}
        self.threads = threads
        self.listener: Listener = listener or _Deaf()
        self.permissions = permissions or Permissions()
        self.transcript: Transcript | None = None
        self.equations: dict[str, tuple[str, ...]] = {}
        self.constraints: dict[int, ConstraintDefinition] = {}
        self.matrices: dict[str, NamedMatrix] = {}
        self.scalars: dict[str, Scalar] = {}
        self.returned: dict[str, Scalar] = {}
        self.returned_matrices: dict[str, NamedMatrix] = {}
        self.return_code = 0
        self.global_macros: dict[str, str] = {}
        self.programs: dict[str, tuple[Node, ...]] = {}
        self.settings: dict[str, str] = {}
        self.survival_time = ""
        self.panel: tuple[str, str | None] | None = None
        self.most_passes = MOST_PASSES
        self.last_fit = fit
        self.before_first_model: list[str] = []
        self.last_test: list[tuple[NDArray[np.float64], float, str]] = []
        self.preparation = Preparation()
        self.categories: Mapping[str, Sequence[float | str]] = {}
        self.matches = Matches()
        self._temporary_folder: Path | None = None
        self._n_temporary = 0
        # The first are those of data that are given to the session, not read by it.
        self._n_tables = 1
        self._read_seconds: float | None = None

    @cached_property
    def random(self) -> np.random.Generator:
        """Random numbers, in an order that depends on the seed alone."""
        # Made late: few sessions draw any.
        return np.random.default_rng(SEED)

    @property
    def fit(self) -> Fit | None:
        """The last gllamm fit, if gllamm was the last estimation."""
        return self.results.fit if self.results is not None else None

    def use(self, source: str | os.PathLike[str]) -> None:
        """Read data from a file; earlier definitions stay."""
        from gllamm_cli.read import read_dataset

        began = time.perf_counter()
        self.load(read_dataset(source), os.fspath(source))
        self._read_seconds = time.perf_counter() - began

    def load(self, dataset: Dataset | None, file: str = "") -> None:
        """Put other data into memory; their rows belong to no sample of earlier estimates."""
        self.dataset = self.with_new_rows(dataset) if dataset is not None else None
        self.file, self.changed = file, False
        self.preparation = Preparation()
        self._read_seconds = None

    def with_new_rows(self, dataset: Dataset) -> Dataset:
        """Return the data with numbers of rows that no other data of the session have.

        Data that are put aside and brought back thus stay in the samples of their
        estimates, and other data never get into them.
        """
        self._n_tables += 1
        return dataset.of_table(self._n_tables - 1)

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
        """Like ``run``, but hand out the outcomes of each statement as soon as it is done.

        A statement that starts with a variable is a model: the word gllamm may be left out.
        """
        found: list[Outcome] = []
        interpreter = Interpreter(self, found.append, bare_models=True)
        statements = read_statements(text, semicolons=True)
        for node in parse_blocks(statement for statement in statements if statement.text):
            with suppress(Stop):
                interpreter.run_nodes([node])
            yield from found
            found.clear()

    def prepare(self) -> list[Outcome]:
        """Change the data as those of the fit were changed before it, unless they are.

        Raises
        ------
        VariableNotFound
            That cannot be repeated here.
        """
        return list(prepare_again(self, self.fit)) if self.fit is not None else []

    def use_whole_data(self) -> None:
        """Take all rows of the data for the sample of the estimates."""
        if self.results is not None:
            self.results = replace(self.results, sample=self.data.row_ids)

    def use_data_of_fit(self) -> None:
        """Take the rows that the fitted command would use for the sample of the estimates."""
        from gllamm_cli.predict.sample import estimation_sample

        if self.results is not None and self.fit is not None:
            rows = estimation_sample(self.fit, self.data)
            self.results = replace(self.results, sample=self.data.row_ids[rows])

    @property
    def data(self) -> Dataset:
        """The data in memory; r(111) if there are none."""
        if self.dataset is None:
            raise VariableNotFound("no variables defined", hint="read data first")
        return self.dataset

    @property
    def data_or_empty(self) -> Dataset:
        """The data in memory, or a table without rows and variables."""
        if self.dataset is not None:
            return self.dataset
        from gllamm_cli.data import build_dataset

        return build_dataset((), (), ())

    def temporary_name(self) -> str:
        """Return a name nothing has."""
        self._n_temporary += 1
        return f"__{self._n_temporary:06d}"

    def temporary_file(self) -> str:
        """Return the name of a file that goes when the session ends; scripts may write it."""
        if self._temporary_folder is None:
            # Imported late: few scripts ask for one.
            from shutil import rmtree
            from tempfile import mkdtemp

            self._temporary_folder = Path(mkdtemp(prefix="gllamm-py-"))
            finalize(self, rmtree, self._temporary_folder, ignore_errors=True)
            self.permissions = self.permissions.with_folder(self._temporary_folder)
        self._n_temporary += 1
        return str(self._temporary_folder / f"{self._n_temporary:06d}.dta")

    def forget(self) -> None:
        """Drop everything but the data: definitions, results, programs."""
        for kept in (
            self.stored, self.equations, self.constraints, self.matrices, self.scalars,
            self.returned, self.returned_matrices, self.programs,
        ):  # fmt: skip
            kept.clear()
        self.results = None

    def define_program(self, name: str, body: tuple[Node, ...]) -> None:
        """Keep the statements of a program."""
        if not is_name(name):
            raise InvalidSyntax(f"{name} invalid name")
        if name in self.programs:
            raise AlreadyDefined(
                f"program {name} already defined", hint=f"program drop {name} removes it"
            )
        self.programs[name] = body

    def mute_listener(self) -> Listener:
        """Make estimation silent; returns what listened before."""
        before = self.listener
        self.listener = _Deaf()
        return before

    def environment(self) -> Environment:
        """Results, scalars and matrices, for expressions."""
        results = self.results
        data = self.dataset
        system: dict[str, Scalar] = {
            "pi": float(np.pi),
            "N": float(data.n_rows) if data is not None else 0.0,
            "k": float(len(data.names)) if data is not None else 0.0,
            "rc": float(self.return_code),
            "filename": self.file,
            "pwd": os.getcwd(),
            "current_date": time.strftime("%d %b %Y"),
            "current_time": time.strftime("%H:%M:%S"),
            "version": 14.0,
            "level": 95.0,
            "maxvar": 32767.0,
            "seed": float(SEED),
        }
        given = {"coefficient": results.coefficient} if results is not None else {}
        return Environment(
            scalars=self.scalars,
            matrices=self.matrices,
            returned=self.returned,
            returned_matrices=self.returned_matrices,
            estimated=results.all_scalars if results is not None else {},
            estimated_matrices=results.all_matrices if results is not None else {},
            system=system,
            return_code=self.return_code,
            **given,
        )

    def evaluator(
        self, dataset: Dataset | None = None, *, groups: Groups | None = None
    ) -> Evaluator:
        """What expressions can refer to."""
        data = dataset if dataset is not None else self.dataset
        return Evaluator(
            data,
            self.random,
            self.estimation_sample(data),
            self.environment(),
            groups,
            matches=self.matches,
        )

    def estimation_sample(self, data: Dataset | None) -> NDArray[np.bool_] | None:
        """Return ``e(sample)`` by row; None without estimates."""
        if self.results is None or data is None:
            return None
        if self.results.sample is None:
            return np.zeros(data.n_rows, dtype=bool)
        return np.isin(data.row_ids, self.results.sample)

    def expand_xi_terms(self, text: str, note: Callable[..., None]) -> str:
        """Replace the ``i.`` terms of a statement by indicator variables."""
        if re.match(r"gllamm\b", text):
            return text
        terms = XI_WORD.findall(text.partition(",")[0])
        if not terms:
            return text
        names = {}
        items = [item for term in terms for item in parse_varlist(whole(term))]
        expansion = expand_xi(items, self.data, self.categories)
        self.preparation = self.preparation.then(f"xi {' '.join(terms)}", self.dataset)
        self.dataset = expansion.dataset
        note(*expansion.notes)
        for term in terms:
            alone = expand_xi(parse_varlist(whole(term)), expansion.dataset, self.categories)
            names[term] = " ".join(format_item(item) for item in alone.items)
        head, comma, options = text.partition(",")
        return XI_WORD.sub(lambda match: names[match.group()], head) + comma + options

    # -- gllamm

    def estimate(self, text: str, command: GllammCommand) -> Iterator[Outcome]:
        """Fit a model."""
        # Imported late: showing a saved fit needs no engine.
        from gllamm_cli.fit.estimator import fit_model
        from gllamm_cli.model.sample import estimation_rows

        terms = [format_item(item) for item in command.items if isinstance(item, XiTerm)]
        if terms:
            self.preparation = self.preparation.then(f"xi {' '.join(terms)}", self.dataset)
        command, dataset, notes = expand_command(command, self.data, self.categories)
        self.dataset = dataset
        if notes:
            yield Noted(text, notes)
        definitions = Definitions(self.equations, self.constraints, self.matrices)
        request = resolve(command, dataset, definitions)
        request = replace(request, spec=replace(request.spec, sample=self._sample(request)))
        self.listener.started(request)
        fit = fit_model(request, dataset, threads=self.threads, monitor=self.listener)
        self.listener.finished()
        if self._read_seconds is not None:
            total = fit.timing.get("total", 0.0) + self._read_seconds
            timing = {"read": self._read_seconds, **fit.timing, "total": total}
            fit = replace(fit, timing=timing)
        fit = self.preparation.kept_with(fit, dataset)
        self._keep(fit, dataset.row_ids[estimation_rows(request.spec, dataset)[0]])
        yield Estimated(text, fit, request.display)

    def _sample(self, request: Request) -> Sample:
        """``if`` and ``in``; conditions on more than variables become numbers of rows."""
        sample = request.spec.sample
        if sample.condition is None or not refers_to_results(sample.condition, self.data.names):
            return sample
        chosen = truth(self.evaluator().number(sample.condition))
        rows = np.flatnonzero(np.broadcast_to(chosen, (self.data.n_rows,)))
        return replace(sample, condition=None, selected=tuple(rows.tolist()))

    def _keep(self, fit: Fit, rows: NDArray[np.int64]) -> None:
        """Make a fit the last one; a model that was only set up leaves its starting values."""
        self.last_fit = fit
        if not nothing_estimated(fit):
            self.results = Estimates.of_fit(fit, rows)
            return
        names = tuple((name.equation, name.name) for name in fit.names)
        n_fixed = len(fit.extra.get("M_initf", ()))
        for matrix, of_part in (("M_initf", names[:n_fixed]), ("M_initr", names[n_fixed:])):
            if matrix in fit.extra:
                self.matrices[matrix] = NamedMatrix.row(fit.extra[matrix], of_part)

    def replay(self, text: str, command: ReplayCommand) -> Iterator[Outcome]:
        """Show the last fit again."""
        if self.results is None or self.results.fit is None:
            raise NoEstimates("last estimates not found", hint="fit a model first")
        fit = self.results.fit
        request = resolve_replay(command)
        before = fit.std_err_type
        fit = self._with_standard_errors(fit, request)
        self.results = Estimates.of_fit(fit, self.results.sample)
        if fit.std_err_type == "model" != before:
            yield Noted(text, ("(model-based standard errors; add robust for robust ones)",))
        yield Estimated(text, fit, request.display)

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
