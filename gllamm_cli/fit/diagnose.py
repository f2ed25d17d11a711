"""What the user must be told about a fit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.estimate.adapt import Placement, standard_placement
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.maximise import Maximum, shares_of_flat_directions
from gllamm_cli.estimate.settle import settle
from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.masses import level_masses
from gllamm_cli.model.constraints import Reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.families import FAMILY_BY_NAME, LINK_BY_NAME, Domain
from gllamm_cli.model.parameters import Parameters
from gllamm_cli.model.quadrature import ProductRule
from gllamm_cli.model.sizes import column_sizes
from gllamm_cli.model.spec import ModelSpec
from gllamm_cli.model.structure import Column, as_column
from gllamm_cli.model.thin import without_period

FloatArray = NDArray[np.float64]

BOUNDARY = 1e-4
"""Standard deviation of a random effect that counts as zero, in scales of the response."""
UNDETERMINED = 1e4
"""Standard error, in scales of the response for the usual size of a covariate, that tells so."""
NOTABLE = 0.05
"""Error of the log likelihood from quadrature that is reported."""
MANY_CLUSTERS = 8_000
"""Clusters of which a part will do as a rule to see whether there is such an error."""
ONE_BLOCK_IN, FEWEST_BLOCKS = 8, 12
STANDARD_ERRORS = 6.0
"""What the sum over all clusters may differ by from what a part of their blocks suggests."""
MOST_NODES = 4096
ROUNDING = 1e-6
VANISHING = 1e-4
COINCIDING = 1e-3


def maximum_notes(
    maximum: Maximum, reduction: Reduction, parameters: Parameters
) -> tuple[str, ...]:
    """Notes on convergence and identification."""
    notes = []
    if not maximum.converged:
        notes.append("convergence not achieved")
    if not maximum.concave and len(maximum.hessian):
        shares = shares_of_flat_directions(maximum.hessian)
        names = reduction.free_names(parameters.names)
        if shares is not None:
            involved = [name for name, share in zip(names, shares, strict=True) if share > 0.1]
            notes.append(
                "the log likelihood does not curve down in every direction; not identified, or "
                "at a boundary: " + ", ".join(involved)
            )
    return tuple(notes)


def probability_notes(spec: ModelSpec, log_likelihood: float) -> tuple[str, ...]:
    """Note on probabilities above 1, which links that do not map into (0, 1) allow.

    Only they give responses that are not continuous a positive log likelihood.
    """
    discrete = all(
        LINK_BY_NAME[response.link].ordinal
        or LINK_BY_NAME[response.link].nominal
        or FAMILY_BY_NAME[response.family].domain in (Domain.COUNT, Domain.PROPORTION)
        for response in spec.responses
    )
    if not discrete or log_likelihood <= ROUNDING:
        return ()
    return ("the log likelihood is positive, so some probabilities are above 1: use another link",)


def boundary_notes(fit: Fit, sizes: FloatArray) -> tuple[str, ...]:
    """Notes on variances estimated as zero; ``sizes`` (M,) are those of ``effect_sizes``."""
    notes = []
    for k in fit.block("diagonal"):
        name = fit.names[k]
        effect = fit.spec.latent[name.effects[0] - 1]
        if fit.free[k] and abs(fit.estimates[k]) * sizes[effect.number - 1] < BOUNDARY:
            given = " given the effects before it" if effect.index > 1 else ""
            notes.append(
                f"variance of random effect {effect.index} at level {effect.level}{given} is on "
                "the boundary (zero): its standard error has no meaning, and a likelihood-ratio "
                "test of it refers to a 50:50 mixture of chi-squared distributions"
            )
    return tuple(notes)


def undetermined_notes(fit: Fit, design: Design, alpha: FloatArray) -> tuple[str, ...]:
    """Notes on coefficients of which the data say next to nothing.

    That is so where outcomes are predicted perfectly, where classes have gone to infinity, and
    where an effect adds the same to all alternatives. Rounding lets such a log likelihood curve.
    """
    judged = [
        k
        for k, name in enumerate(fit.names)
        if name.block in ("fixed", "diagonal", "location", "odds", "threshold") and fit.free[k]
    ]
    columns = [_column(fit, k) for k in judged]
    sizes = column_sizes(design, columns, alpha)
    std_err = np.sqrt(np.maximum(np.diag(fit.covariance)[judged], 0.0))
    found = [k for k, error in zip(judged, std_err * sizes, strict=True) if error > UNDETERMINED]
    if not found:
        return ()
    names = ", ".join(f"[{fit.names[k].equation}]{fit.names[k].name}" for k in found)
    return (
        f"the data say next to nothing of {names}: not identified, or on the way to infinity "
        "since outcomes are predicted perfectly",
    )


def _column(fit: Fit, k: int) -> Column:
    """Column whose coefficient a parameter is, or scales; that of the constant for others."""
    name = fit.names[k]
    if name.block == "fixed":
        return as_column(name.name)
    if name.block in ("diagonal", "location"):
        return as_column(fit.spec.latent[name.effects[0] - 1].variables[0])
    return ()


def mass_notes(fit: Fit) -> tuple[str, ...]:
    """Notes on classes that vanish or coincide."""
    if not fit.spec.rule.discrete:
        return ()
    notes: list[str] = []
    for level in fit.spec.levels:
        masses = level_masses(fit, level)
        pi, locations = masses.probabilities, masses.locations
        notes.extend(
            f"class {k + 1} at level {level.number} has probability {p:.1e}: it may be dropped"
            for k, p in enumerate(pi)
            if p < VANISHING
        )
        for k in range(len(pi)):
            for j in range(k):
                if np.abs(locations[:, k] - locations[:, j]).max() < COINCIDING:
                    notes.append(
                        f"classes {j + 1} and {k + 1} at level {level.number} have the same "
                        "location: fewer classes give the same log likelihood"
                    )
    return tuple(notes)


def _finer(design: Design, factor: int) -> list[ProductRule] | None:
    """Rules with ``factor`` times the points per latent variable; None if these are too many."""
    rules = []
    for level in design.levels:
        assert isinstance(level.rule, ProductRule)
        rules.append(ProductRule(tuple(factor * n for n in level.rule.points)))
    return rules if math.prod(rule.n_nodes for rule in rules) <= MOST_NODES else None


def _is_clearly_accurate(
    engine: Engine, check: Engine, theta: FloatArray, placement: Placement
) -> bool:
    """Whether some of many clusters show already that the error is well below ``NOTABLE``.

    ``check`` is ``engine`` with more nodes.
    """
    n_blocks = len(engine.blocks) - 1
    chosen = without_period(n_blocks, ONE_BLOCK_IN)
    if engine.design.levels[-1].n_units < MANY_CLUSTERS or len(chosen) < FEWEST_BLOCKS:
        return False
    difference = check.of_blocks(theta, placement, chosen)
    difference -= engine.of_blocks(theta, placement, chosen)
    error = difference.std(ddof=1) / math.sqrt(len(chosen))
    return bool(n_blocks * (abs(difference.mean()) + STANDARD_ERRORS * error) < NOTABLE)


def quadrature_notes(
    engine: Engine, theta: FloatArray, log_likelihood: float, placement: Placement | None
) -> tuple[str, ...]:
    """Compare the log likelihood at ``theta`` with that by adaptive quadrature, twice the points.

    The rules are products of Gauss-Hermite rules; None stands for their nodes as they are.
    """
    finer = _finer(engine.design, 2)
    if finer is None:
        return ()
    check = engine.with_rules(finer)
    if placement is not None and _is_clearly_accurate(engine, check, theta, placement):
        return ()
    if placement is None:
        accurate = settle(
            check, theta, standard_placement(check.design), tolerance=1e-6, most_passes=30
        ).log_likelihood
    else:
        accurate = check.evaluate(theta, placement).log_likelihood
    if not np.isfinite(accurate) or abs(log_likelihood - accurate) < NOTABLE:
        return ()
    if placement is None:
        return (
            f"ordinary quadrature is unreliable here: at these estimates the log likelihood is "
            f"{accurate:.4f} by adaptive quadrature with twice the points, not "
            f"{log_likelihood:.4f}; use adapt",
        )
    return (
        f"with twice the quadrature points the log likelihood at these estimates is "
        f"{accurate:.4f}; use more points with nip()",
    )
