"""Predict, then run: what a learner expects of an experiment, and what came of it."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

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
        WorkshopError: the answer is neither.
    """
    choice = f"{', '.join(words[:-1])} or {words[-1]}" if words else "a number"
    noted = None if expected is ... else _as_text(expected, words)
    if expected is not ... and noted is None:
        raise WorkshopError(
            f"{prediction_id} asks for {choice}, and you wrote {expected!r}.",
            "Write that in the place of the ..., and leave the rest of the line as it is.",
        )
    _asked[prediction_id] = _Asked(question, words, noted)
    print(f"You expect: {noted}." if noted else f"Your guess: {choice}, in the place of the ... above, or none.")


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
    found = _as_text(came, asked.words) or came
    if asked.expected is None:
        print(f"{asked.question} {found}.")
    elif asked.expected == found:
        print(f"{asked.question} {found}. As you expected.")
    else:
        print(f"{asked.question} {found}. You expected {asked.expected}.")


def _as_text(answer: Any, words: tuple[str, ...]) -> str | None:
    """Return an answer in the one way of writing it, None where it is none: a number, or one of the words."""
    text = str(answer).strip().rstrip(".").casefold() if isinstance(answer, (str, int, float, Decimal)) else ""
    if words:
        return next((word for word in words if word.casefold() == text), None)
    try:
        return f"{Decimal(text).normalize():f}" if re.search(r"\d", text) else None
    except InvalidOperation:
        return None
