"""Answers that are tests: what they have to tell is mutants of what they test.

A mutant of such an answer is as good as the reference answer where it still tells all that this one tells.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from eventstore import Appended, Decider, EventStore, EventStoreError
from workshop.bank import BankAccount, evolve
from workshop.bank.given_when_then import Given
from workshop.checks.answers import reference_function
from workshop.checks.course import EXERCISES
from workshop.checks.exercises.ex10_mature_solutions import ForgetsVersions, ReadsBackwards, Splits
from workshop.checks.exercises.weak_store import WeakStore
from workshop.checks.sandbox import Sandbox
from workshop.checks.suspects import Suspect, tried

from .answers import Mutant, mutants


class PassesOver(EventStore):
    """Weak in the same way: of a batch it stores what it can, and keeps quiet about the rest."""

    def append(self, stream_id: str, events: Any, **options: Any) -> Appended:
        try:
            return super().append(stream_id, events, **options)
        except EventStoreError:
            return super().append(stream_id, events[:-1])


STORES = (EventStore, ForgetsVersions, ReadsBackwards, WeakStore, Splits, PassesOver)


@cache
def banks() -> list[Callable]:
    """Return the right `decide` of 04.1, and its mutants."""
    return [reference_function("04.1"), *(mutant.answer for mutant in mutants("04.1"))]


def is_as_good(mutant: Mutant, url: str) -> bool:
    """Whether a mutant of a test still tells all that the reference answer tells, and blames nobody else."""
    if EXERCISES[mutant.exercise_id].keeps.startswith("test_suspicious_"):
        return True  # a hunt: its checks have held it against all suspects
    kinds = {"04.3": _blamed_banks, "10.2": _blamed_stores}
    if mutant.exercise_id not in kinds:
        return False
    blamed = kinds[mutant.exercise_id]
    found, right = blamed(mutant.answer, url), _of_the_reference(mutant.exercise_id, url)
    return found >= right and 0 not in found


@cache
def _of_the_reference(exercise_id: str, url: str) -> set[int]:
    blamed = {"04.3": _blamed_banks, "10.2": _blamed_stores}[exercise_id]
    return blamed(reference_function(exercise_id), url)


def _blamed_banks(test: Callable, _: str) -> set[int]:
    """Return the numbers of the banks that a test fails on; 0 is the right one."""
    return {
        number for number, decide in enumerate(banks()) if _fails(test, Given(Decider(BankAccount(), decide, evolve)))
    }


def _blamed_stores(test: Callable, url: str) -> set[int]:
    with Sandbox(url, EXERCISES["10.2"], test) as sandbox:

        def suspect(kind: type[EventStore]) -> Suspect:
            return Suspect(lambda sandbox: sandbox.store(connection=sandbox.database.connect(), kind=kind))

        return {number for number, kind in enumerate(STORES) if tried(sandbox, suspect(kind))[1] is not None}


def _fails(test: Callable, given: Any) -> bool:
    try:
        test(given)
    except Exception:
        return True
    return False
