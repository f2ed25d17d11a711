"""Options that have no effect, said aloud: gllapred and gllasim pass them over in silence."""

from __future__ import annotations

from collections.abc import Iterator

from gllamm_cli.fit.fit import Fit
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.predict.request import PredictRequest, Quantity, Simulated, SimulateRequest

WITHOUT_QUADRATURE = (Quantity.XB, Quantity.S)


def _categories(
    fit: Fit, above: tuple[float, ...], outcome: float | None, *, of_mean: bool, where: str
) -> Iterator[str]:
    links = [LINK_BY_NAME[response.link] for response in fit.spec.responses]
    if above:
        if not of_mean:
            yield f"above() ignored: it belongs to {where}"
        elif not any(link.ordinal for link in links):
            yield "above() ignored: there is no ordinal response"
    if outcome is not None:
        if not of_mean:
            yield f"outcome() ignored: it belongs to {where}"
        elif fit.spec.choice_sets is not None:
            yield "outcome() ignored: each row of expanded data has its own alternative"
        elif not any(link.nominal for link in links):
            yield "outcome() ignored: there is no nominal response"


def ignored_in_prediction(fit: Fit, request: PredictRequest) -> Iterator[str]:
    """Notes on options of ``gllapred`` without effect."""
    of_mean = request.quantity.is_function_of_mean
    where = "mu and residuals"
    yield from _categories(fit, request.above, request.outcome, of_mean=of_mean, where=where)
    integrated = request.quantity not in WITHOUT_QUADRATURE and bool(fit.spec.levels)
    if request.marginal:
        if not of_mean:
            yield f"marginal ignored: it belongs to {where}"
        elif request.us is not None:
            yield "marginal ignored: us() gives the latent variables"
        elif not integrated:
            yield "marginal ignored: there are no latent variables"
    if request.us is not None and not fit.spec.levels:
        yield "us() ignored: there are no latent variables"
    if request.adapt:
        if not integrated or request.us is not None:
            yield "adapt ignored: nothing is integrated"
        elif request.marginal and of_mean:
            yield "adapt ignored: the prior is integrated by ordinary quadrature"


def ignored_in_simulation(fit: Fit, request: SimulateRequest) -> Iterator[str]:
    """Notes on options of ``gllasim`` without effect."""
    of_mean = request.quantity is Simulated.MU
    yield from _categories(fit, request.above, request.outcome, of_mean=of_mean, where="mu")
    if request.us is not None and not fit.spec.levels:
        yield "us() ignored: there are no latent variables"
