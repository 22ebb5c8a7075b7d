"""Business logic as three values: a first state, what a command leads to, and what an event changes.

A decider is pure: no database, no clock, no luck. The pattern, and its names, are Jérémie Chassaing's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from .aggregation import aggregate_stream
from .errors import InvalidArgument, WrongExpectedVersion
from .store import EventStore

State = TypeVar("State")


@dataclass(frozen=True)
class Decider(Generic[State]):
    """How one kind of stream behaves.

    Attributes:
        initial: the state before the first event.
        decide: from a command and the state, the events that it leads to; raises an error of the domain's own where the
            command is refused.
        evolve: from a state and an event, the next state.
    """

    initial: State
    decide: Callable[[Any, State], Iterable[Any]]
    evolve: Callable[[State, Any], State]


def handle(
    store: EventStore,
    decider: Decider[State],
    stream_id: str,
    command: Any,
    *,
    metadata: Mapping[str, Any] | None = None,
    attempts: int = 5,
    event_ids: Sequence[UUID] | None = None,
) -> tuple[State, int]:
    """Handle a command: load the stream, decide, and append the outcome at the version that was read.

    Where somebody else appended in between, it loads the stream again and decides again: on the new state the command
    may lead to other events, or be refused.

    Args:
        store: where the stream is.
        decider: how its kind of stream behaves.
        stream_id: the stream that the command is about.
        command: what is wanted.
        metadata: stored with each event.
        attempts: how often to decide at most, 1 or more.
        event_ids: an id for each of the events, so that a command whose answer was lost can be handled again: what it
            led to is stored once, and known by its id.

    Returns:
        The state after the command, and its version. Where `decide` gave no events, nothing was appended.

    Raises:
        WrongExpectedVersion: on the last attempt, too, somebody else was faster.
        DuplicateEvent: an event with one of the ids is in the stream already.
        InvalidArgument, StreamArchived, UnknownEventType, InvalidEvent: as read_stream and append do.
        EventStoreError: `decide` or `evolve` ended the caller's transaction.
        Exception: whatever `decide` raises to refuse the command; nothing was appended.
    """
    if attempts < 1:
        raise InvalidArgument(f"attempts must be 1 or more, not {attempts}")
    while True:
        state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)
        with store.guard("decide"):
            events = list(decider.decide(command, state))
        attempts -= 1
        try:
            if events:
                appended = store.append(
                    stream_id, events, expected_version=version, metadata=metadata, event_ids=event_ids
                )
                version = appended.version
        except WrongExpectedVersion:
            if attempts == 0:
                raise
        else:
            with store.guard("evolve"):
                for event in events:
                    state = decider.evolve(state, event)
            return state, version
