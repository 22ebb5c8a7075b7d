"""Answers for the classroom's tests."""

from collections.abc import Callable
from typing import Any

from workshop.checks.answers import reference_answer
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES
from workshop.checks.report import Report, Result

from ..exercises.mistakes import answer, defined_in

__all__ = ["checked", "defined_in", "failed", "right_answer", "wrong_answer"]


def right_answer(exercise_id: str) -> Any:
    return answer(EXERCISES[exercise_id], reference_answer(exercise_id))


def wrong_answer(exercise_id: str) -> Any:
    """Return an answer that runs and passes no check."""
    return "SELECT 1" if EXERCISES[exercise_id].is_sql else defined_in("def nothing(*given):\n    return None\n")


def checked(exercise_id: str, given: str | Callable | None, url: str) -> Report:
    return run_checks(EXERCISES[exercise_id], given, url)


def failed(report: Report) -> Result:
    """Return the one check that failed; nothing passes after it."""
    outcomes = [result.outcome for result in report.results]
    assert outcomes.count("failed") == 1 and "passed" not in outcomes[outcomes.index("failed") :]
    return report.results[outcomes.index("failed")]
