"""A new edition of a notebook: all of the new text is there, and every line of the learner's."""

import json
import random
from typing import Any

import pytest

from workshop.files import CHECKOUT
from workshop.opening import merging

Cell = dict[str, Any]


def code(id: str | None, source: str, shown: str = "") -> Cell:
    outputs = [{"output_type": "stream", "name": "stdout", "text": shown}] if shown else []
    name = {"id": id} if id else {}
    number = 1 if shown else None
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": outputs, "execution_count": number} | name


def text(id: str, source: str) -> Cell:
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": source}


def notebook(*cells: Cell) -> merging.Notebook:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def sources(merged: merging.Merged) -> list[str]:
    return ["".join(cell["source"]) for cell in merged.notebook["cells"]]


TITLE, STUB = text("a", "# Title"), code("c", 'append = ...\n\ncheck("02.1", append)')
BASE = notebook(TITLE, code("b", "db = start()"), STUB, text("d", "The end"))
ANSWER = 'append = "SELECT 1"\n\ncheck("02.1", append)'
NEW = notebook(
    text("a", "# A new title"), text("b", "A page more"), code("x", "db = start()"), STUB, text("d", "The end")
)


def changed(base: merging.Notebook, **sources: str) -> merging.Notebook:
    return notebook(*(dict(cell, source=sources.get(cell["id"], cell["source"])) for cell in base["cells"]))


def test_a_notebook_that_was_not_touched_is_the_new_one() -> None:
    assert merging.merge(BASE, BASE, NEW) == merging.Merged(NEW, 0)


def test_a_notebook_that_was_run_is_the_new_one_with_what_it_showed() -> None:
    ran = notebook(TITLE, code("b", "db = start()", "PostgreSQL 18"), STUB, text("d", "The end"))
    merged = merging.merge(ran, BASE, NEW)
    assert merged.kept == 0 and sources(merged) == [cell["source"] for cell in NEW["cells"]]
    assert merged.notebook["cells"][2]["outputs"][0]["text"] == "PostgreSQL 18"


def test_an_answer_stands_in_the_place_of_the_stub() -> None:
    merged = merging.merge(changed(BASE, c=ANSWER), BASE, NEW)
    assert sources(merged) == ["# A new title", "A page more", "db = start()", ANSWER, "The end"]
    assert merged.kept == 1


def test_an_answer_whose_stub_changed_stands_below_the_new_one() -> None:
    stub = "%%sql 02.1\n..."
    new = notebook(TITLE, code("q", stub), text("d", "The end"))
    merged = merging.merge(changed(BASE, c=ANSWER), BASE, new)
    assert sources(merged) == ["# Title", stub, merging._BOTH, ANSWER, "The end"]


def test_what_was_added_stays_where_it_was() -> None:
    mine = notebook(code("m", "first"), TITLE, code("n", "mine = 1", "1"), *BASE["cells"][1:], text("o", "a note"))
    merged = merging.merge(mine, BASE, NEW)
    assert sources(merged)[:4] == ["first", "# A new title", "mine = 1", "A page more"]
    assert sources(merged)[-1] == "a note" and merged.kept == 3
    assert merged.notebook["cells"][2]["outputs"]


def test_a_second_try_stands_below_the_first() -> None:
    mine = notebook(*BASE["cells"], code("m", ANSWER))
    assert sources(merging.merge(mine, BASE, NEW))[3:] == [STUB["source"], "The end", ANSWER]
    mine = notebook(*BASE["cells"][:3], code("m", ANSWER), BASE["cells"][3])
    assert sources(merging.merge(mine, BASE, NEW))[3:] == [STUB["source"], ANSWER, "The end"]


def test_what_was_deleted_is_there_again() -> None:
    assert sources(merging.merge(notebook(TITLE), BASE, NEW)) == [cell["source"] for cell in NEW["cells"]]


def test_a_note_in_a_cell_that_is_gone_stays() -> None:
    mine = changed(BASE, d="The end, and my note")
    assert "The end, and my note" in sources(merging.merge(mine, BASE, notebook(TITLE, STUB)))


def test_ids_that_were_given_anew_do_not_mix_up_cells() -> None:
    """What was `b` is `x` now, and `b` is another cell: the text tells."""
    mine = changed(BASE, b="db = start()  # mine")
    assert sources(merging.merge(mine, BASE, NEW))[2] == "db = start()  # mine"


def test_without_ids_it_works_too() -> None:
    """As in a notebook that an editor wrote in an older format."""
    mine = notebook(
        *({key: value for key, value in cell.items() if key != "id"} for cell in changed(BASE, c=ANSWER)["cells"])
    )
    merged = merging.merge(mine, BASE, NEW)
    assert ANSWER in sources(merged) and "append = ..." not in "".join(sources(merged))


def test_merged_again_it_stays() -> None:
    """As where the first time was broken off before it was written down that it is done."""
    mine = notebook(*changed(BASE, a="# Title, mine", c=ANSWER)["cells"], code("m", "mine"))
    once = merging.merge(mine, BASE, NEW)
    again = merging.merge(once.notebook, BASE, NEW)
    assert sources(again) == sources(once)
    assert sources(merging.merge(once.notebook, NEW, NEW)) == sources(once)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_was_done_nothing_is_lost(seed: int) -> None:
    """Real notebooks, cells changed, added, deleted, moved, in both editions: each line of both is there."""
    chance = random.Random(seed)
    name = chance.choice(sorted(path.name for path in (CHECKOUT / "notebooks").glob("*.ipynb")))
    base = merging.read((CHECKOUT / "notebooks" / name).read_text(encoding="utf-8"))

    def edited(mark: str) -> merging.Notebook:
        cells = []
        for number, cell in enumerate(base["cells"]):
            what = chance.random()
            if what < 0.15:
                cell = cell | {"source": "".join(cell["source"]) + f"\n{mark} changed {number}"}
            if what > 0.9:
                cells.append(code(f"{mark}-{number}", f"{mark} added {number}"))
            if not 0.15 < what < 0.2:
                cells.append(cell)
        if chance.random() < 0.3:
            chance.shuffle(cells)
        return dict(base, cells=cells)

    mine, new = edited("Ada's"), edited("the new one's")
    lines = {line for source in sources(merging.merge(mine, base, new)) for line in source.splitlines()}
    written = {line for cell in mine["cells"] for line in "".join(cell["source"]).splitlines() if "Ada's" in line}
    assert written <= lines
    assert {line for cell in new["cells"] for line in "".join(cell["source"]).splitlines()} <= lines | {
        line for cell in base["cells"] for line in "".join(cell["source"]).splitlines()
    }
    ids = [cell["id"] for cell in merging.merge(mine, base, new).notebook["cells"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "<<<<<<< HEAD\n{}",
        "{}",
        '{"nbformat": 3, "worksheets": []}',
        json.dumps(BASE)[:-20],
        '{"nbformat": 4, "cells": [{}]}',
    ],
)
def test_what_is_no_notebook_is_told(broken: str) -> None:
    with pytest.raises(ValueError):
        merging.read(broken)
