"""What gllamm leaves behind in ``e()`` besides b and V, by the names that do-files know."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.masses import level_masses
from gllamm_cli.fit.natural import cholesky_factor
from gllamm_cli.model.constraints import build_reduction
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.model.quadrature import gauss_hermite
from gllamm_cli.model.spec import IntegrationRule, ModelSpec, Purpose, Response
from gllamm_cli.stata.named_matrix import NamedMatrix

FloatArray = NDArray[np.float64]

NO_CONDITION_NUMBER = -1.0


def stored_scalars(fit: Fit) -> dict[str, float]:
    """Numbers: sizes of the model, and options as 1 and 0."""
    spec = fit.spec
    found = {
        "k": fit.n_free,
        "converged": fit.converged,
        "cn": NO_CONDITION_NUMBER if fit.condition_number is None else fit.condition_number,
        "const": spec.constant,
        "tplv": len(fit.n_units),
        "tprf": len(spec.latent) + 1,
        "tpi": sum(_loops(spec)) + 1,
        "tpff": len(_predictors(fit)),
        "lev1": _type_of_scale(spec),
        "nats": spec.natural_scale,
        "cor": spec.correlated,
        "bmat": bool(spec.latent_paths),
        "ngeqs": len(spec.regressions),
        "inter": spec.interaction is not None,
        "adapt": spec.adaptive,
        "mult": spec.rule is IntegrationRule.SPHERICAL,
        "nolog": len(spec.thresholds),
        "ethr": any(thresholds.increments for thresholds in spec.thresholds),
        "init": spec.purpose is Purpose.FIXED_ONLY,
        "prior": False,
    }
    return {name: float(value) for name, value in found.items()}


def stored_macros(fit: Fit) -> dict[str, str]:
    """Text: what was estimated from which variables; empty ones are left out."""
    spec = fit.spec
    plain, ordinal = _links(spec.responses, ordinal=False), _links(spec.responses, ordinal=True)
    found = {
        "title": fit.title,
        "predict": "gllapred",
        "clus": " ".join(level.unit for level in reversed(spec.levels)),
        "famil": " ".join(dict.fromkeys(response.family for response in spec.responses)),
        "link": plain or ordinal,
        "linko": ordinal,
        "lv": spec.link_selector,
        "fv": spec.family_selector,
        "offset": spec.offset,
        "denom": spec.denominator,
        "weight": _stub(spec.weights),
        "pweight": _stub(spec.sampling_weights),
        "robclus": spec.cluster,
        "free": "free" if spec.rule.discrete else "",
    }
    return {name: text for name, text in found.items() if text}


def stored_matrices(fit: Fit) -> dict[str, NamedMatrix]:
    """Matrices, all but b and V without names."""
    spec = fit.spec
    found: dict[str, FloatArray] = {
        "nu": np.array([fit.n_units]),
        "nffc": np.cumsum([_predictors(fit)], axis=1).astype(np.float64),
        "Vs": fit.covariance if fit.model_covariance is None else fit.model_covariance,
    }
    if fit.std_err_type != "model":
        found["Vr"] = fit.covariance
    if spec.latent:
        found |= _of_latent_variables(fit)
    if spec.constraints:
        reduction = build_reduction(spec.constraints, fit.names)
        found["T"] = reduction.T
        found["a"] = reduction.full(np.zeros(reduction.n_free)).reshape(1, -1)
    return {name: NamedMatrix.unnamed(values) for name, values in found.items()}


def _of_latent_variables(fit: Fit) -> dict[str, FloatArray]:
    """Sizes of their equations, loops of integration, nodes, and the Cholesky factor."""
    spec = fit.spec
    effects = [len(level.latent) for level in spec.levels]
    points = [float(effect.points) for effect in spec.latent]
    scale = len(spec.scale_variables) if spec.has_scale else 0
    found = {
        "nrfc": np.cumsum([[1, *_loops(spec)], [1, *effects]], axis=1).astype(np.float64),
        "nrf": np.array([[1.0, *map(float, effects)]]),
        "nbrf": np.array([[float(scale), *(float(len(e.variables)) for e in spec.latent)]]),
        "nip": np.array([[1.0, *points], [1.0, *points]]),
    }
    if spec.rule.discrete:
        return found | _masses(fit)
    factor = np.zeros((len(points), len(points)))
    begin = 0
    for level in spec.levels:
        end = begin + len(level.latent)
        factor[begin:end, begin:end] = cholesky_factor(fit, level)[0]
        begin = end
    found["chol"] = factor
    if spec.rule is IntegrationRule.GAUSS_HERMITE:
        for n in sorted({effect.points for effect in spec.latent}):
            nodes, log_weights = gauss_hermite(n)
            found[f"zlc{n}"], found[f"zps{n}"] = np.array([nodes]), np.array([log_weights])
    return found


def _masses(fit: Fit) -> dict[str, FloatArray]:
    """Locations of classes by effect, log probabilities by level, both from 2 on."""
    found = {}
    for level in fit.spec.levels:
        masses = level_masses(fit, level)
        for effect, locations in zip(level.latent, masses.locations, strict=True):
            found[f"zlc{effect.number + 1}"] = locations.reshape(1, -1)
        with np.errstate(divide="ignore"):
            found[f"zps{level.number}"] = np.log(masses.probabilities).reshape(1, -1)
    return found


def _loops(spec: ModelSpec) -> list[int]:
    """Loops of integration at each level: one over classes or points on spheres."""
    together = spec.rule.discrete or spec.rule is IntegrationRule.SPHERICAL
    return [min(len(level.latent), 1) if together else len(level.latent) for level in spec.levels]


def _predictors(fit: Fit) -> list[int]:
    """Numbers of coefficients of the fixed parts of linear predictors, then of thresholds."""
    fixed = [name.equation for name in fit.names if name.block in ("fixed", "threshold")]
    return [len(list(group)) for _, group in groupby(fixed)]


def _type_of_scale(spec: ModelSpec) -> int:
    """0 without a level-1 scale, 2 for that of gamma alone, 3 for gamma with others, else 1."""
    if not spec.has_scale:
        return 0
    families = {response.family for response in spec.responses}
    if "gamma" not in families:
        return 1
    return 2 if families == {"gamma"} else 3


def _links(responses: Sequence[Response], *, ordinal: bool) -> str:
    chosen = [r.link for r in responses if LINK_BY_NAME[r.link].ordinal is ordinal]
    return " ".join(dict.fromkeys(chosen))


def _stub(weights: Sequence[tuple[int, str]]) -> str:
    """Name of weight variables without the number of their level."""
    return weights[0][1].removesuffix(str(weights[0][0])) if weights else ""
