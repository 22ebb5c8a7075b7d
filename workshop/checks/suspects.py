"""Answers that are tests: each is run on what keeps the rules and on what breaks one of them, and has to tell which."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .exercise import Check
from .guard import Endless, line_of
from .sandbox import Sandbox

ASSERT = '`assert condition, "what happened"`'


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


def judged(sandbox: Sandbox, make: Callable[[Sandbox], Any]) -> tuple[Any, Any, BaseException | None]:
    """Run the learner's test in an empty sandbox; return what it was called with, what it returned, what it raised."""
    sandbox.clear()
    made = make(sandbox)
    try:
        return made, sandbox.answer(made), None
    except (Exception, Endless) as error:
        return made, None, error


def tried(sandbox: Sandbox, suspect: Suspect) -> tuple[Any, BaseException | None]:
    """Run the learner's test on a suspect; return what it was called with, and what it raised."""
    made, returned, error = judged(sandbox, suspect.make)
    assert returned is None, (
        f"Your test returned {returned!r}, and nobody looks at that. A test fails by an AssertionError: {ASSERT}."
    )
    return made, error


def in_words(sandbox: Sandbox, error: BaseException | None) -> str:
    """Say how the learner's test ended that did not pass; where it says nothing itself, with its line."""
    if isinstance(error, AssertionError) and str(error).strip():
        return ("It says:\n" if "\n" in str(error) else "It says: ") + str(error)
    if isinstance(error, AssertionError):
        said = "It fails without a word."
    elif isinstance(error, Endless):
        said = f"It {error}. Does a loop wait for what never comes? Count its rounds, and assert behind it."
    else:
        said = f"It ends with {type(error).__name__}: {error}"
    return "\n".join([said, *(line_of(error, sandbox.answer) if error else ())])


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
            assert isinstance(error, AssertionError), (
                f"{who} has a fault: {suspect.fault} On it, your test comes to no verdict. {in_words(sandbox, error)}"
            )

    check.__doc__ = label
    check.own_sandbox = True  # type: ignore[attr-defined]
    return check
