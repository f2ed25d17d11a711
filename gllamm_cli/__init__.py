"""gllamm for the shell and for Python: generalized linear latent and mixed models.

    fit = gllamm_cli.gllamm("math5 math3, i(school) adapt", "jsp.dta")
    print(gllamm_cli.render_fit(fit))

Names are loaded when first used, so that asking for the version is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset as Dataset
    from gllamm_cli.errors import GllammError as GllammError
    from gllamm_cli.fit.estimator import fit_model as fit_model
    from gllamm_cli.fit.fit import Fit as Fit
    from gllamm_cli.fit.natural import natural_estimates as natural_estimates
    from gllamm_cli.fit.store import load_fit as load_fit
    from gllamm_cli.fit.store import save_fit as save_fit
    from gllamm_cli.read import read_dataset as read_dataset
    from gllamm_cli.report.json import results_json as results_json
    from gllamm_cli.report.text import render_fit as render_fit
    from gllamm_cli.session import Session as Session
    from gllamm_cli.session import gllamm as gllamm

__version__ = "0.1.0"

_HOMES = {
    "Dataset": "data",
    "Fit": "fit.fit",
    "GllammError": "errors",
    "Session": "session",
    "fit_model": "fit.estimator",
    "gllamm": "session",
    "load_fit": "fit.store",
    "natural_estimates": "fit.natural",
    "read_dataset": "read",
    "render_fit": "report.text",
    "results_json": "report.json",
    "save_fit": "fit.store",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_HOMES, "__version__"])
