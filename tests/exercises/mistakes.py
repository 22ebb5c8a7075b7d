"""A classic mistake: the answer of somebody who nearly got it, and the check that should tell them."""

import ast
import html
import linecache
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any
from xml.etree import ElementTree

from workshop.checks.answers import reference_answer
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES
from workshop.checks.exercise import Exercise, label_of
from workshop.checks.report import Report
from workshop.checks.sandbox import Check
from workshop.display import Shown

IT_RUNS = "Your SQL runs"  # what a report says before the checks, where PostgreSQL refuses the answer
# What the checks are called that `looks` makes.
AS_OURS = "In every other case, too, it does what is asked"
MEANWHILE = "Somebody may come in between, at any point"
BROKEN = "Wherever it breaks, nothing is half done"
A_RACE_IS_RUN = 3  # times: a race must be lost each time, not now and then

_cells = count(1)


@dataclass(frozen=True)
class Mistake:
    """A small, plausible deviation from the reference answer.

    Attributes:
        exercise_id: the exercise that it answers.
        name: what was done, in a few words.
        answer: the whole answer, or what to replace in the reference answer by what.
        fails: the first check to fail, or its label.
        says: words of its message that name the mistake.
    """

    exercise_id: str
    name: str
    answer: str | dict[str, str]
    fails: Check | str
    says: str

    def __str__(self) -> str:
        return f"{self.exercise_id} {self.name}"

    @property
    def label(self) -> str:
        return self.fails if isinstance(self.fails, str) else label_of(self.fails)

    @property
    def text(self) -> str:
        if isinstance(self.answer, str):
            return self.answer
        text = reference_answer(self.exercise_id)
        for old, new in self.answer.items():
            assert old in text, f"the reference answer to {self.exercise_id} does not say {old!r}"
            text = text.replace(old, new)
        return text


def must_be_told(mistake: Mistake, url: str) -> None:
    """Raise AssertionError unless the first check that fails is the mistake's, and its message names the mistake."""
    exercise = EXERCISES[mistake.exercise_id]
    meets_others = getattr(mistake.fails, "own_sandbox", False)
    for _ in range(A_RACE_IS_RUN if meets_others else 1):
        report = run_checks(exercise, answer(exercise, mistake.text), url)
        failed = next((result for result in report.results if result.outcome == "failed"), None)
        assert failed, f"{mistake}: survived all checks"
        assert failed.label == mistake.label, f"{mistake}: failed at {failed.label!r}, which says: {failed.message}"
        assert mistake.says in failed.message, failed.message
    must_be_well_shown(report.shown())


def must_be_well_shown(shown: Shown) -> None:
    """Raise AssertionError unless the HTML is well-formed, and says what the text says."""
    ElementTree.fromstring(shown._repr_html_())
    in_html = html.unescape(re.sub(r"<[^>]*>", " ", shown._repr_html_()))
    assert sorted(re.findall(r"\w+", in_html)) == sorted(re.findall(r"\w+", repr(shown)))


def answer(exercise: Exercise, text: str) -> Any:
    """Return an answer as a learner passes it to check(): SQL as it is, Python as the last thing that it defines."""
    return text if exercise.is_sql else defined_in(text)


def defined_in(source: str) -> Callable:
    """Return the last thing that source text defines, as if a notebook's cell had been run: its source can be read."""
    name = f"<cell {next(_cells)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    variables: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, name, "exec"), variables)
    return variables[ast.parse(source).body[-1].name]  # type: ignore[attr-defined]


def failures(report: Report) -> list[str]:
    """Return what failed, readable in a test's output."""
    return [f"{result.label}: {result.message}" for result in report.results if result.outcome == "failed"]
