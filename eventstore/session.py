"""How every method uses the connection: in turn, in a transaction, and guarded against code that is not ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, LiteralString
from weakref import WeakKeyDictionary

import psycopg
from psycopg.errors import InvalidCursorName
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

from .errors import EventStoreError, InvalidArgument

_TURNS: WeakKeyDictionary[psycopg.Connection[Any], RLock] = WeakKeyDictionary()


class Session:
    """What works on a psycopg connection of the caller's, with or without autocommit, whatever its cursors are like.

    Threads may share it, or have each their own on one connection: a method has the connection for itself.

    Args:
        connection: an open connection.

    Raises:
        InvalidArgument: it is no psycopg.Connection.
    """

    def __init__(self, connection: psycopg.Connection[Any]):
        if not isinstance(connection, psycopg.Connection):
            raise InvalidArgument(f"a psycopg.Connection is needed, not {connection!r}: psycopg.connect(...) makes one")
        self.connection = connection
        self._turn = _TURNS.setdefault(connection, RLock())
        # For one row at a time. A new one would find out anew how each parameter is sent: an append takes 10 % longer.
        self._cursor = self._new_cursor()

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
    def guard(self, whose: str, began: str | None = None) -> Iterator[None]:
        """Let others' code run in a `with` block; if a transaction is open, ours or the caller's, it is not to end it.

        Args:
            whose: what the code is, for the error.
            began: when the transaction did, as `now()::text` says; who knows it already saves a question.

        Raises:
            EventStoreError: it ended the transaction.
            psycopg.Error: it left the transaction, or the connection, unusable.
        """
        if not self._is_in_transaction():
            yield
            return
        now = "SELECT now()::text"  # the start of the transaction: the same as long as that is the same
        began = began or self.one_row(now)[0]
        ended = f"{whose} ended the transaction that it was called in, which is not its own to end"
        try:
            yield
        except psycopg.Rollback:  # it would end the transaction without a word
            raise EventStoreError(f"{whose} raised Rollback: the transaction is not its own to end") from None
        except Exception as error:
            if not self._is_in_transaction() or isinstance(error, InvalidCursorName):  # cursors end with it
                raise EventStoreError(ended) from error
            raise
        if self.one_row(now)[0] != began:
            raise EventStoreError(ended)

    def execute(self, query: Any, parameters: Any = None, **how: bool) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run SQL as psycopg does; rows come as tuples, whatever row factory or cursors the caller's connection has."""
        with self._turn:
            return self._new_cursor().execute(query, parameters, **how)

    def one_row(self, query: LiteralString, parameters: Any = None) -> tuple[Any, ...]:
        """Run SQL that gives one row, and return that."""
        with self._turn:
            row = self._cursor.execute(query, parameters).fetchone()
        assert row is not None
        return row

    def _new_cursor(self) -> psycopg.Cursor[tuple[Any, ...]]:
        factory = self.connection.cursor_factory
        if issubclass(factory, (psycopg.ClientCursor, psycopg.RawCursor)):  # they bind in the client, or know no %s
            factory = psycopg.Cursor
        return factory(self.connection, row_factory=tuple_row)

    def check_no_pipeline(self, what: str) -> None:
        """Raise NotSupportedError in a pipeline, for what cannot work there."""
        if self._is_piped():
            raise psycopg.NotSupportedError(f"{what} does not work in a pipeline: call it outside of that")

    def _is_piped(self) -> bool:
        return self.connection.pgconn.pipeline_status != PipelineStatus.OFF

    def _is_in_transaction(self) -> bool:
        return self.connection.pgconn.transaction_status != TransactionStatus.IDLE
