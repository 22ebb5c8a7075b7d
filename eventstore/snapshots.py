"""Snapshots: the state of a long stream, kept from time to time, so that only the tail has to be folded."""

import hashlib
from dataclasses import is_dataclass
from datetime import datetime
from functools import cache

import msgspec

from .aggregation import Evolve, State
from .arguments import check_range, check_stream_id, check_version
from .errors import InvalidArgument
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
    fields, or another class, or came from another function. Only a read of the present keeps a snapshot: whoever
    looks into the past, at one version after the other, would leave one at each.

    Args:
        initial: the state before the first event, a dataclass that msgspec can convert to JSON and back.
        evolve: a pure function from a state and an event to the next state. It is known by its name.
        every: keep a snapshot where at least so many events had to be folded.
        revision: raise it when `evolve` works differently on the same fields: older snapshots are void then.

    Returns:
        The state, and the version of the last event in it, 0 for none.

    Raises:
        InvalidArgument: the state would not be read back from JSON as it was, or `every` or `revision` is none.
        InvalidArgument, StreamArchived, UnknownEventType, InvalidEvent: as read_stream does.
    """
    check_stream_id(stream_id)
    check_range(1, to_version, None, until)
    check_version("every", every, lowest=1)
    check_version("revision", revision, lowest=1)
    kind = type(initial).__name__
    schema, decoder = _json_of(type(initial))  # type: ignore[arg-type]
    shape = _fingerprint(schema, _name_of(type(initial)), _name_of(evolve), revision)

    state, version = initial, 0
    kept = store.execute(
        "SELECT version, state::text FROM snapshots"
        " WHERE stream_id = %(stream)s AND state_type = %(kind)s AND shape = %(shape)s"
        " AND (%(to_version)s::bigint IS NULL OR version <= %(to_version)s)"
        " AND (%(until)s::timestamptz IS NULL OR recorded_at <= %(until)s)"
        " ORDER BY version DESC LIMIT 1",
        {"stream": stream_id, "kind": kind, "shape": shape, "to_version": to_version, "until": until},
    ).fetchone()
    if kept:
        version, state = kept[0], decoder.decode(kept[1])
    tail = store.read_stream(stream_id, from_version=version + 1, to_version=to_version, until=until)
    for recorded in tail:
        state = evolve(state, recorded.event)
        version = recorded.version
    if len(tail) >= every and to_version is None and until is None:
        _keep(store, (stream_id, kind, shape, version, tail[-1].recorded_at, _encode(state, decoder)))
    return state, version


def _keep(store: EventStore, row: tuple) -> None:
    """Keep a snapshot, unless it is there, or another transaction is keeping one of this stream.

    A reader who waited for another one's transaction would wait for nothing but a cache.
    """
    store.execute(
        "INSERT INTO snapshots (stream_id, state_type, shape, version, recorded_at, state)"
        " SELECT %s, %s, %s, %s, %s, %s::json"
        " WHERE pg_try_advisory_xact_lock('snapshots'::regclass::oid::int, hashtext(%s))"
        " ON CONFLICT DO NOTHING",
        (*row, row[0]),
    )


def _encode(state: object, decoder: msgspec.json.Decoder) -> str:
    """Return a state as JSON, or raise InvalidArgument where it would not be read back as it was."""
    try:
        data = msgspec.json.encode(state)
        back = decoder.decode(data)
        fault = None if back == state else f"it comes back as {back!r}"
    except Exception as error:  # msgspec's, or whatever the state's own class raises
        fault = str(error)
    if fault:
        raise InvalidArgument(f"{state!r} cannot be kept in a snapshot: {fault}")
    return data.decode()


@cache
def _json_of(state_type: type) -> tuple[bytes, msgspec.json.Decoder]:
    """Return a description of the state's fields, nested ones included, and what reads the state back."""
    if not is_dataclass(state_type):
        raise InvalidArgument(f"a state that is kept in snapshots is a dataclass, and {state_type.__name__} is none")
    try:
        return msgspec.json.encode(msgspec.json.schema(state_type)), msgspec.json.Decoder(state_type)
    except TypeError as error:
        reason = str(error).splitlines()[-1]  # what comes before it is advice on how to use msgspec
        raise InvalidArgument(f"{state_type.__name__} cannot be kept in a snapshot: {reason}") from error


def _fingerprint(*parts: object) -> str:
    """Return a short text that is the same for the same parts, in every process (unlike hash())."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:16]


def _name_of(thing: object) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"
