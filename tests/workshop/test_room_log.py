"""The room's log: a learner's role may add to its own stream, and read that; it may do nothing else there."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from eventstore import EventStore, Log
from workshop.attempts.events import (
    EVENT_TYPES,
    AnswerShared,
    ExerciseFailed,
    ExercisePassed,
    OutcomePredicted,
    OutcomeSeen,
)
from workshop.room.log import create_room_log

from ..postgres import Server
from .rooms import ScratchRoom

PASSED = {"exercise_id": "01.2", "attempt": 1}
PREDICTED = {"prediction_id": "01.A", "expected": "3"}
FAILED = {"exercise_id": "01.2", "attempt": 2, "failed_check": "Positions have no gaps"}


@pytest.fixture(scope="module")
def room(postgres: Server) -> Iterator[ScratchRoom]:
    room = ScratchRoom(postgres.url, ["ada"], bare=["bo"])
    yield room
    room.take_down()


@pytest.fixture
def ada(room: ScratchRoom) -> Iterator[psycopg.Connection]:
    """Ada's connection to the room's database. Her stream is empty."""
    room.empty_log()
    with room.connect("ada") as connection:
        yield connection


def record(connection: psycopg.Connection, type: Any, data: Any, version: Any = 0, event_id: Any = None) -> int:
    """Call the function as a learner would by hand; the data as it is."""
    return connection.execute(
        "SELECT room.record_attempt(%s, %s, %s, %s)", (event_id or uuid4(), type, Jsonb(data), version)
    ).fetchone()[0]


def logged(room: ScratchRoom) -> list:
    with room.connect() as owner:
        owner.execute("SET search_path = room")
        return Log(owner, EVENT_TYPES).read_all()


def test_the_event_store_reads_what_the_function_appends(room: ScratchRoom, ada: psycopg.Connection) -> None:
    ids = [uuid4() for _ in range(5)]
    assert record(ada, "ExercisePassed", PASSED, 0, ids[0]) == 1
    assert record(ada, "ExerciseFailed", FAILED, 1, ids[1]) == 2
    assert record(ada, "AnswerShared", {"exercise_id": "01.2", "answer": "SELECT 'ä'"}, 2, ids[2]) == 3
    assert record(ada, "OutcomePredicted", PREDICTED, 3, ids[3]) == 4
    assert record(ada, "OutcomeSeen", {"prediction_id": "01.A", "came": "-1.5"}, 4, ids[4]) == 5
    with room.connect() as owner:
        owner.execute("SET search_path = room")
        events = EventStore(owner, EVENT_TYPES).read_stream(f"learner-{room.role_of('ada')}")
    assert [recorded.event for recorded in events] == [
        ExercisePassed("01.2", 1),
        ExerciseFailed("01.2", 2, "Positions have no gaps"),
        AnswerShared("01.2", "SELECT 'ä'"),
        OutcomePredicted("01.A", "3"),
        OutcomeSeen("01.A", "-1.5"),
    ]
    assert [recorded.id for recorded in events] == ids
    assert all(recorded.metadata == {} for recorded in events)
    known = ada.execute("SELECT id FROM room.my_attempts(%s)", (1,)).fetchall()
    assert known == [(event_id,) for event_id in ids[1:]]


def test_what_is_sent_twice_is_stored_once(room: ScratchRoom, ada: psycopg.Connection) -> None:
    event_id = uuid4()
    assert record(ada, "ExercisePassed", PASSED, 0, event_id) == record(ada, "ExercisePassed", PASSED, 0, event_id) == 1
    with pytest.raises(psycopg.errors.UniqueViolation):
        record(ada, "ExercisePassed", PASSED, 1, event_id)
    with pytest.raises(psycopg.Error) as caught:
        record(ada, "ExercisePassed", PASSED, 0)
    assert caught.value.sqlstate == "ES001"
    assert len(logged(room)) == 1


def test_each_learner_has_a_stream_and_sees_that_alone(room: ScratchRoom, ada: psycopg.Connection) -> None:
    record(ada, "ExercisePassed", PASSED)
    with room.connect("bo") as bo:
        assert bo.execute("SELECT * FROM room.my_attempts()").fetchall() == []
        record(bo, "ExerciseFailed", FAILED)
        assert len(bo.execute("SELECT * FROM room.my_attempts()").fetchall()) == 1
    assert [recorded.stream_id for recorded in logged(room)] == [
        f"learner-{room.role_of(name)}" for name in ("ada", "bo")
    ]


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("ExercisePassed", {}),
        ("ExercisePassed", []),
        ("ExercisePassed", None),
        ("ExercisePassed", "x"),
        ("ExercisePassed", {"exercise_id": "01.2"}),
        ("ExercisePassed", PASSED | {"more": 1}),
        ("ExercisePassed", PASSED | {"attempt": 0}),
        ("ExercisePassed", PASSED | {"attempt": -1}),
        ("ExercisePassed", PASSED | {"attempt": 1.5}),
        ("ExercisePassed", PASSED | {"attempt": "1"}),
        ("ExercisePassed", PASSED | {"attempt": None}),
        ("ExercisePassed", PASSED | {"attempt": 10**9}),
        ("ExercisePassed", PASSED | {"exercise_id": "1.2"}),
        ("ExercisePassed", PASSED | {"exercise_id": "01.2\n"}),
        ("ExercisePassed", PASSED | {"exercise_id": "<b>01.2"}),
        ("ExercisePassed", PASSED | {"exercise_id": 1}),
        ("ExerciseFailed", PASSED),
        ("ExerciseFailed", FAILED | {"failed_check": ""}),
        ("ExerciseFailed", FAILED | {"failed_check": "x" * 201}),
        ("ExerciseFailed", FAILED | {"failed_check": ["x"]}),
        ("AnswerShared", {"exercise_id": "01.2", "answer": "x" * 20_001}),
        ("AnswerShared", {"exercise_id": "01.2", "answer": ""}),
        ("AnswerShared", {"exercise_id": "01.2"}),
        ("OutcomePredicted", PREDICTED | {"prediction_id": "01.2"}),
        ("OutcomePredicted", PREDICTED | {"prediction_id": "1.A"}),
        ("OutcomePredicted", PREDICTED | {"expected": ""}),
        ("OutcomePredicted", PREDICTED | {"expected": 3}),
        ("OutcomePredicted", PREDICTED | {"expected": "x" * 41}),
        ("OutcomePredicted", PREDICTED | {"came": "3"}),
        ("OutcomePredicted", PASSED),
        ("OutcomeSeen", PREDICTED),
        ("OutcomeSeen", {"prediction_id": "01.A", "came": ["3"]}),
        ("SomethingElse", PASSED),
        ("", PASSED),
        (None, PASSED),
    ],
)
def test_what_is_no_attempt_is_refused(type: Any, data: Any, room: ScratchRoom, ada: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no attempt"):
        record(ada, type, data)
    assert logged(room) == []


def test_no_setting_of_the_callers_changes_what_is_an_attempt(room: ScratchRoom, ada: psycopg.Connection) -> None:
    for setting in ("standard_conforming_strings = off", "transform_null_equals = on", "role = DEFAULT"):
        ada.execute(f"SET {setting}")
    for exercise_id in ("dd.d", "dd<d", "01<2"):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="no attempt"):
            record(ada, "ExercisePassed", PASSED | {"exercise_id": exercise_id})
    assert record(ada, "ExercisePassed", PASSED) == 1


@pytest.mark.parametrize(
    ("event_id", "version"), [("NULL", 0), ("gen_random_uuid()", -1), ("gen_random_uuid()", "NULL")]
)
def test_an_attempt_without_an_id_or_a_version_is_refused(event_id: str, version: Any, ada: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="needs an id, and the version"):
        ada.execute(f"SELECT room.record_attempt({event_id}, 'ExercisePassed', '{{}}', {version})")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM room.events",
        "SELECT * FROM room.log",
        "SELECT * FROM room.streams",
        "SELECT * FROM room.learners",
        "SELECT * FROM room.subscriptions",
        "INSERT INTO room.subscriptions VALUES ('mine')",
        "UPDATE room.subscriptions SET checkpoint = 0",
        "DELETE FROM room.events",
        "TRUNCATE room.streams",
        "DROP SCHEMA room CASCADE",
        "CREATE SCHEMA mine",
        "CREATE TABLE room.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE TEMP TABLE events (id int)",
        "SELECT nextval('room.events_position_seq')",
        'SELECT * FROM room.append_to_stream(\'learner-bo\', NULL, \'[{"type": "ExercisePassed", "data": {}}]\')',
        "SELECT * FROM room.read_stream('learner-bo')",
        "SELECT * FROM room.read_all()",
        "SELECT room.archive_stream('learner-bo')",
        "SELECT room.is_attempt('ExercisePassed', '{}')",
        "CREATE FUNCTION room.is_attempt(type text, data json) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "ALTER FUNCTION room.record_attempt OWNER TO CURRENT_USER",
        "BEGIN; LOCK TABLE room.events",
        "SET SESSION AUTHORIZATION postgres",
        "SET ROLE postgres",
    ],
)
def test_a_learner_may_do_nothing_else(statement: str, room: ScratchRoom, ada: psycopg.Connection) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)):
        ada.execute(statement)
    assert logged(room) == []


def test_nobody_speaks_for_a_neighbour(room: ScratchRoom, ada: psycopg.Connection) -> None:
    """Whatever a learner sets, their events go to the stream of who logged in."""
    ada.execute(f"SET ROLE {room.role}")
    ada.execute("SET search_path = pg_temp, public")
    ada.execute("SET eventstore.announced = '1'")
    record(ada, "ExercisePassed", PASSED)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ada.execute(f"SET ROLE {room.role_of('bo')}")
    assert [recorded.stream_id for recorded in logged(room)] == [f"learner-{room.role_of('ada')}"]


def test_a_stranger_is_not_let_in(room: ScratchRoom, postgres: Server) -> None:
    stranger = f"{room.name}_stranger"
    with postgres.connect() as owner:
        owner.execute(f"CREATE ROLE {stranger} LOGIN PASSWORD 'secret'")
        try:
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                postgres.connect(user=stranger, password="secret", dbname=room.role)
        finally:
            owner.execute(f"DROP ROLE {stranger}")


def test_a_flood_ends_and_harms_nobody_else(room: ScratchRoom, ada: psycopg.Connection) -> None:
    began = time.monotonic()
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="within a minute"):
        for version in range(1000):
            record(ada, "ExercisePassed", PASSED, version)
    assert version == 120 and time.monotonic() - began < 30
    with room.connect("bo") as bo:
        assert record(bo, "ExercisePassed", PASSED) == 1


def test_a_stream_has_an_end(room: ScratchRoom, ada: psycopg.Connection) -> None:
    record(ada, "ExercisePassed", PASSED)
    with room.connect() as owner:
        owner.execute("UPDATE room.streams SET version = 5000")
    with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="takes no more events of"):
        record(ada, "ExercisePassed", PASSED, 5000)


def test_a_flood_of_connections_cannot_double_or_lose(room: ScratchRoom, ada: psycopg.Connection) -> None:
    """Several kernels of one learner send the same events, each from what it believes is the end of the stream."""
    ids = [uuid4() for _ in range(20)]

    def send(_: int) -> None:
        with room.connect("ada") as connection:
            for version, event_id in enumerate(ids):
                record(connection, "ExercisePassed", PASSED, version, event_id)

    with ThreadPoolExecutor(4) as kernels:
        list(kernels.map(send, range(4)))
    assert [recorded.id for recorded in logged(room)] == ids


def test_a_transaction_left_open_does_not_hold_up_the_readers_for_long(
    room: ScratchRoom, ada: psycopg.Connection
) -> None:
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):  # noqa: SIM117
        with ada.transaction():
            record(ada, "ExercisePassed", PASSED)
            with room.connect("bo") as bo:
                record(bo, "ExercisePassed", PASSED)
            assert logged(room) == []
            time.sleep(2.3)
            ada.execute("SELECT 1")
    assert [recorded.stream_id for recorded in logged(room)] == [f"learner-{room.role_of('bo')}"]


def test_the_room_knows_its_learners(room: ScratchRoom) -> None:
    with room.connect() as owner:
        assert owner.execute("SELECT name FROM room.learners ORDER BY 1").fetchall() == [
            (room.role_of("ada"),), (room.role_of("bo"),)
        ]  # fmt: skip


def test_it_can_be_installed_again(room: ScratchRoom, ada: psycopg.Connection) -> None:
    record(ada, "ExercisePassed", PASSED)
    list(room.make(["ada"]))
    assert len(logged(room)) == 1
    assert record(ada, "ExercisePassed", PASSED, 1) == 2


def test_half_a_log_is_none(room: ScratchRoom, postgres: Server) -> None:
    """Where the role does not exist, nothing of it is left."""
    with postgres.connect(dbname=room.role) as owner:
        with pytest.raises(psycopg.errors.UndefinedObject):
            create_room_log(owner, f"{room.name}_nobody")
        before = owner.execute("SELECT count(*) FROM pg_proc WHERE pronamespace = 'room'::regnamespace").fetchone()
        assert before[0] > 10 and owner.execute("SHOW search_path").fetchone() == ('"$user", public',)


def test_an_instructor_who_is_no_superuser_can_make_the_log(postgres: Server) -> None:
    """CREATEROLE and CREATEDB are enough; the instructor, who manages the learners' role, is no learner."""
    name = f"t{uuid4().hex[:8]}"
    with postgres.connect() as owner:
        if owner.info.server_version < 160000:
            pytest.skip("who may give a role to others is ruled differently before PostgreSQL 16")
        owner.execute(f"CREATE ROLE {name} LOGIN CREATEROLE CREATEDB PASSWORD 'secret'")
        try:
            with postgres.connect(user=name, password="secret") as instructor:
                instructor.execute(f"CREATE DATABASE room_{name}")
                instructor.execute(f"CREATE ROLE {name}_learners NOLOGIN")
                instructor.execute(f"GRANT {name}_learners TO {name}")
                instructor.execute(f"CREATE ROLE {name}_ada LOGIN PASSWORD 'secret' IN ROLE {name}_learners")
            with postgres.connect(user=name, password="secret", dbname=f"room_{name}") as instructor:
                create_room_log(instructor, f"{name}_learners")
                with postgres.connect(user=f"{name}_ada", password="secret", dbname=f"room_{name}") as ada:
                    assert record(ada, "ExercisePassed", PASSED) == 1
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        ada.execute("SELECT * FROM room.events")
                assert instructor.execute("SELECT name FROM room.learners").fetchall() == [(f"{name}_ada",)]
                assert instructor.execute("SELECT count(*) FROM room.events").fetchone() == (1,)
        finally:
            owner.execute(f"DROP DATABASE IF EXISTS room_{name} WITH (FORCE)")
            for role in (f"{name}_ada", f"{name}_learners", name):
                owner.execute(f"DROP ROLE IF EXISTS {role}")
