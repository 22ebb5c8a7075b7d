"""Answers that are tests: each is run on what keeps the rules and on what breaks one of them, and has to tell which."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .exercise import Check
from .sandbox import Sandbox


@dataclass(frozen=True)
class Suspect:
    """What a learner's test is run on.

    Attributes:
        make: makes it, from the sandbox, which is empty: what the test is called with.
        fault: what is wrong with it, in a sentence; "" where the test has to pass it.
        missing: what a test lacks that passes a fault, or blames where there is none.
    """

    make: Callable[[Sandbox], Any]
    fault: str = ""
    missing: str = ""


def judged(sandbox: Sandbox, make: Callable[[Sandbox], Any]) -> tuple[Any, Any, Exception | None]:
    """Run the learner's test in an empty sandbox; return what it was called with, what it returned, what it raised."""
    sandbox.clear()
    made = make(sandbox)
    try:
        return made, sandbox.answer(made), None
    except Exception as error:
        return made, None, error


def tried(sandbox: Sandbox, suspect: Suspect) -> tuple[Any, Exception | None]:
    """Run the learner's test on a suspect; return what it was called with, and what it raised."""
    made, returned, error = judged(sandbox, suspect.make)
    assert returned is None, (
        f"Your test returned {returned!r}, and nobody looks at that. A test fails by an AssertionError: "
        'assert condition, "what happened".'
    )
    return made, error


def convicts(
    label: str, *suspects: Suspect, who: str, got_through: Callable[[Any], str] = lambda made: "your test"
) -> Check:
    """Return a check: the learner's test fails on each of these suspects, and says so with an AssertionError.

    Args:
        label: what the check is called.
        who: what they are, such as "A bank".
        got_through: from what the test was called with, what it got through.
    """

    def check(sandbox: Sandbox) -> None:
        for suspect in suspects:
            made, error = tried(sandbox, suspect)
            assert error is not None, (
                f"{who} with a fault got through {got_through(made)}. Its fault: {suspect.fault} "
                f"Missing is {suspect.missing}"
            )
            if not isinstance(error, AssertionError):
                raise error

    check.__doc__ = label
    check.own_sandbox = True  # type: ignore[attr-defined]
    return check
