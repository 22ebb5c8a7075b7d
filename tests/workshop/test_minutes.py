"""Minutes are calculated from what is in a notebook, and stand as they are wherever they stand."""

import json
from pathlib import Path

import pytest

from workshop.checks.course import EXERCISES, NOTEBOOKS
from workshop.files import CHECKOUT
from workshop.making import minutes
from workshop.making.minutes import minutes_of, minutes_to_read, up_to_date

PAGES = (*(CHECKOUT / "solutions" / f"{name}.ipynb" for name in NOTEBOOKS), CHECKOUT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_minutes_are_up_to_date(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == up_to_date(page), "run `make minutes`"


def test_they_stand_in_the_readme() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for name in NOTEBOOKS:
        assert any(f"({f'notebooks/{name}.ipynb'})" in row and row.endswith(f"| {minutes_of(name)} |")
                   for row in readme.splitlines())  # fmt: skip


def test_the_fast_track_fits_into_the_hour_of_the_talk() -> None:
    assert sum(exercise.minutes for exercise in EXERCISES.values() if exercise.fast_track) <= 60


def cell(kind: str, source: str, **metadata: object) -> dict:
    return {"cell_type": kind, "source": source.splitlines(keepends=True), "metadata": metadata}


WORDS = "one two " * 90  # 180 of them
LINES = "x = 1\n" * 10


@pytest.mark.parametrize(
    ("counted", "read"),
    [
        (cell("markdown", WORDS), 1),
        (cell("markdown", f"## {WORDS} –\n\n| | |\n|:---|---|\n"), 1),  # dashes and bars are no words
        (cell("markdown", "[one two](https://example.org/a/b) " * 90), 1),
        (cell("markdown", f"```mermaid\n{WORDS}\n```\n"), 0),
        (cell("markdown", f"{WORDS}\n```sql\n{LINES}```\n"), 2),
        (cell("code", LINES), 1),
        (cell("code", LINES + "\n)\n    },\n"), 1),
        (cell("code", f"%%sql\n{LINES}"), 1.1),
        (cell("code", f'{LINES}db = start("02_appending")'), 0),
        (cell("code", LINES, nbgrader={"grade": True}), 0),
        (cell("code", f"%%sql 02.1\n{LINES}"), EXERCISES["02.1"].minutes),
        (cell("code", f'{LINES}\ncheck("02.6", append)'), EXERCISES["02.6"].minutes),
        (cell("markdown", f"### Exercise 02.1 · Append one event\n\n*medium*\n\n{WORDS}"), 0),
    ],
)
def test_what_counts(counted: dict, read: float) -> None:
    assert minutes_to_read([counted]) == pytest.approx(read)


def test_they_are_written_into_a_notebook_that_says_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "02_appending"
    cells = [
        cell("markdown", "# Title\n\n**Time:** 3 minutes. **Requirements:** 1."),
        cell("markdown", "### Exercise 02.1 · Append one event\n\n*easy · 99 minutes*\n\nIt takes 99 minutes."),
        cell("code", LINES * 10),
    ]
    monkeypatch.setattr(minutes, "CHECKOUT", tmp_path)
    path = tmp_path / "solutions" / f"{name}.ipynb"
    path.parent.mkdir()

    def header() -> str:
        path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
        path.write_text(up_to_date(path), encoding="utf-8")
        return "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])

    assert header() == "# Title\n\n**Time:** 10 minutes. **Requirements:** 1."
    assert (
        f"· {EXERCISES['02.1'].minutes} minutes · fast track*\\n" in path.read_text() and "takes 99" in path.read_text()
    )
    assert minutes_of(name) == 10
    cells += [cell("markdown", "## Break\n"), cell("code", LINES * 15)]
    assert header() == "# Title\n\n**Time:** 10 and 15 minutes, with a break between. **Requirements:** 1."
    assert header() == "# Title\n\n**Time:** 10 and 15 minutes, with a break between. **Requirements:** 1."
    assert minutes_of(name) == 25
