"""Rooms on the session's server, made by a superuser or by a role that may no more than make roles and databases."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from workshop.errors import WorkshopError
from workshop.room import Room, Seat

from ..postgres import EmbeddedServer, Server

Connect = Callable[..., psycopg.Connection]


def unused_name() -> str:
    """Return the name of a room that nobody has; by its form its roles are known where passwords are asked for."""
    return f"r{uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def asks_for_passwords(postgres: Server) -> Iterator[None]:
    """Have the server ask the roles of these rooms for passwords: the embedded one trusts its socket."""
    before = None
    if isinstance(postgres, EmbeddedServer):
        with postgres.connect() as connection:
            file = Path(connection.execute("SHOW hba_file").fetchone()[0])
            before = file.read_text()
            file.write_text(f'local all "/^r[0-9a-f]+_" scram-sha-256\n{before}')
            connection.execute("SELECT pg_reload_conf()")
    yield
    if before is not None:
        file.write_text(before)
        with postgres.connect() as connection:
            connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def creator_url(postgres: Server) -> Iterator[str]:
    """A role with CREATEROLE and CREATEDB, and no more: what a managed server gives to an instructor."""
    name = f"creator_{uuid4().hex[:8]}"
    with postgres.connect() as owner:
        made = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD 'secret'").format(sql.Identifier(name))
        owner.execute(made)
    yield make_conninfo(postgres.url, user=name, password="secret")
    with postgres.connect() as owner:
        owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def new_room(asks_for_passwords: None, creator_url: str) -> Iterator[Callable[..., Room]]:
    """Make rooms that nothing is made of yet; what came of them is taken down."""
    rooms: list[Room] = []

    def new_room(url: str = creator_url, **how: int) -> Room:
        rooms.append(Room(unused_name(), url, **how))
        return rooms[-1]

    yield new_room
    for room in rooms:
        try:
            room.take_down()
        except WorkshopError as error:
            assert "There is no room" in str(error)


def seats_in(room: Room, *names: str) -> dict[str, Seat]:
    """Make a room; return the seats by name."""
    return {seat.name: seat for seat in room.make(names)}


def open_as(seat: Seat, **how: object) -> psycopg.Connection:
    """Connect as a learner does."""
    assert seat.url
    return psycopg.connect(seat.url, **{"autocommit": True} | how)  # type: ignore[arg-type]


def error_of(call: Callable[[], object]) -> str:
    """Return what an instructor or a learner reads: two lines, without a password."""
    with pytest.raises(WorkshopError) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 2
    return str(caught.value)
