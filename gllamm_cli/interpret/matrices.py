"""Matrices and scalars: definitions, lists, names, and their way from and to variables."""

from __future__ import annotations

import re

import numpy as np

from gllamm_cli.errors import Conformability, InvalidSyntax, VariableNotFound
from gllamm_cli.interpret.run import Run
from gllamm_cli.stata.definitions import STORAGE_TYPES
from gllamm_cli.stata.format import display, shown_in_format
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.lexer import is_name, part, stripped
from gllamm_cli.stata.matrices import define_matrix, evaluate_matrix
from gllamm_cli.stata.matrix import parse_matrix, parse_matrix_expression
from gllamm_cli.stata.named_matrix import NamedMatrix, Names

LINE_WIDTH = 79
NAMED = re.compile(r"(rown(?:ames?)?|coln(?:ames?)?|roweq|coleq)\s+(\w+)\s*=\s*(.*)", re.DOTALL)


def matrix(run: Run) -> None:
    """``matrix`` and its subcommands."""
    text = run.span.text
    session = run.session
    if match := NAMED.fullmatch(text):
        _name(run, match[1], match[2], match[3])
        return
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if "list".startswith(word) and len(word) >= 1 and rest and "=" not in rest.partition(",")[0]:
        _list(run)
    elif word == "dir":
        for name, value in session.matrices.items():
            run.print("{:>12}[{},{}]".format(name, *value.values.shape))
    elif word == "drop":
        for name in list(session.matrices) if rest == "_all" else rest.split():
            if name not in session.matrices:
                raise VariableNotFound(f"matrix {name} not found", span=run.span)
            del session.matrices[name]
    elif word in ("rename", "ren"):
        old, new = [*rest.split(), "", ""][:2]
        if old not in session.matrices or not is_name(new):
            raise VariableNotFound(f"matrix {old} not found", span=run.span)
        session.matrices[new] = session.matrices.pop(old)
    elif word == "accum" or word in ("glsaccum", "vecaccum", "svd", "symeigen", "score"):
        raise InvalidSyntax(f"matrix {word} is not part of this program's language", span=run.span)
    else:
        definition = parse_matrix(run.span)
        session.matrices[definition.name] = define_matrix(definition, run.evaluator())


def _name(run: Run, what: str, name: str, text: str) -> None:
    """Rename rows or columns of a matrix."""
    if name not in run.session.matrices:
        raise VariableNotFound(f"matrix {name} not found", span=run.span)
    old = run.session.matrices[name]
    of_rows = what.startswith("row")
    current = old.row_names if of_rows else old.column_names
    given = re.findall(r"\"[^\"]*\"|\S+", text)
    given = [word.strip('"') for word in given]
    # The last name serves for all that follow.
    given += given[-1:] * (len(current) - len(given))
    if len(given) != len(current):
        raise Conformability(
            "conformability error", span=run.span, hint=f"{len(current)} names are needed"
        )
    named: list[tuple[str, str]] = []
    equation = ""
    for (old_equation, old_name), word in zip(current, given, strict=True):
        if what.endswith("eq"):
            named.append(("" if word in ("_", ":") else word.rstrip(":"), old_name))
            continue
        head, colon, own = word.rpartition(":")
        equation = head if colon else old_equation
        named.append((equation, own))
    new: Names = tuple(named)
    rows, columns = (new, old.column_names) if of_rows else (old.row_names, new)
    run.session.matrices[name] = NamedMatrix(old.values, rows, columns)


def _list(run: Run) -> None:
    word = re.match(r"\w+\s+", run.span.text)
    assert word is not None, "the caller has seen a word and more"
    run.span = part(run.span, run.span.start + word.end(), run.span.end)
    parsed = run.parse("Format(t) Noblank NOHeader NOHAlf title(t)")
    body = parsed.frame.body
    shown = evaluate_matrix(parse_matrix_expression(body), run.evaluator())
    run.print(*matrix_lines(body.text, shown, parsed.text("format", "%10.0g")))


def _row_label(equation: str, name: str) -> str:
    return f"{equation}:{name}" if equation else name


def matrix_lines(title: str, matrix: NamedMatrix, specification: str = "%10.0g") -> list[str]:
    """Lay out a matrix as ``matrix list`` does."""
    values = matrix.values
    square = values.shape[0] == values.shape[1]
    symmetric = square and bool(np.array_equal(values, values.T))
    lines = ["", f"{'symmetric ' if symmetric else ''}{title}[{values.shape[0]},{values.shape[1]}]"]
    cells = [[shown_in_format(specification, x).strip() for x in row] for row in values]
    rows = [_row_label(*pair) for pair in matrix.row_names]
    start = max(map(len, rows), default=0)
    width = max(10, *(len(cell) for row in cells for cell in row)) if cells else 10
    width = max([width, *(len(part) for pair in matrix.column_names for part in pair)]) + 2
    per_line = max(1, (LINE_WIDTH - start) // width)
    has_equations = any(equation for equation, _ in matrix.column_names)
    for first in range(0, values.shape[1], per_line):
        chosen = range(first, min(first + per_line, values.shape[1]))
        if first:
            lines.append("")
        if has_equations:
            lines.append(
                " " * start + "".join(f"{matrix.column_names[k][0]}:".rjust(width) for k in chosen)
            )
        lines.append(" " * start + "".join(matrix.column_names[k][1].rjust(width) for k in chosen))
        for i, row in enumerate(cells):
            seen = [k for k in chosen if not symmetric or k <= i]
            if seen:
                lines.append(rows[i].rjust(start) + "".join(row[k].rjust(width) for k in seen))
    return lines


def scalar(run: Run) -> None:
    """``scalar [define] name = exp``, ``scalar list`` and ``scalar drop``."""
    scalars = run.session.scalars
    text = run.span.text
    if match := re.match(r"(?:de(?:fine|fin|fi|f)?\s+)?(\w+)\s*=(?!=)", text):
        if not is_name(match[1]):
            raise InvalidSyntax(f"{match[1]} invalid name", span=run.span)
        expression = stripped(part(run.span, run.span.start + match.end(), run.span.end))
        from gllamm_cli.stata.expression import parse_expression

        value = np.ravel(run.evaluator().value(parse_expression(expression)))[0]
        scalars[match[1]] = str(value) if isinstance(value, str) else float(value)
        return
    words = text.split()
    if words and words[0] == "drop":
        for name in list(scalars) if words[1:] == ["_all"] else words[1:]:
            if name not in scalars:
                raise VariableNotFound(f"scalar {name} not found", span=run.span)
            del scalars[name]
        return
    if words and words[0] in ("list", "dir", "l"):
        words = words[1:]
    for name in words or list(scalars):
        if name not in scalars:
            raise VariableNotFound(f"scalar {name} not found", span=run.span)
        value = scalars[name]
        run.print(f"{name:>10} = {value if isinstance(value, str) else display(value):>10}")


def mkmat(run: Run) -> None:
    """``mkmat varlist [if] [in] [, matrix(name) nomissing]``."""
    parsed = run.parse("MATrix(w) NOMissing")
    names = run.variables(parsed.frame.body)
    selected = run.rows(parsed)
    columns = [run.data.column(name)[selected] for name in names]
    values = np.column_stack(columns)
    if parsed.has("nomissing"):
        values = values[~np.isnan(values).any(axis=1)]
    if not len(values):
        raise Conformability("conformability error", span=run.span, hint="no rows are selected")
    rows = tuple(("", f"r{k + 1}") for k in range(len(values)))
    if parsed.has("matrix"):
        of_columns = tuple(("", name) for name in names)
        run.session.matrices[parsed.text("matrix")] = NamedMatrix(values, rows, of_columns)
        return
    for k, name in enumerate(names):
        run.session.matrices[name] = NamedMatrix(values[:, [k]], rows, (("", name),))


def svmat(run: Run) -> None:
    """``svmat [type] matrix [, names(stub|col)]``."""
    parsed = run.parse("Names(w)")
    words = parsed.frame.body.text.split()
    name = words[-1] if words else ""
    if name not in run.session.matrices:
        raise VariableNotFound(f"matrix {name} not found", span=run.span)
    found = run.session.matrices[name]
    stub = parsed.text("names", name)
    if stub == "col":
        new = [own for _, own in found.column_names]
    elif stub == "eqcol":
        new = [equation + own for equation, own in found.column_names]
    elif stub == "matcol":
        new = [name + own for _, own in found.column_names]
    else:
        new = [f"{stub}{k + 1}" for k in range(found.values.shape[1])]
    data = run.data
    n_rows = len(found.values)
    if n_rows > data.n_rows:
        from gllamm_cli.interpret.rows import with_rows

        data = with_rows(data, n_rows)
    columns: dict[str, FloatArray] = {}
    for k, column in enumerate(new):
        run.new_name(column)
        columns[column] = np.full(data.n_rows, np.nan)
        columns[column][:n_rows] = found.values[:, k]
    kind = words[0] if len(words) > 1 else "float"
    if kind not in STORAGE_TYPES:
        raise InvalidSyntax(f"{kind} is no storage type", span=run.span)
    run.data = data.with_columns(columns, storage_type=kind)
