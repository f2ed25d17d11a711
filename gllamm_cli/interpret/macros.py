"""Macros: ```name'``, ``$name``, ```=expression'``, ```r(name)'`` and extended functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gllamm_cli.errors import InvalidSyntax, MacroLimit
from gllamm_cli.stata.format import format_stata
from gllamm_cli.stata.functions import missing_text

LONGEST = 1_000_000
"""Characters a statement may have after expansion."""
MOST_SUBSTITUTIONS = 20_000
GLOBAL_NAME = re.compile(r"[^\W\d]\w{0,31}")
LOCAL_NAME = re.compile(r"\w{1,31}")
STORED = re.compile(r"([ersc])\((\w+)\)")
STEP = re.compile(r"(\+\+|--)?\s*(\w{1,31})\s*(\+\+|--)?")


def number_text(value: float) -> str:
    """Print a number as macros hold it: all its digits, no zero before the point."""
    if value != value:
        return missing_text(value)
    if value == int(value) and abs(value) < 1e17:
        return str(int(value))
    text = format_stata("%18.0g", value).strip()
    short = f"{value:.16g}"
    if "e" not in short and len(short) <= len(text):
        text = short
    return re.sub(r"^(-?)0\.", r"\1.", text)


@dataclass(slots=True)
class Macros:
    """Local macros of a script or program, and the global ones all share.

    Attributes
    ----------
    evaluate
        Value of an expression as text, for ```=expression'``.
    extended
        Value of an extended function, for ```:function'``.
    stored
        Text of a stored result by its function and name, for ```r(name)'``.
    """

    evaluate: Callable[[str], str]
    extended: Callable[[str], str]
    stored: Callable[[str, str], str]
    shared: dict[str, str]
    local: dict[str, str] = field(default_factory=dict)

    def expand(self, text: str) -> str:
        """Return ``text`` with all macros replaced.

        Raises
        ------
        MacroLimit
            Macros that contain themselves, or a text that grows too long.
        """
        if "`" not in text and "$" not in text and "\\" not in text:
            return text
        return _Expansion(self).run(text)


class _Expansion:
    def __init__(self, macros: Macros) -> None:
        self.macros = macros
        self.left = MOST_SUBSTITUTIONS

    def run(self, text: str, depth: int = 0) -> str:
        if depth > 100:
            raise MacroLimit("macros nested too deeply", hint="does a macro contain itself?")
        pieces: list[str] = []
        length = position = 0
        while position < len(text):
            character = text[position]
            piece = character
            after = position + 1
            if character == "\\" and text[after : after + 1] in ("`", "$"):
                piece, after = text[after], after + 1
            elif character == "`" and text[after : after + 1] != '"':
                end = _closing(text, after)
                if end is not None:
                    piece = self._quoted(text[after:end], depth)
                    after = end + 1
            elif character == "$":
                piece, after = self._global(text, position, depth)
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST:
                raise MacroLimit("macro expansion too long", hint="does a macro contain itself?")
            position = after
        return "".join(pieces)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise MacroLimit("too many macro substitutions", hint="does a macro contain itself?")

    def _quoted(self, inside: str, depth: int) -> str:
        self._count()
        name = self.run(inside, depth + 1) if "`" in inside or "$" in inside else inside
        macros = self.macros
        if name.startswith("="):
            return macros.evaluate(name[1:])
        if name.startswith(":"):
            return macros.extended(name[1:].strip())
        if stored := STORED.fullmatch(name.strip()):
            return macros.stored(*stored.groups())
        step = STEP.fullmatch(name.strip())
        if step is None:
            # Not a name: Stata, too, finds nothing under it.
            return ""
        before, name, behind = step.groups()
        if before or behind:
            old = macros.local.get(name, "")
            new = stepped(old, before or behind, name)
            macros.local[name] = new
            return new if before else old
        return self.run(macros.local.get(name, ""), depth + 1)

    def _global(self, text: str, position: int, depth: int) -> tuple[str, int]:
        self._count()
        if text[position + 1 : position + 2] == "{":
            end = text.find("}", position)
            if end < 0:
                return "$", position + 1
            name = self.run(text[position + 2 : end], depth + 1).strip()
            return self.run(self.macros.shared.get(name, ""), depth + 1), end + 1
        match = GLOBAL_NAME.match(text, position + 1)
        if match is None and text[position + 1 : position + 2] == "`":
            # $`i': the local names the global.
            end_local = _closing(text, position + 2)
            if end_local is not None:
                name = self._quoted(text[position + 2 : end_local], depth)
                return self.run(self.macros.shared.get(name, ""), depth + 1), end_local + 1
        if match is None:
            return "$", position + 1
        return self.run(self.macros.shared.get(match.group(), ""), depth + 1), match.end()


def stepped(old: str, step: str, name: str) -> str:
    """Return the value of a macro after ``++`` or ``--``."""
    try:
        value = float(old)
    except ValueError:
        raise InvalidSyntax(f"invalid syntax: {name} holds no number to step") from None
    return number_text(value + (1.0 if step == "++" else -1.0))


def _closing(text: str, start: int) -> int | None:
    """Position of the quote that closes a macro; None if it is not closed."""
    depth = 1
    position = start
    while position < len(text):
        character = text[position]
        if character == "`":
            depth += 1
        elif character == "'":
            depth -= 1
            if not depth:
                return position
        elif character == "\n":
            return None
        position += 1
    return None


def unquoted(text: str) -> str:
    """Return a text without one pair of outer quotes, simple or compound."""
    text = text.strip()
    if len(text) >= 4 and text.startswith('`"') and text.endswith("\"'"):
        return text[2:-2]
    if len(text) >= 2 and text.startswith('"') and text.endswith('"') and '"' not in text[1:-1]:
        return text[1:-1]
    return text


def words(text: str) -> list[str]:
    """Return words separated by blanks; quotes bind and are removed."""
    found = re.findall(r"`\"(.*?)\"'|\"([^\"]*)\"|(\S+)", text)
    return [compound or quoted or bare for compound, quoted, bare in found]


def list_function(text: str, values: Mapping[str, str]) -> str:
    """Value of ``: list ...`` over macros by name."""
    match = re.fullmatch(r"\s*(uniq|dups|sort|sizeof|retokenize|clean)\s+(\w+)\s*", text)
    if match:
        items = words(values.get(match[2], ""))
        seen: list[str] = []
        match match[1]:
            case "sizeof":
                return str(len(items))
            case "sort":
                return " ".join(sorted(items))
            case "uniq":
                return " ".join(dict.fromkeys(items))
            case "dups":
                return " ".join(x for x in items if x in seen or seen.append(x))  # type: ignore[func-returns-value]
            case _:
                return " ".join(items)
    match = re.fullmatch(r"\s*posof\s+(\"[^\"]*\"|\w+)\s+in\s+(\w+)\s*", text)
    if match:
        items = words(values.get(match[2], ""))
        wanted = unquoted(match[1])
        return str(items.index(wanted) + 1 if wanted in items else 0)
    match = re.fullmatch(r"\s*(\w+)\s*(-|&|\||==|===|in)\s*(\w+)\s*", text)
    if match is None:
        raise InvalidSyntax(f"invalid syntax: list {text}")
    left, right = words(values.get(match[1], "")), words(values.get(match[3], ""))
    match match[2]:
        case "-":
            return " ".join(x for x in left if x not in right)
        case "&":
            return " ".join(x for x in left if x in right)
        case "|":
            return " ".join([*left, *(x for x in dict.fromkeys(right) if x not in left)])
        case "in":
            return str(int(set(left) <= set(right)))
        case _:
            return str(int(left == right))
