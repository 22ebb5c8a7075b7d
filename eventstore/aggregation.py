"""The state of a stream: what is left when its events are folded, one after the other, into a first state."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from .store import EventStore

State = TypeVar("State")
Evolve = Callable[[State, Any], State]


def aggregate_stream(
    store: EventStore,
    stream_id: str,
    initial: State,
    evolve: Evolve[State],
    *,
    to_version: int | None = None,
    until: datetime | None = None,
    archived: bool = False,
) -> tuple[State, int]:
    """Fold a stream into a state, as it is now or as it was.

    Args:
        store: where the stream is.
        stream_id: the stream to read.
        initial: the state before the first event.
        evolve: a pure function from a state and an event to the next state.
        to_version: the last version to take in.
        until: the last moment to take in, with a time zone.
        archived: whether to look into the archive, too.

    Returns:
        The state, and the version of the last event in it, 0 for none: what a writer expects who decides on it.

    Raises:
        InvalidArgument, StreamArchived, UnknownEventType, InvalidEvent: as read_stream does.
        EventStoreError: `evolve` ended the caller's transaction.
    """
    version = 0
    state = initial
    recorded_events = store.read_stream(stream_id, to_version=to_version, until=until, archived=archived)
    with store.guard("evolve"):
        for recorded in recorded_events:
            state = evolve(state, recorded.event)
            version = recorded.version
    return state, version
