"""What came of a learner's answers: recorded as events by the kit's own event store, and sent to the room, if any.

Each outcome of check() is an event in the learner's stream, on the learner's own server. Where that server belongs to a
room, the events are sent to the room's log, too: the exercise, and whether it passed or which check failed; never the
answer, unless the learner shares it. A notebook in solutions/ records nothing.
"""

from collections.abc import Callable
from functools import cache
from typing import TypeVar

import psycopg

from eventstore import EventStoreError

from ..checks import kept
from ..errors import WorkshopError
from ..server.database import server_url
from .events import (
    LONGEST_ANSWER,
    LONGEST_CHECK,
    ExercisePassed,
    Predictions,
    PredictOutcome,
    Progress,
    RecordOutcome,
    SeeOutcome,
    ShareAnswer,
)
from .log import LearnersLog
from .outbox import Outbox

Found = TypeVar("Found")

_NOT_RECORDED = (WorkshopError, psycopg.Error, EventStoreError)


def begin() -> None:
    """Open the learner's log, and send what the room does not know yet: the first check need not wait for that."""
    if kept.is_throwaway():
        return
    try:
        log = _log(server_url())
        if log.room:
            _outbox(log).send()
    except _NOT_RECORDED:
        pass  # check() says so, where it matters


def record(exercise_id: str, failed_check: str | None) -> str:
    """Record what came of an answer.

    Args:
        failed_check: the name of the check that it failed on, None where it passed.

    Returns:
        A line for the learner: what was sent to the room, or why it was not. Empty where there is no room.
    """
    if kept.is_throwaway():
        return ""
    try:
        log = _log(server_url())
        event, version = log.record(RecordOutcome(exercise_id, failed_check and failed_check[:LONGEST_CHECK]))
    except _NOT_RECORDED as error:
        return f"This attempt could not be recorded: {str(error).splitlines()[0]}"
    if not log.room:
        return ""
    passed = isinstance(event, ExercisePassed)
    outcome = "passed" if passed else f'failed on "{event.failed_check}"'
    yours = "Your answer stays with you" + ("." if passed else f'; `share("{exercise_id}")` sends it, too.')
    return f"{_send(log, version)}: exercise {exercise_id}, attempt {event.attempt}, {outcome}. {yours}"


def predict(command: PredictOutcome | SeeOutcome) -> str:
    """Record what a learner expects of an experiment, or what came of it.

    Returns:
        A line for the learner, as that of record(). Empty also where there is nothing new to record.
    """
    if kept.is_throwaway():
        return ""
    try:
        log = _log(server_url())
        event, version = log.record(command)
    except _NOT_RECORDED as error:
        return f"This could not be recorded: {str(error).splitlines()[0]}"
    if event is None or not log.room:
        return ""
    what = f"expect {command.expected}" if isinstance(command, PredictOutcome) else f"saw {command.came}"
    return f"{_send(log, version)}: that you {what} in {command.prediction_id}."


def share(exercise_id: str, answer: str) -> str:
    """Send an answer to the room, for its instructor to read.

    Returns:
        A line for the learner: where it was sent.

    Raises:
        WorkshopError: there is no room, it refuses the answer, the answer is too long, or it could not be recorded.
    """
    log = None if kept.is_throwaway() else _log(server_url())
    if log is None or not log.room:
        raise WorkshopError(
            "You are in no room, so there is nobody to share an answer with, and nothing was sent.",
            'Paste the line that your instructor gave you first: it begins "from workshop import join".',
        )
    if len(answer) > LONGEST_ANSWER:
        raise WorkshopError(
            f"Your answer to {exercise_id} has {len(answer)} characters, and a room takes {LONGEST_ANSWER} at most.",
            "Share a shorter one: check it again without what it does not need.",
        )
    try:
        _, version = log.record(ShareAnswer(exercise_id, answer))
    except (psycopg.Error, EventStoreError) as error:
        raise _unusable(error) from None
    line = _send(log, version)
    if version in _outbox(log).refused:
        raise WorkshopError(f"{line}.", "Show your screen to your instructor instead.")
    return f"{line}, for its instructor to read"


def progress() -> Progress:
    """Return what the learner's events add up to: for each exercise that was tried, how often, and if it was solved.

    Raises:
        WorkshopError: there is no PostgreSQL to ask, or it does not answer that.
    """
    return {} if kept.is_throwaway() else _ask(LearnersLog.progress)


def predictions() -> Predictions:
    """Return what the learner expected of experiments, and what came.

    Raises:
        WorkshopError: there is no PostgreSQL to ask, or it does not answer that.
    """
    return {} if kept.is_throwaway() else _ask(LearnersLog.predictions)


def _ask(question: Callable[[LearnersLog], Found]) -> Found:
    log = _log(server_url())
    try:
        return question(log)
    except (psycopg.Error, EventStoreError) as error:
        raise _unusable(error) from None


@cache
def _log(url: str) -> LearnersLog:
    """Return the log on a server; a kernel opens it once.

    Raises:
        WorkshopError: it cannot be opened.
    """
    try:
        return LearnersLog(url)
    except psycopg.Error as error:
        raise _unusable(error) from None


@cache
def _outbox(log: LearnersLog) -> Outbox:
    """Return what sends the events of a log."""
    return Outbox(log)


def _unusable(error: Exception) -> WorkshopError:
    return WorkshopError(
        f"The record of your attempts cannot be used: {str(error).splitlines()[0]}.",
        "Restart the kernel, run the first code cell of this notebook, then this one again.",
    )


def _send(log: LearnersLog, version: int) -> str:
    """Send what the room does not know up to a version; return how that went."""
    outbox = _outbox(log)
    if not outbox.send(version):
        return f"Kept, to be sent to the room {log.room} when it answers"
    if version in outbox.refused:
        return f"Refused by the room {log.room}, which is of another version of this kit (tell your instructor)"
    return f"Sent to the room {log.room}"
