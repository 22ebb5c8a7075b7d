"""Hunts: each learner gets a suspect with one fault, finds the promise that it breaks, and writes what convicts it.

A suspect is made of reference answers, with the slip of somebody who nearly got one. Which slip goes by the learner, so
neighbours look for different ones, and whoever runs the notebook again meets the same one.
"""

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from psycopg.conninfo import conninfo_to_dict

from ..files import learners_folder
from ..server.database import Database, server_url
from ..server.url_source import being_graded
from . import kept
from .answers import reference_function
from .exercise import Check
from .sandbox import Sandbox, own_sandbox
from .suspects import judged


@dataclass(frozen=True)
class Slip:
    """A fault.

    Attributes:
        promise: the number of the promise that it breaks.
        fault: what it does wrong, in half a sentence.
        exercise_id: the answer with the slip.
        changes: what stands in it instead of what.
    """

    promise: int
    fault: str
    exercise_id: str
    changes: dict[str, str]


@dataclass(frozen=True)
class Hunt:
    """Suspects that are alike but for their faults.

    Attributes:
        kind: what they are, such as "bank".
        promises: how many there are, numbered from 1.
        made_of: the exercises whose answers a suspect is made of.
        build: makes one of a database and of these answers: what the learner's test is called with.
        slips: the faults. The reference answer to the hunt convicts the first.
    """

    kind: str
    promises: int
    made_of: tuple[str, ...]
    build: Callable[..., Any]
    slips: tuple[Slip, ...]

    def suspect(self, database: Database | None, slip: Slip | None) -> Any:
        """Make a suspect with a fault, or with none."""
        parts = [
            reference_function(each, *(slip.changes.items() if slip and slip.exercise_id == each else ()))
            for each in self.made_of
        ]
        return self.build(database, *parts)


handed_out: dict[str, Slip] = {}  # in this kernel, by exercise: what somebody else convicts may be another one


def hand_out(exercise_id: str, hunt: Hunt) -> Slip:
    """Return the fault that this learner looks for, the same one each time."""
    if being_graded():  # whose it is, nobody knows: whichever is convicted counts
        return hunt.slips[0]
    number = 0  # in a solution
    if not kept.is_throwaway():
        number = int.from_bytes(hashlib.sha256(f"{exercise_id} {_learner()}".encode()).digest()) % len(hunt.slips)
    handed_out[exercise_id] = hunt.slips[number]
    return hunt.slips[number]


def _learner() -> str:
    """Return who this is: the role on a server that others use, too, else the machine and the folder."""
    role = conninfo_to_dict(server_url()).get("user", "postgres")
    return str(role) if role != "postgres" else f"{platform.node()} {learners_folder()}"


@dataclass(frozen=True)
class _Verdict:
    """What a learner's test says of all suspects."""

    promise: Any  # that it names
    of_a_right_one: Exception | None
    of: tuple[tuple[Slip, Exception | None], ...]

    def convicted(self, exercise_id: str) -> Slip | None:
        """Return the fault that was to be found; where none was handed out, the first that was."""
        found = [slip for slip, error in self.of if isinstance(error, AssertionError)]
        mine = handed_out.get(exercise_id)
        return mine if mine in found else None if mine else next(iter(found), None)


def checks_of(hunt: Hunt) -> tuple[Check, ...]:
    """Return the checks of an exercise that is a hunt."""
    verdicts: WeakKeyDictionary[Sandbox, _Verdict] = WeakKeyDictionary()

    def verdict(sandbox: Sandbox) -> _Verdict:
        if sandbox not in verdicts:
            database = sandbox.database if sandbox.exercise.given else None
            said = [judged(sandbox, lambda _: hunt.suspect(database, slip)) for slip in (None, *hunt.slips)]  # noqa: B023
            (_, promise, error), *others = said
            of = zip(hunt.slips, (each[2] for each in others), strict=True)
            verdicts[sandbox] = _Verdict(promise, error, tuple(of))
        return verdicts[sandbox]

    @own_sandbox
    def one_without_a_fault_passes(sandbox: Sandbox) -> None:
        """One without a fault passes"""
        found = verdict(sandbox)
        error = found.of_a_right_one
        assert error is None, (
            f"This {hunt.kind} keeps all promises, and your test fails on it. It says: {_words(error)}\n"
            "What should have happened there?"
        )
        assert found.promise in range(1, hunt.promises + 1), (
            f"Your test ended by returning {found.promise!r}. It should return the number of the promise that it "
            f"tests, from 1 to {hunt.promises}."
        )

    @own_sandbox
    def yours_is_convicted(sandbox: Sandbox) -> None:
        """Yours is convicted"""
        found = verdict(sandbox)
        mine = handed_out.get(sandbox.exercise.id)
        error = next((error for slip, error in found.of if slip == mine), None)
        assert error is None or isinstance(error, AssertionError), (
            f"On your {hunt.kind}, your test ends with {_words(error)}. That is a crash and no verdict: assert what "
            "should hold, so that it fails with an AssertionError."
        )
        assert found.convicted(sandbox.exercise.id), (
            f"Your {hunt.kind} gets through. Either it keeps this promise, or your calls do not come to the point "
            "where it breaks: try both, in a cell of your own."
        )

    @own_sandbox
    def the_promise_is_named(sandbox: Sandbox) -> None:
        """The promise that it breaks is named"""
        found = verdict(sandbox)
        mine = found.convicted(sandbox.exercise.id)
        assert mine and mine.promise == found.promise, (
            f"Your calls convict it, and you name promise {found.promise}. That one it keeps. Which do your calls test?"
        )

    @own_sandbox
    def others_pass(sandbox: Sandbox) -> None:
        """Those with other faults pass"""
        found = verdict(sandbox)
        for slip, error in found.of:
            assert error is None or slip.promise == found.promise, (
                f"Your test also fails on a {hunt.kind} that keeps promise {found.promise}, and breaks {slip.promise}: "
                f"{slip.fault}. It says: {_words(error)}\nTest one promise, and leave out what rests on others."
            )

    return one_without_a_fault_passes, yours_is_convicted, the_promise_is_named, others_pass


def _words(error: Exception | None) -> str:
    name = "" if isinstance(error, AssertionError) and str(error) else f"{type(error).__name__} "
    return f"{name}{error}".strip()
