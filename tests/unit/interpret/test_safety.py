"""Scripts can neither run programs nor write where they may not."""

import gc
from pathlib import Path

import pytest
from scripts import failure, printed, run_do

from gllamm_cli.interpret.permissions import Permissions
from gllamm_cli.session import Session


@pytest.mark.parametrize(
    "script", ["shell ls", "!ls", "! touch x", "erase a.dta", "rm a.dta", "mkdir d", "copy a b"]
)
def test_the_machine_is_out_of_reach(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.dta").write_text("x")
    error = failure(script)
    assert error.rc == 198
    assert "refused" in error.message
    assert (tmp_path / "a.dta").exists()
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "script",
    [
        "save ../out.dta",
        "save /tmp/gllamm_out.dta, replace",
        "export delimited using ../out.csv",
        "log using ../out.log",
        "cd ..\nsave out.dta",
    ],
)
def test_files_are_written_below_the_working_directory_only(script, tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    error = failure(f"set obs 2\ngen x = _n\n{script}")
    assert error.rc == 198
    assert "--allow-write" in error.hint
    assert not list(tmp_path.glob("out.*"))


def test_permissions_open_what_they_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    permissions = Permissions((other,), shell=True)
    script = f'set obs 2\ngen x = _n\nsave "{other}/a.dta"\n!echo hello\nerase "{other}/a.dta"'
    _, lines, error = run_do(script, permissions=permissions)
    assert error is None
    assert "hello" in lines
    assert not list(other.iterdir())


def test_files_are_not_overwritten_unasked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = "set obs 2\ngen x = _n\nsave a\n"
    assert failure(f"{script}save a").rc == 602
    assert "file a.dta saved" in printed(f"{script.replace('save a', 'save a, replace')}")


def test_unsaved_data_are_not_lost_unasked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert failure("set obs 2\ngen x = _n\nsave a\nreplace x = 3\nuse a").rc == 4
    assert printed("set obs 2\nquietly gen x = _n\nquietly save b\nuse b\ndisplay x[2]")[-1] == "2"


def test_a_log_holds_what_is_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_do("display 1\nlog using a, text\ndisplay 2\nlog close\ndisplay 3")
    text = (tmp_path / "a.log").read_text().splitlines()
    assert "2" in text
    assert "1" not in text
    assert "3" not in text
    assert failure("log using b\nlog using c").rc == 604
    assert failure("log close").rc == 606


def test_temporary_files_can_be_written_and_go_with_the_session(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = """
set obs 3
gen x = _n
tempfile t
save `t'
drop if x > 1
append using `t'
count
"""
    assert printed(script)[-1] == "  4"
    assert not list(tmp_path.iterdir())


def test_temporary_files_are_gone_after_the_session():
    session = Session()
    folder = Path(session.temporary_file()).parent
    assert folder.is_dir()
    del session
    gc.collect()
    assert not folder.exists()


def test_what_the_system_refuses_is_an_error_of_the_script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert failure("set obs 1\ngen x = 1\nsave nosuch/a.dta").rc == 603
