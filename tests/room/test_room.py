"""A room: made whole whatever stopped it before, added to, reset, and taken down without a trace."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import count, product
from threading import Event, current_thread, main_thread
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from workshop.errors import WorkshopError
from workshop.files import CHECKOUT
from workshop.room import Room, Seat, room, server

from ..postgres import EmbeddedServer, Server
from ..subscribing import eventually
from .conftest import error_of, open_as, seats_in, unused_name

NewRoom = Callable[..., Room]


@pytest.fixture
def there(postgres: Server) -> Iterator[Callable[[], set[str]]]:
    """Return what the whole server shares: roles, databases, and whatever belongs to, or says something of, them."""
    with postgres.connect() as observer:

        def there() -> set[str]:
            catalogs = ("pg_authid", "pg_database", "pg_auth_members", "pg_shdepend", "pg_shdescription",
                        "pg_db_role_setting", "pg_parameter_acl")  # fmt: skip
            return {
                f"{catalog} {row}"
                for catalog in catalogs
                # not what a vacuum writes
                for (row,) in observer.execute(f"SELECT to_jsonb(c) - 'datfrozenxid' - 'datminmxid' FROM {catalog} c")
            }

        yield there


def may_log_in(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        assert "password authentication failed" in str(error) or "no password supplied" in str(error)
        return False
    return True


@pytest.fixture(params=["superuser", "creator"])
def any_admin_url(request: pytest.FixtureRequest, postgres: Server, creator_url: str) -> str:
    return postgres.url if request.param == "superuser" else creator_url


def test_taken_down_it_leaves_nothing(
    any_admin_url: str, new_room: NewRoom, there: Callable[[], set[str]], postgres: Server
) -> None:
    before = there()
    room = new_room(any_admin_url)
    seats = seats_in(room, "Ada", "Ben")
    with open_as(seats["Ada"]) as ada, closing(open_as(seats["Ben"])) as ben:
        ada.execute("CREATE SCHEMA mine; CREATE TABLE mine.t AS SELECT 1 AS n; SELECT lo_create(0)")
        ada.execute(sql.SQL("GRANT USAGE ON SCHEMA mine TO {}").format(sql.Identifier(seats["Ben"].role)))
        ada.execute("ALTER ROLE CURRENT_USER SET search_path = mine")
        ben.execute("BEGIN; CREATE SCHEMA mine")  # and left open
        # Everybody may log in here, and leave something that keeps a role from being dropped.
        with psycopg.connect(make_conninfo(seats["Ada"].url or "", dbname="postgres"), autocommit=True) as elsewhere:
            elsewhere.execute("CREATE TEMPORARY TABLE t (n int); SELECT lo_create(0)")
            dropped = room.take_down()
    names = [room.role, seats["Ada"].role, seats["Ben"].role]
    assert sorted(dropped) == sorted(2 * names)
    assert there() == before
    assert "There is no room" in error_of(room.take_down)


def test_taken_down_it_leaves_the_others(new_room: NewRoom, postgres: Server) -> None:
    here, neighbours = new_room(), new_room()
    seats_in(here, "Ada")
    ada = seats_in(neighbours, "Ada")["Ada"]
    lookalike = f"{here.name}_zoe"  # called as a learner of the room, and none
    with postgres.connect() as owner:
        owner.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(lookalike)))
        try:
            here.take_down()
            assert owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (lookalike,)).fetchone()
        finally:
            owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(lookalike)))
    assert may_log_in(ada.url or "")


def test_passwords_open_ones_own_role_only(new_room: NewRoom) -> None:
    seats = seats_in(new_room(), "Ada", "Ben")
    ada, ben = seats["Ada"].url or "", seats["Ben"].url or ""
    assert may_log_in(ada) and may_log_in(ben)
    assert not may_log_in(make_conninfo(ben, password=conninfo_to_dict(ada)["password"]))
    assert not may_log_in(make_conninfo(ada, password=""))
    assert not may_log_in(make_conninfo(ada, password="secret"))


def test_passwords_are_nowhere_in_clear(
    new_room: NewRoom, postgres: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    sent: list[str] = []
    execute = psycopg.Connection.execute

    def overheard(connection: psycopg.Connection, query: object, *given: object, **how: object) -> psycopg.Cursor:
        text = query.as_string(connection) if isinstance(query, sql.Composable) else str(query)
        sent.append(f"{text} {given}")
        return execute(connection, query, *given, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(psycopg.Connection, "execute", overheard)
    seat = seats_in(new_room(), "Ada")["Ada"]
    password = str(conninfo_to_dict(seat.url or "")["password"])
    assert any("SCRAM-SHA-256$" in statement for statement in sent)
    assert not any(password in statement for statement in sent)
    assert password not in repr(seat) and password in seat.line and len(set(password)) > 5
    with postgres.connect() as owner:
        (kept,) = owner.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (seat.role,)).fetchone()
    assert kept.startswith("SCRAM-SHA-256$")
    assert capfd.readouterr().out == ""


def test_made_again_it_keeps_who_is_there(new_room: NewRoom) -> None:
    room = new_room()
    ada = seats_in(room, "Ada")["Ada"]
    with open_as(ada) as connection:
        connection.execute("CREATE SCHEMA mine")
    again = seats_in(room, "Ben", "Ada")
    assert again["Ada"].url is None and again["Ada"].line == ""
    assert may_log_in(ada.url or "") and may_log_in(again["Ben"].url or "")
    with open_as(ada) as connection:
        assert connection.execute("SELECT to_regnamespace('mine') IS NOT NULL").fetchone() == (True,)
    assert [(each.name, each.ready) for each in room.learners()] == [("Ada", True), ("Ben", True)]


def stopped_after(statements: int, run: Callable[[], object]) -> bool:
    """Run something that is interrupted after so many statements; return whether it was."""
    execute = psycopg.Connection.execute
    left = iter(range(statements))

    def counted(connection: psycopg.Connection, *given: object, **how: object) -> object:
        if current_thread() is main_thread() and next(left, None) is None:
            raise KeyboardInterrupt
        return execute(connection, *given, **how)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", counted)
        try:
            run()
        except KeyboardInterrupt:
            return True
    return False


def until_it_is_through(run: Callable[[], object]) -> int:
    """Run something that is stopped after its first statement, run it again to be stopped after the third, and so on.

    Each run finds what the last one left. Returns how often it was stopped.
    """
    return next(statements - 1 for statements in count(1, 2) if not stopped_after(statements, run))


def test_stopped_anywhere_it_is_completed_by_the_next_run(new_room: NewRoom, there: Callable[[], set[str]]) -> None:
    before = there()
    room = new_room()
    seen: dict[str, str | None] = {}

    def make() -> None:
        for seat in room.make(["Ada", "Ben"]):
            if seat.url:
                assert seat.name not in seen, "a learner whose line was shown got another password"
                seen[seat.name] = seat.url

    assert until_it_is_through(make) > 20
    assert [each.ready for each in room.learners()] == [True, True]
    # Both were shown, and both can work.
    for url in seen.values():
        with psycopg.connect(url or "", autocommit=True) as connection:
            connection.execute("CREATE SCHEMA mine")
    assert len(seen) == 2

    seats: list[room.Seat] = []
    until_it_is_through(lambda: seats.append(room.reset("Ada", empty=True)))
    with open_as(seats[-1]) as connection:
        assert connection.execute("SELECT to_regnamespace('mine')").fetchone() == (None,)
    assert not may_log_in(seen["Ada"] or "") and may_log_in(seen["Ben"] or "")

    assert until_it_is_through(room.take_down) > 5
    assert there() == before


def test_half_made_it_can_be_taken_down(new_room: NewRoom, there: Callable[[], set[str]]) -> None:
    before = there()
    for statements in range(8, 40, 8):
        here = new_room()
        stopped_after(statements, lambda here=here: seats_in(here, "Ada"))
        with suppress(WorkshopError):  # there is no room yet
            here.take_down()
        assert there() == before


def test_killed_it_is_completed_by_the_next_run(new_room: NewRoom, creator_url: str) -> None:
    room = new_room()
    names = ["Ada", "Ben", "Cyd", "Dan", "Eve", "Fay"]
    command = [sys.executable, "-m", "workshop.room", "make", room.name, *names]
    environment = os.environ | {"WORKSHOP_ADMIN_URL": creator_url, "PYTHONUNBUFFERED": "1"}
    shown = []
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            shown.append(line)
            if line.startswith("Ben"):
                process.send_signal(signal.SIGKILL)
    urls = [line.split("'")[1] for line in shown if "join(" in line]
    assert process.returncode == -signal.SIGKILL and 1 <= len(urls) < len(names)
    again = list(room.make(names))
    assert [seat.url is None for seat in again[: len(urls)]] == [True] * len(urls)
    assert all(seat.url for seat in again[len(urls) + 1 :])  # at most one was ready and not shown yet
    for url in urls + [seat.url or "" for seat in again[len(urls) + 1 :]]:
        assert may_log_in(url)
    assert all(each.ready for each in room.learners())


def test_one_more(new_room: NewRoom) -> None:
    room = new_room()
    assert "There is no room" in error_of(lambda: room.add("Ada"))
    seats_in(room, "Ada")
    ben = room.add(" Ben  Nevis ")
    assert (ben.name, ben.role) == ("Ben Nevis", f"{room.name}_ben_nevis") and may_log_in(ben.url or "")
    assert "is in the room" in error_of(lambda: room.add("Ada"))
    message = error_of(lambda: list(room.make(["BEN Nevis"])))
    assert "'Ben Nevis' is in the room" in message and "same person" in message


def test_learners_who_log_in_elsewhere_do_not_hold_it_up(new_room: NewRoom) -> None:
    room = new_room()
    ada = seats_in(room, "Ada")["Ada"]
    with open_as(ada, dbname="template1") as elsewhere:  # while somebody is there, nobody can copy it
        assert may_log_in(room.add("Ben").url or "")
        assert elsewhere.execute("SELECT 1").fetchone() == (1,)


def test_a_reset_gives_a_new_password_and_ends_what_hangs(new_room: NewRoom) -> None:
    room = new_room()
    seats = seats_in(room, "Ada", "Ben")
    with closing(open_as(seats["Ada"])) as hanging, open_as(seats["Ben"]) as neighbour:
        hanging.execute("CREATE SCHEMA mine; CREATE TABLE mine.t (n int)")
        hanging.execute("BEGIN; LOCK TABLE mine.t")
        again = room.reset("ada")  # as PostgreSQL calls her, or as she is called
        with pytest.raises(psycopg.OperationalError):
            hanging.execute("SELECT 1")
        assert neighbour.execute("SELECT 1").fetchone() == (1,)
    assert not may_log_in(seats["Ada"].url or "") and may_log_in(seats["Ben"].url or "")
    with open_as(again) as connection:
        assert connection.execute("SELECT * FROM mine.t").fetchall() == []  # the rows stay, and nobody holds them
    emptied = room.reset("Ada", empty=True)
    with open_as(emptied) as connection:
        assert connection.execute("SELECT to_regnamespace('mine')").fetchone() == (None,)
        connection.execute("CREATE SCHEMA mine")
    message = error_of(lambda: room.reset("Adda"))
    assert "no learner 'Adda'" in message and "Is it Ada" in message


def test_a_reset_brings_back_a_role_that_was_set_into_a_corner(new_room: NewRoom) -> None:
    room = new_room()
    with open_as(seats_in(room, "Ada")["Ada"]) as ada:
        ada.execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")
        ada.execute("ALTER ROLE CURRENT_USER SET statement_timeout = 1")
    with open_as(room.reset("Ada")) as ada:
        assert ada.execute("SHOW statement_timeout").fetchone() == ("1min",)
        ada.execute("CREATE SCHEMA mine")


def test_a_reset_takes_back_what_was_set_for_one_database(new_room: NewRoom) -> None:
    """A role may set its own defaults for any database: the learner's, and the log's."""
    room = new_room()
    seat = seats_in(room, "Ada")["Ada"]
    with open_as(seat) as ada:
        for database in (seat.role, room.role):
            to = sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET default_transaction_read_only = on")
            ada.execute(to.format(sql.Identifier(database)))
    again = room.reset("Ada")
    for database in (seat.role, room.role):
        with open_as(again, dbname=database) as ada:
            assert ada.execute("SHOW default_transaction_read_only").fetchone() == ("off",)
            assert ada.execute("SHOW statement_timeout").fetchone() == ("1min",)


# What a learner can hold: in which database, by which statements, and which command waits for it. {ada}, {ben} and
# {log} are roles and databases, {admins} the database of the admin's URL.
HOLDS = {
    "the commands' own lock": (
        "{admins}", ["SELECT pg_advisory_lock(hashtextextended('event store workshop, {name}', 0))"], "list",
    ),
    "her password": ("{ada}", ["BEGIN", "ALTER ROLE {ada} PASSWORD 'mine'"], "reset"),
    "her password, while the room is made again": ("{ada}", ["BEGIN", "ALTER ROLE {ada} PASSWORD 'mine'"], "make"),
    "a setting": ("{ada}", ["BEGIN", "ALTER ROLE {ada} SET work_mem = '5MB'"], "make"),
    "a setting for a neighbour's database": (
        "{ada}", ["BEGIN", "ALTER ROLE {ada} IN DATABASE {ben} SET work_mem = '5MB'"], "reset Ben, empty",
    ),
    "a grant of nothing on her database": ("{ada}", ["BEGIN", "GRANT CONNECT ON DATABASE {ada} TO {ada}"], "admit"),
    "a grant of nothing on the log": ("{ada}", ["BEGIN", "GRANT CONNECT ON DATABASE {log} TO {ada}"], "make"),
    "what is hers": ("{ada}", ["BEGIN", "DROP OWNED BY {ada}"], "admit"),
    "the room's own role": ("{ada}", ["SET ROLE {log}", "BEGIN", "ALTER ROLE {log} SET work_mem = '5MB'"], "take down"),
    "what others get by default": (
        "{admins}", ["BEGIN", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {ben}"], "take down",
    ),
}  # fmt: skip
COMMANDS: dict[str, Callable[[Room], object]] = {
    "list": lambda room: room.learners(),
    "make": lambda room: list(room.make(["Ada", "Ben"])),
    "admit": lambda room: room.admit("Ada"),
    "reset": lambda room: room.reset("Ada"),
    "reset Ben, empty": lambda room: room.reset("Ben", empty=True),
    "take down": lambda room: room.take_down(),
}


@pytest.fixture(scope="module")
def attacked(asks_for_passwords: None, creator_url: str) -> Iterator[tuple[Room, list[str]]]:
    """A room, and what its commands tell."""
    told: list[str] = []
    room = Room(unused_name(), creator_url, tell=told.append)
    yield room, told
    with suppress(WorkshopError):  # it may have been taken down
        room.take_down()


@pytest.mark.parametrize("hold", HOLDS)
def test_no_command_waits_for_a_learner(hold: str, attacked: tuple[Room, list[str]], creator_url: str) -> None:
    """Whatever she holds, and though she switched off what would end her session: it is ended, and she is named."""
    room, told = attacked
    told.clear()
    list(room.make(["Ada", "Ben"]))
    ada = Seat("Ada", f"{room.name}_ada", room.admit("Ada"))
    where, statements, command = HOLDS[hold]
    names = {"name": room.name, "ada": ada.role, "ben": f"{room.name}_ben", "log": room.role}
    names["admins"] = str(conninfo_to_dict(creator_url)["dbname"])
    with closing(open_as(ada, dbname=where.format(**names))) as holder:
        holder.execute("SET idle_in_transaction_session_timeout = 0")
        for statement in statements:
            holder.execute(statement.format(**names))
        began = time.monotonic()
        COMMANDS[command](room)
        assert time.monotonic() - began < 10
        with pytest.raises(psycopg.OperationalError):
            holder.execute("SELECT 1")
    # Who is reset, or whose room is dropped, loses every connection anyway.
    if command not in ("reset", "take down"):
        assert told == ["A connection of Ada was in the way of this, and has been ended."]


def test_no_command_loses_against_whoever_changes_the_same_again_and_again(attacked: tuple[Room, list[str]]) -> None:
    room, _ = attacked
    list(room.make(["Ada"]))
    url, stopped = room.admit("Ada"), Event()

    def change() -> None:
        while not stopped.is_set():
            with suppress(psycopg.Error), psycopg.connect(url, autocommit=True) as connection:
                while not stopped.is_set():
                    connection.execute(f"ALTER ROLE {room.name}_ada SET work_mem = '5MB'")

    with ThreadPoolExecutor(4) as others:
        try:
            for _ in range(4):
                others.submit(change)
            for command in ("make", "reset"):
                COMMANDS[command](room)
        finally:
            stopped.set()


def test_a_neighbour_at_work_is_left_alone(new_room: NewRoom) -> None:
    room = new_room()
    seats = seats_in(room, "Ada", "Ben")
    with open_as(seats["Ben"]) as ben:
        ben.execute("CREATE SCHEMA mine; BEGIN; CREATE TABLE mine.t (n int)")
        seats_in(room, "Ada", "Ben")
        room.reset("Ada", empty=True)
        ben.execute("COMMIT")


def test_a_database_that_is_cleaned_just_now_can_be_dropped(new_room: NewRoom, postgres: Server) -> None:
    """Autovacuum is somebody whom only a superuser may end, or who drops the database."""
    room = new_room()
    ada = seats_in(room, "Ada")["Ada"]
    with postgres.connect() as owner, open_as(ada) as connection:
        connection.execute("CREATE SCHEMA mine; CREATE TABLE mine.t AS SELECT n FROM generate_series(1, 100000) n")
        try:
            for setting in ("naptime = '1s'", "vacuum_cost_delay = '100ms'", "vacuum_cost_limit = 1"):
                owner.execute(f"ALTER SYSTEM SET autovacuum_{setting}")
            owner.execute("SELECT pg_reload_conf()")
            connection.execute("DELETE FROM mine.t")
            at_work = "SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND datname = %s"
            eventually(lambda: owner.execute(at_work, (ada.role,)).fetchone() is not None, within=30)
            room.reset("Ada", empty=True)
        finally:
            for setting in ("naptime", "vacuum_cost_delay", "vacuum_cost_limit"):
                owner.execute(f"ALTER SYSTEM RESET autovacuum_{setting}")
            owner.execute("SELECT pg_reload_conf()")


def test_who_is_in_a_database_and_cannot_be_ended_is_named(new_room: NewRoom, postgres: Server) -> None:
    room = new_room()
    ada = seats_in(room, "Ada")["Ada"]
    with postgres.connect(dbname=ada.role) as helper:  # a superuser, to whom a creator can do nothing
        message = error_of(lambda: room.reset("Ada", empty=True))
        assert f"by the role {helper.info.user} (process {helper.info.backend_pid})" in message
        assert helper.execute("SELECT 1").fetchone() == (1,)
    assert may_log_in(room.reset("Ada", empty=True).url or "")


def test_who_else_holds_the_lock_is_named(new_room: NewRoom, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PATIENCE", "1500ms")
    room = new_room()
    seats_in(room, "Ada")
    with postgres.connect() as holder:  # who made the room may not end a superuser
        holder.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"event store workshop, {room.name}",))
        message = error_of(room.learners)
        assert f"by the role {holder.info.user} (process {holder.info.backend_pid})" in message
        assert "pg_terminate_backend" in message and holder.execute("SELECT 1").fetchone() == (1,)


def test_made_again_its_log_is_brought_up_to_date(any_admin_url: str, new_room: NewRoom) -> None:
    """Though a learner has left a transaction open in it."""
    room = new_room(any_admin_url)
    ada = seats_in(room, "Ada")["Ada"]
    attempt = """SELECT room.record_attempt(gen_random_uuid(), 'ExercisePassed',
                 '{"exercise_id": "01.1", "attempt": 1}', %s)"""
    with psycopg.connect(make_conninfo(any_admin_url, dbname=room.role), autocommit=True) as owner:
        owner.execute("DROP FUNCTION room.my_attempts")  # as if it came with a newer kit
    with closing(open_as(ada, dbname=room.role)) as hanging:
        hanging.execute("BEGIN")
        hanging.execute(attempt, (0,))
        hanging.execute("SET idle_in_transaction_session_timeout = 0")
        began = time.monotonic()
        assert seats_in(room, "Ada")["Ada"].url is None
        assert time.monotonic() - began < 5
    with open_as(ada, dbname=room.role) as connection:
        assert connection.execute(attempt, (0,)).fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM room.my_attempts()").fetchone() == (1,)


def test_a_full_table_of_locks_is_told_and_what_helps(new_room: NewRoom, postgres: Server) -> None:
    if not isinstance(postgres, EmbeddedServer):
        pytest.skip("what helps is done on the server's machine")
    room = new_room()
    with closing(open_as(seats_in(room, "Ada")["Ada"])) as ada:
        with pytest.raises(psycopg.errors.OutOfMemory):
            ada.execute("SELECT count(pg_advisory_lock(g)) FROM generate_series(1, 10000000) g")
        message = error_of(lambda: room.reset("Ada"))
        assert "out of shared memory" in message and "end the process" in message
        os.kill(ada.info.backend_pid, signal.SIGTERM)
        assert may_log_in(room.reset("Ada").url or "")


def test_a_hub_lets_learners_in_late_and_again(new_room: NewRoom) -> None:
    room = new_room()
    first = room.admit("Ada")  # the room is made, too
    with psycopg.connect(first) as running:
        second = room.admit("Ada")
        assert running.execute("SELECT 1").fetchone() == (1,)  # what is open stays
    assert not may_log_in(first) and may_log_in(second)
    derived = "from-the-hubs_own-secret1"
    assert room.admit("Ben", derived) == room.admit("Ben", derived)
    assert may_log_in(room.admit("Ben", derived))
    assert "would be called" in error_of(lambda: room.admit("ben"))
    for bad in ("short", "with a space in it", 'with"quotes"in-it'):
        message = error_of(lambda bad=bad: room.admit("Ben", bad))
        assert "That password cannot be used" in message and bad not in message


def test_sizes_and_connections_are_listed(new_room: NewRoom) -> None:
    room = new_room()
    ada = seats_in(room, "Ben", "Ada")["Ada"]
    with open_as(ada), open_as(ada):
        listed = {each.name: each for each in room.learners()}
    assert list(listed) == ["Ada", "Ben"]
    assert (listed["Ada"].connections, listed["Ben"].connections) == (2, 0)
    assert listed["Ada"].size > 1_000_000


@pytest.mark.parametrize(
    ("rights", "missing"), [("", "roles and databases"), ("CREATEDB", "roles"), ("CREATEROLE", "databases")]
)
def test_a_missing_right_is_told_before_anything_is_made(
    rights: str, missing: str, postgres: Server, there: Callable[[], set[str]]
) -> None:
    name = f"nobody_{uuid4().hex[:8]}"
    with postgres.connect() as owner:
        owner.execute(sql.SQL(f"CREATE ROLE {{}} LOGIN PASSWORD 'secret' {rights}").format(sql.Identifier(name)))
        try:
            before = there()
            here = Room(unused_name(), make_conninfo(postgres.url, user=name, password="secret"))
            message = error_of(lambda: seats_in(here, "Ada"))
            assert f"may not make {missing}," in message and f'ALTER ROLE "{name}" CREATEROLE CREATEDB;' in message
            assert there() == before
        finally:
            owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_another_instructors_room_is_refused(new_room: NewRoom, postgres: Server) -> None:
    theirs = new_room(postgres.url)
    seats_in(theirs, "Ada")
    name = f"other_{uuid4().hex[:8]}"
    with postgres.connect() as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD 'x'").format(sql.Identifier(name)))
        try:
            if owner.info.server_version < 160000:
                pytest.skip("before PostgreSQL 16, CREATEROLE is a right on all roles")
            mine = Room(theirs.name, make_conninfo(postgres.url, user=name, password="x"))
            for call in (lambda: mine.add("Ben"), lambda: mine.reset("Ada"), mine.take_down):
                assert f"PostgreSQL refuses this to {name}" in error_of(call)
        finally:
            owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    assert [(each.name, each.ready) for each in theirs.learners()] == [("Ada", True)]


def test_strangers_of_that_name_are_never_taken_for_the_rooms(
    new_room: NewRoom, postgres: Server, there: Callable[[], set[str]]
) -> None:
    room = new_room()
    with postgres.connect() as owner:
        for kind, name in product(("ROLE", "DATABASE"), (f"{room.name}_ada", room.role)):
            owner.execute(sql.SQL(f"CREATE {kind} {{}}").format(sql.Identifier(name)))
            before = there()
            try:
                message = error_of(lambda: seats_in(room, "Ben", "Ada"))
                assert f"the {kind.lower()} {name}" in message
                assert there() == before
            finally:
                owner.execute(sql.SQL(f"DROP {kind} {{}}").format(sql.Identifier(name)))


def test_bad_names_are_told_before_anything_is_made(new_room: NewRoom, there: Callable[[], set[str]]) -> None:
    before = there()
    for names in (["Ada", "王伟"], ["Ada", "ada"], [], ["a" * 41]):
        error_of(lambda names=names: seats_in(new_room(), *names))
    assert there() == before


def test_a_server_that_is_too_small_is_told(new_room: NewRoom, postgres: Server) -> None:
    room = new_room(connections=1000)
    (note,) = [note for note in room.advice(["Ada", "Ben"]) if "at once" in note]
    assert "2 learners with up to 1000 each can ask for 2010" in note
    assert "max_connections = 2030" in note and "--connections" in note
    with postgres.connect() as owner:
        most = int(owner.execute("SHOW max_connections").fetchone()[0])
    note = " ".join(new_room(connections=40).advice([f"learner{n}" for n in range(most)]))
    assert "max_connections" in note and "--connections" not in note  # so few would be of no use
    assert not [note for note in new_room(connections=12).advice(["Ada", "Ben"]) if "at once" in note]


def test_the_number_of_connections_is_remembered(new_room: NewRoom, creator_url: str) -> None:
    first = new_room(connections=3)
    seats_in(first, "Ada")
    same = Room(first.name, creator_url)
    for url in (same.add("Ben").url, same.reset("Ada").url, same.admit("Cyd")):
        with psycopg.connect(url or "") as connection:
            limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user"
            assert connection.execute(limit).fetchone() == (3,)
    list(Room(first.name, creator_url, connections=7).make(["Ada"]))
    with psycopg.connect(make_conninfo(creator_url)) as connection:
        limits = "SELECT rolname, rolconnlimit FROM pg_roles WHERE starts_with(rolname, %s) ORDER BY 1"
        assert [limit for _, limit in connection.execute(limits, (first.name,))] == [7, 3, 3]


def test_temporary_files_are_limited_by_who_may(new_room: NewRoom, postgres: Server) -> None:
    name = f"granted_{uuid4().hex[:8]}"
    role = sql.Identifier(name)
    with postgres.connect() as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD 'secret'").format(role))
        try:
            room = Room(unused_name(), make_conninfo(postgres.url, user=name, password="secret"))
            (note,) = [note for note in room.advice() if "temp_file_limit" in note]
            owner.execute(re.search(r"GRANT .*?;", note)[0])
            assert not [note for note in room.advice() if "temp_file_limit" in note]
            with open_as(seats_in(room, "Ada")["Ada"]) as ada:
                assert ada.execute("SHOW temp_file_limit").fetchone() == ("1GB",)
            room.take_down()
        finally:
            owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))
    assert not [note for note in new_room(postgres.url).advice() if "temp_file_limit" in note]


def test_databases_that_are_open_to_everybody_are_told_and_how_to_close_them(
    new_room: NewRoom, postgres: Server, creator_url: str
) -> None:
    """Whoever does what the note says keeps learners out, and is not shut out by it."""
    name = f"open_{uuid4().hex[:8]}"
    with postgres.connect() as owner:
        owner.execute(f"CREATE DATABASE {name}")
        room = Room(unused_name(), make_conninfo(creator_url, dbname=name))
        try:
            ada = seats_in(room, "Ada")["Ada"]
            (note,) = [note for note in room.advice() if "REVOKE CONNECT" in note]
            assert f'"{name}"' in note and '"postgres"' in note and room.name not in note
            with open_as(ada, dbname=name):
                pass
            for statement in re.findall(r"(?:REVOKE|GRANT).+?;", note):  # of this database alone
                owner.execute(re.sub("DATABASE .+? (FROM|TO)", rf'DATABASE "{name}" \1', statement))
            assert [each.name for each in room.learners()] == ["Ada"]
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                open_as(ada, dbname=name)
            owner.execute(f"REVOKE CONNECT ON DATABASE {name} FROM {conninfo_to_dict(creator_url)['user']}")
            message = error_of(room.learners)
            assert f'Have its owner run GRANT CONNECT ON DATABASE "{name}" TO "creator_' in message
        finally:
            Room(room.name, creator_url).take_down()
            owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    (note,) = [note for note in new_room(postgres.url).advice() if "REVOKE CONNECT" in note]
    assert "GRANT" not in note  # a superuser needs none


def test_a_server_that_is_not_there_is_told() -> None:
    here = Room("oslo", "postgresql://boss:hunter2@127.0.0.1:1/postgres")
    message = error_of(here.learners)
    assert "127.0.0.1:1" in message and "WORKSHOP_ADMIN_URL" in message and "hunter2" not in message
    assert "no PostgreSQL URL" in error_of(Room("oslo", "mysql://boss:hunter2@localhost/x").learners)


def test_two_commands_at_once_take_turns(new_room: NewRoom, postgres: Server) -> None:
    here = new_room()
    with ThreadPoolExecutor(4) as pool:
        urls = list(pool.map(here.admit, ["Ada", "Ben", "Cyd", "Dan"]))
    assert all(map(may_log_in, urls)) and len(here.learners()) == 4


@pytest.mark.parametrize(
    ("admin", "given", "expected"),
    [
        ("postgresql://boss:pw@db.example.com:6432/postgres?sslmode=require", {}, "postgresql://oslo_ada:P@db.example.com:6432/oslo_ada?sslmode=require"),
        ("postgresql://boss@127.0.0.1/postgres", {"host": "192.168.1.20"}, "postgresql://oslo_ada:P@192.168.1.20:5432/oslo_ada"),
        ("postgresql://boss@h/postgres", {"host": "::1", "port": 5433}, "postgresql://oslo_ada:P@[::1]:5433/oslo_ada"),
        ("host=/run/pg dbname=x user=boss sslkey=/root/key", {}, "postgresql://oslo_ada:P@:5432/oslo_ada?host=%2Frun%2Fpg"),
        ("postgresql:///postgres", {}, "postgresql://oslo_ada:P@localhost:5432/oslo_ada"),
    ],
)  # fmt: skip
def test_learners_get_the_way_to_the_server_and_nothing_of_the_instructors(
    admin: str, given: dict, expected: str
) -> None:
    url = room.server.learners_url(admin, "oslo_ada", "P", given.get("host"), given.get("port"))
    assert url == expected
    conninfo_to_dict(url)
