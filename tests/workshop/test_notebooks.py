"""Notebooks and exercises agree: ids, titles, minutes, marks, set-up cells, links."""

import builtins
import json
import re
from pathlib import Path
from symtable import SymbolTable, symtable
from typing import Any

import pytest

import workshop
from workshop.checks.course import EXERCISES, NOTEBOOKS
from workshop.files import CHECKOUT
from workshop.making.minutes import facts

CALLS = {*workshop.__all__} - {"join"}  # the line that joins a room brings its own import
SOLVED = sorted((CHECKOUT / "solutions").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [{**cell, "text": "".join(cell["source"])} for cell in notebook["cells"] if cell["cell_type"] == kind]


def texts(path: Path, kind: str) -> list[str]:
    return [cell["text"] for cell in cells(path, kind)]


def python(path: Path) -> list[str]:
    """Return the cells in Python: in the others, everything is SQL."""
    return [text for text in texts(path, "code") if not text.startswith("%%sql")]


def checks_in(code: str) -> list[str]:
    """Return the exercises whose answers are checked in some cells."""
    return re.findall(r'^(?:check\("|%%sql )([\d.]+)', code, re.MULTILINE)


def heading(exercise_id: str) -> str:
    exercise = EXERCISES[exercise_id]
    return f"### Exercise {exercise.id} · {exercise.title}\n\n{facts(exercise)}\n"


def test_every_notebook_has_its_exercises() -> None:
    assert list(NOTEBOOKS) == [path.stem for path in SOLVED]
    assert all(NOTEBOOKS.values())


@each_notebook
def test_exercises_stand_in_their_notebook_under_their_heading(path: Path) -> None:
    markdown = texts(path, "markdown")
    numbers = re.findall(r"^### Exercise ([\d.]+)", "\n".join(markdown), re.MULTILINE)
    assert numbers == [exercise.id for exercise in NOTEBOOKS.get(path.stem, ())]
    for exercise_id in numbers:
        assert exercise_id[:2] == path.stem[:2]
        assert any(text.startswith(heading(exercise_id)) for text in markdown), (
            f"no cell begins: {heading(exercise_id)}"
        )


@each_notebook
def test_exercises_are_checked_once_each_where_their_answer_is(path: Path) -> None:
    code = texts(path, "code")
    assert checks_in("\n".join(code)) == [exercise.id for exercise in NOTEBOOKS.get(path.stem, ())]
    for text in code:
        regions = len(checks_in(text))
        assert text.count("BEGIN SOLUTION") == text.count("END SOLUTION") == regions <= 1


@each_notebook
def test_an_answer_in_sql_is_written_in_sql(path: Path) -> None:
    for text in texts(path, "code"):
        for exercise_id in checks_in(text):
            assert text.startswith("%%sql") == EXERCISES[exercise_id].is_sql, text


@each_notebook
def test_a_notebook_starts_with_its_title_and_its_set_up_cell(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert [cell["cell_type"] for cell in notebook["cells"][:2]] == ["markdown", "code"]
    title = "".join(notebook["cells"][0]["source"])
    assert title.startswith("# ") and "**After this notebook you will be able to**" in title
    assert f'\n\ndb = start("{path.stem}", solution=True)\n' in "".join(notebook["cells"][1]["source"]) + "\n"
    assert sum("= start(" in text for text in texts(path, "code")) == 1


def bound(code: str) -> set[str]:
    """Return the names that a cell binds in its notebook."""
    symbols = symtable(code, "cell", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def used(table: SymbolTable) -> set[str]:
    """Return the names of the notebook that a cell uses, in its functions too."""
    at_top = table.get_type() == "module"
    here = {each.get_name() for each in table.get_symbols() if each.is_referenced() and (at_top or each.is_global())}
    return here.union(*map(used, table.get_children()))


# In the others, helpers stand where they are first used; Run All Above Selected Cell makes them again.
@pytest.mark.parametrize("number", ["00", "01", "02", "03", "04", "05", "06", "07", "10"])
def test_whoever_comes_back_goes_on_at_any_headline(number: str) -> None:
    """After the first cell: no section needs a name that an earlier one made."""
    path = next(path for path in SOLVED if path.stem.startswith(number))
    notebook = json.loads(path.read_text(encoding="utf-8"))
    always = bound("".join(notebook["cells"][1]["source"])) | set(dir(builtins))
    known = set(always)
    for cell in notebook["cells"][2:]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and re.search("^## ", text, re.MULTILINE):
            known = set(always)
        elif cell["cell_type"] == "code" and not text.startswith("%%sql"):
            known |= bound(text)
            assert used(symtable(text, "cell", "exec")) <= known, text


@each_notebook
def test_what_a_learner_calls_is_there_in_every_notebook_and_stays(path: Path) -> None:
    set_up, *others = python(path)
    assert bound(set_up) >= CALLS
    for text in others:
        assert not bound(text) & CALLS, text


def test_the_readme_names_what_is_there_in_every_notebook() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)\(", readme.partition("In every notebook:\n")[2], re.MULTILINE)
    assert {*named} == CALLS - {"start"}


@each_notebook
def test_no_line_of_code_is_wider_than_a_laptop_shows_it(path: Path) -> None:
    """JupyterLab at 1366 pixels, with its file browser open, shows 118 characters."""
    for text in texts(path, "code"):
        assert not [line for line in text.splitlines() if len(line) > 118]


def test_the_page_for_an_assistant_names_what_is_there() -> None:
    page = (CHECKOUT / "notebooks/AGENTS.md").read_text(encoding="utf-8")
    assert len(page.split()) < 400
    assert {*re.findall(r"`(\w+)\(", page)} <= CALLS
    assert {*re.findall(r"\b\d\d\.\d\b", page)} <= EXERCISES.keys()


@each_notebook
def test_what_is_asked_before_an_experiment_is_answered_in_it(path: Path) -> None:
    code = "\n".join(python(path))
    asked = re.findall(r'^predict\("([\d.]+[A-Z])"', code, re.MULTILINE)
    came = re.findall(r'^ *outcome\("([\d.]+[A-Z])"', code, re.MULTILINE)
    assert asked == [f"{path.stem[:2]}.{letter}" for letter in "ABCDEFGHIJ"[: len(asked)]]
    assert list(dict.fromkeys(came)) == asked


@each_notebook
def test_relative_links_lead_to_files(path: Path) -> None:
    for text in texts(path, "markdown"):
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"https?:|mailto:|#", link):
                for folder in ("solutions", "notebooks"):
                    assert (CHECKOUT / folder / link.partition("#")[0]).is_file(), link


@each_notebook
def test_calls_name_exercises_that_exist(path: Path) -> None:
    for text in texts(path, "markdown") + texts(path, "code"):
        for exercise_id in re.findall(r"""(?:(?:check|hint|solution|begin_with)\("|%%sql )([\d.]+\d)""", text):
            assert exercise_id in EXERCISES


@each_notebook
def test_stored_outputs_are_there_and_none_is_an_error(path: Path) -> None:
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"
            shown = "".join(output.get("data", {}).get("text/plain", ""))
            assert "✗" not in shown and "not started" not in shown
            assert " at 0x" not in shown  # an object without a face, another one on each run
        if checks_in(cell["text"]):
            assert "solved" in "".join(cell["outputs"][0]["data"]["text/plain"])


@each_notebook
def test_cells_have_ids_that_stay(path: Path) -> None:
    ids = [cell["id"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert len(set(ids)) == len(ids)
