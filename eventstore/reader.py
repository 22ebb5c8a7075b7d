"""Reading the log from a checkpoint: what is written and the checkpoint commit together.

So every event has its effect once: killed anywhere, a reader begins again where its last transaction left off.
"""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from .errors import InvalidArgument
from .log import Log, names_of
from .projections import Projection
from .records import LogPosition, RecordedEvent
from .store import EventStore

Handler = Callable[[psycopg.Connection, Sequence[RecordedEvent]], Any]


class Reader:
    """What reads the log under a name, on one connection.

    Args:
        log: the log to read.
        name: under which the checkpoint is kept, in the table subscriptions.
        handler: called with the connection, in an open transaction that it must not end, and with the next events in
            the order of the log.
        wanted: which events: the arguments `category` and `event_types` of read_all.
    """

    def __init__(self, log: Log, name: str, handler: Handler, wanted: dict[str, Any]):
        self.log = log
        self.name = name
        self.handler = handler
        self.wanted = wanted

    def register(self) -> None:
        """Have a checkpoint under this name, from now on. Where that fails, the connection is closed."""
        try:
            self.log.execute("INSERT INTO subscriptions (name) VALUES (%s) ON CONFLICT DO NOTHING", (self.name,))
        except BaseException:
            self.log.connection.close()
            raise

    def take_over(self) -> bool:
        """Become the one who works under this name, and hear of new events from then on, unless another one does."""
        ours = "SELECT pg_try_advisory_lock('subscriptions'::regclass::oid::int, hashtext(%s))"
        taken = self.log.execute(ours, (self.name,)).fetchone() == (True,)  # the lock goes with the connection
        if taken:  # Before the first look at the log, so that nothing falls between the two.
            self.log.execute("DO $$ BEGIN EXECUTE format('LISTEN %I', events_channel()); END $$")
        return taken

    def sleep(self, seconds: float) -> bool:
        """Return whether there was a notification; wait for one no longer than that."""
        return len(list(self.log.connection.notifies(timeout=seconds, stop_after=1))) > 0

    def handle_next(self, size: int) -> tuple[int, LogPosition]:
        """Handle the next events and move the checkpoint behind them, in one transaction.

        Args:
            size: how many events at most.

        Returns:
            The checkpoint, and how far the log could be read.

        Raises:
            Exception: what the handler raises, or what reading does. Nothing has changed then.
        """
        with self.log.connection.transaction():
            checkpoint = self._locked_checkpoint()
            position = self.log.settled_position()
            events = self.log.read_all(after=checkpoint, limit=size, up_to=position.settled, **self.wanted)
            if events:
                self.handler(self.log.connection, events)
            # Where there was no more to read, others' events are passed by, too.
            reached = events[-1].position if len(events) == size else max(checkpoint, position.settled)
            if reached > checkpoint:
                self._move(reached)
        return reached, position

    def park(self, error: Exception) -> int:
        """Put the next event aside, with the error that it raised, and move the checkpoint behind it; return that."""
        reason = f"{type(error).__name__}: {error}".replace("\0", "")
        wanted = self.wanted
        with self.log.connection.transaction():
            checkpoint = self._locked_checkpoint()
            row = self.log.execute(
                "INSERT INTO parked_events (subscription, position, error)"
                " SELECT %s, position, %s FROM read_all(%s, 1, %s, %s) RETURNING position",
                (self.name, reason, checkpoint, wanted["category"], names_of(self.log.types, **wanted)),
            ).fetchone()
            reached = row[0] if row else checkpoint
            self._move(reached)
        return reached

    def retry_parked(self) -> int:
        """Hand each parked event to the handler once more, in a transaction of its own; return how many stay parked."""
        mine = "FROM parked_events WHERE subscription = %s"
        for (position,) in self.log.execute(f"SELECT position {mine} ORDER BY position", (self.name,)).fetchall():
            try:
                with self.log.connection.transaction():
                    self._locked_checkpoint()
                    if self.log.execute(f"DELETE {mine} AND position = %s", (self.name, position)).rowcount:
                        event = self.log.read_all(after=position - 1, limit=1, up_to=position)
                        self.handler(self.log.connection, event)
            except Exception:
                if self.log.connection.closed:
                    raise
        return self.log.execute(f"SELECT count(*) {mine}", (self.name,)).fetchone()[0]  # type: ignore[index]

    def _locked_checkpoint(self) -> int:
        row = self.log.execute(
            "SELECT checkpoint FROM subscriptions WHERE name = %s FOR UPDATE", (self.name,)
        ).fetchone()
        if row is None:
            raise InvalidArgument(f"there is no subscription {self.name!r}; it may have been removed meanwhile")
        return row[0]

    def _move(self, checkpoint: int) -> None:
        self.log.execute("UPDATE subscriptions SET checkpoint = %s WHERE name = %s", (checkpoint, self.name))


def replay(store: EventStore, name: str, projection: Projection) -> None:
    """Have a subscription make its read model anew: empty the table, and begin again at the beginning of the log.

    Until it has caught up, readers see a read model of the past.

    Args:
        store: on a connection to the same PostgreSQL schema.
        name: the subscription's.
        projection: whose `project` is the subscription's handler.

    Raises:
        InvalidArgument: there is no such subscription.
    """
    with store.connection.transaction():
        moved = store.execute("UPDATE subscriptions SET checkpoint = 0 WHERE name = %s", (name,))
        if not moved.rowcount:
            raise InvalidArgument(f"there is no subscription {name!r}")
        store.execute("DELETE FROM parked_events WHERE subscription = %s", (name,))
        store.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(projection.table)))
        store.execute("SELECT notify_subscribers()")
