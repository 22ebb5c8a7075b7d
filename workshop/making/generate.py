"""Generate notebooks/, what a learner opens, from solutions/, the one source.

`python -m workshop.making.generate` writes them. Answers and outputs are taken out by nbgrader's own preprocessors;
where an answer stood, there is `...` now.
"""

import sys
from pathlib import Path

import nbformat
from nbgrader.preprocessors import ClearOutput, ClearSolutions

from ..files import CHECKOUT
from .grade_cells import is_grade_cell
from .grading import IS_SOLUTION

# What CI runs of an unsolved notebook must not fail, but its outputs are compared with nothing.
_IGNORE_OUTPUT = "nbval-ignore-output"
# What takes long and is the same solved or not runs once, in solutions/.
_SOLVED_ONLY, _SKIP = "solved-only", "nbval-skip"
# Where the kit is not installed, its first import fails, and this line is shown with it.
_WRONG_PYTHON = '# "No module named ..."? Choose another kernel, at the top right: the Python that has the kit.\n'


def without_answers(solved: Path) -> str:
    """Return the notebook that a learner opens, as the text of its file.

    Raises:
        RuntimeError: a solution region is opened and not closed, or the other way round.
    """
    notebook = nbformat.read(solved, as_version=4)
    # Whoever learns without being graded meets nothing of the grading.
    notebook.cells = [cell for cell in notebook.cells if not is_grade_cell(cell)]
    for cell in notebook.cells:
        cell.metadata.pop("nbgrader", None)
    clear_answers = ClearSolutions(code_stub={"python": "..."}, enforce_metadata=False)
    notebook, resources = clear_answers.preprocess(notebook, {})
    notebook, _ = ClearOutput().preprocess(notebook, resources)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if IS_SOLUTION in cell.source:
                cell.source = _WRONG_PYTHON + cell.source.replace(IS_SOLUTION, ")")
            tags = {*cell.metadata.get("tags", []), _IGNORE_OUTPUT}
            cell.metadata["tags"] = sorted(tags | {_SKIP} if _SOLVED_ONLY in tags else tags)
    return nbformat.writes(notebook) + "\n"


def main() -> None:
    """Write notebooks/, and remove there what has no source any more."""
    folder = CHECKOUT / "notebooks"
    folder.mkdir(exist_ok=True)
    sources = sorted((CHECKOUT / "solutions").glob("*.ipynb"))
    for solved in sources:
        (folder / solved.name).write_text(without_answers(solved), encoding="utf-8")
    for stray in {path.name for path in folder.glob("*.ipynb")} - {path.name for path in sources}:
        (folder / stray).unlink()
        print(f"removed notebooks/{stray}: it has no source in solutions/", file=sys.stderr)


if __name__ == "__main__":
    main()
