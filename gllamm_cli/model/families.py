"""The table of families and links: names, domains, parameters, kernel codes.

This is the one place that says a family or link exists. The parser, the error
messages, the checks of the response, the kernels' dispatch and the tests read
it. The mathematics of an entry is one inlined function in ``_ext/links.pxd``
with the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gllamm_cli.errors import InvalidSyntax, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


class Domain(StrEnum):
    """Which responses a family accepts."""

    REAL = "any number"
    COUNT = "a whole number, 0 or more"
    PROPORTION = "between 0 and the denominator"
    POSITIVE = "greater than 0"


@dataclass(frozen=True, slots=True)
class Family:
    """A conditional distribution of the response.

    ``name`` is the short name gllamm stores, ``spellings`` what users may type
    with the number of letters that suffice, ``canonical`` its default link.
    """

    code: int
    name: str
    spellings: tuple[tuple[str, int], ...]
    canonical: str
    has_scale: bool
    domain: Domain


def _identity(mean: FloatArray) -> FloatArray:
    return mean


def _log(mean: FloatArray) -> FloatArray:
    import numpy as np

    return np.log(mean)


def _reciprocal(mean: FloatArray) -> FloatArray:
    return 1.0 / mean


def _logit(mean: FloatArray) -> FloatArray:
    import numpy as np

    return np.log(mean) - np.log1p(-mean)


def _probit(mean: FloatArray) -> FloatArray:
    # Imported late: the parser reads this table and must start fast.
    from gllamm_cli.model.special import normal_quantile

    return normal_quantile(mean)


def _complementary_log_log(mean: FloatArray) -> FloatArray:
    import numpy as np

    return np.log(-np.log1p(-mean))


def _log_log(mean: FloatArray) -> FloatArray:
    import numpy as np

    return np.log(-np.log(mean))


REAL = (-float("inf"), float("inf"))
POSITIVE = (0.0, float("inf"))
UNIT = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Link:
    """A link from the conditional mean to the linear predictor.

    ``code`` is its code in the kernel; ``ordinal`` and ``nominal`` links bring
    their own family.
    ``predictor`` maps means, which lie in the open interval ``means``, to
    linear predictors; its inverse is in ``_ext/links.pxd``.
    """

    code: int
    name: str
    spellings: tuple[tuple[str, int], ...]
    predictor: Callable[[FloatArray], FloatArray]
    means: tuple[float, float]
    ordinal: bool = False
    nominal: bool = False
    has_scale: bool = False


FAMILIES = (
    Family(0, "gauss", (("gaussian", 3), ("normal", 3)), "ident", True, Domain.REAL),
    Family(1, "binom", (("binomial", 3),), "logit", False, Domain.PROPORTION),
    Family(2, "poiss", (("poisson", 3),), "log", False, Domain.COUNT),
    Family(3, "gamma", (("gamma", 3),), "recip", True, Domain.POSITIVE),
)

ORDINAL_CODE = 4
NOMINAL_CODE = 5
"""Codes of the families that ordinal and nominal links bring with them."""
COMPOSITE_CODE = 8
"""Added to the code of the family of a row that is part of a composite."""

LINKS = (
    Link(0, "ident", (("identity", 2),), _identity, REAL),
    Link(1, "log", (("log", 3),), _log, POSITIVE),
    Link(2, "recip", (("reciprocal", 3),), _reciprocal, POSITIVE),
    Link(3, "logit", (("logit", 4),), _logit, UNIT),
    Link(4, "probit", (("probit", 3),), _probit, UNIT),
    Link(5, "cll", (("cll", 3), ("cloglog", 3)), _complementary_log_log, UNIT),
    Link(6, "ll", (("ll", 2), ("loglog", 4)), _log_log, UNIT),
    Link(7, "sprobit", (("sprobit", 3),), _probit, UNIT, has_scale=True),
    Link(3, "ologit", (("ologit", 3),), _logit, UNIT, ordinal=True),
    Link(4, "oprobit", (("oprobit", 3),), _probit, UNIT, ordinal=True),
    Link(5, "ocll", (("ocll", 3),), _complementary_log_log, UNIT, ordinal=True),
    Link(7, "soprobit", (("soprobit", 3),), _probit, UNIT, ordinal=True, has_scale=True),
    Link(3, "mlogit", (("mlogit", 3),), _logit, UNIT, nominal=True),
    Link(8, "smlogit", (("smlogit", 3),), _logit, UNIT, nominal=True, has_scale=True),
)

LINK_CODES = 16
"""Room for codes of links in the kind of a row."""

FAMILY_BY_NAME = {family.name: family for family in FAMILIES}
LINK_BY_NAME = {link.name: link for link in LINKS}


def kind(family: str, link: str) -> int:
    """Code of a row's family and link (short names) in the kernel."""
    entry = LINK_BY_NAME[link]
    family_code = FAMILY_BY_NAME[family].code
    if entry.ordinal or entry.nominal:
        family_code = ORDINAL_CODE if entry.ordinal else NOMINAL_CODE
    return family_code * LINK_CODES + entry.code


def _matches(word: str, spellings: tuple[tuple[str, int], ...]) -> bool:
    word = word.lower()
    return any(len(word) >= least and full.startswith(word) for full, least in spellings)


def find_family(word: str, span: Span | None = None) -> Family:
    """Return the family a user means by ``word`` (any case, abbreviated); r(198) if none."""
    for family in FAMILIES:
        if _matches(word, family.spellings):
            return family
    known = ", ".join(full for family in FAMILIES for full, _ in family.spellings)
    raise InvalidSyntax(f"unknown family() {word}", span=span, hint=f"families: {known}")


def find_link(word: str, span: Span | None = None) -> Link:
    """Return the link a user means by ``word`` (any case, abbreviated); r(198) if none."""
    for link in LINKS:
        if _matches(word, link.spellings):
            return link
    known = ", ".join(link.spellings[0][0] for link in LINKS)
    raise InvalidSyntax(f"unknown link() {word}", span=span, hint=f"links: {known}")
