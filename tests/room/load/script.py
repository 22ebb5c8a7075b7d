"""What learners try: for each exercise, of the fast track, classic mistakes, then the right answer."""

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from workshop.checks.answers import reference_answer
from workshop.checks.course import EXERCISES, NOTEBOOKS
from workshop.checks.exercise import Exercise

from ...exercises.mistakes import Mistake

FAST_TRACK = tuple(exercise for exercise in EXERCISES.values() if exercise.fast_track)
_POOL = 2  # mistakes an exercise, the same for all learners: so that what one waits can be compared with another
_TRIED = (1, 1, 2)  # how many of them a learner tries: one of these
_THINKS = (60.0, 120.0)  # seconds between two checks; a real learner takes one to two minutes


@dataclass(frozen=True)
class Step:
    """One answer.

    Attributes:
        notebook: that the exercise is in.
        answer: its text.
        failed_check: what it has to fail on; None where it is right.
        thinks: real seconds before it.
    """

    notebook: str
    exercise: Exercise
    answer: str
    failed_check: str | None
    thinks: float

    @property
    def cell(self) -> str:
        """What the learner runs."""
        if self.exercise.is_sql:
            return f"%%sql {self.exercise.id}\n{self.answer}"
        last = ast.parse(self.answer).body[-1].name  # type: ignore[attr-defined]
        return f'{self.answer}\n\n\ncheck("{self.exercise.id}", {last})'


def script(seed: str, exercises: Sequence[Exercise]) -> list[Step]:
    """Return what one learner does, in order."""
    return list(_steps(random.Random(seed), exercises))


def _steps(chance: random.Random, exercises: Sequence[Exercise]) -> Iterator[Step]:
    for exercise in exercises:
        notebook = next(name for name, group in NOTEBOOKS.items() if exercise in group)
        tried = chance.sample(_pool(notebook, exercise.id), chance.choice(_TRIED))
        for mistake in tried:
            yield Step(notebook, exercise, mistake.text, mistake.label, chance.uniform(*_THINKS))
        yield Step(notebook, exercise, reference_answer(exercise.id), None, chance.uniform(*_THINKS))


@cache
def _pool(notebook: str, exercise_id: str) -> list[Mistake]:
    mistakes = import_module(f"tests.exercises.test_ex{notebook}").MISTAKES
    return random.Random(exercise_id).sample([each for each in mistakes if each.exercise_id == exercise_id], _POOL)
