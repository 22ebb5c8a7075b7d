"""join() and leave(): a server for all notebooks from one line, kept only if it lets the learner in."""

import json
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from workshop import check, classroom, join, leave, start
from workshop.attempts import recording as attempts
from workshop.errors import WorkshopError
from workshop.files import CHECKOUT
from workshop.room import Room, Seat
from workshop.server import database, url_source
from workshop.server.rooms import room_of

from ..postgres import Server
from ..room.conftest import asks_for_passwords, error_of
from .answers import right_answer

__all__ = ["asks_for_passwords"]


@pytest.fixture
def room_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where join() keeps a URL, in a kernel without DATABASE_URL."""
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setattr(url_source, "ROOM_FILE", tmp_path / "room.json")
    monkeypatch.setattr(database, "running_server", lambda data: pytest.fail("the embedded server was asked for"))
    return tmp_path / "room.json"


@pytest.fixture(scope="module")
def seat(postgres: Server, asks_for_passwords: None) -> Iterator[Seat]:
    """A learner's seat in a room that was just made."""
    room = Room(f"r{uuid4().hex[:8]}", postgres.url, connections=8)
    (seat,) = room.make(["Ada"])
    yield seat
    room.take_down()


def test_a_learner_joins_and_leaves(
    seat: Seat, room_file: Path, notebook: str, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = seat.role.partition("_")[0]
    namespace: dict = {}
    exec(seat.line, namespace)  # what the learner pastes
    shown = said()
    assert shown.startswith(f"You joined the room {room} as {seat.role}, at ") and "first code cell" in shown
    password = str(conninfo_to_dict(seat.url or "")["password"])
    assert password not in shown
    assert stat.S_IMODE(room_file.stat().st_mode) == 0o600

    db = start(notebook)
    assert said().endswith(f"(room {room}, as {seat.role}), schema {notebook}, empty.\n")
    assert (db.connection.info.user, db.connection.info.dbname, db.schema) == (seat.role, seat.role, notebook)
    check("01.1", right_answer("01.1"))
    assert "solved" in said()
    assert database.server_url() == seat.url
    db.close()
    classroom._started = None

    monkeypatch.setattr(database, "running_server", lambda data: "the embedded one")
    leave()
    assert said().startswith("You left the room.") and not room_file.exists()
    assert database.server_url() == "the embedded one"
    leave()
    assert said() == "You had joined no room.\n"


def test_database_url_comes_first(
    seat: Seat, room_file: Path, notebook: str, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", seat.url or "")
    join(seat.url or "")
    assert "DATABASE_URL is set here, and comes first" in said()
    start(notebook)
    assert "(from DATABASE_URL)" in said()
    leave()
    assert "the server that DATABASE_URL names" in said()


def test_a_server_that_is_no_room_can_be_joined(
    postgres: Server, room_file: Path, notebook: str, said: Callable[[], str]
) -> None:
    if not postgres.url.startswith("postgres"):
        pytest.skip("join() takes a URL")
    join(f"  {postgres.url.replace('postgresql://', 'postgresql+psycopg://')}\n")
    assert said().startswith("You joined a server as ")
    start(notebook)
    assert "(joined), schema" in said()


def test_what_does_not_let_in_is_not_kept(seat: Seat, room_file: Path) -> None:
    join(seat.url or "")
    before = room_file.read_text()
    parts = conninfo_to_dict(seat.url or "")
    password = str(parts["password"])
    wrong = (seat.url or "").replace(password, "hunter2")
    for url, problem in {
        wrong: f'password authentication failed for user "{seat.role}"',
        "postgresql://oslo_ada:hunter2@127.0.0.1:1/oslo_ada": "127.0.0.1:1/oslo_ada",
        "postgresql://oslo_ada:hunter2@nowhere.invalid/oslo_ada": "nowhere.invalid",
        "mysql://oslo_ada:hunter2@localhost/oslo_ada": "is no PostgreSQL URL",
        "hunter2": "is no PostgreSQL URL",
        "": "is no PostgreSQL URL",
        None: "is no PostgreSQL URL",
    }.items():
        message = error_of(lambda url=url: join(url))
        assert problem in message and "hunter2" not in message
        assert "DATABASE_URL" not in message and "docker" not in message
        assert room_file.read_text() == before


def test_the_whole_line_as_a_text_is_taken_for_what_it_is(seat: Seat, room_file: Path, said: Callable[[], str]) -> None:
    for line in (seat.line, f"  {seat.line.replace(chr(39), chr(34))}\n", f"join( '{seat.url}' )"):
        join(line)
        assert said().startswith("You joined the room ") and json.loads(room_file.read_text()) == {"url": seat.url}
    message = error_of(lambda: join("from workshop import join; join('hunter2')"))
    assert "is no PostgreSQL URL" in message and "hunter2" not in message


def test_an_old_server_is_not_joined(postgres: Server, room_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST_VERSION", 99)
    assert "the kit needs 99 or newer.\nNothing was changed" in error_of(lambda: join(postgres.url))
    assert not room_file.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": 7}', "\xff", '"text"'])
def test_a_broken_file_is_told(text: str, room_file: Path, notebook: str, said: Callable[[], str]) -> None:
    room_file.write_text(text, encoding="latin-1")
    message = error_of(lambda: start(notebook))
    assert str(room_file) in message and "broken" in message and "leave()" in message
    leave()
    assert said().startswith("You left the room.") and not room_file.exists()


def test_what_a_learner_in_a_room_can_do_is_told(seat: Seat, room_file: Path, notebook: str) -> None:
    join(seat.url or "")
    for url, problem in {
        "postgresql://oslo_ada:hunter2@127.0.0.1:1/oslo_ada": "No PostgreSQL let us in at 127.0.0.1:1/oslo_ada",
        "mysql://oslo_ada:hunter2@localhost/oslo_ada": "The URL in room.json is no PostgreSQL URL",
    }.items():
        room_file.write_text(json.dumps({"url": url}))
        message = error_of(lambda: start(notebook))
        assert problem in message and "leave()" in message and "instructor" in message
        assert "hunter2" not in message and "DATABASE_URL" not in message


@contextmanager
def every_connection_taken(seat: Seat) -> Iterator[None]:
    """Hold as many connections as the learner may have, besides those that are open already."""
    taken = []
    try:
        with suppress(psycopg.OperationalError):
            while True:
                taken.append(psycopg.connect(seat.url or ""))
        yield
    finally:
        for connection in taken:
            connection.close()


def test_a_learner_with_too_many_connections_is_told(seat: Seat, room_file: Path, notebook: str) -> None:
    join(seat.url or "")
    with every_connection_taken(seat):
        message = error_of(lambda: start(notebook))
    assert "too many connections for role" in message and "Shut down the kernels" in message


def test_a_check_that_gets_no_connection_is_no_attempt(seat: Seat, room_file: Path, notebook: str) -> None:
    join(seat.url or "")
    start(notebook)
    with every_connection_taken(seat):
        message = error_of(lambda: check("01.2", right_answer("01.2")))
    assert "too many connections for role" in message and "Shut down the kernels" in message
    assert "01.2" not in attempts.progress()


def test_a_race_that_needs_too_many_connections_ends(
    seat: Seat, room_file: Path, notebook: str, postgres: Server
) -> None:
    # A learner of this test's own: what other tests' kernels leave open counts.
    newcomer = Room(seat.role.partition("_")[0], postgres.url).add("Bo")
    join(newcomer.url or "")
    db = start(notebook)
    message = error_of(lambda: db.race(9, lambda connection, number: number))
    assert "too many connections for role" in message
    db.reset()
    # Eight in all: the notebook's own, that of the learner's log, and the one to the room are open.
    assert db.race(5, lambda connection, number: number) == list(range(5))


def test_a_folder_that_cannot_be_written_is_told(
    postgres: Server, room_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (room_file.parent / "file").touch()
    monkeypatch.setattr(url_source, "ROOM_FILE", room_file.parent / "file" / "room.json")
    assert "could not be kept" in error_of(lambda: join(postgres.url))


def test_nobody_calls_themselves_a_room(postgres: Server, room_file: Path) -> None:
    """A role that is a member of another one is no learner by that."""
    group, member = f"room_{uuid4().hex[:8]}", f"member_{uuid4().hex[:8]}"
    with postgres.connect() as owner:
        owner.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(group)))
        made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x' IN ROLE {}")
        owner.execute(made.format(sql.Identifier(member), sql.Identifier(group)))
        try:
            with psycopg.connect(make_conninfo(postgres.url, user=member, password="x")) as connection:
                assert room_of(connection) is None
        finally:
            owner.execute(sql.SQL("DROP ROLE {}, {}").format(sql.Identifier(member), sql.Identifier(group)))


def test_the_file_is_not_in_git() -> None:
    assert "room.json" in (CHECKOUT / ".gitignore").read_text().splitlines()
    assert issubclass(WorkshopError, Exception)
