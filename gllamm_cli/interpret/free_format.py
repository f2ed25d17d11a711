"""Values in any number of lines: infile and input."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gllamm_cli.columns import Values
from gllamm_cli.data import build_dataset
from gllamm_cli.errors import FileMissing, InvalidSyntax, VarlistRequired
from gllamm_cli.interpret.files import check_unsaved
from gllamm_cli.interpret.macros import unquoted
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.definitions import STORAGE_TYPES
from gllamm_cli.stata.functions import missing_value
from gllamm_cli.stata.generate import stored
from gllamm_cli.stata.lexer import is_name
from gllamm_cli.stata.varlist import parse_newlist

NUMBER = re.compile(r"\.[a-z]?|[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?")
"""What is read as a number or a missing value."""
MOST_NOTES = 20


def typed_names(text: str) -> list[tuple[str, str]]:
    """Names with storage types from ``str8 name x1-x5 (a b)``: pairs of name and type."""
    pairs: list[tuple[str, str]] = []
    for word in re.findall(r"(?:(?:byte|int|long|float|double|str\d+)\s*)?\([^()]*\)|\S+", text):
        match = re.fullmatch(r"(\w*)\s*\(([^()]*)\)", word)
        if match:
            pairs += [(name, match[1] or "float") for name in parse_newlist(match[2])]
        elif re.fullmatch(r"byte|int|long|float|double|str\d+", word):
            pairs.append(("", word))
        elif pairs and not pairs[-1][0]:
            kind = pairs.pop()[1]
            pairs += [(name, kind) for name in parse_newlist(word)]
        else:
            pairs += [(name, "float") for name in parse_newlist(word)]
    if not pairs:
        raise VarlistRequired("varlist required", hint="name the variables to be read")
    for name, kind in pairs:
        if not is_name(name):
            raise InvalidSyntax(f"{name or text} invalid name")
        if kind not in STORAGE_TYPES and not re.fullmatch(r"str\d+", kind):
            raise InvalidSyntax(f"{kind} is no storage type")
    return pairs


def _load(run: Run, tokens: Sequence[str], pairs: Sequence[tuple[str, str]]) -> None:
    """Put values, row after row, into memory; say which are no numbers where numbers belong."""
    width = len(pairs)
    n_rows = -(-len(tokens) // width)
    padded = [*tokens, *["."] * (n_rows * width - len(tokens))]
    columns: dict[str, Values] = {}
    types = {}
    unread: list[tuple[int, str]] = []
    for k, (name, kind) in enumerate(pairs):
        column = padded[k::width]
        if kind.startswith("str"):
            columns[name] = np.array([unquoted(text) for text in column], dtype=object)
            types[name] = "str"
            continue
        numbers = np.array([_number(text) for text in column], dtype=np.float64)
        columns[name] = stored(numbers, kind)
        types[name] = kind
        unread += [
            (row, f"'{unquoted(text)}' cannot be read as a number for {name}[{row}]")
            for row, text in enumerate(column, start=1)
            if not NUMBER.fullmatch(text)
        ]
    run.session.load(build_dataset(list(columns), list(columns.values()), list(types.values())), "")
    run.session.changed = True
    notes = [note for _, note in sorted(unread, key=lambda pair: pair[0])]
    run.print(*notes[:MOST_NOTES])
    if len(notes) > MOST_NOTES:
        run.print(f"({len(notes) - MOST_NOTES:,} more values cannot be read as numbers)")


def _number(text: str) -> float:
    if re.fullmatch(r"\.[a-z]?", text):
        return missing_value(text[1:])
    return float(re.sub("[dD]", "e", text)) if NUMBER.fullmatch(text) else float("nan")


def infile(run: Run) -> None:
    """``infile names using file [, clear]``: values separated by blanks or commas."""
    parsed = run.parse("clear AUTOmatic")
    frame = parsed.frame
    if frame.using is None:
        raise InvalidSyntax("using required", span=run.span)
    check_unsaved(run, parsed)
    file = run.file(frame.using.text, ".raw")
    if not Path(file).exists():
        raise FileMissing(f"file {file} not found", span=frame.using)
    pairs = typed_names(frame.body.text)
    if not pairs:
        raise InvalidSyntax("infile with a dictionary is not supported", span=run.span)
    text = Path(file).read_text(encoding="latin-1")
    tokens = re.findall(r"\"[^\"]*\"|[^\s,]+", text)
    _load(run, tokens, pairs)
    if frame.condition is not None or frame.rows is not None:
        run.session.dataset = run.data.take(run.rows(parsed))
    run.print(f"({run.data.n_rows} observations read)")


def input(run: Run, lines: Sequence[str]) -> None:
    """``input names`` and rows of values up to ``end``."""
    parsed = run.parse("clear AUTOmatic Label")
    check_unsaved(run, parsed)
    pairs = typed_names(parsed.frame.body.text)
    tokens: list[str] = []
    for line in lines:
        found = re.findall(r"\"[^\"]*\"|[^\s,]+", line)
        if not found:
            continue
        if len(found) > len(pairs):
            raise InvalidSyntax(f"'{line}' has more than {len(pairs)} values")
        tokens += [*found, *["."] * (len(pairs) - len(found))]
    _load(run, tokens, pairs)
