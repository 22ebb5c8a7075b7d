"""The event store: streams of events in PostgreSQL, appended by one stored function.

The SQL in schema/ does the work and keeps the promises. This class turns events into JSON and back, refuses
what could not be stored faithfully, and turns the database's errors into the package's own.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg import errors as postgres

from .arguments import ANY, NO_STREAM, AnyVersion, check_range, check_stream_id, check_version
from .errors import DuplicateEvent, InvalidEvent, WrongExpectedVersion
from .events import EventTypes, encode_metadata
from .records import Appended, RecordedEvent, StreamInfo

_WRONG_EXPECTED_VERSION = "ES001"  # the error code that append_to_stream raises


class EventStore:
    """An event store on a psycopg connection.

    On an autocommit connection each append is a transaction of its own. Inside a transaction of the caller's,
    appends take part in it: they commit, or roll back, with everything else in it. The isolation level is meant
    to be PostgreSQL's default, READ COMMITTED.

    Args:
        connection: an open psycopg connection; its search_path says in which PostgreSQL schema the tables are.
        types: the event types that the store can write and read.
    """

    def __init__(self, connection: psycopg.Connection, types: EventTypes):
        self.connection = connection
        self.types = types

    def create_schema(self) -> None:
        """Create the tables and functions in the connection's current schema, or bring the functions up to date.

        Safe to call again, and from several connections at once.
        """
        scripts = sorted((f for f in files(__package__).joinpath("schema").iterdir()), key=lambda file: file.name)
        with self.connection.transaction():
            # IF NOT EXISTS is no lock: two connections that create a table at once collide.
            self.connection.execute("SELECT pg_advisory_xact_lock(hashtext('eventstore.create_schema'))")
            for script in scripts:
                self.connection.execute(script.read_bytes())

    def append(
        self,
        stream_id: str,
        events: Iterable[object],
        *,
        expected_version: int | AnyVersion = ANY,
        metadata: Mapping[str, Any] | None = None,
        event_ids: Iterable[UUID] | None = None,
    ) -> Appended:
        """Append events at the end of a stream: all of them or none, in one SQL statement.

        Args:
            stream_id: 1 to 255 characters, `category-id` by custom.
            events: at least one instance of a registered event type.
            expected_version: the version that the writer read, NO_STREAM, STREAM_EXISTS or ANY.
            metadata: a JSON object, stored with each of the events.
            event_ids: an id for each event. With them and an explicit expected_version, repeating an append whose
                answer was lost stores nothing twice and returns what the first try would have returned.

        Returns:
            Where the append ended.

        Raises:
            WrongExpectedVersion: the stream is at another version.
            DuplicateEvent: an event with one of the ids is in the stream already, and this is no plain retry.
            UnknownEventType: the class of an event is not registered.
            InvalidEvent: an event, its id or the metadata would not be read back as it was given.
            InvalidArgument: the stream id or the expected version is none.
        """
        check_stream_id(stream_id)
        if isinstance(expected_version, AnyVersion):
            expected = expected_version.value
        else:
            expected = check_version("expected_version", expected_version, lowest=NO_STREAM)
        new_events = self._as_json(events, event_ids)
        try:
            row = self.connection.execute(
                "SELECT version, position, repeated FROM append_to_stream(%s, %s, %s::jsonb, %s::jsonb)",
                (stream_id, expected, new_events, encode_metadata(metadata).decode()),
            ).fetchone()
        except postgres.UniqueViolation as error:
            raise DuplicateEvent(stream_id) from error
        except psycopg.DatabaseError as error:
            if error.sqlstate != _WRONG_EXPECTED_VERSION:
                raise
            actual = int(error.diag.message_detail or 0)
            raise WrongExpectedVersion(stream_id, expected_version, actual) from None  # PostgreSQL's says no more
        assert row is not None  # the function returns one row, or raises
        return Appended(*row)

    def read_stream(
        self,
        stream_id: str,
        *,
        from_version: int = 1,
        to_version: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[RecordedEvent]:
        """Read a stream in the order of its versions, whole unless told otherwise.

        Args:
            from_version, to_version: the versions to read, both included.
            since, until: the moments to read, both included, with a time zone. What `until` leaves out is always the
                newest: the rest is the stream as it was at that moment.

        Returns:
            The events, oldest first; none where there is no such stream.

        Raises:
            UnknownEventType: an event's type is not registered.
            InvalidEvent: an event does not fit the class that is registered for its type.
            InvalidArgument: the stream id is none, or a range is turned round.
        """
        check_stream_id(stream_id)
        check_range(from_version, to_version, since, until)
        rows = self.connection.execute(
            "SELECT version, position, id, type, data::text, metadata, recorded_at"
            " FROM read_stream(%s, %s, %s, %s, %s)",
            (stream_id, from_version, to_version, since, until),
        )
        return [
            RecordedEvent(
                stream_id, version, position, event_id, type_name,
                self.types.decode(type_name, data, f"event {version} of stream {stream_id!r}"), metadata, recorded_at,
            )
            for version, position, event_id, type_name, data, metadata, recorded_at in rows
        ]  # fmt: skip

    def stream_info(self, stream_id: str) -> StreamInfo | None:
        """Return what is known of a stream, or None where there is no such stream.

        Raises:
            InvalidArgument: the stream id is none.
        """
        check_stream_id(stream_id)
        row = self.connection.execute(
            "SELECT s.id, s.version, first.recorded_at, last.recorded_at FROM streams s"
            " JOIN events first ON first.stream_id = s.id AND first.version = 1"
            " JOIN events last ON last.stream_id = s.id AND last.version = s.version"
            " WHERE s.id = %s",
            (stream_id,),
        ).fetchone()
        return StreamInfo(*row) if row else None

    def _as_json(self, events: Iterable[object], event_ids: Iterable[UUID] | None) -> str:
        """Return the events as append_to_stream takes them: a JSON array of type, data and, if given, id."""
        if isinstance(events, (str, bytes, Mapping)) or not isinstance(events, Iterable):
            raise InvalidEvent(f"events must be a list of events, not {type(events).__name__}: write [event] for one")
        encoded = [self.types.encode(event) for event in events]
        if not encoded:
            raise InvalidEvent("no events to append: give at least one")
        items: list[dict[str, Any]] = [{"type": name, "data": msgspec.Raw(data)} for name, data in encoded]
        if event_ids is not None:
            ids = list(event_ids)
            if len(ids) != len(items):
                raise InvalidEvent(f"{len(items)} events need {len(items)} event_ids, not {len(ids)}")
            for item, event_id in zip(items, ids, strict=True):
                if not isinstance(event_id, UUID):
                    raise InvalidEvent(f"an event id must be a uuid.UUID, not {event_id!r}")
                item["id"] = event_id
        return msgspec.json.encode(items).decode()
