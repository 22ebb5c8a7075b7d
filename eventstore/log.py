"""The log: all events of all streams in one order, for those who read it from a checkpoint."""

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from .arguments import check_name, check_version
from .errors import InvalidArgument, UnknownEventType
from .events import EventTypes
from .records import LogPosition, RecordedEvent

# JSON comes as text, for msgspec to read.
RECORDED = "SELECT stream_id, version, position, id, type, data::text, metadata::text, recorded_at FROM "


class Log:
    """The log on a psycopg connection. An EventStore is one, too.

    Args:
        connection: an open psycopg connection; its search_path says in which PostgreSQL schema the tables are.
        types: the event types that can be read.
    """

    def __init__(self, connection: psycopg.Connection, types: EventTypes):
        self.connection = connection
        self.types = types

    def read_all(
        self,
        *,
        after: int = 0,
        limit: int = 500,
        category: str | None = None,
        event_types: Iterable[type] | None = None,
        up_to: int | None = None,
    ) -> list[RecordedEvent]:
        """Read the log, archived events included, in the order of positions.

        It ends where the log is settled: nothing can appear later between the events it returned, or before them.

        Args:
            after: a checkpoint: the position of the last event that the reader has seen, 0 for none.
            limit: how many events at most.
            category: read only streams whose id has this before its first dash.
            event_types: read only events of these classes.
            up_to: what settled_position gave, where it was asked already: beyond it, events would be skipped.

        Raises:
            UnknownEventType: an event's type is not registered, or none of `event_types` is.
            InvalidEvent: an event does not fit the class that is registered for its type.
            InvalidArgument: an argument cannot be what it is.
            psycopg.Error: the transaction's isolation level is not READ COMMITTED, or the server is a standby.
        """
        check_version("after", after, lowest=0)
        check_version("limit", limit, lowest=1)
        if up_to is not None:
            check_version("up_to", up_to, lowest=0)
        names = names_of(self.types, category, event_types)
        return self.read("read_all(%s, %s, %s, %s, %s)", (after, limit, category, names, up_to))

    def settled_position(self) -> LogPosition:
        """Return how far the log can be read now without skipping an event that is still to be committed.

        Raises:
            psycopg.Error: the transaction's isolation level is not READ COMMITTED, or the server is a standby.
        """
        row = self.execute("SELECT settled, drawn FROM settled_position()").fetchone()
        assert row is not None
        return LogPosition(*row)

    def read(self, source: str, parameters: tuple) -> list[RecordedEvent]:
        """Return the rows of a function that returns events. Ids and moments are read much faster in binary."""
        cursor = self.connection.cursor(binary=True, row_factory=tuple_row)
        return self.types.records(cursor.execute(RECORDED + source, parameters).fetchall())

    def execute(self, query: Any, parameters: Any = None) -> psycopg.Cursor[tuple]:
        """Run SQL; rows come as tuples, whatever row factory the caller's connection has."""
        return self.connection.cursor(row_factory=tuple_row).execute(query, parameters)


def names_of(types: EventTypes, category: str | None, event_types: Iterable[type] | None) -> list[str] | None:
    """Return the names of the event types that a reader of the log asks for, or None for all of them.

    Raises:
        UnknownEventType: none of them is registered.
        InvalidArgument: the category cannot be one.
    """
    if category is not None:
        check_name("a category", category, such_as="account")
        if "-" in category:
            raise InvalidArgument(f"a category ends before the first dash of a stream id: {category!r} has one")
    if event_types is None:
        return None
    if isinstance(event_types, type):
        raise InvalidArgument(f"event types are a list of classes: write [{event_types.__name__}] for one")
    if not (names := types.names(event_types)):
        raise UnknownEventType("none of the event types to read is registered: add them to EventTypes(...)")
    return names
