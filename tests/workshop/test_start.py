"""start(): an empty schema, whatever was left there before; where none is to be had, two lines that say why."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from workshop import classroom, start
from workshop.errors import WorkshopError
from workshop.server import database

from ..postgres import Server


def tables(db: classroom.Classroom) -> list[str]:
    return [name for (name,) in db.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (db.schema,))]


def problem_and_remedy(error: WorkshopError) -> tuple[str, str]:
    """Return the two lines of an error; IPython shows these and nothing else."""
    shown = error._render_traceback_()
    assert shown == str(error).splitlines()
    assert len(shown) == 2 and all(0 < len(line) < 160 for line in shown), shown
    return shown[0], shown[1]


@contextmanager
def role(postgres: Server, name: str) -> Iterator[str]:
    """Make an ordinary role for the time being; yield the URL to connect as it."""
    identifier = sql.Identifier(name)
    with postgres.connect() as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret-of-role'").format(identifier))
        try:
            yield make_conninfo(postgres.url, user=name, password="secret-of-role")
        finally:
            owner.execute("SET client_min_messages = warning")
            owner.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(identifier))
            owner.execute(sql.SQL("DROP ROLE {}").format(identifier))


def test_it_says_which_server_answered(notebook: str, capsys: pytest.CaptureFixture[str]) -> None:
    start(notebook)
    said = capsys.readouterr().out
    assert said.startswith("PostgreSQL 1") and said.endswith(f"(from DATABASE_URL), schema {notebook}, empty.\n")


def test_twice_in_a_row_begins_again(notebook: str) -> None:
    first = start(notebook)
    first.execute("CREATE TABLE mine (id int)")
    other = first.connect(autocommit=False)
    other.execute("INSERT INTO mine VALUES (1)")  # and left open
    second = start(notebook)
    assert first.connection.closed and other.closed
    assert tables(second) == []


def test_an_abandoned_transaction_does_not_block_it(notebook: str, postgres: Server) -> None:
    start(notebook).execute("CREATE TABLE mine (id int)")
    classroom._started = None  # as a kernel that was killed, and whose connection is still there
    with closing(postgres.connect(autocommit=False, application_name=notebook)) as abandoned:
        abandoned.execute(sql.SQL("LOCK TABLE {}.mine").format(sql.Identifier(notebook)))
        assert tables(start(notebook)) == []


def test_a_lock_of_another_kernel_is_told(notebook: str, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    start(notebook).execute("CREATE TABLE mine (id int)")
    monkeypatch.setitem(database._LIMITS, "lock_timeout", "100ms")
    with postgres.connect(autocommit=False) as busy:
        busy.execute(sql.SQL("LOCK TABLE {}.mine").format(sql.Identifier(notebook)))
        with pytest.raises(WorkshopError) as caught:
            start(notebook)
    problem, remedy = problem_and_remedy(caught.value)
    assert problem == f"Another kernel is busy in the schema of this notebook, {notebook}."
    assert "Shut Down All Kernels" in remedy
    assert tables(start(notebook)) == []


def test_a_start_that_failed_leaves_no_connection(
    notebook: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE starts_with(application_name, %s)"
    with role(postgres, f"learner-{uuid4().hex[:8]}") as url, postgres.connect() as observer:
        monkeypatch.setenv("DATABASE_URL", url)
        with pytest.raises(WorkshopError) as caught:
            start(notebook)
        deadline = time.monotonic() + 1  # a server process ends a little after its client
        while (count := observer.execute(open_ones, (notebook,)).fetchone()[0]) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert count == 0, caught.value


def test_a_server_that_is_not_there_is_told(notebook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://anna:hunter2@127.0.0.1:1/shop")
    with pytest.raises(WorkshopError) as caught:
        start(notebook)
    problem, remedy = problem_and_remedy(caught.value)
    assert "127.0.0.1:1/shop" in problem and "onnection refused" in problem
    assert "hunter2" not in problem + remedy
    assert "docker compose up -d" in remedy and "DATABASE_URL" in remedy


def test_a_host_that_is_not_there_is_told(notebook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://anna:hunter2@nowhere.invalid/shop")
    with pytest.raises(WorkshopError) as caught:
        start(notebook)
    problem, remedy = problem_and_remedy(caught.value)
    assert "nowhere.invalid" in problem and "hunter2" not in problem + remedy


def test_a_role_that_is_not_there_is_told_without_its_password(
    notebook: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", make_conninfo(postgres.url, user="nobody-at-all", password="hunter2"))
    with pytest.raises(WorkshopError) as caught:
        start(notebook)
    problem, remedy = problem_and_remedy(caught.value)
    assert "nobody-at-all" in problem and "hunter2" not in problem + remedy


def test_a_url_that_is_none_is_told(notebook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "localhost:5432/shop")
    with pytest.raises(WorkshopError) as caught:
        start(notebook)
    problem, remedy = problem_and_remedy(caught.value)
    assert problem.startswith("DATABASE_URL is no PostgreSQL URL.")
    assert "postgresql://USER:PASSWORD@HOST:5432/DATABASE" in problem


@pytest.mark.parametrize(
    "url",
    [
        "mysql://anna:hunter2@localhost/shop",
        "postgresql://anna:100%hunter2@localhost/shop",
        "postgresql://anna:a/hunter2@localhost/shop",
    ],
)
def test_a_url_that_is_none_is_told_without_its_password(
    url: str, notebook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(WorkshopError) as caught:
        start(notebook)
    assert "hunter2" not in "".join(problem_and_remedy(caught.value))


def test_an_embedded_server_that_does_not_start_is_told(notebook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def running_server(data: object) -> str:
        raise database.EmbeddedServerError("PostgreSQL did not start: no space left on device.\nMake some room.")

    monkeypatch.setattr(database, "running_server", running_server)
    for url in (None, ""):
        monkeypatch.setenv("DATABASE_URL", url) if url is not None else monkeypatch.delenv("DATABASE_URL")
        with pytest.raises(WorkshopError) as caught:
            start(notebook)
        assert problem_and_remedy(caught.value)[1] == "Make some room."
    monkeypatch.undo()


def test_sqlalchemys_way_to_write_a_url_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    for written in ("postgresql+psycopg://h/d", "postgres+psycopg2://h/d", "postgresql://h/d"):
        monkeypatch.setenv("DATABASE_URL", written)
        assert database.server_url() == "postgresql://h/d"


def test_an_old_server_is_told(notebook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST_VERSION", 99)
    with pytest.raises(WorkshopError) as caught:
        start(notebook)
    assert "the kit needs 99 or newer" in problem_and_remedy(caught.value)[0]


def test_a_role_without_rights_learns_what_to_ask_for(
    notebook: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with role(postgres, f"learner-{uuid4().hex[:8]}") as url:
        monkeypatch.setenv("DATABASE_URL", url)
        with pytest.raises(WorkshopError) as caught:
            start(notebook)
        caught.value.__traceback__ = caught.value.__context__ = None  # with them goes the connection
    problem, remedy = problem_and_remedy(caught.value)
    assert "permission denied for database" in problem
    assert "GRANT CREATE ON DATABASE" in remedy


@pytest.mark.parametrize(
    "name",
    ["learner", "Anna.K"],
)
def test_an_ordinary_role_gets_a_schema_of_its_own(
    name: str, notebook: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{name}{uuid4().hex[:8]}"
    with role(postgres, name) as url, postgres.connect() as owner:
        owner.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(owner.info.dbname), sql.Identifier(name))
        )
        monkeypatch.setenv("DATABASE_URL", url)
        try:
            assert start(notebook).schema == f"{notebook}_{name}"
            assert tables(start(notebook)) == []
        finally:
            if classroom._started:
                classroom._started.close()
                classroom._started = None


def test_schemas_of_checks_that_were_killed_are_dropped(notebook: str, postgres: Server) -> None:
    abandoned, running = f"check_{uuid4().hex[:16]}", f"check_{uuid4().hex[:16]}"
    with postgres.connect() as owner, postgres.connect(application_name=running):
        for name in (abandoned, running):
            owner.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        start(notebook)
        there = {name for (name,) in owner.execute("SELECT nspname FROM pg_namespace")}
        owner.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(running)))
    assert running in there and abandoned not in there


def test_a_stuck_statement_ends_in_an_error(db: classroom.Classroom) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        db.connect(statement_timeout="50ms").execute("SELECT pg_sleep(60)")
    limits = {name: value for name, value in database._LIMITS.items() if name.endswith("_timeout")}
    assert set(limits) == {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"}
    for name, value in limits.items():
        assert db.execute("SELECT current_setting(%s)", (name,)).fetchone() == (value,)
