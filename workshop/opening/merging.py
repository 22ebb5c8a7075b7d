"""A new edition of a notebook that a learner has worked in: the new text, with all that is the learner's."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

_EXERCISE = re.compile(r"""^(?:check\(\s*["']|%%sql +)(\d\d\.\d+)\b""", re.MULTILINE)
_BOTH = "**The cell above is of the new edition. This is what you had in its place:**"

Notebook = dict[str, Any]
Cell = dict[str, Any]


@dataclass(frozen=True)
class Merged:
    """A merged notebook.

    Attributes:
        notebook: the new edition's cells, and the learner's.
        kept: how many of its cells are the learner's: written, or changed.
    """

    notebook: Notebook
    kept: int


def read(text: str) -> Notebook:
    """Return the notebook in a file's text.

    Raises:
        ValueError: it is none: cut off, with marks of a conflict, of another format.
    """
    notebook = json.loads(text)
    try:
        if notebook["nbformat"] < 4:
            raise ValueError("a format of long ago")
        for cell in notebook["cells"]:
            _source(cell), cell["cell_type"]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no notebook: {error!r}") from None
    return notebook


def written(notebook: Notebook) -> str:
    """Return the text of a notebook's file, as Jupyter writes it."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def is_same_text(one: Notebook, other: Notebook) -> bool:
    """Whether two notebooks have the same cells, whatever was run in them."""
    return [_text(cell) for cell in one["cells"]] == [_text(cell) for cell in other["cells"]]


def merge(mine: Notebook, base: Notebook, new: Notebook) -> Merged:
    """Return the new edition of a notebook, with every cell that is the learner's.

    A cell that the learner changed takes the place of the one it was made from. Where that one has changed, too, both
    are there, the learner's below, so that what it defines holds. Cells that the learner added stand where they stood,
    after the same cell; so do those whose cell is gone. A cell that was deleted is there again. What was run, and
    did not change, keeps its output.

    Args:
        mine: the notebook as the learner left it.
        base: the edition that it was made from.
        new: the edition to come.
    """
    # Within an edition a cell's id says most; from one to the next the number of the exercise does, and then the text,
    # since ids may have been given anew.
    there_already = _partners(mine["cells"], new["cells"], [_name_and_text])
    others = [cell if number not in there_already else None for number, cell in enumerate(mine["cells"])]
    made_from = _partners(others, base["cells"], [_name_and_text, _name, _exercise, _text])
    goes_to = _partners(base["cells"], new["cells"], [_exercise, _text, _name])
    cells: list[list[Cell]] = [[cell] for cell in new["cells"]]  # each with what stands below it
    before: list[Cell] = []  # what stands above all of them
    above, kept = -1, 0
    for number, cell in enumerate(mine["cells"]):
        origin = made_from.get(number)
        place = there_already.get(number) if origin is None else goes_to.get(origin)
        if origin is not None and place in there_already.values():
            origin = place = None  # a second try, beside a cell that stayed as it was
        if origin is not None and _text(cell) == _text(base["cells"][origin]):
            if place is not None and _text(cell) == _text(new["cells"][place]):
                cells[place][0] = _with_output(new["cells"][place], cell)
        elif place is not None and _text(cell) == _text(new["cells"][place]):
            cells[place][0] = _with_output(new["cells"][place], cell)
        elif origin is not None and place is not None and _text(new["cells"][place]) == _text(base["cells"][origin]):
            cells[place][0] = cell
            kept += 1
        elif _source(cell).strip():
            note = [_markdown(_BOTH)] if origin is not None and place is not None else []
            below = above if place is None else place
            (cells[below] if below >= 0 else before).extend([*note, cell])
            kept += 1
        above = above if place is None else place
    notebook = dict(new, cells=_with_ids_of_their_own([*before, *(cell for group in cells for cell in group)]))
    return Merged(notebook, kept)


def _partners(ours: Sequence[Cell | None], theirs: list[Cell], signs: list[Callable[[Cell], Any]]) -> dict[int, int]:
    """Return for each cell, by number, which of the other edition's cells it is; the surest signs come first."""
    partners: dict[int, int] = {}
    free = set(range(len(theirs)))
    for sign in signs:
        places: dict[Any, list[int]] = {}
        for place in sorted(free):
            places.setdefault(sign(theirs[place]), []).append(place)
        for number, cell in enumerate(ours):
            if cell and number not in partners and sign(cell) and (found := places.get(sign(cell))):
                partners[number] = found.pop(0)
                free.discard(partners[number])
    return partners


def _exercise(cell: Cell) -> str | None:
    found = _EXERCISE.search(_source(cell)) if cell["cell_type"] == "code" else None
    return found[1] if found else None


def _name(cell: Cell) -> tuple[str, str] | None:
    return (cell["id"], cell["cell_type"]) if cell.get("id") else None


def _name_and_text(cell: Cell) -> tuple[Any, ...] | None:
    name = _name(cell)
    return name and (*name, *_text(cell))


def _source(cell: Cell) -> str:
    return "".join(cell["source"])


def _text(cell: Cell) -> tuple[str, str]:
    return cell["cell_type"], _source(cell).rstrip()


def _with_output(cell: Cell, ran: Cell) -> Cell:
    return cell | {part: ran[part] for part in ("outputs", "execution_count") if part in ran}


def _markdown(text: str) -> Cell:
    return {"cell_type": "markdown", "id": uuid4().hex[:8], "metadata": {}, "source": text}


def _with_ids_of_their_own(cells: list[Cell]) -> list[Cell]:
    seen: set[str] = set()
    for number, cell in enumerate(cells):
        if cell.get("id") is None or cell["id"] in seen:
            cells[number] = cell = cell | {"id": uuid4().hex[:8]}
        seen.add(cell["id"])
    return cells
