"""Hunts: each learner gets a suspect with one fault, finds the promise that it breaks, and writes what convicts it.

A suspect is made of reference answers, with the slip of somebody who nearly got one. Which slip goes by the learner, so
neighbours look for different ones, and whoever runs the notebook again meets the same one.
"""

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from ..files import learners_folder
from ..server.database import Database, server_url
from ..server.url_source import being_graded
from . import kept
from .answers import reference_function
from .exercise import Check
from .guard import Endless
from .sandbox import Sandbox, own_sandbox
from .suspects import ASSERT, in_words, judged


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
        promise: what the page calls a promise.
        calls: what it calls that which a test is made of.
    """

    kind: str
    promises: int
    made_of: tuple[str, ...]
    build: Callable[..., Any]
    slips: tuple[Slip, ...]
    promise: str = "promise"
    calls: str = "calls"

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


class _Trial:
    """What a learner's test says of the suspects: of each it is asked once, and not before anybody wants to know."""

    def __init__(self, sandbox: Sandbox, hunt: Hunt):
        self._sandbox, self._hunt = sandbox, hunt
        self._said: dict[str, tuple[Any, BaseException | None]] = {}
        mine = handed_out.get(sandbox.exercise.id)
        self.wanted = [mine] if mine else hunt.slips

    def of(self, slip: Slip | None) -> tuple[Any, BaseException | None]:
        """Return what the test returned and raised on the suspect with this fault, or with none."""
        fault = slip.fault if slip else ""
        if fault not in self._said:
            database = self._sandbox.database if self._sandbox.exercise.given else None
            _, *said = judged(self._sandbox, lambda _: self._hunt.suspect(database, slip))
            self._said[fault] = said[0], said[1]
        return self._said[fault]

    @property
    def promise(self) -> Any:
        """The promise that the test names."""
        return self.of(None)[0]

    @property
    def convicted(self) -> Slip | None:
        """The fault that was to be found; where none was handed out, the first that was."""
        for slip in self.wanted:
            match self.of(slip)[1]:
                case AssertionError():
                    return slip
                case Endless():
                    return None  # it would end on few of the others
        return None


def checks_of(hunt: Hunt) -> tuple[Check, ...]:
    """Return the checks of an exercise that is a hunt."""
    no_verdict = (
        f"Nobody looks at that. A test fails by an AssertionError: {ASSERT}. Its end returns the number of the "
        f"{hunt.promise}."
    )

    def trial_in(sandbox: Sandbox) -> _Trial:
        sandbox.trial = sandbox.trial or _Trial(sandbox, hunt)
        return sandbox.trial

    @own_sandbox
    def one_without_a_fault_passes(sandbox: Sandbox) -> None:
        """One without a fault passes"""
        promise, error = trial_in(sandbox).of(None)
        assert error is None, (
            f"This {hunt.kind} keeps every {hunt.promise}, and your test fails on it. {in_words(sandbox, error)}\n"
            "What should have happened there?"
        )
        assert not isinstance(promise, bool), f"Your test returned {promise}. {no_verdict}"
        assert promise in range(1, hunt.promises + 1), (
            f"Your test ended by returning {promise!r}. It should return the number of the {hunt.promise} that it "
            f"tests, from 1 to {hunt.promises}."
        )

    @own_sandbox
    def yours_is_convicted(sandbox: Sandbox) -> None:
        """Yours is convicted"""
        trial = trial_in(sandbox)
        if trial.convicted:
            return
        for returned, error in map(trial.of, trial.wanted):
            assert error is None, (
                f"On your {hunt.kind}, your test comes to no verdict. {in_words(sandbox, error)}\n"
                "Assert what should hold, so that it fails with an AssertionError."
            )
            assert returned == trial.promise, (
                f"On your {hunt.kind}, your test returned {returned!r}, else {trial.promise}. {no_verdict}"
            )
        raise AssertionError(
            f"Your {hunt.kind} gets through. Either it keeps this {hunt.promise}, or your {hunt.calls} do not come "
            "to the point where it breaks: try both, in a cell of your own."
        )

    @own_sandbox
    def the_promise_is_named(sandbox: Sandbox) -> None:
        trial = trial_in(sandbox)
        assert trial.convicted and trial.convicted.promise == trial.promise, (
            f"Your {hunt.calls} convict it, and you name {hunt.promise} {trial.promise}. That one it keeps. Which "
            f"do your {hunt.calls} test?"
        )

    the_promise_is_named.__doc__ = f"The {hunt.promise} that it breaks is named"

    @own_sandbox
    def others_pass(sandbox: Sandbox) -> None:
        """Those with other faults pass"""
        trial = trial_in(sandbox)
        for slip in hunt.slips:
            _, error = trial.of(slip)
            assert not isinstance(error, Endless), (
                f"On a {hunt.kind} that breaks {hunt.promise} {slip.promise}, your test comes to no verdict: "
                f"{slip.fault} {in_words(sandbox, error)}"
            )
            assert error is None or slip.promise == trial.promise, (
                f"Your test also fails on a {hunt.kind} that keeps {hunt.promise} {trial.promise}, and breaks "
                f"{slip.promise}: {slip.fault} {in_words(sandbox, error)}\nTest one {hunt.promise}, and leave out what "
                "rests on others."
            )

    return one_without_a_fault_passes, yours_is_convicted, the_promise_is_named, others_pass
