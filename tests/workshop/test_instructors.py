"""What instructors read is up to date with the kit, and names what is there: headings, exercises, files, errors."""

import json
import re
from pathlib import Path

import pytest

from workshop.checks.course import EXERCISES, NOTEBOOKS
from workshop.dashboard.agenda import AGENDAS, Agenda
from workshop.errors import WorkshopError
from workshop.files import CHECKOUT
from workshop.making.instructors import pages, up_to_date

PAGES = pages()
DOOR = PAGES[0]
# Made by those who use the kit.
MADE = {
    "my_eventstore/", "room.json", "release/", "feedback/", "gradebook.db", "grades.csv", "oslo.csv", "notebooks/",
    "submitted/NAME/02_appending/02_appending.ipynb",
}  # fmt: skip

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def about(notebook: str) -> str:
    return text_of(CHECKOUT / "instructors" / "notebooks" / f"{notebook}.md")


def headings(notebook: str) -> set[str]:
    cells = json.loads(text_of(CHECKOUT / "solutions" / f"{notebook}.ipynb"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return set(re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE))


@each_page
def test_it_is_up_to_date(page: Path) -> None:
    assert up_to_date(page) == text_of(page), "run: make instructors"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            "| what they did | what the check says |\n|:---|:---|\n| 02.1 *locks the tabel* | |",
            "close to it: ..02.1 .locks the table",
        ),
        ("## One hour\n| what happens |\n|---|\n" + "| You talk. |\n" * 14, "has 13 steps, and the table has more"),
        ("<!--= weather --><!--/-->", "There is: exercises, "),
    ],
    ids=["a mistake", "an agenda", "a name"],
)
def test_what_the_kit_knows_nothing_of_is_an_error(wrong: str, said: str) -> None:
    page = CHECKOUT / "instructors" / "nothing_of_that.md"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(WorkshopError, match=said):
        patch.setattr(Path, "read_text", lambda path, encoding: wrong)
        up_to_date(page)


def test_the_door_leads_everywhere() -> None:
    links = set(re.findall(r"\]\((instructors/[^)#]+)\)", text_of(DOOR)))
    assert {CHECKOUT / link for link in links} == set(PAGES[1:])
    assert len(text_of(DOOR).splitlines()) <= 80


# Agendas


def test_the_hour_is_the_fast_track_and_the_longer_days_hold_it() -> None:
    hour, half_day, day = (set(Agenda(name).exercises) for name in AGENDAS)
    assert hour == {exercise.id for exercise in EXERCISES.values() if exercise.fast_track}
    assert hour < half_day < day


@pytest.mark.parametrize("name", AGENDAS)
def test_each_step_of_an_agenda_says_what_happens(name: str) -> None:
    page = text_of(CHECKOUT / "instructors" / ("half_a_day.md" if name == "half a day" else "agendas.md"))
    section = re.split(rf"(?mi)^## {name}$", page)[1].partition("\n## ")[0]
    rows = re.findall(r"^\| \d+ \| \d+ \| (\S+) \| [^|]+ \| (.+) \|$", section, re.MULTILINE)
    assert len(rows) == len(AGENDAS[name])
    for number, what in rows:
        known = next((headings(notebook) for notebook in NOTEBOOKS if notebook.startswith(number)), set())
        assert {heading.removesuffix(".") for heading in re.findall(r"\*\*(.+?)\*\*", what)} <= known, what


def test_what_a_full_day_leaves_out_is_the_homework() -> None:
    evenings = re.findall(r"^\| \d · [^|]+\| ([\d., ]+) \| \d+ \|$", text_of(CHECKOUT / "instructors/agendas.md"), re.M)
    left = [exercise_id for evening in evenings for exercise_id in evening.split(", ")]
    assert sorted(left) == sorted(EXERCISES.keys() - Agenda("a full day").exercises)


def test_on_a_video_call_there_are_ten_minutes_less_an_hour() -> None:
    rows = re.findall(r"^\| [^|]+ \| (\d+) \| [^|]+ \| (\d+) \|$", text_of(CHECKOUT / "instructors/in_class.md"), re.M)
    assert len(rows) == len(AGENDAS)
    assert all(abs(int(saves) - int(at_work) / 6) <= 5 for at_work, saves in rows)


# The pages of the notebooks


@each_notebook
def test_each_notebook_has_its_page_of_the_same_shape(notebook: str) -> None:
    text = about(notebook)
    title = next(iter(re.findall(r"^# (.+)$", text, re.MULTILINE)))
    assert title in headings(notebook) or notebook.startswith("00")
    heads = re.findall(r"^\| ([\w ]+) \|.*\n\|:---", text, re.MULTILINE)
    assert heads == ["exercise", "ask the room", "what they did", "show live"]
    assert re.findall(r"^\*\*(\w[\w ]*:)\*\*", text, re.MULTILINE) == ["Aim:", "Cut:", "Fast learners:"]
    assert {each[:2] for each in re.findall(r"^\| (\d\d\.\d) \*", text, re.MULTILINE)} == {notebook[:2]}


@each_notebook
def test_the_headings_it_names_are_there(notebook: str) -> None:
    text = re.sub(r"^(\| \d\d\.\d \*[^|]*\|)[^|]*\|", r"\1|", about(notebook), flags=re.MULTILINE)  # without the checks
    named = {name for name in re.findall(r"\*\*(.+?)\*\*", text) if not name.endswith(":")}
    everywhere = set().union(*map(headings, NOTEBOOKS))
    assert named <= everywhere
    assert len(named & headings(notebook)) >= 3


# Files, links and errors


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+?)\s*$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page", [*PAGES, CHECKOUT / "deploy" / "README.md"], ids=lambda page: f"{page.parent.name}/{page.name}"
)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if not re.match(r"https?:", link):
            name, _, anchor = link.partition("#")
            path = page.parent / name if name else page
            assert path.exists(), link
            assert not anchor or anchor in anchors(path), link


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"`(\.?[\w-][\w./-]*(?:/|\.(?:md|py|ipynb|yml|txt|sql|json|csv|db)))`", text_of(page)))
    for name in named - MADE:
        assert (CHECKOUT / name).exists(), name


def test_the_errors_of_a_failing_laptop_are_the_kits() -> None:
    sources = [CHECKOUT / "Makefile", *sorted((CHECKOUT / "workshop").rglob("*.py"))]
    said = re.sub(r'"\s*\n\s*f?"', "", "\n".join(map(text_of, sources)))  # a text over several lines
    quotes = re.findall("“(.+?)”", text_of(CHECKOUT / "instructors" / "laptops.md"))
    assert len(quotes) >= 3
    for part in (part.strip() for quote in quotes for part in quote.split("...")):
        assert part in said, part
