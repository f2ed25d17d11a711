"""Golden cases: published runs, read from ``golden/*.toml`` and carried out in a session.

The format is described in ``golden/README.md``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from golden_data import PROJECT, DataSource, load

from gllamm_cli.errors import GllammError
from gllamm_cli.report.json import results
from gllamm_cli.session import Session

FOLDER = PROJECT / "golden"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A command of a case and what it must give.

    ``start`` are starting values in the order of e(b) for models with several
    maxima; ``default_start`` is then what the command finds without them.
    ``looser`` and ``instead`` carry the written reasons for deviating from the
    bounds of ``rule`` and from the printed number.
    """

    title: str
    command: str
    before: tuple[str, ...]
    rule: str
    expected: Mapping[str, Any]
    looser: tuple[Mapping[str, Any], ...] = ()
    instead: tuple[Mapping[str, Any], ...] = ()
    start: tuple[float, ...] | None = None
    default_start: Mapping[str, Any] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A published analysis: its source, its data, its runs in order."""

    id: str
    title: str
    source: str
    data: tuple[DataSource, ...]
    runs: tuple[Run, ...]
    slow: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What a run gave: results as in the JSON output, or the error it ended in."""

    results: dict[str, Any] | None = None
    default_start: dict[str, Any] | None = None
    error: str | None = None


def read_case(path: Path) -> Case:
    """Read a case file; ValueError if it says something no case may say."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    if content["id"] != path.stem:
        raise ValueError(f"{path.name} calls itself {content['id']}")
    return Case(
        id=content["id"],
        title=content["title"],
        source=content["source"],
        data=tuple(_source(entry) for entry in content["data"]),
        runs=tuple(_run(entry, number) for number, entry in enumerate(content["run"], start=1)),
        slow=content.get("slow", False),
    )


def _source(entry: dict[str, Any]) -> DataSource:
    lists = {name: tuple(entry.pop(name, ())) for name in ("prepare", "statements")}
    return DataSource(**entry, **lists)


def _run(entry: dict[str, Any], number: int) -> Run:
    start = entry.pop("start_at", None)
    for name in ("before", "looser", "instead"):
        entry[name] = tuple(entry.get(name, ()))
    entry.setdefault("title", f"run {number}")
    entry.setdefault("rule", "ordinary")
    return Run(**entry, start=tuple(start["values"]) if start else None)


@cache
def cases() -> tuple[Case, ...]:
    """All cases, by name of file."""
    return tuple(read_case(path) for path in sorted(FOLDER.glob("*.toml")))


@cache
def play(case: Case, source: DataSource) -> tuple[Played, ...]:
    """Carry out the runs of a case in one session; each is tried whatever became of the last."""
    # The problems are small; a second thread would only wait for the first.
    session = Session(load(source), threads=1)
    for statement in source.statements:
        session.run(statement)
    return tuple(_play_run(session, run) for run in case.runs)


def _play_run(session: Session, run: Run) -> Played:
    default = None
    try:
        for statement in run.before:
            session.run(statement)
        if run.default_start is not None:
            session.run(run.command)
            default = results(session.fit)
        command = run.command
        if run.start is not None:
            # Enough digits to come back unchanged from text.
            session.run(f"matrix start = ({', '.join(map(repr, run.start))})")
            command += " from(start) copy"
        session.run(command)
    except GllammError as error:
        return Played(error=error.render())
    return Played(results(session.fit), default)
