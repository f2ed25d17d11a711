"""``label``: labels of variables, of values and of the data."""

from __future__ import annotations

import re
from dataclasses import replace

from gllamm_cli.errors import AlreadyDefined, InvalidSyntax, LabelNotFound
from gllamm_cli.interpret.macros import unquoted
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.lexer import is_name, whole
from gllamm_cli.stata.varlist import expand_varlist, find_variable, parse_varlist

PAIR = re.compile(
    r"(-?\d+|\.[a-z])\s+(`\"(?P<compound>.*?)\"'|\"(?P<quoted>[^\"]*)\"|(?P<bare>[^\s,]+))"
)


def label(run: Run) -> None:
    """``label variable``, ``define``, ``values``, ``data``, ``list``, ``drop``, ``dir``."""
    match = re.match(r"(\w+)\s*(.*)", run.span.text, re.DOTALL)
    word, rest = match.groups() if match else ("", "")
    for names, function in SUBCOMMANDS:
        full, least = names
        if len(word) >= least and full.startswith(word):
            function(run, rest.strip())
            return
    raise InvalidSyntax(f"label {word} is not supported", span=run.span)


def _variable(run: Run, text: str) -> None:
    match = re.match(r"(\w+)\s*(.*)", text, re.DOTALL)
    if match is None:
        raise InvalidSyntax('invalid syntax: label variable name "text"', span=run.span)
    name = find_variable(match[1], run.data.names)
    labels = {**run.data.variable_labels, name: unquoted(match[2])}
    run.data = replace(run.data, variable_labels={k: v for k, v in labels.items() if v})


def _define(run: Run, text: str) -> None:
    match = re.match(r"(\w+)\s+(.*)", text, re.DOTALL)
    if match is None or not is_name(match[1]):
        raise InvalidSyntax('invalid syntax: label define name 1 "text" ...', span=run.span)
    name, rest = match.groups()
    labels: dict[float | str, str] = {}
    position = 0
    for pair in PAIR.finditer(rest):
        if rest[position : pair.start()].strip():
            break
        value: float | str = pair[1] if pair[1].startswith(".") else float(pair[1])
        labels[value] = pair["compound"] or pair["quoted"] or pair["bare"] or ""
        position = pair.end()
    head, _, options = rest[position:].partition(",")
    if head.strip():
        raise InvalidSyntax(f"invalid syntax: {head.strip()} is no value and label", span=run.span)
    given = options.split()
    for option in given:
        if option not in ("add", "modify", "replace", "nofix"):
            raise InvalidSyntax(f"option {option} not allowed", span=run.span)
    old = run.data.label_sets.get(name, {})
    if old and not set(given) & {"add", "modify", "replace"}:
        raise AlreadyDefined(
            f"label {name} already defined", span=run.span, hint="add, modify or replace change it"
        )
    if "add" in given and set(old) & set(labels):
        raise AlreadyDefined("invalid attempt to modify label", span=run.span)
    new = labels if "replace" in given or not old else {**old, **labels}
    run.data = replace(run.data, label_sets={**run.data.label_sets, name: new})


def _values(run: Run, text: str) -> None:
    words = text.partition(",")[0].split()
    if not words:
        raise InvalidSyntax("invalid syntax: label values variables name", span=run.span)
    has_label = len(words) > 1
    names = expand_varlist(
        parse_varlist(whole(" ".join(words[:-1] if has_label else words))), run.data.names
    )
    label_name = words[-1] if has_label else "."
    mapping = dict(run.data.label_names)
    for name in names:
        if label_name == ".":
            mapping.pop(name, None)
        elif run.is_text(name):
            raise InvalidSyntax("may not label strings", span=run.span)
        else:
            mapping[name] = label_name
    run.data = replace(run.data, label_names=mapping)


def _data(run: Run, text: str) -> None:
    run.data = replace(run.data, label=unquoted(text))


def _list(run: Run, text: str) -> None:
    for name in text.split() or list(run.data.label_sets):
        if name not in run.data.label_sets:
            raise LabelNotFound(f"value label {name} not found", span=run.span)
        run.print(f"{name}:")
        for value, shown in run.data.label_sets[name].items():
            number = value if isinstance(value, str) else f"{value:g}"
            run.print(f"{number:>12} {shown}")


def _dir(run: Run, text: str) -> None:
    run.print(*run.data.label_sets)


def _drop(run: Run, text: str) -> None:
    sets = dict(run.data.label_sets)
    for name in list(sets) if text == "_all" else text.split():
        if name not in sets:
            raise LabelNotFound(f"value label {name} not found", span=run.span)
        del sets[name]
    run.data = replace(run.data, label_sets=sets)


SUBCOMMANDS = (
    (("variable", 3), _variable),
    (("define", 3), _define),
    (("values", 3), _values),
    (("data", 2), _data),
    (("list", 1), _list),
    (("dir", 3), _dir),
    (("drop", 2), _drop),
)
