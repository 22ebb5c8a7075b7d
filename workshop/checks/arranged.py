"""What was there before: SQL that puts events as they are to be found, or appends them as a program would."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import sql

FIRST_MOMENT = datetime(2025, 3, 1, 12, tzinfo=UTC)


def moment(version: int) -> datetime:
    """Return when an event of that version was recorded, unless a check says otherwise: one a day, at noon."""
    return FIRST_MOMENT + timedelta(days=version - 1)


def id_of(stream_id: str, version: int) -> str:
    """Return the id of the event that `put` puts there."""
    return str(UUID(hashlib.md5(f"{stream_id}/{version}".encode()).hexdigest()))


def put(
    stream_id: str,
    *events: Any,
    first: int = 1,
    at: Callable[[int], Any] = moment,
    position: Callable[[int], int] | None = None,
    row: bool = False,
) -> str:
    """Return the SQL that puts events into the table as they are to be found: no function is asked.

    Args:
        events: each an event of the bank, or the name of a type, which then carries no data.
        first: the version of the first one.
        at: from a version, the moment it was recorded at.
        position: from a version, its position; without it, positions are drawn.
        row: whether the stream's row is put beside them.
    """
    values = []
    for version, event in enumerate(events, first):
        given = _as_given(event)
        columns = [
            stream_id,
            version,
            id_of(stream_id, version),
            given["type"],
            json.dumps(given["data"]),
            "{}",
            str(at(version)),
        ]
        values.append([*columns, position(version)] if position else columns)
    names = "stream_id, version, id, type, data, metadata, recorded_at" + (", position" if position else "")
    text = f"INSERT INTO events ({names}) {'OVERRIDING SYSTEM VALUE ' if position else ''}VALUES {_tuples(values)};\n"
    if position:  # they count as drawn
        text += "SELECT setval(pg_get_serial_sequence('events', 'position'), max(position)) FROM events;\n"
    if row:
        text += (
            f"INSERT INTO streams (id, version) VALUES {_tuples([[stream_id, first + len(events) - 1]])}"
            " ON CONFLICT (id) DO UPDATE SET version = excluded.version;\n"
        )
    return text


def many(stream_id: str, length: int, event: Any = "X") -> str:
    """Return the SQL that puts an event so many times into a stream, always at the same moment."""
    given = _as_given(event)
    return (
        "INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at)"
        f" SELECT {_literal(stream_id)}, n, md5(n::text)::uuid, {_literal(given['type'])},"
        f" {_literal(json.dumps(given['data']))}, '{{}}', {_literal(str(FIRST_MOMENT))}"
        f" FROM generate_series(1, {length}) n;\n"
    )


def append(
    stream_id: str, *events: Any, expected: int | None = None, ids: tuple[str, ...] = (), metadata: str = "{}"
) -> str:
    """Return the SQL that appends events as a program would, with append_to_stream; it returns version and position.

    Args:
        events: each an event of the bank, the name of a type, or a dictionary as append_to_stream takes it.
        expected: the version to expect.
        ids: an id for each event, for as many as there are.
    """
    batch = [_as_given(event) for event in events]
    for event, number in zip(batch, ids, strict=False):
        event["id"] = number
    arguments = ", ".join(map(_literal, (stream_id, expected, json.dumps(batch), metadata)))
    return f"SELECT version, position FROM append_to_stream({arguments});\n"


def _as_given(event: Any) -> dict[str, Any]:
    if isinstance(event, dict):
        return event
    if isinstance(event, str):
        return {"type": event, "data": {}}
    return {"type": type(event).__name__, "data": msgspec.to_builtins(event)}


def _tuples(rows: list[list[Any]]) -> str:
    return ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)


def _literal(value: Any) -> str:
    return sql.Literal(value).as_string(None)
