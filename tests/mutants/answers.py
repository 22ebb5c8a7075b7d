"""Mutants of what a learner writes of the reference answers, and what came of checking them."""

import linecache
import re
import tomllib
import warnings
from collections.abc import Container, Iterator
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Literal

from workshop.checks.answers import SQL_CELL, _cell_of, name_of_answer, reference_answer
from workshop.checks.checking import SQL_RUNS, run_checks
from workshop.checks.course import EXERCISES
from workshop.checks.exercise import Exercise
from workshop.errors import WorkshopError
from workshop.files import CHECKOUT
from workshop.my_store.guarantees import ADDITIONS

from . import python, sql

Outcome = Literal["refused", "passed", "does not run"]
_number = count(1)


@dataclass(frozen=True)
class Mutant:
    """An answer that differs from the reference's in one thing.

    Attributes:
        exercise_id: the exercise that it answers.
        text: the whole answer, as it stands in its cell.
        was: the lines that were changed, without their margins; "" where something was added.
        now: what stands there instead.
    """

    exercise_id: str
    text: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.exercise_id}\n    - {self.was}\n    + {self.now}"

    @property
    def answer(self) -> Any:
        """The answer as a notebook passes it to check()."""
        if EXERCISES[self.exercise_id].is_sql:
            return self.text
        name = f"<mutant {next(_number)}>"
        linecache.cache[name] = (len(self.text), None, self.text.splitlines(keepends=True), name)
        variables: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(self.text, name, "exec"), variables)
        return variables[name_of_answer(self.exercise_id)]


def mutants(exercise_id: str) -> list[Mutant]:
    """Return the mutants of what a learner writes of an exercise's reference answer, each once, in a fixed order."""
    exercise = EXERCISES[exercise_id]
    text, written = _cell(exercise)
    return [Mutant(exercise_id, mutated, *lines) for mutated, lines in changed(text, exercise.is_sql, written)]


def changed(text: str, is_sql: bool, written: Container[int] | None = None) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each text that one change makes, once, and the lines that differ, as they were and as they are.

    Args:
        written: the lines, from 0, of which a change has to touch one; None for all.
    """
    seen = {text}
    for start, end, other in (sql if is_sql else python).changes(text):
        lines = range(text[:start].count("\n"), text[:end].count("\n") + 1)
        mutated = text[:start] + other + text[end:]
        if mutated in seen or written is not None and not any(line in written for line in lines):
            continue
        seen.add(mutated)
        if (is_sql or _compiles(mutated)) and (differ := _told(text, mutated)):
            yield mutated, differ


def _cell(exercise: Exercise) -> tuple[str, set[int]]:
    """Return the cell of an exercise's answer, without its marks, and which of its lines a learner writes, from 0.

    What stood in an answer that this one only adds to is looked at there.
    """
    cell = _cell_of(CHECKOUT / "solutions", exercise.id)
    cell = cell[found.end() :] if (found := SQL_CELL.match(cell)) else re.split(r"(?m)^check\(", cell)[0]
    before: set[str] = set()
    if exercise.id in {each.exercise for each in ADDITIONS}:
        earlier = max(each.id for each in EXERCISES.values() if each.keeps == exercise.keeps and each.id < exercise.id)
        before = {line.partition("--")[0].strip() for line in reference_answer(earlier).splitlines()} - {""}
    lines: list[str] = []
    written: set[int] = set()
    inside = False
    for line in cell.splitlines():
        if "SOLUTION" in line:
            inside = "BEGIN" in line
            continue
        if inside and line.strip() and line.partition("--")[0].strip() not in before:
            written.add(len(lines))
        lines.append(line)
    return "\n".join(lines).rstrip() + "\n", written


def _compiles(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of "is" beside a text, say
        try:
            compile(text, "<mutant>", "exec")
        except (SyntaxError, ValueError):
            return False
    return True


def _told(text: str, mutated: str) -> tuple[str, str] | None:
    """Return the lines that differ, as they were and as they are; None where only comments and spaces do."""
    diff = [line for line in unified_diff(text.splitlines(), mutated.splitlines(), n=0, lineterm="")][3:]
    was, now = (" / ".join(line[1:].strip() for line in diff if line.startswith(sign)) for sign in "-+")
    if re.sub(r"--.*|\s", "", was) == re.sub(r"--.*|\s", "", now):
        return None
    return _squeezed(was), _squeezed(now)


def _squeezed(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:100]} ... {text[-95:]}"


def outcome(mutant: Mutant, url: str) -> Outcome:
    """Check a mutant; return what came of it. One that PostgreSQL does not even take says nothing about the checks."""
    try:
        answer = mutant.answer
    except Exception:  # its cell does not run
        return "does not run"
    try:
        report = run_checks(EXERCISES[mutant.exercise_id], answer, url)
    except WorkshopError:
        return "refused"
    if report.failed_check == SQL_RUNS or not report.started:
        return "does not run"
    return "passed" if report.passed else "refused"


@cache
def equivalents() -> dict[tuple[str, str, str], str]:
    """Return the mutants that do what the reference does, by exercise, what it was and what it is, and why."""
    found = tomllib.loads(Path(__file__).with_name("equivalents.toml").read_text(encoding="utf-8"))
    return {
        (exercise_id, was, now): each["why"]
        for exercise_id, group in found.items()
        for each in group
        for was, now in each["changes"]
    }
