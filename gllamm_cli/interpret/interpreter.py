"""Carries out statements: prefixes, control flow, and the dispatch to commands."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from gllamm_cli.errors import (
    FileCannotBeOpened,
    General,
    GllammError,
    InvalidSyntax,
    NotAllowed,
    NothingPreserved,
    NotSorted,
    OutOfMemory,
    Span,
    StoppedByLimit,
    UnknownCommand,
)
from gllamm_cli.interpret.blocks import Block, Line, Node, parse_blocks
from gllamm_cli.interpret.extended import extended_function
from gllamm_cli.interpret.macros import Macros, number_text, words
from gllamm_cli.interpret.outcomes import Noted, Outcome
from gllamm_cli.interpret.run import Mask, Run
from gllamm_cli.interpret.table import COMMANDS, ByUse, Command, find_command, unknown_command
from gllamm_cli.stata.environment import Groups
from gllamm_cli.stata.evaluate import Evaluator
from gllamm_cli.stata.expression import ExpressionParser, parse_expression
from gllamm_cli.stata.functions import is_text, truth
from gllamm_cli.stata.lexer import expression_tokens, part, stripped, whole
from gllamm_cli.stata.numlist import parse_numlist
from gllamm_cli.stata.source import read_statements
from gllamm_cli.stata.varlist import expand_varlist, parse_varlist

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset
    from gllamm_cli.session import Session

MOST_PASSES = 10_000_000
"""Passes of all loops of a script together."""
DEEPEST_CALL = 60
BY_RULE = "-" * 79

PREFIX = re.compile(
    r"(?P<quietly>qui(?:etly|etl|et|e)?)\b(?!\s*=)"
    r"|(?P<noisily>n|noi(?:sily|sil|si|s)?)\b(?=\s+\S)(?!\s*=)"
    r"|(?P<capture>cap(?:ture|tur|tu|t)?)\b(?!\s*=)"
    r"|(?P<version>version)\s+[\d.]+\s*:"
    r"|(?P<xi>xi)\s*:"
    r"|(?P<by>by(?:sort|sor|so|s)?)\s+(?P<groups>[^:]*?):(?!:)"
)
NAME = re.compile(r"[^\W\d]\w*|[!#?]")


class Stop(Exception):
    """``exit``: ends the script or program."""


class LoopEnd(Exception):
    """``continue``, with ``break`` if no further pass is to follow."""

    def __init__(self, leave: bool) -> None:
        super().__init__()
        self.leave = leave


@dataclass(slots=True)
class Frame:
    """A script or program that is running."""

    macros: Macros
    temporary: list[str] = field(default_factory=list)
    preserved: Dataset | None = None
    has_preserved: bool = False
    loops: int = 0
    name: str = ""


class Interpreter:
    """Runs statements on a session.

    Parameters
    ----------
    sink
        Takes what commands answer.
    bare_models
        Whether a statement that starts with a variable is a gllamm command.
    echo
        Shows a statement before it runs; None for no echo.
    """

    def __init__(
        self,
        session: Session,
        sink: Callable[[Outcome], None],
        *,
        bare_models: bool = False,
        echo: Callable[[Sequence[str]], None] | None = None,
        lenient: bool = False,
        keep_going: bool = False,
    ) -> None:
        self.session = session
        self.sink = sink
        self.bare_models = bare_models
        self.echo = echo
        self.lenient = lenient
        self.keep_going = keep_going
        self.on_error: Callable[[GllammError], None] | None = None
        self.failed: GllammError | None = None
        self.shown = ""
        self._unfinished = ""
        self._muted = 0
        self._passes = 0
        self._last_condition: bool | None = None
        self.frames = [self._frame("")]

    # -- state

    def _frame(self, name: str) -> Frame:
        macros = Macros(self._evaluate_text, self._extended, self.session.global_macros)
        return Frame(macros, name=name)

    @property
    def frame(self) -> Frame:
        """The running script or program."""
        return self.frames[-1]

    @property
    def macros(self) -> Macros:
        """Macros that are visible now."""
        return self.frame.macros

    def note(self, *lines: str) -> None:
        """Pass lines on unless the command is quiet."""
        if not self._muted and lines:
            self.sink(Noted(self.shown, lines))

    def write(self, text: str, *, continued: bool) -> None:
        """Pass text on; a line that goes on waits for its end."""
        self._unfinished += text
        if not continued:
            lines, self._unfinished = self._unfinished.split("\n"), ""
            self.note(*lines)

    def emit(self, outcome: Outcome) -> None:
        """Pass an outcome on unless the command is quiet."""
        if not self._muted:
            self.sink(outcome)

    @property
    def muted(self) -> bool:
        """Whether answers are withheld."""
        return self._muted > 0

    def evaluator(self) -> Evaluator:
        """What expressions refer to."""
        return self.session.evaluator()

    def _evaluate_text(self, text: str) -> str:
        value = np.ravel(self.evaluator().value(parse_expression(text)))
        if not len(value):
            return "."
        return str(value[0]) if is_text(value) else number_text(float(value[0]))

    def _extended(self, text: str) -> str:
        return extended_function(text, self)

    # -- scripts

    def run_text(self, text: str) -> None:
        """Run the statements of a text; raises at the first that fails."""
        with suppress(Stop):
            self.run_nodes(parse_blocks(read_statements(text), lenient=self.lenient))

    def in_loop(self) -> bool:
        """Whether a loop of the present script or program is running."""
        return self.frame.loops > 0

    def run_quietly(self, text: str) -> None:
        """Run the statements of a text without output."""
        muted, self._muted = self._muted, 1
        listener = self.session.mute_listener()
        try:
            with self._without_echo():
                self.run_text(text)
        finally:
            self._muted, self.session.listener = muted, listener

    @contextmanager
    def call(self, name: str, arguments: Sequence[str]) -> Iterator[None]:
        """Run a script or program of its own: local macros ```0'``, ```1'`` and so on."""
        if len(self.frames) > DEEPEST_CALL:
            raise StoppedByLimit("scripts and programs call each other too deeply")
        frame = self._frame(name)
        frame.macros.local["0"] = " ".join(arguments)
        frame.macros.local.update({str(k): text for k, text in enumerate(arguments, start=1)})
        frame.macros.local["*"] = frame.macros.local["0"]
        self.frames.append(frame)
        try:
            yield
        finally:
            self.frames.pop()
            if frame.has_preserved:
                self.session.dataset = frame.preserved
            self._drop_temporary(frame)

    def _drop_temporary(self, frame: Frame) -> None:
        data = self.session.dataset
        if data is not None and (gone := set(frame.temporary) & set(data.names)):
            self.session.dataset = data.keep([name for name in data.names if name not in gone])
        for name in frame.temporary:
            self.session.scalars.pop(name, None)
            self.session.matrices.pop(name, None)

    def restore(self, *, keep: bool) -> None:
        """Bring preserved data back, or forget them."""
        frame = self.frame
        if not frame.has_preserved:
            raise NothingPreserved("nothing to restore", hint="preserve comes first")
        if keep:
            self.session.dataset = frame.preserved
        frame.has_preserved, frame.preserved = False, None

    # -- control flow

    def run_nodes(self, nodes: Sequence[Node]) -> None:
        """Run statements and blocks in order."""
        for node in nodes:
            try:
                if isinstance(node, Block):
                    self._run_block(node)
                else:
                    self._run_line(node)
            except GllammError as error:
                self._locate(error, node)
                if not self.keep_going or len(self.frames) > 2 or self.on_error is None:
                    raise
                self.failed = error
                self.on_error(error)

    def _locate(self, error: GllammError, node: Node) -> None:
        statement = node.head if isinstance(node, Block) else node.statement
        error.located(self.frame.name, statement.line)

    def _run_line(self, node: Line) -> None:
        statement = node.statement
        if self.echo is not None:
            self.echo(statement.typed)
        if statement.text:
            self.run_statement(self.macros.expand(statement.text))

    def _run_block(self, block: Block) -> None:
        if self.echo is not None:
            self.echo(_block_lines(block))
        # A loop is shown once, not at each pass.
        with self._without_echo():
            self._enter(block)

    @contextmanager
    def _without_echo(self) -> Iterator[None]:
        echo, self.echo = self.echo, None
        try:
            yield
        finally:
            self.echo = echo

    def _enter(self, block: Block) -> None:
        head = block.head.text
        if block.end is not None and block.end.text == "end":
            self._block_of_lines(block)
            return
        while match := PREFIX.match(head):
            head = head[match.end() :].lstrip()
        with self._prefixes(self.macros.expand(block.head.text)) as (left, _):
            self._run_head(left.strip(), head, block.body)

    def _run_head(self, expanded: str, head: str, body: Sequence[Node]) -> None:
        """Carry out a block by its head, with its macros replaced and as typed."""
        match = re.match(r"\w+", expanded)
        word = match.group() if match else ""
        rest = expanded[len(word) :].strip()
        if not expanded:
            self.run_nodes(body)
        elif word == "foreach":
            self._foreach(rest, body)
        elif word in ("forvalues", "forvalue", "forval", "forv"):
            self._forvalues(rest, body)
        elif word == "while":
            self._while(head[len("while") :], body)
        elif word == "if":
            self._branch(self._holds(rest), body)
        elif word == "else":
            self._else(rest, body)
        else:
            raise InvalidSyntax(f"invalid syntax: {word or expanded} takes no block in braces")

    def _pass(self) -> None:
        self._passes += 1
        if self._passes > self.session.most_passes:
            raise StoppedByLimit(f"more than {self.session.most_passes:,} passes of loops")

    def _loop(self, name: str, values: Sequence[str] | Iterator[str], body: Sequence[Node]) -> None:
        local = self.macros.local
        outer = local.get(name)
        self.frame.loops += 1
        try:
            for value in values:
                self._pass()
                local[name] = value
                try:
                    self.run_nodes(body)
                except LoopEnd as end:
                    if end.leave:
                        break
        finally:
            self.frame.loops -= 1
            if outer is None:
                local.pop(name, None)
            else:
                local[name] = outer

    def _foreach(self, rest: str, body: Sequence[Node]) -> None:
        match = re.match(r"(\w+)\s+(in|of)\b\s*(.*)", rest, re.DOTALL)
        if match is None:
            raise InvalidSyntax("invalid syntax: foreach name in list {, or foreach name of ...")
        name, kind, items = match.groups()
        if kind == "in":
            self._loop(name, words(items), body)
            return
        source = re.match(r"(\w+)\s*(.*)", items, re.DOTALL)
        if source is None:
            raise InvalidSyntax("invalid syntax: foreach name of varlist, numlist, local or global")
        what, items = source.groups()
        if "varlist".startswith(what) and len(what) >= 3:
            names = expand_varlist(parse_varlist(whole(items)), self.session.data_or_empty.names)
            self._loop(name, names, body)
        elif "numlist".startswith(what) and len(what) >= 3:
            self._loop(name, [number_text(x) for x in parse_numlist(whole(items))], body)
        elif "newlist".startswith(what) and len(what) >= 3:
            self._loop(name, new_names(items), body)
        elif what in ("local", "loc", "lcl"):
            self._loop(name, self._live(self.macros.local, items.strip()), body)
        elif "global".startswith(what) and len(what) >= 2:
            self._loop(name, self._live(self.session.global_macros, items.strip()), body)
        else:
            raise InvalidSyntax(f"invalid syntax: foreach of {what}")

    @staticmethod
    def _live(macros: dict[str, str], name: str) -> Iterator[str]:
        """Words of a macro that may grow while the loop runs."""
        position = 0
        while position < len(found := words(macros.get(name, ""))):
            yield found[position]
            position += 1

    def _forvalues(self, rest: str, body: Sequence[Node]) -> None:
        match = re.match(r"(\w+)\s*=\s*(.*)", rest, re.DOTALL)
        if match is None:
            raise InvalidSyntax("invalid syntax: forvalues name = first/last {")
        self._loop(match[1], (number_text(x) for x in self._range(match[2])), body)

    def _range(self, text: str) -> Iterator[float]:
        """``1/3``, ``1(2)9``, ``0 .5 to 2``; bounds may be expressions."""

        def value(piece: str) -> float:
            number = float(np.ravel(self.evaluator().number(parse_expression(piece)))[0])
            if not np.isfinite(number):
                raise InvalidSyntax(f"invalid syntax: {piece.strip()} is no bound of a range")
            return number

        simple = re.fullmatch(r"\s*([^/()\s]+)\s*/\s*([^/()]+)", text)
        stepped = re.fullmatch(r"\s*([^()]+)\(([^()]+)\)(.+)", text)
        listed = re.fullmatch(r"\s*(\S+)\s+(\S+)\s*(?:to|:)\s*(\S+)\s*", text)
        if simple:
            first, step, last = value(simple[1]), 1.0, value(simple[2])
        elif stepped:
            first, step, last = (value(piece) for piece in stepped.groups())
        elif listed:
            first, second, last = (value(piece) for piece in listed.groups())
            step = second - first
        else:
            raise InvalidSyntax("invalid syntax: forvalues takes 1/3, 1(2)9 or 0 .5 to 2")
        if step == 0.0:
            raise InvalidSyntax("invalid syntax: a range with step 0 has no end")
        number = 0
        while (first + number * step - last) * np.sign(step) <= 1e-9 * abs(step):
            yield first + number * step
            number += 1

    def _while(self, condition: str, body: Sequence[Node]) -> None:
        self.frame.loops += 1
        try:
            while self._holds(self.macros.expand(condition)):
                self._pass()
                try:
                    self.run_nodes(body)
                except LoopEnd as end:
                    if end.leave:
                        break
        finally:
            self.frame.loops -= 1

    def _holds(self, text: str) -> bool:
        value = np.ravel(self.evaluator().number(parse_expression(text)))
        return bool(truth(value[:1]).any())

    def _branch(self, holds: bool, body: Sequence[Node]) -> None:
        if holds:
            self.run_nodes(body)
        self._last_condition = holds

    def _else(self, rest: str, body: Sequence[Node]) -> None:
        before, self._last_condition = self._last_condition, None
        if before is None:
            raise InvalidSyntax("else without if")
        match = re.match(r"if\b(.*)", rest, re.DOTALL)
        if before:
            self._last_condition = True
        elif match:
            self._branch(self._holds(match[1]), body)
        elif rest:
            raise InvalidSyntax(f"invalid syntax: else {rest}")
        else:
            self.run_nodes(body)

    def _block_of_lines(self, block: Block) -> None:
        head = self.macros.expand(block.head.text)
        word = head.split()[0]
        if word.startswith("pr"):
            name = re.sub(r"^\w+\s+(?:de\w*\s+)?", "", head).split(",")[0].strip()
            self.session.define_program(name, block.body)
        elif word.startswith("inp") or word.startswith("mat"):
            lines = [node.statement.text for node in block.body if isinstance(node, Line)]
            self._dispatch(head, lines=lines)
        else:
            raise UnknownCommand(
                f"blocks of {word} are not part of this program's language",
                hint="write it with matrix and scalar",
            )

    # -- statements

    def run_statement(self, text: str) -> None:
        """Run a statement whose macros have been replaced."""
        text = text.strip()
        if not text:
            return
        if "\0" in text:
            raise InvalidSyntax("the command contains a null character")
        word = re.match(r"\w*", text)
        first = word.group() if word else ""
        if first == "if":
            self._one_line_if(text)
            return
        if first == "else":
            before, self._last_condition = self._last_condition, None
            if before is None:
                raise InvalidSyntax("else without if")
            self._last_condition = True if before else None
            if not before:
                self.run_statement(text[len("else") :])
            return
        self._last_condition = None
        with self._prefixes(text) as (left, prefix):
            if left:
                self._prefixed(left, prefix)

    def _one_line_if(self, text: str) -> None:
        span = whole(text)
        tokens = ExpressionParser(expression_tokens_of_prefix(part(span, 2, span.end)))
        condition = tokens.parse()
        if tokens.at("="):
            raise tokens.unexpected("expected a command")
        rest = part(span, tokens.current.span.start, span.end).text
        value = np.ravel(self.evaluator().number(condition))
        holds = bool(truth(value[:1]).any())
        if holds:
            self.run_statement(rest)
        self._last_condition = holds

    @contextmanager
    def _prefixes(self, text: str) -> Iterator[tuple[str, Prefix]]:
        """Take prefixes off a statement and hold them in force while it runs."""
        muted, prefix = self._muted, Prefix()
        captured = False
        while match := PREFIX.match(text):
            if match["quietly"]:
                self._muted = 1
            elif match["noisily"]:
                self._muted = 0
            elif match["capture"]:
                captured, self._muted = True, 1
            elif match["xi"]:
                prefix.xi = True
            elif match["by"]:
                prefix.by = match["groups"]
                prefix.sort = len(match["by"]) > len("by")
            text = text[match.end() :].lstrip()
        listener = self.session.mute_listener() if self._muted else None
        try:
            yield text, prefix
        except GllammError as error:
            if not captured:
                raise
            self.session.return_code = error.rc
            if not self._muted:
                self.note(*error.render().split("\n"))
        else:
            if captured:
                self.session.return_code = 0
        finally:
            self._muted = muted
            if listener is not None:
                self.session.listener = listener

    def _prefixed(self, text: str, prefix: Prefix) -> None:
        if prefix.xi:
            text = self.session.expand_xi_terms(text, self.note)
        if prefix.by is None:
            self._dispatch(text)
        else:
            self._by(text, prefix)

    def _by(self, text: str, prefix: Prefix) -> None:
        command, rest = self._command(text)
        if command.by is ByUse.NO:
            raise NotAllowed(f"{command.name} may not be combined with by", hint="see r(190)")
        assert prefix.by is not None
        names, extra, sort = self._by_names(prefix)
        data = self.session.data
        order = data.sort_order([*names, *extra])
        if not sort and not data.is_sorted(names):
            raise NotSorted("not sorted", hint=f"bysort {' '.join(names)}: sorts first")
        if sort and order is not None:
            data = data.take(order)
            self.session.dataset = data
        groups = Groups.from_starts(data.group_starts(names), data.n_rows)
        if command.by is ByUse.WITHIN:
            self._carry_out(command, rest, groups=groups)
            return
        ends = np.append(groups.starts[1:], data.n_rows)
        for start, end in zip(groups.starts, ends, strict=True):
            shown = ", ".join(f"{name} = {data.shown(name, int(start))}" for name in names)
            self.note("", BY_RULE, f"-> {shown}")
            within = np.zeros(data.n_rows, dtype=bool)
            within[start:end] = True
            self._carry_out(command, rest, within=within)

    def _by_names(self, prefix: Prefix) -> tuple[list[str], list[str], bool]:
        text, _, options = (prefix.by or "").partition(",")
        sort = prefix.sort
        for option in options.split():
            if option not in ("sort", "sor", "so", "s", "rc0"):
                raise InvalidSyntax(f"option {option} not allowed")
            sort = sort or option.startswith("s")
        match = re.fullmatch(r"([^()]*)(?:\(([^()]*)\))?\s*", text)
        if match is None:
            raise InvalidSyntax(f"invalid syntax: by {text}")
        names = self.session.data.names
        of_groups = expand_varlist(parse_varlist(whole(match[1])), names)
        within = expand_varlist(parse_varlist(whole(match[2] or "")), names)
        if not of_groups:
            raise InvalidSyntax("invalid syntax: by needs variables")
        return list(of_groups), list(within), sort

    def _command(self, text: str) -> tuple[Command, Span]:
        span = stripped(whole(text))
        match = NAME.match(span.text)
        word = match.group() if match else span.text[:1]
        rest = stripped(part(span, span.start + len(word), span.end))
        if self.bare_models and self._is_bare_model(word, text):
            return COMMANDS["gllamm"], span
        command = find_command(word)
        if command is not None:
            return command, rest
        names = self.session.data_or_empty.names
        error = unknown_command(word, part(span, span.start, span.start + max(1, len(word))))
        is_variable = bool(word) and any(name.startswith(word) for name in names)
        if self.bare_models and (is_variable or not error.hint):
            return COMMANDS["gllamm"], span
        raise error

    def _is_bare_model(self, word: str, text: str) -> bool:
        """A variable that is also the name of a command starts a model if i() follows."""
        return word in self.session.data_or_empty.names and bool(re.search(r",.*\bi\s*\(", text))

    def _dispatch(self, text: str, lines: Sequence[str] = ()) -> None:
        word = NAME.match(text)
        if word and word.group() in self.session.programs:
            self._call_program(word.group(), text[word.end() :].strip())
            return
        command, rest_span = self._command(text)
        self._carry_out(command, rest_span, lines=lines)

    def _call_program(self, name: str, arguments: str) -> None:
        """Run a program; a comma is an argument of its own."""
        with self.call(name, words(arguments.replace(",", " , "))), suppress(Stop):
            self.macros.local["0"] = arguments
            self.run_nodes(self.session.programs[name])

    def _carry_out(
        self,
        command: Command,
        span: Span,
        *,
        groups: Groups | None = None,
        within: Mask | None = None,
        lines: Sequence[str] = (),
    ) -> None:
        self.shown = span.source
        module, _, function = command.handler.partition(":")
        handler: Any = getattr(import_module(f"gllamm_cli.interpret.{module}"), function)
        run = Run(self.session, self, command.name, span, groups, within)
        try:
            if command.takes_lines:
                handler(run, lines)
            else:
                handler(run)
        except np.linalg.LinAlgError as error:
            raise General(
                f"{command.name} cannot be computed: {error}",
                hint="numbers too large, or a singular matrix",
            ) from error
        except MemoryError as error:
            raise OutOfMemory(
                f"not enough memory for {command.name}", hint="fewer rows or points need less"
            ) from error
        except OSError as error:
            # A reader of the output that has gone away is nobody's mistake.
            if error.errno == errno.EPIPE:
                raise
            file = error.filename or "file"
            raise FileCannotBeOpened(
                f"{file} could not be opened", hint=error.strerror or str(error)
            ) from error


@dataclass(slots=True)
class Prefix:
    """Prefixes that change how a command is carried out."""

    xi: bool = False
    by: str | None = None
    sort: bool = False


def new_names(text: str) -> list[str]:
    """Names to be made: ``x1-x5`` counts."""
    names: list[str] = []
    for item in text.replace("-", " - ").split():
        if len(names) > 1 and names[-1] == "-":
            names.pop()
            first = re.fullmatch(r"(.*?)(\d+)", names[-1])
            last = re.fullmatch(r"(.*?)(\d+)", item)
            if not first or not last or first[1] != last[1] or int(last[2]) - int(first[2]) > 32766:
                raise InvalidSyntax(f"{names[-1]}-{item} invalid range of new names")
            width = len(first[2])
            names += [
                f"{first[1]}{k:0{width}d}" for k in range(int(first[2]) + 1, int(last[2]) + 1)
            ]
        else:
            names.append(item)
    return names


def expression_tokens_of_prefix(span: Span) -> list[Any]:
    """Tokens of an expression that a command follows; what cannot be read ends them."""
    end = span.end
    while True:
        try:
            return expression_tokens(part(span, span.start, end))
        except GllammError as error:
            if error.span is None or error.span.start <= span.start or error.span.start >= end:
                raise
            end = error.span.start


def _block_lines(block: Block) -> list[str]:
    lines = list(block.head.typed)
    for node in block.body:
        lines += _block_lines(node) if isinstance(node, Block) else list(node.statement.typed)
    if block.end is not None:
        lines += block.end.typed
    return lines
