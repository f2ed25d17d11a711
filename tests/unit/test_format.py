"""Every printed number goes through these formats: they must give Stata's own digits."""

import json
import math

import pytest

from gllamm_cli.stata.format import display, format_count, format_f, format_g, format_stata

NINE = [
    (-0.16906882, "-.1690688"),
    (1234567.8, "1234568"),
    (0.334248, ".334248"),
    (9999999.6, "1.00e+07"),
    (-1.0226881, "-1.022688"),
    (12345678, "1.23e+07"),
    (0.0431234567, ".0431235"),
    (99999.999, "100000"),
    (30.681674, "30.68167"),
    (0.00073874, ".0007387"),
    (103.92, "103.92"),
    (0.000012345678, ".0000123"),
    (-3.834251, "-3.834251"),
    (0.0000012345678, "1.23e-06"),
    (2.65e-9, "2.65e-09"),
    (6165.2568, "6165.257"),
    (-1.58e-8, "-1.58e-08"),
    (3291, "3291"),
    (12.79470, "12.7947"),
    (0.99999999, "1"),
    (-0.249, "-.249"),
    (1 / 3, ".3333333"),
    (-1234.5678, "-1234.568"),
    (0.00001, ".00001"),
    (0.5241160, ".524116"),
    (1e100, "1.0e+100"),
    (1.775, "1.775"),
    (0, "0"),
    (math.nan, "."),
    (math.inf, "."),
]
TEN = [
    (2 / 3, ".66666667"),
    (0.00265062123, ".00265062"),
    (2.476e-7, "2.476e-07"),
    (0.1418168793, ".14181688"),
    (12345678.9, "12345679"),
    (-2757.08032, "-2757.0803"),
    (26.9355561, "26.935556"),
    (1e-10, "1.000e-10"),
    (123456789, "1.235e+08"),
]


@pytest.mark.parametrize(("value", "printed"), NINE)
def test_coefficients_print_with_seven_digits(value, printed):
    assert format_g(value, 9) == printed.rjust(9)


@pytest.mark.parametrize(("value", "printed"), TEN)
def test_variances_print_with_eight_digits(value, printed):
    assert format_g(value, 10) == printed.rjust(10)
    assert display(value) == printed


@pytest.mark.parametrize(
    ("width", "value", "printed"),
    [
        (6, 0.25147836, ".2515"),
        (6, 16.426462, "16.43"),
        (7, 16.426462, "16.426"),
        (7, -5.5187445, "-5.5187"),
        (12, math.pi, "3.141592654"),
        (12, math.pi * 1e-5, ".0000314159"),
        (12, math.pi * 1e-6, "3.14159e-06"),
        (12, math.pi * 1e10, "3.14159e+10"),
    ],
)
def test_other_widths(width, value, printed):
    assert format_g(value, width).strip() == printed


@pytest.mark.parametrize(
    ("specification", "value", "printed"),
    [
        ("%9.2f", 0.5, "     0.50"),
        ("%5.3f", 1e-9, "0.000"),
        ("%8.2f", 123456789.0, " 1.2e+08"),
        ("%9.2e", 1234.5, " 1.23e+03"),
        ("%-9.0g", 1.5, "1.5      "),
        ("%9.0gc", 1234567.0, "  1234567"),
        ("%9.0gc", 12345.0, "   12,345"),
        ("%10.0fc", 71850.0, "    71,850"),
        ("%9.2g", 0.123456, "      .12"),
        ("%9.2f", math.nan, "        ."),
    ],
)
def test_format_specifications(specification, value, printed):
    width = len(printed)
    assert format_stata(specification, value).rjust(width) == printed


def test_unknown_format_is_refused():
    with pytest.raises(ValueError, match="invalid format"):
        format_stata("%tdDD", 1.0)


def test_counts_are_whole_numbers_in_full():
    assert format_count(887.0) == "887"
    assert format_count(123456789.0) == "123456789"
    assert format_count(10.5) == "10.5"


def _printed_numbers(cases):
    """Yield (format, printed string) of every number of the published runs."""
    for path in sorted(cases.glob("*.json")):
        for step in json.loads(path.read_text())["steps"]:
            expected = step["expected"]
            for key in ("log_likelihood", "condition_number"):
                if key in expected:
                    yield "10", expected[key]
            for row in expected.get("table", []):
                yield from (("9", row[key]) for key in ("est", "se", "lo", "hi") if row.get(key))
                if row.get("z"):
                    yield "z", row["z"]
                    yield "p", row["p"]
            for row in expected.get("random", []):
                for key in ("est", "se"):
                    if isinstance(row.get(key), str) and row[key] != "fixed at 0":
                        yield "10", row[key]


def test_every_published_number_reformats_to_itself(shared_folder):
    formats = {
        "9": lambda x: format_g(x, 9),
        "10": lambda x: format_g(x, 10),
        "z": lambda x: format_f(x, 8, 2),
        "p": lambda x: format_f(x, 5, 3),
    }
    numbers = list(_printed_numbers(shared_folder / "golden" / "cases"))
    changed = [
        (kind, text, formats[kind](float(text)).strip())
        for kind, text in numbers
        if text not in (".", "") and formats[kind](float(text)).strip() != text
    ]
    assert len(numbers) > 1000
    assert changed == []
