"""Models of every kind of response and structure, by name."""

from __future__ import annotations

from direct import CUMULATIVE
from predict_base import Model
from predict_families import (
    binomial,
    cloglog,
    cumulative,
    gamma,
    gaussian,
    poisson,
    scaled_probit,
    thresholds,
)
from predict_structures import (
    choice_by_alternative,
    choice_sets,
    class_covariates,
    composite,
    interaction,
    masses,
    mixed,
    nominal,
    paths,
    three_slopes,
)

MODELS: dict[str, Model] = {
    **{
        f"{build.__name__}-{n}": build(n)
        for build in (
            gaussian,
            binomial,
            cloglog,
            scaled_probit,
            poisson,
            gamma,
            mixed,
            paths,
        )
        for n in (2, 3)
    },
    **{f"{link}-{n}": cumulative(link, n) for link in CUMULATIVE for n in (2, 3)},
    **{f"{option}-{n}": thresholds(option, n) for option in ("thresh", "ethresh") for n in (2, 3)},
    **{f"choice-{n}": choice_sets(False, n) for n in (2, 3)},
    **{f"scaled-choice-{n}": choice_sets(True, n) for n in (2, 3)},
    **{f"masses-{n}": masses(False, n) for n in (2, 3)},
    **{f"centred-masses-{n}": masses(True, n) for n in (2, 3)},
    "class-covariates": class_covariates(),
    "interaction": interaction(),
    "product-rule": three_slopes("product"),
    "spherical-rule": three_slopes("spherical"),
    "alternatives": choice_by_alternative(),
    "nominal": nominal(),
    "composite": composite(),
}
