"""Whatever a script says, it ends in a log or an error the user can mend: no hang, no traceback."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripts import run_do

from gllamm_cli.interpret.table import COMMANDS

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = [
    """
local a = 2 + 3
foreach x of varlist x1-x3 {
    forvalues i = 1/`a' {
        gen `x'_`i' = `x'*`i' if g == `i' & _n > 2
    }
}
egen m = mean(x1), by(g)
bysort g (x1): replace x2 = x2[_n-1] + 1 if _n > 1
""",
    """
program define p
    args a b
    if `a' > `b' {
        display "`a'"
    }
    else display %9.3f `b'/`a'
end
p 1 2
capture noisily p 3
tempvar t
gen `t' = runiform()
summarize `t' x*, detail
matrix m = (1, 2 \\ 3, 4)'
matrix list m
scalar s = m[1,2] + el(m, 2, 1)
while s > 0 {
    scalar s = s - 1
}
""",
    """
preserve
collapse (mean) x1 (sd) s=x2 (count) n=x3, by(g)
list, clean noobs
restore
reshape long x, i(id) j(k)
tabulate k g, chi2 row
tab t, gen(d)
recode g (1 2 = 0 "low") (nonmissing = 1) (missing = .a), gen(h)
label define l 1 "one" 2 "two", modify
label values g l
regress x id i.g, robust
test id
lincom id - 2*_cons
estimates store e
gsort -x g
order t
describe
""",
    """
regress x1 x2 c.x3##i.g [fw=id]
predict r, resid
nlcom (a: _b[x2]/_b[_cons])
logit b x1, or nolog
gllamm x1 x2, i(g) iterate(2) nip(3) nolog
gllapred u, u
matrix a = e(b)
display colsof(a) "`: colnames a'"
xi: gllamm b i.g, i(g) family(binom) iterate(1) nolog
input u v str3 w, clear
1 2 a
3 . "b c"
end
drop if missing(v)
""",
]
WORDS = [
    *(name for name in COMMANDS if name not in ("!", "shell", "cd", "do", "run", "include")),
    *[
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        ";",
        ":",
        "=",
        "==",
        "'",
        "`",
        '"',
        '"',
        '`"',
        "\"'",
        "/*",
        "*/",
        "//",
        "///",
        "*",
        "$",
        "${",
        "+",
        "-",
        "^",
        "&",
        "|",
        "!",
        ".",
        ".a",
        "_n",
        "_N",
        "%",
        "#",
        "\\",
    ],
    *("x1", "x2", "g", "t", "id", "1/3", "if", "in", "by(g)", "using", "e(b)", "r(mean)", "\n"),
    *("é", "\x00", "1e308*10", "99999999999", "-", "_all", "x*", "i.g", "`a'", "`=1/0'", "`:x'"),
]


def frame():
    random = np.random.default_rng(1)
    n = 12
    table = {name: random.normal(size=n).round(2) for name in ("x1", "x2", "x3")}
    return pd.DataFrame(
        {
            "id": np.arange(1.0, n + 1),
            "g": np.repeat([1.0, 2, 3], 4),
            "b": np.tile([0.0, 1, 1], 4),
            **table,
            "t": ["a", "b", "", "c"] * 3,
        }
    )


@st.composite
def mutated(draw):
    """A script with pieces cut out, doubled, moved or replaced."""
    text = draw(st.sampled_from(SCRIPTS))
    for _ in range(draw(st.integers(1, 5))):
        pieces = re.findall(r"\w+|\s+|.", text, re.DOTALL)
        start = draw(st.integers(0, len(pieces)))
        end = min(len(pieces), start + draw(st.integers(0, 4)))
        new = draw(st.lists(st.sampled_from(WORDS), max_size=2))
        doubled = pieces[start:end] if draw(st.booleans()) else []
        text = "".join([*pieces[:start], *new, *doubled, *pieces[end:]])
    return text


anything = mutated() | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
SLOWEST = 20.0


def check(text, folder):
    before = Path.cwd()
    began = time.monotonic()
    try:
        os.chdir(folder)
        _, lines, error = run_do(text, frame=frame(), most_passes=300)
    finally:
        os.chdir(before)
    assert time.monotonic() - began < SLOWEST, text
    if error is not None:
        assert error.rc >= 0
        assert all("Traceback" not in line for line in lines)


COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


@given(text=anything)
@settings(max_examples=60, **COMMON)
def test_scripts(text, tmp_path):
    check(text, tmp_path)


@pytest.mark.slow
@given(text=anything)
@settings(max_examples=1500, **COMMON)
def test_many_scripts(text, tmp_path):
    check(text, tmp_path)
