"""The log: all events of all streams in one order, for those who read it from a checkpoint.

Here is also what every method stands on that uses the connection: the turn, a transaction, and a guard for code that is
not ours.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, LiteralString

import psycopg
from psycopg.errors import InvalidCursorName
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

from .arguments import check_name, check_version
from .errors import EventStoreError, InvalidArgument
from .events import EventTypes
from .records import LogPosition, RecordedEvent

# JSON comes as text, for msgspec to read.
RECORDED: LiteralString = "SELECT stream_id, version, position, id, type, data::text, metadata::text, recorded_at FROM "


class Log:
    """The log on a psycopg connection. An EventStore is one, too.

    Threads may share it: each method has the connection for itself until it is done.

    Args:
        connection: an open psycopg connection; its search_path says in which PostgreSQL schema the tables are.
        types: the event types that can be read.
    """

    def __init__(self, connection: psycopg.Connection[Any], types: EventTypes):
        self.connection = connection
        self.types = types
        self._turn = RLock()

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

        Returns:
            The events, none where nothing is settled behind the checkpoint.

        Raises:
            UnknownEventType: an event's type is not registered, or one of `event_types` is not.
            InvalidEvent: an event does not fit the class that is registered for its type.
            InvalidArgument: an argument cannot be what it is.
            psycopg.Error: the transaction's isolation level is not READ COMMITTED, the server is a standby, or the log
                holds positions that its sequence has not given out.
        """
        check_version("after", after, lowest=0)
        check_version("limit", limit, lowest=1)
        if up_to is not None:
            check_version("up_to", up_to, lowest=0)
        names = names_of(self.types, category, event_types)
        return self._events_from("read_all(%s, %s, %s, %s, %s)", (after, limit, category, names, up_to))

    def settled_position(self) -> LogPosition:
        """Return how far the log can be read now without skipping an event that is still to be committed.

        Raises:
            psycopg.Error: as in read_all.
        """
        return LogPosition(*self.one_row("SELECT settled, drawn FROM settled_position()"))

    @contextmanager
    def transaction(self, *, of_one_statement: bool = False) -> Iterator[None]:
        """Have all that is done in a `with` block done whole or not at all, and by this thread alone.

        On an autocommit connection it is a transaction of its own. Where the caller's is open it is a savepoint in it,
        and an error leaves the caller's usable. On a connection without autocommit it is the caller's in any case.

        Args:
            of_one_statement: it is a transaction by itself then, where it can be.
        """
        with self._turn:
            self.begin()
            # In a pipeline, statements are no transactions of their own; nor does the status tell of one.
            if of_one_statement and not self._is_piped() and not self._is_in_transaction():
                yield
            else:
                with self.connection.transaction():
                    yield

    def begin(self) -> None:
        """Begin the caller's transaction, which is the caller's to commit, if there is one always and none is open."""
        if not self.connection.autocommit and not self._is_in_transaction():
            self.execute("SELECT")

    @contextmanager
    def guard(self, whose: str) -> Iterator[None]:
        """Let others' code run in a `with` block; if a transaction is open, ours or the caller's, it is not to end it.

        Args:
            whose: what the code is, for the error.

        Raises:
            EventStoreError: it ended the transaction.
            psycopg.Error: it left the transaction, or the connection, unusable.
        """
        if not self._is_in_transaction():
            yield
            return
        began = self.one_row("SELECT now()::text")  # the start of the transaction: the same as long as that is the same
        ended = f"{whose} ended the transaction that it was called in, which is not its own to end"
        try:
            yield
        except psycopg.Rollback:  # it would end the transaction without a word
            raise EventStoreError(f"{whose} raised Rollback: the transaction is not its own to end") from None
        except Exception as error:
            if not self._is_in_transaction() or isinstance(error, InvalidCursorName):  # cursors end with it
                raise EventStoreError(ended) from error
            raise
        if self.one_row("SELECT now()::text") != began:
            raise EventStoreError(ended)

    def execute(self, query: Any, parameters: Any = None, **how: bool) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run SQL as psycopg does; rows come as tuples, whatever row factory or cursors the caller's connection has."""
        factory = self.connection.cursor_factory
        if issubclass(factory, (psycopg.ClientCursor, psycopg.RawCursor)):  # they bind in the client, or know no %s
            factory = psycopg.Cursor
        with self._turn:
            return factory(self.connection, row_factory=tuple_row).execute(query, parameters, **how)

    def one_row(self, query: LiteralString, parameters: Any = None) -> tuple[Any, ...]:
        """Run SQL that gives one row, and return that."""
        row = self.execute(query, parameters).fetchone()
        assert row is not None
        return row

    def _events_from(self, source: LiteralString, parameters: tuple[Any, ...]) -> list[RecordedEvent]:
        """Return what a function gives that returns events."""
        return self.types.records(self.execute(RECORDED + source, parameters, binary=True).fetchall())

    def check_no_pipeline(self, what: str) -> None:
        """Raise NotSupportedError in a pipeline, for what cannot work there."""
        if self._is_piped():
            raise psycopg.NotSupportedError(f"{what} does not work in a pipeline: call it outside of that")

    def _is_piped(self) -> bool:
        return self.connection.pgconn.pipeline_status != PipelineStatus.OFF

    def _is_in_transaction(self) -> bool:
        return self.connection.info.transaction_status != TransactionStatus.IDLE


def names_of(types: EventTypes, category: str | None, event_types: Iterable[type] | None) -> list[str] | None:
    """Return the names of the event types that a reader of the log asks for, or None for all of them.

    Raises:
        UnknownEventType: one of them is not registered.
        InvalidArgument: the category cannot be one.
    """
    if category is not None:
        check_name("a category", category, such_as="account")
        if "-" in category:
            raise InvalidArgument(f"a category ends before the first dash of a stream id: {category!r} has one")
    return None if event_types is None else types.names(event_types)
