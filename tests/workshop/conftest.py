"""Fixtures of the classroom's tests: the server of the session, and a folder for answers that goes with the test."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from workshop import classroom
from workshop.attempts import log
from workshop.attempts import recording as attempts
from workshop.checks import kept

from ..postgres import Server


@pytest.fixture(autouse=True)
def my_eventstore(
    postgres: Server, owner: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The folder that answers are kept in, and the log that goes with it: not the checkout's, and so is the server."""
    folder = tmp_path / "my_eventstore"
    monkeypatch.setenv("DATABASE_URL", postgres.url)
    monkeypatch.setenv("MY_EVENTSTORE", str(folder))
    kept.folder.cache_clear()
    kept.belongs_to_solution(False)
    progress_schema = sql.Identifier(log._schema(owner.info.user, None))
    yield folder
    kept.folder.cache_clear()
    kept.belongs_to_solution(False)
    forget()
    owner.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(progress_schema))


def forget() -> None:
    """Forget what a kernel knows of the learner's log, as if it was restarted."""
    attempts._log.cache_clear()
    attempts._outbox.cache_clear()
    kept.checked.clear()


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a notebook of this test's own; nothing is started yet, and afterwards its schema is dropped."""
    monkeypatch.setattr(classroom, "_started", None)
    yield f"test_{uuid4().hex[:12]}"
    if classroom._started:
        classroom._started.drop()


@pytest.fixture
def db(notebook: str, capsys: pytest.CaptureFixture[str]) -> classroom.Classroom:
    """The database of a notebook that was started."""
    database = classroom.start(notebook)
    capsys.readouterr()  # what start() said
    return database


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return what was shown since the last look, as plain text."""
    return lambda: capsys.readouterr().out


@pytest.fixture
def left_behind(postgres: Server) -> Iterator[Callable[[], set[str]]]:
    """Return the schemas, tables and connections on the server that were not there when the test began.

    The learner's log is there: it is to stay.
    """
    attempts.begin()
    with postgres.connect() as observer:

        def there() -> set[str]:
            return {
                name
                for (name,) in observer.execute(
                    "SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_'"
                    " UNION SELECT format('table %s', oid::regclass) FROM pg_class WHERE relkind = 'r'"
                    " UNION SELECT format('connection %s %s', pid, application_name) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend'"
                )
            }

        before = there()

        def left_behind() -> set[str]:
            deadline = time.monotonic() + 5  # a server process ends a little after its client
            while (more := there() - before) and time.monotonic() < deadline:
                time.sleep(0.01)
            return more

        yield left_behind
