"""Every option gllamm knows, as a table: name, shortest form, argument.

This is the one place that says an option exists; the parser, the messages, the
manual page and the tests read it. What an option means is decided in
``model.resolve``, and so is which of them this program can do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gllamm_cli.errors import InvalidSyntax, Span
from gllamm_cli.stata.varlist import suggestion


class Argument(StrEnum):
    """What stands in the parentheses of an option."""

    NONE = "nothing"
    NUMBERS = "numbers"
    VARIABLES = "variables"
    WORDS = "words"
    TEXT = "text"
    OPTIONAL_TEXT = "text or nothing"


@dataclass(frozen=True, slots=True)
class OptionRule:
    """An option: full name, least number of letters, argument and what it is for."""

    name: str
    least: int
    argument: Argument
    help: str

    def matches(self, word: str) -> bool:
        """Whether ``word`` is this option, perhaps abbreviated."""
        return len(word) >= self.least and self.name.startswith(word)


def _rules(*rows: tuple[str, int, Argument, str]) -> tuple[OptionRule, ...]:
    return tuple(OptionRule(*row) for row in rows)


def rules(description: str) -> tuple[OptionRule, ...]:
    """Return rules from words like ``by(v)``, ``Replace`` and ``STub(w)``.

    Capital letters are the shortest form, or all letters if there are none; the
    letter in parentheses says what the argument is: n numbers, v variables, w words, t text, o text or nothing.
    """
    kinds = {
        "": NONE,
        "n": NUMBERS,
        "v": VARIABLES,
        "w": WORDS,
        "t": TEXT,
        "o": Argument.OPTIONAL_TEXT,
    }
    made = []
    for word in description.split():
        name, _, kind = word.rstrip(")").partition("(")
        least = sum(letter.isupper() for letter in name) or len(name)
        made.append(OptionRule(name.lower(), least, kinds[kind], ""))
    return tuple(made)


NONE, NUMBERS, VARIABLES, WORDS, TEXT = (
    Argument.NONE,
    Argument.NUMBERS,
    Argument.VARIABLES,
    Argument.WORDS,
    Argument.TEXT,
)

GLLAMM_OPTIONS = _rules(
    ("i", 1, VARIABLES, "cluster variables, from the lowest level to the highest"),
    ("noconstant", 4, NONE, "no constant in the fixed part"),
    ("offset", 1, VARIABLES, "variable added to the linear predictor"),
    ("nrf", 2, NUMBERS, "number of random effects at each level"),
    ("eqs", 1, WORDS, "equations of the random effects, one for each"),
    ("frload", 3, NUMBERS, "random effects whose first loading is free"),
    ("nocorrel", 5, NONE, "random effects of a level are uncorrelated"),
    ("bmatrix", 4, WORDS, "pattern of regressions among latent variables"),
    ("geqs", 2, WORDS, "regressions of latent variables on covariates"),
    ("peqs", 2, WORDS, "covariates of class probabilities"),
    ("inter", 5, NUMBERS, "interaction of two random effects"),
    ("ip", 2, WORDS, "integration rule: g, l, m, f or fn"),
    ("nip", 2, NUMBERS, "number of integration points"),
    ("constraints", 1, NUMBERS, "numbers of linear constraints"),
    ("weight", 1, WORDS, "stub of the frequency weights wt1, wt2, ... by level"),
    ("pweight", 2, WORDS, "stub of the sampling weights"),
    ("prior", 2, WORDS, "prior distributions"),
    ("family", 1, WORDS, "distribution of the response"),
    ("fv", 2, VARIABLES, "variable that selects the family"),
    ("link", 1, WORDS, "link function"),
    ("lv", 2, VARIABLES, "variable that selects the link"),
    ("denom", 2, VARIABLES, "binomial denominator"),
    ("s", 1, WORDS, "equation of the level-1 standard deviation"),
    ("nats", 4, NONE, "level-1 standard deviation on its natural scale"),
    ("expanded", 2, WORDS, "nominal responses in expanded form"),
    ("basecategory", 1, NUMBERS, "base category of a nominal response"),
    ("composite", 4, VARIABLES, "composite links"),
    ("thresh", 2, WORDS, "equations of the thresholds"),
    ("ethresh", 3, WORDS, "equations of the log threshold increments"),
    ("from", 2, WORDS, "matrix of starting values"),
    ("copy", 4, NONE, "take starting values by position"),
    ("skip", 4, NONE, "ignore starting values of unknown parameters"),
    ("long", 4, NONE, "starting values of all parameters under constraints"),
    ("gateaux", 1, NUMBERS, "search for a new mass point"),
    ("lf0", 3, NUMBERS, "parameters and log likelihood of a nested model"),
    ("search", 2, NUMBERS, "number of random starting values"),
    ("adapt", 2, NONE, "adaptive quadrature"),
    ("iterate", 2, NUMBERS, "largest number of iterations"),
    ("noest", 4, NONE, "set the model up without fitting it"),
    ("eval", 2, NONE, "log likelihood at the starting values"),
    ("init", 2, NONE, "fit the model without random effects"),
    ("robust", 3, NONE, "robust standard errors"),
    ("cluster", 2, VARIABLES, "robust standard errors for clustered data"),
    ("difficult", 3, NONE, "careful steps where the likelihood is not concave"),
    ("nodifficult", 5, NONE, "ordinary steps only"),
    ("level", 2, NUMBERS, "confidence level in percent"),
    ("eform", 5, NONE, "exponentiated coefficients"),
    ("allc", 4, NONE, "show all parameters as estimated"),
    ("adoonly", 7, NONE, "accepted for compatibility"),
    ("trace", 2, NONE, "show the model and more of the iterations"),
    ("nolog", 4, NONE, "no iteration log"),
    ("nodisplay", 5, NONE, "no table of estimates"),
    ("dots", 2, NONE, "a dot for each evaluation of the likelihood"),
)
"""Options of a new model."""

REPLAY_OPTIONS = _rules(
    ("level", 2, NUMBERS, "confidence level in percent"),
    ("eform", 5, NONE, "exponentiated coefficients"),
    ("allc", 4, NONE, "show all parameters as estimated"),
    ("robust", 3, NONE, "robust standard errors"),
    ("cluster", 2, VARIABLES, "robust standard errors for clustered data"),
    ("dots", 4, NONE, "a dot for each evaluation of the likelihood"),
    ("scorefil", 2, WORDS, "file of scores"),
    ("norob", 5, NONE, "scores only"),
    ("nodisplay", 5, NONE, "no table of estimates"),
    ("eval", 4, NONE, "log likelihood at the estimates"),
)
"""Options that may follow ``gllamm,`` without a model."""


def find_option(word: str, rules: tuple[OptionRule, ...], span: Span | None = None) -> OptionRule:
    """Return the rule of an option, perhaps abbreviated; r(198) if there is none."""
    for rule in rules:
        if rule.matches(word):
            return rule
    raise InvalidSyntax(
        f"option {word} not allowed",
        span=span,
        hint=suggestion(word, [rule.name for rule in rules]),
    )
