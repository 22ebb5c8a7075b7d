"""install.py, and the Makefile that calls it: a virtual environment that works, or a sentence."""

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from workshop.files import CHECKOUT
from workshop.making.bundle import PYTHONS


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", CHECKOUT / "install.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_list_of_pythons(install: ModuleType) -> None:
    assert [f"3.{minor}" for minor in range(install.OLDEST[1], install.NEWEST[1] + 1)] == list(PYTHONS)
    project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">=3.{install.OLDEST[1]},<3.{install.NEWEST[1] + 1}"' in project
    workflow = (CHECKOUT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert f"python: {list(PYTHONS)}".replace("'", '"') in workflow
    assert f"Python {PYTHONS[0]} to {PYTHONS[-1]}" in (CHECKOUT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("version", "name", "said"),
    [
        ((3, 9), "cpython", "Python 3.9: that is older than pandas and matplotlib"),
        ((3, 99), "cpython", "Python 3.99: it was not tried with that, and packages may be missing for it."),
        ((3, 11), "pypy", "pypy 3.11: it was not tried with that"),
    ],
)
def test_another_python_gets_a_sentence(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], name: str, said: str
) -> None:
    here = SimpleNamespace(
        version_info=version, implementation=SimpleNamespace(name=name), executable="x", exit=sys.exit
    )
    monkeypatch.setattr(install, "sys", here)
    with pytest.raises(SystemExit) as ended:
        install.check_version()
    assert said in str(ended.value) and "PYTHON=python3.12" in str(ended.value) and "uvx" in str(ended.value)


def test_a_really_old_python_gets_it_too() -> None:
    """The file itself is read by a Python that knows little."""
    old = [python for python in map(shutil.which, ("python3.6", "python3.7", "python3.8", "python3.9")) if python]
    old = [python for python in old if subprocess.run([python, "-V"], capture_output=True).returncode == 0]
    if not old:
        pytest.skip("no old Python on this machine")
    ran = subprocess.run([old[0], CHECKOUT / "install.py", "--help"], capture_output=True, text=True, cwd="/")
    assert ran.returncode and "that is older than pandas" in ran.stderr or "Installing" in ran.stdout


def test_one_without_pip_is_made_anew(install: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `uv venv` leaves one, and Debian without python3-venv."""
    folder = tmp_path / "ünser .venv"
    venv.create(folder)
    python = install.make_venv(str(folder))
    assert "is made anew" in capsys.readouterr().out
    assert install.works(python) and install.make_venv(str(folder)) == python
    assert capsys.readouterr().out == ""


def test_one_whose_python_is_gone_does_not_work(install: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    os.symlink(tmp_path / "gone", tmp_path / "bin" / "python")
    assert not install.works(str(tmp_path / "bin" / "python"))


def test_one_that_cannot_be_made_leaves_nothing(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(folder: str, **how: object) -> None:
        os.makedirs(folder)
        raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(venv, "create", create)
    with pytest.raises(SystemExit, match="apt install python3-venv"):
        install.make_venv(str(tmp_path / ".venv"))
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(not shutil.which("make"), reason="no make on this machine")
@pytest.mark.parametrize(
    ("said", "installs"),
    [("True", False), ("False", True), ("No module named 'pip'", True), ("", True)],
    ids=["good", "of another folder", "half-made", "broken"],
)
def test_make_installs_where_that_is_needed_alone(tmp_path: Path, said: str, installs: bool) -> None:
    folder = tmp_path / "a folder, ünser"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "install.py", "requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, folder)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f"#!/bin/sh\necho {said!r}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    for stamp in ("lab", "test"):
        (folder / ".venv" / stamp).touch()
    ran = subprocess.run(["make", "--dry-run", "lab"], cwd=folder, capture_output=True, text=True, check=True)
    assert ("install.py" in ran.stdout) is installs, ran.stdout
    assert (folder / ".venv" / "test").exists() is not installs


@pytest.mark.skipif(not shutil.which("make"), reason="no make on this machine")
def test_the_makefiles_look_sees_what_it_looks_for(tmp_path: Path) -> None:
    """The command itself, under the Python of these tests, here and in a copy."""
    (line,) = [line for line in (CHECKOUT / "Makefile").read_text().splitlines() if line.startswith("ifneq ($(shell")]
    code = line.split("-Pc '")[1].split("'")[0]
    for folder, said in ((CHECKOUT, "True\n"), (tmp_path, "False\n")):
        assert subprocess.run([sys.executable, "-Pc", code], cwd=folder, capture_output=True, text=True).stdout == said
