"""The house: imports run one way, a package's face holds names alone, and the commands of a room are light."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from workshop.files import CHECKOUT

CODE = [path for wing in ("eventstore", "workshop") for path in sorted((CHECKOUT / wing).rglob("*.py"))]
FACES = [path for path in CODE if path.name == "__init__.py"]


def test_imports_run_one_way() -> None:
    """The layers are in pyproject.toml."""
    assert lint_imports(config_filename=str(CHECKOUT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize("face", FACES, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_a_packages_face_holds_names_alone(face: Path) -> None:
    docstring, *body = ast.parse(face.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    for node in body:
        names = isinstance(node, (ast.Import, ast.ImportFrom)) or (
            isinstance(node, ast.Assign) and isinstance(node.value, (ast.List, ast.Tuple))
        )
        looked_up_late = isinstance(node, ast.FunctionDef) and node.name == "__getattr__"
        assert names or looked_up_late


@pytest.mark.parametrize("module", ["workshop.room", "workshop.room.__main__", "workshop.server.joining"])
def test_the_commands_of_a_room_are_light(module: str) -> None:
    """A hub, and an instructor's shell, load neither pandas nor a notebook's kernel, and no exercise."""
    heavy = "{'pandas', 'numpy', 'IPython', 'matplotlib', 'eventsourcing', 'workshop.checks', 'workshop.display'}"
    code = f"import {module}, sys; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def declared(*files: str) -> set[str]:
    """Return the packages that the kit asks for itself, and those in files of requirements."""
    lines = [line for file in files for line in (CHECKOUT / file).read_text(encoding="utf-8").splitlines()]
    lines += tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = (re.match(r"[a-zA-Z][\w.-]*", line) for line in lines)
    return {normal(name[0]) for name in names if name}


def normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level modules that a file imports from others, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_what_is_imported_is_declared() -> None:
    """And not left to another package, which may do without it one day."""
    brings = packages_distributions()
    for_learners, for_developers = declared(), declared("requirements.txt", "requirements-dev.txt")
    for path in CODE:
        expected = for_developers if "making" in path.parts else for_learners
        for module in {*imported(path)} - sys.stdlib_module_names - {"eventstore", "workshop"}:
            assert {normal(package) for package in brings[module]} & expected, f"{path}: {module}"
