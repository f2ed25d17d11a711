"""Tests of estimates: lrtest, test, testparm, lincom and nlcom."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import permutations

import numpy as np

from gllamm_cli.errors import General, InvalidSyntax, VariableNotFound
from gllamm_cli.fit.estimates import Estimates
from gllamm_cli.interpret.linear import Linear
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.interpret.stored import find
from gllamm_cli.report.regression import (
    DIVIDER,
    Row,
    coefficient_line,
    table_head,
)
from gllamm_cli.report.table import RULE
from gllamm_cli.stata.command import parse_options
from gllamm_cli.stata.evaluate import constant_value
from gllamm_cli.stata.expression import (
    Binary,
    Call,
    Coefficient,
    Element,
    Expression,
    Prefix,
    parse_expression,
)
from gllamm_cli.stata.functions import FloatArray
from gllamm_cli.stata.lexer import Kind, frame_tokens, part, stripped, whole
from gllamm_cli.stata.options import rules
from gllamm_cli.stata.standard import StandardCommand

NAMED = re.compile(r"\s*([^\W\d]\w*)\s*:(?!:)(.*)", re.DOTALL)

PART = re.compile(r"(?:(c|i\w*|ib?\([^()]*\)|\d+)\.)?([\w*?]+)")
"""One variable of a term, with the operator that says what its columns are."""


def lrtest(run: Run) -> None:
    """``lrtest A [B] [, force stats]``: the smaller model may come first or second."""
    parsed = run.parse("force Stats DF(n) DIr")
    parsed.refuse("dir")
    names = parsed.frame.body.text.split()
    if not 1 <= len(names) <= 2:
        raise InvalidSyntax("lrtest needs one or two stored results", span=run.span)
    names = [*names, "."][:2]
    models = sorted(((name, find(run, name)) for name in names), key=lambda pair: pair[1].rank)
    (small_name, small), (large_name, large) = models
    if not parsed.has("force"):
        if small.command != large.command:
            raise General(
                "test involves different estimators: "
                + " vs. ".join((small.command, large.command)),
                hint="the option force compares them all the same",
            )
        if small.n != large.n:
            raise General(f"observations differ: {large.n:g} vs. {small.n:g}")
        for found in (small, large):
            if found.macros.get("vcetype") == "Robust" or (
                found.fit is not None and found.fit.std_err_type != "model"
            ):
                raise General("LR test likely invalid for models with robust vce")
    df = int(parsed.number("df", float(large.rank - small.rank)))
    if df <= 0:
        raise General(
            f"df(unrestricted) = df(restricted) = {small.rank}: the models are not nested"
        )
    from scipy.special import chdtrc

    chi2 = 2.0 * (large.log_likelihood - small.log_likelihood)
    p = float(chdtrc(df, max(chi2, 0.0)))
    label = f"LR chi2({df})"
    nested = f"(Assumption: {_shown(small_name)} nested in {_shown(large_name)})"
    run.print(
        "",
        f"{'Likelihood-ratio test':<54}{label:<11} = {chi2:9.2f}",
        f"{nested:<54}{'Prob > chi2':<11} = {p:9.4f}",
    )
    run.returns({"chi2": chi2, "df": float(df), "p": p})
    boundary = _boundary(small, large)
    if boundary:
        half = 0.5 * p + 0.5 * (
            float(chdtrc(df - 1, max(chi2, 0.0))) if df > 1 else float(chi2 <= 0)
        )
        run.print(
            "",
            "Note: the null hypothesis puts a variance on the boundary of the parameter space, so",
            "      the test above is conservative. With the mixture 0.5 chi2"
            f"({df - 1}) + 0.5 chi2({df}):  Prob > chibar2 = {half:.4f}",
        )
        run.session.returned["p_chibar2"] = half
    if parsed.has("stats"):
        from gllamm_cli.interpret.stored import criteria_lines

        run.print(*criteria_lines(models))


def _shown(name: str) -> str:
    return "last estimates" if name == "." else name


def _boundary(small: Estimates, large: Estimates) -> bool:
    """Whether the larger model has a further random effect."""

    def effects(found: Estimates) -> int:
        fit = found.fit or found.latent
        return 0 if fit is None else sum(name.block == "diagonal" for name in fit.names)

    return effects(large) == effects(small) + 1


def _restrictions(run: Run, found: Estimates) -> list[tuple[FloatArray, float, str]]:
    text = run.span.text
    linear = Linear(run, found)
    pieces = re.findall(r"\(((?:[^()]|\([^()]*\))*)\)", text) if text.startswith("(") else [text]
    restrictions = []
    for piece in pieces:
        sides = re.split(r"(?<![=!<>])={1,2}(?!=)", piece)
        if len(sides) > 1:
            first = linear.of(parse_expression(sides[0].strip(), coefficients=True))
            for side in sides[1:]:
                second = linear.of(parse_expression(side.strip(), coefficients=True))
                vector, constant = first[0] - second[0], first[1] - second[1]
                restrictions.append((vector, -constant, linear.text(vector, -constant)))
            continue
        for word in _coefficients(found, piece, run):
            vector, constant = linear.of(word)
            restrictions.append((vector, -constant, linear.text(vector, -constant)))
    return restrictions


def _coefficients(found: Estimates, text: str, run: Run) -> list[Expression]:
    """``x1 x2``, ``[eq]`` and ``[eq]x1``: one expression for each coefficient."""
    words: list[Expression] = []
    for word in re.findall(r"\[[^\]]*\]\s*[\w.#]*|[^\s\[\]]+(?:\[[^\]]*\])?", text):
        alone = re.fullmatch(r"\[([^\]]*)\]\s*", word)
        if alone:
            names = [
                own for equation, own in found.names if equation == alone[1] and own != "_cons"
            ]
            if not names:
                raise VariableNotFound(f"equation {alone[1]} not found", span=run.span)
            words += [Coefficient(alone[1], name) for name in names]
        else:
            words.append(parse_expression(word, coefficients=True))
    return words


def test(run: Run) -> None:
    """``test x1 x2``, ``test x1 = x2``, ``test [eq]x = 0``, ``test (a = b) (c = d)``."""
    found = run.results()
    given = _options(run, "Accumulate NOTest Mtest(o) COEF Common Constant")
    given.refuse("mtest", "coef", "common", "constant")
    restrictions = _restrictions(run, found)
    if given.has("accumulate"):
        earlier = [kept for kept in run.session.last_test if len(kept[0]) == len(found.b)]
        restrictions = [*earlier, *restrictions]
    if given.has("notest"):
        run.session.last_test = restrictions
        return
    _wald(run, found, restrictions)


def _options(run: Run, options: str) -> Parsed:
    """Options after the comma, which the command's span then ends at.

    ``[eq]name`` would be a weight in the usual form of commands.
    """
    span = run.span
    comma = next((t.span.start for t in frame_tokens(span) if t.kind is Kind.COMMA), span.end)
    found = parse_options(part(span, min(comma + 1, span.end), span.end), rules(options))
    run.span = stripped(part(span, span.start, comma))
    frame = StandardCommand(run.span, None, None, part(span, comma, span.end))
    return Parsed(frame, {option.name: option for option in found})


def testparm(run: Run) -> None:
    """``testparm varlist``: all coefficients of these variables are zero."""
    found = run.results()
    _options(run, "EQual Equation(t)").refuse("equal", "equation()")
    patterns = run.span.text.split()
    linear = Linear(run, found)
    restrictions = []
    for k, (_, name) in enumerate(found.names):
        if any(_matches(name, pattern) for pattern in patterns) and name != "_cons":
            vector = np.zeros(len(found.b))
            vector[k] = 1.0
            restrictions.append((vector, 0.0, linear.text(vector, 0.0)))
    if not restrictions:
        raise VariableNotFound(
            "no such variables; the specified varlist does not identify any testable coefficients"
        )
    _wald(run, found, restrictions)


def _matches(name: str, pattern: str) -> bool:
    """Whether a coefficient belongs to a term such as ``x*``, ``i.a`` or ``i.a##c.x``."""
    own, pieces = name.split("#"), re.split(r"##?", pattern)
    if len(own) != len(pieces) and "##" not in pattern:
        return False
    # In products a variable alone is a factor.
    pieces = [f"i.{each}" if len(pieces) > 1 and "." not in each else each for each in pieces]
    orders = permutations(pieces, len(own)) if len(own) <= len(pieces) else ()
    return any(all(map(_is_column_of, own, order)) for order in orders)


def _is_column_of(own: str, piece: str) -> bool:
    match = PART.fullmatch(piece)
    if match is None:
        return False
    operator, variable = match[1], match[2].replace("*", r"\w*").replace("?", r"\w")
    if operator in (None, "c"):
        return re.fullmatch(rf"(?:c\.)?{variable}", own) is not None
    level = operator if operator.isdigit() else r"\d+"
    return re.fullmatch(rf"{level}\.{variable}", own) is not None


def _wald(run: Run, found: Estimates, restrictions: list[tuple[FloatArray, float, str]]) -> None:
    from scipy.special import chdtrc, fdtrc

    if not restrictions:
        raise InvalidSyntax("test needs coefficients or equations", span=run.span)
    run.session.last_test = restrictions
    R = np.array([vector for vector, _, _ in restrictions])
    r = np.array([value for _, value, _ in restrictions])
    middle = R @ found.V @ R.T
    df = int(np.linalg.matrix_rank(middle))
    gap = R @ found.b - r
    chi2 = float(gap @ np.linalg.pinv(middle) @ gap)
    run.print("")
    run.print(*(f" ({k:2d})  {text}" for k, (_, _, text) in enumerate(restrictions, start=1)), "")
    if not df:
        raise General("the coefficients have no variance", hint="they are constrained or dropped")
    if found.residual_df is None:
        p = float(chdtrc(df, chi2))
        run.print(f"{f'chi2({df:3d})':>19} = {chi2:7.2f}", f"{'Prob > chi2':>19} = {p:9.4f}")
        run.returns({"chi2": chi2, "df": float(df), "p": p})
    else:
        F = chi2 / df
        p = float(fdtrc(df, found.residual_df, F))
        label = f"F({df:3d},{found.residual_df:6.0f})"
        run.print(f"{label:>19} = {F:7.2f}", f"{'Prob > F':>19} = {p:9.4f}")
        run.returns({"F": F, "df": float(df), "df_r": found.residual_df, "p": p})


def lincom(run: Run) -> None:
    """``lincom expression [, eform or irr rrr hr level()]``."""
    found = run.results()
    given = _options(run, "EForm OR IRr RRr HR Level(n)")
    level = run.confidence_level(given)
    linear = Linear(run, found)
    vector, constant = linear.of(parse_expression(run.span, coefficients=True))
    estimate = float(vector @ found.b) + constant
    std_err = math.sqrt(max(float(vector @ found.V @ vector), 0.0))
    run.print("", f" ( 1)  {linear.text(vector, -constant)}", "")
    heading = {"or": "Odds Ratio", "irr": "IRR", "rrr": "RRR", "hr": "Haz. Ratio"}
    exponentiate = bool(given.options.keys() - {"level"})
    word = next((heading[w] for w in given.options if w in heading), "exp(b)")
    word = word if exponentiate else "Coef."
    df = found.residual_df
    run.print(*table_head(found.depvar, level=level, df=df, heading=word), DIVIDER)
    run.print(
        coefficient_line(
            Row("(1)", estimate, std_err), level=level, df=df, exponentiate=exponentiate
        ),
        RULE,
    )
    run.returns({"estimate": estimate, "se": std_err, **({"df": df} if df is not None else {})})


def nlcom(run: Run) -> None:
    """``nlcom [name:] expression`` or ``nlcom (name: expression) ...``; delta method.

    Derivatives are central differences of fourth order in the coefficients.
    """
    found = run.results()
    text = run.span.text
    options = ""
    if match := re.search(r",\s*((?:post|level\([\d.]+\)|noheader|\s)*)$", text):
        options, text = match[1], text[: match.start()]
    level = run.default_level
    if match := re.search(r"level\(([\d.]+)\)", options):
        level = run.checked_level(float(match[1]))
    pieces = _nonlinear(text)
    names = [name or f"_nl_{k}" for k, (name, _) in enumerate(pieces, start=1)]
    nodes = [parse_expression(text.strip(), coefficients=True) for _, text in pieces]

    def values(b: FloatArray) -> FloatArray:
        moved = replace(found, b=b)
        evaluator = run.evaluator()
        environment = replace(evaluator.environment, coefficient=moved.coefficient)
        seen = replace(evaluator, environment=environment)
        return np.array([constant_value(node, seen) for node in nodes])

    estimates = values(found.b)
    gradient = np.zeros((len(nodes), len(found.b)))
    used = {k for node in nodes for k in _mentioned(node, found)}
    for k in used:
        h = 1e-3 * max(abs(float(found.b[k])), 1e-2)
        unit = np.zeros(len(found.b))
        unit[k] = h
        near = values(found.b + unit) - values(found.b - unit)
        far = values(found.b + 2 * unit) - values(found.b - 2 * unit)
        gradient[:, k] = (8.0 * near - far) / (12.0 * h)
    V = gradient @ found.V @ gradient.T
    run.print(
        "",
        *(f"{name:>12}:  {text.strip()}" for name, (_, text) in zip(names, pieces, strict=True)),
        "",
    )
    run.print(*table_head(found.depvar, level=level, df=None), DIVIDER)
    for name, estimate, variance in zip(names, estimates, np.diag(V), strict=True):
        row = Row(name, float(estimate), math.sqrt(max(float(variance), 0.0)))
        run.print(coefficient_line(row, level=level, df=None))
    run.print(RULE)
    from gllamm_cli.stata.named_matrix import NamedMatrix

    labels = tuple(("", name) for name in names)
    run.returns({}, {"b": NamedMatrix.row(estimates, labels), "V": NamedMatrix(V, labels, labels)})
    if "post" in options:
        run.session.results = replace(
            found,
            command="nlcom",
            names=labels,
            b=estimates,
            V=V,
            rank=len(labels),
            fit=None,
            latent=None,
        )


def _nonlinear(text: str) -> list[tuple[str, str]]:
    """Pairs of name and expression; names may be missing."""
    groups = [token for token in frame_tokens(whole(text)) if token.text.startswith("(")]
    named = [NAMED.fullmatch(token.text[1:-1]) for token in groups]
    if groups and all(named):
        return [(match[1], match[2]) for match in named if match is not None]
    match = NAMED.fullmatch(text)
    return [(match[1], match[2]) if match else ("", text)]


def _mentioned(node: Expression, found: Estimates) -> set[int]:
    """Places in e(b) that an expression refers to."""
    match node:
        case Coefficient(equation=equation, name=name):
            return {found.position(equation, name)}
        case Prefix(operand=operand):
            return _mentioned(operand, found)
        case Binary(left=left, right=right):
            return _mentioned(left, found) | _mentioned(right, found)
        case Call(arguments=arguments):
            return {k for argument in arguments for k in _mentioned(argument, found)}
        case Element(row=row, column=column):
            return _mentioned(row, found) | _mentioned(column, found)
        case _:
            return set()
