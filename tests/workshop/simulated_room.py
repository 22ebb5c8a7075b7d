"""A scripted room: thirty learners, what each of them tried, and how many minutes ago."""

from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg.types.json import Jsonb

from workshop.checks.course import EXERCISES
from workshop.checks.exercise import label_of

from .rooms import ScratchRoom

LEARNERS = (
    "ada", "alan", "amina", "barbara", "bo", "carla", "chen", "dana", "edsger", "elena", "fatou", "grace", "hedy",
    "ivan", "jun", "kai", "lena", "linus", "margaret", "mei", "nadia", "olu", "pavel", "quinn", "radia", "sofia",
    "tim", "ursula", "wanda", "zoe",
)  # fmt: skip
FAST_TRACK = tuple(exercise.id for exercise in EXERCISES.values() if exercise.fast_track)


class Outcome(NamedTuple):
    """What came of an attempt; `failed_check` is None where it passed."""

    learner: str
    minutes_ago: float
    exercise_id: str
    failed_check: str | None = None


def label(exercise_id: str, number: int) -> str:
    """Return the name of a check of an exercise."""
    return label_of(EXERCISES[exercise_id].checks[number])


def script() -> list[Outcome]:
    """Return what happened in the first 36 minutes of an hour, oldest first.

    Learner n has passed the first n // 5 exercises of the fast track, on the way with one failure each, except the last
    two learners, who have not begun. The first ten of the others are stuck on their next exercise.
    """
    outcomes = []
    for number, learner in enumerate(LEARNERS[:28]):
        done = number // 5
        for place, exercise_id in enumerate(FAST_TRACK[:done]):
            ago = 35 - 5 * place - number / 100
            outcomes.append(Outcome(learner, ago, exercise_id, label(exercise_id, 0)))
            outcomes.append(Outcome(learner, ago - 2, exercise_id))
        if number < 10:  # stuck since 4, 5, ... 13 minutes, and failed each two minutes since
            exercise_id, began = FAST_TRACK[done], 4 + number
            outcomes += [Outcome(learner, ago, exercise_id, label(exercise_id, 1)) for ago in range(began, 0, -2)]
    return sorted(outcomes, key=lambda outcome: -outcome.minutes_ago)


def play(room: ScratchRoom, outcomes: list[Outcome]) -> datetime:
    """Store outcomes in a room's log, at their moments; return the moment that is now."""
    counts: dict[tuple[str, str], int] = {}
    versions: dict[str, int] = {}
    with room.connect() as owner:
        owner.execute("SET search_path = room")
        (now,) = owner.execute("SELECT clock_timestamp()").fetchone()
        for learner, _, exercise_id, failed_check in outcomes:
            attempt = counts[learner, exercise_id] = counts.get((learner, exercise_id), 0) + 1
            data = {"exercise_id": exercise_id, "attempt": attempt}
            data |= {"failed_check": failed_check} if failed_check else {}
            event = {"type": "ExerciseFailed" if failed_check else "ExercisePassed", "data": data}
            stream = f"learner-{room.role_of(learner)}"
            owner.execute("SELECT append_to_stream(%s, NULL, %s)", (stream, Jsonb([event])))
        # Events are facts, but these are made up: their moments, too.
        owner.execute("SET session_replication_role = replica")
        for learner, ago, *_ in outcomes:
            version = versions[learner] = versions.get(learner, 0) + 1
            owner.execute(
                "UPDATE events SET recorded_at = %s WHERE stream_id = %s AND version = %s",
                (now - timedelta(minutes=ago), f"learner-{room.role_of(learner)}", version),
            )
    return now
