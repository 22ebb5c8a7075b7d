"""Predict, then run: what a learner expects of an experiment, and what came of it."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from .attempts import recording
from .attempts.events import LONGEST_OUTCOME, PredictOutcome, SeeOutcome
from .checks.words import listed
from .errors import WorkshopError


@dataclass(frozen=True)
class _Asked:
    """What was asked, and what the learner expects: None where that was left open."""

    question: str
    words: tuple[str, ...]
    expected: str | None


_asked: dict[str, _Asked] = {}  # by prediction


def predict(prediction_id: str, expected: Any, question: str, *words: str) -> None:
    """Note what you expect of the experiment that follows. Nothing is graded, and no answer is fine, too.

    Args:
        prediction_id: its notebook and a letter, such as "02.A".
        expected: a number, or one of the words; `...` is no answer.
        question: what is asked.
        words: what can be answered; none where it is a number.

    Raises:
        WorkshopError: the answer is neither, or there is no such prediction.
    """
    if not isinstance(prediction_id, str) or not re.fullmatch(r"\d\d\.[A-Z]", prediction_id):
        raise WorkshopError(f"There is no prediction {prediction_id!r}.", 'They are called so: "02.A".')
    choice = listed([f'"{word}"' for word in words], "or") + ", in quotes," if words else "a number"
    noted = None if expected is ... else _as_text(expected, words)
    if expected is not ... and noted is None:
        raise WorkshopError(
            f"{prediction_id} does not ask for {expected!r}.",
            f"Write {choice} in its place, and leave the rest of the line as it is.",
        )
    _asked[prediction_id] = _Asked(question, words, noted)
    if noted is None:
        print(f"Your guess: write {choice} in the place of the ... above. Or leave it.")
    else:
        print(f"You expect: {noted}.")
        _say(recording.predict(PredictOutcome(prediction_id, noted)))


def outcome(prediction_id: str, came: Any) -> None:
    """Show what came of an experiment, beside what you expected of it.

    Args:
        prediction_id: the one that was asked above.
        came: what happened.
    """
    asked = _asked.get(prediction_id)
    if asked is None:
        print(f"{prediction_id}: {came}")
        return
    found = _as_text(came, asked.words) or str(came)
    if asked.expected is None:
        print(f"{asked.question} {found}.")
    elif asked.expected == found:
        print(f"{asked.question} {found}. As you expected.")
    else:
        print(f"{asked.question} {found}. You expected {asked.expected}.")
    if asked.expected is not None:
        _say(recording.predict(SeeOutcome(prediction_id, found[:LONGEST_OUTCOME])))


def _say(line: str) -> None:
    if line:
        print(line)


def _as_text(answer: Any, words: tuple[str, ...]) -> str | None:
    """Return an answer in the one way of writing it, None where it is none: a number, or one of the words."""
    text = str(answer).strip().rstrip(".").casefold() if isinstance(answer, (str, int, float, Decimal)) else ""
    if words:
        return next((word for word in words if word.casefold() == text), None)
    try:
        number = f"{Decimal(text).normalize():f}" if re.search(r"\d", text) else ""
        return number if 0 < len(number) <= LONGEST_OUTCOME else None
    except InvalidOperation:
        return None
