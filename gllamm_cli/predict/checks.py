"""Categories that ``above()`` and ``outcome()`` may name."""

from __future__ import annotations

from gllamm_cli.errors import InvalidSyntax
from gllamm_cli.model.families import LINK_BY_NAME
from gllamm_cli.model.spec import ModelSpec
from gllamm_cli.predict.design import nominal_categories


def check_above(spec: ModelSpec, above: tuple[float, ...]) -> tuple[float, ...]:
    """Return one category for each ordinal response, or raise InvalidSyntax as gllapred does."""
    ordinal = spec.thresholds
    if not ordinal:
        return ()
    if not above:
        raise InvalidSyntax("must specify above() option for ordinal responses")
    if len(above) not in (1, len(ordinal)):
        raise InvalidSyntax(
            "wrong length of numlist in above() option",
            hint=f"one number, or {len(ordinal)}: one for each ordinal response",
        )
    if len(above) == 1:
        above = above * len(ordinal)
    for number, (response, category) in enumerate(zip(ordinal, above, strict=True), start=1):
        known = "categories: " + " ".join(f"{value:g}" for value in response.categories)
        if category not in response.categories:
            raise InvalidSyntax(
                f"{category:g} not a category for {number}th ordinal response", hint=known
            )
        if category == response.categories[-1]:
            raise InvalidSyntax(
                f"{category:g} is highest category for {number}th ordinal response", hint=known
            )
    return above


def check_outcome(spec: ModelSpec, outcome: float | None) -> None:
    """Raise InvalidSyntax unless a nominal response in the ordinary form has its ``outcome()``."""
    if spec.choice_sets is not None or not LINK_BY_NAME[spec.response.link].nominal:
        return
    if outcome is None:
        raise InvalidSyntax(
            "must specify outcome() option for nominal responses unless data in expanded form"
        )
    categories = nominal_categories(spec)
    if outcome not in categories:
        raise InvalidSyntax(
            f"{outcome:g} not a category of the nominal response",
            hint="categories: " + " ".join(f"{value:g}" for value in categories),
        )
