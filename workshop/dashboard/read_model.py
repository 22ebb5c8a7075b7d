"""The dashboard's read model: what the events of a room add up to, kept in memory and fed by a subscription.

It is a projection like those of notebooks 06 and 08. It is made anew from the log whenever the dashboard starts, so
there is nothing to store, and nothing to lose.

Learners can send events by hand, and what they send is shown to a room. So what is no exercise of this kit, and no
answer to a question of it, is passed over, and what is no check of the exercise is not told by its name.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from eventstore import RecordedEvent

from ..attempts.events import AnswerShared, ExerciseFailed, ExercisePassed, OutcomePredicted
from ..checks.checking import names_of_checks
from ..checks.course import EXERCISES
from ..server.rooms import learner_of
from .questions import questions

MOMENT = timedelta(minutes=10)  # what "of the moment" means
# After so long without an attempt the next one is a beginning: the day before somebody tried whether it all works. No
# course has a break as long as that.
PAUSE = timedelta(hours=2)
NO_CHECK = "a check that this kit does not have"
CHECKS = {exercise.id: names_of_checks(exercise) for exercise in EXERCISES.values()}


@dataclass
class Work:
    """What a learner did on one exercise, until it was passed."""

    failures: int = 0
    first_failure: datetime | None = None
    last_failure: datetime | None = None
    failed_check: str = ""  # at the last failure
    passed: bool = False


@dataclass(frozen=True)
class Stuck:
    """A learner whose last attempt failed, on an exercise that they have not passed."""

    learner: str
    exercise_id: str
    failed_check: str
    failures: int
    minutes: int  # since the first failure
    quiet: int  # minutes since the last one


@dataclass(frozen=True)
class FailedCheck:
    """A check that learners failed on."""

    exercise_id: str
    failed_check: str
    learners: int
    failures: int


@dataclass(frozen=True)
class Shared:
    """An answer that a learner showed to the instructor: the last one, where there were several."""

    learner: str
    exercise_id: str
    answer: str
    at: datetime
    position: int


class RoomModel:
    """What is known of a room.

    Args:
        learner: whose own log it is that the events come from; None for that of a room, which knows its learners.

    Attributes:
        learners: all learners of the room, also those who have not tried anything yet: names as given, by role.
        position: of the last event that was taken in.
    """

    def __init__(self, learner: str | None = None) -> None:
        self.learners: dict[str, str] = {learner: learner} if learner else {}
        self.position = 0
        self._in_a_room = learner is None
        self._began: datetime | None = None
        self._last: datetime | None = None
        self._shared: dict[tuple[str, str], Shared] = {}
        self._expected: dict[str, dict[str, str]] = defaultdict(dict)  # by prediction and learner
        self._predicted: tuple[str, datetime] | None = None  # the prediction that somebody made last, and when
        self._work: dict[str, dict[str, Work]] = defaultdict(lambda: defaultdict(Work))
        self._latest: dict[str, tuple[str, datetime]] = {}  # what a learner tried last, and when
        self._failures: list[tuple[datetime, str, tuple[str, str]]] = []  # when, who, and the check of which exercise

    def project(self, connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        """Take in events: the handler of the subscription."""
        if self._in_a_room:
            self.learners.update(connection.execute("SELECT name, coalesce(called, name) FROM learners").fetchall())
        for recorded in events:
            # Memory knows no rollback: where the commit of the checkpoint got lost, events are handed over once more.
            if recorded.position > self.position:
                self.apply(recorded)

    def apply(self, recorded: RecordedEvent) -> None:
        """Take in one event."""
        learner, at = learner_of(recorded.stream_id), recorded.recorded_at
        self.position = recorded.position
        self.learners.setdefault(learner, learner)
        if isinstance(recorded.event, OutcomePredicted):
            self._predict(learner, recorded.event, at)
        if getattr(recorded.event, "exercise_id", None) not in EXERCISES:
            return
        if self._last is None or at - self._last > PAUSE:
            self._began = at
        self._last = at
        match recorded.event:
            case ExercisePassed(exercise_id):
                self._latest[learner] = exercise_id, at
                self._work[learner][exercise_id].passed = True
            case ExerciseFailed(exercise_id, _, failed_check):
                self._latest[learner] = exercise_id, at
                work = self._work[learner][exercise_id]
                if not work.passed:  # later failures are those of somebody who plays with the answer
                    work.failures += 1
                    work.first_failure = work.first_failure or at
                    work.last_failure = at
                    work.failed_check = failed_check if failed_check in CHECKS[exercise_id] else NO_CHECK
                    self._failures.append((at, learner, (exercise_id, work.failed_check)))
            case AnswerShared(exercise_id, answer):
                self._shared[learner, exercise_id] = Shared(learner, exercise_id, answer, at, recorded.position)

    def _predict(self, learner: str, event: OutcomePredicted, at: datetime) -> None:
        question = questions().get(event.prediction_id)
        if question and question.takes(event.expected):
            self._expected[event.prediction_id][learner] = event.expected
            self._predicted = event.prediction_id, at

    def expected(self, now: datetime) -> tuple[str, list[tuple[str, int]]] | None:
        """Return the prediction of the moment, and how many expect what, the most frequent first; None for none."""
        if self._predicted is None or now - self._predicted[1] > MOMENT:
            return None
        prediction_id = self._predicted[0]
        return prediction_id, Counter(self._expected[prediction_id].values()).most_common()

    def work(self, learner: str, exercise_id: str) -> Work:
        """Return what a learner did on an exercise."""
        return self._work.get(learner, {}).get(exercise_id) or Work()

    def tries_now(self, learner: str) -> str | None:
        """Return the exercise that a learner tried last."""
        return self._latest[learner][0] if learner in self._latest else None

    def shared(self) -> list[Shared]:
        """Return the answers that were shared, the newest first."""
        return sorted(self._shared.values(), key=lambda shared: -shared.position)

    def began(self, now: datetime) -> datetime | None:
        """Return when the room began: at the first attempt after the last long pause. None where it has not."""
        return self._began if self._last and now - self._last <= PAUSE else None

    def active(self, since: datetime | None) -> list[str]:
        """Return the learners who have tried something since then; where it is None, there are none."""
        return [learner for learner, (_, at) in self._latest.items() if since and at >= since]

    def stuck(self, now: datetime, since: datetime | None) -> list[Stuck]:
        """Return who is stuck, the longest first, of those who have tried something since then."""
        found = []
        for learner in self.active(since):
            exercise_id, _ = self._latest[learner]
            work = self._work[learner][exercise_id]
            if since and work.first_failure and work.last_failure and not work.passed:
                minutes = _minutes(now - max(work.first_failure, since))
                quiet = _minutes(now - work.last_failure)
                found.append(Stuck(learner, exercise_id, work.failed_check, work.failures, minutes, quiet))
        return sorted(found, key=lambda stuck: (-stuck.minutes, stuck.learner))

    def most_failed(self, now: datetime) -> list[FailedCheck]:
        """Return the checks that failed lately, first those on which most learners failed."""
        self._failures = [failure for failure in self._failures if now - failure[0] <= MOMENT]
        who: dict[tuple[str, str], list[str]] = defaultdict(list)
        for _, learner, check in self._failures:
            who[check].append(learner)
        found = [FailedCheck(*check, len(set(learners)), len(learners)) for check, learners in who.items()]
        return sorted(found, key=lambda each: (-each.learners, -each.failures, each.exercise_id, each.failed_check))


def _minutes(duration: timedelta) -> int:
    return max(0, int(duration.total_seconds() // 60))
