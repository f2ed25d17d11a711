"""Reading and writing text tables, and reading those of Excel."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from gllamm_cli.data import Dataset
from gllamm_cli.errors import (
    AlreadyDefined,
    FileMissing,
    FileUnreadable,
    InvalidSyntax,
    TooFewVariables,
    TooManyVariables,
    one_line,
)
from gllamm_cli.interpret.files import check_unsaved
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.read import read_dataset
from gllamm_cli.stata.lexer import is_name, is_number, part
from gllamm_cli.stata.varlist import parse_newlist


def insheet(run: Run) -> None:
    """``insheet using file [, clear comma tab names delimiter()]``."""
    _delimited(run)


def import_(run: Run) -> None:
    """``import delimited file`` and ``import excel file``."""
    match = re.match(r"(delim\w*|exc\w*)\s+", run.span.text)
    if match is None:
        raise InvalidSyntax(
            "import takes delimited or excel",
            span=run.span,
            hint="import delimited file.csv, clear",
        )
    run.span = part(run.span, run.span.start + match.end(), run.span.end)
    if match[1].startswith("exc"):
        _excel(run)
    else:
        _delimited(run)


DELIMITED_OPTIONS = (
    "clear Comma Tab NAMes NONames Delimiters(t) VARNames(t) CASE(w) DOUBle ENCoding(t) "
    "ROWRange(t) COLRange(t) STRINGCols(t) NUMERICCols(t) BINDQuote(t) ASDOUBLE"
)


def _delimited(run: Run) -> None:
    parsed = run.parse(DELIMITED_OPTIONS)
    for name in ("rowrange", "colrange", "stringcols", "numericcols"):
        if parsed.has(name):
            raise InvalidSyntax(f"not yet supported: {name}()", span=run.span)
    check_unsaved(run, parsed)
    frame = parsed.frame
    source = frame.using.text if frame.using is not None else frame.body.text
    file = run.file(source, ".csv")
    given = parsed.text("delimiters")
    separator = {"": None, "\\t": "\t", "tab": "\t", "comma": ",", "space": " "}.get(given, given)
    if parsed.has("tab"):
        separator = "\t"
    elif parsed.has("comma"):
        separator = ","
    names = not parsed.has("nonames") and parsed.text("varnames") != "nonames"
    dataset = read_dataset(file, separator=separator, names=names)
    chosen = _chosen_names(run, parsed)
    headed = parsed.has("names") or parsed.has("varnames")
    if chosen and not headed and any(map(is_number, dict(dataset.renamed))):
        # The names are those of the command: a first line of numbers holds data.
        dataset = read_dataset(file, separator=separator, names=False)
    if parsed.text("case", "lower") == "lower":
        dataset = dataset.with_lower_names()
    dataset = _renamed(dataset, chosen)
    run.session.load(dataset, file)
    run.print(f"({len(dataset.names)} vars, {dataset.n_rows:,} obs)")


def _chosen_names(run: Run, parsed: Parsed) -> list[str]:
    """Names before ``using``, which the columns are to have."""
    if parsed.frame.using is None:
        return []
    names = parse_newlist(parsed.frame.body.text)
    for position, name in enumerate(names):
        if not is_name(name):
            raise InvalidSyntax(f"{name} invalid name", span=parsed.frame.body)
        if name in names[:position]:
            raise AlreadyDefined(f"variable {name} already defined", span=parsed.frame.body)
    return names


def _renamed(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return the data under these names; as they are if there are none."""
    if not names:
        return dataset
    if len(names) != len(dataset.names):
        error = TooFewVariables if len(names) < len(dataset.names) else TooManyVariables
        what = "few" if len(names) < len(dataset.names) else "many"
        raise error(
            f"too {what} variables specified",
            hint=f"the file has {len(dataset.names)} columns: {' '.join(dataset.names)}",
        )
    return dataset.with_names(dict(zip(dataset.names, names, strict=True)))


def _excel(run: Run) -> None:
    import pandas as pd

    parsed = run.parse("clear FIRSTrow Sheet(t) CASE(w)")
    check_unsaved(run, parsed)
    frame = parsed.frame
    file = run.file(frame.using.text if frame.using is not None else frame.body.text, ".xlsx")
    if not Path(file).exists():
        raise FileMissing(f"file {file} not found")
    try:
        table = pd.read_excel(
            file,
            sheet_name=parsed.text("sheet") or 0,
            header=0 if parsed.has("firstrow") else None,
        )
    except ImportError as error:
        package = "xlrd" if Path(file).suffix.lower() == ".xls" else "openpyxl"
        raise InvalidSyntax(
            f"reading Excel files needs the package {package}", hint=f"pip install {package}"
        ) from error
    except (ValueError, KeyError, BadZipFile) as error:
        raise FileUnreadable(
            f"file {file} cannot be read as an Excel table", hint=one_line(error)
        ) from error
    if not parsed.has("firstrow"):
        table.columns = [_excel_name(k) for k in range(table.shape[1])]
    dataset = Dataset.from_frame(table)
    if parsed.text("case") == "lower":
        dataset = dataset.with_lower_names()
    dataset = _renamed(dataset, _chosen_names(run, parsed))
    run.session.load(dataset, file)
    run.print(f"({len(dataset.names)} vars, {dataset.n_rows:,} obs)")


def _excel_name(position: int) -> str:
    name = ""
    position += 1
    while position:
        position, letter = divmod(position - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def export(run: Run) -> None:
    """``export delimited [varlist] using file [, replace]``."""
    match = re.match(r"delim\w*\s+", run.span.text)
    if match is None:
        raise InvalidSyntax("export takes delimited", span=run.span)
    run.span = part(run.span, run.span.start + match.end(), run.span.end)
    outsheet(run, ",")


def outsheet(run: Run, separator: str = "\t") -> None:
    """``outsheet [varlist] using file [, replace comma nolabel]``."""
    parsed = run.parse("replace Comma NOLabel NONames Delimiter(t) quote NOQuote DATAfmt")
    frame = parsed.frame
    source = frame.using.text if frame.using is not None else frame.body.text
    listed = frame.body if frame.using is not None else None
    names = run.variables(listed, required=False) if listed is not None else ()
    separator = "," if parsed.has("comma") else parsed.text("delimiter", separator)
    separator = {"tab": "\t", "\\t": "\t", "comma": ","}.get(separator, separator)
    file = run.file(source, ".csv" if separator == "," else ".out")
    path = run.session.permissions.check_write(file, overwrite=parsed.has("replace"))
    data = run.session.data.keep(names or run.data.names).take(run.rows(parsed))
    frame_out = data.frame
    for name in data.names:
        if not data.is_text(name) and data.labels_of(name) and not parsed.has("nolabel"):
            labels = data.labels_of(name)
            values = data.column(name)
            frame_out[name] = [
                labels.get(x, "" if np.isnan(x) else f"{x:.16g}") for x in values.tolist()
            ]
        elif not data.is_text(name) and data.storage_types.get(name) != "double":
            frame_out[name] = ["" if np.isnan(x) else _short(x) for x in data.column(name)]
    texts = [data.text(name) for name in data.names if data.is_text(name)]
    # Quotes alone keep blanks at the ends of a text.
    bare = all(text == text.strip() for values in texts for text in values)
    frame_out.to_csv(
        path,
        index=False,
        sep=separator,
        header=not parsed.has("nonames"),
        quoting=csv.QUOTE_MINIMAL if bare else csv.QUOTE_ALL,
    )
    run.print(f"file {file} saved")


def _short(value: float) -> str:
    """A number with the digits a float has."""
    return (
        str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{np.float32(value)!s}"
    )
