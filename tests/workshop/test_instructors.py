"""INSTRUCTORS.md agrees with the kit: minutes, exercises, headings, classic mistakes and what checks say, links."""

import json
import re
from importlib import import_module
from pathlib import Path

import pytest

from workshop.checking import run_checks
from workshop.database import CHECKOUT
from workshop.exercises import EXERCISES, NOTEBOOKS

from ..exercises.mistakes import Mistake, answer
from ..postgres import Server

TEXT = (CHECKOUT / "INSTRUCTORS.md").read_text(encoding="utf-8")
AGENDAS = ("One hour", "Half a day", "A full day")
SOLVED = sorted((CHECKOUT / "solutions").glob("*.ipynb"))
NUMBERS = [path.stem[:2] for path in SOLVED]

# Made by those who use the kit.
MADE = {
    "my_eventstore/", ".postgresql/", ".postgresql/data.log", "room.json", "wheels/", "release/",
    "submitted/NAME/02_appending/02_appending.ipynb",
}  # fmt: skip

each_agenda = pytest.mark.parametrize("title", AGENDAS)
each_notebook = pytest.mark.parametrize("number", NUMBERS)
Row = dict[str, str]


def section(title: str, of: str = TEXT) -> str:
    """Return what stands under a heading, up to the next one of its level or above; "" where there is none."""
    found = re.search(rf"^(##+) {re.escape(title)}.*?\n(.*)", of, re.MULTILINE | re.DOTALL)
    if not found:
        return ""
    return re.split(rf"^#{{2,{len(found[1])}}} ", found[2], flags=re.MULTILINE)[0]


def tables(text: str) -> list[list[Row]]:
    """Return the tables of a text, each a list of rows by the names of the columns."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", text + "\n", re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def table(column: str, text: str) -> list[Row]:
    """Return the one table that has a column of this name."""
    (found,) = (rows for rows in tables(text) if column in rows[0])
    return found


def agenda(title: str) -> list[Row]:
    return table("from", section(title))


def exercises(cell: str) -> list[str]:
    return re.findall(r"\d\d\.\d", cell)


def texts_of(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def headings(path: Path) -> set[str]:
    return set(re.findall(r"^#+ (.+?)\s*$", "\n".join(texts_of(path)), re.MULTILINE))


def bold(text: str) -> list[str]:
    return re.findall(r"\*\*(.+?)\*\*", text)


# ---------------------------------------------------------------------------------------------------------- agendas


@each_agenda
def test_the_minutes_of_an_agenda_add_up(title: str) -> None:
    total = re.search(r"\*\*Total: (\d+) minutes\.\*\*", section(title))
    now = 0
    for row in agenda(title):
        assert int(row["from"]) == now, row
        now += int(row["minutes"])
    assert total and now == int(total[1])


@each_agenda
def test_an_agenda_names_exercises_and_headings_of_its_notebooks(title: str) -> None:
    in_order: list[str] = []
    for row in agenda(title):
        for exercise_id in exercises(row["exercises"]):
            assert exercise_id in EXERCISES and exercise_id[:2] == row["notebook"], row
            in_order.append(exercise_id)
        for heading in bold(row["what happens"]):
            assert heading.removesuffix(".") in headings(SOLVED[NUMBERS.index(row["notebook"])]), (heading, row)
    assert in_order == sorted(set(in_order))


def test_the_hour_is_the_fast_track_and_the_longer_days_hold_it() -> None:
    hour, half_day, day = ({e for row in agenda(title) for e in exercises(row["exercises"])} for title in AGENDAS)
    assert hour == {exercise.id for exercise in EXERCISES.values() if exercise.fast_track}
    assert hour < half_day < day


def test_what_a_full_day_leaves_out_is_the_homework() -> None:
    done = {e for row in agenda("A full day") for e in exercises(row["exercises"])}
    evenings = table("evening", section("What a full day leaves out"))
    left = [e for row in evenings for e in exercises(row["exercises"])]
    assert sorted(left) == sorted(EXERCISES.keys() - done)
    for row in evenings:
        assert sum(EXERCISES[e].minutes for e in exercises(row["exercises"])) == int(row["minutes of exercises"]), row


def test_the_minutes_of_the_notebooks_are_theirs() -> None:
    assert f" {len(EXERCISES)} exercises, " in TEXT
    *rows, last = table("plan for", section("Agendas"))
    assert [row["notebook"] for row in rows] == NUMBERS
    for row, path in zip(rows, SOLVED, strict=True):
        assert f"**Time:** {row['it states']} minutes." in texts_of(path)[0]
        assert sum(exercise.minutes for exercise in NOTEBOOKS[path.stem]) == int(row["its exercises"])
    for column in ("it states", "its exercises", "plan for"):
        assert sum(int(row[column]) for row in rows) == int(last[column])


# -------------------------------------------------------------------------------------------------------- notebooks


def about(number: str) -> str:
    return section(f"{number} · ", section("Notebook by notebook"))


@each_notebook
def test_each_notebook_has_its_section_of_the_same_shape(number: str) -> None:
    text = about(number)
    assert [next(iter(rows[0])) for rows in tables(text)] == ["ask the room", "what they did", "show live"]
    assert len(table("ask the room", text)) >= 3
    assert re.findall(r"^\*\*(\w[\w ]*:)\*\*", text, re.MULTILINE) == ["Aim:", "Cut:", "Fast learners:"]


@each_notebook
def test_the_headings_it_names_are_there(number: str) -> None:
    own, of_all = headings(SOLVED[NUMBERS.index(number)]), set().union(*map(headings, SOLVED))
    text = re.sub(r"^(\| \d\d\.\d [^|]*\|)[^|]*\|", r"\1|", about(number), flags=re.MULTILINE)  # without the checks
    named = [name for name in bold(text) if not name.endswith(":")]
    assert {name for name in named if name not in of_all} == set()
    assert any(name in own for name in named)
    for row in table("show live", text):
        assert row["show live"].strip("*") in own or "From notebook" in row["how"], row


def classic_mistakes() -> dict[tuple[str, str], Mistake]:
    modules = (import_module(f"tests.exercises.test_ex{path.stem}") for path in SOLVED)
    return {(mistake.exercise_id, mistake.name): mistake for module in modules for mistake in module.MISTAKES}


@each_notebook
def test_the_classic_mistakes_are_told_as_it_says(number: str, postgres: Server) -> None:
    mistakes = classic_mistakes()
    for row in table("what they did", about(number)):
        exercise_id, name = re.fullmatch(r"(\d\d\.\d) \*(.+)\*", row["what they did"]).groups()  # type: ignore[union-attr]
        label, quoted = re.fullmatch(r"\*\*(.+)\*\*: “(.+)”", row["what the check says"]).groups()  # type: ignore[union-attr]
        assert exercise_id[:2] == number
        mistake, exercise = mistakes[exercise_id, name], EXERCISES[exercise_id]
        report = run_checks(exercise, answer(exercise, mistake.text), postgres.url)
        (failed,) = (result for result in report.results if result.outcome == "failed")
        assert (failed.label, quoted in failed.message) == (label, True), (row, failed)


# ------------------------------------------------------------------------------------------------- files and errors


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+?)\s*$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXT):
        if not re.match(r"https?:", link):
            name, _, anchor = link.partition("#")
            path = CHECKOUT / (name or "INSTRUCTORS.md")
            assert path.exists(), link
            assert not anchor or anchor in anchors(path), link


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`(\.?[\w-][\w./-]*(?:/|\.(?:md|py|ipynb|yml|txt|sql|json|log)))`", TEXT))
    assert "notebooks/" in named
    for name in named - MADE:
        assert (CHECKOUT / name).exists(), name


def test_the_errors_of_a_failing_laptop_are_the_kits() -> None:
    sources = [CHECKOUT / "Makefile", *sorted((CHECKOUT / "workshop").rglob("*.py"))]
    said = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    said = re.sub(r'"\s*\n\s*f?"', "", said)  # a text over several lines
    quotes = [
        quote
        for row in table("symptom", section("When a laptop fails"))
        for quote in re.findall("“(.+?)”", row["symptom"])
    ]
    assert len(quotes) >= 5
    for quote in quotes:
        for part in quote.split("..."):
            assert part.strip() in said, quote
