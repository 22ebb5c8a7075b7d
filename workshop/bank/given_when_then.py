"""Tests of a decider that read like sentences: given these events, when this command comes, then these events follow.

    given = Given(account_decider)
    given(AccountOpened("account-1", "PLN")).when(CloseAccount()).then(AccountClosed("account-1"))
    given().when(CloseAccount()).then_refused()

No database and no mocks: the events before `when` are folded, and `decide` is asked.
"""

from collections.abc import Iterable
from typing import Any

from eventstore import Decider

from .account import CommandRefused


class Given:
    """Begins scenarios for one decider: given(*events).when(command).then(*events), or .then_refused().

    Attributes:
        scenarios: those begun so far, in their order.
    """

    def __init__(self, decider: Decider):
        self._decider = decider
        self.scenarios: list[Scenario] = []

    def __call__(self, *events: Any) -> "Scenario":
        """Begin a scenario with what has happened so far: no events for nothing at all."""
        scenario = Scenario(self._decider, events)
        self.scenarios.append(scenario)
        return scenario


class Scenario:
    """One scenario. It runs at its end, in `then` or `then_refused`.

    Attributes:
        outcome: "unfinished", and at its end "passed" or "failed".
    """

    def __init__(self, decider: Decider, events: tuple[Any, ...]):
        self._decider = decider
        self._events = events
        self._command: Any = None
        self.outcome = "unfinished"

    def when(self, command: Any) -> "Scenario":
        """Say what is wanted."""
        self._command = command
        return self

    def then(self, *events: Any) -> None:
        """Raise AssertionError unless the command leads to exactly these events: none for "nothing happens"."""
        happened = self._run()
        self._end(happened == list(events), _all(events), happened)

    def then_refused(self) -> None:
        """Raise AssertionError unless the command is refused with CommandRefused."""
        happened = self._run()
        self._end(isinstance(happened, CommandRefused), "a refusal", happened)

    def _run(self) -> list[Any] | CommandRefused:
        """Return what the command leads to: events, or a refusal. Every other error is a bug, and gets through."""
        state = self._decider.initial
        for event in self._events:
            state = self._decider.evolve(state, event)
        try:
            return list(self._decider.decide(self._command, state))
        except CommandRefused as refusal:
            return refusal

    def _end(self, passed: bool, expected: str, happened: list[Any] | CommandRefused) -> None:
        self.outcome = "passed" if passed else "failed"
        what = f"refused: {happened}" if isinstance(happened, CommandRefused) else _all(happened)
        assert passed, (
            f"given {_all(self._events)}\nwhen {self._command!r}\nthen this was expected: {expected}\nbut it was {what}"
        )


def _all(events: Iterable[Any]) -> str:
    return ", ".join(map(repr, events)) or "nothing"
