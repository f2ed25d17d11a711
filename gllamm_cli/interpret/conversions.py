"""Variables from variables in another coding: recode, encode, destring, split and their like."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.interpret.run import Mask, Parsed, Run, plural
from gllamm_cli.interpret.variables import differs, grown_type, replaced
from gllamm_cli.stata.format import format_stata
from gllamm_cli.stata.functions import FloatArray, TextArray, missing_codes, missing_value
from gllamm_cli.stata.generate import stored
from gllamm_cli.stata.lexer import part, stripped, whole

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
        changed = int(differs(old, new).sum())
        target = targets[position] if targets else name
        if targets:
            run.new_name(target)
        kind = run.data.storage_types.get(name, "double") if not targets else "byte"
        kind = grown_type(kind, new)
        data = run.data.with_column(target, stored(new, kind), storage_type=kind)
        if labels and targets:
            sets = {**data.label_sets, target: labels}
            data = replaced(data, label_sets=sets, label_names={**data.label_names, target: target})
        run.data = data
        if targets:
            run.print(f"({plural(changed, 'difference')} between {name} and {target})")
        else:
            run.print(f"({name}: {plural(changed, 'change')} made)")


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
    name = run.variable(parsed.frame.body)
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
    run.data = replaced(
        data,
        label_sets={**data.label_sets, set_name: labels},
        label_names={**data.label_names, target: set_name},
    )


def decode(run: Run) -> None:
    """``decode numvar, generate(name)``."""
    parsed = run.parse("Generate(w) MAXLength(n)")
    name = run.variable(parsed.frame.body)
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
            run.print(f"{name} already numeric; no {_wanted(parsed)}")
            continue
        texts = run.data.text(name)
        for character in parsed.text("ignore"):
            texts = np.array([text.replace(character, "") for text in texts], dtype=object)
        values, bad = _numbers(texts)
        if bad and not parsed.has("force"):
            run.print(f"{name}: contains nonnumeric characters; no {_wanted(parsed)}")
            continue
        kind = grown_type("byte", values)
        kind = "double" if kind == "float" else kind
        run.data = run.data.with_column(target, values, storage_type=kind)
        run.print(
            f"{name}: all characters numeric; "
            f"{'replaced as' if target == name else f'{target} generated as'} {kind}"
        )


def _wanted(parsed: Parsed) -> str:
    return "replace" if parsed.has("replace") else "generate"


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
            run.print(f"{name} already string; no {_wanted(parsed)}")
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


def split(run: Run) -> None:
    """``split textvar [, parse() generate() destring]``."""
    parsed = run.parse("Parse(t) Generate(w) DESTRING")
    name = run.variable(parsed.frame.body)
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
