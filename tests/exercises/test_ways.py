"""What solution() shows beside the reference: the other way passes all checks, the classic wrong choice does not."""

import pytest

from workshop.checks.answers import other_ways, reference_answer
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES

from ..postgres import Server
from .mistakes import answer, failures

WAYS = [(exercise_id, kind) for exercise_id, ways in other_ways().items() for kind in ways]


def test_hard_exercises_have_both() -> None:
    hard = {exercise.id for exercise in EXERCISES.values() if exercise.difficulty == "hard"}
    assert {exercise_id: [*ways] for exercise_id, ways in other_ways().items()} == dict.fromkeys(
        sorted(hard), ["another", "wrong"]
    )


@pytest.mark.parametrize(("exercise_id", "kind"), WAYS)
def test_the_other_way_holds_and_the_wrong_choice_is_refused(exercise_id: str, kind: str, postgres: Server) -> None:
    way, exercise = other_ways()[exercise_id][kind], EXERCISES[exercise_id]
    report = run_checks(exercise, answer(exercise, way.whole(reference_answer(exercise_id))), postgres.url)
    assert report.passed == (kind == "another"), failures(report)
    assert "Your SQL runs" not in str(failures(report))
    assert way.why.endswith(".") and way.why.count(". ") in (0, 1, 2)
