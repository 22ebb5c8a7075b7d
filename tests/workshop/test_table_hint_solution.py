"""table(), hint() and solution(): what a learner looks things up with."""

from collections.abc import Callable

import pytest

from workshop import check, classroom, hint, solution, table
from workshop.checks.answers import reference_answer
from workshop.checks.course import EXERCISES
from workshop.classroom import Classroom
from workshop.errors import WorkshopError


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Return the Markdown that was displayed since the last look."""
    texts: list[str] = []
    monkeypatch.setattr(classroom, "display", lambda shown: texts.append(getattr(shown, "data", None) or repr(shown)))

    def shown() -> str:
        text = "\n".join(texts)
        texts.clear()
        return text

    return shown


def test_a_table_is_shown_by_its_name(db: Classroom) -> None:
    db.execute("CREATE TABLE greetings (id int, greeting text); INSERT INTO greetings VALUES (1, 'hello')")
    frame = table("greetings")
    assert list(frame.columns) == ["id", "greeting"] and frame.values.tolist() == [[1, "hello"]]


def test_a_query_is_shown_with_its_parameters(db: Classroom) -> None:
    assert table("SELECT %s::int AS one, '%%' AS percent", (1,)).to_dict("records") == [{"one": 1, "percent": "%"}]
    assert table("SELECT '100 %' AS percent").to_dict("records") == [{"percent": "100 %"}]


def test_no_rows_are_a_frame_with_its_columns(db: Classroom) -> None:
    frame = table("SELECT 1 AS version WHERE false")
    assert list(frame.columns) == ["version"] and frame.empty


def test_a_query_that_fails_is_told_with_its_line(db: Classroom) -> None:
    with pytest.raises(WorkshopError) as caught:
        table("SELECT *\nFROM evnts")
    assert caught.value._render_traceback_() == [
        'PostgreSQL says: relation "evnts" does not exist',
        "line 2: FROM evnts",
        "             ^",
        "Nothing was changed.",
    ]


def test_a_name_that_is_no_table_is_told(db: Classroom) -> None:
    with pytest.raises(WorkshopError, match='relation "evnts" does not exist'):
        table("evnts")


def test_a_name_that_is_no_table_is_not_marked_elsewhere(db: Classroom) -> None:
    with pytest.raises(WorkshopError) as caught:
        table("a_rather_long_name")
    assert "^" not in str(caught.value)


def test_a_statement_without_rows_is_undone(db: Classroom) -> None:
    with pytest.raises(WorkshopError) as caught:
        table("CREATE TABLE mine (id int)")
    assert caught.value._render_traceback_() == [
        "That statement returned no rows to show, and was undone.",
        "Give table() a SELECT, or the name of a table; db.execute() runs every other statement.",
    ]


def test_before_start_there_is_no_table(notebook: str) -> None:
    with pytest.raises(WorkshopError) as caught:
        table("events")
    assert len(caught.value._render_traceback_()) == 2 and "start(" in str(caught.value)


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_hints_come_in_order_and_the_last_one_stays(
    exercise: classroom.Exercise, shown: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(exercise.hints) >= 3
    monkeypatch.setattr(classroom, "_hints_shown", type(classroom._hints_shown)())
    for number, text in enumerate((*exercise.hints, exercise.hints[-1]), 1):
        hint(exercise.id)
        last = number >= len(exercise.hints)
        said = shown()
        assert f"hint {min(number, len(exercise.hints))} of {len(exercise.hints)}" in said
        assert text in said
        assert (f'solution("{exercise.id}")' in said) is last and (f'hint("{exercise.id}")' in said) is not last


def test_start_begins_the_hints_again(notebook: str, shown: Callable[[], str]) -> None:
    hint("00.1")
    hint("00.1")
    shown()
    classroom.start(notebook)
    hint("00.1")
    assert "hint 1 of" in shown()


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_a_solution_is_the_reference_answer(exercise: classroom.Exercise, shown: Callable[[], str]) -> None:
    solution(exercise.id)
    said = shown()
    assert f"```{'sql' if exercise.is_sql else 'python'}\n{reference_answer(exercise.id)}\n```" in said
    assert "SOLUTION" not in said and "check(" not in said


@pytest.mark.parametrize("look_up", [hint, solution, lambda exercise_id: check(exercise_id, "")])
def test_an_unknown_exercise_is_told(look_up: Callable[[str], None]) -> None:
    with pytest.raises(WorkshopError) as caught:
        look_up("2.1")
    problem, remedy = caught.value._render_traceback_()
    assert problem == "There is no exercise '2.1'." and "02.1" in remedy


def test_of_many_rows_the_first_and_the_last_are_shown_and_all_are_there(db: Classroom) -> None:
    few = table("SELECT n FROM generate_series(1, 60) AS n")
    assert len(repr(few).splitlines()) == 61 and "rows" not in few._repr_html_()
    many = table("SELECT n, repeat('x', 5000) AS long FROM generate_series(1, 100000) AS n")
    assert len(many) == 100_000 and len(many.iloc[0, 1]) == 5000 and many["n"].sum() == 5000050000
    for shown in (repr(many), many._repr_html_()):
        assert "100,000 rows: the first 20 and the last." in shown and "… (5,000 characters)" in shown
        assert "99981" in shown and "99980" not in shown and len(shown) < 50_000
