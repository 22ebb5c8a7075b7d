"""What instructors read, as far as the kit knows it itself: written into their pages, beside what people wrote there.

`python -m workshop.making.instructors` (`make instructors`) fills in

- columns of tables: of an agenda all but what happens, of the misunderstandings which check fails and what it says, of
  homework and video calls the minutes;
- what stands between `<!--= name -->` and `<!--/-->`: the functions in _PIECES, by their names;
- each `max_connections`, for a room of thirty.

A row, or a name, that the kit knows nothing of is an error: nothing is left that was true once.
"""

import difflib
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

from ..checks.course import EXERCISES, NOTEBOOKS
from ..checks.exercise import Exercise
from ..dashboard.agenda import AGENDAS
from ..errors import WorkshopError
from ..files import CHECKOUT
from ..room.server import enough_connections
from .grading import points_for
from .minutes import minutes_of

LEARNERS = 30  # in the room that pages give figures for, where they say nothing else
_PIECE = re.compile(r"(<!--= (\w+) ?(\w*) -->).*?<!--/-->", re.DOTALL)
_FREE = ("break", "lunch")

Row = dict[str, str]  # cells by the names of their columns


def pages() -> list[Path]:
    """Return the pages that instructors read."""
    return [CHECKOUT / "INSTRUCTORS.md", *sorted((CHECKOUT / "instructors").rglob("*.md"))]


def up_to_date(page: Path) -> str:
    """Return the text of a page with all that the kit knows filled in.

    Raises:
        WorkshopError: it names something that is not there any more.
    """
    text = page.read_text(encoding="utf-8")
    text = _PIECE.sub(lambda piece: f"{piece[1]}{_piece(page, piece)}<!--/-->", text)
    text = re.sub(r"(max_connections ?= ?)\d+", rf"\g<1>{enough_connections(LEARNERS)}", text)
    try:
        return "\n".join(_lines(text))
    except LookupError as error:
        raise WorkshopError(f"{page.relative_to(CHECKOUT)}: {error.args[0]}", "Mend that row, or remove it.") from None


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of a text, the rows of its tables filled in."""
    title, columns, number = "", list[str](), 0
    for line in text.split("\n"):
        if line.startswith("#"):
            title = line.lstrip("# ")
        if not line.startswith("|"):
            columns = []
        elif not columns:
            columns, number = _cells(line), -1  # of the line below, which says how columns are aligned
        elif number < 0:
            number = 0
        else:
            for fill in [fill for name, fill in _COLUMNS.items() if name in columns]:
                row = dict(zip(columns, _cells(line), strict=True))
                line = f"| {' | '.join((row | fill(row, title, number)).values())} |"
            number += 1
        yield line


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _step(row: Row, title: str, number: int) -> Row:
    """A step of the agenda that is called as the heading above."""
    steps = AGENDAS[title.lower()]
    if number >= len(steps):
        raise LookupError(f"the agenda {title!r} has {len(steps)} steps, and the table has more.")
    minutes, what = steps[number]
    planned = [word for word in what.split() if word in EXERCISES]
    notebook = planned[0][:2] if planned else what if what.isdigit() else "00" if what == "welcome" else "–"
    begins = sum(before for before, _ in steps[:number])
    return {"from": str(begins), "minutes": str(minutes), "notebook": notebook, "exercises": ", ".join(planned) or "–"}


def _mistake(row: Row, title: str, number: int) -> Row:
    """What a classic mistake of the tests is told by: its check, and words of the message."""
    named = re.fullmatch(r"(\d\d\.\d) \*(.+)\*", row["what they did"])
    said = _mistakes().get((named[1], named[2]) if named else ("", ""))
    if named is None or said is None:
        close = difflib.get_close_matches(row["what they did"], [f"{a} *{b}*" for a, b in _mistakes()], n=3)
        raise LookupError(f"{row['what they did']!r} is no classic mistake of the tests; close to it: {close}.")
    check, words = said
    # A word or two of a message say nothing where they stand alone.
    return {"what the check says": f"**{check}**" + (f": “{words}”" if words.count(" ") > 1 else "")}


@cache
def _mistakes() -> dict[tuple[str, str], tuple[str, str]]:
    modules = [import_module(f"tests.exercises.test_ex{notebook}") for notebook in NOTEBOOKS]
    return {(each.exercise_id, each.name): (each.label, each.says) for module in modules for each in module.MISTAKES}


def _evening(row: Row, title: str, number: int) -> Row:
    return {"its minutes": str(sum(EXERCISES[each].minutes for each in row["exercises"].split(", ")))}


def _at_work(row: Row, title: str, number: int) -> Row:
    return {"at work": str(sum(minutes for minutes, what in AGENDAS[row["agenda"].lower()] if what not in _FREE))}


_COLUMNS: dict[str, Callable[[Row, str, int], Row]] = {
    "what happens": _step,
    "what the check says": _mistake,
    "its minutes": _evening,
    "at work": _at_work,
}


def _piece(page: Path, piece: re.Match[str]) -> str:
    try:
        return _PIECES[piece[2]](piece[3] or page.stem)
    except KeyError:
        raise WorkshopError(
            f"{page.relative_to(CHECKOUT)}: there is nothing that could stand behind {piece[1]!r}.",
            f"There is: {', '.join(_PIECES)}.",
        ) from None


def _exercises(notebook: str) -> str:
    rows = [f"| {each.id} {each.title} | {_facts(each)} |" for each in NOTEBOOKS[notebook]]
    head = f"{minutes_of(notebook)} minutes, {_minutes(notebook)} of them for the exercises."
    return "\n".join([f"\n{head}\n", "| exercise | |", "|:---|:---|", *rows, ""])


def _facts(exercise: Exercise) -> str:
    return f"{exercise.difficulty}, {exercise.minutes} minutes{', fast track' if exercise.fast_track else ''}"


def _notebooks(_: str) -> str:
    rows = [
        f"| [{name[:2]} {name[3:].replace('_', ' ')}](notebooks/{name}.md) | {minutes_of(name)} | {_minutes(name)} |"
        for name in NOTEBOOKS
    ]
    every = f"| all | {sum(map(minutes_of, NOTEBOOKS))} | {sum(map(_minutes, NOTEBOOKS))} |"
    return "\n".join(["\n| notebook | minutes | of them its exercises |", "|:---|---:|---:|", *rows, every, ""])


def _minutes(notebook: str) -> int:
    return sum(exercise.minutes for exercise in NOTEBOOKS[notebook])


_PIECES: dict[str, Callable[[str], str]] = {
    "exercises": _exercises,
    "notebooks": _notebooks,
    "how_many": lambda _: str(len(EXERCISES)),
    "connections": lambda learners: f"{enough_connections(int(learners)):,}",
    "length": lambda agenda: str(sum(minutes for minutes, _ in AGENDAS[agenda.replace("_", " ")])),
    "points": lambda _: str(sum(map(points_for, EXERCISES.values()))),
}


def main() -> None:
    """Bring the pages up to date, and say which were not."""
    for page in pages():
        try:
            text = up_to_date(page)
        except WorkshopError as error:
            sys.exit(str(error))
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            print(f"{page.relative_to(CHECKOUT)} brought up to date")


if __name__ == "__main__":
    main()
