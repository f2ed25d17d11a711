"""Commands that set macros: local, global, tempvar, args, tokenize, gettoken, syntax."""

from __future__ import annotations

import re

from gllamm_cli.errors import InvalidSyntax, VarlistRequired
from gllamm_cli.interpret.macros import stepped, unquoted, words
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.lexer import Kind, frame_tokens, whole
from gllamm_cli.stata.varlist import expand_varlist, parse_varlist

LOCAL_NAME = re.compile(r"\w{1,31}")
GLOBAL_NAME = re.compile(r"[^\W\d]\w{0,31}")


def local(run: Run) -> None:
    """``local name [=exp | :function | text]``, ``local ++name``."""
    _set(run, run.interpreter.macros.local, LOCAL_NAME)


def global_(run: Run) -> None:
    """``global`` likewise."""
    _set(run, run.session.global_macros, GLOBAL_NAME)


def _set(run: Run, macros: dict[str, str], pattern: re.Pattern[str]) -> None:
    text = run.span.text
    if match := re.fullmatch(r"(\+\+|--)\s*(\w+)", text):
        macros[match[2]] = stepped(macros.get(match[2], ""), match[1], match[2])
        return
    match = re.match(r"\w+", text)
    if match is None or pattern.fullmatch(match.group()) is None:
        raise InvalidSyntax("invalid syntax: a macro needs a name", span=run.span)
    name, rest = match.group(), text[match.end() :].strip()
    if rest.startswith("=") and not rest.startswith("=="):
        value = run.interpreter.macros.evaluate(rest[1:])
    elif rest.startswith(":"):
        value = run.interpreter.macros.extended(rest[1:].strip())
    else:
        value = unquoted(rest)
    if value:
        macros[name] = value
    else:
        macros.pop(name, None)


def tempvar(run: Run) -> None:
    """``tempvar a b``: locals that hold names of variables dropped at the end."""
    for name in run.span.text.split():
        temporary = run.session.temporary_name()
        run.interpreter.macros.local[name] = temporary
        run.interpreter.frame.temporary.append(temporary)


tempname = tempvar


def tempfile(run: Run) -> None:
    """``tempfile a``: locals that hold names of files removed at the end of the session."""
    for name in run.span.text.split():
        run.interpreter.macros.local[name] = run.session.temporary_file()


def args(run: Run) -> None:
    """``args a b``: names for the arguments."""
    macros = run.interpreter.macros.local
    for position, name in enumerate(run.span.text.split(), start=1):
        macros[name] = macros.get(str(position), "")


def tokenize(run: Run) -> None:
    """``tokenize "text" [, parse(characters)]``."""
    match = re.fullmatch(
        r"(.*?)(?:,\s*p(?:arse|ars|ar|a)?\(\"?(.*?)\"?\)\s*)?", run.span.text, re.DOTALL
    )
    assert match is not None, "everything matches"
    text, separators = unquoted(match[1]), match[2]
    if separators is None:
        pieces = words(text)
    else:
        pattern = f"([{re.escape(separators)}])"
        pieces = [piece.strip() for piece in re.split(pattern, text) if piece.strip()]
    macros = run.interpreter.macros.local
    for name in [name for name in macros if name.isdigit()]:
        del macros[name]
    macros.update({str(k): piece for k, piece in enumerate(pieces, start=1)})


def gettoken(run: Run) -> None:
    """``gettoken first [rest] : name [, parse(characters)]``."""
    match = re.fullmatch(
        r"(?:\((?:local|global)\)\s*)?(\w+)\s*(\w+)?\s*:\s*(\w+)\s*(?:,\s*p\w*\(\"?(.*?)\"?\).*)?",
        run.span.text,
    )
    if match is None:
        raise InvalidSyntax("invalid syntax: gettoken first rest : name", span=run.span)
    macros = run.interpreter.macros.local
    text = macros.get(match[3], "").lstrip()
    stops = re.escape(match[4]) if match[4] else ""
    token = re.match(rf"\"[^\"]*\"|[{stops}]|[^\s{stops}]+" if stops else r"\"[^\"]*\"|\S+", text)
    first = token.group() if token else ""
    macros[match[1]] = unquoted(first)
    if match[2]:
        macros[match[2]] = text[len(first) :]


def macro(run: Run) -> None:
    """``macro list``, ``macro drop`` and ``macro shift``."""
    found = run.span.text.split()
    word, names = (found[0], found[1:]) if found else ("list", [])
    macros, shared = run.interpreter.macros.local, run.session.global_macros
    if word in ("list", "dir", "l"):
        for name, value in [*shared.items(), *((f"_{k}", v) for k, v in macros.items())]:
            run.print(f"{name + ':':<16}{value}")
    elif word == "drop":
        for name in list(shared) if names == ["_all"] else names:
            shared.pop(name, None)
            macros.pop(name.removeprefix("_"), None)
    elif word in ("shift", "sh"):
        last = max((int(name) for name in macros if name.isdigit()), default=0)
        for position in range(1, last + 1):
            following = macros.get(str(position + 1))
            if following is None:
                macros.pop(str(position), None)
            else:
                macros[str(position)] = following
    else:
        raise InvalidSyntax(f"macro {word} is not supported", span=run.span)


DESCRIPTION = re.compile(
    r"(?P<optional>\[)?(?P<what>varlist|varname|newvarname|anything|if|in|using)\b"
)


def syntax(run: Run) -> None:
    """``syntax varlist [if] [in] [, options]`` over what the program was given."""
    macros = run.interpreter.macros.local
    given = macros.get("0", "")
    span = whole(given)
    description = run.span.text
    head, _, wanted = description.partition(",")
    pieces: dict[str, str] = {"body": "", "if": "", "in": "", "options": ""}
    part = "body"
    for token in frame_tokens(span):
        if token.kind is Kind.COMMA and part != "options":
            part = "options"
            continue
        if token.kind is Kind.WORD and token.text in ("if", "in") and part != "options":
            part = token.text
        glued = token.span.start > 0 and not given[token.span.start - 1].isspace()
        text = given[token.span.start : token.span.end]
        pieces[part] += text if glued else f" {text}"
    pieces = {name: text.strip() for name, text in pieces.items()}
    _syntax_body(run, head, pieces)
    _syntax_options(run, wanted.strip().rstrip("]"), pieces["options"])


def _syntax_body(run: Run, head: str, pieces: dict[str, str]) -> None:
    macros = run.interpreter.macros.local
    for match in DESCRIPTION.finditer(head):
        what, optional = match["what"], match["optional"] is not None
        if what in ("if", "in"):
            macros[what] = pieces[what]
            continue
        text = pieces["body"]
        if what in ("varlist", "varname"):
            names = expand_varlist(parse_varlist(whole(text)), run.data.names)
            if not names and optional and what == "varlist":
                names = run.data.names
            if not names and not optional:
                raise VarlistRequired("varlist required")
            if what == "varname" and len(names) > 1:
                raise InvalidSyntax("too many variables specified")
            text = " ".join(names)
        elif not text and not optional:
            raise InvalidSyntax("something required")
        macros[what] = text
    for what in ("if", "in"):
        if pieces[what] and not re.search(rf"\b{what}\b", head):
            raise InvalidSyntax(f"{what} not allowed")


OPTION = re.compile(r"(\w+)(?:\(\s*(\w+)[^()]*\))?")


def _syntax_options(run: Run, wanted: str, given: str) -> None:
    macros = run.interpreter.macros.local
    rules = {}
    for match in OPTION.finditer(wanted.replace("[", " ").replace("]", " ")):
        name, argument = match.groups()
        least = sum(letter.isupper() for letter in name) or len(name)
        full = name.lower()
        rules[full] = (least, argument, match.group())
        macros[full] = ""
    if "*" in wanted:
        macros["options"] = ""
    for match in re.finditer(r"(\w+)(?:\(((?:[^()]|\([^()]*\))*)\))?", given):
        word, value = match.groups()
        for name, (least, argument, _) in rules.items():
            target = name.removeprefix("no") if name.startswith("no") and argument is None else name
            if len(word) >= least and name.startswith(word):
                macros[target if target in macros else name] = value if value is not None else word
                macros[name] = value if value is not None else name
                break
        else:
            if "*" not in wanted:
                raise InvalidSyntax(f"option {word} not allowed")
            macros["options"] = f"{macros['options']} {match.group()}".strip()
