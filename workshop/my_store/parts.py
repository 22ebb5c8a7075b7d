"""What the learner's store is made of: what is in my_eventstore/, and the reference for the rest.

SQL files stand in for those of the same name in eventstore/schema/, and run in the order of their names; functions
stand in for the reference's. A part counts as the learner's once the last exercise about it is solved.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import eventstore

from ..checks import kept
from ..checks.course import EXERCISES
from ..checks.exercise import Exercise
from ..checks.given import reference_sql, whole_schema
from ..errors import WorkshopError
from .guarantees import ADDITIONS

# The functions that stand in for the reference's: what a learner calls them, and the reference's own name. `follow` is
# called by the tests alone: the reference's subscription has it in its worker.
FUNCTIONS = {
    "02.6": ("append", "EventStore.append"),
    "04.2": ("handle", "handle"),
    "05.1": ("aggregate_stream", "aggregate_stream"),
    "06.3": ("append_and_project", "EventStore.append"),
    "06.4": ("rebuild_read_model", "rebuild"),
    "07.3": ("aggregate_with_snapshots", "aggregate_with_snapshots"),
    "08.3": ("handle_next", "handle_next"),
    "08.4": ("follow", "follow"),
}


@dataclass(frozen=True)
class Part:
    """A part of the store, and whose it is.

    Attributes:
        file: where it is, or would be, in my_eventstore/.
        function: the function's name, "" for SQL.
        exercise: the exercise that it answers, or that asks for it; "" where none does.
        yours: whether it is the learner's.
        tested: whether the conformance tests run it; an answer that no part of a store is has its own check alone.
    """

    file: str
    function: str
    exercise: str
    yours: bool
    tested: bool = True

    def __str__(self) -> str:
        exercise = f" ({self.exercise})" if self.exercise else ""
        return f"{self.file}{': ' if self.function else ''}{self.function}{exercise}"


class Parts:
    """What the learner's store is made of.

    Attributes:
        scripts: the SQL to run, by the names of the files, in their order.
        own_scripts: which of these are the learner's.
        functions: the learner's Python functions, by the names of FUNCTIONS.
        listed: all of them, and whose each of them is.

    Raises:
        WorkshopError: a Python file does not load.
    """

    def __init__(self) -> None:
        folder = kept.folder()
        self.scripts = {name: reference_sql(name) for name in whole_schema()}
        asked_for = {exercise.keeps.removeprefix("schema/"): exercise for exercise in _last_about("schema/")}
        self.own_scripts: set[str] = set()
        for path in sorted((folder / "schema").glob("*.sql")):
            if _is_finished(path, asked_for.get(path.name)):
                self.scripts[path.name] = _text(path)
                self.own_scripts.add(path.name)
        self.scripts = dict(sorted(self.scripts.items()))
        self.listed = [
            Part(f"schema/{name}", "", self._exercise(f"schema/{name}", asked_for.get(name)), name in self.own_scripts)
            for name in self.scripts
        ]
        self.functions: dict[str, Callable] = {}
        for exercise_id, (name, _) in FUNCTIONS.items():
            exercise = EXERCISES[exercise_id]
            path = folder / exercise.keeps
            if path.is_file() and _is_finished(path, exercise):
                self.functions[name] = _load(path, name)
            self.listed.append(
                Part(exercise.keeps, name, self._exercise(exercise.keeps, exercise), name in self.functions)
            )
        tested = {part.file for part in self.listed}
        for exercise in EXERCISES.values():
            if exercise.keeps not in tested and kept.exercise_of(folder / exercise.keeps) == exercise.id:
                self.listed.append(Part(exercise.keeps, "", exercise.id, yours=True, tested=False))

    def _exercise(self, file: str, asked_for: Exercise | None) -> str:
        """Return which exercise a part answers, where that is the one that asks for it, or one that adds to it."""
        if asked_for is None:
            return ""
        return max(asked_for.id, kept.exercise_of(kept.folder() / file) or "")

    def function(self, name: str) -> Callable:
        """Return a function of eventstore, or the learner's in its place."""
        own = {theirs: mine for mine, theirs in FUNCTIONS.values()}[name]
        return self.functions.get(own) or getattr(eventstore, name)


def _last_about(folder: str) -> list[Exercise]:
    """Return the exercises whose answer is kept in a folder: of several that keep one file, the last.

    Those that only add to a part that is whole are not asked for: it counts without them, and misses what they add.
    """
    additions = {each.exercise for each in ADDITIONS}
    asked_for = (each for each in EXERCISES.values() if each.keeps.startswith(folder) and each.id not in additions)
    return list({each.keeps: each for each in asked_for}.values())


def _is_finished(path: Path, exercise: Exercise | None) -> bool:
    """Whether a file is more than the answer to an earlier exercise; files that nobody asked for are."""
    there = kept.exercise_of(path)
    return exercise is None or there is None or there >= exercise.id


def _load(path: Path, name: str) -> Callable:
    """Return a function from a file of the learner's."""
    where = path.relative_to(kept.folder()).as_posix()
    module = ModuleType(f"my_eventstore.{path.stem}")
    try:
        exec(compile(_text(path), str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        raise broken(where, f"does not load: {error.msg}, in line {error.lineno}") from None
    except Exception as error:  # whatever the file does when it is loaded
        raise broken(where, f"does not load: {type(error).__name__}: {error}") from None
    function = getattr(module, name, None)
    if not callable(function):
        raise broken(where, f"defines no function {name}")
    return function


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise broken(path.relative_to(kept.folder()).as_posix(), f"cannot be read: {error}") from None


def broken(where: str, what: str) -> WorkshopError:
    known = [exercise.id for exercise in EXERCISES.values() if exercise.keeps == where]
    again = f"Solve exercise {known[-1]} again, or remove that file" if known else "Mend that file, or remove it"
    stands_in = ", and the reference stands in." if known else "."
    return WorkshopError(f"my_eventstore/{where} {what}.", again + stands_in)
