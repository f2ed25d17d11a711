"""Starting values: the model without latent variables, gllamm's defaults, or ``from()``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import InvalidSyntax, VariableNotFound, WrongLength
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.maximise import Maximum, maximise
from gllamm_cli.estimate.records import IterationRecord
from gllamm_cli.model.constraints import Reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.families import FAMILY_BY_NAME, LINK_BY_NAME, Domain
from gllamm_cli.model.names import ParameterName
from gllamm_cli.model.parameters import Parameters, build_parameters
from gllamm_cli.model.spec import ModelSpec, StartVector
from gllamm_cli.model.structure import as_column

FloatArray = NDArray[np.float64]

INITIAL_DEVIATION = 0.5
"""gllamm's start for standard deviations and diagonal Cholesky elements."""


def fixed_part(spec: ModelSpec) -> ModelSpec:
    """Return the specification without latent variables, weights folded into the rows."""
    return replace(spec, levels=(), weights=(), adaptive=False, constraints=(), start=None)


def _first_guess(spec: ModelSpec, design: Design) -> FloatArray:
    """One weighted least-squares step of the linear predictor on the transformed response."""
    family = FAMILY_BY_NAME[spec.response.family]
    link = LINK_BY_NAME[spec.response.link]
    y = design.y / design.denominator if family.domain is Domain.PROPORTION else design.y
    weight = design.total_weight
    average = float(np.average(y, weights=weight))
    mean = y if link.code == LINK_BY_NAME["ident"].code else 0.5 * (y + average)
    low, high = link.means
    if np.isfinite(high):
        mean = np.clip(mean, low + 0.01 * (high - low), high - 0.01 * (high - low))
    elif np.isfinite(low):
        mean = np.maximum(mean, low + max(1e-3, 0.01 * abs(average)))
    assert link.predictor is not None
    predictor = link.predictor(mean)
    names = tuple(spec.covariates) + (("_cons",) if spec.constant else ())
    guess: FloatArray = np.zeros(0)
    residual = predictor - design.offset
    if names:
        root = np.sqrt(weight)
        X = design.matrix(tuple(as_column(name) for name in names))
        guess = np.asarray(np.linalg.lstsq(X * root[:, None], residual * root, rcond=None)[0])
        residual = residual - X @ guess
    if not spec.has_scale:
        return guess
    spread = residual if family.name == "gauss" and link.name == "ident" else y - average
    if family.name == "gamma":
        spread = spread / average
    variance = float(np.average(spread**2, weights=weight))
    return np.append(guess, 0.5 * np.log(max(variance, 1e-12)))


class FixedObjective:
    """Log likelihood of the one-level model."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def value(self, point: FloatArray) -> float:
        """Log likelihood at ``point``."""
        return self._engine.evaluate(point).log_likelihood

    def settle(self, point: FloatArray) -> None:
        """There are no nodes to move."""

    def derivatives(self, point: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log likelihood, score and Hessian."""
        evaluation = self._engine.evaluate(point, derivatives=True)
        if not np.isfinite(evaluation.log_likelihood):
            empty = np.zeros(len(point))
            return -np.inf, empty, np.zeros((len(point), len(point)))
        return (evaluation.log_likelihood, *evaluation.derivatives())


def fit_fixed_part(
    spec: ModelSpec,
    design: Design,
    threads: int | None,
    *,
    start: FloatArray | None = None,
    most_iterations: int = 100,
    on_iteration: Callable[[IterationRecord], None] = lambda record: None,
) -> Maximum | None:
    """Maximum likelihood for the model without latent variables (all weights as row weights)."""
    one_level = fixed_part(spec)
    engine = Engine(design.without_latent_variables(), build_parameters(one_level), threads)
    guess = _first_guess(one_level, design) if start is None else start
    return maximise(
        FixedObjective(engine),
        guess,
        adaptive=False,
        most_iterations=most_iterations,
        on_iteration=on_iteration,
    )


def default_start(parameters: Parameters, fixed: FloatArray) -> FloatArray:
    """Gllamm's starting values: ``fixed`` for the fixed part and scale, then its constants.

    Loadings of effect m start at 1.1 + (-1)^m (m - 1)/5, deviations at 0.5,
    off-diagonal Cholesky elements at 0.
    """
    values = np.zeros(parameters.n)
    values[: len(fixed)] = fixed
    for k, name in enumerate(parameters.names):
        if name.block == "diagonal":
            values[k] = INITIAL_DEVIATION
        elif name.block == "loading":
            m = name.effects[0]
            values[k] = 1.1 + (-1.0) ** m * (m - 1) / 5.0
    return values


def _old_names(spec: ModelSpec, name: ParameterName) -> list[tuple[str, str]]:
    """Names the parameter had in the 2001 version: stems of four letters, no level number."""
    if not name.effects:
        return []
    effects = {effect.number: effect for effect in spec.latent}
    row = effects[name.effects[0]]
    stem = spec.levels[row.level - 2].unit[:4]
    if name.block == "offdiagonal":
        column = effects[name.effects[1]]
        return [(f"{stem}{row.index}_{column.index}", name.name)]
    suffix = "l" if name.block == "loading" else ""
    index = str(row.index) if spec.named_effects else ""
    candidates = [f"{stem}{index}{suffix}"]
    if suffix and row.index == 1:
        candidates.append(f"{stem}l")
    return [(candidate, name.name) for candidate in candidates]


def start_from(
    spec: ModelSpec,
    parameters: Parameters,
    reduction: Reduction,
    given: StartVector,
    fixed: Callable[[], FloatArray],
) -> FloatArray:
    """Full starting vector (K,) from the matrix of ``from()``.

    By position under ``copy`` (the free parameters if there are constraints,
    unless ``long``), else by equation and column name. Parameters the matrix
    does not have start at gllamm's defaults; ``fixed`` gives those of the fixed
    part, computed only when needed.
    """
    values = np.array(given.values)
    if given.copy or (spec.constraints and not given.long):
        wanted = parameters.n if given.long else reduction.n_free
        if len(values) != wanted:
            raise WrongLength(
                f"from matrix must be dimension {wanted}",
                hint=f"{given.matrix} has {len(values)} columns; the parameters are "
                + ", ".join(
                    reduction.free_names(parameters.names)
                    if not given.long
                    else [f"[{n.equation}]{n.name}" for n in parameters.names]
                ),
            )
        return values if given.long else reduction.full(values)
    by_name = dict(zip(given.names, given.values, strict=True))
    found = np.full(parameters.n, np.nan)
    used: set[tuple[str, str]] = set()
    for k, name in enumerate(parameters.names):
        for alias in [(name.equation, name.name), *_old_names(spec, name)]:
            if alias in by_name and alias not in used:
                found[k] = by_name[alias]
                used.add(alias)
                break
    extra = [f"[{eq}]{name}" for eq, name in given.names if (eq, name) not in used]
    if not used:
        raise VariableNotFound(
            f"no column of {given.matrix} is a parameter of the model",
            hint="copy takes the values by position",
        )
    if extra and not given.skip:
        raise VariableNotFound(
            f"extra parameter {extra[0]} specified in from()", hint="skip ignores such parameters"
        )
    absent = np.isnan(found)
    if absent.any():
        n_fixed = sum(name.block in ("fixed", "scale") for name in parameters.names)
        needs_fit = absent[:n_fixed].any()
        defaults = default_start(parameters, fixed() if needs_fit else np.zeros(n_fixed))
        found[absent] = defaults[absent]
    return found


def check_start_length(given: StartVector, n: int) -> None:
    """Raise if a positional start of an ``init`` model does not have ``n`` values."""
    if given.copy and len(given.values) != n:
        raise InvalidSyntax(
            f"from matrix must be dimension {n}",
            hint=f"{given.matrix} has {len(given.values)} columns",
        )
