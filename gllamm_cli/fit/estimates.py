"""Results of an estimation command as do-files see them: ``e()``, ``_b[]``, ``estimates store``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gllamm_cli.errors import VariableNotFound
from gllamm_cli.fit.fit import Fit
from gllamm_cli.fit.stored_results import stored_macros, stored_matrices, stored_scalars
from gllamm_cli.stata.named_matrix import NamedMatrix, Names

if TYPE_CHECKING:
    from gllamm_cli.report.regression import Regression

FloatArray = NDArray[np.float64]
NON_INTEGER = "weights are non-integer"
"""Note of a fit whose weights are no frequencies."""


@dataclass(frozen=True, slots=True, eq=False)
class OwnScale:
    """How e(b) follows from the parameters of the gllamm fit, one by one.

    Attributes
    ----------
    names
        Those of the fit's parameters.
    derivative : (K,)
        Of e(b) in the parameters.
    """

    names: Names
    derivative: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """What an estimation leaves behind.

    Attributes
    ----------
    command, line
        Name of the command, and all of it as typed.
    names
        ``(equation, name)`` of the K parameters; equations are empty if there is only one.
    b : (K,)
    V : (K, K)
    rank
        Number of free parameters.
    sample
        Numbers of the rows used (``Dataset.row_ids``); None if the data are gone.
    residual_df
        Of t statistics; None for normal ones.
    fit, regression
        What presenters show: one of the two.
    latent
        The gllamm fit behind results that are shown as a regression, its parameters in
        the order of e(b).
    scale
        Where e(b) has functions of these parameters.
    """

    command: str
    line: str
    depvar: str
    names: Names
    b: FloatArray
    V: FloatArray
    log_likelihood: float
    n: float
    rank: int
    sample: NDArray[np.int64] | None = None
    residual_df: float | None = None
    scalars: Mapping[str, float] = field(default_factory=dict)
    macros: Mapping[str, str] = field(default_factory=dict)
    matrices: Mapping[str, NamedMatrix] = field(default_factory=dict)
    fit: Fit | None = None
    regression: Regression | None = None
    latent: Fit | None = None
    scale: OwnScale | None = None

    @classmethod
    def of_fit(cls, fit: Fit, sample: NDArray[np.int64] | None = None) -> Estimates:
        """Results of gllamm."""
        names = tuple((name.equation, name.name) for name in fit.names)
        # Sums of weights that are no frequencies are no numbers of rows.
        n = float(fit.n_rows) if NON_INTEGER in fit.notes else fit.n_units[0]
        return cls(
            command="gllamm",
            line=fit.command,
            depvar=fit.spec.depvar,
            names=names,
            b=fit.estimates,
            V=fit.covariance,
            log_likelihood=fit.log_likelihood,
            n=n,
            rank=fit.n_free,
            sample=sample,
            scalars=stored_scalars(fit),
            macros=stored_macros(fit),
            matrices=stored_matrices(fit),
            fit=fit,
        )

    @property
    def all_scalars(self) -> dict[str, float | str]:
        """``e()`` as expressions see it."""
        return {
            "N": float(self.n),
            "ll": self.log_likelihood,
            "cmd": self.command,
            "cmdline": self.line,
            "depvar": self.depvar,
            "rank": float(self.rank),
            **self.macros,
            **self.scalars,
        }

    @property
    def all_matrices(self) -> dict[str, NamedMatrix]:
        """Matrices of ``e()``."""
        return {
            "b": NamedMatrix.row(self.b, self.names),
            "V": NamedMatrix(self.V, self.names, self.names),
            **self.matrices,
        }

    def of_fit_parameters(self) -> Estimates:
        """Return the results with the fit's own parameters, their covariance that in force."""
        if self.scale is None or self.latent is None:
            return self
        V = self.V / np.outer(self.scale.derivative, self.scale.derivative)
        return replace(self, names=self.scale.names, b=self.latent.estimates, V=V, scale=None)

    def is_cutpoint(self, place: int) -> bool:
        """Whether a parameter is a threshold of an ordinal response."""
        equation, name = self.names[place]
        shown = self.regression
        return shown is not None and name == "_cons" and equation in shown.auxiliary

    def equations(self) -> list[str]:
        """Names of the equations in order."""
        return list(dict.fromkeys(equation for equation, _ in self.names))

    def position(self, equation: str | None, name: str) -> int:
        """Place of a parameter in e(b); r(111) if there is none.

        ``equation`` None is the first one; ``#2`` the second.
        """
        equations = self.equations()
        wanted = equation
        if equation is None:
            wanted = equations[0] if equations else ""
        elif equation.startswith("#") and equation[1:].isdigit():
            number = int(equation[1:])
            if not 1 <= number <= len(equations):
                raise VariableNotFound(f"equation {equation} not found")
            wanted = equations[number - 1]
        elif equation not in equations:
            if equation == self.depvar and equations == [""]:
                wanted = ""
            else:
                raise VariableNotFound(
                    f"equation {equation} not found", hint=f"equations: {' '.join(equations)}"
                )
        places = [k for k, pair in enumerate(self.names) if pair == (wanted, name)]
        if not places and equation is None:
            bare = name.removeprefix("/")
            places = [k for k, (of, own) in enumerate(self.names) if own == bare or of == bare]
        if not places:
            shown = name if equation is None else f"{equation}]{name}"
            raise VariableNotFound(f"[{shown}] not found", hint="matrix list e(b) shows the names")
        return places[0]

    def coefficient(self, equation: str | None, name: str, standard_error: bool) -> float:
        """Value of ``_b[equation:name]`` or ``_se[equation:name]``."""
        place = self.position(equation, name)
        if standard_error:
            return float(np.sqrt(max(self.V[place, place], 0.0)))
        return float(self.b[place])
