"""The command that opens the kit, and brings it to a new edition."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workshop.errors import WorkshopError
from workshop.opening import command


class Ran(list[list[str]]):
    """What would be run, in place of running it: nothing here installs or pulls."""

    def __init__(self, **codes: int):
        self._codes = codes

    def __call__(self, arguments: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
        self.append([str(each) for each in arguments])
        code = next((code for word, code in self._codes.items() if word in self[-1]), 0)
        return subprocess.CompletedProcess(arguments, code, "", "")


@pytest.mark.parametrize("how", [[], ["-m", "workshop.opening.command"]], ids=["called", "as a module"])
def test_an_update_lays_out_by_the_new_editions_code(how: list[str], tmp_path: Path) -> None:
    code = "from workshop.opening import command; command._update = lambda: print('updated')"
    run = f"command.main(['update', '--folder', {str(tmp_path / 'course')!r}])"
    if how:
        run = f"import runpy, sys; sys.argv = ['x', 'lay-out', '--folder', {str(tmp_path / 'course')!r}]; "
        run += "runpy.run_module('workshop.opening.command', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", f"{code}; {run}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "course/notebooks/00_welcome.ipynb").exists() and "is up to date" in done.stdout


def test_in_a_checkout_it_pulls_and_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = Ran()
    monkeypatch.setattr(subprocess, "run", ran)
    monkeypatch.setattr(command.checkout, "give_back", lambda folder: ["Your changes are in my_course."])
    command._update()
    assert ran[0][0] == "git" and ran[0][-2:] == ["pull", "--ff-only"]
    assert ran[1][1:5] == ["-m", "pip", "install", "--quiet"] and ran[1][-1].endswith("requirements.txt")


def test_what_git_refuses_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", Ran(pull=1))
    monkeypatch.setattr(command.checkout, "give_back", lambda folder: [])
    with pytest.raises(WorkshopError, match="pull --ff-only. failed"):
        command._update()


def test_as_a_package_it_comes_by_pip_or_by_uv_or_it_is_said_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "IS_INSTALLED", True)
    monkeypatch.setattr(subprocess, "run", ran := Ran())
    command._update()
    assert ran[-1][1:] == ["-m", "pip", "install", "--quiet", "--upgrade", "event-store-workshop"]
    monkeypatch.setattr(subprocess, "run", ran := Ran(**{"--version": 1}))
    monkeypatch.setattr(command.shutil, "which", lambda name: "/bin/uv")
    command._update()
    assert ran[-1][:3] == ["/bin/uv", "pip", "install"]
    monkeypatch.setattr(command.shutil, "which", lambda name: None)
    with pytest.raises(WorkshopError, match="neither pip nor uv.*\n.*uvx event-store-workshop@latest"):
        command._update()


def test_a_folder_that_cannot_be_had_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="cannot be laid out.*\n"):
        command.main(["lay-out", "--folder", str(tmp_path / "file")])
