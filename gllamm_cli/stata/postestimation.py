"""``gllapred`` and ``gllasim`` commands as trees.

Parsing is about form only, as in ``stata.command``. What the options mean, and
whether they suit the fit, is for ``gllamm_cli.predict``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gllamm_cli.errors import InvalidSyntax, Span, VarlistRequired
from gllamm_cli.stata.command import Option, RowRange, format_option, parse_frame, parse_options
from gllamm_cli.stata.expression import Expression, format_expression
from gllamm_cli.stata.lexer import is_name, part, stripped, whole
from gllamm_cli.stata.options import Argument, OptionRule

STORAGE_TYPES = ("byte", "int", "long", "float", "double")


def _rules(*rows: tuple[str, int, Argument, str]) -> tuple[OptionRule, ...]:
    return tuple(OptionRule(*row) for row in rows)


NONE, NUMBERS = Argument.NONE, Argument.NUMBERS
WORDS, TEXT = Argument.WORDS, Argument.TEXT

GLLAPRED_OPTIONS = _rules(
    ("xb", 2, NONE, "fixed part of the linear predictor"),
    ("u", 1, NONE, "posterior means and standard deviations of the latent variables"),
    ("ustd", 4, NONE, "standardised posterior means"),
    ("corr", 4, NONE, "posterior correlations as well"),
    ("fac", 3, NONE, "posterior means of factors under geqs() or bmatrix()"),
    ("p", 1, NONE, "posterior probabilities of classes"),
    ("linpred", 2, NONE, "linear predictor at posterior means"),
    ("mu", 2, NONE, "posterior mean of the expected response"),
    ("marginal", 2, NONE, "means over the prior distribution"),
    ("us", 2, WORDS, "stub of variables with values of the latent variables"),
    ("outcome", 3, NUMBERS, "category of a nominal response"),
    ("above", 2, NUMBERS, "categories of ordinal responses"),
    ("pearson", 2, NONE, "Pearson residuals"),
    ("deviance", 1, NONE, "deviance residuals"),
    ("anscombe", 1, NONE, "Anscombe residuals"),
    ("cooksd", 2, NONE, "Cook's distances of top-level units"),
    ("scorefil", 2, TEXT, "file for the scores of Cook's distances"),
    ("s", 1, NONE, "level-1 scale"),
    ("ll", 2, NONE, "contributions to the log likelihood"),
    ("fsample", 7, NONE, "rows outside the estimation sample as well"),
    ("nooffset", 5, NONE, "leave the offset out"),
    ("adapt", 2, NONE, "adaptive quadrature"),
    ("adoonly", 7, NONE, "accepted for compatibility"),
    ("from", 2, WORDS, "matrix of parameters"),
)
"""Options of ``gllapred``."""

GLLASIM_OPTIONS = _rules(
    ("y", 1, NONE, "simulated responses"),
    ("u", 1, NONE, "simulated latent variables"),
    ("fac", 3, NONE, "simulated factors under geqs() or bmatrix()"),
    ("linpred", 2, NONE, "linear predictor at the simulated latent variables"),
    ("mu", 2, NONE, "expected response at the simulated latent variables"),
    ("outcome", 3, NUMBERS, "category of a nominal response"),
    ("above", 2, NUMBERS, "categories of ordinal responses"),
    ("fsample", 7, NONE, "rows outside the estimation sample as well"),
    ("nooffset", 5, NONE, "leave the offset out"),
    ("adapt", 2, NONE, "accepted: nothing is integrated in a simulation"),
    ("adoonly", 7, NONE, "accepted for compatibility"),
    ("from", 2, WORDS, "matrix of parameters"),
    ("us", 2, WORDS, "stub of variables with values of the latent variables"),
)
"""Options of ``gllasim``."""

COMMANDS = {"gllapred": GLLAPRED_OPTIONS, "gllasim": GLLASIM_OPTIONS}


@dataclass(frozen=True, slots=True)
class PostestimationCommand:
    """``gllapred`` or ``gllasim`` as typed: ``name stub if condition in rows, options``."""

    name: str
    stub: str
    condition: Expression | None = None
    rows: RowRange | None = None
    options: tuple[Option, ...] = ()
    stub_span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)
    source: str = field(default="", compare=False, repr=False, kw_only=True)

    def option(self, name: str) -> Option | None:
        """Return an option by its full name, None if it was not given."""
        return next((option for option in self.options if option.name == name), None)

    def has(self, name: str) -> bool:
        """Whether an option was given."""
        return self.option(name) is not None


def is_postestimation(text: str) -> bool:
    """Whether a statement begins with ``gllapred`` or ``gllasim``."""
    return re.match(r"\s*(?:gllapred|gllasim)(?![\w.])", text) is not None


def parse_postestimation(text: str) -> PostestimationCommand:
    """Parse a ``gllapred`` or ``gllasim`` command.

    Raises
    ------
    VarlistRequired
        No name for the new variables.
    GllammError
        Anything else wrong with the form, with its place.
    """
    span = stripped(whole(text))
    word = re.match(r"(gllapred|gllasim)(?![\w.])", span.text)
    if word is None:
        raise InvalidSyntax("invalid syntax: gllapred or gllasim expected", span=span)
    name = word[1]
    frame = parse_frame(part(span, span.start + word.end(), span.end))
    stub = _stub(frame.body, name)
    options = parse_options(frame.options, COMMANDS[name])
    for option in options:
        if option.words and len(option.words) != 1:
            raise InvalidSyntax(f"option {option.name}() takes one name", span=option.span)
        if option.name == "outcome" and len(option.numbers) != 1:
            raise InvalidSyntax("option outcome() takes one number", span=option.span)
    return PostestimationCommand(
        name,
        stub.text,
        frame.condition,
        frame.rows,
        options,
        stub_span=stub,
        source=text.strip(),
    )


def _stub(body: Span, command: str) -> Span:
    """Name of the new variables; a storage type before it has no effect."""
    pieces = [
        part(body, body.start + match.start(), body.start + match.end())
        for match in re.finditer(r"\S+", body.text)
    ]
    if len(pieces) > 1 and pieces[0].text in STORAGE_TYPES:
        pieces = pieces[1:]
    if not pieces:
        raise VarlistRequired(
            "varlist required",
            span=body if body.text else None,
            hint=f"{command} takes a name for the new variables",
        )
    if len(pieces) > 1:
        raise InvalidSyntax("too many variables specified", span=pieces[1])
    if not is_name(pieces[0].text):
        raise InvalidSyntax(f"{pieces[0].text} invalid name", span=pieces[0])
    return pieces[0]


def format_postestimation(command: PostestimationCommand) -> str:
    """Print a command in full words, so that reading it gives the same tree."""
    pieces = [command.name, command.stub]
    if command.condition is not None:
        pieces.append(f"if {format_expression(command.condition)}")
    if command.rows is not None:
        pieces.append(f"in {command.rows.first}/{command.rows.last}")
    text = " ".join(pieces)
    options = " ".join(map(format_option, command.options))
    return f"{text}, {options}" if options else text
