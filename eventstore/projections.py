"""Read models made of events, kept in the append's own transaction: right the moment the append returns."""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from .log import RECORDED, Log
from .records import RecordedEvent

# Events at a time in a rebuild: few enough for memory. Many, for a row that is updated again and again in one
# transaction gets slower with every update: PostgreSQL keeps all its old versions until the commit.
_BATCH = 10_000


class Projection:
    """What turns events into the rows of one table. Subclass it, and register an instance with the store.

    Events of one stream come in order. Those of different streams come in any, and appends to them run at the same
    time: let a row that several streams change not depend on who came first, and let one statement read it and write it
    (`SET total = total + ...`).

    Attributes:
        table: the name of the read model's table. Nothing but the projection may write to it.
        handles: the classes of the events that it wants to see.
    """

    table: str
    handles: tuple[type, ...]

    def create(self, connection: psycopg.Connection[Any]) -> None:
        """Create the read model's table, unless it is there."""
        raise NotImplementedError

    def project(self, connection: psycopg.Connection[Any], events: Sequence[RecordedEvent]) -> None:
        """Bring the read model up to date with events, in their order: those of one append, or thousands at once.

        It runs in the transaction that stores the events, and must not end it. Whatever it raises undoes them, too. It
        may append, to the same store: what it appends is projected in its turn, once all projections have seen what
        they are being shown now.
        """
        raise NotImplementedError

    def wanted(self, events: Sequence[RecordedEvent]) -> list[RecordedEvent]:
        """Return those of the events that this projection handles."""
        return [recorded for recorded in events if isinstance(recorded.event, tuple(self.handles))]


def rebuild(log: Log, projection: Projection, progress: Callable[[int, int], Any] = lambda done, total: None) -> int:
    """Make a read model anew from the log, in one transaction.

    Readers see the old rows until it is done. Appends that would change the read model wait; what they store counts
    once: it is either in the log when the lock is taken, or projected when the lock is given back.

    Args:
        log: the log, or the event store.
        projection: what makes the read model; its table is there.
        progress: called with the number of events done, and how many there are.

    Returns:
        How many events were projected.

    Raises:
        UnknownEventType: the projection handles a class that is not registered.
        InvalidEvent: an event does not fit the class that is registered for its type.
        EventStoreError: the projection, or `progress`, ended the transaction.
        psycopg.Error: there is no such table, it could not be locked in time, or the connection is in a pipeline.
        Exception: whatever the projection or `progress` raises. The read model is as it was then.
    """
    log.check_no_pipeline("rebuild")
    table = sql.Identifier(projection.table)
    names = log.types.names(projection.handles)
    done = 0
    with log.transaction():
        # First the lock, then the look: every writer of the read model has committed, or waits.
        log.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table))
        log.execute(sql.SQL("DELETE FROM {}").format(table))  # not TRUNCATE: that would lock readers out
        (total,) = log.execute("SELECT count(*) FROM log WHERE type = ANY (%s)", (names,)).fetchone() or (0,)
        # A cursor with a name stays on the server, and hands out the log piece by piece.
        cursor = psycopg.ServerCursor(log.connection, "rebuild", row_factory=tuple_row)
        with log.guard("a projection, or progress,"), cursor:
            cursor.execute(RECORDED + "log WHERE type = ANY (%s) ORDER BY position", (names,), binary=True)
            while rows := cursor.fetchmany(_BATCH):
                projection.project(log.connection, log.types.records(rows))
                done += len(rows)
                progress(done, total)
    return done
