"""Making, changing and dropping variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
from gllamm_cli.interpret.interpreter import new_names
from gllamm_cli.interpret.run import Mask, Run, plural
from gllamm_cli.stata.definitions import parse_generate
from gllamm_cli.stata.expression import Expression
from gllamm_cli.stata.format import format_stata
from gllamm_cli.stata.functions import (
    FloatArray,
    TextArray,
    Value,
    is_text,
    missing_codes,
    missing_value,
)
from gllamm_cli.stata.generate import generate as generate_variable
from gllamm_cli.stata.generate import stored
from gllamm_cli.stata.lexer import is_name, part, stripped, whole
from gllamm_cli.stata.numlist import parse_numlist
from gllamm_cli.stata.standard import split_assignment
from gllamm_cli.stata.varlist import expand_varlist, find_variable, parse_varlist

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
    changed = _differs(old, new)
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
        if not _differs(new, following).any():
            return following
        new = following
    return new


def _differs(old: Value, new: Value) -> Mask:
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
        old, new = expand_varlist(parse_varlist(whole(grouped[1])), names), new_names(grouped[2])
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


RULE = re.compile(r"\(([^()]*?)=\s*(\S+?)\s*(\"[^\"]*\"|[^\W\d]\w*)?\s*\)|(\S+?)\s*=\s*(\S+)")


def recode(run: Run) -> None:
    """``recode varlist (rule) ... [if] [, generate() prefix()]``."""
    parsed = run.parse("Generate(w) PREfix(w) COPYrest Label(w) TEST")
    body = parsed.frame.body
    start = re.search(r"\(|\S+\s*=", body.text)
    if start is None:
        raise InvalidSyntax("invalid syntax: recode x (1 2 = 0) (else = .)", span=run.span)
    names = run.variables(stripped(part(body, body.start, body.start + start.start())))
    rules_text = body.text[start.start() :]
    selected = run.rows(parsed)
    targets = parsed.words("generate")
    if parsed.has("prefix"):
        targets = tuple(parsed.text("prefix") + name for name in names)
    if targets and len(targets) != len(names):
        raise InvalidSyntax("generate() needs a name for each variable", span=run.span)
    for position, name in enumerate(names):
        old = run.data.column(name)
        new, labels = _recoded(rules_text, old, selected, run)
        if targets and not parsed.has("copyrest"):
            new = np.where(selected, new, np.nan)
        changed = int(_differs(old, new).sum())
        target = targets[position] if targets else name
        if targets:
            run.new_name(target)
        kind = run.data.storage_types.get(name, "double") if not targets else "byte"
        kind = grown_type(kind, new)
        data = run.data.with_column(target, stored(new, kind), storage_type=kind)
        if labels and targets:
            sets = {**data.label_sets, target: labels}
            data = _replaced(
                data, label_sets=sets, label_names={**data.label_names, target: target}
            )
        run.data = data
        if targets:
            run.print(f"({plural(changed, 'difference')} between {name} and {target})")
        else:
            run.print(f"({name}: {plural(changed, 'change')} made)")


def _replaced(data: Dataset, **changes: object) -> Dataset:
    return with_changes(data, **changes)  # type: ignore[arg-type]


def _recoded(
    text: str, old: FloatArray, selected: Mask, run: Run
) -> tuple[FloatArray, Mapping[float | str, str]]:
    """Apply the rules in order; the first that matches a value counts."""
    new = old.copy()
    free = selected.copy()
    labels: dict[float | str, str] = {}
    position = 0
    known = old[~np.isnan(old)]
    bounds = {"min": known.min(), "max": known.max()} if len(known) else {"min": 0.0, "max": 0.0}
    for match in RULE.finditer(text):
        if text[position : match.start()].strip():
            break
        position = match.end()
        source, target = (match[1], match[2]) if match[1] is not None else (match[4], match[5])
        label = match[3]
        if not source.strip():
            raise InvalidSyntax("invalid syntax: a rule without values", span=run.span)
        chosen = free & _chosen(source, old, free, bounds, run)
        if target not in (".",) and not re.fullmatch(r"\.[a-z]", target):
            number = run.number(whole(target))
            new[chosen] = number
            if label:
                labels[number] = label.strip('"')
        else:
            new[chosen] = missing_value(target[1:])
        free &= ~chosen
    if text[position:].strip():
        raise InvalidSyntax(f"invalid syntax: {text[position:].strip()} is no rule", span=run.span)
    return new, labels


def _chosen(
    source: str, old: FloatArray, free: Mask, bounds: Mapping[str, float], run: Run
) -> Mask:
    source = source.strip()
    if source in ("else", "*"):
        return free.copy()
    if source in ("missing", "miss"):
        return np.isnan(old)
    if source in ("nonmissing", "nonmiss"):
        return ~np.isnan(old)
    chosen = np.zeros(len(old), dtype=bool)
    spaced = re.sub(r"\s*/\s*", "/", source.replace(",", " "))
    for piece in spaced.split():
        if re.fullmatch(r"\.[a-z]?", piece):
            unknown = np.isnan(old)
            code = ord(piece[1]) - ord("a") + 1 if len(piece) > 1 else 0
            chosen |= unknown & (missing_codes(old) == code)
            continue
        low, slash, high = piece.partition("/")
        first = bounds[low] if low in bounds else run.number(whole(low))
        last = first if not slash else bounds[high] if high in bounds else run.number(whole(high))
        chosen |= (old >= first) & (old <= last)
    return chosen


def encode(run: Run) -> None:
    """``encode textvar, generate(name) [label(name)]``."""
    parsed = run.parse("Generate(w) Label(w) noextend")
    (name,) = run.variables(parsed.frame.body)
    target = run.new_name(parsed.text("generate"))
    texts = run.data.text(name)
    selected = run.rows(parsed) & np.asarray(texts != "")
    set_name = parsed.text("label", target)
    labels: dict[float | str, str] = dict(run.data.label_sets.get(set_name, {}))
    codes = {text: value for value, text in labels.items()}
    following = max((value for value in labels if isinstance(value, float)), default=0.0)
    for text in sorted(set(texts[selected].tolist())):
        if text not in codes:
            following += 1.0
            codes[text] = following
            labels[following] = text
    values = np.full(len(texts), np.nan)
    values[selected] = [codes[text] for text in texts[selected]]
    label = run.data.variable_labels.get(name, "")
    data = run.data.with_columns(
        {target: values}, storage_type="long", labels={target: label} if label else None
    )
    run.data = _replaced(
        data,
        label_sets={**data.label_sets, set_name: labels},
        label_names={**data.label_names, target: set_name},
    )


def decode(run: Run) -> None:
    """``decode numvar, generate(name)``."""
    parsed = run.parse("Generate(w) MAXLength(n)")
    (name,) = run.variables(parsed.frame.body)
    target = run.new_name(parsed.text("generate"))
    labels = run.data.labels_of(name)
    if not labels:
        raise InvalidSyntax(f"{name} has no value labels", span=run.span)
    values, selected = run.data.column(name), run.rows(parsed)
    texts = np.array(
        [
            labels.get(x, "") if use else ""
            for x, use in zip(values.tolist(), selected, strict=True)
        ],
        dtype=object,
    )
    run.data = run.data.with_column(target, texts)


def destring(run: Run) -> None:
    """``destring [varlist], replace|generate() [ignore() force]``."""
    parsed = run.parse("replace Generate(w) Ignore(t) force float percent dpcomma")
    names = run.variables(parsed.frame.body, required=False) or run.data.names
    if parsed.has("replace") == parsed.has("generate"):
        raise InvalidSyntax("must specify either generate() or replace", span=run.span)
    targets = parsed.words("generate") or names
    for name, target in zip(names, targets, strict=True):
        if not run.is_text(name):
            run.print(f"{name} already numeric; no replace")
            continue
        texts = run.data.text(name)
        for character in parsed.text("ignore"):
            texts = np.array([text.replace(character, "") for text in texts], dtype=object)
        values, bad = _numbers(texts)
        if bad and not parsed.has("force"):
            run.print(f"{name}: contains nonnumeric characters; no replace")
            continue
        kind = grown_type("byte", values)
        kind = "double" if kind == "float" else kind
        run.data = run.data.with_column(target, values, storage_type=kind)
        run.print(
            f"{name}: all characters numeric; "
            f"{'replaced as' if target == name else f'{target} generated as'} {kind}"
        )


def _numbers(texts: TextArray) -> tuple[FloatArray, int]:
    values = np.full(len(texts), np.nan)
    bad = 0
    for row, text in enumerate(texts):
        text = text.strip()
        if text in ("", "."):
            continue
        try:
            values[row] = float(text)
        except ValueError:
            bad += 1
    return values, bad


def tostring(run: Run) -> None:
    """``tostring varlist, replace|generate() [format() force]``."""
    parsed = run.parse("replace Generate(w) Format(t) force usedisplayformat")
    names = run.variables(parsed.frame.body)
    if parsed.has("replace") == parsed.has("generate"):
        raise InvalidSyntax("must specify either generate() or replace", span=run.span)
    specification = parsed.text("format")
    for name, target in zip(names, parsed.words("generate") or names, strict=True):
        if run.is_text(name):
            run.print(f"{name} already string; no replace")
            continue
        texts = np.array([_plain(x, specification) for x in run.data.column(name)], dtype=object)
        run.data = run.data.with_column(target, texts)
        run.print(
            f"{name} was {run.data.storage_types.get(name)} now {run.data.storage_type(target)}"
        )


def _plain(value: float, specification: str) -> str:
    if np.isnan(value):
        return "."
    if specification:
        return format_stata(specification, value).strip()
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.16g}"


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
    first, second = run.variables(run.span)
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
    run.data = _replaced(run.data, formats=formats)


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
            new = "float" if not _differs(values, single).any() else "double"
        if new != old and list(DEFAULT_FORMATS).index(new) < list(DEFAULT_FORMATS).index(old):
            types[name] = new
            run.print(f"  variable {name} was {old} now {new}")
    run.data = _replaced(run.data, storage_types=types)


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


def split(run: Run) -> None:
    """``split textvar [, parse() generate() destring]``."""
    parsed = run.parse("Parse(t) Generate(w) DESTRING")
    (name,) = run.variables(parsed.frame.body)
    separator = parsed.text("parse") or None
    selected = run.rows(parsed)
    pieces = [
        text.split(separator) if use else []
        for text, use in zip(run.data.text(name), selected, strict=True)
    ]
    stub = parsed.text("generate", name)
    made = []
    for k in range(max(map(len, pieces), default=0)):
        target = run.new_name(f"{stub}{k + 1}")
        made.append(target)
        column = np.array([row[k].strip() if k < len(row) else "" for row in pieces], dtype=object)
        values, bad = _numbers(column)
        numeric = parsed.has("destring") and not bad
        run.data = run.data.with_column(
            target, values if numeric else column, storage_type="double"
        )
    run.print("variables created as string:", "  ".join(made))


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
            data = _replaced(data, **{field: {**mapping, target: mapping[old]}})
    run.data = data
