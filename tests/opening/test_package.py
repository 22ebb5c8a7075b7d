"""The kit as a package: what its wheel carries, and that a learner who has nothing else can work with it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import nbformat
import pytest

from workshop.files import CHECKOUT
from workshop.making import bundle

pytest.importorskip("hatchling", reason="comes with requirements-dev.txt")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        f"--wheel-dir={folder}",
    ]
    subprocess.run([*command, CHECKOUT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """The wheel, unpacked: what is imported from there is what was installed."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "packages")
    return tmp_path / "packages"


def run(installed: Path, code: str, folder: Path) -> str:
    outside = {name: value for name, value in os.environ.items() if name not in ("WORKSHOP_FOLDER", "MY_EVENTSTORE")}
    environment = outside | {"PYTHONPATH": str(installed), "HOME": str(folder), "USERPROFILE": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_carries_what_is_read_from_the_checkout(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("notebooks", "solutions", "tests/conformance"):
        for path in (CHECKOUT / folder).glob("*.*"):
            assert f"workshop/kit/{folder}/{path.name}" in names
    for package in ("eventstore", "workshop"):
        for path in (CHECKOUT / package).rglob("*.*"):
            if path.suffix not in (".pyc",) and "kit" not in path.parts:
                assert path.relative_to(CHECKOUT).as_posix() in names
    others = {name.split("/")[0] for name in names} - {"eventstore", "workshop"}
    assert all(name.endswith(".dist-info") for name in others), others


def test_the_conformance_tests_come_with_all_they_import() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    carried = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"])
    todo = [CHECKOUT / "conftest.py", CHECKOUT / "tests/conftest.py", *(CHECKOUT / "tests/conformance").glob("*.py")]
    seen: set[Path] = set()
    while todo:
        path = todo.pop()
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("tests.")):
                below = path.parent if node.level == 1 else CHECKOUT
                for name in [node.module] if node.module else [alias.name for alias in node.names]:
                    if (found := below / f"{name.replace('.', '/')}.py").is_file() and found not in seen:
                        todo.append(found)
    for path in seen:
        name = path.relative_to(CHECKOUT).as_posix()
        assert name in carried or path.parent == CHECKOUT / "tests/conformance", f"{name} is not in the wheel"


def test_its_folder_is_in_the_learners_home(installed: Path, tmp_path: Path) -> None:
    code = "from workshop.files import CHECKOUT, learners_folder; print(CHECKOUT, learners_folder(), sep='\\n')"
    kit, folder = run(installed, code, tmp_path).splitlines()
    assert Path(kit) == installed / "workshop" / "kit" and Path(folder) == tmp_path / "event-store"


def test_a_learner_has_all_of_it(
    installed: Path, tmp_path: Path, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command lays out the folder; there notebook 00 runs, answers are kept, and the store is tested."""
    monkeypatch.setenv("DATABASE_URL", postgres.url)
    run(installed, "from workshop.opening.command import main; main(['lay-out'])", tmp_path)
    folder = tmp_path / "event-store"
    notebook = folder / "notebooks/00_welcome.ipynb"
    more = """
solution("00.1")
from workshop.checks.answers import reference_answer
check("01.2", reference_answer("01.2"))
from workshop.my_store.conformance import conformance
conformance("my_eventstore", "G1", brief=True)
"""
    cells = nbformat.read(notebook, as_version=4)
    cells.cells.append(nbformat.v4.new_code_cell(more))
    nbformat.write(cells, notebook)
    ran = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to=notebook", "--execute", "--stdout", notebook], cwd=tmp_path,
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(installed), "WORKSHOP_FOLDER": ""},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    kept = "Kept as my_eventstore/schema/10_streams.sql"
    for said in ("schema 00_welcome", "not started", "def balance(history):", kept, "met: G1"):
        assert said in ran.stdout
    assert (folder / "my_eventstore/schema/10_streams.sql").exists()


# What takes minutes: everything from nothing.


def lab(command: list[str], home: Path) -> Iterator[tuple[dict[str, Any], float]]:
    """Start JupyterLab by a learner's line; yield what it says of itself, and after how many seconds it was there."""
    home.mkdir(exist_ok=True)
    others = ("JUPYTER", "IPYTHON", "XDG_", "PIP_", "UV_", "WORKSHOP_", "MY_", "VIRTUAL_ENV", "DATABASE_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    begin = time.monotonic()
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--no-browser", "--port=0"], cwd=home, env=environment, stdout=log, stderr=log
        )
    try:
        while True:
            assert process.poll() is None and time.monotonic() - begin < 300, (home / "log").read_text()
            for path in (home / "runtime").glob("jpserver-*.json"):
                time.sleep(0.2)  # it is being written
                yield json.loads(path.read_text()), time.monotonic() - begin
                return
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(30)


def opens_on_00(command: list[str], home: Path) -> None:
    for server, seconds in lab(command, home):
        print(f"{seconds:.1f} s from the line to JupyterLab")
        assert server["root_dir"] == str(home / "event-store")
        page = urlopen(f"{server['url']}lab/tree/notebooks/00_welcome.ipynb?token={server['token']}")
        assert page.status == 200
        kernel = re.search("kernel: (.*)\n", (home / "log").read_text())
        assert kernel
        code = "import os; os.chdir(os.path.expanduser('~/event-store/notebooks'))\n" + (
            "from workshop import start; db = start('00_welcome'); print(db.execute('SELECT 6 * 7').fetchone())"
        )
        environment = {"HOME": str(home), "USERPROFILE": str(home), "PATH": os.environ["PATH"]}
        said = subprocess.run([kernel[1], "-c", code], env=environment, capture_output=True, text=True)
        assert "(embedded), schema 00_welcome, empty." in said.stdout and "(42,)" in said.stdout, said.stderr


@pytest.mark.long
def test_with_pip_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", wheel], check=True)
    opens_on_00([str(programs / "event-store-workshop")], tmp_path / "Ada's Büro")


@pytest.mark.long
def test_with_uv(wheel: Path, tmp_path: Path) -> None:
    uvx = shutil.which("uvx", path=str(Path(sys.executable).parent)) or pytest.skip(
        "uv comes with requirements-dev.txt"
    )
    opens_on_00([uvx, f"--python={sys.executable}", f"--from={wheel}", "event-store-workshop"], tmp_path / "Ada's Büro")


@pytest.mark.long
def test_from_a_memory_stick(tmp_path: Path) -> None:
    """Of which pip is told that there is no index, and which has no other packages than those for this machine."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("tried on Linux, x86_64")
    stick = tmp_path / "stick"
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    bundle.make_bundle(stick, [python], ["x86_64-manylinux_2_34"])
    assert "python3 install.py" in (stick / "README.txt").read_text()
    opens_on_00([sys.executable, str(stick / "install.py")], tmp_path / "Ada's Büro")
