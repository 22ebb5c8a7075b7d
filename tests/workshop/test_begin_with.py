"""begin_with() and race(): what experiments stand on."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from workshop import check
from workshop.classroom import Classroom
from workshop.errors import WorkshopError

from .answers import right_answer

TABLES = ("01.2", "01.1", "01.3")


def comment_on_streams(db: Classroom) -> str | None:
    return db.execute("SELECT obj_description(to_regclass('streams'))").fetchone()[0]


def test_the_reference_stands_in_for_what_is_not_solved(db: Classroom, said: Callable[[], str]) -> None:
    db.begin_with("01.2")
    assert said() == "An empty schema, with 01.2 (the reference).\n"
    db.execute("INSERT INTO streams VALUES ('account-1', 1)")


def test_your_own_answer_comes_first(db: Classroom, said: Callable[[], str]) -> None:
    check("01.2", f"{right_answer('01.2')}\nCOMMENT ON TABLE streams IS '100 % mine';")
    said()
    db.begin_with("01.2", "01.1")
    assert said() == "An empty schema, with 01.2 (yours), 01.1 (the reference).\n"
    assert comment_on_streams(db) == "100 % mine"


def test_a_later_answer_stands_for_an_earlier_one(db: Classroom, said: Callable[[], str]) -> None:
    check("02.4", right_answer("02.4"))
    said()
    db.begin_with(*TABLES, "02.3")
    assert "02.3 (yours)" in said()


def test_an_answer_that_a_later_notebook_added_to_brings_what_it_needs(db: Classroom, said: Callable[[], str]) -> None:
    for exercise_id in ("08.5", "09.3"):
        check(exercise_id, right_answer(exercise_id))
        said()
        for earlier in ("02.3", "02.4"):
            db.begin_with(*TABLES, earlier)
            assert f"{earlier} (yours)" in said()
            append = """SELECT version FROM append_to_stream('account-1', 0, '[{"type": "X", "data": {}}]')"""
            assert db.execute(append).fetchone() == (1,)


def test_it_can_be_run_again(db: Classroom) -> None:
    for _ in range(2):
        db.begin_with(*TABLES, "02.1")
        assert db.execute("SELECT append_event('account-1', 'AccountOpened', '{}')").fetchone() == (1,)


def test_without_exercises_it_empties_the_schema_in_silence(db: Classroom, said: Callable[[], str]) -> None:
    db.begin_with("01.2")
    said()
    db.begin_with()
    assert said() == ""
    assert db.execute("SELECT to_regclass('streams')").fetchone() == (None,)


def test_other_connections_and_open_transactions_do_not_stop_it(db: Classroom) -> None:
    db.begin_with("01.2")
    other = db.connect(autocommit=False)
    other.execute("INSERT INTO streams VALUES ('account-1', 1)")
    db.connection.autocommit = False
    db.execute("INSERT INTO streams VALUES ('account-2', 1)")
    db.begin_with("01.2")
    assert other.closed
    assert db.connection.autocommit
    assert db.execute("SELECT count(*) FROM streams").fetchone() == (0,)


def test_it_survives_a_connection_that_was_closed(db: Classroom) -> None:
    db.connection.close()
    db.begin_with("01.2")
    assert db.execute("SELECT count(*) FROM streams").fetchone() == (0,)


@pytest.mark.parametrize(
    ("exercise_id", "says"),
    [
        ("1.2", "There is no exercise '1.2'."),
        ("02.6", "The answer to 02.6 is no SQL."),
    ],
)  # fmt: skip
def test_an_exercise_that_cannot_be_installed_changes_nothing(exercise_id: str, says: str, db: Classroom) -> None:
    db.begin_with("01.2")
    with pytest.raises(WorkshopError) as caught:
        db.begin_with("01.1", exercise_id)
    assert caught.value._render_traceback_()[0] == says
    assert db.execute("SELECT count(*) FROM streams").fetchone() == (0,)


def test_a_kept_answer_that_was_broken_since_is_told(db: Classroom, my_eventstore: Path) -> None:
    check("01.2", right_answer("01.2"))
    path = my_eventstore / "schema/10_streams.sql"
    path.write_text(path.read_text(encoding="utf-8").replace("TABLE", "TABEL"), encoding="utf-8")
    with pytest.raises(WorkshopError, match="10_streams.sql"):
        db.begin_with("01.2")


def test_a_race_gives_each_writer_its_own_connection(db: Classroom) -> None:
    db.begin_with(*TABLES, "02.2")

    def attempt(connection: psycopg.Connection, number: int) -> tuple[int, int]:
        append = "SELECT append_event('account-1', 'DepositRecorded', '{}', 0)"
        connection.execute(append)
        return number, connection.info.backend_pid

    outcomes = db.race(4, attempt)
    won = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, tuple)]
    assert [outcomes[number][0] for number in won] == won and len(won) == 1
    assert [outcome.sqlstate for outcome in outcomes if isinstance(outcome, psycopg.Error)] == ["ES001"] * 3
