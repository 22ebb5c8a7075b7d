"""The event store: streams of events in PostgreSQL, appended by one stored function.

The SQL in schema/ does the work and keeps the promises. This class turns events into JSON and back, refuses
what could not be stored faithfully, and turns the database's errors into the package's own.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from importlib.resources import files
from threading import RLock
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from .arguments import ANY, NO_STREAM, AnyVersion, check_range, check_stream_id, check_version
from .errors import StreamArchived, own_errors
from .events import EventTypes, encode_metadata
from .log import Log
from .projections import Projection
from .records import Appended, RecordedEvent, StreamInfo

# Files of schema/ that are left out where Citus is, and where it is not
_WITHOUT_CITUS, _WITH_CITUS = ("30_facts_stay.sql", "32_one_door.sql"), ("95_citus.sql",)

_APPEND = "SELECT version, position, repeated FROM append_to_stream(%s, %s, %s::jsonb, %s::jsonb)"


class EventStore(Log):
    """An event store on a psycopg connection.

    On an autocommit connection each append is a transaction of its own. Inside a transaction of the caller's,
    appends take part in it: they commit, or roll back, with everything else in it. The isolation level is meant
    to be PostgreSQL's default, READ COMMITTED.

    Args:
        connection: an open psycopg connection; its search_path says in which PostgreSQL schema the tables are.
        types: the event types that the store can write and read.
        projections: read models that are kept in the append's own transaction.
    """

    def __init__(self, connection: psycopg.Connection, types: EventTypes, projections: Iterable[Projection] = ()):
        super().__init__(connection, types)
        self.projections = tuple(projections)
        # One cursor for all appends: a new one would have to find out anew how each parameter is sent.
        self._appending = connection.cursor(row_factory=tuple_row)
        self._turn = RLock()  # for threads that share a store, and with it a connection

    def create_schema(self) -> None:
        """Create the tables and functions in the connection's current schema, or bring the functions up to date; also
        the tables of the registered projections.

        Safe to call again, and from several connections at once.
        """
        scripts = sorted((f for f in files(__package__).joinpath("schema").iterdir()), key=lambda file: file.name)
        with self.connection.transaction():
            # IF NOT EXISTS is no lock: two connections that create a table at once collide.
            self.execute("SELECT pg_advisory_xact_lock(hashtext('eventstore.create_schema'))")
            citus = self.execute("SELECT FROM pg_extension WHERE extname = 'citus'").rowcount
            for script in scripts:
                if script.name not in (_WITHOUT_CITUS if citus else _WITH_CITUS):
                    self.execute(script.read_bytes())
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
            event_ids: an id for each event. With them and an explicit expected_version, repeating an append whose
                answer was lost stores nothing twice and returns what the first try would have returned.

        Returns:
            Where the append ended.

        Raises:
            WrongExpectedVersion: the stream is at another version.
            StreamArchived: the stream is in the archive.
            DuplicateEvent: an event with one of the ids is in the stream already, and this is no plain retry.
            UnknownEventType: the class of an event is not registered.
            InvalidEvent: an event, its id or the metadata would not be read back as it was given.
            InvalidArgument: the stream id or the expected version is none.
            Exception: whatever a projection raises; nothing was stored then.
        """
        check_stream_id(stream_id)
        if isinstance(expected_version, AnyVersion):
            expected = expected_version.value
        else:
            expected = check_version("expected_version", expected_version, lowest=NO_STREAM)
        new_events = self.types.encode_batch(events, event_ids)
        parameters = (stream_id, expected, msgspec.json.encode(new_events).decode(), encode_metadata(metadata).decode())
        with self._turn, self.transaction():
            with own_errors(stream_id, expected_version):
                row = self._appending.execute(_APPEND, parameters).fetchone()
            assert row is not None  # the function returns one row, or raises
            appended = Appended(*row)
            if self.projections and not appended.repeated:
                self._project(stream_id, appended.version - len(new_events) + 1)
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
        """Read a stream in the order of its versions, whole unless told otherwise.

        Args:
            from_version, to_version: the versions to read, both included.
            since, until: the moments to read, both included, with a time zone. What `until` leaves out is always the
                newest: the rest is the stream as it was at that moment.
            archived: whether to look into the archive, too.

        Returns:
            The events, oldest first; none where there is no such stream.

        Raises:
            StreamArchived: the stream is in the archive, and that was not asked for.
            UnknownEventType: an event's type is not registered.
            InvalidEvent: an event does not fit the class that is registered for its type.
            InvalidArgument: the stream id is none, or a range is turned round.
        """
        check_stream_id(stream_id)
        check_range(from_version, to_version, since, until)
        parameters: tuple = (stream_id, from_version, to_version, since, until)
        if archived:
            return self.read("read_stream_from_log(%s, %s, %s, %s, %s)", parameters)
        if parameters[1:] == (1, None, None, None):
            parameters = (stream_id,)  # PostgreSQL plans without the limits, and compares them with no row
        source = f"read_stream({', '.join(['%s'] * len(parameters))})"
        while not (events := self.read(source, parameters)):
            # Only those who found nothing pay for a second look: is there nothing, or is it in the archive?
            question = f"SELECT is_archived(%s), EXISTS (SELECT FROM {source})"
            look = self.execute(question, (stream_id, *parameters)).fetchone()
            if look == (True, False):
                raise StreamArchived(stream_id)
            if look == (False, False):
                break
        return events

    def stream_info(self, stream_id: str) -> StreamInfo | None:
        """Return what is known of a stream, or None where there is no such stream.

        Raises:
            InvalidArgument: the stream id is none.
        """
        check_stream_id(stream_id)
        row = self.execute(
            "SELECT s.id, s.version, first.recorded_at, last.recorded_at, s.archived_at FROM streams s"
            " JOIN log first ON first.stream_id = s.id AND first.version = 1"
            " JOIN log last ON last.stream_id = s.id AND last.version = s.version"
            " WHERE s.id = %s",
            (stream_id,),
        ).fetchone()
        return StreamInfo(*row) if row else None

    def transaction(self) -> AbstractContextManager:
        """Return what makes an append and its projections one: nothing where one statement is the whole of it."""
        idle = self.connection.info.transaction_status == TransactionStatus.IDLE
        if idle and not self.projections:
            return nullcontext()
        if idle and not self.connection.autocommit:
            self.execute("SELECT")  # begins the caller's transaction, which is the caller's to commit
        # Inside a transaction this is a savepoint: a lost race leaves the caller's transaction usable.
        return self.connection.transaction()

    def _project(self, stream_id: str, from_version: int) -> None:
        """Show the events that were just appended to the projections that handle them."""
        recorded = self.read_stream(stream_id, from_version=from_version)
        for projection in self.projections:
            if wanted := projection.wanted(recorded):
                projection.project(self.connection, wanted)
