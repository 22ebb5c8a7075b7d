"""Snapshots: the state of a long stream, kept from time to time, so that only the tail has to be folded."""

import hashlib
from datetime import datetime
from functools import cache

import msgspec

from .aggregation import Evolve, State
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

    A snapshot from after `to_version` or `until` does not fit, nor does one whose state had other fields: it is passed
    over and, in time, replaced.

    Args:
        initial: the state before the first event, a dataclass that msgspec can convert to JSON and back.
        every: keep a snapshot where at least so many events had to be folded.
        revision: raise it when `evolve` works differently on the same fields: older snapshots are void then.

    Returns:
        The state, and the version of the last event in it, 0 for none.

    Raises:
        InvalidArgument: the state would not be read back from JSON as it was, or `every` is none.
    """
    if every < 1:
        raise InvalidArgument(f"every must be 1 or more, not {every}")
    state, version, recorded_at = initial, 0, None
    kind, (shape, decoder) = type(initial).__name__, _shape(type(initial), revision)  # type: ignore[arg-type]
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
        version, recorded_at = recorded.version, recorded.recorded_at
    if len(tail) >= every:
        data = msgspec.json.encode(state)
        if decoder.decode(data) != state:
            raise InvalidArgument(f"{kind} cannot be kept in a snapshot: it comes back as {decoder.decode(data)!r}")
        store.execute(
            "INSERT INTO snapshots (stream_id, state_type, version, recorded_at, shape, state)"
            " VALUES (%s, %s, %s, %s, %s, %s::jsonb)"
            " ON CONFLICT (stream_id, state_type, version)"
            " DO UPDATE SET shape = excluded.shape, state = excluded.state",
            (stream_id, kind, version, recorded_at, shape, data.decode()),
        )
    return state, version


@cache
def _shape(state_type: type, revision: int) -> tuple[str, msgspec.json.Decoder]:
    """Return a fingerprint of the state's fields, nested ones included, and what reads the state back."""
    schema = msgspec.json.encode(msgspec.json.schema(state_type), order="sorted")
    return hashlib.sha256(b"%d %s" % (revision, schema)).hexdigest()[:16], msgspec.json.Decoder(state_type)
