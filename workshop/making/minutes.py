"""How long a notebook takes a reader who is new to it: calculated, and written wherever minutes stand.

`python -m workshop.making.minutes` (`make minutes`) brings up to date what solutions/ and README.md say. Counted are

- the words of the text, at 180 a minute: those of headings, tables and links, too, but not addresses, and not figures;
- the lines of given code, at 10 a minute, those in the text included: not the blank ones, nor those that hold
  brackets alone, nor the set-up cell, which is run and not read;
- the exercises, at the minutes that each of them states. These hold all that belongs to it: its text, its stub, and
  the thinking. So neither is counted again.

What cells show is not counted: it is seen with the code, or with the sentence that follows. The sum of a notebook, or
of its parts up to and after a break, is rounded to five minutes.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..checks.answers import check_in
from ..checks.course import EXERCISES, NOTEBOOKS
from ..checks.exercise import Exercise
from ..files import CHECKOUT

_WORDS, _LINES = 180, 10  # that are read in a minute
_BREAK = "## Break"  # the heading that parts a notebook in two
_TIME = re.compile(r"^\*\*Time:\*\* .*? minutes\b[^.]*\.", re.MULTILINE)
_EXERCISE = re.compile(r"### Exercise (?P<id>[\d.]+) · .*\n\n(?P<facts>\*.*\*)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Cell = dict[str, Any]


def minutes_of(notebook: str) -> int:
    """Return the minutes of a notebook, such as "02_appending"."""
    return sum(_parts(_cells(_path(notebook))))


def minutes_to_read(cells: Iterable[Cell]) -> float:
    """Return the minutes that cells take: text, given code and exercises."""
    words = lines = exercises = 0
    for cell in cells:
        source = "".join(cell["source"])
        if cell["metadata"].get("nbgrader", {}).get("grade") or "= start(" in source:
            continue
        if cell["cell_type"] == "code":
            if check := check_in(source):
                exercises += EXERCISES[check["exercise"]].minutes
            else:
                lines += _lines(source)
        elif not _EXERCISE.match(source):
            words += _words(_FENCE.sub("", source))
            lines += sum(_lines(code) for language, code in _FENCE.findall(source) if language != "mermaid")
    return words / _WORDS + lines / _LINES + exercises


def _words(text: str) -> int:
    text = re.sub(r"\]\([^)]*\)", "]", text)  # a link's address is not read
    return sum(any(map(str.isalnum, word)) for word in text.split())


def _lines(code: str) -> int:
    return sum(any(map(str.isalnum, line)) for line in code.splitlines())


def _parts(cells: list[Cell]) -> list[int]:
    """Return the minutes of a notebook, or of its two parts where it has a break."""
    starts = [0, *(number for number, cell in enumerate(cells) if "".join(cell["source"]).startswith(_BREAK))]
    ends = [*starts[1:], len(cells)]
    return [max(5, 5 * round(minutes_to_read(cells[a:b]) / 5)) for a, b in zip(starts, ends, strict=True)]


def up_to_date(path: Path) -> str:
    """Return the text of a notebook, or of README.md, with its minutes as they are."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return re.sub(
            r"(?m)^(\|.*\(notebooks/(\w+)\.ipynb\).*\|) *\d+ *\|$", lambda row: f"{row[1]} {minutes_of(row[2])} |", text
        )
    notebook = json.loads(text)
    parts = _parts(notebook["cells"])
    time = f"**Time:** {' and '.join(map(str, parts))} minutes{', with a break between' if len(parts) > 1 else ''}."
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if exercise := _EXERCISE.match(source):
            source = source.replace(exercise["facts"], facts(EXERCISES[exercise["id"]]), 1)
        cell["source"] = _TIME.sub(time, source).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def facts(exercise: Exercise) -> str:
    """Return the line below an exercise's heading."""
    track = ["fast track"] if exercise.fast_track else []
    return f"*{' · '.join([exercise.difficulty, f'{exercise.minutes} minutes', *track])}*"


def _path(notebook: str) -> Path:
    return CHECKOUT / "solutions" / f"{notebook}.ipynb"


def _cells(path: Path) -> list[Cell]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def main() -> None:
    """Write the minutes wherever they stand, and say where they changed."""
    for path in (*map(_path, NOTEBOOKS), CHECKOUT / "README.md"):
        text = up_to_date(path)
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(CHECKOUT)}: minutes brought up to date")


if __name__ == "__main__":
    main()
