"""Scripts within scripts, programs, and the data put aside."""

from __future__ import annotations

import re
from pathlib import Path

from gllamm_cli.errors import (
    AlreadyDefined,
    AlreadyPreserved,
    CommandError,
    FileMissing,
    FileUnreadable,
    InvalidSyntax,
    VariableNotFound,
)
from gllamm_cli.interpret.interpreter import Stop
from gllamm_cli.interpret.loops import LoopEnd
from gllamm_cli.interpret.macros import words
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.format import display
from gllamm_cli.stata.lexer import is_name, whole
from gllamm_cli.stata.varlist import expand_varlist, parse_varlist


def read_script(name: str) -> str:
    """Return the text of a do-file; r(601) if there is none."""
    path = Path(name).expanduser()
    if not path.suffix and not path.exists():
        path = path.with_name(f"{path.name}.do")
    if not path.exists():
        raise FileMissing(f"file {path} not found")
    if path.is_dir():
        raise FileUnreadable(f"{path} is a directory", hint="name a file in it")
    return decoded(path.read_bytes())


def decoded(content: bytes) -> str:
    """Return the text of a script; what is not UTF-8 is taken for Latin 1."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def do(run: Run) -> None:
    """``do file [arguments]``; ``run`` is silent, ``include`` shares the local macros."""
    found = words(run.span.text.partition(", nostop")[0])
    if not found:
        raise InvalidSyntax("invalid file specification", hint="do needs the name of a file")
    text = read_script(found[0])
    interpreter = run.interpreter
    if run.name == "include":
        interpreter.run_text(text)
        return
    with interpreter.call(found[0], found[1:]):
        if run.name == "run":
            interpreter.run_quietly(text)
        else:
            interpreter.run_text(text)


def exit(run: Run) -> None:
    """``exit [#]``: a code other than 0 is an error."""
    code = run.span.text.partition(",")[0].strip()
    if code and (number := run.whole_number(run.span)):
        raise CommandError("", number)
    raise Stop


def error(run: Run) -> None:
    """``error #``."""
    raise CommandError("error", run.whole_number(run.span))


def continue_(run: Run) -> None:
    """``continue [, break]``."""
    if not run.interpreter.in_loop():
        raise InvalidSyntax("continue outside of a loop", span=run.span)
    raise LoopEnd("break" in run.span.text)


def preserve(run: Run) -> None:
    """Put the data aside."""
    frame = run.interpreter.frame
    if frame.has_preserved:
        raise AlreadyPreserved("already preserved", hint="restore comes first")
    frame.preserved, frame.has_preserved = run.session.dataset, True


def restore(run: Run) -> None:
    """``restore [, not preserve]``."""
    options = run.span.text.lstrip(", ").split()
    frame = run.interpreter.frame
    kept = frame.preserved
    run.interpreter.restore(keep="not" not in options)
    if "preserve" in options:
        frame.preserved, frame.has_preserved = kept, True


def program(run: Run) -> None:
    """``program drop`` and ``program list``; definitions are blocks."""
    found = run.span.text.split()
    programs = run.session.programs
    if found[:1] == ["drop"]:
        for name in list(programs) if found[1:] == ["_all"] else found[1:]:
            if name not in programs:
                raise VariableNotFound(f"program {name} not found", span=run.span)
            del programs[name]
    elif found[:1] in (["dir"], ["list"]):
        run.print(*programs)
    else:
        raise InvalidSyntax("invalid syntax: program define name ... end", span=run.span)


def return_results(run: Run) -> None:
    """``return list``, ``ereturn list``; ``return scalar`` and ``local`` in programs."""
    session = run.session
    match = re.match(r"(\w+)\s*(.*)", run.span.text, re.DOTALL)
    word, rest = match.groups() if match else ("list", "")
    if word in ("list", "li", "l", "dir"):
        _list(run)
    elif word == "clear":
        if run.name == "return":
            session.returned = {}
        else:
            session.results = None
    elif word in ("scalar", "local", "matrix") and run.name == "return":
        target = re.match(r"(\w+)\s*(=?)\s*(.*)", rest, re.DOTALL)
        if target is None:
            raise InvalidSyntax("invalid syntax: return scalar name = exp", span=run.span)
        name, sign, value = target.groups()
        if word == "matrix":
            source = value.split()[0] if value else ""
            if source not in session.matrices:
                raise VariableNotFound(f"matrix {source} not found", span=run.span)
            session.returned_matrices[name] = session.matrices[source]
        elif word == "scalar":
            session.returned[name] = run.number(whole(value))
        else:
            session.returned[name] = run.interpreter.macros.evaluate(value) if sign else rest
    else:
        raise InvalidSyntax(f"{run.name} {word} is not supported", span=run.span)


def _list(run: Run) -> None:
    session = run.session
    if run.name == "return":
        scalars, matrices, letter = session.returned, session.returned_matrices, "r"
    else:
        results = run.results()
        scalars, matrices, letter = results.all_scalars, results.all_matrices, "e"
    numbers = {name: x for name, x in scalars.items() if isinstance(x, float | int)}
    texts = {name: x for name, x in scalars.items() if isinstance(x, str)}
    if numbers:
        run.print("", "scalars:")
        run.print(*(f"{f'{letter}({name})':>19} =  {display(x)}" for name, x in numbers.items()))
    if texts:
        run.print("", "macros:")
        run.print(*(f'{f"{letter}({name})":>19} : "{text}"' for name, text in texts.items()))
    if matrices:
        run.print("", "matrices:")
        for name, matrix in matrices.items():
            shape = "{} x {}".format(*matrix.values.shape)
            run.print(f"{f'{letter}({name})':>19} :  {shape}")
    run.print("")


def confirm(run: Run) -> None:
    """``confirm [new] variable|file|existence|number ...``."""
    match = re.match(
        r"(new\s+)?(numeric\s+|string\s+)?(var\w*|file|number|integer|matrix|scalar|existence)\s*(.*)",
        run.span.text,
    )
    if match is None:
        raise InvalidSyntax("invalid syntax: confirm variable name", span=run.span)
    new, kind, what, rest = match.groups()
    if what.startswith("var") and new:
        for name in rest.split():
            if name in run.data.names:
                raise AlreadyDefined(f"variable {name} already defined")
            if not is_name(name):
                raise InvalidSyntax(f"{name} invalid name")
    elif what.startswith("var"):
        for name in expand_varlist(parse_varlist(whole(rest)), run.data.names):
            if kind and run.is_text(name) != kind.startswith("string"):
                raise InvalidSyntax(f"{name} is not a {kind.strip()} variable")
    elif what == "file":
        if not Path(run.file(rest, "")).exists():
            raise FileMissing(f"file {rest} not found")
    elif what in ("matrix", "scalar"):
        known = run.session.matrices if what == "matrix" else run.session.scalars
        if rest not in known:
            raise VariableNotFound(f"{what} {rest} not found")
    elif what == "existence":
        if not rest.strip():
            raise InvalidSyntax("something required")
    elif not re.fullmatch(r"-?\d+(\.\d*)?" if what == "number" else r"-?\d+", rest.strip()):
        raise InvalidSyntax(f"'{rest}' found where {what} expected")
