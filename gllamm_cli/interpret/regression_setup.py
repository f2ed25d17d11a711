"""What the options of a regression say: data, sample, weights, offset and standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gllamm_cli.data import Dataset
from gllamm_cli.errors import InvalidSyntax, VarlistRequired
from gllamm_cli.interpret.factors import expand_factors
from gllamm_cli.interpret.run import Parsed, Run
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.model.spec import ModelSpec, Response, Sample, Thresholds
from gllamm_cli.stata.expression import parse_expression
from gllamm_cli.stata.functions import missing
from gllamm_cli.stata.lexer import whole

REFUSED = ("from()", "score()", "scale()", "asis", "iterate()", "trace", "technique()")
EXPONENTIATED = ("or", "irr", "rrr", "eform", "hr")
TEMPORARY = "__weight1"
OFFSET = "__offset"
CLUSTER = "__cluster"


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What the options of a regression say, before there is a model."""

    data: Dataset
    depvar: str
    covariates: tuple[str, ...]
    constant: bool
    offset: str | None
    offset_as_typed: str
    weight_kind: str
    sample: Sample
    robust: bool
    cluster: str | None
    cluster_name: str
    level: float
    exponentiate: bool


def read_setup(run: Run, parsed: Parsed) -> Setup:
    """Read the usual parts; temporary columns hold weights, offsets and clusters."""
    parsed.refuse(*REFUSED)
    expansion = expand_factors(parsed.frame.body, run.data)
    data, names = expansion.dataset, expansion.names
    if not names:
        raise VarlistRequired("varlist required", span=run.span)
    depvar, covariates = names[0], tuple(dict.fromkeys(names[1:]))
    selected, weights = run.weighted_rows(parsed)
    kind = weights.kind if weights is not None else ""
    if weights is not None:
        data = data.with_column(TEMPORARY, weights.values, storage_type="double")
    refuse_two_offsets(parsed)
    offset, offset_as_typed = None, ""
    for option, expression in (("offset", "{}"), ("exposure", "ln({})")):
        if parsed.has(option):
            (name,) = run.option_variables(parsed, option)
            offset, offset_as_typed = OFFSET, expression.format(name)
            values = run.evaluator().number(parse_expression(offset_as_typed))
            data = data.with_column(OFFSET, values, storage_type="double")
    robust = parsed.has("robust") or kind == "pweight"
    cluster_name = ""
    if parsed.has("cluster"):
        (cluster_name,) = run.option_variables(parsed, "cluster")
    vce = parsed.text("vce").split()
    if vce:
        if "robust".startswith(vce[0]) and len(vce[0]) >= 1:
            robust = True
        elif "cluster".startswith(vce[0]) and len(vce) == 2:
            cluster_name = vce[1]
        elif vce[0] not in ("oim", "ols"):
            raise InvalidSyntax(f"vce({vce[0]}) is not supported", span=run.span)
    cluster = None
    if cluster_name:
        (cluster_name,) = run.variables(whole(cluster_name))
        codes = np.unique(data.sort_key(cluster_name), return_inverse=True)[1]
        is_text = data.is_text(cluster_name)
        of_cluster = data.text(cluster_name) if is_text else data.column(cluster_name)
        selected = selected & ~missing(of_cluster)
        data = data.with_column(CLUSTER, codes.astype(np.float64), storage_type="double")
        cluster = CLUSTER
    sample = Sample(selected=tuple(np.flatnonzero(selected).tolist()))
    level = run.confidence_level(parsed)
    return Setup(
        data=data,
        depvar=depvar,
        covariates=covariates,
        constant=not parsed.has("noconstant"),
        offset=offset,
        offset_as_typed=offset_as_typed,
        weight_kind=kind,
        sample=sample,
        robust=robust,
        cluster=cluster,
        cluster_name=cluster_name,
        level=level,
        exponentiate=any(parsed.has(option) for option in EXPONENTIATED),
    )


def refuse_two_offsets(parsed: Parsed) -> None:
    """Raise r(198) for ``offset()`` and ``exposure()`` in one command."""
    if parsed.has("offset") and parsed.has("exposure"):
        raise InvalidSyntax(
            "only one of offset() or exposure() can be specified",
            span=parsed.options["exposure"].span,
            hint="generate their sum: offset() takes a logarithm",
        )


def model_spec(setup: Setup, family: str, link: str, base: float | None = None) -> ModelSpec:
    """Return the model of rows that a setup describes."""
    kind = LINK_BY_NAME[link]
    of_rows = ((1, TEMPORARY),)
    return ModelSpec(
        depvar=setup.depvar,
        covariates=setup.covariates,
        constant=setup.constant and not kind.ordinal,
        response=Response(family, link),
        has_scale=family in ("gauss", "gamma") and not (kind.ordinal or kind.nominal),
        levels=(),
        offset=setup.offset,
        weights=of_rows if setup.weight_kind in ("fweight", "iweight") else (),
        sampling_weights=of_rows if setup.weight_kind == "pweight" else (),
        sample=setup.sample,
        thresholds=(Thresholds(1),) if kind.ordinal else (),
        base_category=base,
    )
