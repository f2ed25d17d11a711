"""The benchmark problems: data, the gllamm command, and the same model as an R formula.

The tables are written once to the cache as CSV, which every program reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
CACHE = FOLDER / "cache"


@dataclass(frozen=True, slots=True)
class Problem:
    """A model to fit.

    ``methods`` of the peers are ``ml`` (exact), ``laplace`` and a number of points;
    ``peers`` are those that have the model. Without a formula there are none. ``nodes`` is
    the number of combinations of quadrature points, 0 where the likelihood has a closed form.
    ``points`` are so many for each latent variable that more would change nothing, ``accurate``
    as many as bring the log likelihood within 1e-5 of that, where the command has fewer.
    """

    name: str
    title: str
    data: str
    command: str
    formula: str = ""
    family: str = ""
    methods: tuple[str, ...] = ()
    peers: tuple[str, ...] = ("lme4", "glmmTMB", "gpboost")
    nodes: int = 0
    points: int = 0
    accurate: int = 0

    @property
    def table(self) -> Path:
        """The data file in the cache."""
        return CACHE / f"{self.data}.csv"

    @property
    def refined(self) -> str:
        """The command with many points; empty where the number of points makes no difference."""
        return self.with_points(self.points) if self.points else ""

    def with_points(self, points: int) -> str:
        """The command with another number of points for each latent variable."""
        head = re.sub(r"nip\(\d+\)", "", self.command)
        return f"{head} nip({points})"


PROBLEMS = (
    Problem(
        "hsb_intercept",
        "linear, random intercept; 7,185 rows, 160 clusters",
        "hsb",
        "gllamm math ses, i(school) adapt",
        "math ~ ses + (1 | school)",
        "gaussian",
        ("ml",),
    ),
    Problem(
        "hsb_slope",
        "linear, random intercept and slope; 7,185 rows, 160 clusters",
        "hsb",
        "eq int: one; eq slope: cses;"
        " gllamm math cses meanses, i(school) nrf(2) eqs(int slope) adapt",
        "math ~ cses + meanses + (1 + cses | school)",
        "gaussian",
        ("ml",),
    ),
    Problem(
        "contraception",
        "logit, random intercept; 1,934 rows, 60 clusters",
        "contraception",
        "gllamm use age urban lc1 lc2 lc3, i(district) family(binom) link(logit) adapt",
        "use ~ age + urban + lc1 + lc2 + lc3 + (1 | district)",
        "binomial",
        ("laplace", "8"),
        nodes=8,
        points=31,
    ),
    Problem(
        "logit100k",
        "logit, random intercept; 100,000 rows, 10,000 clusters",
        "logit100k",
        "gllamm y x1 x2, i(id) family(binom) link(logit) adapt",
        "y ~ x1 + x2 + (1 | id)",
        "binomial",
        ("laplace", "8"),
        nodes=8,
        points=21,
        accurate=15,
    ),
    Problem(
        "immunization",
        "logit, three levels; 2,159 rows, 1,595 mothers, 161 communities",
        "immunization",
        "gllamm immun kid2p mom25p rural pcind81, i(mom comm) family(binom) link(logit) adapt",
        "immun ~ kid2p + mom25p + rural + pcind81 + (1 | mom) + (1 | comm)",
        "binomial",
        ("laplace",),
        nodes=64,
        points=41,
        accurate=25,
    ),
    Problem(
        "seizures",
        "Poisson, random intercept and slope; 236 rows, 59 clusters",
        "seizures",
        "eq int: one; eq slope: visit; gllamm y lbase trt lbtrt lage visit,"
        " i(subject) nrf(2) eqs(int slope) family(poisson) link(log) adapt",
        "y ~ lbase + trt + lbtrt + lage + visit + (1 + visit | subject)",
        "poisson",
        ("laplace",),
        nodes=64,
        points=21,
        accurate=12,
    ),
    Problem(
        "logit2d",
        "logit, random intercept and slope; 40,000 rows, 2,000 clusters",
        "logit2d",
        "eq int: one; eq slope: x1;"
        " gllamm y x1, i(id) nrf(2) eqs(int slope) family(binom) link(logit) adapt",
        "y ~ x1 + (1 + x1 | id)",
        "binomial",
        ("laplace",),
        nodes=64,
        points=31,
        accurate=20,
    ),
    Problem(
        "chemistry",
        "linear, three levels; 31,022 pupils, 2,410 schools, 131 authorities",
        "chemistry",
        "gllamm score gcse female, i(school lea) adapt",
        "score ~ gcse + female + (1 | school) + (1 | lea)",
        "gaussian",
        ("ml",),
    ),
    Problem(
        "melanoma",
        "Poisson with offset, three levels; 354 counties, 78 regions, 9 nations",
        "melanoma",
        "gllamm deaths uvb, i(region nation) offset(lexp) family(poisson) link(log) adapt",
        "deaths ~ uvb + offset(lexp) + (1 | region) + (1 | nation)",
        "poisson",
        ("laplace",),
        nodes=64,
        points=21,
    ),
    Problem(
        "wine",
        "cumulative logit, random intercept; 72 rows, 9 judges",
        "wine",
        "gllamm rating warm contact, i(judge) link(ologit) family(binom) adapt",
        "rating ~ warm + contact + (1 | judge)",
        "ordinal",
        ("laplace", "8"),
        ("ordinal",),
        nodes=8,
        points=25,
    ),
    Problem(
        "aggression",
        "cumulative logit, random intercept; 7,584 rows, 316 persons",
        "aggression",
        "gllamm resp anger male want selfsit, i(id) link(ologit) family(binom) adapt",
        "resp ~ anger + male + want + selfsit + (1 | id)",
        "ordinal",
        ("laplace", "8"),
        ("ordinal",),
        nodes=8,
        points=25,
        accurate=12,
    ),
    Problem(
        "aggression_items",
        "logit, 24 items, random intercept; 7,584 rows, 316 persons",
        "aggression_items",
        "gllamm y i1-i24, nocons i(id) family(binom) link(logit) adapt",
        f"y ~ 0 + {' + '.join(f'i{k}' for k in range(1, 25))} + (1 | id)",
        "binomial",
        ("8",),
        ("lme4",),
        nodes=8,
        points=31,
        accurate=15,
    ),
    Problem(
        "gamma",
        "gamma, log link, random intercept; 2,000 rows, 200 clusters",
        "gamma",
        "gllamm y x, i(id) family(gamma) link(log) adapt",
        "y ~ x + (1 | id)",
        "Gamma(link=log)",
        ("laplace",),
        ("glmmTMB", "gpboost"),
        nodes=8,
        points=31,
        accurate=12,
    ),
    Problem(
        "durations",
        "complementary log-log, random intercept; 1,800 persons, 150 clusters",
        "durations",
        "gllamm event d1 d2 d3 d4 d5 x trt, nocons i(clus) family(binom) link(cll) adapt",
        "event ~ 0 + d1 + d2 + d3 + d4 + d5 + x + trt + (1 | clus)",
        'binomial(link="cloglog")',
        ("laplace", "8"),
        peers=("lme4", "glmmTMB"),
        nodes=8,
        points=31,
        accurate=15,
    ),
    Problem(
        "law_school_test",
        "two-parameter item response, 15 points; 1,000 persons by 5 items",
        "law_school_test",
        "eq load: i1-i5; gllamm y i1-i5, nocons i(id) eqs(load) family(binom) link(logit)"
        " nip(15) adapt",
        nodes=15,
        points=31,
        accurate=20,
    ),
    Problem(
        "items20",
        "two-parameter item response, 15 points; 5,000 persons by 20 items",
        "items20",
        "eq load: i1-i20; gllamm y i1-i20, nocons i(id) eqs(load) family(binom) link(logit)"
        " nip(15) adapt",
        nodes=15,
        points=31,
    ),
    Problem(
        "two_factors",
        "two correlated factors, 15 points each; 1,000 persons by 10 binary items",
        "two_factors",
        "eq f1: i1-i5; eq f2: i6-i10; gllamm y i1-i10, nocons i(id) nrf(2) eqs(f1 f2)"
        " family(binom) link(logit) nip(15) adapt",
        nodes=225,
        points=31,
    ),
    Problem(
        "two_factors_gaussian",
        "two correlated factors, residual variances of items; 301 persons by 6 continuous items",
        "two_factors_gaussian",
        "eq f1: i1 i2 i3; eq f2: i4 i5 i6; eq het: i1-i6; gllamm y i1-i6, nocons i(id) nrf(2)"
        " eqs(f1 f2) s(het) family(gauss) link(ident) adapt",
        "f1 =~ y1 + y2 + y3; f2 =~ y4 + y5 + y6",
        "gaussian",
        ("ml",),
        ("lavaan",),
    ),
    Problem(
        "masses",
        "logit, three mass points; 1,934 rows, 60 clusters",
        "contraception",
        "gllamm use age urban lc1 lc2 lc3, i(district) family(binom) link(logit) ip(f) nip(3)",
        nodes=3,
    ),
    Problem(
        "classes",
        "three latent classes; 2,000 persons by 8 binary items",
        "classes",
        "eq e1: i1; eq e2: i2; eq e3: i3; eq e4: i4; eq e5: i5; eq e6: i6; eq e7: i7; eq e8: i8;"
        " gllamm y, nocons i(id) nrf(8) eqs(e1 e2 e3 e4 e5 e6 e7 e8) family(binom) link(logit)"
        " ip(fn) nip(3)",
        nodes=3,
    ),
    Problem(
        "mixed",
        "two continuous items and a probit one, factor regressed on x, 15 points; 1,500 persons",
        "mixed",
        "generate byte a = item==1; generate byte b = item==2; eq load: i1 i2 i3; eq f1: x;"
        " eq het: a b; gllamm y i1 i2 i3, nocons i(id) eqs(load) geqs(f1) s(het)"
        " family(gauss binom) fv(var) link(ident probit) lv(var) nip(15) adapt",
        nodes=15,
        points=31,
    ),
)
"""8 points for each latent variable, gllamm's default, unless the title says otherwise."""

RECORDED = {
    "contraception": (("GLMMadaptive 0.9.7", "adaptive, 8 points", -1206.6742, 0.267),),
    "seizures": (
        ("GLMMadaptive 0.9.7", "adaptive, 8 points", -655.3504, 1.020),
        ("GLMMadaptive 0.9.7", "adaptive, 11 points", -655.3503, 1.354),
    ),
    "law_school_test": (("mirt 1.47", "EM, grid of 61", -2658.8051, 1.231),),
    "masses": (("gllammr 1.3.0", "3 masses", -1204.8520, 0.294),),
}
"""Programs that are hard to install, on real data: log likelihood and CPU seconds of the fit.

Measured once on a machine of the same kind with two cores (mirt: wall seconds).
"""


def write_data(problems: tuple[Problem, ...]) -> None:
    """Write the tables that are not in the cache yet."""
    # Imported late: whoever only reads the list of problems needs no pandas.
    from tables import TABLES

    CACHE.mkdir(exist_ok=True)
    for problem in problems:
        if not problem.table.exists():
            TABLES[problem.data]().to_csv(problem.table, index=False)
