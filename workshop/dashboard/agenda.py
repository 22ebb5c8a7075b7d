"""What a room should have done by when."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from statistics import median_low

from ..checks.course import EXERCISES
from ..errors import WorkshopError

# Minutes, and what they are for: exercises, or whatever else. What happens meanwhile stands in instructors/.
AGENDAS = {
    "one hour": (
        (3, "welcome"), (3, "01"), (6, "01.1"), (3, "01.2"), (4, "02"), (8, "02.1"), (7, "02.2"), (3, "02.5"),
        (6, "03.1"), (3, "03.2"), (6, "04.1"), (6, "06.1"), (2, "questions"),
    ),
    "half a day": (
        (10, "00.1"), (25, "01.1 01.2"), (10, "02"), (35, "02.1 02.2"), (15, "break"), (15, "02.5"), (30, "03.1 03.2"),
        (22, "04.1"), (8, "04"), (10, "break"), (22, "06.1"), (8, "questions"),
    ),
    "a full day": (
        (10, "00.1"), (30, "01.1 01.2 01.3"), (10, "02"), (40, "02.1 02.2"), (15, "break"), (30, "02.3 02.5"),
        (35, "03.1 03.2"), (10, "review"), (60, "lunch"), (45, "04.1 04.2"), (20, "05.1"), (15, "break"),
        (45, "06.1 06.3"), (10, "07"), (25, "08.1"), (20, "10"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A part of an agenda, and the minute at which it is over. `what` is an exercise, or whatever else is done."""

    what: str
    ends: float


class Agenda:
    """Minutes by exercise.

    Args:
        parts: the name of an agenda of this kit, or minutes and what they are for, one after the other: exercises, such
            as (35, "02.1 02.2"), which share the minutes as they share the work; or a text, such as (15, "break").

    Attributes:
        steps: its parts, with each exercise a step of its own.
        exercises: the exercises that it plans, in their order.
        minutes: how long it is in all.

    Raises:
        WorkshopError: there is no agenda of that name, or the parts are none.
    """

    def __init__(self, parts: str | Iterable[tuple[float, str]]):
        self.steps: list[Step] = []
        self.minutes = 0.0
        for minutes, what in _checked(parts):
            exercises = [EXERCISES[word] for word in what.split() if word in EXERCISES]
            whole = sum(exercise.minutes for exercise in exercises)
            for exercise in exercises:
                self._add(exercise.id, minutes * exercise.minutes / whole)
            if not exercises:
                self._add(what, minutes)
        self.exercises = [step.what for step in self.steps if step.what in EXERCISES]

    def _add(self, what: str, minutes: float) -> None:
        self.minutes += minutes
        self.steps.append(Step(what, self.minutes))

    def at(self, minute: float) -> str:
        """Return what is planned for a minute."""
        return next((step.what for step in self.steps if minute < step.ends), "over")

    def due(self, minute: float) -> int:
        """Return how many exercises should be done by then."""
        return sum(step.ends <= minute for step in self.steps if step.what in EXERCISES)

    def behind(self, minute: float, done: Iterable[int]) -> int:
        """Return how many minutes the room is behind, or below 0 how many it is ahead.

        Args:
            minute: since the room began.
            done: for each learner, how many exercises of the agenda they have passed. The one in the middle counts.
        """
        ends = [step.ends for step in self.steps if step.what in EXERCISES]
        middle = median_low([*done] or [0])
        if middle < len(ends) and minute > ends[middle]:
            return ceil(minute - ends[middle])  # since when the next one should have been done, too
        if middle > self.due(minute):
            return -int(ends[middle - 1] - minute)
        return 0


def _checked(parts: str | Iterable[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the parts of an agenda."""
    remedy = 'Write minutes and what they are for, such as agenda=[(5, "00.1"), (15, "break")].'
    if isinstance(parts, str):
        if parts not in AGENDAS:
            raise WorkshopError(f"There is no agenda {parts!r}, only {', '.join(map(repr, AGENDAS))}.", remedy)
        return list(AGENDAS[parts])
    try:
        listed = [(float(minutes), str(what)) for minutes, what in parts]
        if not listed or not all(0 < minutes < 10_000 for minutes, _ in listed):
            raise ValueError
    except (TypeError, ValueError):
        raise WorkshopError(f"{parts!r} is no agenda.", remedy) from None
    return listed
