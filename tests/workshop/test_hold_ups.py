"""A learner who holds up the log of a room: the dashboard says who, and ends it."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from workshop.dashboard.agenda import Agenda
from workshop.dashboard.live import Dashboard

from ..postgres import EmbeddedServer, Server
from ..room.conftest import creator_url
from ..subscribing import eventually
from .rooms import ScratchRoom
from .test_dashboard import attempt, line_of

__all__ = ["creator_url"]

APPEND = """room.record_attempt(gen_random_uuid(), 'ExercisePassed', '{"exercise_id": "00.1", "attempt": 1}', 0)"""
# Statements that a learner runs one after the other; the last one may last.
ATTACKS = {
    "a transaction left open": (
        "BEGIN", f"SELECT {APPEND}", "SET idle_in_transaction_session_timeout = 0",
    ),
    "a statement that takes its time": (
        "SET statement_timeout = 0", f"SELECT {APPEND}, pg_sleep(60)",
    ),
    "a lock that appends wait for": (
        "SELECT pg_advisory_lock(('room.events'::regclass::oid::bigint << 48) | n) FROM generate_series(0, 9) AS n",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def used(creator_url: str) -> Iterator[ScratchRoom]:
    room = ScratchRoom(creator_url, ["ada", "bo"])
    yield room
    room.take_down()


@pytest.fixture
def room(used: ScratchRoom, postgres: Server) -> ScratchRoom:
    """As on a managed server: whoever made it is no superuser, so everybody may take locks by hand."""
    with postgres.connect(dbname=used.role) as owner:
        owner.execute("SET session_replication_role = replica; DELETE FROM room.events; DELETE FROM room.streams")
    return used


@pytest.fixture
def board(room: ScratchRoom, creator_url: str) -> Iterator[Dashboard]:
    board = Dashboard(room.name, creator_url, Agenda("one hour"))
    yield board
    board.stop()


@pytest.fixture
def hold(room: ScratchRoom) -> Iterator[Callable[[str], psycopg.Connection]]:
    """Have Ada run an attack, which goes on until her connection ends."""
    with room.connect("ada") as connection, ThreadPoolExecutor(1) as thread:

        def run(statements: tuple[str, ...]) -> None:
            with suppress(psycopg.OperationalError):
                for statement in statements:
                    connection.execute(statement)

        def hold(attack: str) -> psycopg.Connection:
            thread.submit(run, ATTACKS[attack])
            with room.connect() as owner:
                locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s AND granted"
                pid = (connection.info.backend_pid,)
                eventually(lambda: owner.execute(locks, pid).fetchone()[0] > 0)
            return connection

        yield hold
        with room.connect() as owner:
            owner.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))


def patiently(room: ScratchRoom, learner: str, exercise_id: str) -> None:
    """Record an attempt as the kit does: where it takes too long, it is sent once more."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError):
            return attempt(room, learner, exercise_id)
    raise AssertionError("the room took nothing for half a minute")


_FIRST, *_MORE = ATTACKS


@pytest.mark.parametrize("attack", [_FIRST, *(pytest.param(each, marks=pytest.mark.long) for each in _MORE)])
def test_who_holds_up_the_room_is_named_and_ended(
    attack: str, room: ScratchRoom, board: Dashboard, hold: Callable[[str], psycopg.Connection]
) -> None:
    assert "· live ·" in str(board.page())
    ada = hold(attack)
    with ThreadPoolExecutor(1) as neighbour:
        sent = neighbour.submit(patiently, room, "bo", "01.1")
        eventually(lambda: "· not live ·" in str(board.page()) and "Held up by ada: " in str(board.page()), within=10)
        assert "That connection is being ended." in str(board.page())
        assert line_of(board, "bo").split()[0] == "·"
        eventually(lambda: line_of(board, "bo").split()[0] == "✓" and "· live ·" in str(board.page()), within=15)
        sent.result()
    with pytest.raises(psycopg.OperationalError):
        ada.execute("SELECT 1")


def test_whoever_is_only_busy_is_left_alone(room: ScratchRoom, board: Dashboard) -> None:
    """One append after the other, for longer than a lock may be held."""
    until = time.monotonic() + 7
    with room.connect("bo") as connection:
        version = 0
        while time.monotonic() < until:
            connection.execute(f"SELECT {APPEND.replace(', 0)', f', {version})')}")
            version += 1
            assert "Held up" not in str(board.page())
            time.sleep(0.09)
        assert connection.execute("SELECT count(*) FROM room.my_attempts()").fetchone() == (version,)


@pytest.mark.long
def test_who_may_not_end_it_is_told_who_it_is(
    room: ScratchRoom, postgres: Server, hold: Callable[[str], psycopg.Connection]
) -> None:
    reader = f"reader_{uuid4().hex[:8]}"
    with postgres.connect(dbname=room.role) as owner:
        owner.execute(f"CREATE ROLE {reader} LOGIN PASSWORD 'secret'")
        try:
            owner.execute(f"GRANT CONNECT ON DATABASE {room.role} TO {reader}")
            owner.execute(f"GRANT USAGE ON SCHEMA room TO {reader}")
            owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA room TO {reader}")
            owner.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA room TO {reader}")
            owner.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA room TO {reader}")
            url = make_conninfo(postgres.url, user=reader, password="secret")
            board = Dashboard(room.name, url, Agenda("one hour"))
            ada = hold("a transaction left open")
            attempt(room, "bo", "01.1")
            says = "We may not end that connection; who made the room may: "
            eventually(lambda: says in str(board.page()), within=15)
            assert "· not live ·" in str(board.page()) and "Held up by ada: " in str(board.page())
            assert f"python -m workshop.room reset {room.name} NAME" in str(board.page())
            ada.execute("COMMIT")
            eventually(lambda: "· live ·" in str(board.page()) and line_of(board, "bo").split()[0] == "✓", within=10)
            board.stop()
        finally:
            owner.execute(f"DROP OWNED BY {reader}; DROP ROLE {reader}")


def test_nobody_else_rings_the_bell_or_hears_it(room: ScratchRoom, board: Dashboard) -> None:
    """A learner may notify, and listen to, every channel of which they know the name: not the one of the log."""
    with room.connect("ada") as ada, ThreadPoolExecutor(1) as thread:
        for statement in ("SELECT room.events_channel()", "SELECT * FROM room.secret_channel"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                ada.execute(statement)
        (oid,) = ada.execute("SELECT c.oid FROM pg_class c WHERE relname = 'events'").fetchone()  # type: ignore[misc]
        ada.execute(f"LISTEN events_{oid}")
        attempt(room, "bo", "01.1")
        eventually(lambda: line_of(board, "bo").split()[0] == "✓", within=1)
        assert list(ada.notifies(timeout=0.2)) == []
        ada.execute(f"UNLISTEN events_{oid}")
        stopped = Event()

        def flood() -> None:
            while not stopped.is_set():
                ada.execute(f"SELECT pg_notify('events_{oid}', n::text) FROM generate_series(1, 300) n")

        flooding = thread.submit(flood)
        try:
            time.sleep(1)
            attempt(room, "bo", "01.2")
            eventually(lambda: line_of(board, "bo").split()[1] == "✓", within=2)
        finally:
            stopped.set()
        flooding.result()


@pytest.mark.long
def test_what_is_prepared_or_fills_the_queue_of_notifications_is_named_and_ended() -> None:
    """On a server that takes prepared transactions, and has a short queue: all it may be set to, by its owner."""
    server = EmbeddedServer(max_prepared_transactions="5", max_notify_queue_pages="64")
    try:
        room = ScratchRoom(server.url, ["ada", "bo"])
        assert any("max_prepared_transactions = 0" in note for note in room.advice())
        with room.connect("ada") as ada:  # before a dashboard sleeps: what notifies one cannot be prepared
            for statement in ("BEGIN", f"SELECT {APPEND}", "PREPARE TRANSACTION 'stall'"):
                ada.execute(statement)
        board = Dashboard(room.name, server.url, Agenda("one hour"))
        attempt(room, "bo", "01.1")
        eventually(lambda: "Held up by ada: " in str(board.page()), within=10)
        eventually(lambda: line_of(board, "bo").split()[0] == "✓" and "· live ·" in str(board.page()), within=10)

        listener = psycopg.connect(room.learners_url("ada"), autocommit=True)
        listener.execute("LISTEN mine")
        for statement in ("BEGIN", "SELECT 1", "SET idle_in_transaction_session_timeout = 0"):
            listener.execute(statement)
        with psycopg.connect(room.learners_url("ada"), autocommit=True) as ada, suppress(psycopg.OperationalError):
            while True:
                ada.execute("SELECT pg_notify('mine', repeat('x', 7900) || n) FROM generate_series(1, 10) n")
        with pytest.raises(psycopg.OperationalError, match="too many notifications"):
            attempt(room, "bo", "01.2")
        eventually(lambda: re.search(r"queue of notifications is \d+% full", str(board.page())), within=10)
        eventually(lambda: "Held up by ada: " in str(board.page()), within=10)
        eventually(lambda: "· live ·" in str(board.page()) and "queue" not in str(board.page()), within=10)
        attempt(room, "bo", "01.2")
        with pytest.raises(psycopg.OperationalError):
            listener.execute("SELECT 1")
        board.stop()

        with psycopg.connect(room.learners_url("ada"), autocommit=True) as ada:
            for statement in ("BEGIN", "CREATE SCHEMA mine", "PREPARE TRANSACTION 'mine'"):
                ada.execute(statement)
        room.take_down()
    finally:
        server.remove()
