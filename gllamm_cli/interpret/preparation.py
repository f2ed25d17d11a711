"""How the data of a fit were made from those of their file, so that it can be done again.

A saved fit is used with the file it was fitted to, but its model may need variables
that statements before it made. Those statements are kept with the fit, and carried
out on the file when the fit is used. Only commands that change the data in memory
are: a saved fit, which may come from elsewhere, can neither read nor write files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gllamm_cli.errors import GllammError, OtherCategories, VariableNotFound
from gllamm_cli.interpret.dispatch import named_command
from gllamm_cli.interpret.outcomes import Noted, Outcome
from gllamm_cli.interpret.prefixes import read_prefixes
from gllamm_cli.interpret.settled import needs_results

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset
    from gllamm_cli.fit.fit import Fit
    from gllamm_cli.session import Session

KEY = "preparation"
"""Of what ``Fit.extra`` holds."""
MOST_STATEMENTS = 1000
REPEATABLE = frozenset(
    (
        "generate", "replace", "egen", "recode", "xi", "encode", "decode", "destring", "tostring",
        "mvdecode", "mvencode", "rename", "order", "move", "drop", "keep", "sort", "gsort",
        "expand", "reshape", "collapse", "contract", "tabulate", "fillin", "split", "stack",
        "xtile", "pctile", "label", "format", "set", "duplicates", "char",
    )
)  # fmt: skip
LEFT_OUT = frozenset(("gllapred", "gllasim", "predict"))
"""Commands that need another fit; the one that is kept seldom needs their variables."""
OF_ALL_ROWS = re.compile(r"(?:xtile|pctile)\b|egen\s[^=]*=\s*(?!row|concat|any|cut|diff)\w+\(")
"""Statements that give a row another value if other rows change."""
BY = re.compile(r"\bby(?:s|so|sor|sort)?\b")
HINT = "do it in a do-file: use the data, prepare them, fit and predict"


@dataclass(frozen=True, slots=True)
class Preparation:
    """Statements that changed data since they were read.

    Attributes
    ----------
    statements
        As they ran, without macros.
    names
        Variables of the data as they were read.
    """

    statements: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def then(self, statement: str, before: Dataset | None) -> Preparation:
        """Return the preparation with one more statement, which changed ``before``."""
        names = self.names if self.statements or before is None else before.names
        return Preparation((*self.statements, statement)[: MOST_STATEMENTS + 1], names)

    def kept_with(self, fit: Fit, dataset: Dataset) -> Fit:
        """Return a fit to prepared data that knows how they were prepared."""
        if not self.statements:
            return fit
        made = [name for name in dataset.names if name not in self.names]
        labels = {name: dataset.variable_labels.get(name, "") for name in made}
        value_labels = {name: _value_labels(dataset, name) for name in made}
        content = {
            "statements": list(self.statements),
            "made": labels,
            "categories": {name: list(values) for name, values in dataset.coded.items()},
            "value_labels": {name: texts for name, texts in value_labels.items() if texts},
        }
        return replace(fit, extra={**fit.extra, KEY: content})


def prepare_again(session: Session, fit: Fit) -> Iterator[Outcome]:
    """Prepare the data in memory as those of the fit were, unless they are already.

    Raises
    ------
    VariableNotFound
        A statement cannot be repeated, or gives something else in these data.
    """
    kept = fit.extra.get(KEY)
    if not isinstance(kept, Mapping):
        return
    statements, made = _checked(kept)
    if any(name in session.data.names for name in made):
        return
    if len(statements) > MOST_STATEMENTS:
        raise VariableNotFound("too many statements prepared the data of the fit", hint=HINT)
    # Files that were written by hand or by earlier versions may lack them.
    session.categories = _by_variable(kept.get("categories"), list)
    try:
        for statement in statements:
            _repeat(session, statement)
    finally:
        session.categories = {}
    _check_meanings(session.data, made, _by_variable(kept.get("value_labels"), dict))
    notes = [f"(data prepared as for the fit: {'; '.join(statements)})"]
    notes += [
        f"(note: {statement} computes from all rows of these data, not from those of the fit)"
        for statement in statements
        if OF_ALL_ROWS.match(read_prefixes(statement)[1]) and not BY.search(statement)
    ]
    yield Noted("", tuple(notes))


def _checked(kept: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, str]]:
    statements, made = kept.get("statements"), kept.get("made")
    if not isinstance(statements, list) or not isinstance(made, dict):
        return (), {}
    return tuple(map(str, statements)), {str(name): str(label) for name, label in made.items()}


def _by_variable(content: object, kind: type) -> dict[str, Any]:
    """Return what is known by variable, as far as it is of the expected kind."""
    if not isinstance(content, Mapping):
        return {}
    return {str(name): known for name, known in content.items() if isinstance(known, kind)}


def _value_labels(dataset: Dataset, name: str) -> dict[str, str]:
    labels = dataset.labels_of(name)
    return {f"{value:g}" if isinstance(value, float) else value: labels[value] for value in labels}


def _check_meanings(
    dataset: Dataset, labels: Mapping[str, str], value_labels: Mapping[str, Mapping[str, str]]
) -> None:
    """Raise OtherCategories if a variable made again stands for something else than before."""
    for name, label in labels.items():
        if name not in dataset.names:
            continue
        if label != dataset.variable_labels.get(name, ""):
            raise OtherCategories(
                f"{name} of the fit not found: the data have other categories",
                hint=f"in the data of the fit it stands for {label}",
            )
        known = value_labels.get(name, {})
        for value, text in _value_labels(dataset, name).items():
            if known.get(value, text) != text:
                raise OtherCategories(
                    f"{name} of the fit not found: the data have other categories",
                    hint=f"in the data of the fit {value} stands for {known[value]}",
                )


def _repeat(session: Session, statement: str) -> None:
    _, left = read_prefixes(statement)
    command, _ = named_command(left, (), bare_models=False)
    if command.name in LEFT_OUT:
        return
    if command.name not in REPEATABLE:
        raise VariableNotFound(
            f"data of the fit not found: {command.name} prepared them and cannot be repeated here",
            hint=HINT,
        )
    if needs_results(left):
        raise VariableNotFound(
            f"variables of the fit not found: '{statement}' needs results of earlier commands",
            hint=HINT,
        )
    try:
        session.run(statement)
    except OtherCategories:
        raise
    except GllammError as error:
        raise VariableNotFound(
            f"variables of the fit not found: '{statement}' failed: {error.message}", hint=HINT
        ) from error
