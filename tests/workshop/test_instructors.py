"""What instructors read agrees with the kit: minutes, exercises, headings, mistakes and what checks say, links."""

import json
import re
from importlib import import_module
from pathlib import Path

import pytest

from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES, NOTEBOOKS
from workshop.files import CHECKOUT
from workshop.making.grading import points_for
from workshop.room import Room
from workshop.room.server import CONNECTIONS

from ..exercises.mistakes import Mistake, answer
from ..postgres import Server

PAGES = [CHECKOUT / "INSTRUCTORS.md", *sorted((CHECKOUT / "instructors").glob("*.md"))]
TEXT = PAGES[0].read_text(encoding="utf-8")
AGENDAS = ("One hour", "Half a day", "A full day")
SOLVED = sorted((CHECKOUT / "solutions").glob("*.ipynb"))
NUMBERS = [path.stem[:2] for path in SOLVED]

# Made by those who use the kit.
MADE = {
    "my_eventstore/", ".postgresql/", ".postgresql/data.log", "room.json", "wheels/", "release/",
    "submitted/NAME/02_appending/02_appending.ipynb", "oslo.csv",
}  # fmt: skip

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
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


def test_on_a_video_call_there_are_ten_minutes_less_an_hour() -> None:
    rows = table("at work", section("On a video call"))
    assert [row["agenda"] for row in rows] == [*AGENDAS]
    for row in rows:
        at_work = [step for step in agenda(row["agenda"]) if step["what happens"] not in ("Break.", "Lunch.")]
        assert int(row["at work"]) == sum(int(step["minutes"]) for step in at_work), row
        assert abs(int(row["saves"]) - int(row["at work"]) / 6) <= 5, row


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


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"https?:", link):
            name, _, anchor = link.partition("#")
            path = page.parent / name if name else page
            assert path.exists(), link
            assert not anchor or anchor in anchors(path), link


def test_the_table_of_contents_is_complete() -> None:
    chapters = {chapter.lower().replace(" ", "-") for chapter in re.findall(r"^## (.+)$", TEXT, re.MULTILINE)}
    contents = TEXT.partition("\n## ")[0]
    assert chapters <= set(re.findall(r"\(#([^)]+)\)", contents))
    for page in PAGES[1:]:
        assert f"]({page.relative_to(CHECKOUT).as_posix()})" in contents


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`(\.?[\w-][\w./-]*(?:/|\.(?:md|py|ipynb|yml|txt|sql|json|log|csv)))`", text))
    assert named
    for name in named - MADE:
        assert (CHECKOUT / name).exists(), name


def test_the_errors_of_a_failing_laptop_are_the_kits() -> None:
    sources = [CHECKOUT / "Makefile", CHECKOUT / "install.py", *sorted((CHECKOUT / "workshop").rglob("*.py"))]
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


# ------------------------------------------------------------------------------------------------ a server and points


@pytest.mark.parametrize("learners", [10, 30, 100])
def test_the_connections_it_plans_are_those_that_make_asks_for(learners: int, postgres: Server) -> None:
    (enough,) = re.findall(
        r"max_connections = (\d+);",
        "\n".join(Room("planned", postgres.url).advice(f"Learner {number}" for number in range(learners))),
    )
    text = section("How large a server")
    assert re.search(rf"\b{int(enough):,} for {learners}\b", text)
    assert f"{CONNECTIONS} for each learner" in text


def test_the_points_are_those_of_the_grading() -> None:
    page = (CHECKOUT / "instructors" / "grading.md").read_text(encoding="utf-8")
    assert f"are worth {sum(map(points_for, EXERCISES.values()))} points." in page
