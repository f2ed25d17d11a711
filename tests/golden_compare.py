"""Comparison of results with printed numbers, each with its bound and what it rests on.

Bounds count in digits of the printed number, so that a number printed with more
digits is checked more closely.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from golden_support import Run

SIXTH_DIGIT = 2.0
"""Estimates and standard errors: this many units in the sixth significant digit."""
VARIANCE_SE = 1e-4
"""Standard errors of the printed block of random effects, relative."""
CONDITION_NUMBER = 1e-4
"""Relative; a ratio of eigenvalues magnifies the last digits of the information."""
CONVERGED = 1e-5
"""Relative, for converged values in the place of printed ones."""
ADAPTIVE_LOG_LIKELIHOOD = 5e-4
ADAPTIVE_SHARE_OF_SE = 0.02
"""Adaptive runs: share of the printed standard error by which an estimate may differ."""
ADAPTIVE_SE = 1e-3
"""Standard errors of adaptive runs, relative."""


@dataclass(frozen=True, slots=True)
class Check:
    """One printed number beside ours.

    ``target`` is the printed number or the one that stands in for it for a
    written reason.
    """

    quantity: str
    block: str
    printed: str
    target: float
    ours: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether ours is within the bound; a missing number is not."""
        return abs(self.ours - self.target) <= self.bound

    @property
    def relative(self) -> float:
        """Difference relative to the target."""
        difference = abs(self.ours - self.target)
        return difference / abs(self.target) if self.target else difference

    def __str__(self) -> str:
        return (
            f"{self.quantity}: {self.ours:.10g}, not {self.target:.10g}"
            f" (printed {self.printed}, bound {self.bound:.2g})"
        )


def last_digit(printed: str) -> float:
    """Return the value of one unit in the last printed place."""
    mantissa, _, exponent = printed.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals)


def sixth_digit(value: float) -> float:
    """Return the value of one unit in the sixth significant digit."""
    return 10.0 ** (math.floor(math.log10(abs(value))) - 5) if value else 1e-6


def _digits(printed: str) -> float:
    """Bound of an estimate: units in the sixth digit, but never less than was printed."""
    return max(SIXTH_DIGIT * sixth_digit(float(printed)), last_digit(printed) / 2.0)


def compare(run: Run, results: Mapping[str, Any]) -> list[Check]:
    """All printed numbers of a run beside those of its results."""
    return list(_Comparison(run, results).checks())


class _Comparison:
    def __init__(self, run: Run, results: Mapping[str, Any]) -> None:
        self.run = run
        self.results = results
        self.expected = run.expected
        self.eform = run.expected.get("eform", False)
        self.replaced = {
            name: (float(value), entry.get("relative", CONVERGED))
            for entry in run.instead
            for name, value in entry["values"].items()
        }
        self.adaptive = run.rule == "adaptive"

    def checks(self) -> Iterator[Check]:
        yield from self._scalars()
        for row in self.expected.get("table", ()):
            yield from self._table_row(row)
        for row in self.expected.get("random", ()):
            yield from self._random_row(row)
        if "classes" in self.expected:
            yield from self._classes(self.expected["classes"])
        for name, printed in self.expected.get("quoted", {}).items():
            yield self._check(name, "quoted", printed, self._quoted(name), last_digit(printed))
        for name, largest in self.expected.get("at_most", {}).items():
            yield Check(name, "at most", f"<= {largest}", 0.0, self._quoted(name), largest)

    def _scalars(self) -> Iterator[Check]:
        printed = self.expected.get("log_likelihood")
        if printed is not None:
            bound = ADAPTIVE_LOG_LIKELIHOOD if self.adaptive else last_digit(printed)
            ours = self.results["log_likelihood"]
            yield self._check("log_likelihood", "log_likelihood", printed, ours, bound)
        printed = self.expected.get("condition_number")
        if printed is not None:
            bound = (ADAPTIVE_SE if self.adaptive else CONDITION_NUMBER) * float(printed)
            ours = self.results["condition_number"]
            yield self._check("condition_number", "condition_number", printed, ours, bound)
        for level, count in enumerate(self.expected.get("units", ()), start=1):
            name = f"units at level {level}"
            ours = self.results["n_units"][level - 1]
            yield self._check(name, "units", str(count), ours, 0.0)
        for name, printed in self.expected.get("lr_test", {}).items():
            ours = self.results["lr_test"][name]
            yield self._check(
                f"lr_test {name}", "lr_test", str(printed), ours, last_digit(str(printed))
            )

    def _classes(self, printed: Mapping[str, Any]) -> Iterator[Check]:
        """Probabilities and locations of classes, whose labels are arbitrary.

        Both sides are put in the order of the probabilities.
        """
        unit = printed["unit"]
        wanted = [float(p) for p in printed["prob"]]
        ours = self._of_classes(unit, "prob")
        order = sorted(range(len(wanted)), key=wanted.__getitem__)
        own_order = sorted(range(len(ours)), key=ours.__getitem__)
        for label, values in printed.items():
            if label == "unit":
                continue
            found = self._of_classes(unit, label)
            for rank, (k, own) in enumerate(zip(order, own_order, strict=True), start=1):
                name = f"{unit} {label}, class {rank} by size"
                yield self._check(name, "classes", values[k], found[own], last_digit(values[k]))

    def _of_classes(self, unit: str, label: str) -> list[float]:
        return [
            entry["estimate"]
            for entry in self.results["random_effects"]
            if entry["unit"] == unit and entry["label"] == label and "class" in entry
        ]

    def _table_row(self, row: list[str]) -> Iterator[Check]:
        """Estimate and standard error, then what follows from them: z, p and limits."""
        name, printed, printed_se = row[:3]
        ours = self._shown(self._parameter(name))
        if ours["mirrored"]:
            row = [name, _negated(printed), *row[2:]]
            row = _mirrored(row)
            printed = row[1]
        estimate = self._estimate_check(name, "table", printed, printed_se, ours["estimate"])
        yield estimate
        if not printed_se:
            return
        bound = self._se_bound(printed_se, _digits(printed_se))
        se = self._check(f"{name} se", "table se", printed_se, ours["std_err"], bound)
        yield se
        if len(row) == 3 or {name, f"{name} se"} & set(self.replaced):
            return
        z, p, lower, upper = row[3:]
        raw = abs(float(printed)) if self.eform else 1.0
        spread = estimate.bound + 2.0 * se.bound
        # The test statistic moves with both; p with the normal density at z, at most 0.4.
        slope = spread / float(printed_se) * (1.0 + abs(float(z)))
        yield self._check(f"{name} z", "derived", z, ours["z"], last_digit(z) + slope)
        yield self._check(f"{name} p", "derived", p, ours["p"], last_digit(p) + 0.8 * slope)
        for end, limit, value in zip(("lower", "upper"), (lower, upper), ours["ci"], strict=True):
            scale = abs(float(limit)) / raw if self.eform else 1.0
            bound = last_digit(limit) / 2.0 + scale * spread
            yield self._check(f"{name} {end} limit", "derived", limit, value, bound)

    def _random_row(self, row: list[str]) -> Iterator[Check]:
        name, printed, *rest = row
        ours = self._random(name)
        if printed == "fixed at 0":
            zero = 0.0 if ours["fixed"] and ours["estimate"] == 0.0 else math.inf
            yield Check(name, "random", printed, 0.0, zero, 0.0)
            return
        printed_se = rest[0] if rest else ""
        yield self._estimate_check(name, "random", printed, printed_se, ours["estimate"])
        if printed_se:
            bound = self._se_bound(printed_se, VARIANCE_SE * float(printed_se))
            yield self._check(f"{name} se", "random se", printed_se, ours["std_err"], bound)

    def _estimate_check(
        self, name: str, block: str, printed: str, printed_se: str, ours: float
    ) -> Check:
        bound = _digits(printed)
        if self.adaptive and printed_se:
            bound = ADAPTIVE_SHARE_OF_SE * float(printed_se)
        elif self.adaptive:
            bound = ADAPTIVE_SHARE_OF_SE * abs(float(printed))
        return self._check(name, block, printed, ours, bound)

    def _se_bound(self, printed: str, ordinary: float) -> float:
        return ADAPTIVE_SE * float(printed) if self.adaptive else ordinary

    def _check(
        self, quantity: str, block: str, printed: str, ours: float | None, bound: float
    ) -> Check:
        target = float(printed) if quantity not in self.replaced else self.replaced[quantity][0]
        for entry in self.run.looser:
            if {quantity, block} & set(entry["what"]):
                bound = entry.get("absolute", entry.get("relative", 0.0) * abs(target))
        if quantity in self.replaced:
            bound = self.replaced[quantity][1] * abs(target)
        return Check(quantity, block, printed, target, math.nan if ours is None else ours, bound)

    def _parameter(self, name: str) -> Mapping[str, Any]:
        """Return the parameter ``equation:name``, of the response's equation if none is given."""
        equation, _, column = name.rpartition(":")
        wanted = (equation or self.results["depvar"], column)
        for parameter in self.results["parameters"]:
            if (parameter["equation"], parameter["name"]) == wanted:
                return parameter
        raise KeyError(name)

    def _shown(self, parameter: Mapping[str, Any]) -> dict[str, Any]:
        """Return a parameter as the table shows it.

        The sign of a column of a Cholesky factor is arbitrary and ours is
        positive on the diagonal; ``mirrored`` says that the printed one is not.
        """
        shown = dict(parameter, mirrored=False)
        if self.eform:
            factor = math.exp(parameter["estimate"])
            shown["estimate"] = factor
            shown["std_err"] = factor * parameter["std_err"]
            shown["ci"] = [math.exp(limit) for limit in parameter["ci"]]
        name = f"{parameter['equation']}:{parameter['name']}"
        for row in self.expected.get("table", ()):
            if row[0] == name and name in self.expected.get("arbitrary_sign", ()):
                shown["mirrored"] = float(row[1]) * parameter["estimate"] < 0.0
        return shown

    def _random(self, name: str) -> Mapping[str, Any]:
        """Return ``unit label``, ``unit loading(1) variable`` or ``level 1 variance``."""
        for entry in self.results["random_effects"]:
            if name == _random_name(entry):
                return entry
        known = ", ".join(_random_name(entry) for entry in self.results["random_effects"])
        raise KeyError(f"{name} is not among {known}")

    def _quoted(self, name: str) -> float:
        """Return a number as texts quote it.

        An estimate, ``... se``, ``sd of`` a variance, ``discrimination`` of an item.
        """
        if name.startswith("sd of "):
            return math.sqrt(self._random(name.removeprefix("sd of "))["estimate"])
        if name.startswith("discrimination "):
            return self._discrimination(name.removeprefix("discrimination "))
        key = "std_err" if name.endswith(" se") else "estimate"
        bare = name.removesuffix(" se")
        names = [_random_name(entry) for entry in self.results["random_effects"]]
        found = self._random(bare) if bare in names else self._parameter(bare)
        return float(found[key])

    def _discrimination(self, item: str) -> float:
        """Loading of an item on a factor scaled to variance 1."""
        entries = self.results["random_effects"]
        (loading,) = (entry for entry in entries if entry.get("variable") == item)
        (variance,) = (
            entry
            for entry in entries
            if entry["kind"] == "variance" and entry["effects"] == loading["effects"]
        )
        return float(loading["estimate"]) * math.sqrt(variance["estimate"])


def _random_name(entry: Mapping[str, Any]) -> str:
    if entry["kind"] == "level1_variance":
        return "level 1 variance"
    if entry["kind"] == "loading":
        return f"{entry['unit']} loading({entry['effects'][0]}) {entry['variable']}"
    if entry["kind"] == "regression":
        return f"regression({entry['effects'][0]}) {entry['variable']}"
    return f"{entry['unit']} {entry['label']}"


def _negated(printed: str) -> str:
    return printed[1:] if printed.startswith("-") else f"-{printed}"


def _mirrored(row: list[str]) -> list[str]:
    """Return a row of the table for the opposite sign; its estimate is turned already."""
    name, estimate, se, z, p, lower, upper = row
    return [name, estimate, se, _negated(z), p, _negated(upper), _negated(lower)]
