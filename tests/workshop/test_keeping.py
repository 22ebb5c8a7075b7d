"""my_eventstore/: answers that passed, laid out like eventstore/; and what progress() makes of them and of the log."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from workshop import check, progress, start
from workshop.attempts import log
from workshop.attempts import recording as attempts
from workshop.attempts.events import Tried
from workshop.checks import kept
from workshop.checks.course import EXERCISES
from workshop.classroom import Classroom
from workshop.files import CHECKOUT, learners_folder

from .answers import defined_in, right_answer, wrong_answer
from .conftest import forget

Said = Callable[[], str]
HEADER = "-- Your answer to exercise "


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_answers_that_pass_are_laid_out_like_the_reference_package(my_eventstore: Path, said: Said) -> None:
    for exercise in EXERCISES.values():
        check(exercise.id, right_answer(exercise.id))
        assert f"Kept as my_eventstore/{exercise.keeps}." in said()
    assert files(my_eventstore) == {exercise.keeps for exercise in EXERCISES.values()}
    reference = CHECKOUT / "eventstore"
    assert {name for name in files(my_eventstore) if name.startswith("schema/")} <= files(reference)


def test_sql_is_kept_as_it_was_written(my_eventstore: Path) -> None:
    check("01.2", f"\n{right_answer('01.2')}\n-- ä\n\n")
    text = (my_eventstore / "schema/10_streams.sql").read_text(encoding="utf-8")
    assert text == f"{HEADER}01.2: The streams table.\n{right_answer('01.2')}\n-- ä\n"


def test_a_function_is_kept_with_its_imports_and_helpers_and_without_what_the_cell_runs(my_eventstore: Path) -> None:
    balance = defined_in("""
from decimal import Decimal

print("what the cell runs")


def signed(type, amount):
    return {"DepositRecorded": 1, "CashWithdrawn": -1}.get(type, 0) * (amount or 0)


def balance(history):
    return sum((signed(*event) for event in history), Decimal(0))
""")
    check("00.1", balance)
    text = (my_eventstore / "warm_up.py").read_text(encoding="utf-8")
    variables: dict = {}
    exec(text, variables)
    assert variables["balance"]([("DepositRecorded", 2), ("CashWithdrawn", 1), ("AccountClosed", None)]) == 1
    assert "print" not in text


@pytest.mark.parametrize(
    "cell",
    [
        "SIGNS = {'DepositRecorded': 1, 'CashWithdrawn': -1}\n\n\n"
        "def balance(history):\n"
        "    return sum((SIGNS.get(type, 0) * amount for type, amount in history if amount), 0)\n",
        "from functools import partial\n\n\ndef times(factor):\n    def wrap(function):\n"
        "        return lambda history: factor * function(history)\n    return wrap\n\n\n"
        "@times(2)\ndef half(history):\n    signs = {'DepositRecorded': 1, 'CashWithdrawn': -1}\n"
        "    return sum((signs.get(type, 0) * amount / 2 for type, amount in history if amount), 0)\n\n\n"
        "def balance(history):\n    return half(history)\n",
    ],
    ids=["a constant", "a decorator"],
)
def test_a_kept_function_works_as_it_did_in_its_cell(cell: str, my_eventstore: Path, said: Said) -> None:
    check("00.1", defined_in(cell))
    assert "solved" in said()
    variables: dict = {}
    exec((my_eventstore / "warm_up.py").read_text(encoding="utf-8"), variables)
    assert variables["balance"]([("DepositRecorded", 2), ("CashWithdrawn", 1)]) == 1


def test_a_failed_answer_changes_nothing(my_eventstore: Path, said: Said) -> None:
    check("01.2", right_answer("01.2"))
    check("00.1", wrong_answer("00.1"))
    before = (my_eventstore / "schema/10_streams.sql").read_text(encoding="utf-8")
    check("01.2", wrong_answer("01.2"))
    assert "not yet" in said()
    assert (my_eventstore / "schema/10_streams.sql").read_text(encoding="utf-8") == before
    assert files(my_eventstore) == {"schema/10_streams.sql"}


def test_a_stub_is_not_even_an_attempt(my_eventstore: Path) -> None:
    check("01.2", "...")
    assert not my_eventstore.exists()
    assert attempts.progress() == {}


def test_solving_it_again_replaces_the_answer(my_eventstore: Path) -> None:
    check("01.2", right_answer("01.2"))
    check("01.2", f"{right_answer('01.2')}\n-- better")
    assert (my_eventstore / "schema/10_streams.sql").read_text(encoding="utf-8").endswith("-- better\n")


def test_a_later_exercise_builds_on_an_earlier_one(my_eventstore: Path) -> None:
    check("02.3", right_answer("02.3"))
    check("02.4", right_answer("02.4"))
    assert (my_eventstore / "schema/40_append_to_stream.sql").read_text(encoding="utf-8").startswith(f"{HEADER}02.4")


def test_an_earlier_exercise_never_replaces_a_later_one(my_eventstore: Path, said: Said) -> None:
    check("02.4", right_answer("02.4"))
    before = (my_eventstore / "schema/40_append_to_stream.sql").read_text(encoding="utf-8")
    check("02.3", right_answer("02.3"))
    assert "holds your answer to a later exercise, and stays as it is" in said()
    assert (my_eventstore / "schema/40_append_to_stream.sql").read_text(encoding="utf-8") == before
    assert attempts.progress()["02.3"].solved_at == 1
    assert kept.answer_to(EXERCISES["02.3"]) == before  # it answers the earlier exercise too


def test_an_earlier_answer_does_not_stand_for_a_later_exercise(my_eventstore: Path) -> None:
    check("02.3", right_answer("02.3"))
    assert kept.answer_to(EXERCISES["02.4"]) is None


def test_a_file_of_somebody_else_is_no_answer(my_eventstore: Path) -> None:
    (my_eventstore / "schema").mkdir(parents=True)
    (my_eventstore / "schema/10_streams.sql").write_text("-- notes\n", encoding="utf-8")
    assert kept.answer_to(EXERCISES["01.2"]) is None


def test_a_folder_that_cannot_be_written_is_a_note_and_no_error(my_eventstore: Path, said: Said) -> None:
    my_eventstore.write_text("a file where the folder should be")
    check("01.2", right_answer("01.2"))
    shown = said()
    assert "01.2 The streams table: solved" in shown
    assert "It could not be kept in my_eventstore/:" in shown
    check("01.2", wrong_answer("01.2"))
    assert "not yet" in said()
    progress()
    assert "0 of" in said()


def test_attempts_are_counted_and_what_was_solved_once_stays_solved(my_eventstore: Path) -> None:
    for given in (wrong_answer("01.2"), wrong_answer("01.2"), "...", right_answer("01.2"), wrong_answer("01.2")):
        check("01.2", given)
    assert attempts.progress() == {"01.2": Tried(attempts=4, solved_at=3)}


def test_progress_is_shown_for_each_notebook_and_in_all(said: Said) -> None:
    check("01.2", right_answer("01.2"))
    check("01.1", wrong_answer("01.1"))
    said()
    progress()
    lines = said().splitlines()
    assert lines[0] == f"1 of {len(EXERCISES)} exercises solved"
    assert lines[1].split() == ["00_welcome", "□", "0", "of", "1"]
    assert lines[2].split() == ["01_tables", "■□□", "1", "of", "3"]


def test_what_is_kept_counts_where_the_log_was_lost_with_its_server(
    my_eventstore: Path, said: Said, owner: psycopg.Connection
) -> None:
    for exercise_id in ("01.2", "02.3", "02.4"):  # the answer to 02.4 takes the place of that to 02.3
        check(exercise_id, right_answer(exercise_id))
    owner.execute(f"DROP SCHEMA {log._schema(owner.info.user, None)} CASCADE")
    forget()
    (my_eventstore / "domain.py").write_bytes(b"\xff\xfe\x00")  # what is no text is no answer
    said()
    progress()
    lines = said().splitlines()
    assert lines[2].split() == ["01_tables", "■□□", "1", "of", "3"]
    assert int(lines[3].split()[2]) >= 2
    assert attempts.progress() == {}
    check("01.1", wrong_answer("01.1"))
    assert attempts.progress() == {"01.1": Tried(1)}


def test_a_solution_is_not_the_learners_work(notebook: str, my_eventstore: Path, said: Said) -> None:
    """Whatever folder it lies and runs in."""
    mine = f"{right_answer('01.2')}\n-- mine"
    check("01.2", mine)
    forget()
    start(notebook, solution=True)
    check("01.2", right_answer("01.2"))
    assert "-- mine" in (my_eventstore / "schema/10_streams.sql").read_text()
    assert attempts.progress() == {}
    said()
    progress()
    assert said().startswith("1 of")  # for this kernel it counts
    assert attempts._log.cache_info().currsize == 0


def test_without_a_name_the_folder_is_the_learners_and_for_solutions_one_that_passes(
    monkeypatch: pytest.MonkeyPatch, notebook: str
) -> None:
    monkeypatch.delenv("MY_EVENTSTORE")
    assert kept.folder() == learners_folder() / "my_eventstore"
    start(notebook, solution=True)
    passing = kept.folder()
    assert learners_folder() not in passing.parents and kept.is_throwaway()
    start(notebook, solution=True)
    assert kept.folder() == passing, "what is solved there counts as long as the kernel runs"
    start(notebook)
    assert kept.folder() == learners_folder() / "my_eventstore" and not kept.is_throwaway()
    passing.rmdir()


def test_the_reference_takes_no_answers_place_without_a_copy(my_eventstore: Path, said: Said) -> None:
    path = my_eventstore / "schema/10_streams.sql"
    for text in ("-- mine", "-- mine, too"):
        check("01.2", f"{right_answer('01.2')}\n{text}")
    assert files(my_eventstore) == {"schema/10_streams.sql"}, "each of the learner's takes the place of the one before"
    said()
    for noted in (True, False):
        check("01.2", right_answer("01.2"))
        assert ("10_streams.sql.yours, beside it" in said()) == noted
    assert files(my_eventstore) == {"schema/10_streams.sql", "schema/10_streams.sql.yours"}
    assert path.with_name("10_streams.sql.yours").read_text().endswith("-- mine, too\n")
    check("01.2", f"{right_answer('01.2')}\n-- mine, once more")
    check("01.2", right_answer("01.2"))
    assert len(files(my_eventstore)) == 3


@pytest.mark.parametrize("before", ["\ufeff", "\n", "\ufeff\n\n"])
def test_what_an_editor_put_before_an_answer_is_not_part_of_it(my_eventstore: Path, before: str, db: Classroom) -> None:
    check("01.2", right_answer("01.2"))
    path = my_eventstore / "schema/10_streams.sql"
    path.write_text(before + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert kept.exercise_of(path) == "01.2"
    db.begin_with("01.2")
    check("00.1", right_answer("00.1"))
    path = my_eventstore / "warm_up.py"
    path.write_text(before + path.read_text(encoding="utf-8"), encoding="utf-8")
    exec(kept.answer_to(EXERCISES["00.1"]), {})
