"""The likelihood-ratio test against the model named in ``lf0()``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gllamm_cli.fit.fit import Fit


@dataclass(frozen=True, slots=True)
class LikelihoodRatioTest:
    """Twice the gain in log likelihood; ``p`` is NaN without degrees of freedom."""

    chi2: float
    df: int
    p: float


def reference_test(fit: Fit) -> LikelihoodRatioTest | None:
    """Return the test of ``lf0(k ll)``; None if it was not given or nothing was estimated."""
    if fit.spec.reference is None or not fit.block("fixed"):
        return None
    n_parameters, log_likelihood = fit.spec.reference
    chi2 = 2.0 * (fit.log_likelihood - log_likelihood)
    df = fit.n_free - n_parameters
    if df <= 0:
        return LikelihoodRatioTest(chi2, df, math.nan)
    # Imported late: most output needs no chi-squared distribution.
    from scipy.special import gammaincc

    return LikelihoodRatioTest(chi2, df, float(gammaincc(df / 2.0, max(chi2, 0.0) / 2.0)))
