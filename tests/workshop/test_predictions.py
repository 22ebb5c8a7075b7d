"""predict() and outcome(): what a learner expects of an experiment, and what came of it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from workshop import outcome, predict, progress
from workshop.attempts import recording
from workshop.attempts.events import OutcomePredicted, OutcomeSeen, Predicted
from workshop.checks import kept
from workshop.errors import WorkshopError
from workshop.server.database import server_url

QUESTION = "What is the balance?"
WORDS = ("both", "one", "none")


@pytest.mark.parametrize("expected", [-100, "-100", -100.0, Decimal("-100.00"), " -100. "])
def test_a_number_is_one_however_it_is_written(expected: Any, said: Callable[[], str]) -> None:
    predict("02.A", expected, QUESTION)
    outcome("02.A", Decimal("-100.0"))
    assert said() == f"You expect: -100.\n{QUESTION} -100. As you expected.\n"


def test_what_came_stands_beside_what_was_expected(said: Callable[[], str]) -> None:
    predict("02.A", 0, QUESTION)
    outcome("02.A", -100)
    predict("02.B", "Both", "Who gets in?", *WORDS)
    outcome("02.B", "one")
    assert said().splitlines() == [
        "You expect: 0.", f"{QUESTION} -100. You expected 0.",
        "You expect: both.", "Who gets in? one. You expected both.",
    ]  # fmt: skip


def test_without_an_answer_all_goes_on(said: Callable[[], str]) -> None:
    predict("02.A", ..., QUESTION)
    predict("02.B", ..., "Who gets in?", *WORDS)
    outcome("02.A", -100)
    outcome("02.B", "one")
    outcome("02.Z", 3)  # its question was never run
    assert said().splitlines() == [
        "Your guess: write a number in the place of the ... above. Or leave it.",
        'Your guess: write "both", "one" or "none", in quotes, in the place of the ... above. Or leave it.',
        f"{QUESTION} -100.", "Who gets in? one.", "02.Z: 3",
    ]  # fmt: skip


@pytest.mark.parametrize("prediction_id", ["2.A", "02.1", "02.a", "", 2, None])
def test_what_is_no_prediction_is_told(prediction_id: Any) -> None:
    with pytest.raises(WorkshopError, match=r"^There is no prediction "):
        predict(prediction_id, 3, QUESTION)


def events() -> list[object]:
    return [recorded.event for recorded in recording._log(server_url()).read()]


def test_what_was_expected_before_it_was_seen_is_recorded() -> None:
    outcome("02.C", 1)  # nothing was expected of it
    predict("02.A", ..., QUESTION)
    for expected in (0, 0, 5):
        predict("02.A", expected, QUESTION)
    outcome("02.A", -100)
    outcome("02.A", -100)
    predict("02.A", -100, QUESTION)  # that is wisdom after the event
    outcome("02.A", -100)
    assert events() == [OutcomePredicted("02.A", "0"), OutcomePredicted("02.A", "5"), OutcomeSeen("02.A", "-100")]
    assert recording.predictions() == {"02.A": Predicted("5", "-100")}
    assert recording.progress() == {}


def test_progress_says_what_was_a_surprise(said: Callable[[], str]) -> None:
    progress()
    assert "as you expected" not in said()
    predict("02.A", 1, QUESTION)
    outcome("02.A", 1)
    predict("02.B", "both", "Who gets in?", *WORDS)
    outcome("02.B", "one")
    predict("02.C", 7, QUESTION)  # not seen yet
    said()
    progress()
    assert "1 of 2 experiments went as you expected. You were surprised by 02.B (one, not both)." in said()


def test_a_solution_records_no_prediction() -> None:
    kept.belongs_to_solution(True)
    predict("02.A", 1, QUESTION)
    outcome("02.A", 1)
    kept.belongs_to_solution(False)
    assert events() == []


@pytest.mark.parametrize("wrong", ["many", "", None, [1], "1 or 2", "inf", "1e400"])
def test_what_is_no_answer_is_told(wrong: Any) -> None:
    with pytest.raises(WorkshopError, match=r"(?s)^02\.A does not ask for .*Write a number in its place"):
        predict("02.A", wrong, QUESTION)
    with pytest.raises(WorkshopError, match=r'(?s)^02\.B does not .*Write "both", "one" or "none", in quotes, in its'):
        predict("02.B", wrong, "Who gets in?", *WORDS)
