"""What happens when a learner checks an answer, as events; and what they add up to.

This is what notebooks 03 and 04 teach: a command is decided on, its events are stored, and the state is their fold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from eventstore import Decider, EventTypes

# Characters: a room takes no more.
LONGEST_CHECK = 200
LONGEST_ANSWER = 20_000


@dataclass(frozen=True)
class ExercisePassed:
    """An answer passed all checks of an exercise."""

    exercise_id: str
    attempt: int


@dataclass(frozen=True)
class ExerciseFailed:
    """An answer failed on a check of an exercise, which is known by its name."""

    exercise_id: str
    attempt: int
    failed_check: str


@dataclass(frozen=True)
class AnswerShared:
    """A learner showed an answer to the instructor of the room."""

    exercise_id: str
    answer: str


EVENT_TYPES = EventTypes(ExercisePassed, ExerciseFailed, AnswerShared)


@dataclass(frozen=True)
class RecordOutcome:
    """A command: note what came of an answer. `failed_check` is None where it passed."""

    exercise_id: str
    failed_check: str | None


@dataclass(frozen=True)
class ShareAnswer:
    """A command: show an answer to the instructor."""

    exercise_id: str
    answer: str


@dataclass(frozen=True)
class Tried:
    """What is known of one exercise: how often it was tried, and at which attempt it was solved, if it was."""

    attempts: int = 0
    solved_at: int | None = None


Progress = Mapping[str, Tried]  # by exercise
_NOT_TRIED = Tried()


def decide(command: RecordOutcome | ShareAnswer, progress: Progress) -> list[object]:
    """Return what a command leads to. Only here attempts are counted."""
    if isinstance(command, ShareAnswer):
        return [AnswerShared(command.exercise_id, command.answer)]
    attempt = progress.get(command.exercise_id, _NOT_TRIED).attempts + 1
    if command.failed_check is None:
        return [ExercisePassed(command.exercise_id, attempt)]
    return [ExerciseFailed(command.exercise_id, attempt, command.failed_check)]


def evolve(progress: Progress, event: object) -> Progress:
    """Return the progress after an event. What was solved once stays solved."""
    match event:
        case ExercisePassed(exercise_id, attempt):
            solved_at = progress.get(exercise_id, _NOT_TRIED).solved_at or attempt
            return {**progress, exercise_id: Tried(attempt, solved_at)}
        case ExerciseFailed(exercise_id, attempt):
            return {**progress, exercise_id: Tried(attempt, progress.get(exercise_id, _NOT_TRIED).solved_at)}
    return progress


LEARNER: Decider[Progress] = Decider(MappingProxyType({}), decide, evolve)
