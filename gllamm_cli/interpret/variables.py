"""Making, changing and dropping variables."""

from __future__ import annotations

import re
from dataclasses import replace as with_changes

import numpy as np

from gllamm_cli.data import DEFAULT_FORMATS, Dataset
from gllamm_cli.errors import (
    AlreadyDefined,
    BadFormat,
    InvalidSyntax,
    TypeMismatch,
    VarlistRequired,
)
from gllamm_cli.interpret.run import Mask, Run, plural
from gllamm_cli.stata.definitions import parse_generate
from gllamm_cli.stata.expression import Expression
from gllamm_cli.stata.functions import (
    FloatArray,
    Value,
    is_text,
    missing_value,
)
from gllamm_cli.stata.generate import generate as generate_variable
from gllamm_cli.stata.generate import stored
from gllamm_cli.stata.lexer import is_name, whole
from gllamm_cli.stata.numlist import parse_numlist
from gllamm_cli.stata.standard import split_assignment
from gllamm_cli.stata.varlist import expand_varlist, find_variable, parse_newlist, parse_varlist

INTEGER_TYPES = (("byte", -127, 100), ("int", -32767, 32740), ("long", -2147483647, 2147483620))


def generate(run: Run) -> None:
    """``generate [type] name = exp [if] [in]``."""
    statement = parse_generate(run.span, default=run.session.settings.get("type", "float"))
    run.data, notes = generate_variable(statement, run.data, run.evaluator())
    run.print(*notes)


def replace(run: Run) -> None:
    """``replace name = exp [if] [in]``; the storage type grows where it must."""
    parsed = run.parse("nopromote")
    left, expression = split_assignment(parsed.frame.body)
    if expression is None:
        raise InvalidSyntax("invalid syntax: replace needs name = expression", span=run.span)
    data = run.data
    name = find_variable(left.text, data.names, left)
    selected = run.rows(parsed)
    if _refers_to_itself(parsed.frame.body.text, name):
        values = _one_after_another(run, name, expression, selected)
    else:
        values = np.broadcast_to(run.evaluator().value(expression), (data.n_rows,))
    old = data.text(name) if data.is_text(name) else data.column(name)
    if is_text(values) != data.is_text(name):
        raise TypeMismatch("type mismatch", span=expression.span)
    new = np.where(selected, values, old)
    kind = "str"
    if not data.is_text(name):
        kind = grown_type(data.storage_types.get(name, "double"), new[selected])
        new = stored(new.astype(np.float64), kind)
    else:
        new = new.astype(object)
    before = data.storage_types.get(name, "double")
    changed = differs(old, new)
    made_missing = int((changed & np.isnan(new)).sum()) if kind != "str" else 0
    run.data = data.with_column(name, new, storage_type=kind)
    if kind != before and kind != "str":
        run.print(f"variable {name} was {before} now {kind}")
    count = int(changed.sum())
    missing = f", {made_missing:,} to missing" if made_missing else ""
    run.print(f"({plural(count, 'real change')} made{missing})")


def _refers_to_itself(text: str, name: str) -> bool:
    """Whether the value depends on the variable's own values in other rows."""
    right = text.partition("=")[2]
    return re.search(rf"\b{re.escape(name)}\s*\[", right) is not None


def _one_after_another(run: Run, name: str, expression: Expression, selected: Mask) -> Value:
    """Values computed row by row, each seeing what the rows before it have become."""
    old = run.data.text(name) if run.data.is_text(name) else run.data.column(name)
    kind = run.data.storage_types.get(name, "double")
    evaluator = run.evaluator()
    new = old
    # Each pass settles at least one more row; the usual chain of references is short.
    for _ in range(len(old) + 1):
        seen = with_changes(evaluator, replaced=(name, new))
        values = np.broadcast_to(seen.value(expression), (len(old),))
        following = np.where(selected, values, old)
        following = following if is_text(following) else stored(following, grown_type(kind, values))
        if not differs(new, following).any():
            return following
        new = following
    return new


def differs(old: Value, new: Value) -> Mask:
    """Rows in which two columns differ; missing values of one kind are equal."""
    if is_text(old):
        return np.asarray(old != new, dtype=bool)
    a = np.ascontiguousarray(old).view(np.uint64)
    b = np.ascontiguousarray(new, dtype=np.float64).view(np.uint64)
    both_missing = np.isnan(old) & np.isnan(new) & ((a & 0x1F) == (b & 0x1F))
    return np.asarray((old != new) & ~both_missing)


def grown_type(kind: str, values: FloatArray) -> str:
    """Smallest storage type, at least ``kind``, that holds the values."""
    known = values[~np.isnan(values)]
    if kind == "double" or not len(known):
        return kind
    whole_numbers = bool((known == np.trunc(known)).all())
    if kind == "float":
        return kind
    if not whole_numbers:
        return "float" if kind in ("byte", "int") else "double"
    names = [name for name, _, _ in INTEGER_TYPES]
    for name, low, high in INTEGER_TYPES[names.index(kind) :]:
        if known.min() >= low and known.max() <= high:
            return name
    return "double"


def keep(run: Run) -> None:
    """``keep varlist`` or ``keep if`` / ``in``."""
    _keep_or_drop(run, keep_them=True)


def drop(run: Run) -> None:
    """``drop varlist``, ``drop _all`` or ``drop if`` / ``in``."""
    _keep_or_drop(run, keep_them=False)


def _keep_or_drop(run: Run, *, keep_them: bool) -> None:
    parsed = run.parse()
    frame = parsed.frame
    by_rows = frame.condition is not None or frame.rows is not None
    if frame.body.text and by_rows:
        raise InvalidSyntax("invalid syntax: variables or rows, not both", span=run.span)
    if not by_rows:
        if not frame.body.text:
            raise InvalidSyntax("invalid syntax: variables, if or in", span=run.span)
        chosen = run.variables(frame.body)
        names = [name for name in run.data.names if (name in chosen) == keep_them]
        if not names:
            run.session.load(None)
            return
        run.data = run.data.keep(names)
        return
    rows = run.rows(parsed)
    kept = rows if keep_them else ~rows
    count = int((~kept).sum())
    run.data = run.data.take(kept)
    run.print(f"({plural(count, 'observation')} deleted)")


def rename(run: Run) -> None:
    """``rename old new``, ``rename (a b) (c d)``, ``rename s* t*``, ``rename *, lower``."""
    parsed = run.parse("Lower Upper Proper")
    names = run.data.names
    text = parsed.frame.body.text
    grouped = re.fullmatch(r"\(([^()]*)\)\s*\(([^()]*)\)", text)
    pairs: list[tuple[str, str]]
    if parsed.has("lower") or parsed.has("upper"):
        change = str.lower if parsed.has("lower") else str.upper
        pairs = [(name, change(name)) for name in run.variables(parsed.frame.body)]
    elif grouped:
        old = expand_varlist(parse_varlist(whole(grouped[1])), names)
        new = parse_newlist(grouped[2])
        if len(old) != len(new):
            raise InvalidSyntax(f"{len(old)} old names and {len(new)} new ones", span=run.span)
        pairs = list(zip(old, new, strict=True))
    else:
        found = text.split()
        if len(found) != 2:
            raise InvalidSyntax("invalid syntax: rename old new", span=run.span)
        pairs = _by_pattern(run, *found)
    mapping = dict(pairs)
    for old_name, new_name in pairs:
        if old_name == new_name:
            continue
        if not is_name(new_name):
            raise InvalidSyntax(f"{new_name} invalid name", span=run.span)
        if new_name in names and new_name not in mapping:
            raise AlreadyDefined(f"variable {new_name} already defined", span=run.span)
    if len(set(mapping.values())) < len(mapping):
        raise AlreadyDefined("two variables would have the same name", span=run.span)
    run.data = run.data.with_names(mapping)


def _by_pattern(run: Run, old: str, new: str) -> list[tuple[str, str]]:
    names = run.data.names
    if "*" not in old and "?" not in old:
        return [(find_variable(old, names), new)]
    if old.count("*") != new.count("*") or "?" in old:
        raise InvalidSyntax("rename needs as many * in the new name", span=run.span)
    pattern = re.compile("(.*)".join(map(re.escape, old.split("*"))))
    pairs = []
    for name in names:
        if match := pattern.fullmatch(name):
            pieces = new.split("*")
            stars = [*match.groups(), ""]
            pairs.append((name, "".join(a + b for a, b in zip(pieces, stars, strict=True))))
    if not pairs:
        find_variable(old, names)
    return pairs


def replaced(data: Dataset, **changes: object) -> Dataset:
    """Return the data with other attributes."""
    return with_changes(data, **changes)  # type: ignore[arg-type]


def order(run: Run) -> None:
    """``order varlist [, first last before() after() alphabetic]``."""
    parsed = run.parse("first last Before(v) After(v) ALPHAbetic SEQuential")
    chosen = list(run.variables(parsed.frame.body))
    if parsed.has("alphabetic"):
        chosen.sort()
    rest = [name for name in run.data.names if name not in chosen]
    place = 0
    if parsed.has("last"):
        place = len(rest)
    for option, shift in (("before", 0), ("after", 1)):
        if parsed.has(option):
            place = rest.index(run.option_variables(parsed, option)[0]) + shift
    run.data = run.data.keep([*rest[:place], *chosen, *rest[place:]])


def move(run: Run) -> None:
    """``move a b``: a to the place of b."""
    first, second = run.these_variables(run.span, 2)
    names = [name for name in run.data.names if name != first]
    old = list(run.data.names)
    place = names.index(second) + (1 if old.index(first) < old.index(second) else 0)
    run.data = run.data.keep([*names[:place], first, *names[place:]])


def aorder(run: Run) -> None:
    """Variables in alphabetical order."""
    chosen = sorted(run.variables(run.span, required=False) or run.data.names)
    run.data = run.data.keep([*chosen, *(n for n in run.data.names if n not in chosen)])


FORMAT = re.compile(r"%-?0?\d+(\.\d+[gfe]c?|s)|%-?\d*(t[dcmqwyh]|d)\S*")


def format(run: Run) -> None:
    """``format varlist %fmt``."""
    words = run.span.text.split()
    specifications = [word for word in words if word.startswith("%")]
    names = run.variables(whole(" ".join(word for word in words if not word.startswith("%"))))
    if len(specifications) != 1:
        for name in names:
            run.print(f"{name:<12} {run.data.format(name)}")
        return
    if FORMAT.fullmatch(specifications[0]) is None:
        raise BadFormat(
            f"invalid %format: {specifications[0]}", span=run.span, hint="such as %9.2f"
        )
    for name in names:
        if run.is_text(name) != specifications[0].endswith("s"):
            raise BadFormat(f"{specifications[0]} does not fit {name}", span=run.span)
    formats = {**run.data.formats, **dict.fromkeys(names, specifications[0])}
    run.data = replaced(run.data, formats=formats)


def compress(run: Run) -> None:
    """Make storage types as small as the values allow."""
    types = dict(run.data.storage_types)
    for name in run.variables(run.span, required=False) or run.data.names:
        if run.is_text(name):
            continue
        old, values = types.get(name, "double"), run.data.column(name)
        new = grown_type("byte", values)
        if old == "double" and new in ("float", "double"):
            with np.errstate(over="ignore"):
                single = values.astype(np.float32).astype(np.float64)
            new = "float" if not differs(values, single).any() else "double"
        if new != old and list(DEFAULT_FORMATS).index(new) < list(DEFAULT_FORMATS).index(old):
            types[name] = new
            run.print(f"  variable {name} was {old} now {new}")
    run.data = replaced(run.data, storage_types=types)


def mvdecode(run: Run) -> None:
    """``mvdecode varlist, mv(numbers)``: numbers become missing."""
    parsed = run.parse("mv(t)")
    selected = run.rows(parsed)
    text = parsed.text("mv")
    if not text:
        raise InvalidSyntax("option mv() required", span=run.span)
    values, _, missing = text.partition("=")
    for name in run.variables(parsed.frame.body):
        old = run.data.column(name)
        chosen = selected & np.isin(old, parse_numlist(whole(values)))
        new = np.where(chosen, missing_value(missing.strip().lstrip(".")), old)
        count = int(chosen.sum())
        if count:
            run.data = run.data.with_column(name, new, storage_type=run.data.storage_types[name])
            run.print(f"{name:>12}: {plural(count, 'missing value')} generated")


def mvencode(run: Run) -> None:
    """``mvencode varlist, mv(#) [override]``: missing values become a number."""
    parsed = run.parse("mv(n) Override")
    number = parsed.number("mv", float("nan"))
    if np.isnan(number):
        raise InvalidSyntax("option mv() required", span=run.span)
    selected = run.rows(parsed)
    for name in run.variables(parsed.frame.body):
        old = run.data.column(name)
        if (old == number).any() and not parsed.has("override"):
            raise InvalidSyntax(f"{name}: {number:g} occurs already", hint="override permits it")
        chosen = selected & np.isnan(old)
        new = np.where(chosen, number, old)
        kind = grown_type(run.data.storage_types.get(name, "double"), new)
        run.data = run.data.with_column(name, new, storage_type=kind)
        run.print(f"{name:>12}: {plural(int(chosen.sum()), 'missing value')} recoded")


def clonevar(run: Run) -> None:
    """``clonevar new = old``: with labels and format."""
    match = re.fullmatch(r"(\w+)\s*=\s*(\w+)", run.span.text)
    if match is None:
        raise VarlistRequired("invalid syntax: clonevar new = old", span=run.span)
    target, old = run.new_name(match[1]), find_variable(match[2], run.data.names)
    data = run.data
    values = data.text(old) if data.is_text(old) else data.column(old)
    label = data.variable_labels.get(old)
    data = data.with_columns(
        {target: values},
        storage_type=data.storage_types.get(old, "double"),
        labels={target: label} if label else None,
    )
    for field in ("label_names", "formats"):
        mapping = dict(getattr(data, field))
        if old in mapping:
            data = replaced(data, **{field: {**mapping, target: mapping[old]}})
    run.data = data
