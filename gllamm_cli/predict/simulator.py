"""``gllasim``: latent variables and responses drawn from a fitted model.

The order of the draws is part of the contract, so that a seed repeats a run:
for levels 2 to L, for each latent variable one standard normal per cluster (one
uniform per cluster for classes), clusters in the order of their identifiers
within those of the levels above; then responses, in the order of the model's
response types, rows in the order of the clusters, responses and data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.fit.fit import Fit
from gllamm_cli.predict.checks import check_above, check_outcome
from gllamm_cli.predict.draw import draw_responses
from gllamm_cli.predict.ignored import ignored_in_simulation
from gllamm_cli.predict.means import conditional_mean
from gllamm_cli.predict.messages import simulation_announcement
from gllamm_cli.predict.model import (
    PreparedModel,
    check_given,
    check_new,
    given_latent,
    parameters_at,
    prepare,
)
from gllamm_cli.predict.request import Prediction, Simulated, SimulateRequest
from gllamm_cli.predict.sample import rows_to_use

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LEAST_ROWS = 2
COLLAPSED = (
    "weight option used in gllamm: "
    "It doesn't normally make sense to simulate responses for collapsed data"
)


def simulate(
    fit: Fit,
    dataset: Dataset,
    request: SimulateRequest,
    random: np.random.Generator,
    *,
    sample: BoolArray | None = None,
    selected: BoolArray | None = None,
    threads: int | None = None,
) -> Prediction:
    """Simulate as gllasim does.

    Parameters
    ----------
    random
        Source of the draws; seed it to repeat a run.
    sample : (rows,), optional
        e(sample); None for the rows that the fitted command would use.
    selected : (rows,), optional
        Rows that ``if`` and ``in`` select; None to evaluate those of the request.

    Raises
    ------
    GllammError
        What gllasim refuses, with its messages and return codes.
    """
    check_simulation(fit, request)
    names = new_names(fit, request)
    check_new(names, request.stub, dataset)
    rows = rows_to_use(fit, dataset, request.rows, sample, selected, least=LEAST_ROWS)
    above: tuple[float, ...] = ()
    if request.quantity is Simulated.MU:
        above = check_above(fit.spec, request.above)
        check_outcome(fit.spec, request.outcome)
    theta = parameters_at(fit, request.start)
    if request.us is not None:
        check_given(fit, dataset, request.us)
    model = prepare(fit, dataset, rows, theta, needs_response=False, threads=threads)
    columns, lines = {}, simulation_announcement(request, names)
    for name, values in zip(
        [*([request.stub] if request.response else []), *names],
        _simulated(model, dataset, request, above, random),
        strict=True,
    ):
        category = request.outcome if request.quantity is Simulated.MU else None
        shown = category if name != request.stub else None
        columns[name] = model.to_data(values, dataset.n_rows, category=shown)
    weighted = bool(fit.spec.weights) and request.response
    return Prediction(
        columns,
        lines=tuple(lines),
        warnings=(COLLAPSED,) if weighted else (),
        notes=tuple(ignored_in_simulation(fit, request)),
    )


def check_simulation(fit: Fit, request: SimulateRequest) -> None:
    """Refuse what makes no sense for the fit."""
    quantity = request.quantity
    if quantity in (Simulated.U, Simulated.FAC) and not fit.spec.levels:
        raise InvalidSyntax("u and fac options not valid for 1 level model")
    if request.nooffset and quantity not in (Simulated.LINPRED, Simulated.MU):
        raise InvalidSyntax("nooffset option only allowed with linpred or mu option")
    if request.us is not None and quantity is Simulated.U:
        raise InvalidSyntax("u option does not make sense with us() option")


def new_names(fit: Fit, request: SimulateRequest) -> list[str]:
    """Names of the variables of the quantity."""
    if request.quantity is None:
        return []
    if request.quantity in (Simulated.U, Simulated.FAC):
        return [f"{request.stub}p{r}" for r in range(1, len(fit.spec.latent) + 1)]
    return [f"{request.stub}p"]


def draw_latent(model: PreparedModel, random: np.random.Generator) -> FloatArray:
    """Draw v, the kernel's latent dimensions, for every row, (N, D)."""
    prepared, columns = model.prepared, []
    discrete = model.fit.spec.rule.discrete
    log_masses = model.engine.log_masses(model.theta) if discrete else []
    for k, (level, unit) in enumerate(
        zip(prepared.design.levels, prepared.unit_of_row, strict=True)
    ):
        if discrete:
            log_mass = log_masses[k]
            cumulative = np.cumsum(np.exp(log_mass), axis=1)
            uniform = random.random(level.n_units)[:, None]
            # Rounding may leave the last cumulative probability below the draw.
            chosen = np.minimum((uniform >= cumulative).sum(axis=1), log_mass.shape[1] - 1)
            columns.append(np.eye(log_mass.shape[1])[chosen][unit])
            continue
        for _ in range(level.rule.n_latent):
            columns.append(random.standard_normal(level.n_units)[unit][:, None])
    out = np.hstack(columns) if columns else np.zeros((prepared.n_rows, 0))
    out[~prepared.placed] = np.nan
    return out


def _simulated(
    model: PreparedModel,
    dataset: Dataset,
    request: SimulateRequest,
    above: tuple[float, ...],
    random: np.random.Generator,
) -> list[FloatArray]:
    """Responses, if asked for, then the quantity's variables, by design row."""
    prepared, quantity = model.prepared, request.quantity
    zeta = eta = np.zeros((prepared.n_rows, 0))
    if model.is_one_level:
        nu = model.coefficients[:, 0]
    elif request.us is not None:
        eta = given_latent(model.fit, dataset, request.us, prepared.design.rows)
        nu = model.predictor_given(eta)
    else:
        v = draw_latent(model, random)
        coefficients = model.coefficients
        nu = coefficients[:, 0] + np.einsum("nd,nd->n", coefficients[:, 1:], v)
        zeta = v @ model.structure.factor.T
        eta = model.structure.finished(zeta, prepared.raw.variables)
    if request.nooffset:
        nu = nu - prepared.raw.offset
    out = [draw_responses(model, nu, random)] if request.response else []
    match quantity:
        case Simulated.U:
            out.extend(zeta.T)
        case Simulated.FAC:
            out.extend(eta.T)
        case Simulated.LINPRED:
            out.append(nu)
        case Simulated.MU:
            conditional = conditional_mean(prepared, model.alpha, above)
            out.append(conditional.mean(nu[:, None], 0, prepared.n_rows)[:, 0])
    return out
