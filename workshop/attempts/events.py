"""What happens when a learner checks an answer or predicts an outcome, as events; and what they add up to.

This is what notebooks 03 and 04 teach: a command is decided on, its events are stored, and the state is their fold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from eventstore import Decider, EventTypes

# Characters: a room takes no more.
LONGEST_CHECK = 200
LONGEST_ANSWER = 20_000
LONGEST_OUTCOME = 40


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


@dataclass(frozen=True)
class OutcomePredicted:
    """A learner said what they expect of an experiment: a number, or one of the words that they could choose from."""

    prediction_id: str
    expected: str


@dataclass(frozen=True)
class OutcomeSeen:
    """What came of an experiment, for a learner who had said what they expect."""

    prediction_id: str
    came: str


EVENT_TYPES = EventTypes(ExercisePassed, ExerciseFailed, AnswerShared, OutcomePredicted, OutcomeSeen)


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
class PredictOutcome:
    """A command: note what is expected of an experiment."""

    prediction_id: str
    expected: str


@dataclass(frozen=True)
class SeeOutcome:
    """A command: note what came of it."""

    prediction_id: str
    came: str


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


@dataclass(frozen=True)
class Predicted:
    """What a learner expected of an experiment, and what came: None while they have not seen it."""

    expected: str
    came: str | None = None


Predictions = Mapping[str, Predicted]  # by prediction


def decide_on_prediction(command: PredictOutcome | SeeOutcome, predictions: Predictions) -> list[object]:
    """Return what a command leads to. After the outcome was seen, what is expected is no prediction any more."""
    known = predictions.get(command.prediction_id)
    if isinstance(command, PredictOutcome):
        again = known and (known.came is not None or known.expected == command.expected)
        return [] if again else [OutcomePredicted(command.prediction_id, command.expected)]
    return [OutcomeSeen(command.prediction_id, command.came)] if known and known.came is None else []


def evolve_predictions(predictions: Predictions, event: object) -> Predictions:
    """Return the predictions after an event."""
    match event:
        case OutcomePredicted(prediction_id, expected):
            return {**predictions, prediction_id: Predicted(expected)}
        case OutcomeSeen(prediction_id, came):
            if known := predictions.get(prediction_id):
                return {**predictions, prediction_id: Predicted(known.expected, came)}
    return predictions


PREDICTIONS: Decider[Predictions] = Decider(MappingProxyType({}), decide_on_prediction, evolve_predictions)
