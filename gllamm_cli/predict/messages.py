"""The lines gllapred and gllasim print."""

from __future__ import annotations

from collections.abc import Iterator

from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.masses import level_masses
from gllamm_cli.predict.posterior import Posterior
from gllamm_cli.predict.request import PredictRequest, Quantity, Simulated, SimulateRequest
from gllamm_cli.stata.format import display, format_f, format_g

PASSES_PER_LINE = 6

ANNOUNCED = {
    Quantity.XB: "xb",
    Quantity.S: "s",
    Quantity.P: "probabilities",
    Quantity.LL: "ll",
    Quantity.MU: "mu",
    Quantity.FAC: "means",
    Quantity.LINPRED: "linear predictor",
    Quantity.COOKSD: "Cook's D",
    Quantity.U: "means and standard deviations",
    Quantity.USTD: "means and standard deviations",
    Quantity.PEARSON: "residuals",
    Quantity.DEVIANCE: "residuals",
    Quantity.ANSCOMBE: "residuals",
}

PRINTS_LOG_LIKELIHOOD = frozenset(
    {
        Quantity.MU,
        Quantity.LL,
        Quantity.P,
        Quantity.PEARSON,
        Quantity.DEVIANCE,
        Quantity.ANSCOMBE,
    }
)
"""Quantities with which the log likelihood is printed after ordinary quadrature too."""


def _stored(what: str, names: list[str]) -> str:
    return f"({what} will be stored in {' '.join(names)})"


def announcement(
    request: PredictRequest, quantity: Quantity, names: list[str], correlations: list[str]
) -> Iterator[str]:
    """Say which variables will hold what."""
    yield _stored(ANNOUNCED[quantity], names)
    if correlations:
        yield _stored("correlations", correlations)
    if quantity is Quantity.LL and request.rows.beyond_sample:
        yield "Note: conditional response probability/density set to 1"
        # Spelled as gllapred spells it.
        yield "      for observartions with missing values"
        yield ""


SIMULATED_SCORES = {
    Simulated.U: "simulated scores",
    Simulated.FAC: "simulated scores",
    Simulated.LINPRED: "linear predictor",
    Simulated.MU: "mu",
}


def simulation_announcement(request: SimulateRequest, names: list[str]) -> Iterator[str]:
    """Say which variables will hold what; ``names`` are those of the quantity."""
    if request.response:
        yield _stored("simulated responses", [request.stub])
    if request.quantity is not None:
        yield _stored(SIMULATED_SCORES[request.quantity], names)


def log_likelihood_lines(posterior: Posterior, quantity: Quantity) -> Iterator[str]:
    """Log likelihood, after the way of adaptive nodes to it."""
    if posterior.ordinary is not None:
        yield f"Non-adaptive log-likelihood: {format_f(posterior.ordinary, 10, 4)}"
        shown = [format_f(value, 10, 4) + " " for value in posterior.passes]
        for first in range(0, len(shown), PASSES_PER_LINE):
            line = "".join(shown[first : first + PASSES_PER_LINE])
            unfinished = len(shown) - first < PASSES_PER_LINE
            yield line + (" " if unfinished else "")
    if posterior.ordinary is not None or quantity in PRINTS_LOG_LIKELIHOOD:
        yield f"log-likelihood:{display(posterior.log_likelihood)}"


def _number(x: float) -> str:
    return format_g(x, 6, 0, commas=True).strip()


def class_lines(fit: Fit) -> Iterator[str]:
    """Prior probabilities and locations of the classes, as stored at the fit."""
    for level in fit.spec.levels:
        masses = level_masses(fit, level)
        yield "prior probabilities"
        whole = len(masses.probabilities) == 1
        shown = ["1"] if whole else [f"0{_number(p)}" for p in masses.probabilities]
        yield f"    prob: {', '.join(shown)}"
        yield ""
        for effect, locations in zip(level.latent, masses.locations, strict=True):
            yield f"locations for random effect {effect.number}"
            yield f"     loc: {', '.join(_number(location) for location in locations)}"
            yield ""
