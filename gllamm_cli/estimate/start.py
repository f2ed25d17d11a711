"""Starting values: the model without latent variables, gllamm's defaults, or ``from()``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import InvalidSyntax, VariableNotFound, WrongLength
from gllamm_cli.estimate.engine import Engine
from gllamm_cli.estimate.guess import first_guess
from gllamm_cli.estimate.maximise import SCALED_GRADIENT, Maximum, maximise
from gllamm_cli.estimate.records import IterationRecord
from gllamm_cli.model.collapse import collapsed
from gllamm_cli.model.constraints import Reduction, build_reduction
from gllamm_cli.model.design import Design
from gllamm_cli.model.latent import old_equation_names
from gllamm_cli.model.parameters import Parameters, build_parameters
from gllamm_cli.model.spec import CONSTANT, IntegrationRule, ModelSpec, StartVector

FloatArray = NDArray[np.float64]

INITIAL = {"diagonal": 0.5, "offdiagonal": 0.0, "bmatrix": 0.5, "regression": 0.0}
"""gllamm's starts for parameters of the latent variables, by block."""
USUAL_SIZE = 20.0
"""Factor by which the size of an effect may differ from one for gllamm's start to do."""
INITIAL_ODDS = -0.4
"""gllamm's start for the constants of class log odds."""
ANY_LENGTH = 1e3
"""Scaled length of a first step: without latent variables Newton's method goes astray rarely."""
ROUGH_START = 0.2
"""g'H^-1 g of estimates that only serve as starting values."""
MANY_ROWS = 7_000
"""Rows from which looking for equal ones takes less time than merging them saves."""


def fixed_part(spec: ModelSpec) -> ModelSpec:
    """Return the specification without latent variables, weights folded into the rows."""
    return replace(
        spec,
        levels=(),
        weights=(),
        sampling_weights=(),
        adaptive=False,
        constraints=(),
        start=None,
        rule=IntegrationRule.GAUSS_HERMITE,
        regressions=(),
        latent_paths=(),
        interaction=None,
        class_covariates=(),
    )


class FixedObjective:
    """Log likelihood of the one-level model in the free parameters."""

    at_rest = True
    drift = 0.0

    def __init__(self, engine: Engine, reduction: Reduction) -> None:
        self._engine = engine
        self._reduction = reduction

    def value(self, point: FloatArray) -> float:
        """Log likelihood at ``point``."""
        return self._engine.evaluate(self._reduction.full(point)).log_likelihood

    def settled_value(self, point: FloatArray, tolerance: float = 0.0) -> float:
        """Log likelihood; there are no nodes to move."""
        return self.value(point)

    def begin(self, point: FloatArray) -> None:
        """There are no nodes to move."""

    def follow(self, point: FloatArray, near: float = np.inf) -> float:
        """There are no nodes to move."""
        return 0.0

    def hold(self) -> None:
        """There are no nodes to hold."""

    def restore(self) -> None:
        """There are no nodes to put back."""

    def derivatives(self, point: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log likelihood, score and Hessian."""
        evaluation = self._engine.evaluate(self._reduction.full(point), derivatives=True)
        return evaluation.reduced(self._reduction)


def fit_fixed_part(
    spec: ModelSpec,
    design: Design,
    threads: int | None,
    *,
    start: FloatArray | None = None,
    reduction: Reduction | None = None,
    most_iterations: int = 100,
    tolerance: float = SCALED_GRADIENT,
    on_iteration: Callable[[IterationRecord], None] = lambda record: None,
    shortcuts: bool = True,
) -> Maximum | None:
    """Maximum likelihood for the model without latent variables (all weights as row weights).

    Constraints are ignored unless their ``reduction`` is given; ``tolerance`` is the maximiser's;
    with ``shortcuts`` equal rows are merged.
    """
    one_level = fixed_part(spec)
    parameters = build_parameters(one_level)
    design = design.without_latent_variables()
    if shortcuts and design.n_rows >= MANY_ROWS:
        design = collapsed(design, parameters.columns)
    engine = Engine(design, parameters, threads, shortcuts=shortcuts)
    guess = first_guess(one_level, design, parameters) if start is None else start
    reduction = reduction or build_reduction((), parameters.names)
    return maximise(
        FixedObjective(engine, reduction),
        reduction.reduce(guess),
        adaptive=False,
        most_iterations=most_iterations,
        tolerance=tolerance,
        first_radius=ANY_LENGTH,
        on_iteration=on_iteration,
    )


def n_without_latent(parameters: Parameters) -> int:
    """Number of leading parameters that do not concern latent variables."""
    return sum(name.block in ("fixed", "threshold", "scale") for name in parameters.names)


def default_start(
    parameters: Parameters, fixed: FloatArray, sizes: FloatArray | None = None
) -> FloatArray:
    """``fixed`` for what does not concern latent variables, then the constants gllamm starts from.

    Loadings of effect m start at 1.1 + (-1)^m (m - 1)/5; locations of classes
    at -1, 1, -2, 2, ... With ``sizes`` (M,) of ``effect_sizes`` standard deviations and
    locations start where gllamm's constants would be in usual units of measurement.
    """
    values = np.zeros(parameters.n)
    values[: len(fixed)] = fixed
    for k, name in enumerate(parameters.names[len(fixed) :], start=len(fixed)):
        if name.block == "loading":
            m = name.effects[0]
            values[k] = 1.1 + (-1.0) ** m * (m - 1) / 5.0
        elif name.block == "location":
            number = name.effects[1]
            values[k] = (number + 1) // 2 * (-1.0) ** number / _unusual(sizes, name.effects[0])
        elif name.block == "odds":
            values[k] = INITIAL_ODDS if name.name == CONSTANT else 0.0
        elif name.block == "diagonal":
            values[k] = INITIAL[name.block] / _unusual(sizes, name.effects[0])
        else:
            values[k] = INITIAL[name.block]
    return values


def _unusual(sizes: FloatArray | None, effect: int) -> float:
    """Size of an effect if gllamm's start is too far from it, else 1."""
    size = 1.0 if sizes is None else float(sizes[effect - 1])
    return size if not 1.0 / USUAL_SIZE < size < USUAL_SIZE else 1.0


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
                )
                + ("; long takes all of them" if len(values) == parameters.n > wanted else ""),
            )
        return values if given.long else reduction.full(values)
    current = {(name.equation, name.name): k for k, name in enumerate(parameters.names)}
    aliases = old_equation_names(spec.levels, with_equations=spec.named_effects)
    found = np.full(parameters.n, np.nan)
    extra = []
    for (equation, name), value in zip(given.names, given.values, strict=True):
        position = current.get((equation, name))
        if position is None:
            position = current.get((aliases.get(equation, equation), name))
        if position is None:
            extra.append(f"[{equation}]{name}")
        else:
            found[position] = value
    if len(extra) == len(values):
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
        n_fixed = n_without_latent(parameters)
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
