"""A check leaves the server as it was: no schema, no table, no connection."""

from collections.abc import Callable
from typing import Any

import pytest

from workshop import check
from workshop.checks import sandbox

from ..postgres import Server
from .answers import checked, defined_in, failed, right_answer, wrong_answer

LeftBehind = Callable[[], set[str]]


@pytest.mark.parametrize("exercise_id", ["00.1", "01.1", "02.1", "02.6"])
@pytest.mark.parametrize("make", [right_answer, wrong_answer])
def test_after_an_answer(exercise_id: str, make: Callable[[str], Any], left_behind: LeftBehind) -> None:
    check(exercise_id, make(exercise_id))
    assert left_behind() == set()


@pytest.mark.parametrize("exercise_id", ["00.1", "01.1"])
def test_after_something_that_is_no_answer(exercise_id: str, left_behind: LeftBehind) -> None:
    for given in (None, 7, [], len, str, "SELEC", "def f(x): return x"):
        check(exercise_id, given)
    assert left_behind() == set()


def test_after_a_keyboard_interrupt(postgres: Server, left_behind: LeftBehind) -> None:
    append = defined_in("""
def append(connection, *given):
    connection.execute("SELECT append_to_stream('account-1', 0, '[]')" if given[2] else "SELECT 1")
    raise KeyboardInterrupt
""")
    with pytest.raises(KeyboardInterrupt):
        checked("02.6", append, postgres.url)
    assert left_behind() == set()


@pytest.mark.parametrize(
    "does",
    [
        "connection.execute('BEGIN')",
        "connection.autocommit = False; connection.execute('SELECT 1')",
        "connection.close()",
        "connection.execute('SET search_path = public')",
        "connection.execute('SELECT pg_terminate_backend(pg_backend_pid())')",
        "connection.execute('SELECT pg_sleep(60)')",
        "raise SystemError",
    ],
)
def test_after_a_function_that_treats_its_connection_badly(
    does: str, postgres: Server, left_behind: LeftBehind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "STATEMENT_TIMEOUT", "150ms")
    append = defined_in(f"def append(connection, *given):\n    {does}\n    return 2\n")
    assert failed(checked("02.6", append, postgres.url)).message
    assert left_behind() == set()


def test_who_closed_the_connection_is_told(postgres: Server) -> None:
    append = defined_in("def append(connection, *given):\n    connection.close()\n")
    assert "append closed the connection" in failed(checked("02.6", append, postgres.url)).message


def test_the_notebooks_own_schema_is_never_touched(db: Any) -> None:
    db.begin_with("01.2", "01.1")
    db.execute("INSERT INTO streams VALUES ('account-1', 7)")
    check("01.2", right_answer("01.2"))
    check("02.1", right_answer("02.1"))
    assert db.execute("SELECT id, version FROM streams").fetchall() == [("account-1", 7)]
