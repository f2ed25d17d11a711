"""Writes data to files, by the ending of their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gllamm_cli.dta import write_dta
from gllamm_cli.errors import FileUnreadable

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}


def write_dataset(dataset: Dataset, path: Path) -> None:
    """Write a ``.dta``, ``.csv``, ``.tsv`` or ``.txt`` file.

    Raises
    ------
    FileUnreadable
        Another ending.
    """
    suffix = path.suffix.lower()
    if suffix == ".dta":
        write_dta(dataset, path)
    elif suffix in SEPARATORS:
        # Floats have seven digits: as doubles they would show more that mean nothing.
        single = {
            name: "float32" for name in dataset.names if dataset.storage_types.get(name) == "float"
        }
        table = dataset.frame.astype(single)
        table.to_csv(path, index=False, sep=SEPARATORS[suffix])
    else:
        raise FileUnreadable(
            f"file {path} has a type that cannot be written",
            hint="data files end in .dta, .csv, .tsv or .txt",
        )
