"""Extended macro functions: ``: word 2 of ...``, ``: variable label x``, ``: list a - b``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gllamm_cli.errors import InvalidSyntax, VariableNotFound
from gllamm_cli.interpret.macros import list_function, unquoted, words
from gllamm_cli.stata.format import format_stata
from gllamm_cli.stata.named_matrix import NamedMatrix
from gllamm_cli.stata.varlist import find_variable

if TYPE_CHECKING:
    from gllamm_cli.interpret.interpreter import Interpreter


def extended_function(text: str, interpreter: Interpreter) -> str:
    """Return the value of an extended function.

    Raises
    ------
    InvalidSyntax
        There is no such function.
    """
    match = re.match(r"(\w+)\s*(.*)", text, re.DOTALL)
    name, rest = match.groups() if match else ("", "")
    session, local = interpreter.session, interpreter.macros.local
    match name:
        case "word":
            return _word(rest)
        case "list":
            return list_function(rest, local)
        case "length":
            kind, _, content = rest.partition(" ")
            source = local if kind.startswith("loc") else session.global_macros
            shown = (
                source.get(content.strip(), "") if kind in ("local", "global") else unquoted(rest)
            )
            return str(len(shown))
        case "subinstr":
            return _subinstr(rest, interpreter)
        case "variable" | "var":
            variable = find_variable(_last(rest), session.data.names)
            return session.data.variable_labels.get(variable, "")
        case "value":
            variable = find_variable(_last(rest), session.data.names)
            return session.data.label_names.get(variable, "")
        case "label":
            return _label(rest, interpreter)
        case "type":
            return session.data.storage_type(find_variable(rest.strip(), session.data.names))
        case "format":
            return session.data.format(find_variable(rest.strip(), session.data.names))
        case "data":
            return session.data.label
        case "display" | "di":
            return _display(rest, interpreter)
        case "colnames" | "rownames" | "coleq" | "roweq" | "colfullnames" | "rowfullnames":
            return _matrix_names(name, rest.strip(), interpreter)
        case "sortedby":
            return ""
        case "env" | "environment" | "dir" | "pwd":
            raise InvalidSyntax(f"extended function {name} is refused: scripts see only the data")
        case "permname" | "tempvar":
            return interpreter.session.temporary_name()
    raise InvalidSyntax(f"unknown extended function {name}")


def _last(text: str) -> str:
    return text.split()[-1] if text.split() else ""


def _word(text: str) -> str:
    match = re.fullmatch(r"count\s*(.*)", text, re.DOTALL)
    if match:
        return str(len(words(match[1])))
    match = re.fullmatch(r"(-?\d+)\s+of\s*(.*)", text, re.DOTALL)
    if match is None:
        raise InvalidSyntax("invalid syntax: word # of text, or word count text")
    number, items = int(match[1]), words(match[2])
    return items[number - 1] if 1 <= number <= len(items) else ""


def _subinstr(text: str, interpreter: Interpreter) -> str:
    match = re.fullmatch(
        r"(local|loc|global|gl)\s+(\w+)\s+(`\"(?:.*?)\"'|\"[^\"]*\")\s+(`\"(?:.*?)\"'|\"[^\"]*\")\s*(,.*)?",
        text.strip(),
        re.DOTALL,
    )
    if match is None:
        raise InvalidSyntax('invalid syntax: subinstr local name "from" "to", all')
    is_local = match[1].startswith("l")
    source = interpreter.macros.local if is_local else interpreter.session.global_macros
    count = -1 if "all" in (match[5] or "") else 1
    return source.get(match[2], "").replace(unquoted(match[3]), unquoted(match[4]), count)


def _label(text: str, interpreter: Interpreter) -> str:
    """``label (variable) value`` or ``label labelname value``."""
    match = re.fullmatch(r"(\()?\s*(\w+)\s*\)?\s+(\S+)\s*", text)
    if match is None:
        raise InvalidSyntax("invalid syntax: label (variable) value")
    data = interpreter.session.data
    of = data.label_names.get(find_variable(match[2], data.names), "") if match[1] else match[2]
    try:
        value: float | str = match[3] if re.fullmatch(r"\.[a-z]", match[3]) else float(match[3])
    except ValueError:
        return match[3]
    return data.label_sets.get(of, {}).get(value, match[3])


def _display(text: str, interpreter: Interpreter) -> str:
    match = re.fullmatch(r"(%\S+)\s+(.*)", text.strip(), re.DOTALL)
    if match is None:
        return interpreter.macros.evaluate(text)
    value = interpreter.macros.evaluate(match[2])
    try:
        return format_stata(match[1], float("nan") if value == "." else float(value)).strip()
    except ValueError:
        return value


def _matrix_names(function: str, name: str, interpreter: Interpreter) -> str:
    environment = interpreter.session.environment()
    stored = re.fullmatch(r"([er])\((\w+)\)", name)
    matrix: NamedMatrix | None
    if stored:
        source = (
            environment.estimated_matrices if stored[1] == "e" else environment.returned_matrices
        )
        matrix = source.get(stored[2])
    else:
        matrix = environment.matrices.get(name)
    if matrix is None:
        raise VariableNotFound(f"matrix {name} not found")
    names = matrix.column_names if function.startswith("col") else matrix.row_names
    if function.endswith("eq"):
        return " ".join(equation or "_" for equation, _ in names)
    if function.endswith("fullnames"):
        return " ".join(f"{equation}:{own}" if equation else own for equation, own in names)
    return " ".join(own for _, own in names)
