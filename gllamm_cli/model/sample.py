"""Which rows are used, and whether response and covariates can be modelled at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli._scanning import all_finite, outcome_varies, outcomes_by_value
from gllamm_cli.errors import (
    InsufficientObservations,
    NoObservations,
    PerfectPrediction,
)
from gllamm_cli.model.families import FAMILY_BY_NAME, LINK_BY_NAME, Domain
from gllamm_cli.model.gram import clearly_independent
from gllamm_cli.model.spec import CONSTANT, ModelSpec
from gllamm_cli.model.uniform import ones
from gllamm_cli.stata.evaluate import sample_mask

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

COLLINEAR = 1e-9
"""Relative length of what a covariate adds to those before it, below which it is collinear."""


def _roles(spec: ModelSpec) -> dict[str, str]:
    """Map every variable that must not be missing to what it is for."""
    roles: dict[str, str] = {}
    for name in (spec.depvar, *spec.covariates):
        roles.setdefault(name, "the response or covariates")
    for optional in (spec.link_selector, spec.family_selector):
        if optional is not None:
            roles.setdefault(optional, "lv() or fv()")
    for optional in (spec.denominator, spec.offset):
        if optional is not None:
            roles.setdefault(optional, "the denominator or offset")
    for level in spec.levels:
        roles.setdefault(level.unit, f"cluster variable {level.unit}")
    for _, name in spec.weights:
        roles.setdefault(name, f"weight variable {name}")
    for _, name in spec.sampling_weights:
        roles.setdefault(name, f"sampling weight variable {name}")
    if spec.choice_sets is not None:
        for name in (spec.choice_sets.unit, spec.choice_sets.chosen):
            roles.setdefault(name, "expanded()")
    if spec.composite is not None:
        composite = spec.composite
        for name in (composite.unit, composite.indicator, *composite.portions):
            roles.setdefault(name, "composite()")
    if spec.cluster is not None:
        roles.setdefault(spec.cluster, f"cluster({spec.cluster})")
    groups: list[tuple[str, tuple[str, ...]]] = [
        ("variables of eqs()", tuple(name for e in spec.latent for name in e.variables)),
        ("thresholds", tuple(name for t in spec.thresholds for name in t.covariates)),
        ("variables of s()", spec.scale_variables if spec.has_scale else ()),
        ("variables of peqs()", tuple(n for _, names in spec.class_covariates for n in names)),
        ("variables of geqs()", tuple(n for r in spec.regressions for n in r.variables)),
    ]
    for role, names in groups:
        for name in names:
            if name != CONSTANT:
                roles.setdefault(name, role)
    return roles


def estimation_rows(spec: ModelSpec, dataset: Dataset) -> tuple[IndexArray, list[str]]:
    """Return positions of the rows in the sample, and notes on rows left out."""
    positions, notes = sample_positions(spec, dataset, 1)
    return np.arange(dataset.n_rows) if positions is None else positions, notes


def sample_positions(
    spec: ModelSpec, dataset: Dataset, threads: int
) -> tuple[IndexArray | None, list[str]]:
    """Return positions of the rows in the sample, None for all, and notes on rows left out."""
    selected = np.asarray(sample_mask(dataset, spec.sample), dtype=bool)
    if not selected.any():
        hint = "the if or in qualifier selects no row of the data"
        if not selected.size:
            hint = "the data hold no rows"
        raise NoObservations("no observations", hint=hint)
    usable = selected.copy()
    notes: list[str] = []
    reasons: dict[str, int] = {}
    for name, role in _roles(spec).items():
        values = np.ascontiguousarray(dataset.column(name))
        if all_finite(values, threads):
            continue
        present = np.isfinite(values)
        missing = usable & ~present
        if missing.any():
            reasons[role] = reasons.get(role, 0) + int(missing.sum())
            usable &= ~missing
    notes.extend(
        f"{count} observation{'s' if count > 1 else ''} omitted: missing values in {role}"
        for role, count in reasons.items()
    )
    n = int(np.count_nonzero(usable))
    if n == 0:
        raise NoObservations("no observations", hint="; ".join(notes))
    if n == 1:
        raise InsufficientObservations("insufficient observations", hint="only one row is left")
    return None if n == len(usable) else np.flatnonzero(usable), notes


def _check_separation(
    spec: ModelSpec, y: FloatArray, denominator: FloatArray, name: str, x: FloatArray
) -> None:
    """Raise PerfectPrediction if one value of an indicator always has the same outcome."""
    found = outcomes_by_value(x, y, denominator)
    if found is None:
        return
    for value, others in zip(*found, strict=True):
        # Without a constant the group at 0 is described by the other covariates.
        if value == 0.0 and value == found[0][0] and not spec.constant:
            continue
        for outcome, seen in zip(("failure", "success"), others, strict=True):
            if not seen:
                error = PerfectPrediction(
                    f"{name} = {value + 0.0:g} predicts {outcome} perfectly",
                    hint=f"leave out {name}, combine categories, or drop these "
                    f"{int((x == value).sum())} rows",
                )
                error.indicator, error.outcome = (name, float(value)), outcome
                raise error


def _independent(
    columns: dict[str, FloatArray], constant: FloatArray | None
) -> tuple[list[str], list[str]]:
    """Names of columns that are not combinations of those before them, and notes on the rest.

    ``constant`` (N,) of ones comes before the first unless it is None.
    """
    before = [] if constant is None else [constant]
    if clearly_independent([*before, *columns.values()]):
        return list(columns), []
    basis = [x / np.sqrt(len(x)) for x in before]
    kept: list[str] = []
    notes: list[str] = []
    for name, x in columns.items():
        length = float(np.linalg.norm(x))
        residual = x.copy()
        # A second pass removes what rounding left of the first.
        for _ in range(2):
            for vector in basis:
                residual -= (vector @ residual) * vector
        rest = float(np.linalg.norm(residual))
        if rest <= COLLINEAR * length:
            notes.append(f"{name} omitted because of collinearity")
            continue
        basis.append(residual / rest)
        kept.append(name)
    return kept, notes


def check_covariates(
    spec: ModelSpec,
    y: FloatArray,
    denominator: FloatArray,
    columns: dict[str, FloatArray],
) -> tuple[ModelSpec, list[str]]:
    """Drop covariates that are linear combinations of those before them.

    The constant counts as first. Returns the reduced specification and notes.
    """
    links = [LINK_BY_NAME[response.link] for response in spec.responses]
    # The thresholds of a single ordinal response take the place of a constant.
    level = spec.constant or (len(links) == 1 and links[0].ordinal)
    covariates = {name: columns[name] for name in spec.covariates}
    kept, notes = _independent(covariates, ones(len(y)) if level else None)
    if notes:
        spec = replace(spec, covariates=tuple(kept))
    binary = FAMILY_BY_NAME[spec.response.family].domain is Domain.PROPORTION
    # Given values and constraints may keep finite what the data alone would not.
    determined = spec.start is not None or bool(spec.constraints)
    single = len(links) == 1 and not (links[0].ordinal or links[0].nominal)
    if binary and single and not determined:
        if not outcome_varies(y, denominator):
            raise NoObservations(
                "outcome does not vary", hint=f"{spec.depvar} is the same in all rows used"
            )
        for name in kept:
            _check_separation(spec, y, denominator, name, columns[name])
    return spec, notes
