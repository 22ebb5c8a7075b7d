"""The event store: streams of events in PostgreSQL, appended by one stored function.

The SQL in schema/ does the work and keeps the promises. This class turns events into JSON and back, refuses
what could not be stored faithfully, and turns the database's errors into the package's own.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any, LiteralString
from uuid import UUID

import msgspec
import psycopg

from .arguments import ANY, AnyVersion, check_range, check_stream_id, expected_value
from .errors import StreamArchived, own_errors
from .events import EventTypes, encode_metadata
from .log import Log
from .projections import Projection
from .records import Appended, RecordedEvent, StreamInfo

_APPEND: LiteralString = "SELECT version, position, repeated FROM append_to_stream(%s, %s, %s::jsonb, %s::jsonb)"
_APPEND_TO_PROJECT = _APPEND.replace(" FROM", ", now()::text FROM")  # when the transaction began: see guard


class EventStore(Log):
    """An event store on a psycopg connection.

    On an autocommit connection each append is a transaction of its own. In a transaction of the caller's, which without
    autocommit there always is, appends take part: they commit, or roll back, with everything else in it. The isolation
    level is meant to be PostgreSQL's default, READ COMMITTED.

    Threads may share a store: each method has the connection for itself until it is done, and so has whoever is in a
    block of `with store.transaction():`. A temporary table may not be called like one of the store's: PostgreSQL looks
    there first. Appends say so.

    Args:
        connection: an open psycopg connection; its search_path says in which PostgreSQL schema the tables are.
        types: the event types that the store can write and read.
        projections: read models that are kept in the append's own transaction.

    Raises:
        UnknownEventType: a projection handles a class that is not registered.
    """

    def __init__(self, connection: psycopg.Connection[Any], types: EventTypes, projections: Iterable[Projection] = ()):
        super().__init__(connection, types)
        self.projections = tuple(projections)
        for projection in self.projections:
            types.names(projection.handles)
        # While projections are at work: what they append themselves, by the stream's id the first version of it.
        self._unprojected: dict[str, int] | None = None

    def create_schema(self) -> None:
        """Create in the connection's current schema what is missing of tables and functions, bring functions up to
        date, and create the projections' tables. No append waits for it, at whatever time.

        Raises:
            EventStoreError: a projection ended the transaction.
            NotSupportedError: the connection is in a pipeline.
            Exception: whatever a projection raises; nothing was created then.
        """
        self.check_no_pipeline("create_schema")
        scripts = sorted(files(__package__).joinpath("schema").iterdir(), key=lambda file: file.name)
        with self.transaction():  # and in turn: two who create a table at once collide
            self.execute("SELECT pg_advisory_xact_lock(hashtext('eventstore.create_schema'))")
            self.execute(scripts[0].read_bytes(), prepare=False)
            there = {name for (name,) in self.execute("SELECT what_is_there()")}
            for script in scripts:
                if script.name[3:].removesuffix(".sql") not in there:
                    self.execute(script.read_bytes(), prepare=False)
            with self.guard("a projection"):
                for projection in self.projections:
                    projection.create(self.connection)

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
            event_ids: an id for each event. With them and an explicit expected_version, an append whose answer was lost
                can be repeated: it stores nothing twice and returns what the first try would have returned.

        Returns:
            Where the append ended.

        Raises:
            WrongExpectedVersion: the stream is at another version.
            StreamArchived: the stream is in the archive.
            DuplicateEvent: an event with one of the ids is in the stream already, and this is no plain retry.
            UnknownEventType: the class of an event is not registered.
            InvalidEvent: an event, its id or the metadata would not be read back as it was given.
            InvalidArgument: the stream id or the expected version is not one.
            EventStoreError: a projection ended the transaction.
            Exception: whatever a projection raises; nothing was stored then.
        """
        check_stream_id(stream_id)
        expected = expected_value(expected_version)
        new_events = self.types.encode_batch(events, event_ids)
        parameters = (stream_id, expected, msgspec.json.encode(new_events).decode(), encode_metadata(metadata).decode())
        with self.transaction(of_one_statement=not self.projections):
            with own_errors(stream_id, expected_version):
                row = self.one_row(_APPEND_TO_PROJECT if self.projections else _APPEND, parameters)
            appended = Appended(*row[:3])
            if self.projections and not appended.repeated:
                self._project(stream_id, appended.version - len(new_events) + 1, *row[3:])
        return appended

    def read_stream(
        self,
        stream_id: str,
        *,
        from_version: int = 1,
        to_version: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        archived: bool = False,
    ) -> list[RecordedEvent]:
        """Read a stream in the order of its versions.

        Args:
            stream_id: 1 to 255 characters.
            from_version, to_version: the versions to read, both included.
            since, until: the moments to read, both included, with a time zone. `until` gives the stream as it was then.
            archived: whether to look into the archive, too.

        Returns:
            The events, oldest first; none where there is no such stream.

        Raises:
            StreamArchived: the stream is in the archive, and that was not asked for.
            UnknownEventType: an event's type is not registered.
            InvalidEvent: an event does not fit the class that is registered for its type.
            InvalidArgument: the stream id is not one, or a range is turned round.
        """
        check_stream_id(stream_id)
        check_range(from_version, to_version, since, until)
        parameters = (stream_id, from_version, to_version, since, until)
        if archived:
            return self._events_from("read_stream_from_log(%s, %s, %s, %s, %s)", parameters)
        source: LiteralString = "read_stream(%s, %s, %s, %s, %s)"
        while not (events := self._events_from(source, parameters)):
            # Only those who found nothing pay for a second look: is it in the archive, or has it come meanwhile?
            look: LiteralString = f"SELECT is_archived(%s), EXISTS (SELECT FROM {source})"
            archived, came = self.one_row(look, (stream_id, *parameters))
            if not came and archived:
                raise StreamArchived(stream_id)
            if not came:
                break
        return events

    def stream_info(self, stream_id: str) -> StreamInfo | None:
        """Return what is known of a stream, or None where there is no such stream.

        Raises:
            InvalidArgument: the stream id is not one.
        """
        check_stream_id(stream_id)
        row = self.execute(
            "SELECT s.id, s.version, first.recorded_at, last.recorded_at, s.archived_at FROM streams s"
            " JOIN log first ON first.stream_id = s.id AND first.version = 1"
            " JOIN log last ON last.stream_id = s.id AND last.version = s.version"
            " WHERE s.id = %s",
            (stream_id,),
            binary=True,  # psycopg does not know moments in every DateStyle
        ).fetchone()
        return StreamInfo(*row) if row else None

    def _project(self, stream_id: str, from_version: int, began: str) -> None:
        """Show the events that were just appended to the projections that handle them.

        What a projection appends itself is shown to all of them after what they are being shown now.
        """
        if self._unprojected is not None:
            self._unprojected.setdefault(stream_id, from_version)
            return
        self._unprojected = {stream_id: from_version}
        try:
            with self.guard("a projection", began):
                while self._unprojected:
                    stream_id, from_version = self._unprojected.popitem()
                    recorded = self.read_stream(stream_id, from_version=from_version)
                    for projection in self.projections:
                        if wanted := projection.wanted(recorded):
                            projection.project(self.connection, wanted)
        finally:
            self._unprojected = None
