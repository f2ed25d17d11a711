"""Loops, conditions, programs, prefixes and errors of scripts."""

from importlib import import_module

import pandas as pd
import pytest
from scripts import failure, printed, run_do

from gllamm_cli.errors import UnknownCommand
from gllamm_cli.interpret.interpreter import Interpreter
from gllamm_cli.interpret.table import COMMANDS, find_command
from gllamm_cli.session import Session
from gllamm_cli.stata.source import without_prompts

FRAME = pd.DataFrame({"g": [1.0, 1, 2, 2, 2], "x": [5.0, 3, 4, 1, 2]})


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("foreach x in a \"b c\" d {\n    display \"`x'\"\n}", ["a", "b c", "d"]),
        ("foreach x of numlist 1/3 5(5)15 {\n display `x'\n}", ["1", "2", "3", "5", "10", "15"]),
        ("local l p q\nforeach x of local l {\n display \"`x'\"\n}", ["p", "q"]),
        ("foreach x of newlist v1-v3 {\n display \"`x'\"\n}", ["v1", "v2", "v3"]),
        ("forvalues i = 10(-5)1 {\n display `i'\n}", ["10", "5"]),
        ("forvalues i = 0(.5)1 {\n display `i'\n}", ["0", ".5", "1"]),
        ("forval i=1/2 {\n forval j=1/2 {\n  display `i'`j'\n }\n}", ["11", "12", "21", "22"]),
        ("local i 0\nwhile `i' < 3 {\n local ++i\n display `i'\n}", ["1", "2", "3"]),
        ("if 2 > 1 {\n display \"yes\"\n}\nelse {\n display \"no\"\n}", ["yes"]),
        ("if 0 {\n display 1\n}\nelse if 1 {\n display 2\n}\nelse {\n display 3\n}", ["2"]),
        ("if 0 {\n display 1\n} \nelse if 0 {\n display 2\n}\nelse {\n display 3\n}", ["3"]),
        ("if 1 display 5\nelse display 6", ["5"]),
        ("if 0 display 5\nelse display 6", ["6"]),
        ("forval i = 1/4 {\n if `i'==2 continue\n if `i'==4 continue, break\n display `i'\n}",
         ["1", "3"]),
        ("quietly display 1\ndisplay 2", ["2"]),
        ("quietly {\n display 1\n noisily display 2\n}", ["2"]),
        ("capture nosuch\ndisplay _rc", ["199"]),
        ("capture display 1\ndisplay _rc", ["0"]),
        ("capture noisily display 1", ["1"]),
        ("cap noi foreach x of varlist zz* {\n}\ndisplay _rc",
         ["variable zz* not found", "  zz*", "  ^^^", "r(111);", "111"]),
        ("#delimit ;\ndisplay\n 1 +\n 2;\n#delimit cr\ndisplay 4", ["3", "4"]),
        ("display 1 /* a\n b */ + 2 // c\n* comment\ndisplay /// c\n 7", ["3", "7"]),
        ("version 14\ndisplay 1", ["1"]),
        ("display 1\nexit\ndisplay 2", ["1"]),
    ],
)  # fmt: skip
def test_flow(script, lines):
    assert printed(script) == lines


def test_a_loop_over_variables_gives_full_names():
    assert printed('foreach v of varlist g-x {\n display "`v\'"\n}', frame=FRAME) == ["g", "x"]


def test_by_counts_within_groups():
    script = """
bysort g (x): gen n = _n
by g: gen last = x[_N]
by g: gen before = x[_n-1]
by g: egen total = total(x)
by g: gen s = sum(x)
"""
    session, _, error = run_do(script, frame=FRAME)
    assert error is None
    data = session.dataset
    assert data.column("x").tolist() == [3, 5, 1, 2, 4]
    assert data.column("n").tolist() == [1, 2, 1, 2, 3]
    assert data.column("last").tolist() == [5, 5, 4, 4, 4]
    assert data.column("total").tolist() == [8, 8, 7, 7, 7]
    assert data.column("s").tolist() == [3, 8, 1, 3, 7]
    assert printed("list before", frame=data.frame)[3:6] == [
        "     |--------|",
        "  1. |      . |",
        "  2. |      3 |",
    ]


def test_by_repeats_commands_with_headings():
    lines = printed("bysort g: count", frame=FRAME)
    assert lines == ["", "-" * 79, "-> g = 1", "  2", "", "-" * 79, "-> g = 2", "  3"]


def test_by_needs_sorted_data():
    frame = FRAME.iloc[::-1].reset_index(drop=True)
    assert failure("by g: gen n = _n", frame=frame).rc == 5


def test_programs_take_arguments_and_return_results():
    script = """
program define twice
    args x
    return scalar twice = 2*`x'
end
twice 21
display r(twice)
program drop twice
capture twice 1
display _rc
"""
    assert printed(script) == ["42", "199"]


def test_syntax_reads_variables_conditions_and_options():
    script = """
program define show
    syntax varlist [if] [in] [, Detail STub(string) N(integer)]
    display "`varlist' | `if' | `stub' | `detail' | `n'"
end
show g x if x > 2, d st(abc) n(3)
capture show g, nosuch
display _rc
"""
    assert printed(script, frame=FRAME) == ["g x | if x > 2 | abc | detail | 3", "198"]


def test_preserved_data_come_back_even_after_an_error():
    script = "preserve\ndrop if g==1\ncount\nrestore\ncount\npreserve\ndrop x\nnosuch"
    session, lines, error = run_do(script, frame=FRAME)
    assert [line.strip() for line in lines if line.strip().isdigit()] == ["3", "5"]
    assert error.rc == 199
    assert session.dataset.names == ("g", "x")


def test_an_error_ends_the_script_and_names_its_place():
    _, lines, error = run_do("display 1\n\n* x\nsummarize zz\ndisplay 2", frame=FRAME)
    assert lines == [
        "1",
        "variable zz not found",
        "  summarize zz",
        "            ^^",
        "(test.do, line 4)",
        "r(111);",
        "",
        "end of do-file",
        "",
        "r(111);",
    ]
    assert error.place == "test.do, line 4"


def test_the_place_is_that_of_the_line_in_a_loop():
    assert failure("forval i = 1/2 {\n  display 1\n  nosuch `i'\n}").place == "test.do, line 3"


def test_continue_goes_on_after_errors():
    _, lines, error = run_do("nosuch\ndisplay 2\nnever", keep_going=True)
    assert "2" in lines
    assert error.rc == 199


@pytest.mark.parametrize(
    ("script", "rc"),
    [
        ("forvalues i = 1/3 {\n display 1", 198),
        ("}", 198),
        ("else {\n}", 198),
        ("foreach x {\n}", 198),
        ("forvalues i = 1(0)3 {\n}", 198),
        ("exit 7", 7),
        ("error 123", 123),
        ("program define p\nend\nprogram define p\nend", 110),
        ("restore", 622),
        ("preserve\npreserve", 621),
        ("do nosuchfile", 601),
        ("program define p\n p\nend\np", 1),
        ("if x=1 display 1", 101),
        ("local 1a:b = 3", 198),
        ("asmprobit y x", 199),
        ("frobnicate", 199),
    ],
)
def test_errors(script, rc):
    assert failure(script).rc == rc


def test_commands_of_stata_outside_the_language_are_named():
    error = failure("asmprobit y x")
    assert isinstance(error, UnknownCommand)
    assert "command of Stata that this program does not have" in error.message
    assert "gllamm" in error.hint
    assert "unrecognized" in failure("frobnicate").message
    assert failure("summarise x").hint.startswith("did you mean summarize")


def test_loops_have_a_limit():
    assert failure("while 1 {\n}", most_passes=1000).rc == 1


def test_lenient_blocks_end_by_indentation():
    script = "foreach x in a b {\n   forvalues i=1/2 {\n     display \"`x'`i'\"\ndisplay 9"
    assert printed(script, lenient=True) == ["a1", "a2", "b1", "b2", "9"]


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (". display 1 ///\n>    + 2", ["3"]),
        (". display 1 /// one\n>    + 2 ///\n> + 3\n. display 4", ["6", "4"]),
        (". display 1\n> + 2", ["3"]),
        (". display 1 /*\n> */ + 2", ["3"]),
        (". * a comment ///\n> display 1\n. display 2", ["2"]),
        (". forvalues i=1/2 {\n  2.     display `i'\n  3. }\n. display 9", ["1", "2", "9"]),
        (". forvalues i=1/2 {\n  2. display `i'\n  3. }", ["1", "2"]),
        (
            ". forvalues i=1/2 {\n  2. foreach x in a b {\n  3. display \"`x'`i'\"\n"
            "  4. }\n  5. display ///\n>  `i'\n  6. }\n\n. display 9",
            ["a1", "b1", "1", "a2", "b2", "2", "9"],
        ),
    ],
)
def test_prompts_of_a_pasted_log_are_skipped(log, lines):
    assert printed(without_prompts(log), lenient=True) == lines


def test_lines_of_a_pasted_log_keep_their_numbers():
    assert without_prompts(". a ///\n> b\n. c") == "a ///\nb\nc"


def test_nested_scripts_have_their_own_locals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inner.do").write_text('local a 2\ndisplay "`1\'"\nglobal g 5\n')
    assert printed("local a 1\ndo inner.do hello\ndisplay `a' $g") == ["hello", "15"]
    assert printed("run inner.do hello\ndisplay 3") == ["3"]
    assert printed("include inner.do\ndisplay `a'") == ["", "2"]


def test_every_command_has_its_function():
    """The table names functions that are loaded only when used."""
    for command in COMMANDS.values():
        module, _, function = command.handler.partition(":")
        assert callable(getattr(import_module(f"gllamm_cli.interpret.{module}"), function))


def test_shortest_forms_are_those_of_stata():
    shortest = {
        "g": "generate", "su": "summarize", "ta": "tabulate", "l": "list", "d": "describe",
        "di": "display", "mat": "matrix", "sca": "scalar", "loc": "local", "gl": "global",
        "u": "use", "sa": "save", "ren": "rename", "reg": "regress", "est": "estimates",
        "cons": "constraint", "eret": "ereturn", "ret": "return", "la": "label", "so": "sort",
        "cou": "count", "mer": "merge", "app": "append", "cor": "correlate", "pres": "preserve",
        "te": "test", "pois": "poisson", "as": "assert",
    }  # fmt: skip
    assert {word: find_command(word).name for word in shortest} == shortest
    for whole in ("replace", "drop", "keep", "egen", "recode", "reshape", "collapse", "gllamm"):
        assert find_command(whole[:-1]) is None or find_command(whole[:-1]).name != whole


def test_statements_of_a_program_are_not_shown_when_it_is_called():
    typed = []
    session = Session()
    interpreter = Interpreter(session, lambda outcome: None, echo=typed.extend)
    interpreter.run_text("program define p\ndisplay 1\nend\np\ndisplay 2")
    assert typed == ["program define p", "display 1", "end", "p", "display 2"]
