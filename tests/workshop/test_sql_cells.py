"""`%%sql`: an answer in SQL is checked, any other SQL is run, and errors point at the line of the cell."""

from collections.abc import Callable

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from workshop import classroom, display, sql_cells
from workshop.attempts import recording
from workshop.checks import kept
from workshop.checks.course import EXERCISES
from workshop.errors import WorkshopError

from .answers import right_answer


@pytest.fixture
def run_cell(notebook: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Run a cell as a kernel does, in a notebook that was started; what it raises is raised."""
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    monkeypatch.setattr(sql_cells, "get_ipython", lambda: shell)
    monkeypatch.setattr(display, "get_ipython", lambda: shell)
    classroom.start(notebook)

    def run_cell(cell: str) -> None:
        shell.run_cell(cell).raise_error()

    return run_cell


@pytest.fixture
def shown(run_cell: Callable[[str], None], said: Callable[[], str]) -> Callable[[str], str]:
    """Run a cell, and return what it shows."""
    said()

    def shown(cell: str) -> str:
        run_cell(cell)
        return said()

    return shown


def test_an_answer_is_checked_kept_and_recorded(shown: Callable[[str], str]) -> None:
    assert "02.1 Append one event: not started" in shown("%%sql 02.1\nCREATE FUNCTION f()\n    ...\n")
    assert "02.1 Append one event: not started" in shown("%%sql 02.1\n...")
    assert "02.1 Append one event: solved" in shown(f"%%sql 02.1\n{right_answer('02.1')}\n")
    assert str(kept.answer_to(EXERCISES["02.1"])).partition("\n")[2] == right_answer("02.1") + "\n"
    assert recording.progress()["02.1"].solved_at == 1


def test_a_name_that_is_gone_is_looked_for_further_up(run_cell: Callable[[str], None], said: Callable[[], str]) -> None:
    with pytest.raises(NameError):
        run_cell("balance_of(3)")
    assert "Does a cell further up make `balance_of`? Run → Run All Above Selected Cell" in said()


def test_an_error_in_an_answer_points_at_the_line_of_the_cell(shown: Callable[[str], str]) -> None:
    report = shown("%%sql 01.2\nCREATE TABLE streams (\n    id txt\n);")
    assert 'line 3:     id txt\n                     ^' in report  # fmt: skip
    body = "CREATE FUNCTION append_event(stream_id text, type text, data jsonb) RETURNS bigint LANGUAGE plpgsql AS $$"
    assert "line 4:     RETURN 1 / 0;" in shown(f"%%sql 02.1\n{body}\nBEGIN\n    RETURN 1 / 0;\nEND $$")


def test_rows_are_shown_and_what_has_none_says_what_it_did(shown: Callable[[str], str]) -> None:
    made = shown("%%sql\nCREATE TABLE mine (id int, share text);\nINSERT INTO mine VALUES (1, '5 %'), (2, NULL)")
    assert made == "Done: CREATE TABLE, INSERT of 2 rows.\n"
    assert shown("%%sql\n-- all of it\nSELECT * FROM mine;") == "id share\n 1   5 %\n 2  None\n"
    assert shown("%%sql\nDELETE FROM mine WHERE id = 1 RETURNING id") == "id\n 1\n"
    several = shown("%%sql\nSELECT 1 AS one; TABLE mine; SELECT 2 AS two WHERE false; DELETE FROM mine")
    assert several == "one\n  1\nid share\n 2  None\nNo rows. The columns are two.\nDone: DELETE of 1 row.\n"


def test_a_statement_that_is_refused_says_where_and_undoes_those_before_it(run_cell: Callable[[str], None]) -> None:
    with pytest.raises(WorkshopError) as caught:
        run_cell("%%sql\nCREATE TABLE mine ();\nSELECT *\nFROM evnts")
    assert caught.value._render_traceback_() == [
        'PostgreSQL says: relation "evnts" does not exist',
        "line 4: FROM evnts",
        "             ^",
        "Nothing was changed.",
    ]
    run_cell("%%sql\nCREATE TABLE mine ()")


def test_a_failure_in_a_transaction_says_how_to_end_it(run_cell: Callable[[str], None]) -> None:
    run_cell("%%sql\nBEGIN")
    with pytest.raises(WorkshopError, match="transaction that is open has failed: ROLLBACK ends it"):
        run_cell("%%sql\nSELECT 1 / 0")
    with pytest.raises(WorkshopError, match="ROLLBACK ends it"):
        run_cell("%%sql\nSELECT 1")
    run_cell("%%sql\nROLLBACK")
    run_cell("%%sql\nSELECT 1")


def test_an_unknown_exercise_is_told(run_cell: Callable[[str], None]) -> None:
    with pytest.raises(WorkshopError, match="There is no exercise '2.1'"):
        run_cell("%%sql 2.1\nSELECT 1")


def test_an_answer_in_python_is_not_taken_for_one(shown: Callable[[str], str]) -> None:
    assert "This exercise wants your function itself" in shown("%%sql 02.6\nSELECT 1")
