"""The answers to the exercises, as they stand in the notebooks under solutions/."""

import ast
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import WorkshopError
from ..files import CHECKOUT

_MARK = re.compile(r"^.*\b(BEGIN|END) SOLUTION\b.*\n?", re.MULTILINE)
# The cell of an answer in SQL holds that and nothing else, below this line. One in Python calls check().
SQL_CELL = re.compile(r"\s*%%sql[ \t]+(?P<exercise>[\d.]+)[ \t]*\n")
_CHECK = re.compile(r"""^check\(\s*["'](?P<exercise>[\d.]+)["']\s*,\s*(?P<answer>\w+)""", re.MULTILINE)


def reference_answer(exercise_id: str) -> str:
    """Return the reference answer to an exercise: SQL, or the imports and functions of its cell.

    Raises:
        WorkshopError: the notebooks under solutions/ are not what they were.
    """
    try:
        return answer_in(CHECKOUT / "solutions", exercise_id)
    except (OSError, ValueError, LookupError, TypeError, SyntaxError) as error:
        raise WorkshopError(
            f"The reference answer to {exercise_id} cannot be read from {CHECKOUT / 'solutions'}: {error}.",
            "Somebody changed a notebook there. Bring it back: `git checkout -- solutions`, or install the kit again.",
        ) from None


@cache
def reference_function(exercise_id: str, *changes: tuple[str, str]) -> Callable:
    """Return the reference answer to an exercise in Python: the function, loaded from its text.

    Args:
        changes: what is written in the text instead of what.
    """
    text = reference_answer(exercise_id)
    for old, new in changes:
        assert old in text, f"the reference answer to {exercise_id} does not say {old!r}"
        text = text.replace(old, new)
    variables: dict[str, Any] = {"__name__": f"reference_{exercise_id}"}
    exec(compile(text, f"<the reference answer to {exercise_id}>", "exec"), variables)
    return variables[name_of_answer(exercise_id)]


def name_of_answer(exercise_id: str) -> str:
    """Return the name under which a notebook passes its answer to check(); "" for SQL, which has none."""
    found = check_in(_cell_of(CHECKOUT / "solutions", exercise_id))
    return found.groupdict().get("answer", "") if found else ""


def answer_in(folder: Path, exercise_id: str) -> str:
    """Return what stands as the answer to an exercise in the notebooks of a folder.

    Raises:
        LookupError: no cell there checks this exercise.
    """
    return source_of_answer(_cell_of(folder, exercise_id), exercise_id)


def _cell_of(folder: Path, exercise_id: str) -> str:
    # Those with the marks of a solution come first: in others somebody tried something.
    for cell in sorted(_code_cells(folder), key=lambda cell: "BEGIN SOLUTION" not in cell):
        if (found := check_in(cell)) and found["exercise"] == exercise_id:
            return cell
    raise LookupError(f"no notebook in {folder} checks exercise {exercise_id}")


@dataclass(frozen=True)
class Way:
    """Another answer than the reference's, by what differs.

    Attributes:
        instead_of: a part of the reference answer.
        write: what stands in its place.
        why: what speaks for it and for the reference, or why it is wrong.
    """

    instead_of: str
    write: str
    why: str

    def whole(self, reference: str) -> str:
        """Return the whole answer."""
        assert self.instead_of in reference, f"the reference answer does not say: {self.instead_of}"
        return reference.replace(self.instead_of, self.write)


@cache
def other_ways() -> dict[str, dict[str, Way]]:
    """Return, by exercise, `another` way that holds, and the classic choice that is `wrong`."""
    found = tomllib.loads(Path(__file__).with_name("ways.toml").read_text(encoding="utf-8"))
    return {
        exercise_id: {kind: Way(**{name: text.strip("\n") for name, text in way.items()}) for kind, way in ways.items()}
        for exercise_id, ways in found.items()
    }


def check_in(cell: str) -> re.Match | None:
    """Return where a cell checks an answer: to which `exercise` and, in Python, the name of the `answer`."""
    return SQL_CELL.match(cell) or _CHECK.search(cell)


def source_of_answer(cell: str, exercise_id: str) -> str:
    """Return the answer in a cell: its SQL, or the text that it passes to check(), or its imports and definitions."""
    cell = _MARK.sub("", cell)
    if sql := SQL_CELL.match(cell):
        return cell[sql.end() :].strip()
    module = ast.parse(cell)
    (name,) = (
        node.args[1].id
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and len(node.args) == 2 and isinstance(node.args[1], ast.Name)
        if isinstance(node.args[0], ast.Constant) and node.args[0].value == exercise_id
    )
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return ast.literal_eval(node.value).strip()
    return definitions_in(cell)


def definitions_in(cell: str) -> str:
    """Return the imports and definitions of a cell, with the variables that these use, without what it runs."""
    body = ast.parse(cell).body
    imports = [ast.unparse(node) for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    definitions = [node for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    used = {part.id for node in definitions for part in ast.walk(node) if isinstance(part, ast.Name)}
    kept = [node for node in body if node in definitions or _assigned(node) & used or _is_lambda(node)]
    return "\n\n\n".join(part for part in ("\n".join(imports), *(_whole(cell, node) for node in kept)) if part)


def _assigned(node: ast.stmt) -> set[str]:
    if not isinstance(node, (ast.Assign, ast.AnnAssign)):
        return set()
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}


def _is_lambda(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)


def _whole(cell: str, node: ast.stmt) -> str:
    """Return the source of a statement, its decorators included."""
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    return "\n".join(cell.splitlines()[first - 1 : node.end_lineno])


@cache
def _code_cells(folder: Path) -> list[str]:
    return [
        "".join(cell["source"])
        for path in sorted(folder.glob("[0-9]*.ipynb"))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
