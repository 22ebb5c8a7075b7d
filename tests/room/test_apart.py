"""What a learner's role tries with what is not its own: each time PostgreSQL refuses, and for that reason."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import errors as postgres_errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from eventstore import EventStore, EventTypes
from workshop.room import Room, Seat
from workshop.server.rooms import room_of

from .. import bank
from ..postgres import Server
from .conftest import open_as, seats_in, unused_name

LIMIT = 15


@dataclass
class Neighbours:
    room: Room
    admin_url: str
    ada: Seat
    ben: Seat

    def named(self, text: str) -> str:
        """Fill in the names that PostgreSQL knows them by."""
        admin = str(conninfo_to_dict(self.admin_url)["user"])
        return text.format(ada=self.ada.role, ben=self.ben.role, room=self.room.role, admin=f'"{admin}"')


@pytest.fixture(scope="module", params=["superuser", "creator"])
def neighbours(
    request: pytest.FixtureRequest, postgres: Server, creator_url: str, asks_for_passwords: None
) -> Iterator[Neighbours]:
    """A room of two, made by a superuser and by somebody who is none."""
    url = postgres.url if request.param == "superuser" else creator_url
    room = Room(unused_name(), url, connections=LIMIT)
    seats = seats_in(room, "Ada", "Ben")
    with open_as(seats["Ben"]) as ben:
        ben.execute("CREATE SCHEMA mine; CREATE TABLE mine.secrets AS SELECT 'of ben' AS what")
    yield Neighbours(room, url, seats["Ada"], seats["Ben"])
    room.take_down()


@pytest.fixture
def ada(neighbours: Neighbours) -> Iterator[psycopg.Connection]:
    with open_as(neighbours.ada) as connection:
        yield connection


@pytest.fixture(scope="module")
def ben(neighbours: Neighbours) -> Iterator[psycopg.Connection]:
    with open_as(neighbours.ben) as connection:
        yield connection


def test_what_is_ones_own_works(neighbours: Neighbours, ada: psycopg.Connection) -> None:
    ada.execute("CREATE SCHEMA shop; SET search_path = shop; CREATE TEMPORARY TABLE t (n int)")
    store = EventStore(ada, EventTypes(*bank.EVENT_TYPES))
    store.create_schema()
    assert store.append("account-1", [bank.AccountOpened("account-1", "PLN")]).version == 1
    assert room_of(ada) == neighbours.room.name
    ada.execute("DROP SCHEMA shop CASCADE")


def test_the_limits_are_in_force(neighbours: Neighbours, ada: psycopg.Connection) -> None:
    def shown(name: str) -> str:
        return ada.execute("SELECT current_setting(%s)", (name,)).fetchone()[0]  # type: ignore[index]

    assert (shown("statement_timeout"), shown("lock_timeout")) == ("1min", "10s")
    assert shown("idle_in_transaction_session_timeout") == "10min"
    if "creator" not in neighbours.admin_url:  # who is no superuser may not set it
        assert shown("temp_file_limit") == "1GB"
    attributes = ada.execute(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolconnlimit FROM pg_roles"
        " WHERE rolname = current_user"
    ).fetchone()
    assert attributes == (False, False, False, False, False, LIMIT)
    memberships = ada.execute(
        "SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'MEMBER') AND rolname <> current_user"
    ).fetchall()
    assert memberships == [(neighbours.room.role,)]


def test_a_neighbours_database_lets_nobody_in(neighbours: Neighbours) -> None:
    for url in (neighbours.ada.url, neighbours.ben.url):
        other = neighbours.ben.role if url == neighbours.ada.url else neighbours.ada.role
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(make_conninfo(url or "", dbname=other))
        assert f'permission denied for database "{other}"' in str(caught.value)
        assert "does not have CONNECT privilege" in str(caught.value)


REFUSED = {
    # to be somebody else
    "SET ROLE {ben}": "permission denied to set role",
    "SET ROLE {admin}": "permission denied to set role",
    "SET SESSION AUTHORIZATION {ben}": "permission denied to set session authorization",
    "GRANT {ben} TO {ada}": "{ben}",
    "GRANT pg_read_all_data TO {ada}": "pg_read_all_data",
    "GRANT pg_signal_backend TO {ada}": "pg_signal_backend",
    "CREATE ROLE {ada}_2": "permission denied to create role",
    "DROP ROLE {ben}": "permission denied to drop role",
    "ALTER ROLE {ben} PASSWORD 'mine now'": "permission denied|must have|may alter",
    "ALTER ROLE {ben} NOLOGIN": "permission denied",
    "ALTER ROLE {ben} SET search_path = nowhere": "permission denied|must have",
    "ALTER ROLE {ben} RENAME TO {ben}_2": "permission denied to rename role",
    "ALTER ROLE {ada} CONNECTION LIMIT -1": "permission denied",
    "ALTER ROLE {ada} SUPERUSER": "permission denied|must be superuser",
    "ALTER ROLE {ada} CREATEDB": "permission denied",
    "ALTER ROLE {ada} CREATEROLE": "permission denied",
    "ALTER ROLE {ada} REPLICATION": "permission denied|must be superuser",
    "ALTER ROLE {ada} BYPASSRLS": "permission denied|must be superuser",
    "COMMENT ON ROLE {ada} IS 'nobody'": "permission denied|must have CREATEROLE",  # by the comments the room is known
    "COMMENT ON DATABASE {ada} IS 'nothing'": "must be owner of database",
    # to read
    "SELECT rolpassword FROM pg_authid": "permission denied for table pg_authid",
    "SELECT pg_read_file('/etc/passwd')": "permission denied for function pg_read_file",
    "SELECT pg_ls_dir('.')": "permission denied for function pg_ls_dir",
    "COPY (SELECT 1) TO PROGRAM 'true'": "to COPY to or from an external program",
    "CREATE TEMPORARY TABLE t (line text); COPY t FROM '/etc/passwd'": "to COPY from a file",
    "SELECT lo_import('/etc/passwd')": "permission denied for function lo_import",
    "CREATE EXTENSION file_fdw": "permission denied to create extension|not available",
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE c AS 'x'": "permission denied for language c",
    # to lock what all share
    "BEGIN; LOCK TABLE pg_database": "permission denied for table pg_database",
    "BEGIN; LOCK TABLE pg_authid IN ACCESS SHARE MODE": "permission denied for table pg_authid",
    "SELECT 1 FROM pg_database FOR UPDATE": "permission denied for table pg_database",
    # to drop, and to open to others
    "DROP DATABASE {ben}": "must be owner of database {ben}",
    "DROP DATABASE {room}": "must be owner of database {room}",
    "DROP DATABASE {ada}": "must be owner of database {ada}",
    "DROP DATABASE postgres": "must be owner of database postgres",
    "DROP OWNED BY {ben}": "permission denied to drop objects",
    "REASSIGN OWNED BY {ben} TO {ada}": "permission denied to reassign objects",
    "ALTER DATABASE {ben} RENAME TO {ben}_2": "must be owner of database {ben}",
    "ALTER DATABASE {ada} OWNER TO {ada}": "must be owner of database {ada}",
    "ALTER DATABASE {ada} SET statement_timeout = 0": "must be owner of database {ada}",
    "ALTER DATABASE {ben} CONNECTION LIMIT 0": "must be owner of database {ben}",
    "CREATE DATABASE {ada}_2": "permission denied to create database",
    # to end, and to set, what is the server's
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ben}'": "to terminate process|a member",
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = '{ben}'": "to cancel query|a member",
    "SELECT pg_reload_conf()": "permission denied for function pg_reload_conf",
    "SELECT pg_switch_wal()": "permission denied for function pg_switch_wal",
    "SELECT pg_stat_reset()": "permission denied for function pg_stat_reset",
    "CHECKPOINT": "permission denied to execute CHECKPOINT|must be superuser",
    "ALTER SYSTEM SET max_connections = 10": "permission denied to set parameter|must be superuser",
    "SET temp_file_limit = -1": "permission denied to set parameter",
    "SET session_replication_role = replica": "permission denied to set parameter",
    "ALTER ROLE {ada} SET temp_file_limit = -1": "permission denied to set parameter",
    "CREATE TABLESPACE t LOCATION '/tmp'": "permission denied to create tablespace",
    "CREATE PUBLICATION p FOR ALL TABLES": "must be superuser",
    "SELECT pg_create_physical_replication_slot('s')": "permission denied to use replication slots|must be superuser",
}


@pytest.mark.parametrize("statement", REFUSED)
def test_refused(statement: str, neighbours: Neighbours, ada: psycopg.Connection, ben: psycopg.Connection) -> None:
    with pytest.raises((postgres_errors.InsufficientPrivilege, postgres_errors.FeatureNotSupported)) as caught:
        ada.execute(neighbours.named(statement))
    said = f"{caught.value.diag.message_primary} {caught.value.diag.message_detail}"
    assert any(neighbours.named(reason) in said for reason in REFUSED[statement].split("|")), said
    assert ben.execute("SELECT what FROM mine.secrets").fetchall() == [("of ben",)]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT * FROM room.events", "permission denied for (schema|table|function)"),
        ("BEGIN; LOCK TABLE room.events", "permission denied for (schema|table|function)"),
        ("DELETE FROM room.events", "permission denied for (schema|table|function)"),
        ("SELECT room.append_to_stream('learner-{ben}', 0, '[]')", "permission denied for (schema|table|function)"),
        ("DROP SCHEMA room CASCADE", "must be owner of schema room"),
        ("CREATE SCHEMA mine", "permission denied for database"),
        ("CREATE TABLE t (n int)", "no schema has been selected"),
        ("CREATE TABLE public.t (n int)", "permission denied for schema public"),
        ("CREATE TEMPORARY TABLE t (n int)", "permission denied to create temporary tables"),
    ],
)
def test_refused_in_the_rooms_log(statement: str, reason: str, neighbours: Neighbours) -> None:
    log = make_conninfo(neighbours.ada.url or "", dbname=neighbours.room.role)
    with psycopg.connect(log, autocommit=True) as ada, pytest.raises(psycopg.ProgrammingError, match=reason):
        ada.execute(neighbours.named(statement))


@pytest.mark.parametrize("function", ["pg_advisory_lock(1)", "pg_try_advisory_xact_lock_shared(1, 2)", "lo_create(0)"])
def test_refused_in_the_rooms_log_where_a_superuser_made_it(function: str, neighbours: Neighbours) -> None:
    if "creator" in neighbours.admin_url:
        pytest.skip("only a superuser can take away functions of PostgreSQL's own")
    log = make_conninfo(neighbours.ada.url or "", dbname=neighbours.room.role)
    with psycopg.connect(log, autocommit=True) as ada, pytest.raises(postgres_errors.InsufficientPrivilege):
        ada.execute(f"SELECT {function}")
    with psycopg.connect(make_conninfo(neighbours.admin_url, dbname=neighbours.room.role), autocommit=True) as admin:
        admin.execute("SET search_path = room")
        store = EventStore(admin, EventTypes(*bank.EVENT_TYPES))  # it takes such locks itself
        store.append("account-1", [bank.AccountOpened("account-1", "PLN")])


def test_a_gift_of_ones_own_database_opens_nothing(neighbours: Neighbours, ada: psycopg.Connection) -> None:
    # PostgreSQL accepts this with a warning: who does not own a database grants nothing.
    ada.execute(neighbours.named("GRANT CONNECT ON DATABASE {ada} TO {ben}; GRANT CONNECT ON DATABASE {ada} TO PUBLIC"))
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(make_conninfo(neighbours.ben.url or "", dbname=neighbours.ada.role))


def test_what_a_neighbour_runs_is_not_shown(
    neighbours: Neighbours, ada: psycopg.Connection, ben: psycopg.Connection
) -> None:
    """But under which name, and so in which notebook, is."""
    ben.execute("SET application_name = '01_tables'")
    ben.execute("SELECT 'a secret in the text'")
    shown = "SELECT query, application_name FROM pg_stat_activity WHERE usename = %s"
    assert ada.execute(shown, (neighbours.ben.role,)).fetchall() == [("<insufficient privilege>", "01_tables")]


def test_locks_and_notifications_do_not_meet(ada: psycopg.Connection, ben: psycopg.Connection) -> None:
    ada.execute("SELECT pg_advisory_lock(42)")
    assert ben.execute("SELECT pg_try_advisory_lock(42)").fetchone() == (True,)
    ben.execute("LISTEN shared")
    ada.execute("NOTIFY shared, 'hello'")
    ben.execute("NOTIFY shared, 'from ben'")
    assert [heard.payload for heard in ben.notifies(timeout=1, stop_after=1)] == ["from ben"]
    assert list(ben.notifies(timeout=0.1)) == []


def test_a_flood_of_connections_keeps_no_neighbour_out(neighbours: Neighbours, postgres: Server) -> None:
    everywhere = [None, neighbours.room.role, "postgres"]  # in all databases together
    with ExitStack() as flood:
        for number in range(LIMIT):
            how = {"dbname": where} if (where := everywhere[number % 3]) else {}
            flood.enter_context(open_as(neighbours.ada, **how))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            open_as(neighbours.ada)
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            open_as(neighbours.ada, dbname="postgres")
        with open_as(neighbours.ben) as ben:
            assert ben.execute("SELECT what FROM mine.secrets").fetchall() == [("of ben",)]
