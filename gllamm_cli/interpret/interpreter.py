"""Carries out scripts: statements under their prefixes, blocks and programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gllamm_cli.errors import (
    GllammError,
    InvalidSyntax,
    NotAllowed,
    NothingPreserved,
    NotSorted,
    Span,
    StoppedByLimit,
    UnknownCommand,
)
from gllamm_cli.interpret.blocks import Block, Line, Node, parse_blocks
from gllamm_cli.interpret.dispatch import NAME, carry_out, named_command
from gllamm_cli.interpret.extended import extended_function
from gllamm_cli.interpret.loops import Loop, LoopEnd, foreach, forvalues
from gllamm_cli.interpret.macros import Macros, number_text, words
from gllamm_cli.interpret.outcomes import Noted, Outcome
from gllamm_cli.interpret.prefixes import Prefix, read_groups, read_prefixes
from gllamm_cli.interpret.run import Mask, Run
from gllamm_cli.interpret.settled import settled
from gllamm_cli.interpret.table import ByUse, Command
from gllamm_cli.stata.environment import Groups
from gllamm_cli.stata.evaluate import Evaluator
from gllamm_cli.stata.expression import leading_expression, parse_expression
from gllamm_cli.stata.functions import is_text, truth
from gllamm_cli.stata.lexer import part, whole
from gllamm_cli.stata.source import read_statements

if TYPE_CHECKING:
    from gllamm_cli.data import Dataset
    from gllamm_cli.session import Session

MOST_PASSES = 10_000_000
"""Passes of all loops of a script together."""
DEEPEST_CALL = 60
SEED = re.compile(r"set\s+seed\b")
BY_RULE = "-" * 79


class Stop(Exception):
    """``exit``: ends the script or program."""


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
        self._muted = False
        self._passes = 0
        self._last_condition: bool | None = None
        self.frames = [self._frame("")]

    # -- state

    def _frame(self, name: str) -> Frame:
        shared = self.session.global_macros
        macros = Macros(self._evaluate_text, self._extended, self._stored_text, shared)
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
        return self._muted

    def evaluator(self) -> Evaluator:
        """What expressions refer to."""
        return self.session.evaluator()

    def _evaluate_text(self, text: str) -> str:
        value = np.ravel(self.evaluator().value(parse_expression(text)))
        if not len(value):
            return "."
        return str(value[0]) if is_text(value) else number_text(float(value[0]))

    def _stored_text(self, function: str, name: str) -> str:
        value = self.session.environment().named(function).get(name, "")
        return value if isinstance(value, str) else number_text(value)

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
        muted, self._muted = self._muted, True
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
        _, typed = read_prefixes(head)
        prefix, left = read_prefixes(self.macros.expand(head))
        with self._under(prefix):
            self._run_head(left.strip(), typed, block.body)

    def _run_head(self, expanded: str, head: str, body: Sequence[Node]) -> None:
        """Carry out a block by its head, with its macros replaced and as typed."""
        match = re.match(r"\w+", expanded)
        word = match.group() if match else ""
        rest = expanded[len(word) :].strip()
        if not expanded:
            self.run_nodes(body)
        elif word == "foreach":
            self._loop(foreach(rest, self.session, self.macros.local), body)
        elif word in ("forvalues", "forvalue", "forval", "forv"):
            self._loop(forvalues(rest, self.evaluator()), body)
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

    def _loop(self, loop: Loop, body: Sequence[Node]) -> None:
        local = self.macros.local
        outer = local.get(loop.name)
        self.frame.loops += 1
        try:
            for value in loop.values:
                self._pass()
                local[loop.name] = value
                try:
                    self.run_nodes(body)
                except LoopEnd as end:
                    if end.leave:
                        break
        finally:
            self.frame.loops -= 1
            if outer is None:
                local.pop(loop.name, None)
            else:
                local[loop.name] = outer

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
        prefix, left = read_prefixes(text)
        data, prepared = self.session.dataset, self.session.preparation
        kept = settled(text, self.session) if self.bare_models else text
        with self._under(prefix):
            if left:
                self._prefixed(left, prefix)
        changed = self.session.dataset is not data or SEED.match(left)
        # A statement inside this one may have been noted already.
        if self.bare_models and changed and self.session.preparation is prepared:
            self.session.preparation = prepared.then(kept, data)

    def _one_line_if(self, text: str) -> None:
        span = whole(text)
        condition, rest = leading_expression(part(span, len("if"), span.end))
        value = np.ravel(self.evaluator().number(condition))
        holds = bool(truth(value[:1]).any())
        if holds:
            self.run_statement(rest.text)
        self._last_condition = holds

    @contextmanager
    def _under(self, prefix: Prefix) -> Iterator[None]:
        """Mute and capture as a statement's prefixes say, while it runs."""
        muted = self._muted
        if prefix.muted is not None:
            self._muted = prefix.muted
        listener = self.session.mute_listener() if self._muted else None
        try:
            yield
        except GllammError as error:
            if not prefix.captured:
                raise
            self.session.return_code = error.rc
            if not self._muted:
                self.note(*error.render().split("\n"))
        else:
            if prefix.captured:
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
        data = self.session.data
        by = read_groups(prefix, data.names)
        names = list(by.names)
        order = data.sort_order([*by.names, *by.within])
        if not by.sort and not data.is_sorted(names):
            raise NotSorted("not sorted", hint=f"bysort {' '.join(names)}: sorts first")
        if by.sort and order is not None:
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

    def _command(self, text: str) -> tuple[Command, Span]:
        names = self.session.data_or_empty.names
        return named_command(text, names, bare_models=self.bare_models)

    def _dispatch(self, text: str, lines: Sequence[str] = ()) -> None:
        word = NAME.match(text)
        if word and word.group() in self.session.programs:
            self._call_program(word.group(), text[word.end() :].strip())
            return
        command, rest_span = self._command(text)
        self._carry_out(command, rest_span, lines=lines)

    def _call_program(self, name: str, arguments: str) -> None:
        """Run a program; a comma is an argument of its own."""
        called = self.call(name, words(arguments.replace(",", " , ")))
        # The statements were shown where the program was defined.
        with self._without_echo(), called, suppress(Stop):
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
        run = Run(self.session, self, command.name, span, groups, within)
        carry_out(command, run, lines)


def _block_lines(block: Block) -> list[str]:
    lines = list(block.head.typed)
    for node in block.body:
        lines += _block_lines(node) if isinstance(node, Block) else list(node.statement.typed)
    if block.end is not None:
        lines += block.end.typed
    return lines
