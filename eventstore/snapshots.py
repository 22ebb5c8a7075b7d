"""Snapshots: the state of a long stream, kept from time to time, so that only the tail has to be folded."""

import hashlib
from contextlib import suppress
from dataclasses import is_dataclass
from datetime import datetime
from functools import cache
from inspect import isfunction
from typing import Any

import msgspec
from psycopg import errors as postgres

from .aggregation import Evolve, State, aggregate_stream
from .arguments import check_range, check_stream_id, check_version
from .errors import InvalidArgument
from .round_trip import to_json
from .store import EventStore


def aggregate_with_snapshots(
    store: EventStore,
    stream_id: str,
    initial: State,
    evolve: Evolve[State],
    *,
    every: int = 100,
    revision: int = 1,
    to_version: int | None = None,
    until: datetime | None = None,
) -> tuple[State, int]:
    """Fold a stream into a state as aggregate_stream does, from the newest snapshot that fits.

    A snapshot from after `to_version` or `until` does not fit, nor does one of another shape: the state had other
    fields, or another class, or came from another function, or from another first state. Only a read of the present
    keeps a snapshot: whoever looks into the past, at one version after the other, would leave one at each. Nor is one
    kept where nothing can be written: on a standby, in a read-only transaction, by a role that may not.

    Args:
        store: where the stream is.
        stream_id: the stream to read.
        initial: the state before the first event, a dataclass that msgspec can convert to JSON and back.
        evolve: a pure function from a state and an event to the next state, known by its module and name. With one that
            has no name of its own all is folded anew: a lambda, a function within a function, a method, a partial.
        every: keep a snapshot where at least so many events had to be folded.
        revision: raise it when `evolve` works differently on the same fields, or an upcaster does: older snapshots are
            void then.
        to_version: the last version to take in.
        until: the last moment to take in, with a time zone.

    Returns:
        The state, and the version of the last event in it, 0 for none.

    Raises:
        InvalidArgument: the state would not be read back from JSON as it was, or `every` or `revision` is not one.
        InvalidArgument, StreamArchived, UnknownEventType, InvalidEvent: as read_stream does.
        EventStoreError: `evolve` ended the caller's transaction.
    """
    check_stream_id(stream_id)
    check_range(1, to_version, None, until)
    check_version("every", every, lowest=1)
    check_version("revision", revision, lowest=1)
    state_type: Any = type(initial)
    kind, decoder = state_type.__name__, _json_of(state_type)[1]
    _encode(initial, decoder)
    if not isfunction(evolve) or "<" in evolve.__qualname__:  # such as <lambda>, or outer.<locals>.inner
        return aggregate_stream(store, stream_id, initial, evolve, to_version=to_version, until=until)
    shape = _shape(initial, evolve, revision)

    state, version = initial, 0
    kept = store.execute(
        "SELECT version, state::text FROM snapshots WHERE stream_id = %s AND state_type = %s AND shape = %s"
        " AND version <= coalesce(%s, version) AND recorded_at <= coalesce(%s, recorded_at)"
        " ORDER BY version DESC LIMIT 1",
        (stream_id, kind, shape, to_version, until),
    ).fetchone()
    if kept:
        version, state = kept[0], decoder.decode(kept[1])
    tail = store.read_stream(stream_id, from_version=version + 1, to_version=to_version, until=until)
    with store.guard("evolve"):
        for recorded in tail:
            state = evolve(state, recorded.event)
            version = recorded.version
    if len(tail) >= every and to_version is None and until is None:
        _keep(store, (stream_id, kind, shape, version, tail[-1].recorded_at, _encode(state, decoder)))
    return state, version


def _keep(store: EventStore, row: tuple[Any, ...]) -> None:
    """Keep a snapshot, unless it is there, or another transaction is keeping one of this stream, or nobody may write.

    A reader who waited for another one's transaction would wait for nothing but a cache.
    """
    nobody_may = suppress(postgres.ReadOnlySqlTransaction, postgres.InsufficientPrivilege)
    with nobody_may, store.transaction(of_one_statement=True):
        store.execute(
            "INSERT INTO snapshots (stream_id, state_type, shape, version, recorded_at, state)"
            " SELECT %s, %s, %s, %s, %s, %s::json"
            " WHERE pg_try_advisory_xact_lock('snapshots'::regclass::oid::int, hashtext(%s))"
            " ON CONFLICT DO NOTHING",
            (*row, row[0]),
        )


def _encode(state: object, decoder: msgspec.json.Decoder[Any]) -> str:
    """Return a state as JSON, or raise InvalidArgument where it would not be read back as it was."""
    try:
        return to_json(state, decoder.decode).decode()
    except ValueError as error:
        raise InvalidArgument(f"{state!r} cannot be kept in a snapshot: {error}") from error


@cache
def _json_of(state_type: type[Any]) -> tuple[bytes, msgspec.json.Decoder[Any]]:
    """Return a description of the state's fields, nested ones included, and what reads the state back."""
    if not is_dataclass(state_type):
        raise InvalidArgument(f"a state that is kept in snapshots is a dataclass, and {state_type.__name__} is not one")
    try:
        return msgspec.json.encode(msgspec.json.schema(state_type)), msgspec.json.Decoder(state_type)
    except TypeError as error:
        reason = str(error).splitlines()[-1]  # what comes before it is advice on how to use msgspec
        raise InvalidArgument(f"{state_type.__name__} cannot be kept in a snapshot: {reason}") from error


def _shape(initial: Any, evolve: Any, revision: int) -> str:
    """Return a short text that is the same for the same arguments, in every process (unlike hash())."""
    state_type: Any = type(initial)
    names = [f"{thing.__module__}.{thing.__qualname__}" for thing in (state_type, evolve)]
    parts = (_json_of(state_type)[0], initial, names, revision)
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:16]
