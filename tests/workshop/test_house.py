"""The house: imports run one way, a package's face holds names alone, and the commands of a room are light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from workshop.files import CHECKOUT

FACES = [path for wing in ("eventstore", "workshop") for path in sorted((CHECKOUT / wing).rglob("__init__.py"))]


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
