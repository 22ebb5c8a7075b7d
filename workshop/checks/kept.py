"""What the learner has built so far: my_eventstore/ in the learner's folder, laid out like eventstore/."""

import atexit
import os
import re
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import WorkshopError
from ..files import free_name, learners_folder, write_whole
from ..server.url_source import being_graded
from . import answers
from .exercise import Exercise

_HEADER = "Your answer to exercise "
_is_solution = False  # whether this kernel's notebook is one of solutions/


def belongs_to_solution(is_solution: bool) -> None:
    """Say whether this kernel's notebook is one of solutions/. It says so itself, as it can run in any folder."""
    global _is_solution
    if is_solution != _is_solution:
        _is_solution = is_solution
        folder.cache_clear()


checked: dict[str, Any] = {}  # what this kernel checked last, by exercise: for share(), and for points


@cache
def folder() -> Path:
    """Return the folder of the learner's own answers: my_eventstore/, unless MY_EVENTSTORE names another.

    A notebook of solutions/ keeps its answers in a folder that goes with the kernel: looking at a solution must not
    replace what the learner wrote. So does one that is graded: it has nothing to do with whoever grades it, nor with
    the submission before.
    """
    if is_throwaway():
        passing = tempfile.mkdtemp(prefix="my_eventstore-")
        atexit.register(shutil.rmtree, passing, ignore_errors=True)
        return Path(passing)
    return Path(os.environ.get("MY_EVENTSTORE") or learners_folder() / "my_eventstore")


def is_throwaway() -> bool:
    """Whether that folder goes with the kernel: what is solved there is not the learner's work."""
    return being_graded() or _is_solution


def keep(exercise: Exercise, source: str) -> str:
    """Keep an answer that passed, unless a later exercise has already put a fuller one in its place.

    Where it is the reference answer, and takes the place of one that the learner wrote, a copy of that stays beside it.

    Returns:
        What became of the answer, in a line.

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder() / exercise.keeps
    there = exercise_of(path)
    if there is not None and there > exercise.id:
        return f"my_eventstore/{exercise.keeps} holds your answer to a later exercise, and stays as it is."
    note = f"Kept as my_eventstore/{exercise.keeps}."
    comment = "--" if exercise.is_sql else "#"
    path.parent.mkdir(parents=True, exist_ok=True)
    if there is not None and _is_reference(source, exercise.id):
        before = path.read_text(encoding="utf-8-sig")
        if not _is_reference(before.partition("\n")[2], exercise.id, there):
            copy = free_name(path.with_name(f"{path.name}.yours"))  # no .sql, which would run
            write_whole(copy, before)
            note += (
                f" It is word for word the answer of `solution()`; the one that was there is in {copy.name}, beside it."
            )
    write_whole(path, f"{comment} {_HEADER}{exercise.id}: {exercise.title}.\n{source.strip()}\n")
    return note


def _is_reference(source: str, *exercise_ids: str) -> bool:
    with suppress(WorkshopError):  # it cannot be read: then nobody has it from there
        return source.strip() in map(answers.reference_answer, exercise_ids)
    return False


def answer_to(exercise: Exercise) -> str | None:
    """Return the learner's answer to an exercise, or to a later one that built on it; None if there is none."""
    path = folder() / exercise.keeps
    there = exercise_of(path)
    return path.read_text(encoding="utf-8-sig") if there is not None and there >= exercise.id else None


def exercise_of(path: Path) -> str | None:
    """Return the exercise that a kept file answers, None where there is no such file or somebody else wrote it."""
    try:
        # An editor may have put a mark, or an empty line, before it.
        found = re.match(rf"\s*(?:--|#) {_HEADER}([\d.]+\d)", path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):  # there is none, or it is no text
        return None
    return found[1] if found else None
