"""Fits in files: saved to be shown again or to start from, without the data.

One JSON document, letters outside ASCII escaped:

    {"format": "gllamm-py fit", "schema": 1, "fit": {...}}

``fit`` holds the fields of ``Fit`` by name, values nested in it likewise;
arrays are ``{"array": [...]}``, an ``if`` condition is its text, and the
numbers JSON lacks are the words nan, inf and -inf. Nothing in the file is
executed when it is read.
"""

from __future__ import annotations

import json
import os
import typing
from pathlib import Path
from typing import Any

import numpy as np

from gllamm_cli.errors import FileMissing, FileUnreadable, GllammError
from gllamm_cli.fit.codec import decode, encode
from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.names import ParameterName
from gllamm_cli.model.spec import ModelSpec
from gllamm_cli.stata.expression import Expression

FORMAT = "gllamm-py fit"
SCHEMA = 1
NAMES = {"Expression": Expression, "ModelSpec": ModelSpec}
"""Types that the annotations of fields name without importing them."""


def save_fit(fit: Fit, path: str | os.PathLike[str]) -> None:
    """Write a fit to a file, replacing what is there.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    document = {"format": FORMAT, "schema": SCHEMA, "fit": encode(fit)}
    text = json.dumps(document, allow_nan=False)
    Path(path).write_text(f"{text}\n", encoding="utf-8")


def load_fit(path: str | os.PathLike[str]) -> Fit:
    """Read a fit from a file.

    Raises
    ------
    FileMissing
        There is no such file.
    FileUnreadable
        It holds no fit, is damaged, or was written by a newer version.
    """
    path = Path(path)
    fit = _decoded(_document(path), path)
    _check_shapes(fit, path)
    return fit


def _document(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileMissing(f"file {path} not found")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise _not_a_fit(path) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _not_a_fit(path)
    schema = document.get("schema")
    if not isinstance(schema, int):
        raise _not_a_fit(path)
    if schema > SCHEMA:
        raise FileUnreadable(
            f"file {path} was written by a newer version",
            hint=f"its schema is {schema}, this version reads up to {SCHEMA}: update gllamm-py",
        )
    return document


def _not_a_fit(path: Path) -> FileUnreadable:
    return FileUnreadable(
        f"file {path} does not hold a saved fit", hint="fits are written by fit --save FILE"
    )


def _decoded(document: dict[str, Any], path: Path) -> Fit:
    try:
        return typing.cast(Fit, decode(Fit, document.get("fit"), NAMES))
    except (ValueError, GllammError) as error:
        raise FileUnreadable(f"file {path} is damaged", hint=str(error)) from error


def _check_shapes(fit: Fit, path: Path) -> None:
    """Refuse arrays that do not belong to the parameters, before anything indexes them."""
    n = len(fit.names)
    fits_together = (
        fit.estimates.shape == (n,)
        and fit.free.shape == (n,)
        and fit.free.dtype == np.bool_
        and fit.covariance.shape == (n, n)
        and all(_refers_to_model(name, fit.spec) for name in fit.names)
    )
    if not fits_together:
        raise FileUnreadable(
            f"file {path} is damaged", hint="its arrays do not belong to its parameters"
        )


def _refers_to_model(name: ParameterName, spec: ModelSpec) -> bool:
    """Whether the latent variables, levels and classes a parameter names exist."""
    effects = {effect.number: effect for effect in spec.latent}
    levels = {level.number: level.latent[0] for level in spec.levels}
    if name.block not in ("location", "odds"):
        return set(name.effects) <= set(effects)
    first, mass = name.effects
    owner = (effects if name.block == "location" else levels).get(first)
    return owner is not None and 1 <= mass <= owner.points
