"""Reading the log from a checkpoint: what is written and the checkpoint commit together.

So every event has its effect once: killed anywhere, a reader begins again where its last transaction left off.
"""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from .errors import EventStoreError, InvalidArgument
from .events import EventTypes
from .log import Log, names_of
from .records import LogPosition, RecordedEvent

Handler = Callable[[psycopg.Connection, Sequence[RecordedEvent]], Any]

_HELD_BACK = 0.02  # seconds between two looks at an append that is under way: if it is rolled back, nobody is told
_NAP = 0.1  # seconds until `rest` returns, so that a thread can be stopped; nothing is sent to the server


class Reader:
    """What reads the log under a name, on one connection.

    Args:
        connection: a connection that nobody else uses. It is closed if it cannot be used.
        types: the event types that can be read.
        name: under which the checkpoint is kept, in the table subscriptions.
        handler: called with the connection, in an open transaction that it must not end, and with the next events in
            the order of the log.
        wanted: which events: the arguments `category` and `event_types` of read_all.
    """

    def __init__(
        self, connection: psycopg.Connection, types: EventTypes, name: str, handler: Handler, wanted: dict[str, Any]
    ):
        self.log = Log(connection, types)
        self.name = name
        self.handler = handler
        self.wanted = wanted
        self._asleep = False
        try:
            connection.autocommit = True
        except psycopg.Error:  # it is in a transaction
            connection.close()
            raise

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exception: object) -> None:
        self.log.connection.close()

    def register(self) -> int:
        """Have a checkpoint under this name, from now on, and return it. Where that fails, the connection is closed."""
        try:
            self.log.execute("INSERT INTO subscriptions (name) VALUES (%s) ON CONFLICT DO NOTHING", (self.name,))
            return self._checkpoint("")
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

    def rest(self, position: LogPosition) -> bool:
        """Wait for new events, though not for long, once all that could be read is handled.

        Args:
            position: how far the log could be read.

        Returns:
            Whether to look again.
        """
        if position.settled < position.drawn:
            self._notified(_HELD_BACK)
            return True
        if not self._asleep:
            # An append that did not see this tells nobody, so look once more before you sleep.
            self.log.execute("UPDATE subscriptions SET asleep = true WHERE name = %s", (self.name,))
            self._asleep = True
            return True
        self._asleep = not self._notified(_NAP)  # whoever woke it may have said so in its row
        return not self._asleep

    def end(self) -> None:
        """Have nobody notify this reader any more."""
        self.log.execute("UPDATE subscriptions SET asleep = false WHERE name = %s", (self.name,))

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
                self._hand_over(events)
            # Where there was no more to read, others' events are passed by, too.
            reached = events[-1].position if len(events) == size else max(checkpoint, position.settled)
            if reached > checkpoint:
                self._move(reached)
        return reached, position

    def park(self, error: Exception) -> int:
        """Put the next event aside, with the error that it raised, and move the checkpoint behind it; return that."""
        reason = f"{type(error).__name__}: {error}".replace("\0", "").encode(errors="replace").decode()
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
                        self._hand_over(self.log.read_all(after=position - 1, limit=1, up_to=position))
            except Exception:
                if self.log.connection.closed:
                    raise
        return self.log.execute(f"SELECT count(*) {mine}", (self.name,)).fetchone()[0]  # type: ignore[index]

    def replay(self, table: str) -> None:
        """Empty a read model, and begin again at the beginning of the log."""
        with self.log.connection.transaction():
            self._locked_checkpoint()
            self._move(0)
            self.log.execute("DELETE FROM parked_events WHERE subscription = %s", (self.name,))
            self.log.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            # For another process, if it is the one who works.
            self.log.execute("SELECT pg_notify(events_channel(), '')")

    def _hand_over(self, events: Sequence[RecordedEvent]) -> None:
        try:
            self.handler(self.log.connection, events)
        except psycopg.Rollback:  # it would end the transaction without a word
            raise EventStoreError("the handler raised Rollback: the transaction is not its own to end") from None
        if self.log.connection.info.transaction_status == TransactionStatus.IDLE:
            raise EventStoreError("the handler ended the transaction: what it wrote must commit with the checkpoint")

    def _locked_checkpoint(self) -> int:
        return self._checkpoint("FOR UPDATE")

    def _checkpoint(self, lock: str) -> int:
        row = self.log.execute(f"SELECT checkpoint FROM subscriptions WHERE name = %s {lock}", (self.name,)).fetchone()
        if row is None:
            raise InvalidArgument(f"there is no subscription {self.name!r}; it may have been removed meanwhile")
        return row[0]

    def _notified(self, seconds: float) -> bool:
        return len(list(self.log.connection.notifies(timeout=seconds, stop_after=1))) > 0

    def _move(self, checkpoint: int) -> None:
        move = "UPDATE subscriptions SET checkpoint = %s, asleep = false WHERE name = %s"
        self.log.execute(move, (checkpoint, self.name))
        self._asleep = False
