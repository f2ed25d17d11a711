"""Errors a user can cause, each with Stata's return code.

Every error prints as one line (``message``), optionally the source line with
a caret under the offending token and a hint, and then ``r(#);``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open interval ``[start, end)`` of characters in ``source``."""

    source: str
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters covered."""
        return self.source[self.start : self.end]


class GllammError(Exception):
    """Base of all errors that are the user's to mend.

    Parameters
    ----------
    message : str
        What was wrong, in one line.
    span : Span, optional
        Where in the command.
    hint : str, optional
        What to do about it.

    Attributes
    ----------
    printed : tuple of str
        Lines that the command printed before it failed.
    """

    rc: ClassVar[int] = 198

    def __init__(self, message: str, *, span: Span | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.hint = hint
        self.place = ""
        self.printed: tuple[str, ...] = ()

    def located(self, script: str, line: int) -> None:
        """Say where in a script the error arose, unless that is known."""
        if script and not self.place:
            self.place = f"{script}, line {line}"

    def render(self) -> str:
        """Message, marked source line and hint, then the return code."""
        lines = [self.message]
        if self.span is not None and self.span.end > self.span.start:
            lines.extend(_marked_source(self.span))
        if self.hint:
            lines.append(f"({self.hint})")
        if self.place:
            lines.append(f"({self.place})")
        lines.append(f"r({self.rc});")
        return "\n".join(lines)


def one_line(error: Exception) -> str:
    """What an error of a library says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _marked_source(span: Span) -> list[str]:
    """Return the source line holding the span and a line of carets under it."""
    first = span.source.rfind("\n", 0, span.start) + 1
    last = span.source.find("\n", span.start)
    last = len(span.source) if last < 0 else last
    carets = "^" * max(1, min(span.end, last) - span.start)
    line = span.source[first:last].replace("\t", " ")
    return [f"  {line}", "  " + " " * (span.start - first) + carets]


class InvalidSyntax(GllammError):
    """A command that does not parse, or options that do not fit together."""

    rc = 198


class NotSupported(GllammError):
    """Something gllamm can do and this program cannot yet."""

    rc = 198


class VariableNotFound(GllammError):
    """An unknown or ambiguous variable, equation or matrix."""

    rc = 111


class OtherCategories(VariableNotFound):
    """Data with categories that those of a fit have not."""


class AlreadyDefined(GllammError):
    """A new name that exists already."""

    rc = 110


class TypeMismatch(GllammError):
    """A text variable where a number is needed, or the reverse."""

    rc = 109


class UnknownFunction(GllammError):
    """A function the expression language does not have."""

    rc = 133


class UnknownCommand(GllammError):
    """A command name that is not recognised."""

    rc = 199


class BadNumlist(GllammError):
    """A malformed list of numbers."""

    rc = 121


class WrongLength(GllammError):
    """A vector of starting values of the wrong length."""

    rc = 189


class NoEstimates(GllammError):
    """Replay without a fit."""

    rc = 301


class InvalidConstraint(GllammError):
    """A constraint that cannot be read or satisfied."""

    rc = 412


class NotNested(GllammError):
    """Cluster identifiers that contradict the nesting."""

    rc = 459


class BadWeights(GllammError):
    """Negative or otherwise impossible weights."""

    rc = 402


class NotConverged(GllammError):
    """A maximisation that could not be carried out."""

    rc = 430


class BadStartingValues(GllammError):
    """A log likelihood that cannot be computed at the starting values."""

    rc = 1400


class FileMissing(GllammError):
    """A file that is not there."""

    rc = 601


class FileUnreadable(GllammError):
    """A file that is there but is not what its name says."""

    rc = 610


class NoObservations(GllammError):
    """An empty estimation sample."""

    rc = 2000


class InsufficientObservations(GllammError):
    """Too few observations to fit anything."""

    rc = 2001


class InvalidResponse(GllammError):
    """A response outside the domain of its family."""

    rc = 459


class PerfectPrediction(GllammError):
    """A covariate that determines the outcome, so that its coefficient is infinite.

    Attributes
    ----------
    indicator
        Name of a covariate with two values, and the one that always has the same ``outcome``.
    """

    rc = 198
    indicator: tuple[str, float] | None = None
    outcome = ""


class NothingToEstimate(GllammError):
    """A model without parameters."""

    rc = 498


class NotNumeric(GllammError):
    """A text variable named as identifier of clusters."""

    rc = 7


class VarlistRequired(GllammError):
    """A command without the variables it needs."""

    rc = 100


class TooFewVariables(GllammError):
    """Fewer variables than are needed."""

    rc = 102


class TooManyVariables(GllammError):
    """More variables than can be used."""

    rc = 103


class NotAllowed(GllammError):
    """Syntax of Stata that this command does not take: weights, factor variables, ``=exp``."""

    rc = 101


class TooManyValues(GllammError):
    """A variable with more values than a table has room for."""

    rc = 134


class UnbalancedParentheses(GllammError):
    """A parenthesis, bracket or quote without its partner."""

    rc = 132


class ExpressionTooLong(GllammError):
    """An expression with more operators than a tree can hold."""

    rc = 130


class Conformability(GllammError):
    """Matrices of sizes that do not fit together."""

    rc = 503


class NotPositiveDefinite(GllammError):
    """A matrix without a Cholesky factor."""

    rc = 506


class DifferentData(GllammError):
    """Data in memory that are not those of the fit."""

    rc = 198


class NoVariance(GllammError):
    """A response without residual variance."""

    rc = 409


class TooManyRows(GllammError):
    """Data that would not fit in memory."""

    rc = 901


class OutOfMemory(GllammError):
    """A computation for which there is not enough memory."""

    rc = 909


class MacroLimit(GllammError):
    """Macros that contain themselves or grow without end."""

    rc = 920


class StoppedByLimit(GllammError):
    """A script that runs without end."""

    rc = 1


class DataChanged(GllammError):
    """Unsaved data that a command would lose."""

    rc = 4


class NotSorted(GllammError):
    """Data that ``by`` needs sorted."""

    rc = 5


class AssertionFailed(GllammError):
    """``assert``, or an identifier that does not identify."""

    rc = 9


class FileCannotBeOpened(GllammError):
    """A file or folder the system refuses to open."""

    rc = 603

    @classmethod
    def told(cls, error: OSError) -> FileCannotBeOpened:
        """Say what the system said."""
        what = (
            f"file {error.filename} could not be opened" if error.filename else "input/output error"
        )
        return cls(what, hint=error.strerror or str(error))


class FileExists(GllammError):
    """A file that would be overwritten."""

    rc = 602


class LogOpen(GllammError):
    """A log that is open already."""

    rc = 604


class NoLog(GllammError):
    """No log to close."""

    rc = 606


class NotPermitted(GllammError):
    """The shell, or writing where scripts may not write."""

    rc = 198


class AlreadyPreserved(GllammError):
    """``preserve`` within ``preserve``."""

    rc = 621


class NothingPreserved(GllammError):
    """``restore`` without ``preserve``."""

    rc = 622


class NotUnique(GllammError):
    """Keys of a merge that occur several times."""

    rc = 459


class RepeatedTime(GllammError):
    """Time values that occur several times within a panel."""

    rc = 451


class StringMismatch(GllammError):
    """A text variable appended to a numeric one or the reverse."""

    rc = 106


class BadFactor(GllammError):
    """A factor variable with values that are no categories."""

    rc = 452


class LabelNotFound(GllammError):
    """Value labels that are not defined."""

    rc = 182


class BadFormat(GllammError):
    """A display format that does not exist."""

    rc = 120


class NoSuchKernel(GllammError):
    """A version of the kernel that this processor cannot run."""


class NonIntegerWeights(GllammError):
    """Frequency weights that are not whole numbers."""

    rc = 401


class General(GllammError):
    """A request that makes no sense for these results."""

    rc = 498


class WrongEstimator(GllammError):
    """A request that the last estimator does not support."""

    rc = 321


class CommandError(GllammError):
    """The return code of a script's own ``exit`` or ``error``."""

    def __init__(self, message: str, rc: int) -> None:
        super().__init__(message)
        self.rc = rc  # type: ignore[misc]


class LikelihoodUndefined(GllammError):
    """A log likelihood that cannot be computed for the data of a prediction."""

    rc = 198


class SingularCovariance(GllammError):
    """A covariance matrix of the parameters that cannot be inverted."""

    rc = 198


class NotForThisModel(GllammError):
    """A prediction that the kind of model fitted does not have."""

    rc = 301


class NotAFactor(GllammError):
    """A variable, or a value, that is no factor of the model or no level of one."""

    rc = 322
