"""Intraclass correlations.

With psi_l the variance of the random intercept of level l and s the residual variance,
two rows that share a unit of level k have the correlation

    rho_k = (psi_k + ... + psi_L) / (s + psi_2 + ... + psi_L)

(Rabe-Hesketh and Skrondal 2012, sections 8.5 and 10.3). For logit, probit and
complementary log-log links it is that of the latent responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.after.covariance import (
    has_level1_variance,
    level1_variance,
    level_covariance,
    residual_kind,
)
from gllamm_cli.after.delta import Estimated, jacobian, logit_scale, steps
from gllamm_cli.errors import WrongEstimator
from gllamm_cli.fit.fit import Fit

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Intraclass:
    """Intraclass correlations, highest level first.

    Attributes
    ----------
    labels
        ``child|school`` for children within schools.
    conditional
        Whether there are random slopes, whose covariates are taken to be zero.
    covariance : (levels, levels)
    """

    labels: tuple[str, ...]
    levels: tuple[int, ...]
    values: tuple[Estimated, ...]
    covariance: FloatArray
    conditional: bool


def _refused(reason: str, hint: str) -> WrongEstimator:
    return WrongEstimator(f"intraclass correlations are not defined: {reason}", hint=hint)


def check_intraclass(fit: Fit) -> str | float:
    """Return the residual variance, or ``"scale"`` for the squared level-1 scale; r(321) if none.

    Raises
    ------
    WrongEstimator
        The model has no intraclass correlations.
    """
    spec = fit.spec
    if not spec.levels:
        raise _refused("the model has one level", "fit a model with i()")
    if spec.rule.discrete:
        raise _refused(
            "the latent variables are discrete", "estat vc shows the variances of the masses"
        )
    if any(len(e.variables) > 1 or e.free_first_loading for e in spec.latent):
        raise _refused("factors have loadings", "nlcom combines loadings and variances")
    if spec.latent_paths or spec.interaction is not None:
        raise _refused("latent variables depend on each other", "nlcom combines parameters")
    if spec.composite is not None:
        raise _refused("the links are composite", "estat vc shows the variances")
    kinds = {residual_kind(response.family, response.link) for response in spec.responses}
    if None in kinds:
        names = ", ".join(f"family({r.family}) link({r.link})" for r in spec.responses)
        raise _refused(
            f"{names} has no residual variance on the scale of the linear predictor",
            "they exist for the links identity, logit, probit and cll and their ordinal forms",
        )
    if len(kinds) > 1:
        raise _refused("responses have different residual variances", "nlcom combines parameters")
    (kind,) = kinds
    assert kind is not None
    if kind == "scale" and not has_level1_variance(spec):
        raise _refused("the level-1 variance depends on covariates", "nlcom combines parameters")
    return kind


def intraclass(fit: Fit, constants: Mapping[str, float], *, level: float = 95.0) -> Intraclass:
    """Intraclass correlations with delta-method standard errors and logit-scale intervals.

    Parameters
    ----------
    constants
        Value of each variable of a random effect that is the same in all rows;
        the effect is a random intercept. Other variables are taken to be zero.

    Raises
    ------
    WrongEstimator
        The model has no intraclass correlations.
    """
    kind = check_intraclass(fit)
    spec = fit.spec
    weights = [
        np.array([constants.get(effect.variables[0], 0.0) for effect in of_level.latent])
        for of_level in spec.levels
    ]
    for of_level, weight in zip(spec.levels, weights, strict=True):
        if not weight.any():
            raise _refused(
                f"level {of_level.unit} has no random intercept",
                "where all covariates of random effects are zero it does not vary",
            )

    def correlations(theta: FloatArray) -> FloatArray:
        psi = np.array(
            [
                weight @ level_covariance(fit, theta, of_level) @ weight
                for of_level, weight in zip(spec.levels, weights, strict=True)
            ]
        )
        residual = level1_variance(fit, theta) if isinstance(kind, str) else kind
        # Sums from the top level down: shared by a unit of level k and all above it.
        return np.asarray(np.cumsum(psi[::-1]) / (residual + psi.sum()))

    theta, V = fit.estimates, fit.covariance
    J = jacobian(correlations, theta, steps(theta, V))
    covariance = J @ V @ J.T
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    units = [of_level.unit for of_level in spec.levels]
    return Intraclass(
        labels=tuple("|".join(units[k:]) for k in reversed(range(len(units)))),
        levels=tuple(of_level.number for of_level in reversed(spec.levels)),
        values=tuple(
            logit_scale(float(rho), float(se), level)
            for rho, se in zip(correlations(theta), errors, strict=True)
        ),
        covariance=covariance,
        conditional=any((weight == 0.0).any() for weight in weights),
    )
