"""What an exercise is."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Check = Callable[[Any], None]  # of the sandbox in which it meets an answer


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: the number of its notebook and its place in it, such as "02.1".
        title: what is built, in a few words.
        minutes: how long a learner takes, reading its paragraph included.
        difficulty: as shown above the exercise.
        keeps: where in my_eventstore/ a passed answer is kept; its ending says whether the answer is SQL or Python.
        checks: plain functions that raise AssertionError with a message for the learner. The first line of a check's
            docstring is what it is called.
        hints: from a nudge to nearly the answer.
        given: the files of eventstore/schema that stand before the answer.
        fast_track: whether it belongs to the hour of the talk.
        hunt: the suspects, where the answer has to convict one.
    """

    id: str
    title: str
    minutes: int
    difficulty: Literal["easy", "medium", "hard"]
    keeps: str
    checks: tuple[Check, ...]
    hints: tuple[str, ...]
    given: tuple[str, ...] = ()
    fast_track: bool = False
    hunt: Any = None

    @property
    def is_sql(self) -> bool:
        return self.keeps.endswith(".sql")


def label_of(check: Check) -> str:
    """Return what a check is called in a report: the first line of its docstring."""
    return (inspect.getdoc(check) or check.__name__).splitlines()[0]


def is_on_stage(check: Check) -> bool:
    """Whether a check plays scenes, as those do that `looks` makes: such come after all examples."""
    return getattr(check, "on_stage", False)
