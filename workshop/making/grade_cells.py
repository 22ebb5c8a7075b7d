"""nbgrader's marks in solutions/: which cell is an answer, and below it the cell that its points are taken from.

`python -m workshop.making.grade_cells` brings them up to date; `make outputs` begins with it. They follow from the
exercises, so nobody writes them by hand.
"""

import re
from typing import Any

import nbformat
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode

from ..checks.answers import check_in
from ..checks.course import EXERCISES
from ..files import CHECKOUT
from .grading import IS_SOLUTION, points_for

_SOURCE = """\
# Points, for a course that grades with nbgrader. There is nothing to do here.
from workshop.making.grading import grade

grade("{exercise}"{answer})"""


def is_grade_cell(cell: NotebookNode) -> bool:
    """Whether nbgrader takes points from this cell."""
    return cell.metadata.get("nbgrader", {}).get("grade", False)


def add_grade_cells(notebook: NotebookNode) -> None:
    """Mark the answers in a notebook, and put below each the cell that grades it.

    Where several cells check one exercise, the last counts. A grading cell that is there already keeps its output; one
    whose exercise is gone goes, too.
    """
    before = {cell.id: cell for cell in notebook.cells if is_grade_cell(cell)}
    cells = [cell for cell in notebook.cells if not is_grade_cell(cell)]
    checks = [check_in(cell.source) if cell.cell_type == "code" else None for cell in cells]
    last = {check["exercise"]: check for check in checks if check}
    notebook.cells = []
    for cell, check in zip(cells, checks, strict=True):
        cell.metadata.pop("nbgrader", None)
        notebook.cells.append(cell)
        if check and check is last[check["exercise"]] and (exercise := EXERCISES.get(check["exercise"])):
            number = exercise.id.replace(".", "-")
            cell.metadata["nbgrader"] = _marks(f"answer-{number}", solution=True)
            below = before.get(f"grade-{number}") or nbformat.v4.new_code_cell(id=f"grade-{number}")
            answer = check.groupdict().get("answer")  # what %%sql holds has no name: it is what was checked last
            below.source = _SOURCE.format(exercise=exercise.id, answer=f", {answer}" if answer else "")
            below.metadata["nbgrader"] = _marks(below.id, grade=True, locked=True, points=points_for(exercise))
            notebook.cells.append(below)


def say_that_it_is_solved(notebook: NotebookNode) -> None:
    """Have the set-up cell say that this is a solution."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = re.sub(r'^(db = start\("\w+")\)', rf"\1{IS_SOLUTION}", cell.source, flags=re.MULTILINE)


def _marks(grade_id: str, **marks: bool | int) -> dict[str, bool | int | str]:
    none = {"grade": False, "locked": False, "solution": False, "task": False}
    return {**none, **marks, "grade_id": grade_id, "schema_version": 3}


class MendMarks(Preprocessor):
    """For nbgrader's `autograde`: what a learner may hand in, and nbgrader alone would stumble over.

    A notebook as it comes with the kit has no marks, and would get no points. A cell that was copied has the marks of
    another, and nbgrader would grade neither this submission nor those after it.
    """

    enabled = True

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        if not any("nbgrader" in cell.metadata for cell in nb.cells):
            add_grade_cells(nb)
        seen = set()
        for cell in reversed(nb.cells):  # of copies nbgrader, too, takes the last
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            if grade_id in seen:
                del cell.metadata["nbgrader"]
            elif grade_id:
                seen.add(grade_id)
        return nb, resources


def main() -> None:
    """Bring the marks in solutions/ up to date. What has them right is not touched."""
    for path in sorted((CHECKOUT / "solutions").glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        notebook = nbformat.reads(text, as_version=4)
        add_grade_cells(notebook)
        say_that_it_is_solved(notebook)
        marked = nbformat.writes(notebook) + "\n"
        if marked != text:
            path.write_text(marked, encoding="utf-8")
            print(f"solutions/{path.name}: marks for grading brought up to date")


if __name__ == "__main__":
    main()
