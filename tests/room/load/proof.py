"""What a room has to keep, whatever happened in it: asked of the server, file by file and learner by learner."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from eventstore import EventStore, RecordedEvent
from workshop.attempts.events import EVENT_TYPES, ExerciseFailed, ExercisePassed
from workshop.checks.answers import definitions_in
from workshop.checks.exercise import Exercise

from .learner import Attempt, Learner
from .session import Session


def nothing_is_lost(session: Session) -> None:
    """What learners saw is in their own log and in the room's, in order; what they solved is in my_eventstore/."""
    for learner in session.all:
        assert not learner.notes.wrong, learner.notes.wrong
        own, room = _events(session, learner.seat.role), _events(session)[f"learner-{learner.seat.role}"]
        own_events = own[f"learner-{learner.seat.role}"]
        assert [each.id for each in own_events] == [each.id for each in room]
        stored = [_attempt(each) for each in room]
        assert stored == [_attempt(each) for each in own_events]
        _nothing_missing_nothing_made_up(learner, stored, session.exercises)
        _kept_on_disk(learner)


def _nothing_missing_nothing_made_up(learner: Learner, stored: list[Attempt], exercises: Sequence[Exercise]) -> None:
    seen = learner.notes.seen
    lost = [each for each in seen if each not in stored]
    assert not lost, f"{learner.seat.role} lost {lost}"
    places = [stored.index(each) for each in seen]
    assert places == sorted(places), f"{learner.seat.role}: the order is another"
    more = Counter((each.exercise_id, each.failed_check) for each in stored if each not in seen)
    # A check whose verdict never came may have been stored, or not.
    assert more <= Counter(learner.notes.unclear), f"{learner.seat.role} has {more}, and not more than that is unclear"
    for exercise in exercises:
        numbers = [each.number for each in stored if each.exercise_id == exercise.id]
        assert numbers == list(range(1, len(numbers) + 1)), f"{learner.seat.role} {exercise.id}: {numbers}"
        assert any(each.failed_check is None for each in stored if each.exercise_id == exercise.id)


def _kept_on_disk(learner: Learner) -> None:
    folder = learner.checkout / "my_eventstore"
    right = {step.exercise.keeps: step for step in learner.script if step.failed_check is None}  # the last one stays
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == set(right), f"{learner.seat.role} kept {files}"
    for name, step in right.items():
        answer = step.answer if step.exercise.is_sql else definitions_in(step.cell)
        head, _, text = Path(folder, name).read_text().partition("\n")
        assert f"exercise {step.exercise.id}:" in head and text == answer.strip() + "\n", f"{learner.seat.role} {name}"


def nothing_is_seen_by_another(session: Session) -> None:
    """A learner gets into no neighbour's database, reads no neighbour's attempts, and has their own schemas alone."""
    learners = session.all
    for learner, neighbour in zip(learners, [*learners[1:], learners[0]], strict=True):
        role = learner.seat.role
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(make_conninfo(learner.url, dbname=neighbour.seat.role))
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(make_conninfo(learner.url, user=neighbour.seat.role, dbname=neighbour.seat.role))
        with psycopg.connect(make_conninfo(learner.url, dbname=session.room.role)) as connection:
            streams = connection.execute("SELECT DISTINCT stream_id FROM room.my_attempts()").fetchall()
            assert streams == [(f"learner-{role}",)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT FROM room.events")
        with psycopg.connect(learner.url) as connection:
            rows = connection.execute(r"SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'")
            schemas = {name for (name,) in rows}
        assert schemas == {"public", f"workshop_progress_{role}", *(step.notebook for step in learner.script)}, schemas


def the_dashboard_agrees(session: Session) -> None:
    """The instructor's dashboard, which was open all the time, shows what the log holds."""
    with psycopg.connect(make_conninfo(session.server.url, dbname=session.room.role)) as connection:
        (position,) = connection.execute("SELECT max(position) FROM room.events").fetchone()  # type: ignore[misc]
    session.board._subscription.wait_for(position, timeout=10)
    model = session.board.model
    assert model.learners.keys() == {learner.seat.role for learner in session.all}
    for stream_id, events in _events(session).items():
        attempts = [_attempt(each) for each in events]
        for exercise in session.exercises:
            here = [each.failed_check for each in attempts if each.exercise_id == exercise.id]
            work = model.work(stream_id.removeprefix("learner-"), exercise.id)
            assert work.passed and work.failures == here.index(None), f"{stream_id} {exercise.id}: {work}, not {here}"


def _attempt(recorded: RecordedEvent) -> Attempt:
    match recorded.event:
        case ExercisePassed(exercise_id, number):
            return Attempt(exercise_id, number, None)
        case ExerciseFailed(exercise_id, number, failed_check):
            return Attempt(exercise_id, number, failed_check)
    raise AssertionError(f"nobody shared an answer, but {recorded}")


def _events(session: Session, role: str | None = None) -> dict[str, list[RecordedEvent]]:
    """Return what is in the log of the room, or of one learner, by stream."""
    database, schema = (role, f"workshop_progress_{role}") if role else (session.room.role, "room")
    url = make_conninfo(session.server.url, dbname=database, options=f"-c search_path={schema}")
    events: dict[str, list[RecordedEvent]] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for recorded in EventStore(connection, EVENT_TYPES).read_all(limit=100_000):
            events.setdefault(recorded.stream_id, []).append(recorded)
    return events
