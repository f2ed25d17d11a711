"""Indicator variables are named, coded and announced as Stata's xi does."""

import numpy as np
import pandas as pd
import pytest

from gllamm_cli.data import Dataset
from gllamm_cli.errors import GllammError
from gllamm_cli.stata.command import parse_gllamm
from gllamm_cli.stata.lexer import whole
from gllamm_cli.stata.varlist import NamePattern, parse_varlist
from gllamm_cli.stata.xi import expand_command, expand_xi


@pytest.fixture
def data():
    return Dataset.from_frame(
        pd.DataFrame(
            {
                "group": [1.0, 2.0, 3.0, np.nan],
                "sex": [0.0, 1.0, 0.0, 1.0],
                "age": [10.0, 20.0, 30.0, 40.0],
                "race": ["w", "b", "", "b"],
                "half": [0.5, 1.5, 0.5, 1.5],
                "same": [1.0] * 4,
                "a_very_long_name_of_a_variable_x": [1.0, 12.0, 1.0, 12.0],
            }
        )
    )


def expand(source, data):
    return expand_xi(parse_varlist(whole(source)), data)


def names(expansion):
    return [item.text for item in expansion.items]


def test_plain_term(data):
    found = expand("i.group age", data)
    assert names(found) == ["_Igroup_2", "_Igroup_3", "age"]
    assert found.notes == (
        "i.group           _Igroup_1-3         (naturally coded; _Igroup_1 omitted)",
    )
    np.testing.assert_array_equal(found.dataset.column("_Igroup_2"), [0, 1, 0, np.nan])
    assert found.dataset.storage_types["_Igroup_2"] == "byte"
    assert found.dataset.variable_labels["_Igroup_2"] == "group==2"
    assert found.dataset.names[-2:] == ("_Igroup_2", "_Igroup_3")
    assert "_Igroup_2" not in data.names


def test_zero_is_a_natural_code(data):
    assert names(expand("i.sex", data)) == ["_Isex_1"]


def test_text_is_numbered_in_order(data):
    found = expand("i.race", data)
    assert names(found) == ["_Irace_2"]
    assert found.notes == ("i.race            _Irace_1-2          (_Irace_1 for race==b omitted)",)
    np.testing.assert_array_equal(found.dataset.column("_Irace_2"), [1, 0, np.nan, 0])


def test_fractions_are_numbered(data):
    found = expand("i.half", data)
    assert names(found) == ["_Ihalf_2"]
    assert "(_Ihalf_1 for half==0.5 omitted)" in found.notes[0]


def test_product_of_factors(data):
    found = expand("i.group*i.sex", data)
    assert names(found) == [
        "_Igroup_2",
        "_Igroup_3",
        "_Isex_1",
        "_IgroXsex_2_1",
        "_IgroXsex_3_1",
    ]
    np.testing.assert_array_equal(found.dataset.column("_IgroXsex_2_1"), [0, 1, 0, np.nan])
    assert found.notes[-1] == "i.group*i.sex     _IgroXsex_#_#       (coded as above)"


def test_product_with_a_number(data):
    found = expand("i.sex*age", data)
    assert names(found) == ["_Isex_1", "age", "_IsexXage_1"]
    np.testing.assert_array_equal(found.dataset.column("_IsexXage_1"), [0, 20, 0, 40])


def test_bar_leaves_out_the_main_effect(data):
    assert names(expand("i.sex|age", data)) == ["age", "_IsexXage_1"]


def test_terms_that_repeat_give_variables_once(data):
    assert names(expand("i.sex i.sex*age i.sex", data)) == ["_Isex_1", "age", "_IsexXage_1"]


def test_abbreviations_are_resolved_and_long_names_cut(data):
    assert names(expand("i.gro", data)) == ["_Igroup_2", "_Igroup_3"]
    (name,) = names(expand("i.a_very", data))
    assert name == "_Ia_very_long_name_of_a_varia_12"
    assert len(name) == 32


@pytest.mark.parametrize("source", ["i.same", "i.nosuch", "i.sex*race"])
def test_refusals_have_a_place_or_a_name(source, data):
    with pytest.raises(GllammError) as caught:
        expand(source, data)
    assert caught.value.span is not None or "race" in caught.value.message


@pytest.mark.parametrize("prefix", ["", "xi: gllamm ", "gllamm "])
def test_commands_expand_with_and_without_prefix(prefix, data):
    command, extended, notes = expand_command(parse_gllamm(f"{prefix}age i.group, i(sex)"), data)
    assert command.items == (NamePattern("_Igroup_2"), NamePattern("_Igroup_3"))
    assert "_Igroup_3" in extended.names
    assert len(notes) == 1
    assert command.source == f"{prefix}age i.group, i(sex)"


def test_commands_without_terms_leave_the_data_alone(data):
    assert expand_command(parse_gllamm("age sex, i(group)"), data)[1] is data
