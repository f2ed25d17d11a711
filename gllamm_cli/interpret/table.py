"""Every command of the language: name, shortest form, how it works under ``by``, its function.

Functions are named, not imported, so that a script loads only what it uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gllamm_cli.errors import Span, UnknownCommand
from gllamm_cli.stata.varlist import suggestion


class ByUse(StrEnum):
    """What a command does under ``by``."""

    NO = "refuses"
    WITHIN = "works within all groups at once"
    REPEAT = "is repeated for each group"


@dataclass(frozen=True, slots=True)
class Command:
    """A command; ``handler`` is ``module:function`` within ``gllamm_cli.interpret``."""

    name: str
    least: int
    handler: str
    by: ByUse = ByUse.NO
    takes_lines: bool = False


def _table() -> dict[str, Command]:
    commands: dict[str, Command] = {}
    for by, module, words in ROWS:
        for word in words.split():
            shown, _, function = word.partition("=")
            # Capital letters would clash with names in capitals: the shortest form ends at a dot.
            short, dot, rest = shown.partition(".")
            name = short + rest
            commands[name] = Command(
                name,
                len(short) if dot else len(name),
                f"{module}:{function or name}",
                by,
                takes_lines=name == "input",
            )
    return commands


NO, WITHIN, REPEAT = ByUse.NO, ByUse.WITHIN, ByUse.REPEAT
ROWS: tuple[tuple[ByUse, str, str], ...] = (
    (NO, "models", "gllamm eq=equation cons.traint"),
    (NO, "models", "gllapred=postestimation gllasim=postestimation"),
    (NO, "matrices", "mat.rix sca.lar mkmat svmat"),
    (
        NO,
        "set_macros",
        "loc.al gl.obal=global_ tempvar tempname tempfile args token.ize gettoken syntax ma.cro",
    ),
    (
        NO,
        "flow",
        "do ru.n=do inc.lude=do e.xit err.or cont.inue=continue_ pre.serve=preserve rest.ore",
    ),
    (
        NO,
        "flow",
        "pr.ogram ret.urn=return_results eret.urn=return_results confirm",
    ),
    (
        NO,
        "settings",
        "set ver.sion=ignored more=ignored clear cd pwd which net ssc=net log cmdlog=log",
    ),
    (NO, "settings", "adoupdate=net findit=net update=net h.elp=help search=net view=ignored"),
    (
        NO,
        "settings",
        "sret.urn=ignored timer=ignored sleep=ignored pause=ignored note=ignored",
    ),
    (NO, "settings", "notes=ignored browse=ignored br=ignored edit=ignored ed=ignored cls=ignored"),
    (NO, "settings", "discard=ignored translate=ignored"),
    (
        NO,
        "settings",
        "sh.ell=shell !=shell winexec=shell era.se=erase rm=erase mkdir=erase copy=erase",
    ),
    (NO, "settings", "gr.aph=graph tw.oway=graph hist.ogram=graph sc.atter=graph line=graph"),
    (NO, "settings", "marginsplot=graph kdensity=graph lowess=graph qnorm=graph rvfplot=graph"),
    (NO, "settings", "xtline=graph avplot=graph sts=graph"),
    (NO, "files", "u.se sa.ve saveold=save webuse sysuse"),
    (NO, "text_files", "insheet import=import_ export outsheet"),
    (NO, "free_format", "infile inf=infile inp.ut"),
    (WITHIN, "variables", "g.enerate replace"),
    (WITHIN, "generators", "egen"),
    (WITHIN, "variables", "keep drop"),
    (NO, "variables", "ren.ame order move aorder"),
    (NO, "conversions", "recode en.code dec.ode destring tostring split"),
    (NO, "variables", "form.at compress mvdecode mvencode clonevar"),
    (NO, "labels", "la.bel"),
    (NO, "rows", "so.rt gsort expand dup.licates isid fillin"),
    (REPEAT, "rows", "sample"),
    (NO, "shape", "reshape"),
    (NO, "collapse", "collapse contract"),
    (NO, "combine", "mer.ge app.end joinby cross"),
    (REPEAT, "summaries", "su.mmarize cou.nt"),
    (REPEAT, "correlations", "cor.relate pwcorr=correlate"),
    (REPEAT, "tabulations", "ta.bulate tab1 tab2"),
    (REPEAT, "summaries", "tabstat mean levelsof as.sert=assert_"),
    (NO, "summaries", "table"),
    (REPEAT, "listing", "l.ist=list_"),
    (NO, "listing", "d.escribe codebook ds"),
    (NO, "panel", "xtset tsset=xtset iis=xtset tis=xtset xtdes.cribe xtsum"),
    (NO, "printing", "di.splay"),
    (NO, "stored", "est.imates"),
    (NO, "tests", "lrtest te.st testparm lincom nlcom"),
    (NO, "predictions", "predict"),
    (NO, "estat", "estat"),
    (NO, "bootstrap", "bootstrap bs=bootstrap"),
    (NO, "margins", "margins"),
    (REPEAT, "least_squares", "reg.ress"),
    (REPEAT, "regressions", "logit logistic prob.it cloglog pois.son olog.it oprob.it"),
    (REPEAT, "regressions", "mlog.it clogit"),
    (REPEAT, "generalized", "glm"),
    (NO, "selection", "treatreg etregress=treatreg"),
    (REPEAT, "mixed", "mixed xtmixed=mixed melogit xtmelogit=melogit meqrlogit=melogit meprobit"),
    (REPEAT, "mixed", "mecloglog mepoisson xtmepoisson=mepoisson meqrpoisson=mepoisson meologit"),
    (
        REPEAT,
        "mixed",
        "meoprobit meglm xtreg xtlogit xtprobit xtcloglog xtpoisson xtologit xtoprobit",
    ),
    (NO, "survival", "stset stsplit"),
    (REPEAT, "comparison", "ttest"),
    (NO, "comparison", "xtile pctile"),
    (NO, "xi", "xi char"),
)
COMMANDS = _table()

REAL = frozenset(
    [
        "alpha",
        "anova",
        "areg",
        "arima",
        "asclogit",
        "asmprobit",
        "bayes",
        "bayesmh",
        "betareg",
        "biprobit",
        "blogit",
        "boxcox",
        "bsample",
        "bstat",
        "canon",
        "centile",
        "ci",
        "cii",
        "clogit",
        "cloglog",
        "cluster",
        "cnsreg",
        "codebook",
        "cox",
        "cusum",
        "dstdize",
        "drawnorm",
        "eivreg",
        "epitab",
        "esttab",
        "eststo",
        "etpoisson",
        "factor",
        "fracpoly",
        "frame",
        "frontier",
        "gee",
        "gmm",
        "gprobit",
        "gsem",
        "heckman",
        "heckprob",
        "hetprob",
        "hsearch",
        "ice",
        "icd10",
        "inspect",
        "intreg",
        "irf",
        "irt",
        "ivreg",
        "ivregress",
        "jackknife",
        "joinby",
        "ksmirnov",
        "ktau",
        "kwallis",
        "ladder",
        "lnskew0",
        "logistic",
        "loneway",
        "lookfor",
        "macro",
        "manova",
        "mata",
        "median",
        "meglm",
        "melogit",
        "meologit",
        "meoprobit",
        "mepoisson",
        "meprobit",
        "meqrlogit",
        "meqrpoisson",
        "mecloglog",
        "menbreg",
        "mestreg",
        "mim",
        "mi",
        "mixed",
        "mkspline",
        "ml",
        "mprobit",
        "nbreg",
        "newey",
        "nl",
        "nlogit",
        "nptrend",
        "odbc",
        "orthog",
        "orthpoly",
        "outfile",
        "outreg2",
        "pca",
        "permute",
        "pkexamine",
        "plot",
        "polychoric",
        "post",
        "postfile",
        "postclose",
        "prais",
        "prtest",
        "pwmean",
        "qreg",
        "ranksum",
        "reg3",
        "regress",
        "rename",
        "ritest",
        "rocfit",
        "rologit",
        "rotate",
        "runtest",
        "scobit",
        "sdtest",
        "sem",
        "simulate",
        "sktest",
        "slogit",
        "smooth",
        "spearman",
        "spikeplot",
        "ssc",
        "statsby",
        "stcox",
        "stcrreg",
        "streg",
        "stset",
        "stsplit",
        "stsum",
        "suest",
        "sureg",
        "svy",
        "svyset",
        "swilk",
        "table1",
        "tetrachoric",
        "tnbreg",
        "tobit",
        "tpoisson",
        "truncreg",
        "ttest",
        "tsfill",
        "tssmooth",
        "var",
        "vec",
        "vwls",
        "xpose",
        "xtabond",
        "xtcloglog",
        "xtdata",
        "xtfrontier",
        "xtgee",
        "xtgls",
        "xthtaylor",
        "xtintreg",
        "xtivreg",
        "xtlogit",
        "xtmelogit",
        "xtmepoisson",
        "xtmixed",
        "xtnbreg",
        "xtpoisson",
        "xtologit",
        "xtoprobit",
        "xtprobit",
        "xtrc",
        "xtreg",
        "xttab",
        "xttobit",
        "xttrans",
        "zinb",
        "zip",
        "marginscontrast",
        "nestreg",
        "stepwise",
        "python",
        "putexcel",
        "putdocx",
        "infix",
        "levels",
        "unab",
        "numlist",
        "tsline",
        "xtile",
        "pctile",
        "cutil",
        "bysort",
    ]
)
"""Commands of Stata that are not part of the language here."""


def find_command(word: str) -> Command | None:
    """Return the command a word means, perhaps abbreviated."""
    exact = COMMANDS.get(word)
    if exact is not None:
        return exact
    for command in COMMANDS.values():
        if len(word) >= command.least and command.name.startswith(word):
            return command
    return None


def unknown_command(word: str, span: Span) -> UnknownCommand:
    """Return the error for a word that is no command here."""
    if word in REAL:
        return UnknownCommand(
            f"command {word} is a command of Stata that this program does not have",
            span=span,
            hint="gllamm fits multilevel and latent variable models of every kind",
        )
    return UnknownCommand(
        f"command {word} is unrecognized", span=span, hint=suggestion(word, list(COMMANDS))
    )
